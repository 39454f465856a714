"""A device: buffers, transfers, submissions, and a wait that Ctrl-C ends.

wgpu-native aborts the process when a submission holds a destroyed or mapped buffer, goes out twice, or
comes after the device is gone. Every submission of ours passes `Device.submit`, which raises instead.
"""

import os
import threading
import time
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from rusty_py import native
from rusty_py.adapter import Adapter, Limits, choose
from rusty_py.errors import DeviceError, LimitError, OutOfMemory, ShapeError
from rusty_py.pace import Pace
from rusty_py.pool import Pool, PoolStats, size_class

if TYPE_CHECKING:
    import wgpu

# A transfer goes in chunks: staging memory stays bounded, and each wait short.
CHUNK_BYTES = 32 << 20

_FEATURES = ("timestamp-query", "shader-f16", "subgroup")

_default: "Device | None" = None
_default_lock = threading.Lock()
_made_in: int | None = None  # The process that made the first device; drivers do not survive a fork.


class Buffer:
    """A piece of device memory. Made by `Device.empty`, `Device.zeros` and `Device.upload`.

    It is a piece of `size` bytes of `pool`, which gets it back when the last reference goes.
    """

    destroyed = True  # Until there is something to give back.

    def __init__(self, device: "Device", pool: Pool, size: int, nbytes: int, label: str) -> None:
        self.device = device
        self.pool = pool
        self.size = size
        self.nbytes = nbytes
        self.label = label
        self.raw = pool.take(size)
        self.destroyed = False

    def __del__(self) -> None:
        if not self.destroyed:
            self.pool.give(self.size, self.raw)

    @property
    def mapped(self) -> bool:
        return bool(self.raw.map_state != "unmapped")

    def destroy(self) -> None:
        """Gives the memory back now, not when the last reference goes. A second call does nothing."""
        if not self.destroyed:
            self.destroyed = True
            self.raw.destroy()
            self.pool.give(self.size, self.raw, destroyed=True)

    def ensure_usable(self, operation: str, device: "Device") -> None:
        """Raises DeviceError where a submission of `device` with this buffer would abort the process."""
        if self.device is not device:
            raise DeviceError(f"{operation}: buffer {self.label!r} is of another device: {self.device}")
        if self.destroyed:
            raise DeviceError(f"{operation}: buffer {self.label!r} is destroyed")
        if self.mapped:
            raise DeviceError(f"{operation}: buffer {self.label!r} is mapped; unmap it first")


class Recording:
    """Commands that wait to be submitted to their device, once, and the buffers they use."""

    def __init__(
        self, device: "Device", commands: "wgpu.GPUCommandBuffer", buffers: Sequence[Buffer]
    ) -> None:
        self.device = device
        self.commands = commands
        self.buffers = tuple(buffers)
        self.submitted = False


