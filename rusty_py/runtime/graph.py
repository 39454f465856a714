"""Graphs: a fixed sequence of launches, captured once and replayed with very little Python.

During a capture, launches are stored instead of recorded, and buffers have no memory. At its end the launches
are ordered by level: launches of one level are independent, so the device may overlap them. Buffers that were
dropped during the capture are intermediates; those whose lifetimes do not overlap share memory. Buffers that
are still referenced are the graph's outputs.
"""

import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from rusty_py.errors import DeviceError
from rusty_py.runtime.buffer import Buffer, BufferBinding
from rusty_py.runtime.capi import EncodedDispatch
from rusty_py.runtime.launch import Spec, bind, check
from rusty_py.runtime.pool import Allocation, VirtualAllocator
from rusty_py.runtime.queue import BATCH_LAUNCHES
from rusty_py.runtime.throughput import SUBMISSION_SECONDS

if TYPE_CHECKING:
    from rusty_py.runtime.device import Device


_MIN_SUBMITTED, _MIN_SUBMITTED_S = BATCH_LAUNCHES // 4, SUBMISSION_SECONDS / 10
"""A part of as many dispatches, or as long, is a submission of its own, whose host cost is then small."""


@dataclass(frozen=True)
class Operand:
    """A binding of a captured launch: part of an allocation, virtual until the capture ends."""

    memory: Allocation
    nbytes: int
    start: int = 0
    bound_bytes: int = 0

    @property
    def extent(self) -> int:
        """As `BufferBinding.extent`."""
        return self.start << 64 | self.nbytes


@dataclass(frozen=True)
class Node:
    """A captured launch. `bind` encodes it once its operands have memory."""

    inputs: tuple[Operand, ...]
    outputs: tuple[Operand, ...]
    bind: Callable[[Sequence[Operand]], EncodedDispatch]
    seconds: float


@dataclass(frozen=True)
class Part:
    """Dispatches that are submitted together, their predicted duration and the bytes of their operands."""

    dispatches: list[EncodedDispatch]
    seconds: float
    nbytes: int


@dataclass(frozen=True)
class GraphStats:
    """The size of a graph. `levels` is its depth, `width` the maximum number of launches per level.

    Intermediates use `planned_bytes`; without sharing they would use `unshared_bytes`.
    """

    launches: int
    levels: int
    width: int
    planned_bytes: int
    unshared_bytes: int


