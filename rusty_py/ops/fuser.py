"""Fusing: what an operation computes element by element, in as few kernels as possible.

While a `Fuser` records the launches of a thread, `compute` in compute.py leaves its work to it. A result
is pending until something else than an elementwise kernel reads it; then one kernel computes it, and all that
is pending on the way, from arrays in memory. Other kernels are launched as they are. So fusing is never
wrong: what does not fit one kernel takes two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING

from rusty_py.arrays import Array
from rusty_py.ops import generator
from rusty_py.ops.fused_kernel import Kernel
from rusty_py.ops.generator import Body
from rusty_py.ops.pending import Operand, Pending, bounds_of, place_of, placed, spread
from rusty_py.runtime.buffer import Buffer, BufferBinding
from rusty_py.runtime.launch import Spec, launch
from rusty_py.runtime.launch_plans import Symbol
from rusty_py.runtime.pool import VirtualAllocator
from rusty_py.views import Shape, collapse, row_major

if TYPE_CHECKING:
    from rusty_py.runtime.device import Device

MAX_STEPS = 128
"""Operations of a kernel. Beyond it compilers take seconds."""

_CHEAP_STEPS = 8
"""A result that is repeated by broadcasting is computed for each element anew up to this many operations."""

_REPEATED = 8
"""How often a result of more operations is computed anew at most."""


@dataclass(eq=False, slots=True)
class Made:
    """A buffer that an operation asked for, and what came of it."""

    size: int
    nbytes: int
    label: str
    pending: Pending | None = None
    real: Buffer | None = None


Compute = Callable[..., None]


def fused(device: Device, compute: Compute, work: Callable[[], Array]) -> Array:
    """`work()`, a part of an operation, with its elementwise kernels fused; `compute` launches one."""
    fuser = Fuser(device, compute)
    return device.compose(fuser, lambda: fuser.finish(work()))


def fuser_of(device: Device) -> Fuser | None:
    """What fuses this thread's elementwise kernels, if anything does."""
    recorder = device.recorder if device.recorders else None
    return recorder if isinstance(recorder, Fuser) else None


