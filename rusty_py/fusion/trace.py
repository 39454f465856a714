"""Tracing: a function is called once with placeholders, and each application it makes becomes a node.

Placeholders are arrays with a dtype, a shape and strides, whose buffers have no memory. They go through every
operator, function and view as arrays do; `apply` hands each application to the trace by its hook.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from rusty_py import autograd
from rusty_py.arrays import Array
from rusty_py.errors import DeviceError, UnsupportedError
from rusty_py.fusion.graph import Node, Source, View
from rusty_py.fusion.numbers import Numbers, Scope, Word, of_word, plain
from rusty_py.layout import Layout
from rusty_py.operation import HOOKS, Gradient, Operation
from rusty_py.runtime.buffer import Buffer
from rusty_py.runtime.launch_plans import Symbol
from rusty_py.runtime.pool import VirtualAllocator

if TYPE_CHECKING:
    from rusty_py.runtime.device import Device

_FAR = 1 << 28
"""The offset of a placeholder for an array with an offset, which no view of it undoes."""

_TRACES: dict[int, Trace] = {}
"""The trace of each thread that has one."""

_T = TypeVar("_T")

_lock = threading.Lock()


class Home:
    """The device on which a trace goes on. It is not kept alive: functions at module level live longer."""

    def __init__(self, device: Device) -> None:
        self.move(device)

    def move(self, device: Device) -> None:
        """Goes on with another device."""
        self._device = weakref.ref(device)

    @property
    def device(self) -> Device:
        """The device. Raises DeviceError if it is gone."""
        device = self._device()
        if device is None:
            raise DeviceError("fuse: the device of a trace is gone")
        return device


class Placeholder(Buffer):
    """The buffer of an array that has no values."""

    __slots__ = ("function", "home")

    def __init__(self, home: Home, size: int, nbytes: int, function: str) -> None:
        self.function, self.home = function, home
        super().__init__(home.device, VirtualAllocator("has no values"), size, nbytes, function)

    @property
    def device(self) -> Device:  # An attribute there.
        """That of the trace."""
        return self.home.device

    @device.setter
    def device(self, _: Device) -> None:
        pass

    def ensure_readable(self, operation: str) -> NoReturn:
        """Raises UnsupportedError."""
        raise UnsupportedError(
            f"{operation}: an array has no values while rp.fuse traces {self.function}: what it computes"
            " cannot depend on them: choose with rp.where, or read outside of the function"
        )

    def ensure_usable(self, operation: str, device: Device) -> NoReturn:
        """Raises UnsupportedError."""
        self.ensure_readable(operation)


class Unlaunched:
    """A recorder that drops launches: of an operation, it leaves the layout of the result."""

    def __init__(self, device: Device) -> None:
        self._device, self._source = device, VirtualAllocator("is part of a trace")

    def buffer(self, size: int, nbytes: int, label: str) -> Buffer:
        """A buffer without memory."""
        return Buffer(self._device, self._source, size, nbytes, label)

    def launch(self, *_: object) -> None:
        """Does nothing."""


class Trace:
    """What a function applies to placeholders."""

    def __init__(self, function: str, device: Device, arrays: Sequence[Array]) -> None:
        self.function, self.home = function, Home(device)
        self.nodes: list[Node] = []
        self.captured: list[Array] = []
        self.words: list[Word] = []
        self.scope = Scope()
        """Of the words, where gradients read them as numbers."""
        self.lock = threading.RLock()
        self._sources: dict[int, tuple[Source, int]] = {}  # By the serials of buffers, and where it begins.
        self._standins: dict[object, Array] = {}
        self._known: dict[object, Array] = {}
        self._symbols: dict[object, Symbol] = {}
        self.arguments = [self.argument(x, i) for i, x in enumerate(arrays)]

    def argument(self, x: Array, index: int) -> Array:
        """A placeholder for the argument `x`, from which gradients are recorded."""
        return self._leaf(x, Source("array", index))

    def _leaf(self, x: Array, source: Source) -> Array:
        offset = _FAR + (x.layout.start & 3) if x.layout.start else 0
        leaf = self._placed(x.buffer, x.layout, offset, source)
        autograd.require(leaf, required=leaf.kind.kind == "f")
        return leaf

    def _placed(self, like: Buffer, layout: Layout, offset: int, source: Source) -> Array:
        """A placeholder with a buffer as large as another."""
        buffer = Placeholder(self.home, like.memory.size, like.nbytes, self.function)
        self._sources[buffer.memory.serial] = source, offset
        return Array(buffer, layout, offset)

    def apply(
        self, operation: Operation, arrays: tuple[Array, ...], words: tuple[Any, ...], options: dict[str, Any]
    ) -> Array:
        """A placeholder for the result of an application; the same one for an equal application."""
        if operation.writes:
            raise UnsupportedError(
                f"{operation.name}: writes into an array, which {self.function} cannot while rp.fuse"
                " traces it: return the new values"
            )
        arrays = tuple(map(self.standin, arrays))
        views = tuple(map(self.view, arrays))
        given = tuple(map(self._word, words))
        options = {name: plain(value) for name, value in options.items()}
        key = operation, views, given, tuple(options.items())
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._evaluated(operation, arrays, views, given, options)
        result = known.detach()
        if not isinstance(operation.gradient, Gradient) and result.kind.kind == "f":
            operation = replace(operation, gradient=_without_gradient(operation))
        numbers = tuple(
            of_word(self.scope, symbol.index, word.dtype) if isinstance(symbol, Symbol) else symbol
            for symbol, word in zip(given, words, strict=True)
        )
        autograd.record(operation, arrays, numbers, options, result)  # type: ignore[arg-type]  # As dtypes.
        return result

    def _evaluated(
        self,
        operation: Operation,
        arrays: tuple[Array, ...],
        views: tuple[View, ...],
        words: tuple[int | Symbol, ...],
        options: dict[str, Any],
    ) -> Array:
        """The placeholder of a new node. Raises what the operation raises for such operands."""
        device = self.home.device
        named = options if arrays else {"device": device, **options}
        given = [x.detach() for x in arrays]
        symbols = [Symbol(i, 0) for i in range(len(words))]
        result = device.compose(Unlaunched(device), partial(operation.forward, *given, *symbols, **named))
        if isinstance(result.buffer, Placeholder):  # A view of an operand.
            return result
        self.nodes.append(Node(operation, views, words, options, result.layout))
        return self._placed(result.buffer, result.layout, result.offset, Source("node", len(self.nodes) - 1))

    def view(self, x: Array) -> View:
        """Where the placeholder `x` comes from."""
        source, offset = self._sources[x.buffer.memory.serial]
        return View(source, x.layout, x.offset - offset)

    def standin(self, x: Array) -> Array:
        """`x`, or a placeholder for an array with values: that is captured, as one more operand."""
        if x.buffer.memory.serial in self._sources:
            return x
        if isinstance(x.buffer, Placeholder):
            raise UnsupportedError(
                f"fuse: {self.function} uses an array of another trace, of {x.buffer.function}:"
                " pass arrays as arguments"
            )
        if x.node is not None and not isinstance(x.node, autograd.Leaf):
            raise UnsupportedError(
                f"fuse: {self.function} uses an array that is a result with a gradient, of shape {x.shape}:"
                " pass it as an argument"
            )
        key = id(x.buffer), x.layout, x.offset
        if key not in self._standins:
            self.captured.append(x)
            self._standins[key] = self._leaf(x, Source("captured", len(self.captured) - 1))
        return self._standins[key]

    @property
    def standins(self) -> list[Array]:
        """The placeholders of the captured arrays."""
        return [*self._standins.values()]

    def words_of(self, known: tuple[int, ...], count: int, numbers: Numbers = ()) -> tuple[int, ...]:
        """The first `count` words for a call, of which the first are `known`; `numbers` are its arguments."""
        for word in self.words[len(known) : count]:
            known = (*known, word.evaluate(known if word.scope is self.scope else numbers))
        return known

    def static_words(self, known: int) -> tuple[set[int], set[int]]:
        """Which of the first `known` words, and of the arguments' numbers, the trace needs the values of."""
        words: set[int] = set()
        numbers: set[int] = set()
        rest = [*self.scope.static]
        while rest:
            if (index := rest.pop()) < known:
                words.add(index)
            elif self.words[index].scope is self.scope:
                rest += self.words[index].positions
            else:
                numbers |= self.words[index].positions
        return words, numbers

    def _word(self, word: Any) -> int | Symbol:
        if type(word) is not Word:
            return int(word)
        if word.key not in self._symbols:
            self._symbols[word.key] = Symbol(len(self.words), 0)
            self.words.append(word)
            self.scope.numbers = (*self.scope.numbers, word.evaluate(word.scope.numbers))
        return self._symbols[word.key]