class Graph:
    """A captured sequence of launches, from `Device.capture`. To be used by one thread at a time."""

    def __init__(self, device: "Device") -> None:
        self.device = device
        self.levels: list[list[int]] = []
        """Indices of the launches in capture order, by level."""
        self._virtual = VirtualAllocator("has no memory before its capture ends")
        self._nodes: list[Node] = []
        self._made: list[weakref.ref[Buffer]] = []
        self._held: dict[Buffer, None] = {}  # Inputs and outputs.
        self._shared: list[Buffer] = []
        self._parts: list[Part] = []
        self._memories: list[Allocation] = []
        self._outputs: list[Allocation] = []
        self._written: list[Buffer] = []
        self._unshared_bytes = 0
        self._planned = False

    def buffer(self, size: int, nbytes: int, label: str) -> Buffer:
        """A buffer without memory until the capture ends."""
        buffer = Buffer(self.device, self._virtual, size, nbytes, label)
        self._made.append(weakref.ref(buffer))
        return buffer

    def made(self, buffer: Buffer | BufferBinding) -> bool:
        """Whether the buffer was created in this capture and may have no memory yet."""
        return _whole(buffer).pool is self._virtual

    def launch(
        self,
        spec: Spec,
        inputs: Sequence[Buffer | BufferBinding],
        outputs: Sequence[Buffer | BufferBinding],
        uniforms: Sequence[int],
        workgroups: tuple[int, int, int],
        flops: int,
    ) -> None:
        """Captures a launch. Raises as `launch` does."""
        with self.device.lock:
            check(self.device, spec, (*inputs, *outputs), uniforms, workgroups, made=self.made)
        for buffer in (*inputs, *outputs):
            if buffer.memory.handle is not None:
                self._held[_whole(buffer)] = None
        reads, writes = (
            tuple(Operand(each.memory, each.nbytes, each.start, each.bound_bytes) for each in buffers)
            for buffers in (inputs, outputs)
        )
        bound = partial(_bound, self.device, spec, uniforms=tuple(uniforms), workgroups=workgroups)
        self._nodes.append(Node(reads, writes, bound, flops / self.device.throughput.rate(spec)))

    def replay(self) -> None:
        """Runs the launches after all work recorded before. Asynchronous.

        A few launches are recorded into the open batch, as a launch is; many are submitted at once. They read
        the current contents of the inputs. Raises DeviceError if an input is destroyed, and during
        a capture.
        """
        queue = self.device.queue
        if self.device.graph is not None:
            raise DeviceError("replay: not allowed in a capture; repeat the other graph's launches instead")
        with queue.lock:
            self.device.ensure_usable("replay")
            if not self._planned:
                raise DeviceError("replay: the capture of this graph has not ended, or failed")
            for buffer in self._held:
                if buffer.destroyed or (buffer.memory.unusable_reason and buffer.memory not in self._outputs):
                    buffer.ensure_usable("replay", self.device)
            for part in self._parts:
                if len(part.dispatches) < _MIN_SUBMITTED and part.seconds < _MIN_SUBMITTED_S:
                    queue.add(part.dispatches, self._memories, part.seconds, part.nbytes)
                else:
                    queue.send([], self._memories, dispatches=part.dispatches)
            for buffer in self._written:
                if buffer.memory not in self._outputs:  # The first values of a result change nothing.
                    buffer.version += 1
            for memory in self._outputs:
                memory.unusable_reason = ""
            self._outputs.clear()

    def stats(self) -> GraphStats:
        """The size of the graph and of its intermediates."""
        return GraphStats(
            launches=len(self._nodes),
            levels=len(self.levels),
            width=max(map(len, self.levels), default=0),
            planned_bytes=sum(buffer.memory.size for buffer in self._shared),
            unshared_bytes=self._unshared_bytes,
        )

    def plan(self) -> None:
        """Allocates memory for the captured buffers and encodes the launches."""
        made = [made() for made in self._made]
        alive = [buffer for buffer in made if buffer is not None and not buffer.destroyed]
        self._made.clear()
        real = {buffer.memory.serial: self._make_output(buffer) for buffer in alive}
        self.levels = _levels(self._nodes)
        self._share(real)
        parts: list[Part] = []
        memories: dict[Allocation, None] = {}
        written: set[Allocation] = set()
        for number in (number for level in self.levels for number in level):
            node = self._nodes[number]
            operands = [
                replace(each, memory=real.get(each.memory.serial, each.memory))
                for each in (*node.inputs, *node.outputs)
            ]
            nbytes = sum(each.nbytes for each in operands)
            parts.append(Part([node.bind(operands)], node.seconds, nbytes))
            memories.update(dict.fromkeys(operand.memory for operand in operands))
            written.update(operand.memory for operand in operands[len(node.inputs) :])
        self._memories = list(memories)
        self._written = [buffer for buffer in self._held if buffer.memory in written]
        self._parts = list(_parts(parts))
        self._planned = True

    def _make_output(self, buffer: Buffer) -> Allocation:
        """Allocates memory for a captured buffer that is an output."""
        buffer.memory = self.device.pool.take(buffer.memory.size)
        buffer.binding = buffer.memory.serial << 64 | buffer.nbytes
        buffer.pool = self.device.pool
        buffer.memory.unusable_reason = "has no values before its graph is replayed"
        self._outputs.append(buffer.memory)
        self._held[buffer] = None
        return buffer.memory

    def _share(self, real: dict[int, Allocation]) -> None:
        """Adds memory of every intermediate to `real`, shared if their lifetimes do not overlap."""
        sizes: dict[int, int] = {}
        spans: dict[int, tuple[int, int]] = {}
        for level, numbers in enumerate(self.levels):
            for number in numbers:
                node = self._nodes[number]
                for memory in (operand.memory for operand in (*node.inputs, *node.outputs)):
                    if memory.handle is None and memory.serial not in real:
                        sizes[memory.serial] = memory.size
                        first, _ = spans.get(memory.serial, (level, level))
                        spans[memory.serial] = first, level
        self._unshared_bytes = sum(sizes.values())
        assigned = assign(sizes, spans)
        for size in assigned.sizes:
            self._shared.append(Buffer(self.device, self.device.pool, size, size, "intermediate"))
        for serial, slot in assigned.of.items():
            real[serial] = self._shared[slot].memory


