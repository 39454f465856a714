"""Launch plans: the launches of an operation for given layouts, planned once and run with other buffers.

While a `Planner` is active on a thread, buffers are virtual and launches are stored. A plan replays them: it
allocates the result and temporaries, looks up the encoded dispatches and adds them to the open batch. Values
that differ between calls (offsets, scalars) are `Symbol`s during planning.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rusty_py.runtime.buffer import Buffer, BufferBinding
from rusty_py.runtime.launch import Spec, bind, check, launch
from rusty_py.runtime.pool import VirtualAllocator
from rusty_py.runtime.throughput import SUBMISSION_SECONDS

if TYPE_CHECKING:
    from rusty_py.layout import Layout
    from rusty_py.runtime.capi import EncodedDispatch
    from rusty_py.runtime.device import Device

_serials = itertools.count(1)

_RECUT = 0.25
"""A dispatch longer than this fraction of a submission is replanned when its throughput is measured."""

_MAX_SECONDS = 0.25 * SUBMISSION_SECONDS
"""Dispatches that take longer in total are not added to the open batch together."""


class Symbol:
    """A uniform word that is known only when a plan runs: `values[index] + plus`, modulo 2^32.

    `start` is its value modulo 4, which vec4 alignment depends on. It is never equal to 0; any other use of
    its value is a TypeError.
    """

    __slots__ = ("index", "plus", "start")

    def __init__(self, index: int, start: int, plus: int = 0) -> None:
        self.index, self.start, self.plus = index, start & 3, plus

    def __add__(self, other: int) -> Symbol:
        return Symbol(self.index, self.start + other, self.plus + other)

    __radd__ = __add__

    def __mod__(self, other: int) -> int:
        if other not in (2, 4):
            raise TypeError(f"offsets of a plan are known modulo 4, not modulo {other}")
        return self.start % other

    def __and__(self, mask: int) -> Any:
        return self if mask == 0xFFFFFFFF else self.start & mask if mask < 4 else NotImplemented


class NotPlannable(Exception):
    """A launch binds part of a buffer, which depends on more than layouts."""


@dataclass(frozen=True, eq=False, slots=True)
class PlannedDispatch:
    """One launch of a plan. Buffers are numbered: the operands first, then those that the plan allocates.

    `patches`: (index in `uniforms`, index in values, addend).
    """

    spec: Spec
    buffers: tuple[int, ...]
    uniforms: tuple[int, ...]
    patches: tuple[tuple[int, int, int], ...]
    workgroups: tuple[int, int, int]
    flops: int
    nbytes: int

    def words(self, values: Sequence[int]) -> tuple[int, ...]:
        """The uniforms for these values."""
        if not self.patches:
            return self.uniforms
        uniforms = list(self.uniforms)
        for i, index, plus in self.patches:
            uniforms[i] = (values[index] + plus) & 0xFFFFFFFF
        return tuple(uniforms)


class Planner:
    """Stores the launches of one thread as a plan."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._source = VirtualAllocator("is part of a plan")
        self._numbers: dict[int, int] = {}  # By the serials of virtual memories.
        self._buffers: list[Buffer] = []
        self._taken: list[tuple[int, int, str]] = []
        self._dispatches: list[PlannedDispatch] = []

    def operand(self, buffer: Buffer) -> Buffer:
        """A virtual buffer for an operand."""
        return self._virtual(buffer.memory.size, buffer.nbytes, buffer.label)

    def buffer(self, size: int, nbytes: int, label: str) -> Buffer:
        """A virtual buffer for memory that each run allocates."""
        self._taken.append((size, nbytes, label))
        return self._virtual(size, nbytes, label)

    def _virtual(self, size: int, nbytes: int, label: str) -> Buffer:
        buffer = Buffer(self.device, self._source, size, nbytes, label)
        self._numbers[buffer.memory.serial] = len(self._buffers)
        self._buffers.append(buffer)
        return buffer

    def launch(
        self,
        spec: Spec,
        inputs: Sequence[Buffer | BufferBinding],
        outputs: Sequence[Buffer | BufferBinding],
        uniforms: Sequence[int],
        workgroups: tuple[int, int, int],
        flops: int,
    ) -> None:
        """Stores a launch. Raises as `launch` does."""
        buffers = (*inputs, *outputs)
        if any(isinstance(each, BufferBinding) for each in buffers):
            raise NotPlannable
        words: list[int] = []
        patches: list[tuple[int, int, int]] = []
        for i, word in enumerate(uniforms):
            if isinstance(word, Symbol):
                patches.append((i, word.index, word.plus))
                word = 0
            words.append(word)
        check(self.device, spec, buffers, words, workgroups, made=lambda _: True)
        numbers = [self._numbers[each.memory.serial] for each in buffers]
        self._dispatches.append(
            PlannedDispatch(
                spec,
                tuple(numbers),
                tuple(words),
                tuple(patches),
                workgroups,
                flops,
                sum(each.nbytes for each in buffers),
            )
        )

    def plan(
        self, name: str, array: Callable[..., Any], result: Buffer, layout: Layout, offset: int
    ) -> LaunchPlan:
        """The plan of the operation `name`, whose result is `array(result, layout, offset)`."""
        number, taken = self._numbers[result.memory.serial], tuple(self._taken)
        return LaunchPlan(self.device, name, tuple(self._dispatches), taken, array, number, layout, offset)


