"""The record of a reduction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rusty_py import samples
from rusty_py.dtypes import BOOL, F16, F32, I32, Dtype
from rusty_py.operation import Rule
from rusty_py.ops.reduce.monoid import Monoid
from rusty_py.ops.reduce.passes import depth
from rusty_py.oracle import Expected
from rusty_py.samples import Sample
from rusty_py.views import Shape

Axis = int | Sequence[int] | None


@dataclass(frozen=True, eq=False)
class Reduction:
    """A reduction by a monoid, whose WGSL `monoid.py` describes.

    `numpy` is NumPy's function, or with `in_numpy` False a reference that NumPy lacks. f16 is reduced in f32.
    `widens_bool`: bools count as int32, as in a sum. `gives` is the dtype of the result, None for that of the
    elements. `of_nothing` is the result of no elements; None where there is none. `ordered`: the order of the
    elements matters, as for an index. `number` is what the monoid's `finish` reads, of the number of elements
    and the options.

    `bound` gives the float64 result and how far rounding leads from it, as `oracle.sum` does; None is exact.
    `operands` makes some to try it with.

    `gradient` is the rule, `rule(g, out, x, *, axes, **options)` as `Gradient` says, or the reason why there
    is none; g and out come with the reduced axes kept, of size 1. `smooth` makes operands at which it is
    differentiable, where `samples.ordinary` does not.
    """

    name: str
    numpy: Callable[..., Any]
    monoid: Monoid
    kinds: str = "fiub"
    in_numpy: bool = True
    widens_bool: bool = False
    gives: Dtype | None = None
    of_nothing: float | None = None
    ordered: bool = False
    number: Callable[..., float] | None = None
    bound: Callable[..., tuple[Any, Any]] | None = None
    operands: Callable[..., tuple[samples.Values, ...]] = samples.ordinary
    gradient: Rule | str | None = None
    smooth: Callable[..., tuple[samples.Values, ...]] | None = None

    def result(self, dtype: Dtype) -> Dtype:
        """The dtype of the result for elements of `dtype`."""
        return self.gives or (I32 if self.widens_bool and dtype is BOOL else dtype)

    def computed(self, dtype: Dtype) -> Dtype:
        """What elements of `dtype` are reduced in."""
        return F32 if dtype is F16 else I32 if self.widens_bool and dtype is BOOL else dtype

    def made(self, kind: Dtype, shape: Shape, *, seed: int) -> tuple[samples.Values, ...]:
        """The operand of a shape."""
        return self.operands(kind, 1, *shape, seed=seed)

    def differentiable(self, kind: Dtype, shape: Shape, *, seed: int) -> tuple[samples.Values, ...]:
        """The operand of a shape, at which there is a gradient."""
        return (self.smooth or samples.ordinary)(kind, 1, *shape, seed=seed)

    def samples(self) -> Iterator[Sample]:
        """In every dtype along the first axis, in f32 along the last as well."""
        for kind in samples.KINDS:
            for axis in (0, 1) if kind is F32 else (0,):
                if kind.kind in self.kinds:
                    (x,) = self.operands(kind, 1, 5, 67)
                    yield Sample(f"{self.name} {kind.name} over {axis}", (x,), {"axis": axis})

    def expected(self, sample: Sample) -> Expected:
        """The result, and how far one of its length may round."""
        (x,), options = sample.operands, {"axis": None, **sample.options}
        kind = next(each for each in samples.KINDS if each.numpy == x.dtype)
        with np.errstate(all="ignore"):
            if kind.kind != "f" or self.bound is None:
                return Expected(np.asarray(self.numpy(x, **options)).astype(self.result(kind).numpy), None)
            count = x.size // np.sum(x, axis=options["axis"]).size
            return Expected(*self.bound(x, depth=depth(count), dtype=kind, **options))


REDUCTIONS: dict[str, Reduction] = {}
"""By name: what `rows` defines."""
