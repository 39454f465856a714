"""Buffers, bindings of parts of buffers, and command buffers."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from rusty_py.errors import DeviceError

if TYPE_CHECKING:
    from rusty_py.runtime.capi import Handle
    from rusty_py.runtime.device import Device
    from rusty_py.runtime.pool import Allocation, Allocator

BINDING_BYTES = 256
"""The alignment of binding offsets, sufficient on every adapter."""


class Buffer:
    """Device memory. Created by `Device.empty`, `Device.zeros` and `Device.upload`.

    The memory belongs to `pool` and returns to it when the last reference is dropped.
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
        "version",
    )

    start = 0  # The binding offset, as in BufferBinding.

    def __init__(self, device: "Device", pool: "Allocator", size: int, nbytes: int, label: str) -> None:
        self.device = device
        self.pool = pool
        self.nbytes = nbytes
        self.label = label
        self.memory = pool.take(size)
        self.version = 0  # Rises with each write in place.
        self.binding = self.memory.serial << 64 | nbytes  # Identifies memory and size in cache keys.
        self.destroyed = False  # Set last: from here on __del__ returns the memory.

    @property
    def extent(self) -> int:
        """Offset and size as one integer, for bind group keys (see `BufferBinding.extent`)."""
        return self.nbytes

    @property
    def bound_bytes(self) -> int:
        """The binding size, rounded up to a vec4 so that the last one can be loaded and stored."""
        return min(self.memory.size, -(-self.nbytes // 16) * 16)

    def __del__(self) -> None:
        if not getattr(self, "destroyed", True):  # Ctrl-C may come before the end of __init__.
            self.pool.give(self.memory)

    def destroy(self) -> None:
        """Frees the memory now instead of when the last reference is dropped. A second call does nothing."""
        if not self.destroyed:
            with self.device.queue.lock:
                self.device.queue.flush()  # Recorded launches may use it.
                self.destroyed = True
                self.memory.destroy()
            self.pool.give(self.memory, destroyed=True)

    def ensure_readable(self, operation: str) -> None:
        """Raises UnsupportedError for a placeholder, which has no values to read: see fusion/trace.py."""

    def ensure_usable(self, operation: str, device: "Device") -> None:
        """Raises DeviceError if submitting this buffer to `device` would abort the process."""
        if self.device is not device:
            raise DeviceError(f"{operation}: buffer {self.label!r} is of another device: {self.device}")
        if self.destroyed:
            raise DeviceError(f"{operation}: buffer {self.label!r} is destroyed")
        if self.memory.unusable_reason:
            raise DeviceError(f"{operation}: buffer {self.label!r} {self.memory.unusable_reason}")


class BufferBinding(NamedTuple):
    """A part of a buffer: `nbytes` from byte `start`. For buffers larger than one binding.

    `start` is a multiple of `BINDING_BYTES`, `nbytes` a multiple of 4.
    """

    buffer: Buffer
    start: int
    nbytes: int

    @property
    def extent(self) -> int:
        """Offset and size as one integer, for bind group keys; for a whole buffer it equals `nbytes`."""
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
        """Raises DeviceError if the buffer is not usable."""
        self.buffer.ensure_usable(operation, device)


class CommandBuffer:
    """Encoded commands, to be submitted once, and the buffers they use."""

    def __init__(
        self, device: "Device", commands: "Handle", buffers: Iterable[Buffer | BufferBinding]
    ) -> None:
        self.device = device
        self.commands = commands
        self.buffers = tuple(buffers)
        self.submitted = False
