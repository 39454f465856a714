"""`Device`: owns the queue, memory pools, caches and transfers.

wgpu-native aborts the process if a submission uses a destroyed or mapped buffer, is submitted twice, or if
its device is gone. `Device.submit` and `launch` raise exceptions instead.
"""

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cache, lru_cache, partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from rusty_py.errors import DeviceError, LimitError, OutOfMemory, ShapeError
from rusty_py.runtime import native
from rusty_py.runtime.adapter import Adapter, Limits, choose
from rusty_py.runtime.buffer import Buffer as Buffer
from rusty_py.runtime.buffer import CommandBuffer as CommandBuffer
from rusty_py.runtime.cache import Cache, CacheStats
from rusty_py.runtime.capi import has_unchecked_modules
from rusty_py.runtime.pool import Pool, PoolStats, size_class
from rusty_py.runtime.queue import Queue
from rusty_py.runtime.throughput import Throughput
from rusty_py.runtime.transfer import MAX_STAGED_BYTES, Transfer

if TYPE_CHECKING:
    import wgpu

    from rusty_py.runtime.buffer import BufferBinding
    from rusty_py.runtime.graph import Graph
    from rusty_py.runtime.launch import Spec

_T = TypeVar("_T")

_FEATURES = ("timestamp-query", "shader-f16", "subgroup")

_default: "Device | None" = None
_default_lock = threading.Lock()
_parent: int | None = None  # The parent's process id, if this is a fork of a process with a device.


class Recorder(Protocol):
    """Takes the launches of a thread in place of the queue, and makes their buffers: a graph or a planner."""

    def buffer(self, size: int, nbytes: int, label: str) -> Buffer: ...

    def launch(
        self,
        spec: "Spec",
        inputs: "Sequence[Buffer | BufferBinding]",
        outputs: "Sequence[Buffer | BufferBinding]",
        uniforms: Sequence[int],
        workgroups: tuple[int, int, int],
        flops: int,
    ) -> None: ...


