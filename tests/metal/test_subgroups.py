"""Kernels whose results depend on the order of threads, with every subgroup size that there is."""

import numpy as np

from rusty_py import Adapter, array
from rusty_py.checker import check
from rusty_py.checker.check import SUBGROUP_SIZES
from rusty_py.dtypes import F32, U32
from rusty_py.operation import OPERATIONS, apply
from rusty_py.ops import rowwise_kernels
from rusty_py.ops.scan.specs import LARGE, SMALL, SUM, scan_spec
from rusty_py.ops.sort.specs import scatter_spec, step

from ..each import each_reported
from .execution import MetalText

SIZES = (4, 8, 16, 32, 64)


def test_scans_of_rows_do_not_depend_on_the_subgroup_size(checker: None) -> None:
    with each_reported() as case:
        for config, n in ((SMALL, 516), (LARGE, 4100)):
            x = np.random.default_rng(n).integers(0, 9, n).astype(np.float32)
            spec = scan_spec(SUM, F32, config, wide=True, reverse=False, subgroups=True)
            uniforms = np.array([1, n, 1, n, 0, n, 0, 0], np.uint32)
            for size in SIZES:
                with case(f"{n} elements, subgroups of {size}"):
                    report = check(
                        spec.text,
                        workgroups=1,
                        buffers={
                            "values": x,
                            "sums": np.zeros(1, np.float32),
                            "out": np.zeros(n, np.float32),
                            "uniforms": uniforms,
                        },
                        subgroup_sizes=(size,),
                        workgroup_bytes=spec.workgroup_bytes,
                    )
                    assert not report.findings, str(report)
                    np.testing.assert_array_equal(report.outputs["out"], np.cumsum(x))


def test_passes_of_a_radix_sort_do_not_depend_on_the_subgroup_size(checker: None) -> None:
    x = np.random.default_rng(1).integers(0, 2**32, 1500, np.uint32)
    digits = x >> 8 & 255
    counts = np.stack([np.bincount(each, minlength=256) for each in (digits[:1024], digits[1024:])], axis=1)
    order = np.argsort(digits, kind="stable")
    spec = scatter_spec(step(U32, indices=True, last=False), 4, subgroups=True)
    uniforms = np.array([2, 1500, 2, 0, 0, 8, 0, 0], np.uint32)
    with each_reported() as case:
        for size in SIZES:
            with case(f"subgroups of {size}"):
                report = check(
                    spec.text,
                    workgroups=2,
                    buffers={
                        "source": x,
                        "ends": np.cumsum(counts).astype(np.uint32),
                        "out_keys": np.zeros(1500, np.uint32),
                        "out_indices": np.zeros(1500, np.uint32),
                        "uniforms": uniforms,
                    },
                    subgroup_sizes=(size,),
                    seeds=1,
                    workgroup_bytes=spec.workgroup_bytes,
                )
                assert not report.findings, str(report)
                np.testing.assert_array_equal(report.outputs["out_keys"], x[order])
                np.testing.assert_array_equal(report.outputs["out_indices"], order)


def test_row_operations_do_not_depend_on_the_subgroup_size(checker: None, adapter: Adapter) -> None:
    """Sizes that works do not run with: no more than four lanes share a row by shuffles alone."""
    names = ("softmax", "layer_norm", "layer_norm_sums")
    with each_reported() as case:
        for size in SIZES:
            if size in SUBGROUP_SIZES:
                continue
            text = MetalText((size,))
            with text.device(adapter) as device:
                for name, sample, machine in rowwise_kernels.cases():
                    if name not in names or machine is not rowwise_kernels.GPU or sample.needs_f16:
                        continue
                    with case(f"{sample.name}, subgroups of {size}"):
                        given = [array(each, device=device) for each in sample.operands]
                        result = apply(OPERATIONS[name], *given, **sample.options).numpy()
                        expected = OPERATIONS[name].expected
                        assert expected is not None
                        assert expected(sample).error(result) <= 1
            assert {"rowwise/subgroups", "rowwise/sums"} <= {spec.name for spec, _ in text.reports}
            with_subgroups = [report for spec, report in text.reports if "subgroup" in spec.text]
            assert {run.subgroup_size for report in with_subgroups for run in report.runs} == {size}
