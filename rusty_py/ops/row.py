"""The record of an elementwise operation, and what follows from it: WGSL, samples, bounds, a gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rusty_py import dtypes, oracle, samples
from rusty_py.arrays import Array
from rusty_py.dtypes import BOOL, F16, F32, Dtype
from rusty_py.layout import Layout
from rusty_py.operation import Gradient, Rule
from rusty_py.ops.generator import NAMES, Body
from rusty_py.oracle import Expected
from rusty_py.samples import Sample, Values
from rusty_py.views import Shape

# The error, in units of f32, of expressions for f16 alone: 2^-16, of the 2^-11 by which a result is rounded.
F16_ULPS = 128


@dataclass(frozen=True, eq=False)
class Row:
    """An elementwise operation: `wgsl` is an expression of x, of y if there are two operands, and so on.

    `numpy` is NumPy's function, `kinds` its letters of the dtypes that it is for; the result has the
    operands' dtype, or is a bool with `truth`. Where NumPy has none, `reference` is a function of NumPy
    arrays, and `formula` begins the docstring in place of NumPy's name. `arity` is the number of operands
    where `numpy` is not a ufunc. `parameters` are numbers that follow the operands in the expression, in f32:
    the default of each by its name.

    `by_dtype` has other expressions for single dtypes. They may call the functions of wgsl/lib; those take
    f32, and with `f16_in_f32`, f16 is computed in f32. `mirror` is the operation that gives the same with its
    operands exchanged.

    `ulps` is how far a float may be from the true result, in units of eps: a number, or a function of the
    operands; 0 is exact. `bound` is for what takes more than that to say, `integers` for what NumPy refuses.
    `operands` makes some to try it with.

    `gradient` has a rule for each operand, `rule(g, out, x)` or `rule(g, out, x, y)`, as `Gradient` says; x
    or y is a number where the operand was one. A str is the reason why there is no gradient. `smooth` makes
    operands at which it is differentiable, where `samples.ordinary` does not. `aliases` are other public
    names of the function.
    """

    name: str
    wgsl: str
    numpy: Callable[..., Any] | None
    kinds: str = "fiu"
    truth: bool = False
    mirror: str = ""
    ulps: float | Callable[..., NDArray[np.float64]] = 0.5
    bound: Callable[..., tuple[NDArray[np.float64], NDArray[np.float64]]] | None = None
    integers: Callable[..., Values] | None = None
    f16_in_f32: bool = False
    by_dtype: Mapping[str, str] = field(default_factory=dict)
    operands: Callable[..., tuple[Values, ...]] = samples.ordinary
    gradient: tuple[Rule | None, ...] | str | None = None
    smooth: Callable[..., tuple[Values, ...]] | None = None
    aliases: tuple[str, ...] = ()
    reference: Callable[..., Any] | None = None
    arity: int = 0
    parameters: Mapping[str, float] = field(default_factory=dict)
    formula: str = ""

    @property
    def operands_count(self) -> int:
        """The number of operands that may be arrays."""
        return self.numpy.nin if isinstance(self.numpy, np.ufunc) else self.arity

    @property
    def on_host(self) -> Callable[..., Any]:
        """The function of NumPy arrays that this computes."""
        function = self.reference or self.numpy
        assert function is not None, self.name
        return function

    def result(self, dtype: Dtype) -> Dtype:
        """The dtype of the result for operands of `dtype`."""
        return BOOL if self.truth else dtype

    def body(self, dtype: Dtype) -> Body:
        """What is computed of operands of `dtype`."""
        count = self.operands_count
        names = NAMES[: count + len(self.parameters)]
        expression, helpers = self.by_dtype.get(dtype.name, self.wgsl), ""
        if dtype is F16 and self.f16_in_f32:
            of_f32 = ", ".join(f"{name}: f32" for name in names)
            kind = "bool" if self.truth else "f32"
            helpers = f"fn of_f32({of_f32}) -> {kind} {{\n    return {expression};\n}}\n"
            expression = f"of_f32({', '.join(f'f32({name})' for name in names)})"
            expression = expression if self.truth else f"f16({expression})"
        if self.truth:
            expression = f"select(0u, 1u, {expression})"
        types = (dtype.wgsl,) * count + (F32.wgsl,) * len(self.parameters)
        return Body(f"{self.name} {dtype.name}", types, self.result(dtype).wgsl, expression, helpers)

    def made(self, kind: Dtype, shape: Shape, *, seed: int) -> tuple[Values, ...]:
        """Operands of a shape."""
        return self.operands(kind, self.operands_count, *shape, seed=seed)

    def differentiable(self, kind: Dtype, shape: Shape, *, seed: int) -> tuple[Values, ...]:
        """Operands of a shape, at which there is a gradient."""
        return (self.smooth or samples.ordinary)(kind, self.operands_count, *shape, seed=seed)

    def samples(self) -> Iterator[Sample]:
        """One of each dtype."""
        for kind in samples.KINDS:
            if kind.kind in self.kinds:
                yield Sample(f"{self.name} {kind.name}", self.operands(kind, self.operands_count, 6, 10))

    def expected(self, sample: Sample) -> Expected:
        """What WGSL lets an adapter make of the sample's operands, which are of one dtype."""
        given = sample.operands
        kind = next(each for each in samples.KINDS if each.numpy == given[0].dtype)
        with np.errstate(all="ignore"):
            if kind.kind in "iu" and self.integers is not None:
                return Expected(self.integers(*given), None)
            if self.truth or kind.kind != "f" or self.ulps == 0:
                return Expected(np.asarray(self.on_host(*given)), None)
            if self.bound is not None:
                return Expected(*self.bound(*given, dtype=kind))
            exact = [each.astype(np.float64) for each in given]
            reference = np.asarray(self.on_host(*exact))
            ulps = self.ulps(*exact) if callable(self.ulps) else self.ulps
            if kind is F16 and self.f16_in_f32:
                ulps = F16_ULPS if "f16" in self.by_dtype else ulps
                bound = oracle.rounding(reference, ulps=ulps, dtype=F32)
                return Expected(reference, bound + oracle.rounding(reference, ulps=0.5, dtype=F16))
            return Expected(reference, oracle.rounding(reference, ulps=ulps, dtype=kind))