class Device:
    """A device of an adapter. Use it as a context manager, or use `default_device`.

    `checked` compiles kernels with wgpu's bounds checks (default: whether RUSTY_PY_CHECKED=1 is set).
    `limits` overrides the adapter's limits with smaller ones. `timeout_s` limits each wait.
    `memory_limit` limits the bytes of storage buffers, including those cached for reuse.
    `staged` forces staging buffers for all transfers, even if the host could map the memory.
    Raises NoAdapter if there is no adapter, DeviceError if the driver rejects the request.
    """

    def __init__(
        self,
        adapter: Adapter | int | str | None = None,
        *,
        checked: bool | None = None,
        limits: Limits | None = None,
        timeout_s: float = 60.0,
        memory_limit: int | None = None,
        staged: bool = False,
    ) -> None:
        _refuse_fork("device")
        _know_forks()
        self.adapter = adapter if isinstance(adapter, Adapter) else choose(adapter)
        self.limits = limits or self.adapter.limits
        if checked is None:
            checked = os.environ.get("RUSTY_PY_CHECKED", "0") not in ("", "0")
        self.checked = checked or not has_unchecked_modules()
        self.closed = False
        self.throughput = Throughput(self.adapter.type)
        self.recorders: dict[int, Recorder] = {}  # By thread: see `recorder`.
        self.composing: set[int] = set()  # Threads inside an operation: see operation.py.
        self.attachments: dict[object, Any] = {}  # Per-device state of higher layers.
        # On a discrete GPU, mappable storage is behind the bus; on a unified one, memory that the host can
        # write is slow for it to read.
        mappable = not staged and "mappable-primary-buffers" in self.adapter.features
        mapped_read = mappable and self.adapter.type in ("CPU", "IntegratedGPU")
        mapped_write = mappable and self.adapter.type == "CPU"
        features = [feature for feature in _FEATURES if feature in self.adapter.features]
        features += ["mappable-primary-buffers"] * mapped_read
        with native.quiet_driver():
            try:
                self.raw = self.adapter.raw.request_device_sync(label="rusty_py", required_features=features)
            except RuntimeError as error:
                raise DeviceError(f"device: {self.adapter} refused: {error}") from error
        self.queue = Queue(self.raw, self.adapter, timeout_s=timeout_s)
        self.lock = self.queue.lock
        self.cache = Cache()
        self._make_pools(memory_limit, mapped_read=mapped_read, mapped_write=mapped_write)

    def _make_pools(self, memory_limit: int | None, *, mapped_read: bool, mapped_write: bool) -> None:
        import wgpu

        flags = wgpu.BufferUsage
        # Kernels of users take uniforms from arrays as well.
        storage = flags.STORAGE | flags.UNIFORM | flags.COPY_SRC | flags.COPY_DST
        storage |= flags.MAP_READ * mapped_read | flags.MAP_WRITE * mapped_write
        create = partial(_create_buffer, self.raw, self.queue)  # No cycle back to this device.
        pool = partial(Pool, before_destroy=self.queue.flush)
        staging = partial(pool, max_cached_bytes=MAX_STAGED_BYTES)
        self.pool = pool(partial(create, storage), memory_limit=memory_limit)
        self.transfer = Transfer(
            self.queue,
            reading=staging(partial(create, flags.MAP_READ | flags.COPY_DST)),
            writing=staging(partial(create, flags.MAP_WRITE | flags.COPY_SRC)),
            mapped_read=mapped_read,
            mapped_write=mapped_write,
        )

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
        """Frees the device and its buffers. A second call does nothing.

        A handler of a signal may call it: in the middle of a copy, they are freed with their last references.
        """
        with self.lock:  # Not between the validation of a submission and the submission.
            closing, self.closed = not self.closed, True
        if closing and self.queue.close() and _parent is None:
            self.raw.destroy()

    def ensure_usable(self, operation: str) -> None:
        """Raises DeviceError if the device is closed or lost, or in a forked process."""
        if self.queue.usable:
            return
        _refuse_fork(operation)
        if self.closed:
            raise DeviceError(f"{operation}: the device is closed: {self.adapter}")
        if self.queue.lost:
            self.queue.refuse_lost(operation)

    @property
    def recorder(self) -> "Recorder | None":
        """What records this thread's launches instead of the queue, if any."""
        return self.recorders.get(threading.get_ident()) if self.recorders else None

    def compose(self, recorder: "Recorder | None", work: Callable[[], _T]) -> _T:
        """`work()` as a part of an operation: its launches go to `recorder`, or to the queue if that is None.

        No context manager: Ctrl-C may come before the `__exit__` of one, and a generator would end later.
        """
        thread, recorders = threading.get_ident(), self.recorders
        before, inside = recorders.get(thread), thread in self.composing
        try:
            self.composing.add(thread)
            if recorder is not None:
                recorders[thread] = recorder
            elif before is not None:
                del recorders[thread]
            return work()
        finally:  # Ctrl-C may come behind a call: the only one is the last.
            if before is not None:
                recorders[thread] = before
            elif thread in recorders:
                del recorders[thread]
            if not inside:
                self.composing.discard(thread)

    @property
    def graph(self) -> "Graph | None":
        """The graph that this thread is capturing, if any."""
        if not self.recorders:
            return None
        from rusty_py.runtime.graph import Graph

        recorder = self.recorder
        return recorder if isinstance(recorder, Graph) else None

    def empty(self, nbytes: int, *, label: str = "buffer") -> Buffer:
        """A storage buffer of `nbytes` from the pool, uninitialized. Raises LimitError, OutOfMemory.

        During a capture it has no memory until the capture ends.
        """
        size, nbytes = self._sizes(nbytes, label)
        recorder = self.recorder
        return self.take(size, nbytes, label) if recorder is None else recorder.buffer(size, nbytes, label)

    def take(self, size: int, nbytes: int, label: str) -> Buffer:
        """A buffer with memory of a size class from the pool, of which `nbytes` are used."""
        return Buffer(self, self.pool, size, nbytes, label)

    def zeros(self, nbytes: int, *, label: str = "zeros") -> Buffer:
        """A storage buffer of `nbytes` zeros, cleared on the device. Raises LimitError and OutOfMemory.

        Raises DeviceError during a capture: graphs hold only launches, so a replay would not clear it.
        """
        if self.graph is not None:
            raise DeviceError("zeros: not in a capture: make them before, or with rusty_py.zeros")
        import wgpu

        buffer = self._from_pool(nbytes, label)
        try:
            clear = self.queue.commands.clear(self.queue.device, buffer.memory.handle, buffer.nbytes)
        except wgpu.GPUError:
            self.queue.refuse_lost("zeros")
            raise
        self.submit(CommandBuffer(self, clear, [buffer]))
        return buffer

    def _from_pool(self, nbytes: int, label: str) -> Buffer:
        return self.take(*self._sizes(nbytes, label), label)

    def _sizes(self, nbytes: int, label: str) -> tuple[int, int]:
        """(allocated, used) bytes of a buffer of `nbytes`."""
        self.ensure_usable("buffer")
        limit = self.limits.buffer_bytes // 4 * 4  # Copies and bindings are in words.
        if nbytes > limit:
            raise LimitError(
                f"buffer: {label!r} is larger than {self.adapter} allows: {nbytes} > {limit} bytes"
            )
        return _sizes(nbytes, limit)

    def pool_stats(self) -> PoolStats:
        """Statistics of the buffer pool: allocations, reuse, and bytes in use, cached and at peak."""
        return self.pool.stats()

    def cache_stats(self) -> CacheStats:
        """Statistics of the caches: hits, misses and sizes."""
        return self.cache.stats()

    def purge(self) -> None:
        """Frees all cached memory and bind groups. Keeps the pipelines."""
        with self.lock:
            self.cache.forget_bindings()
        for pool in (self.pool, self.transfer.reading, self.transfer.writing):
            pool.purge()

    def upload(self, array: NDArray[np.generic], *, label: str = "input") -> Buffer:
        """A storage buffer with the contents of `array`, C-contiguous; during a capture, a constant."""
        buffer = self._from_pool(array.nbytes, label)
        self._fill(buffer, array)
        return buffer

    def write(self, buffer: Buffer, array: NDArray[np.generic]) -> None:
        """Copies `array`, C-contiguous, to the start of `buffer`, after the work recorded so far.

        Copies are in words of 4 bytes; the rest of a partial last word is set to zero.
        """
        self.ensure_usable("write")
        with self.lock:  # Another thread maps it under the lock.
            buffer.ensure_usable("write", self)
        if array.nbytes > buffer.nbytes:
            raise LimitError(
                f"write: the array is larger than buffer {buffer.label!r}:"
                f" {array.nbytes} > {buffer.nbytes} bytes"
            )
        self._fill(buffer, array)
        buffer.version += 1

    def _fill(self, buffer: Buffer, array: NDArray[np.generic]) -> None:
        if array.nbytes:
            data = array.reshape(-1).view(np.uint8)
            if data.nbytes % 4:  # Copies are in words; the buffer has room for the last one.
                data = np.pad(data, (0, -data.nbytes % 4))
            self.transfer.upload(buffer.memory, data)

    def read(self, buffer: Buffer, out: NDArray[np.generic]) -> None:
        """Fills `out` from the start of `buffer`, after the work recorded so far.

        Raises LimitError if `out` is larger than the buffer, ShapeError if it is not C-contiguous.
        """
        self.ensure_usable("read")
        with self.lock:  # Another thread maps it under the lock.
            buffer.ensure_usable("read", self)
        if out.nbytes > buffer.nbytes:
            raise LimitError(
                f"read: the array is larger than buffer {buffer.label!r}:"
                f" {out.nbytes} > {buffer.nbytes} bytes"
            )
        if not (out.flags.c_contiguous and out.flags.writeable):
            raise ShapeError(f"read: fills C-contiguous, writable arrays only: strides {out.strides}")
        if out.nbytes:
            self.transfer.download(buffer.memory, out.reshape(-1).view(np.uint8))

    def batch(self) -> AbstractContextManager[None]:
        """A context manager that submits its launches together at the end. Reading submits them earlier."""
        self.ensure_usable("batch")
        return self.queue.batch()

    def capture(self) -> "AbstractContextManager[Graph]":
        """A context manager that captures the launches of its block, without running them, as a graph.

        Buffers that the block reads and that existed before are the inputs: write new values into them.
        Arrays created in the block that are still referenced at its end are the outputs.
        """
        from rusty_py.runtime.graph import capture

        return capture(self)

    def submit(self, *command_buffers: CommandBuffer) -> None:
        """Submits command buffers, each of them only once. Asynchronous.

        Raises DeviceError where wgpu-native would abort: closed device, repeated submission, command buffer
        of another device, destroyed or mapped buffer.
        """
        with self.lock:
            self.ensure_usable("submit")
            for i, command_buffer in enumerate(command_buffers):
                if command_buffer.submitted or command_buffer in command_buffers[:i]:
                    raise DeviceError("submit: a command buffer can be submitted only once; record it again")
                if command_buffer.device is not self:
                    raise DeviceError(f"submit: a command buffer of another device: {command_buffer.device}")
                for buffer in command_buffer.buffers:
                    buffer.ensure_usable("submit", self)
            for command_buffer in command_buffers:
                command_buffer.submitted = True
            memories = [
                buffer.memory for command_buffer in command_buffers for buffer in command_buffer.buffers
            ]
            self.queue.send([command_buffer.commands for command_buffer in command_buffers], memories)

    def wait(self) -> None:
        """Waits for all work recorded so far. Ctrl-C interrupts it. Raises DeviceError after `timeout_s`."""
        self.ensure_usable("wait")
        self.queue.wait()


