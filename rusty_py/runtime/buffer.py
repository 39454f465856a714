"""A piece of device memory, a window of one, and commands that wait to be submitted."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from rusty_py.errors import DeviceError

if TYPE_CHECKING:
    from rusty_py.runtime.capi import Handle
    from rusty_py.runtime.device import Device
    from rusty_py.runtime.pool import Allocation, Allocator

BINDING_BYTES = 256
"""Windows begin at multiples of this on every adapter."""


class Buffer:
    """A piece of device memory. Made by `Device.empty`, `Device.zeros` and `Device.upload`.

    It is memory of `pool`, which gets it back when the last reference goes.
    """

    __slots__ = (
        "__weakref__",
        "binding",
        "destroyed",
        "device",
        "label",
        "memory",
        "nbytes",
        "pool",
    )

    start = 0  # Of what a launch binds, as a window's is.

    def __init__(self, device: "Device", pool: "Allocator", size: int, nbytes: int, label: str) -> None:
        self.device = device
        self.pool = pool
        self.nbytes = nbytes
        self.label = label
        self.memory = pool.take(size)
        self.binding = self.memory.serial << 64 | nbytes  # What it binds, for the keys of caches.
        self.destroyed = False  # From here on there is something to give back.

    @property
    def extent(self) -> int:
        """Where it lies, in one number for the keys of bind groups, as a window's is."""
        return self.nbytes

    @property
    def bound_bytes(self) -> int:
        """What a launch binds: whole vectors of four, so that the last one may be loaded and stored."""
        return min(self.memory.size, -(-self.nbytes // 16) * 16)

    def __del__(self) -> None:
        if not getattr(self, "destroyed", True):  # Ctrl-C may come before the end of __init__.
            self.pool.give(self.memory)

    def destroy(self) -> None:
        """Gives the memory back now, not when the last reference goes. A second call does nothing."""
        if not self.destroyed:
            with self.device.queue.lock:
                self.device.queue.flush()  # What is recorded may use it.
                self.destroyed = True
                self.memory.destroy()
            self.pool.give(self.memory, destroyed=True)

    def ensure_usable(self, operation: str, device: "Device") -> None:
        """Raises DeviceError where a submission of `device` with this buffer would abort the process."""
        if self.device is not device:
            raise DeviceError(f"{operation}: buffer {self.label!r} is of another device: {self.device}")
        if self.destroyed:
            raise DeviceError(f"{operation}: buffer {self.label!r} is destroyed")
        if self.memory.unusable_reason:
            raise DeviceError(f"{operation}: buffer {self.label!r} {self.memory.unusable_reason}")


class BufferBinding(NamedTuple):
    """`nbytes` of a buffer from byte `start` on: what a launch binds in place of more than a binding takes.

    `start` is a multiple of `BINDING_BYTES`, `nbytes` of 4.
    """

    buffer: Buffer
    start: int
    nbytes: int

    @property
    def extent(self) -> int:
        """Where it lies, in one number for the keys of bind groups; a whole buffer's is its `nbytes`."""
        return self.start << 64 | self.nbytes

    @property
    def bound_bytes(self) -> int:
        return self.nbytes

    @property
    def memory(self) -> "Allocation":
        return self.buffer.memory

    @property
    def device(self) -> "Device":
        return self.buffer.device

    @property
    def destroyed(self) -> bool:
        return self.buffer.destroyed

    @property
    def label(self) -> str:
        return self.buffer.label

    def ensure_usable(self, operation: str, device: "Device") -> None:
        """Raises DeviceError where its buffer is not usable."""
        self.buffer.ensure_usable(operation, device)


class CommandBuffer:
    """Commands that wait to be submitted to their device, once, and the buffers they use."""

    def __init__(
        self, device: "Device", commands: "Handle", buffers: Iterable[Buffer | BufferBinding]
    ) -> None:
        self.device = device
        self.commands = commands
        self.buffers = tuple(buffers)
        self.submitted = False