def _without_gradient(operation: Operation) -> Gradient:
    """A gradient that refuses when it is needed."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise UnsupportedError(
            f"{operation.name}: has no gradient: {operation.gradient or 'its record has no rule'}"
        )

    return Gradient(joint=refuse, reads=())


def trace_here() -> Trace | None:
    """The trace that this thread is in, if any."""
    return _TRACES.get(threading.get_ident()) if _TRACES else None


def traced_by(trace: Trace, work: Callable[[], _T]) -> _T:
    """`work()`, of which this thread's applications go to `trace`. See `Device.compose`."""
    thread = threading.get_ident()
    before = _TRACES.get(thread)
    try:
        with _lock:
            _TRACES[thread] = trace
            HOOKS.trace = _apply
        with autograd.recording_again():
            return work()
    finally:  # Ctrl-C may come behind a call: what must not be left is before the first.
        if before is not None:
            _TRACES[thread] = before
        elif thread in _TRACES:
            del _TRACES[thread]
        with _lock:
            if not _TRACES:
                HOOKS.trace = None


def apart(device: Device, work: Callable[[], _T]) -> _T:
    """`work()`, of which this thread's applications are its own, also inside of another operation."""
    thread = threading.get_ident()
    inside = thread in device.composing
    try:
        device.composing.discard(thread)
        return work()
    finally:
        if inside:
            device.composing.add(thread)


def _apply(
    operation: Operation, arrays: tuple[Array, ...], words: tuple[int, ...], options: dict[str, Any]
) -> Array | None:
    trace = _TRACES.get(threading.get_ident())
    return None if trace is None else trace.apply(operation, arrays, words, options)
