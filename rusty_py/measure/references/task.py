"""What a reference computes, and the task that follows from the record of an operation."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rusty_py.dtypes import element
from rusty_py.errors import LimitError
from rusty_py.measure.document import Verification
from rusty_py.measure.verification import compared
from rusty_py.operation import Operation
from rusty_py.samples import Sample
from rusty_py.views import Shape, axes_of

OPTIONS = {"axis", "keepdims", "dtype"}


@dataclass(frozen=True, eq=False)
class ReferenceTask:
    """One application of an operation, for other libraries.

    `operation` is a name in `OPERATIONS`; `numpy` is NumPy's function for it, or a function of NumPy arrays.
    `operands` are arrays, or views with the strides that they have on our device. `options` are those of the
    operation. The result has `shape` and `dtype`; `compare` verifies it against float64.
    """

    operation: str
    operands: tuple[NDArray[Any], ...]
    shape: Shape
    dtype: np.dtype[Any]
    compare: Callable[[NDArray[Any]], Verification]
    numpy: Callable[..., object] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

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
        partial(compared, expected),
        operation.numpy or operation.reference,
        sample.options,
    )
