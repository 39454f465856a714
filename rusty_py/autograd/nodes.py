"""The graph: a node for each recorded application, and leaves, which require a gradient."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

from rusty_py.arrays import Array
from rusty_py.errors import UnsupportedError
from rusty_py.layout import Layout
from rusty_py.operation import Gradient, Operation
from rusty_py.ops.views import sum_to
from rusty_py.runtime.buffer import Buffer

_numbers = itertools.count(1)


class Saved(NamedTuple):
    """An array kept for the backward pass, and the version of its memory. `node` is None for the result."""

    buffer: Buffer
    layout: Layout
    offset: int
    version: int
    node: Node | Leaf | None


class Leaf:
    """The start of a graph: an array that requires a gradient, which accumulates in `gradient`.

    With a `source`, it is an argument of `grad` that depends on other nodes.
    """

    __slots__ = ("__weakref__", "gradient", "layout", "number", "source")

    def __init__(self, layout: Layout, source: Node | Leaf | None = None) -> None:
        self.number = next(_numbers)
        self.layout, self.source = layout, source
        self.gradient: Array | None = None


class Node:
    """An application that is recorded: its rule, what the rule reads, and the nodes of its operands."""

    __slots__ = ("__weakref__", "gradient", "name", "number", "options", "parents", "saved", "words")

    def __init__(
        self,
        operation: Operation,
        gradient: Gradient,
        arrays: tuple[Array, ...],
        words: tuple[int, ...],
        options: dict[str, Any],
        out: Array,
    ) -> None:
        self.number = next(_numbers)
        self.name, self.gradient = operation.name, gradient
        self.words, self.options = words, options
        self.parents: tuple[Node | Leaf | None, ...] | None = tuple(x.node for x in arrays)
        self.saved: list[Saved | Layout] = [
            _saved(x, gradient.reads_array(i - 1), x.node if i else None)
            for i, x in enumerate((out, *arrays))
        ]

    def gradients(self, g: Array, wanted: Sequence[bool]) -> Sequence[Array | None]:
        """The gradients of the operands, of their shapes and dtypes. Raises UnsupportedError if freed."""
        out, *arrays = (self._restored(each, self if i == 0 else None) for i, each in enumerate(self.saved))
        found = self.gradient(g, out, (*arrays, *self.words), wanted, self.options)
        layouts = [each if isinstance(each, Layout) else each.layout for each in self.saved[1:]]
        return [
            _fitted(each, layout) if each is not None and needed else None
            for each, layout, needed in zip(found, layouts, wanted, strict=True)
        ]

    def _restored(self, saved: Saved | Layout, node: Node | None) -> Array | Layout:
        if isinstance(saved, Layout):
            return saved
        if saved.buffer.version != saved.version:
            raise UnsupportedError(
                f"backward: an array that {self.name} read was changed in place since:"
                f" shape {saved.layout.shape}: change a copy, or after the backward pass"
            )
        array = Array(saved.buffer, saved.layout, saved.offset)
        array.node = saved.node or node
        return array

    def free(self) -> None:
        """Drops what the backward pass needed."""
        self.saved, self.parents = [], None


def _saved(x: Array, read: bool, node: Node | Leaf | None) -> Saved | Layout:
    return Saved(x.buffer, x.layout, x.offset, x.buffer.version, node) if read else x.layout


def _fitted(g: Array, layout: Layout) -> Array:
    """A gradient in the shape and dtype of the operand, which may have been broadcast and promoted."""
    if g.kind is not layout.dtype:
        g = g.astype(layout.dtype)
    return g if g.shape == layout.shape else sum_to(g, layout.shape)


def leaf_of(x: Array) -> Leaf:
    """The node of an array that is a leaf."""
    assert isinstance(x.node, Leaf)
    return x.node