def default_device() -> Device:
    """The device that functions use by default: created on first use, shared by all threads."""
    global _default
    _refuse_fork("device")  # Before the lock: a fork may have copied it locked.
    with _default_lock:
        if _default is None or _default.closed or _default.queue.is_lost():
            _default = Device()
        return _default


def usual_device() -> Device:
    """The default device without the test whether it is lost, which takes a microsecond and more.

    What is launched on a lost device raises DeviceError, and from then on another one is the default.
    """
    device = _default
    if device is not None and _parent is None and device.queue.usable:
        return device
    return default_device()


def _create_buffer(device: "wgpu.GPUDevice", queue: Queue, usage: int, nbytes: int) -> "wgpu.GPUBuffer":
    import wgpu

    try:
        return device.create_buffer(size=nbytes, usage=usage)
    except (wgpu.GPUOutOfMemoryError, wgpu.GPUValidationError) as error:
        queue.refuse_lost("buffer")
        if isinstance(error, wgpu.GPUValidationError) and "memory" not in str(error):
            raise
        raise OutOfMemory(f"buffer: no room on {queue.name} for {nbytes:,} bytes") from error


@lru_cache(maxsize=1024)
def _sizes(nbytes: int, limit: int) -> tuple[int, int]:
    return min(size_class(nbytes), limit), max(4, _whole_words(nbytes))


def _whole_words(nbytes: int) -> int:
    """`nbytes` rounded up to words of 4 bytes, the granularity of copies and bindings."""
    return (nbytes + 3) // 4 * 4


def _refuse_fork(operation: str) -> None:
    if _parent is not None:
        raise DeviceError(
            f"{operation}: this process is a fork of one with a device: {os.getpid()} of {_parent};"
            " GPU drivers do not survive that: use multiprocessing's 'spawn'"
        )


@cache
def _know_forks() -> None:
    """From the first device on, marks forked children as such."""
    here = os.getpid()

    def forked() -> None:
        global _parent
        _parent = here

    native.forget_after_fork()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forked)