ROWS: dict[str, Row] = {}
"""By name: what `rows` defines."""


def gradient_of(row: Row) -> Gradient | str | None:
    """The rules of a row, also where an operand is the word of a number, or their order is reversed."""
    if row.truth:
        return "the result is a mask"
    if not isinstance(row.gradient, tuple):
        return row.gradient
    by_operand, count = Gradient(*row.gradient), row.operands_count

    def joint(
        g: Array,
        out: Array,
        *given: Any,
        wanted: Sequence[bool],
        reflected: bool = False,
        numbers: tuple[int, ...] = (),
    ) -> Sequence[Array | None]:
        arrays = [each for each in given if isinstance(each, Array | Layout)]
        words = [number_of(each, arrays[0]) for each in given if not isinstance(each, Array | Layout)]
        places = array_places(count, len(arrays), (0,) if reflected else numbers)
        operands, flags = placed(count, places, arrays, words), [False] * count
        for place, flag in zip(places, wanted, strict=True):
            flags[place] = flag
        found = by_operand(g, out, operands, flags, {})
        return [found[place] if place < len(found) else None for place in places]

    reads = tuple(by_operand.reads_array(i) for i in range(-1, count))
    if not any(row.gradient):
        reads = (False,) * (count + 1)
    elif len(set(reads[1:])) > 1:
        reads = (reads[0], *[True] * count)  # Which of them a single array is depends on the call.
    return Gradient(joint=joint, reads=reads)


def array_places(count: int, arrays: int, numbers: Sequence[int]) -> list[int]:
    """Which of `count` operands are arrays: the first ones that are no numbers."""
    return [i for i in range(count) if i not in numbers][:arrays]


def placed(count: int, places: Sequence[int], arrays: Sequence[Any], words: Sequence[Any]) -> list[Any]:
    """The operands in the order of the expression, then the parameters."""
    first, second = iter(arrays), iter(words)
    return [*(next(first) if i in places else next(second) for i in range(count)), *second]


def number_of(word: int, beside: Array | Layout) -> float | int | bool:
    """The number whose word was computed with the array `beside` or its layout."""
    kind = beside.kind if isinstance(beside, Array) else beside.dtype
    return dtypes.number_of_word(word, kind)