@contextmanager
def capture(device: "Device") -> Iterator[Graph]:
    """Captures this thread's launches in the block; at its end the graph is ready for `replay`.

    Raises DeviceError during another capture. After an exception in the block the graph is not usable.
    """
    device.ensure_usable("capture")
    graph, thread, recorders = Graph(device), threading.get_ident(), device.recorders
    try:
        with device.lock:
            if any(isinstance(each, Graph) for each in [*recorders.values()]):  # Others change it.
                raise DeviceError("capture: this device is capturing already, one graph at a time")
            recorders[thread] = graph
        yield graph
    finally:  # Without a call, behind which Ctrl-C may come. It may also be late, in another thread.
        if thread in recorders and recorders[thread] is graph:
            del recorders[thread]
    graph.plan()


@dataclass(frozen=True)
class MemoryAssignment:
    """The sizes of the shared allocations, and the index of the one that each intermediate uses."""

    sizes: tuple[int, ...]
    of: Mapping[int, int]


def assign(sizes: Mapping[int, int], spans: Mapping[int, tuple[int, int]]) -> MemoryAssignment:
    """Assigns shared memory to buffers of `sizes` that are live from the first to the last level of `spans`.

    Greedy, largest first: each buffer goes to the first allocation with no overlapping lifetime.
    """
    made: list[int] = []
    taken: list[list[tuple[int, int]]] = []
    of: dict[int, int] = {}
    for key in sorted(sizes, key=lambda key: (-sizes[key], spans[key])):
        first, last = spans[key]
        free = (
            slot
            for slot, others in enumerate(taken)
            if all(last < start or stop < first for start, stop in others)
        )
        slot = next(free, len(made))
        if slot == len(made):
            made.append(sizes[key])
            taken.append([])
        taken[slot].append(spans[key])
        of[key] = slot
    return MemoryAssignment(tuple(made), of)


def _bound(
    device: "Device",
    spec: Spec,
    operands: Sequence[Operand],
    *,
    uniforms: tuple[int, ...],
    workgroups: tuple[int, int, int],
) -> EncodedDispatch:
    with device.lock:
        return bind(device, spec, operands, uniforms=uniforms, workgroups=workgroups)


def _whole(buffer: Buffer | BufferBinding) -> Buffer:
    return buffer.buffer if isinstance(buffer, BufferBinding) else buffer


def _levels(nodes: Sequence[Node]) -> list[list[int]]:
    """Assigns each launch to the first level after those that wrote or still read its memory."""
    written: dict[int, int] = {}
    read: dict[int, int] = {}
    levels: list[list[int]] = []
    for number, node in enumerate(nodes):
        reads = [operand.memory.serial for operand in node.inputs]
        writes = [operand.memory.serial for operand in node.outputs]
        before = [written.get(serial, -1) for serial in (*reads, *writes)]
        before += [read.get(serial, -1) for serial in writes]
        level = max(before, default=-1) + 1
        for serial in reads:
            read[serial] = max(read.get(serial, -1), level)
        for serial in writes:
            written[serial] = level
        if level == len(levels):
            levels.append([])
        levels[level].append(number)
    return levels


def _parts(dispatches: Sequence[Part]) -> Iterator[Part]:
    """The dispatches, joined to submissions of limited duration."""
    part = Part([], 0.0, 0)
    for each in dispatches:
        if part.dispatches and part.seconds + each.seconds > SUBMISSION_SECONDS:
            yield part
            part = Part([], 0.0, 0)
        part = Part(part.dispatches + each.dispatches, part.seconds + each.seconds, part.nbytes + each.nbytes)
    if part.dispatches:
        yield part