class LaunchPlan:
    """The launches of an operation, and the buffer, layout and offset of its result.

    `array` creates an array from these three.
    """

    def __init__(
        self,
        device: Device,
        name: str,
        dispatches: tuple[PlannedDispatch, ...],
        taken: tuple[tuple[int, int, str], ...],
        array: Callable[..., Any],
        result: int,
        layout: Layout,
        offset: int,
    ) -> None:
        self.name, self.dispatches, self.taken = name, dispatches, taken
        self.array, self.result, self.layout, self._offset = array, result, layout, offset
        self._serial = next(_serials)
        self._nbytes = sum(each.nbytes for each in dispatches)
        self.throughput_version = -1
        self._seconds = 0.0
        self._apart = False  # Whether its dispatches are long enough to be timed or submitted separately.
        timed = device.throughput.worth_timing
        self._guessed = {each.spec for each in dispatches if timed(each.spec, each.flops)}
        self.refresh(device)

    def offset(self, values: Sequence[int]) -> int:
        """The offset of the result in its buffer."""
        offset: Any = self._offset
        return offset if type(offset) is int else values[offset.index] + offset.plus

    def refresh(self, device: Device) -> bool:
        """Updates the predicted time from measured throughput; False if it should be replanned.

        That is if a dispatch is too long, or if long ones were cut by a guess that has been measured since:
        they may be too short, and of a product cut along k, too few workgroups run at a time.
        """
        throughput, first = device.throughput, self.throughput_version < 0
        self.throughput_version = throughput.version
        self._seconds = sum(each.flops / throughput.rate(each.spec) for each in self.dispatches)
        self._apart = (len(self.dispatches) > 1 and self._seconds > _MAX_SECONDS) or any(
            throughput.worth_timing(each.spec, each.flops) for each in self.dispatches
        )
        if any(map(throughput.knows, self._guessed)):
            return False
        return first or all(each.flops <= _RECUT * throughput.flops(each.spec) for each in self.dispatches)

    def run(self, device: Device, operands: Sequence[Buffer], values: tuple[int, ...]) -> Buffer:
        """Records the launches on these operands; returns the buffer of the result."""
        if self._apart or device.recorders:
            return self.launch(device, operands, values)
        queue = device.queue
        if not queue.usable:
            device.ensure_usable(self.name)
        buffers = [*operands]
        for size, nbytes, label in self.taken:
            buffers.append(Buffer(device, device.pool, size, nbytes, label))
        parts: list[object] = [self._serial, values]
        memories = []
        with queue.lock:
            for buffer in buffers:
                memory = buffer.memory
                if memory.unusable_reason or buffer.destroyed:
                    buffer.ensure_usable(self.name, device)
                memories.append(memory)
                parts.append(buffer.binding)
            key = tuple(parts)
            encoded = device.cache.dispatches.get(key)
            if encoded is None:
                encoded = self._bind(device, buffers, values)
                device.cache.add_dispatches(key, encoded)
            if encoded:  # Without dispatches no submission follows, so don't mark the memory as used.
                queue.add(encoded, memories, self._seconds, self._nbytes)
        return buffers[self.result]

    def _bind(
        self, device: Device, buffers: Sequence[Buffer], values: Sequence[int]
    ) -> list[EncodedDispatch]:
        return [
            bind(
                device,
                each.spec,
                [buffers[number] for number in each.buffers],
                uniforms=each.words(values),
                workgroups=each.workgroups,
            )
            for each in self.dispatches
        ]

    def launch(self, device: Device, operands: Sequence[Buffer], values: tuple[int, ...]) -> Buffer:
        """As `run`, but launch by launch: for captures and long dispatches."""
        buffers = [*operands, *(device.empty(nbytes, label=label) for _, nbytes, label in self.taken)]
        for each in self.dispatches:
            launch(
                device,
                each.spec,
                inputs=[buffers[number] for number in each.buffers[: each.spec.inputs]],
                outputs=[buffers[number] for number in each.buffers[each.spec.inputs :]],
                uniforms=each.words(values),
                workgroups=each.workgroups,
                flops=each.flops,
            )
        return buffers[self.result]
