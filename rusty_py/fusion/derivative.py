"""What a trace makes: an operation for a result, whose gradient the same trace goes on to compute.

While a function is traced, autograd records what it applies to the placeholders. For the gradient of an
argument it follows that record, inside the trace, with a placeholder for the gradient of the result. So a
gradient is a result like any other: fused kernels compute it, and it has a gradient itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from rusty_py import autograd
from rusty_py.arrays import Array
from rusty_py.fusion.graph import graph_of
from rusty_py.fusion.trace import Trace, traced_by
from rusty_py.operation import Gradient, Operation, apply


@dataclass(frozen=True, eq=False)
class Found:
    """The operation of a gradient, with how many of the trace's words."""

    operation: Operation | None
    words: int


@dataclass(eq=False)
class Derivative:
    """The gradients of `result`, a placeholder of `trace`, for `arguments` and the captured arrays."""

    trace: Trace
    result: Array
    arguments: Sequence[Array]
    _found: dict[object, Found | tuple[int, ...]] = field(default_factory=dict)

    def joint(
        self, g: Array, _out: object, *operands: Any, wanted: Sequence[bool], **_: object
    ) -> list[Array | None]:
        """As `Gradient` says."""
        count = len(wanted)
        given, captured, words = (
            operands[: len(self.arguments)],
            operands[len(self.arguments) : count],
            operands[count:],
        )
        gradients: list[Array | None] = []
        for i, needed in enumerate(wanted):
            found = self._of(i, g, words) if needed else None
            if found is None or found.operation is None:
                gradients.append(None)
                continue
            more = self.trace.captured[len(captured) :]
            known = self.trace.words_of(words, found.words)
            gradients.append(apply(found.operation, *given, g, *captured, *more, words=known))
        return gradients

    def _of(self, i: int, g: Array, words: tuple[int, ...]) -> Found:
        key: tuple[object, ...] = (i, g.layout)
        found = self._found.get(key)
        if isinstance(found, tuple):
            found = self._found.get((*key, *(words[each] for each in found)))
        if isinstance(found, Found):
            return found
        with self.trace.lock:
            return self._traced(key, i, g, words)

    def _traced(self, key: tuple[object, ...], i: int, g: Array, words: tuple[int, ...]) -> Found:
        trace, scope = self.trace, self.trace.scope
        trace.home.move(g.device)
        scope.numbers, scope.static = trace.words_of(words, len(trace.words)), set()
        placeholder = trace.argument(g, len(self.arguments))
        leaf = [*self.arguments, *trace.standins][i]
        gradient = traced_by(trace, partial(autograd.pulled_back, self.result, placeholder, leaf))
        operation = None
        if gradient is not None:
            operation = operation_of(trace, gradient, [*self.arguments, placeholder])
        found = Found(operation, len(trace.words))
        static = tuple(sorted(trace.static_words(len(words))[0]))
        if static:
            self._found[key] = static
            key = (*key, *(words[each] for each in static))
        self._found[key] = found
        return found


def operation_of(trace: Trace, result: Array, arguments: Sequence[Array]) -> Operation:
    """The operation that computes `result`, with its gradient."""
    count = len(arguments) + len(trace.captured)
    graph = graph_of(
        trace.function,
        trace.nodes,
        trace.view(result),
        arguments=len(arguments),
        captured=len(trace.captured),
    )
    gradient = Gradient(joint=Derivative(trace, result, arguments).joint, reads=(False, *[True] * count))
    return Operation(trace.function, graph.forward, gradient=gradient)
