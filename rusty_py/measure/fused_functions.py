"""Functions to measure fusion by: each fused and unfused, with its float64 reference and error bound."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rusty_py import oracle
from rusty_py.activations import ACTIVATIONS
from rusty_py.arrays import Array
from rusty_py.dtypes import F32, Dtype
from rusty_py.fused import fused_add_relu, fused_affine, fused_mul_relu
from rusty_py.fusion.function import fuse
from rusty_py.operation import Cost, Operation
from rusty_py.ops.matmul import matmul
from rusty_py.ops.reduce.passes import depth
from rusty_py.ops.rows import gelu, mean, relu
from rusty_py.oracle import Expected
from rusty_py.runtime.launch import Launch
from rusty_py.samples import Sample, Values, values
from rusty_py.views import Shape

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FusedFunction:
    """`function` of arrays. `shapes` are those of its operands for a shape.

    `expected` is the result in float64 of operands in float64, and how far one in f32 may be off. `steps` is
    the number of operations, each a launch where they are not fused. `flops` are those of operands of these
    shapes, without it one of each element for each step.
    """

    name: str
    function: Callable[..., Array]
    fused: Callable[..., Array]
    shapes: Callable[[Shape], tuple[Shape, ...]]
    expected: Callable[..., tuple[Floats, Floats]]
    steps: int
    flops: Callable[..., int] | None = None

    def operation(self, *, fused: bool) -> Operation:
        """The record by which a suite measures the function, fused or not. It is not registered.

        The cost is that of a single kernel, so that rates compare with the bytes that are needed.
        """

        def made(kind: Dtype, shape: Shape, *, seed: int) -> tuple[Values, ...]:
            return tuple(values(kind, *each, seed=seed + i) for i, each in enumerate(self.shapes(shape)))

        def samples() -> Iterable[Sample]:
            yield Sample(self.name, made(F32, (6, 1000), seed=0))

        def expected(sample: Sample) -> Expected:
            return Expected(*self.expected(*(x.astype(np.float64) for x in sample.operands)))

        chosen = self.fused if fused else self.function
        return Operation(
            self.name if fused else f"{self.name}, unfused",
            chosen,
            function=chosen,
            kinds="f",
            samples=samples,
            operands=made,
            expected=expected,
            cost=self._cost,
        )

    def _cost(self, arrays: Sequence[Array], result: Array) -> Cost:
        size = max(x.size for x in arrays)
        flops = self.flops(*(x.shape for x in arrays)) if self.flops else self.steps * size
        return Cost(flops, sum(x.nbytes for x in arrays) + result.nbytes)


def moved_bytes(launches: Sequence[Launch]) -> int:
    """What the launches read and write, where each touches its buffers once."""
    return sum(buffer.nbytes for each in launches for buffer in each.buffers)


def _chain(x: Any) -> Any:
    return abs(x * 2.0 + 1.0) * -0.5 + 3.0


def _chain_expected(x: Floats) -> tuple[Floats, Floats]:
    """Two sums are rounded; the products are exact."""
    result = _chain(x)
    return result, 0.51 * F32.eps * (np.abs(2 * x + 1) + np.abs(result))


def _affine_expected(x: Floats, scale: Floats, bias: Floats) -> tuple[Floats, Floats]:
    result = x * scale + bias
    return result, 0.51 * F32.eps * (np.abs(x * scale) + np.abs(result))


def _add_relu_expected(x: Floats, other: Floats) -> tuple[Floats, Floats]:
    return np.maximum(x + other, 0), 0.51 * F32.eps * np.abs(x + other)


def _mul_relu_expected(x: Floats, other: Floats) -> tuple[Floats, Floats]:
    return np.maximum(x * other, 0), 0.51 * F32.eps * np.abs(x * other)


def _matmul_relu(a: Array, b: Array) -> Array:
    return relu(matmul(a, b))


def _matmul_with_relu(a: Array, b: Array) -> Array:
    return matmul(a, b, activation="relu")


def _matmul_relu_expected(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    product, bound = oracle.matmul(a, b, dtype=F32)
    return np.maximum(product, 0), bound


def _mean_gelu(x: Array, y: Array) -> Array:
    return mean(gelu((x + y) * 2.0), axis=1)


def _mean_gelu_expected(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """The rounding of the sum, the error of gelu, and those of a sum of n numbers and of a quotient."""
    t = (x + y) * 2
    result, own = oracle.activated(t, name="gelu", dtype=F32)
    each = own + ACTIVATIONS["gelu"].slope * 0.51 * F32.eps * np.abs(t)
    roundings = (depth(t.shape[1]) + 6) * F32.eps / 2
    return result.mean(axis=1), each.mean(axis=1) + roundings * np.abs(result).mean(axis=1)


def _two(shape: Shape) -> tuple[Shape, ...]:
    return shape, shape


def _row(shape: Shape) -> tuple[Shape, ...]:
    return shape, shape[-1:], shape[-1:]


FUNCTIONS = {
    each.name: each
    for each in (
        FusedFunction("chain", _chain, fuse(_chain), lambda shape: (shape,), _chain_expected, 5),
        FusedFunction("fused_affine", fused_affine.function, fused_affine, _row, _affine_expected, 2),
        FusedFunction("fused_add_relu", fused_add_relu.function, fused_add_relu, _two, _add_relu_expected, 2),
        FusedFunction("fused_mul_relu", fused_mul_relu.function, fused_mul_relu, _two, _mul_relu_expected, 2),
        FusedFunction("mean_gelu", _mean_gelu, fuse(_mean_gelu), _two, _mean_gelu_expected, 4),
        FusedFunction(
            "matmul_relu",
            _matmul_relu,
            _matmul_with_relu,
            lambda shape: (shape, shape[::-1]),
            _matmul_relu_expected,
            2,
            lambda a, b: 2 * a[0] * a[1] * b[1],
        ),
    )
}
"""A chain of five cheap operations, patterns of networks, a reduction of rows that are computed first, and a
product with an activation in its epilogue."""
