"""The operation layer: a record for each operation, and `apply`, through which every application passes.

It knows no operation: those are in ops/, which is imported when the first is asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, TypeVar

from rusty_py.errors import DeviceError
from rusty_py.runtime.device import usual_device
from rusty_py.runtime.launch_plans import LaunchPlan, NotPlannable, Planner, Symbol

if TYPE_CHECKING:
    from rusty_py.arrays import Array
    from rusty_py.oracle import Expected
    from rusty_py.runtime.buffer import Buffer
    from rusty_py.runtime.device import Device
    from rusty_py.samples import Sample, Values


@dataclass(frozen=True)
class Cost:
    """What an application has to do at least: floating-point operations, and bytes read and written."""

    flops: int
    nbytes: int


def once_each(arrays: Sequence[Array], result: Array) -> Cost:
    """The cost of what reads every element once and computes each of the result's by one operation."""
    return Cost(result.size, sum(each.nbytes for each in (*arrays, result)))


Rule = Callable[..., Any]
F = TypeVar("F", bound=Callable[..., Any])


class Gradient:
    """The gradient rule of an operation: how the gradients of its operands follow from that of the result.

    `rules` has a function for each array: `rule(g, out, *arrays, *words, **options)` is the gradient of that
    array, where g is the gradient of the result and the rest is what `forward` got and gave. None in place
    of a rule, or of its result, is a gradient of zero. A gradient may have the shape that arrays were
    broadcast to, and the dtype that they were promoted to: the engine sums and casts it.

    With `joint`, one function gives the gradients of all arrays: `rule(g, out, *arrays, *words, wanted=...,
    **options)`, where `wanted` has a bool for each array; what is not wanted may be None.

    Rules are written in public operations, so that they have gradients themselves. An array whose parameter
    begins with an underscore in every rule is not kept for the backward pass: the rule gets its `Layout`,
    with shape and dtype, in its place; so do all of `*_arrays`. `reads` says so explicitly: of the result,
    then of each array.
    """

    __slots__ = ("joint", "reads", "reads_rest", "rules")

    def __init__(
        self, *rules: Rule | None, joint: Rule | None = None, reads: tuple[bool, ...] | None = None
    ) -> None:
        self.rules, self.joint = rules, joint
        given = [joint] if joint else [*filter(None, rules)]
        self.reads = reads if reads is not None else _reads(given)
        self.reads_rest = not any(map(_ignores_rest, given))

    def reads_array(self, index: int) -> bool:
        """Whether the values of the operand are needed in the backward pass; -1 is the result."""
        return self.reads[index + 1] if index + 1 < len(self.reads) else self.reads_rest

    def __call__(
        self,
        g: Array,
        out: Any,
        operands: Sequence[Any],
        wanted: Sequence[bool],
        options: dict[str, Any],
    ) -> Sequence[Array | None]:
        """The gradients of the arrays; `operands` are the arrays, then the words."""
        if self.joint is not None:
            gradients: Sequence[Array | None] = self.joint(g, out, *operands, wanted=tuple(wanted), **options)
            return gradients
        return [
            rule(g, out, *operands, **options) if rule is not None and needed else None
            for rule, needed in zip(self.rules, wanted, strict=False)
        ]


def _reads(rules: Sequence[Rule]) -> tuple[bool, ...]:
    """Which positional parameters after the first any rule reads, by their names; all of `*arrays`."""
    kinds = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    names = [
        [each.name for each in signature(rule).parameters.values() if each.kind in kinds][1:]
        for rule in rules
    ]
    longest = max(map(len, names), default=0)
    return tuple(any(i >= len(each) or not each[i].startswith("_") for each in names) for i in range(longest))


def _ignores_rest(rule: Rule) -> bool:
    """Whether a rule takes the arrays as `*_arrays`, and so reads none of them."""
    rest = [each for each in signature(rule).parameters.values() if each.kind is Parameter.VAR_POSITIONAL]
    return any(each.name.startswith("_") for each in rest)


