"""Recording: the hook of `apply`, and where it is paused."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rusty_py.arrays import Array
from rusty_py.autograd.nodes import Leaf, Node
from rusty_py.errors import DtypeError, UnsupportedError
from rusty_py.operation import HOOKS, Gradient, Operation

_thread = threading.local()


def recording() -> bool:
    """Whether this thread records, which it does outside of `no_grad`."""
    return not getattr(_thread, "paused", 0)


@contextmanager
def no_grad() -> Iterator[None]:
    """A block in which nothing is recorded on this thread: for in-place updates and for evaluation."""
    _thread.paused = getattr(_thread, "paused", 0) + 1
    try:
        yield
    finally:
        _thread.paused -= 1


@contextmanager
def recording_again() -> Iterator[None]:
    """A block in which this thread records, also within `no_grad`."""
    paused, _thread.paused = getattr(_thread, "paused", 0), 0
    try:
        yield
    finally:
        _thread.paused = paused


def record(
    operation: Operation,
    arrays: tuple[Array, ...],
    words: tuple[int, ...],
    options: dict[str, Any],
    out: Array,
) -> None:
    """Adds a node for `out` if an operand requires a gradient.

    Raises UnsupportedError for a float result of an operation without rule.
    """
    if all(x.node is None for x in arrays) or not recording():
        return
    gradient = operation.gradient
    if out.kind.kind != "f":  # Masks and indices have no gradient.
        return
    if isinstance(gradient, Gradient):
        out.node = Node(operation, gradient, arrays, words, options, out)
    else:
        raise UnsupportedError(
            f"{operation.name}: has no gradient: {gradient or 'its record has no rule'}:"
            " apply it within rp.no_grad(), or to x.detach()"
        )


def refuse_write(name: str, arrays: Sequence[Array]) -> None:
    """Raises UnsupportedError if this thread records, and an array of a write in place is of a graph."""
    if any(x.node is not None for x in arrays) and recording():
        raise UnsupportedError(
            f"{name}: writes in place are not recorded, and an array requires a gradient:"
            " compute a new array, or write within rp.no_grad()"
        )


HOOKS.record, HOOKS.refuse_write = record, refuse_write


def require(x: Array, required: bool) -> None:
    """Makes `x` a leaf, or no longer one. Raises DtypeError for integers, UnsupportedError for results."""
    if isinstance(x.node, Node):
        raise UnsupportedError("requires_grad: the array is a result of a graph: set it on x.detach()")
    if required and x.kind.kind != "f":
        raise DtypeError(f"requires_grad: only floats have gradients: {x.kind.name}")
    if not required:
        x.node = None
    elif x.node is None:
        x.node = Leaf(x.layout)
