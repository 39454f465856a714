"""Products with compound axes that cover every line of the kernels for them: as convolutions have them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.gemm.blocked_family import QUICK
from rusty_py.gemm.compound import Bounds, Contraction, Side, Triple, place
from rusty_py.gemm.dispatch import of_parts
from rusty_py.gemm.helpers import SplitKReduce
from rusty_py.gemm.plan import GemmPlan
from rusty_py.gemm.problem import GemmProblem
from rusty_py.runtime.launch import Spec

_OUTPUTS = Triple(1, 1, 36)
_PIXELS = Triple(2, 4, 7)
_TAPS = Triple(3, 2, 8)
_ACROSS = Triple(0, 0, 1)


@dataclass(frozen=True)
class CompoundSample:
    """A product to compute: the contraction, and how."""

    name: str
    contraction: Contraction
    products: int = 1
    split_k: int = 1
    dtype: Dtype = F32
    bias: bool = False
    bias_by_row: bool = False
    activation: str = ""

    @property
    def problem(self) -> GemmProblem:
        problem = self.contraction.problem(self.dtype, self.products)
        signature = replace(
            problem.signature,
            bias=self.bias,
            bias_by_row=self.bias_by_row,
            bias_batched=self.bias and self.products > 1,
            activation=self.activation,
        )
        return replace(problem, signature=signature)

    @property
    def plan(self) -> GemmPlan:
        return GemmPlan(self.problem, QUICK, self.split_k, why="sample")

    @property
    def bias_stride(self) -> int:
        """Each product has a bias of its own."""
        return self.problem.m if self.bias_by_row else self.problem.n


def samples() -> Iterator[CompoundSample]:
    """Images with contiguous channels and in planes, in place and strided, as either operand."""
    image = Side(Triple(6 * 8 * 8, 8 * 8, 8), Triple(8 * 8, 8, 1), 0, 6 * 8 * 8 * 2)
    weights = Side(Triple(2 * 8 * 36, 8 * 36, 36), _ACROSS, 0, 6 * 8 * 36)
    rows = Side(Triple(28 * 72, 7 * 72, 72), _ACROSS, 0, 36)
    forward = Contraction(_PIXELS, _OUTPUTS, _TAPS, image, weights, rows)
    yield CompoundSample("rows of pixels", forward, 2, bias=True, activation="relu")
    gaps = replace(forward, c=rows._replace(rows=Triple(9 * 400, 400, 40)))
    yield CompoundSample("rows of pixels, with gaps", gaps, split_k=3, bias=True)
    inside = Bounds("a", Triple(0, place(1, 0), 1), Triple(place(1, 0), 1, 0), (1, 2), (4, 5))
    bounded = replace(forward, a=image._replace(start=0), bounds=inside)
    yield CompoundSample("rows of pixels, bounded", bounded)
    planes = Contraction(
        _OUTPUTS,
        _PIXELS,
        _TAPS,
        _turned(weights),
        _turned(image),
        Side(_PLANE, Triple(36 * 28, 7, 1), 0, 72 * 28),
    )
    yield CompoundSample("planes", planes, 2, bias=True, bias_by_row=True)
    yield CompoundSample("planes in parts, f16", planes, 2, 2, F16, bias=True, bias_by_row=True)
    yield CompoundSample("planes, bounded", replace(planes, bounds=replace(inside, operand="b")))
    odd = Side(Triple(0, 0, 63), Triple(36 * 63, 9, 1), 3, 72 * 63)
    yield CompoundSample("planes of odd sizes", replace(planes, c=odd), split_k=2, activation="relu")
    yield CompoundSample("planes of odd sizes, bias", replace(planes, c=odd), bias=True, bias_by_row=True)
    yield CompoundSample("channels of odd planes", _gathered(along_k=True), bias=True)
    yield CompoundSample("odd planes", _gathered(along_k=False), 2, bias=True)
    yield CompoundSample("odd planes of f16", _gathered(along_k=False), dtype=F16)
    gradient = Contraction(
        _OUTPUTS,
        _TAPS,
        _PIXELS,
        Side(_ACROSS, Triple(4 * 8 * 36, 8 * 36, 36), 0, 0),
        image,
        Side(Triple(0, 0, 48), Triple(2, 1, 6), 0, 0),
    )
    yield CompoundSample("gradient of weights", gradient, split_k=2)
    around = replace(inside, operand="b", lines=inside.depth, depth=inside.lines)
    yield CompoundSample("gradient of weights, bounded", replace(gradient, bounds=around))
    squares = Side(Triple(2 * 8 * 48, 8 * 48, 48), Triple(16, 8, 1), 0, 0)
    yield CompoundSample(
        "taps by taps, f16", Contraction(_TAPS, _TAPS, _PIXELS, _turned(image), image, squares), dtype=F16
    )
    plane = Side(_PLANE, Triple(36 * 28, 7, 1), 0, 0)
    matrix = Side(Triple(0, 0, 36), _ACROSS, 0, 0)
    yield CompoundSample(
        "planes by planes", Contraction(_OUTPUTS, _OUTPUTS, _PIXELS, plane, _turned(plane), matrix)
    )


_PLANE = Triple(0, 0, 28)


def _gathered(*, along_k: bool) -> Contraction:
    """Loads of single elements: along k, or, of planes, across it."""
    image = Side(Triple(400, 18, 1), Triple(9, 2, 45), 5, 800)
    if along_k:
        image = Side(Triple(400, 60, 6), Triple(30, 3, 1), 5, 800)
    result = Side(Triple(28 * 64, 7 * 64, 64), Triple(32, 8, 1), 0, 56 * 64)
    return Contraction(_PIXELS, _PIXELS, Triple(3, 2, 3), image, _turned(image), result)


def _turned(side: Side) -> Side:
    return side._replace(rows=side.cols, cols=side.rows)


def variants() -> Iterator[Spec]:
    """The kernels of all samples."""
    for sample in samples():
        problem = sample.problem
        if sample.split_k > 1:
            yield SplitKReduce().spec(problem)
            problem = of_parts(problem)
        yield QUICK.spec(problem)