@dataclass(frozen=True, eq=False)
class Operation:
    """What there is to know of an operation; `forward` computes it.

    `forward` takes arrays of one device, then words, and options by name, and launches; where there are no
    arrays, the device is one of the options. It must depend on nothing but the arrays' layouts and the
    options: it is called once for each, with virtual buffers, and what it launches is kept as a plan. With
    `writes`, the last array is written to, and is the result.

    `function` is what users call, also by the names in `aliases`. `numpy` is NumPy's function of the same
    meaning, which calls it for arrays of `kinds`. `mixed` applies an operator to an array and an operand of
    another type; with `takes_words`, `forward` takes a number's word in place of the last array.

    `samples` are applications to try it with; `operands` makes some of a dtype and a shape, from a seed.
    `expected` is the result of a sample, with the error bound. `cost` is that of an application. `gradient`
    is the gradient rule, or the reason why there is none. To check it, `reference` is the operation on NumPy
    arrays of float64, with the same options, where that is not `numpy`; `smooth` makes operands, as
    `operands` does, at which it is differentiable.
    """

    name: str
    forward: Callable[..., Array]
    numpy: Callable[..., object] | None = None
    function: Callable[..., Array] | None = None
    mixed: Callable[..., Array] | None = None
    takes_words: bool = False
    writes: bool = False
    kinds: str = "fiub"
    samples: Callable[[], Iterable[Sample]] = tuple
    operands: Callable[..., tuple[Values, ...]] | None = None
    expected: Callable[[Sample], Expected] | None = None
    cost: Callable[[Sequence[Array], Array], Cost] = once_each
    gradient: Gradient | str | None = None
    reference: Callable[..., object] | None = None
    smooth: Callable[..., tuple[Values, ...]] | None = None
    aliases: tuple[str, ...] = ()
    identity: object = field(default_factory=object, repr=False)
    """What plans are found by: a cache that held the operation would keep alive what it refers to."""


class Registry(dict[str, Operation]):
    """Operations by name. The first that is not there yet brings them all."""

    def __missing__(self, name: str) -> Operation:
        import_module("rusty_py.ops.all")
        if name not in self:
            raise KeyError(name)
        return self[name]

    def add(self, operation: Operation) -> Operation:
        """Registers an operation under its name."""
        self[operation.name] = operation
        return operation


OPERATIONS = Registry()

PUBLIC: dict[str, Callable[..., Any]] = {}
"""Functions of the package that are not operations by themselves, by name."""


def public(function: F) -> F:
    """Makes a function of ops/ a name of the package, as those of operations are."""
    PUBLIC[function.__name__] = function
    return function


def public_function(name: str) -> Callable[..., Any]:
    """The function of the package of that name, which is no operation by itself."""
    if name not in PUBLIC:
        import_module("rusty_py.ops.all")
    return PUBLIC[name]


@dataclass(slots=True)
class Hooks:
    """What else happens to every application that a user makes; None where nothing does.

    `trace` may take its place: it gets the operation, the arrays, the words and the options, and returns the
    result, or None to have it computed. `record` is called afterwards, with the same and the result.
    `refuse_write` is called by name before what writes in place, with all its arrays. `profile` opens a block
    by the operation's name, in which it is launched.
    """

    trace: Callable[[Operation, tuple[Array, ...], tuple[int, ...], dict[str, Any]], Array | None] | None = (
        None
    )
    record: Callable[[Operation, tuple[Array, ...], tuple[int, ...], dict[str, Any], Array], None] | None = (
        None
    )
    refuse_write: Callable[[str, Sequence[Array]], None] | None = None
    profile: Callable[[str], AbstractContextManager[object]] | None = None


HOOKS = Hooks()


