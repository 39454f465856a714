"""References that are installed: NumPy, and PyTorch and MLX, if so, compute what suites ask for."""

from collections.abc import Callable, Collection
from itertools import product
from typing import Any

import numpy as np
import pytest

from rusty_py.bench.conv_suite import shapes_of
from rusty_py.bench.convolutions import Convolution
from rusty_py.bench.operation_suite import operands_of
from rusty_py.bench.operations import able_of
from rusty_py.bench.suites.description import suites
from rusty_py.dtypes import F16, F32, I32
from rusty_py.errors import LimitError
from rusty_py.measure.conv_verification import ConvVerifier
from rusty_py.measure.references import ReferenceTask, mlx, task_of
from rusty_py.measure.references.convolution import conv2d
from rusty_py.measure.references.numpy import NumpyCalls
from rusty_py.measure.references.torch import TorchCalls
from rusty_py.operation import OPERATIONS
from rusty_py.samples import Sample

from ...each import each_reported
from .tasks import on_host, verified

TORCH_LACKS = {"cbrt f16", "cbrt f32", "floor_divide i32", "fmod i32", "remainder i32"}
"""No cube root; and integer division by zero is an error."""
MLX_LACKS = {"cbrt", "copysign", "erfc", "exp2", "fmod", "hypot", "nextafter", "signbit"}
MLX_DIFFERS = {
    *("bitwise_left_shift i32", "bitwise_right_shift i32", "pow i32", "remainder i32"),
    *("cumulative_prod f16", "cumulative_sum f16"),
}
"""Shifts by 32 and more, negative exponents, division by 0; and the CPU build adds in f16."""


def refused_tasks(calls: Callable[[ReferenceTask], Any], different: Collection[str] = ()) -> set[str]:
    """Which tasks of the suites a library lacks; the others' results must be within their bounds."""
    refused = set()
    with each_reported() as case:
        for suite in (each for each in suites() if each.family != "functions"):
            shape = (64,) if suite.family == "elementwise" else (8, 64)
            for name, kind in product(able_of(suite), (F32, F16, I32)):
                operation, label = OPERATIONS[name], f"{name} {kind.name}"
                if kind.kind not in operation.kinds or label in different:
                    continue
                for task in suite.tasks(name, shape, ()):
                    operands = operands_of(operation, kind, shape, seed=3)
                    asked = task_of(operation, Sample(task.name, operands, dict(task.options)))
                    with case(f"{task.name} {kind.name}"):
                        try:
                            found = verified(on_host(calls(asked), asked))
                        except LimitError:
                            refused.add(label)
                        else:
                            assert found.fault == ""
    return refused


def test_installed_pytorch_computes_every_task_of_every_suite_within_the_bound_of_its_record() -> None:
    installed = pytest.importorskip("torch", reason="PyTorch is not installed")
    assert refused_tasks(lambda task: TorchCalls(installed, "cpu", task)) == TORCH_LACKS


def test_installed_mlx_computes_every_task_of_every_suite_within_the_bound_of_its_record() -> None:
    installed = pytest.importorskip("mlx.core", reason="MLX is not installed")
    refused = refused_tasks(lambda task: mlx.MlxCalls(installed, task), MLX_DIFFERS)
    assert {label.split()[0] for label in refused} == MLX_LACKS


# Convolutions, whose options and layouts differ from those of other operations.

CONVOLUTIONS = (
    Convolution(17, 13, 8, 12, 2),
    Convolution(17, 13, 8, 12, 2, kernel=5, stride=2, padding=1, groups=4),
    Convolution(17, 13, 8, 12, 2, dilation=2),
)


def verified_convolutions(made: Callable[[ReferenceTask], Any]) -> None:
    """Each in both layouts, by a library on the host."""
    for layout, each in product(("NCHW", "NHWC"), CONVOLUTIONS):
        shapes, given = shapes_of(each, layout), {**each.options, "layout": layout}
        checked = ConvVerifier(shapes, each.options, rng=np.random.default_rng(), layout=layout)
        operands = checked.x, checked.w
        task = ReferenceTask(
            "conv2d", operands, checked.shape, np.dtype(np.float32), checked.compare, conv2d, given
        )
        computation = made(task)
        computation.prepare()
        assert checked.compare(computation.result()).fault == "", (layout, each.name)


def test_numpy_convolves_in_both_layouts() -> None:
    verified_convolutions(NumpyCalls)


def test_installed_pytorch_convolves_in_both_layouts() -> None:
    installed = pytest.importorskip("torch", reason="PyTorch is not installed")
    verified_convolutions(lambda task: TorchCalls(installed, "cpu", task))


def test_installed_mlx_convolves_in_both_layouts() -> None:
    installed = pytest.importorskip("mlx.core", reason="MLX is not installed")
    verified_convolutions(lambda task: mlx.MlxCalls(installed, task))
