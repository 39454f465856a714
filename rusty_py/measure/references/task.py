"""What a reference computes, and the task that follows from the record of an operation."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rusty_py.arrays import Array
from rusty_py.dtypes import element
from rusty_py.errors import LimitError
from rusty_py.measure.document import Verification
from rusty_py.measure.verification import compared
from rusty_py.operation import Operation
from rusty_py.oracle import Expected
from rusty_py.samples import Sample
from rusty_py.views import Shape, axes_of

OPTIONS = {"axis", "keepdims", "dtype"}
_LOST = 4

Comparison = Callable[[NDArray[Any]], Verification]
"""Verifies a result."""


@dataclass(frozen=True, eq=False)
class ReferenceTask:
    """One application of an operation, for other libraries.

    `operation` is a name in `OPERATIONS`; `numpy` is NumPy's function for it, or a function of NumPy arrays.
    `operands` are arrays, or views with the strides that they have on our device. `options` are those of the
    operation. The result has `shape` and `dtype`; `compare` verifies it against float64. `ours` is our public
    function, where it takes other options than the operation.
    """

    operation: str
    operands: tuple[NDArray[Any], ...]
    shape: Shape
    dtype: np.dtype[Any]
    compare: Comparison
    numpy: Callable[..., object] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    ours: Callable[..., Array] | None = None

    @property
    def axes(self) -> Shape:
        """The axes of a reduction, counted from the front; all without the option."""
        return axes_of(self.options.get("axis"), self.operands[0].ndim, operation=self.operation)

    @property
    def keepdims(self) -> bool:
        return bool(self.options.get("keepdims", False))

    def check_options(self, library: str, *, also: Iterable[str] = ()) -> None:
        """Raises LimitError for options that a reference doesn't implement, such as an epilogue.

        It implements `also` beside axes and dtypes.
        """
        given = {name for name, value in self.options.items() if value is not None}
        if unknown := sorted(given - OPTIONS - {*also}):
            raise LimitError(f"{library}: {self.operation} has no reference with {', '.join(unknown)}")


def comparison(expected: Callable[[], Expected], operands: Sequence[NDArray[Any]]) -> Comparison:
    """How to verify the result of another library for a result that ours is verified by.

    `_LOST` units of roundoff of the largest operand are allowed beside our bound: ours holds for results much
    smaller than the operands, too, where the formulas of others, such as 1 + erf(x), lose digits.
    """

    def compare(result: NDArray[Any]) -> Verification:
        reference, bound = expected()
        if bound is not None:
            eps = np.finfo(result.dtype).eps if result.dtype.kind == "f" else 0.0
            bound = bound + _LOST * eps * max(map(_largest, operands))
        return compared(Expected(reference, bound), result)

    return compare


def _largest(x: NDArray[Any]) -> float:
    """The largest finite magnitude."""
    return float(np.max(np.abs(x), initial=0, where=np.isfinite(x)))


def task_of(operation: Operation, sample: Sample) -> ReferenceTask:
    """The task of a sample, verified with the bound of the operation's record."""
    if operation.expected is None:
        raise LimitError(f"{operation.name}: the record has no expected result")
    expected = operation.expected(sample)
    dtype = expected.reference.dtype
    if expected.bound is not None:
        given = sample.options.get("dtype")
        floats = [x.dtype for x in sample.operands]
        dtype = np.result_type(*floats) if given is None else element(given, operation=operation.name).numpy
    return ReferenceTask(
        operation.name,
        sample.operands,
        expected.reference.shape,
        dtype,
        comparison(lambda: expected, sample.operands),
        operation.numpy or operation.reference,
        sample.options,
    )