class Fuser:
    """A recorder of launches in front of another, or of the queue."""

    def __init__(self, device: Device, compute: Compute) -> None:
        self.device = device
        self._inner = device.recorder
        self._compute = compute
        self._source = VirtualAllocator("is part of a fused operation")
        self._made: dict[int, Made] = {}  # By the serials of virtual memories.

    # As a recorder.

    def buffer(self, size: int, nbytes: int, label: str) -> Buffer:
        """A buffer that gets memory when a kernel needs it."""
        buffer = Buffer(self.device, self._source, size, nbytes, label)
        self._made[buffer.memory.serial] = Made(size, nbytes, label)
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
        """Launches a kernel that is not fused, after what it reads has been computed."""
        for each in outputs:
            self._before_write(each.memory.serial)
        read, written = ([self._bound(each) for each in some] for some in (inputs, outputs))
        launching = partial(
            launch,
            self.device,
            spec,
            inputs=read,
            outputs=written,
            uniforms=uniforms,
            workgroups=workgroups,
            flops=flops,
        )
        self.device.compose(self._inner, launching)

    # Elementwise.

    def defer(self, body: Body, operands: Sequence[Array | int], out: Array, *, fresh: bool) -> bool:
        """Whether `out` becomes pending; if not, it must be computed now."""
        made = self._made.get(out.buffer.memory.serial)
        is_new = fresh and made is not None and made.pending is None and made.real is None
        if made is None or not is_new or not out.contiguous or not _is_start(out.offset) or not out.size:
            return False
        given: list[Operand | int | Symbol] = []
        for each, kind in zip(operands, body.types, strict=True):
            given.append(self._operand(each, kind, out.shape) if isinstance(each, Array) else each)
        pending = Pending(body, given, out)
        self._limit(pending)
        made.pending = pending
        return True

    def finish(self, result: Array) -> Array:
        """`result` in memory."""
        return Array(self._real(result.buffer), result.layout, result.offset)

    def source(
        self, x: Array, fits: Callable[[int, int], bool]
    ) -> tuple[Body, tuple[Array | int, ...]] | None:
        """What computes the elements of `x`, and its operands, for another kernel that reads them once.

        None if `x` is in memory, or `fits(arrays, numbers)` is not for so many operands.
        """
        made = self._made.get(x.buffer.memory.serial)
        if made is None or made.pending is None:
            return None
        place = place_of(x, made.pending.shape, x.shape)
        kernel = Kernel(made.pending, place, x.shape) if place is not None else None
        if kernel is None or not kernel.arrays or not fits(len(kernel.arrays), len(kernel.numbers)):
            return None
        return kernel.body, tuple(kernel.operands)  # type: ignore[arg-type]  # Symbols pass for words.

    def _operand(self, x: Array, kind: str, shape: Shape) -> Operand:
        """`x` as an operand of a result of `shape`, read as `kind`."""
        made = self._made.get(x.buffer.memory.serial)
        pending = made.pending if made is not None else None
        if pending is not None and _converts(pending.body.result, kind):
            place = place_of(x, pending.shape, shape)
            once = prod(shape) <= _REPEATED * pending.out.size or pending.bounds[2] <= _CHEAP_STEPS
            if place is not None and once:
                return Operand(None, pending, place)
        return Operand(spread(Array(self._real(x.buffer), x.layout, x.offset), shape))

    def _limit(self, pending: Pending) -> None:
        """Computes operands of `pending` until one kernel has room for the rest."""
        while True:
            waiting = [each for each in pending.operands if isinstance(each, Operand) and each.pending]
            pending.bounds, pending.reads = bounds_of(pending)
            pending.merges = any(each.pending.merges for each in waiting if each.pending)
            if _fits(pending, *pending.bounds):
                return
            for merges in (pending.merges, True):
                pending.merges = merges
                kernel = Kernel(pending)
                pending.bounds = len(kernel.arrays), len(kernel.numbers), len(kernel.statements)
                if _fits(pending, *pending.bounds):
                    return
            if not waiting:
                return  # As its operation asks for.
            largest = max(waiting, key=lambda each: each.pending.bounds if each.pending else ())
            before = largest.pending
            assert before is not None
            real = self._real(before.out.buffer)
            for each in waiting:
                if each.pending is before:
                    whole = Array(real, before.out.layout, 0)
                    each.array, each.pending = placed(whole, each.place, pending.shape), None

    # Memory.

    def _real(self, buffer: Buffer) -> Buffer:
        """Memory with the values of `buffer`, which are computed now if they are pending."""
        made = self._made.get(buffer.memory.serial)
        if made is None:
            return buffer
        return made.real or self.device.compose(self._inner, partial(self._computed, made))

    def _computed(self, made: Made) -> Buffer:
        """Memory for `made`, with its values if they are pending."""
        made.real = (
            self.device.take(made.size, made.nbytes, made.label)
            if self._inner is None
            else self._inner.buffer(made.size, made.nbytes, made.label)
        )
        if made.pending is not None:
            pending, made.pending = made.pending, None
            kernel = Kernel(pending)
            self._compute(kernel.body, kernel.operands, Array(made.real, pending.out.layout, 0))
        return made.real

    def _bound(self, each: Buffer | BufferBinding) -> Buffer | BufferBinding:
        if isinstance(each, BufferBinding):
            return each._replace(buffer=self._real(each.buffer))
        return self._real(each)

    def _before_write(self, serial: int) -> None:
        """Computes what is pending on values that are about to change."""
        made = self._made.get(serial)
        if made is not None:
            if made.real is None and made.pending is None:
                return  # Nothing can have read it.
            serial = made.real.memory.serial if made.real is not None else serial
        for each in [*self._made.values()]:
            if each.pending is not None and serial in each.pending.reads:
                self._real(each.pending.out.buffer)


def _fits(pending: Pending, arrays: int, numbers: int, steps: int) -> bool:
    if steps > MAX_STEPS:
        return False
    if generator.fits(arrays, numbers, len(pending.shape)):
        return True
    kernel = Kernel(pending)
    strides = [x.strides for _, x in kernel.arrays.values()]
    sizes, _ = collapse(pending.shape, row_major(pending.shape), *strides)
    return generator.fits(len(kernel.arrays), len(kernel.numbers), len(sizes))


def _converts(has: str, wants: str) -> bool:
    """Whether a value can be read as another type: the words that `where` and copies move."""
    return has == wants or "f16" not in (has, wants)


def _is_start(offset: object) -> bool:
    return type(offset) is int and offset == 0
