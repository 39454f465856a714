"""Kernels whose results depend on the order of threads, with every subgroup size that there is."""

import numpy as np

from rusty_py.checker import check
from rusty_py.dtypes import F32
from rusty_py.ops.scan_kernels import LARGE, SMALL, SUM, scan_spec

from ..each import each_reported

SIZES = (4, 8, 16, 32, 64)


def test_scans_of_rows_do_not_depend_on_the_subgroup_size(checker: None) -> None:
    with each_reported() as case:
        for config, n in ((SMALL, 515), (LARGE, 4100)):
            x = np.random.default_rng(n).integers(0, 9, n).astype(np.float32)
            spec = scan_spec(SUM, F32, config, wide=False, reverse=False, subgroups=True)
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
