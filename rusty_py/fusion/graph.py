"""What a function computes, as data: applications in order, and which of their results it returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rusty_py.arrays import Array
from rusty_py.layout import Layout
from rusty_py.operation import Operation
from rusty_py.ops.compute import compute
from rusty_py.ops.fuser import fused
from rusty_py.runtime.launch_plans import Symbol


class Source(NamedTuple):
    """Where an array comes from: "array" for an argument, "captured" or "node", and which of them."""

    kind: str
    number: int


class View(NamedTuple):
    """A view of a source, which begins `distance` elements behind it."""

    source: Source
    layout: Layout
    distance: int


@dataclass(frozen=True, eq=False)
class Node:
    """An application. Its words are numbers, or symbols of the call's words; its result is of `layout`."""

    operation: Operation
    operands: tuple[View, ...]
    words: tuple[int | Symbol, ...]
    options: dict[str, Any]
    layout: Layout


@dataclass(frozen=True, eq=False)
class Graph:
    """`result` of `nodes`, for so many arguments and captured arrays; words follow them.

    It holds no array: those that are captured are operands at each call.
    """

    name: str
    nodes: tuple[Node | None, ...]
    result: View
    arguments: int
    captured: int

    def forward(self, *operands: Any, **_: object) -> Array:
        """The result, in few kernels."""
        arrays = operands[: self.arguments + self.captured]
        return fused(arrays[0].device, compute, lambda: self.replay(_forward, *operands))

    def replay(self, apply: Callable[..., Array], *operands: Any) -> Array:
        """The result, where `apply` makes each application."""
        given, words = operands[: self.arguments + self.captured], operands[self.arguments + self.captured :]
        results: list[Array | None] = []

        def seen(view: View) -> Array:
            match view.source.kind:
                case "array":
                    x = given[view.source.number]
                case "captured":
                    x = given[self.arguments + view.source.number]
                case _:
                    x = results[view.source.number]
            return _viewed(x, view)

        for node in self.nodes:
            if node is None:  # Nothing needs it.
                results.append(None)
                continue
            own = tuple(words[each.index] if isinstance(each, Symbol) else each for each in node.words)
            device = given[0].device
            result = apply(
                node.operation, *map(seen, node.operands), words=own, device=device, **node.options
            )
            results.append(_placed(result, node.layout))
        return seen(self.result)


def graph_of(name: str, nodes: Sequence[Node], result: View, *, arguments: int, captured: int) -> Graph:
    """The graph of one result; nodes that it does not depend on are left out."""
    needed, rest = set(), [result.source]
    while rest:
        source = rest.pop()
        if source.kind == "node" and source.number not in needed:
            needed.add(source.number)
            rest += [each.source for each in nodes[source.number].operands]
    kept = tuple(node if i in needed else None for i, node in enumerate(nodes))
    return Graph(name, kept, result, arguments, captured)


def _placed(x: Array, layout: Layout) -> Array:
    """`x` with its elements where `layout` has them, in a copy if needed.

    What an operation reads through the steps before it may be in another order in memory than their results,
    which the trace knows, and so may be what it makes of that.
    """
    steps = zip(x.shape, x.strides, layout.strides, strict=True)
    if not x.size or all(size == 1 or step == traced for size, step, traced in steps):
        return x
    order = sorted(range(x.ndim), key=lambda axis: -layout.strides[axis])
    return x.transpose(order).copy().transpose([order.index(axis) for axis in range(x.ndim)])


def _viewed(x: Array, view: View) -> Array:
    if view.layout is x.layout and not view.distance:
        return x
    offset = x.offset + view.distance if view.distance else x.offset
    return Array(x.buffer, view.layout, offset)


def _forward(
    operation: Operation, *arrays: Array, words: tuple[int, ...], device: Any, **options: Any
) -> Array:
    if not arrays:
        options["device"] = device
    return operation.forward(*arrays, *words, **options)