def apply(  # noqa: C901, PLR0915  Each call is a cost of every application.
    operation: Operation,
    *arrays: Any,
    words: tuple[int, ...] = (),
    device: Device | None = None,
    **options: Any,
) -> Array:
    """The operation on arrays, and on what `asarray` makes arrays of, on the device of the first array.

    Where there is none, on `device`. `words` may change from call to call; options, which are hashable,
    rarely do. Raises DeviceError for arrays of different devices, and what the operation raises.
    """
    try:
        device = arrays[0].buffer.device if arrays else device or usual_device()
        if device.composing and threading.get_ident() in device.composing:  # Part of another operation.
            return operation.forward(*arrays, *words, **({} if arrays else {"device": device}), **options)
        key: list[object] = [operation.identity]
        if options:
            key += [*options, *options.values()]
        buffers, values, limit = [], words, device.limits.binding_bytes
        planned = True
        for x in arrays:
            buffer = x.buffer
            if buffer.device is not device or buffer.nbytes > limit:
                planned = False
            if x.offset:
                values = (*values, x.offset)
            key.append(x.layout)
            buffers.append(buffer)
    except AttributeError:
        if all(hasattr(x, "buffer") for x in arrays):
            raise
        return apply(operation, *_coerced(arrays), words=words, **options)
    if HOOKS.trace is not None and (traced := HOOKS.trace(operation, arrays, words, options)) is not None:
        return traced
    if not planned:
        return _unplanned(operation, device, arrays, words, options)
    if operation.writes:
        if HOOKS.refuse_write is not None:
            HOOKS.refuse_write(operation.name, arrays)
        key += [buffer is buffers[-1] for buffer in buffers]
    cache = device.cache
    plan = cache.plans.get(found := tuple(key))
    if plan is not None and (plan.throughput_version == device.throughput.version or plan.refresh(device)):
        cache.plan_hits += 1
    else:
        plan = planned_for(operation, device, arrays, words, options)
        if plan is None:
            return _unplanned(operation, device, arrays, words, options)
        with device.lock:
            cache.add_plan(found, plan)
    if HOOKS.profile is None:
        result = plan.run(device, buffers, values)
    else:
        with HOOKS.profile(operation.name):
            result = plan.run(device, buffers, values)
    if operation.writes:
        return _written(arrays[-1])
    array: Array = plan.array(result, plan.layout, plan.offset(values))
    if HOOKS.record is not None:
        HOOKS.record(operation, arrays, words, options, array)
    return array


def _written(array: Array) -> Array:
    """`array`, with its version raised."""
    array.buffer.version += 1
    return array


def _coerced(values: Sequence[Any]) -> list[Array]:
    """Arrays of what is none, beside those that are."""
    from rusty_py.ops.creation import asarray

    device = next((x.buffer.device for x in values if hasattr(x, "buffer")), None)
    return [x if hasattr(x, "buffer") else asarray(x, device=device) for x in values]


def planned_for(
    operation: Operation,
    device: Device,
    arrays: tuple[Array, ...],
    words: tuple[int, ...],
    options: dict[str, Any],
) -> LaunchPlan | None:
    """What the operation launches for arrays of these layouts; None where that depends on more."""
    device.ensure_usable(operation.name)
    planner = Planner(device)
    virtual: dict[Buffer, Buffer] = {}
    operands = []
    index = len(words)
    for x in arrays:
        buffer = planner.operand(x.buffer)
        if operation.writes:  # What is read may be what is written.
            buffer = virtual.setdefault(x.buffer, buffer)
        offset: Any = 0
        if x.offset:
            offset = Symbol(index, x.offset)
            index += 1
        operands.append(type(x)(buffer, x.layout, offset))
    symbols = [Symbol(i, 0) for i in range(len(words))]
    if not arrays:
        options = {"device": device, **options}
    try:
        result = device.compose(planner, partial(operation.forward, *operands, *symbols, **options))
    except NotPlannable:
        return None
    return planner.plan(operation.name, type(result), result.buffer, result.layout, result.offset)


def _unplanned(
    operation: Operation,
    device: Device,
    arrays: tuple[Array, ...],
    words: tuple[int, ...],
    options: dict[str, Any],
) -> Array:
    """At once, where an array is larger than a binding: what is launched depends on where each begins."""
    for each in arrays:
        if each.buffer.device is not device:
            raise DeviceError(
                f"{operation.name}: an array of another device: {each.buffer.device}, not {device}"
            )
    if operation.writes and HOOKS.refuse_write is not None:
        HOOKS.refuse_write(operation.name, arrays)
    profile = nullcontext() if HOOKS.profile is None else HOOKS.profile(operation.name)
    given = options if arrays else {"device": device, **options}
    with profile:
        forward = partial(operation.forward, *(x.detach() for x in arrays), *words, **given)
        array = device.compose(device.recorder, forward)
    if operation.writes:
        return _written(arrays[-1])
    if HOOKS.record is not None:
        HOOKS.record(operation, arrays, words, options, array)
    return array