class Device:
    """An adapter made ready to compute. Use it as a context manager, or let `default_device` make one.

    `checked` compiles our kernels with wgpu's bounds checks (default: RUSTY_PY_CHECKED=1 in the environment).
    `limits` acts as a device smaller than the adapter is. `timeout_s` is how long one wait may take.
    `memory_limit` is how many bytes of storage buffers it may hold, those kept for reuse included.
    Raises NoAdapter where there is none, DeviceError where the driver refuses.
    """

    def __init__(
        self,
        adapter: Adapter | int | str | None = None,
        *,
        checked: bool | None = None,
        limits: Limits | None = None,
        timeout_s: float = 60.0,
        memory_limit: int | None = None,
    ) -> None:
        global _made_in
        import wgpu

        _refuse_fork("device")
        self.adapter = adapter if isinstance(adapter, Adapter) else choose(adapter)
        self.limits = limits or self.adapter.limits
        if checked is None:
            checked = os.environ.get("RUSTY_PY_CHECKED", "0") not in ("", "0")
        self.checked = checked or not native.has_unchecked_modules()
        self.timeout_s = timeout_s
        self.closed = False
        self.lock = threading.RLock()
        self.pace = Pace(self.adapter.type)
        self.pipelines: dict[Hashable, wgpu.GPUComputePipeline] = {}
        with native.quiet_driver():
            try:
                self.raw = self.adapter.raw.request_device_sync(
                    label="rusty_py", required_features=[f for f in _FEATURES if f in self.adapter.features]
                )
            except RuntimeError as error:
                raise DeviceError(f"device: {self.adapter} refused: {error}") from error
        storage = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC | wgpu.BufferUsage.COPY_DST
        staging = wgpu.BufferUsage.MAP_READ | wgpu.BufferUsage.COPY_DST
        create = partial(_create_buffer, self.raw, self.adapter)  # No cycle back to this device.
        self.pool = Pool(partial(create, storage), memory_limit=memory_limit)
        self.staging = Pool(partial(create, staging), max_cached_bytes=2 * CHUNK_BYTES)
        if _made_in is None:
            native.forget_after_fork()
        _made_in = os.getpid()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "checked" if self.checked else "unchecked"
        return f"Device({self.adapter}, {state})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Frees the device and its buffers. A second call does nothing."""
        with self.lock:  # Not between the checks of a submission and the submission.
            if not self.closed:
                self.closed = True
                if _made_in == os.getpid():
                    self.raw.destroy()

    def ensure_usable(self, operation: str) -> None:
        """Raises DeviceError on a closed device and in a forked process."""
        _refuse_fork(operation)
        if self.closed:
            raise DeviceError(f"{operation}: the device is closed: {self.adapter}")

    def empty(self, nbytes: int, *, label: str = "buffer") -> Buffer:
        """A storage buffer of `nbytes` from the pool, content undefined. Raises LimitError, OutOfMemory."""
        self.ensure_usable("buffer")
        if nbytes > self.limits.buffer_bytes:
            raise LimitError(
                f"buffer: {label!r} is larger than {self.adapter} allows:"
                f" {nbytes} > {self.limits.buffer_bytes} bytes"
            )
        size = min(size_class(nbytes), _whole_words(self.limits.buffer_bytes - 3))
        return Buffer(self, self.pool, size, max(4, _whole_words(nbytes)), label)

    def zeros(self, nbytes: int, *, label: str = "zeros") -> Buffer:
        """A storage buffer of `nbytes` zeros, cleared on the device. Raises LimitError and OutOfMemory."""
        buffer = self.empty(nbytes, label=label)
        encoder = self.raw.create_command_encoder()
        encoder.clear_buffer(buffer.raw, 0, buffer.nbytes)
        self.submit(Recording(self, encoder.finish(), [buffer]))
        return buffer

    def pool_stats(self) -> PoolStats:
        """How often buffers were made and reused, and the bytes that are in use, kept, and were at most."""
        return self.pool.stats()

    def upload(self, array: NDArray[np.generic], *, label: str = "input") -> Buffer:
        """A storage buffer that holds `array`, which is C-contiguous."""
        buffer = self.empty(array.nbytes, label=label)
        self.write(buffer, array)
        return buffer

    def write(self, buffer: Buffer, array: NDArray[np.generic]) -> None:
        """Copies `array`, C-contiguous, to the start of `buffer`, after the work submitted so far."""
        buffer.ensure_usable("write", self)
        if array.nbytes > buffer.nbytes:
            raise LimitError(
                f"write: the array is larger than buffer {buffer.label!r}:"
                f" {array.nbytes} > {buffer.nbytes} bytes"
            )
        data = array.reshape(-1).view(np.uint8)
        for start in range(0, data.nbytes, CHUNK_BYTES):
            part = data[start : start + CHUNK_BYTES]
            if part.nbytes % 4:  # Copies come in words; the buffer has room for the last one.
                part = np.pad(part, (0, -part.nbytes % 4))
            with self.lock:
                self.ensure_usable("write")
                buffer.ensure_usable("write", self)
                self.raw.queue.write_buffer(buffer.raw, start, part)
                self.submit()  # Only a submission frees the staging memory of a write.
            if data.nbytes > CHUNK_BYTES:
                self.wait()

    def read(self, buffer: Buffer, out: NDArray[np.generic]) -> None:
        """Fills `out` from the start of `buffer`, after the work submitted so far.

        Raises LimitError where `out` is larger than the buffer, ShapeError where it is not C-contiguous.
        """
        self.ensure_usable("read")
        buffer.ensure_usable("read", self)
        if out.nbytes > buffer.nbytes:
            raise LimitError(
                f"read: the array is larger than buffer {buffer.label!r}:"
                f" {out.nbytes} > {buffer.nbytes} bytes"
            )
        if not (out.flags.c_contiguous and out.flags.writeable):
            raise ShapeError(f"read: fills C-contiguous, writable arrays only: strides {out.strides}")
        if out.nbytes:
            data = out.reshape(-1).view(np.uint8)
            chunk = min(CHUNK_BYTES, _whole_words(data.nbytes))
            staging = Buffer(self, self.staging, size_class(chunk), chunk, "staging")
            try:
                self._copy_out(buffer, staging, data)
            except BaseException:
                staging.destroy()  # Perhaps half mapped: not for the next reader.
                raise

    def _copy_out(self, buffer: Buffer, staging: Buffer, data: NDArray[np.uint8]) -> None:
        for start in range(0, data.nbytes, staging.nbytes):
            size = min(staging.nbytes, data.nbytes - start)
            encoder = self.raw.create_command_encoder()
            encoder.copy_buffer_to_buffer(buffer.raw, start, staging.raw, 0, _whole_words(size))
            self.submit(Recording(self, encoder.finish(), [buffer, staging]))
            self.wait()
            with self.mapped(staging, _whole_words(size)) as bytes_read:
                data[start : start + size] = bytes_read[:size]

    @contextmanager
    def mapped(self, staging: Buffer, nbytes: int) -> Iterator[NDArray[np.uint8]]:
        """The first `nbytes` of a staging buffer as bytes; they are gone when the block ends."""
        staging.raw.map_sync("READ_NOSYNC", 0, nbytes)
        try:
            yield np.frombuffer(staging.raw.read_mapped(0, nbytes, copy=False), np.uint8)
        finally:
            staging.raw.unmap()

    def submit(self, *recordings: Recording) -> None:
        """Sends recordings to the GPU, each for the first and last time. Returns before they are done.

        Raises DeviceError where wgpu-native would abort: closed device, second submission of a recording,
        recording of another device, destroyed or mapped buffer.
        """
        with self.lock:
            self.ensure_usable("submit")
            for i, recording in enumerate(recordings):
                if recording.submitted or recording in recordings[:i]:
                    raise DeviceError("submit: a recording goes out once, and this one has; record it again")
                if recording.device is not self:
                    raise DeviceError(f"submit: a recording of another device: {recording.device}")
                for buffer in recording.buffers:
                    buffer.ensure_usable("submit", self)
            for recording in recordings:
                recording.submitted = True
            self.raw.queue.submit([recording.commands for recording in recordings])

    def wait(self) -> None:
        """Returns when all submitted work is done; Ctrl-C ends it. Raises DeviceError after `timeout_s`."""
        self.ensure_usable("wait")
        start = time.monotonic()
        while not native.idle(self.raw):
            waited = time.monotonic() - start
            if waited > self.timeout_s:
                raise DeviceError(
                    f"wait: the GPU did not finish in time: {self.adapter} had {self.timeout_s:g} s;"
                    " the kernel may hang, or needs Device(timeout_s=...)"
                )
            # A nap of a five-hundredth of the wait so far blurs a wall clock by no more than that.
            time.sleep(min(1e-3, max(2e-5, waited / 500)))


def default_device() -> Device:
    """The device that functions use when given none: made on first use, shared by all threads."""
    global _default
    _refuse_fork("device")  # Before the lock: a fork may have copied it locked.
    with _default_lock:
        if _default is None or _default.closed:
            _default = Device()
        return _default


def _create_buffer(device: "wgpu.GPUDevice", adapter: Adapter, usage: int, nbytes: int) -> "wgpu.GPUBuffer":
    import wgpu

    try:
        return device.create_buffer(size=nbytes, usage=usage)
    except (wgpu.GPUOutOfMemoryError, wgpu.GPUValidationError) as error:
        if isinstance(error, wgpu.GPUValidationError) and "memory" not in str(error):
            raise
        raise OutOfMemory(f"buffer: no room on {adapter} for {nbytes:,} bytes") from error


def _whole_words(nbytes: int) -> int:
    """Copies and bindings come in words of 4 bytes."""
    return (nbytes + 3) // 4 * 4


def _refuse_fork(operation: str) -> None:
    if _made_in not in (None, os.getpid()):
        raise DeviceError(
            f"{operation}: this process is a fork of one with a device: {os.getpid()} of {_made_in};"
            " GPU drivers do not survive that: use multiprocessing's 'spawn'"
        )
