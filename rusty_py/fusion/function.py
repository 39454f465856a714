"""`fuse`: a function of arrays as one operation, traced once for each signature of its arguments."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import BuiltinFunctionType, CellType, CodeType, ModuleType
from typing import Any, Generic, ParamSpec, TypeVar

import numpy as np

from rusty_py.arrays import Array
from rusty_py.errors import UnsupportedError
from rusty_py.fusion.derivative import operation_of
from rusty_py.fusion.numbers import Numbers, Scope, TracedNumber, argument
from rusty_py.fusion.trace import Trace, apart, trace_here, traced_by
from rusty_py.operation import HOOKS, Operation, apply, planned_for
from rusty_py.ops.creation import asarray

_MAX_SIGNATURES = 512

P = ParamSpec("P")
R = TypeVar("R")
Key = tuple[object, ...]


@dataclass(frozen=True, eq=False)
class Watch:
    """A variable that a function reads, by the value it had when it was traced."""

    read: Callable[[], object]
    value: object


@dataclass(frozen=True, eq=False)
class Traced:
    """A function for one signature: an operation for each result, and their further operands.

    `several` makes the result of several arrays: tuple or list; None where it is one array. The operations
    take the first `count` words of the trace; `direct` are these where they follow from arguments alone.
    """

    operations: tuple[Operation, ...]
    several: Callable[[Sequence[Array]], Any] | None
    captured: tuple[Array, ...]
    count: int
    direct: tuple[Callable[[Numbers], int], ...] | None
    trace: Trace
    watched: tuple[Watch, ...]

    def __call__(self, arrays: list[Array], numbers: Numbers) -> Any:
        if self.direct is None:
            words = self.trace.words_of((), self.count, numbers)
        else:
            words = tuple([word(numbers) for word in self.direct]) if self.direct else ()
        if self.several is None:
            if self.captured:
                arrays += self.captured
            return apply(self.operations[0], *arrays, words=words)
        return self.several([apply(each, *arrays, *self.captured, words=words) for each in self.operations])

    @property
    def stale(self) -> bool:
        """Whether a variable that the function reads has another value since."""
        for each in self.watched:  # noqa: SIM110  A generator would cost a microsecond a call.
            if each.read() is not each.value:
                return True
        return False


def fuse(function: Callable[P, R], /) -> Fused[P, R]:
    """`function` of arrays, computed by as few kernels as possible; also as a decorator, `@rp.fuse`.

    It is called once for each signature (shapes, strides and dtypes of arrays, values of others), with
    arrays that have no values, to see what it applies. Python numbers are no part of the signature: another
    number needs no other kernel. It returns an array, or a tuple or list of them.

    Raises UnsupportedError where the function needs values, as in `if x.sum() > 0`, or writes in place.
    """
    return Fused(function)


class Fused(Generic[P, R]):
    """A function that `fuse` made."""

    def __init__(self, function: Callable[P, R]) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name: str = getattr(function, "__name__", type(function).__name__)
        self._known: dict[Key, Traced | tuple[int, ...]] = {}
        self._lock = threading.RLock()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if HOOKS.trace is not None and trace_here() is not None:  # A part of another function.
            return self.function(*args, **kwargs)
        arrays: list[Array] = []
        numbers: list[Any] = []
        key: list[object] = []
        for each in args:
            kind = type(each)
            if kind is Array:
                arrays.append(each)  # type: ignore[arg-type]
                key.append(each.layout)  # type: ignore[attr-defined]
            elif kind is float or kind is int:
                numbers.append(each)
                key.append(kind)
            else:
                self._take(each, (*args, *kwargs.values()), arrays, numbers, key)
        for name, each in kwargs.items():
            key.append(name)
            self._take(each, (*args, *kwargs.values()), arrays, numbers, key)
        given, known = tuple(numbers), tuple(key)
        traced = self._known.get(known)
        if type(traced) is tuple:
            traced = self._found(known, given)
        if traced is None or (traced.watched and traced.stale):  # type: ignore[union-attr]  # No tuple.
            traced = self._trace(known, args, kwargs, arrays, given)
        result: R = traced(arrays, given)  # type: ignore[operator]  # As above.
        return result

    def wgsl(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """The WGSL of the kernels that a call with these arguments launches, in order."""
        arrays, numbers, key = self._arguments(args, kwargs)
        traced = self._found(key, numbers) or self._trace(key, args, kwargs, arrays, numbers)
        words = traced.trace.words_of((), traced.count, numbers)
        specs = []
        for operation in traced.operations:
            plan = planned_for(operation, arrays[0].device, (*arrays, *traced.captured), words, {})
            specs += [each.spec for each in plan.dispatches] if plan is not None else []
        return "\n\n".join(spec.text.strip() for spec in specs)

    def __repr__(self) -> str:
        count = sum(isinstance(each, Traced) for each in self._known.values())
        return f"<rp.fuse of {self.name}: {count} signature{'s' * (count != 1)} traced>"

    def __get__(self, owner: object, kind: type | None = None) -> Fused[P, R]:
        if owner is not None:
            raise UnsupportedError(
                f"fuse: {self.name} is a method: fuse a function of arrays, and call it from the method"
            )
        return self

    def _arguments(
        self, args: Sequence[object], kwargs: dict[str, object]
    ) -> tuple[list[Array], Numbers, Key]:
        arrays: list[Array] = []
        numbers: list[Any] = []
        key: list[object] = []
        for each in args:
            self._take(each, (*args, *kwargs.values()), arrays, numbers, key)
        for name, each in kwargs.items():
            key.append(name)
            self._take(each, (*args, *kwargs.values()), arrays, numbers, key)
        return arrays, tuple(numbers), tuple(key)

    def _take(
        self,
        value: Any,
        given: Sequence[object],
        arrays: list[Array],
        numbers: list[Any],
        key: list[object],
    ) -> None:
        """Adds one of the `given` arguments to the arrays, to the numbers, or to the key by its value."""
        kind = type(value)
        if kind is np.ndarray:
            value = asarray(value, device=next((x.device for x in given if isinstance(x, Array)), None))
        if isinstance(value, Array):
            arrays.append(value)
            key.append(value.layout)
        elif isinstance(value, float) or kind is int:
            numbers.append(value if kind is int else float(value))
            key.append(int if kind is int else float)
        else:
            try:
                hash(value)
            except TypeError:
                raise UnsupportedError(
                    f"fuse: {self.name} takes arrays, numbers and hashable values: got {kind.__name__}:"
                    " pass arrays one by one, and sequences as tuples"
                ) from None
            # -0.0 equals 0.0 and NaN nothing, not even itself.
            own = None if isinstance(value, np.generic) else value
            key += kind, own, repr(value) if kind is tuple or own is None else None

    def _found(self, key: Key, numbers: Numbers) -> Traced | None:
        found = self._known.get(key)
        if type(found) is tuple:
            found = self._known.get(_specialized(key, found, numbers))
        return found  # type: ignore[return-value]  # A key of values has no other key.

    def _trace(
        self,
        key: Key,
        args: Sequence[Any],
        kwargs: dict[str, Any],
        arrays: list[Array],
        numbers: Numbers,
    ) -> Traced:
        """Calls the function with placeholders."""
        if not arrays:
            raise UnsupportedError(f"fuse: {self.name} is called without an array: got {len(args)} arguments")
        with self._lock:
            found = self._found(key, numbers)
            if found is not None and not found.stale:  # By another thread, meanwhile.
                return found
            scope = Scope(numbers)
            trace = Trace(self.name, arrays[0].device, arrays)
            placeholders, positions = iter(trace.arguments), iter(range(len(numbers)))

            def placed(value: Any) -> Any:
                if isinstance(value, Array | np.ndarray):
                    return next(placeholders)
                if type(value) is int or isinstance(value, float):
                    return argument(scope, next(positions))
                return value

            def called() -> Traced:
                watched = tuple(_watched(self.function))
                result = self.function(
                    *map(placed, args), **{name: placed(each) for name, each in kwargs.items()}
                )
                return self._result(trace, result, watched)

            traced = apart(arrays[0].device, lambda: traced_by(trace, called))
            static = tuple(sorted(scope.static | trace.static_words(0)[1]))
            self._keep(key, static, numbers, traced)
            return traced

    def _keep(self, key: Key, static: tuple[int, ...], numbers: Numbers, traced: Traced) -> None:
        before = self._known.get(key)
        if type(before) is tuple:
            static = tuple(sorted({*before, *static}))
        while len(self._known) >= _MAX_SIGNATURES:
            del self._known[next(iter(self._known))]
        if static:
            self._known[key] = static
            key = _specialized(key, static, numbers)
        self._known[key] = traced

    def _result(self, trace: Trace, result: Any, watched: tuple[Watch, ...]) -> Traced:
        several = getattr(type(result), "_make", type(result)) if isinstance(result, tuple | list) else None
        results = list(result) if several is not None else [result]
        for each in results:
            if not isinstance(each, Array):
                kind = "a number" if type(each) is TracedNumber else type(each).__name__
                raise UnsupportedError(
                    f"fuse: {self.name} returns an array, or a tuple or list of them: got {kind}"
                )
        placeholders = [trace.standin(each) for each in results]
        operations = tuple(operation_of(trace, each, trace.arguments) for each in placeholders)
        chained = any(word.scope is trace.scope for word in trace.words)
        direct = None if chained else tuple(word.evaluate for word in trace.words)
        captured, count = tuple(trace.captured), len(trace.words)
        return Traced(operations, several, captured, count, direct, trace, watched)


def _specialized(key: Key, static: tuple[int, ...], numbers: Numbers) -> Key:
    """A key with the values of the numbers at `static`: of -0.0, too."""
    return (key, *(repr(numbers[each]) for each in static))


def _watched(function: Any) -> Iterator[Watch]:
    """The variables around the function that it reads by name."""
    code = getattr(function, "__code__", None)
    if code is None:
        return
    for cell in function.__closure__ or ():
        try:
            yield Watch(functools.partial(_content, cell), cell.cell_contents)
        except ValueError:  # Not assigned yet.
            continue
    names = function.__globals__
    for name in dict.fromkeys(_names_in(code)):
        if name in names and not isinstance(names[name], ModuleType | BuiltinFunctionType):
            yield Watch(functools.partial(names.get, name), names[name])


def _names_in(code: CodeType) -> Iterator[str]:
    """The names that a function reads, also in its comprehensions, lambdas and inner functions."""
    yield from code.co_names
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _names_in(each)


def _content(cell: CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:
        return None
