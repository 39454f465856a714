"""Reductions by subgroups of any size that GPUs have, under the checker."""

import numpy as np
import pytest

from rusty_py.checker import check
from rusty_py.dtypes import F32
from rusty_py.ops.all import REDUCTIONS
from rusty_py.ops.reduce import operations as reduce
from rusty_py.ops.reduce.box import rows_box
from rusty_py.ops.reduce.kernels import Form, spec, uniforms

from ..each import each_reported

pytestmark = pytest.mark.usefixtures("checker")
SIZES = (4, 8, 16, 32, 64)


def test_rows_are_reduced_by_subgroups_of_any_size() -> None:
    assert reduce
    x = np.random.default_rng(2).integers(-9, 9, (3, 301)).astype(np.float32)
    with each_reported() as case:
        for name, across in (("sum", 4), ("argmax", 32), ("sum", 256)):
            with case((name, across)):
                row = REDUCTIONS[name]
                form = Form("rows", ("vec4",), vec4=True, across=across, subgroups=True)
                kernel = spec(reduce.stage_of(row, F32), form)
                words = uniforms(rows_box(3, 301, 1), count=3, width=1, chunk=301, number=0, numbers=())
                report = check(
                    kernel.text,
                    workgroups=(2, 1, 1),
                    buffers={
                        "x_in": np.resize(x, 3 * 301 + 1).astype(np.float32),
                        "out": np.zeros(3, row.result(F32).numpy),
                        "uniforms": np.array([*words, *[0] * (64 - len(words))], np.uint32),
                    },
                    subgroup_sizes=SIZES,
                )
                assert not report.findings
                assert {run.subgroup_size for run in report.runs} == set(SIZES)
                np.testing.assert_array_equal(report.outputs["out"], row.numpy(x, axis=1))
                assert not report.varies
