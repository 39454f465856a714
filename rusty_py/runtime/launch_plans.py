"""Launch plans: what an operation does for given layouts, worked out once and run again with other memory.

While a `Planner` is active on a thread, buffers are virtual and launches are written down. A plan replays
them: it takes memory for the result and what lies between, finds each dispatch already bound, and adds it
to the open batch. What differs from call to call, offsets and numbers, are `Symbol`s while planning.
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
"""A dispatch of more than this part of a submission is planned anew when its kernel's rate is seen."""

_MAX_SECONDS = 0.25 * SUBMISSION_SECONDS
"""Dispatches that take longer in all are not added to the open batch together."""


class Symbol:
    """A word that is known at each run: `values[index] + plus`, modulo 2^32.

    `start` is its remainder by 4, which kernels that load vectors depend on. It is never 0 itself, and
    anything else that would need its value is a TypeError.
    """

    __slots__ = ("index", "plus", "start")

    def __init__(self, index: int, start: int, plus: int = 0) -> None:
        self.index, self.start, self.plus = index, start & 3, plus

    def __add__(self, other: int) -> Symbol:
        return Symbol(self.index, self.start + other, self.plus + other)

    __radd__ = __add__

    def __mod__(self, other: int) -> int:
        if other not in (2, 4):
            raise TypeError(f"a plan knows its offsets modulo 4, not modulo {other}")
        return self.start % other

    def __and__(self, mask: int) -> Any:
        return self if mask == 0xFFFFFFFF else self.start & mask if mask < 4 else NotImplemented


class NotPlannable(Exception):
    """A launch binds part of a buffer, and which part depends on more than layouts."""


@dataclass(frozen=True, eq=False, slots=True)
class PlannedDispatch:
    """One launch of a plan. Buffers are numbered: the operands first, then what the plan takes.

    `patches`: at which place in `uniforms` which value goes, and what is added to it.
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
        for place, index, plus in self.patches:
            uniforms[place] = (values[index] + plus) & 0xFFFFFFFF
        return tuple(uniforms)


class Planner:
    """Writes down the launches of one thread: see `Device.planning`."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._source = VirtualAllocator("is part of a plan")
        self._numbers: dict[int, int] = {}  # By the serials of virtual memories.
        self._buffers: list[Buffer] = []
        self._taken: list[tuple[int, int, str]] = []
        self._dispatches: list[PlannedDispatch] = []

    def operand(self, buffer: Buffer) -> Buffer:
        """What stands for an operand's buffer."""
        return self._virtual(buffer.memory.size, buffer.nbytes, buffer.label)

    def buffer(self, size: int, nbytes: int, label: str) -> Buffer:
        """What stands for memory that each run takes."""
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
        """Writes a launch down; raises what `launch` would."""
        buffers = (*inputs, *outputs)
        if any(isinstance(each, BufferBinding) for each in buffers):
            raise NotPlannable
        words: list[int] = []
        patches: list[tuple[int, int, int]] = []
        for place, word in enumerate(uniforms):
            if isinstance(word, Symbol):
                patches.append((place, word.index, word.plus))
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
        """What was written down, for an operation's `name`, which makes an `array` of its buffer `result`."""
        number, taken = self._numbers[result.memory.serial], tuple(self._taken)
        return LaunchPlan(self.device, name, tuple(self._dispatches), taken, array, number, layout, offset)


class LaunchPlan:
    """The launches of an operation, and which buffer its result is in, with which layout and offset.

    `array` makes an array of these three.
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
        self._apart = False  # Long enough to be timed dispatch by dispatch, or submitted so.
        self.refresh(device)

    def offset(self, values: Sequence[int]) -> int:
        """The offset of the result in its buffer."""
        offset: Any = self._offset
        return offset if type(offset) is int else values[offset.index] + offset.plus

    def refresh(self, device: Device) -> bool:
        """Takes in the rates seen since; False where it may have to be cut otherwise by now."""
        throughput, first = device.throughput, self.throughput_version < 0
        self.throughput_version = throughput.version
        self._seconds = sum(each.flops / throughput.rate(each.spec) for each in self.dispatches)
        self._apart = (len(self.dispatches) > 1 and self._seconds > _MAX_SECONDS) or any(
            throughput.worth_timing(each.spec, each.flops) for each in self.dispatches
        )
        return first or all(each.flops <= _RECUT * throughput.flops(each.spec) for each in self.dispatches)

    def run(self, device: Device, operands: Sequence[Buffer], values: tuple[int, ...]) -> Buffer:
        """Records the launches on these buffers, and returns that of the result."""
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
            steps = device.cache.steps.get(key)
            if steps is None:
                steps = self._bind(device, buffers, values)
                device.cache.add_steps(key, steps)
            if steps:  # A memory counts as used only with a submission to come.
                queue.add(steps, memories, self._seconds, self._nbytes)
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
        """As `run`, launch by launch: into a capture, or where they are long."""
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
