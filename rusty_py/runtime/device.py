"""A device: what a program holds. It owns the queue, the pools, the caches and the transfers.

wgpu-native aborts the process when a submission holds a destroyed or mapped buffer, goes out twice, or
comes after the device is gone. `Device.submit` raises instead, and so does whoever records a launch.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache, lru_cache, partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from rusty_py.errors import DeviceError, LimitError, OutOfMemory, ShapeError
from rusty_py.runtime import native
from rusty_py.runtime.adapter import Adapter, Limits, choose
from rusty_py.runtime.buffer import Buffer as Buffer
from rusty_py.runtime.buffer import CommandBuffer as CommandBuffer
from rusty_py.runtime.cache import Cache, CacheStats
from rusty_py.runtime.pool import Pool, PoolStats, size_class
from rusty_py.runtime.queue import Queue
from rusty_py.runtime.throughput import Throughput
from rusty_py.runtime.transfer import MAX_STAGED_BYTES, Transfer

if TYPE_CHECKING:
    import wgpu

    from rusty_py.runtime.graph import Graph
    from rusty_py.runtime.launch_plans import Planner

_FEATURES = ("timestamp-query", "shader-f16", "subgroup")

_default: "Device | None" = None
_default_lock = threading.Lock()
_parent: int | None = None  # Where this process was forked off after a device was made: whose it is.


class Device:
    """An adapter made ready to compute. Use it as a context manager, or let `default_device` make one.

    `checked` compiles our kernels with wgpu's bounds checks (default: RUSTY_PY_CHECKED=1 in the environment).
    `limits` acts as a device smaller than the adapter is. `timeout_s` is how long one wait may take.
    `memory_limit` is how many bytes of storage buffers it may hold, those kept for reuse included.
    `staged` moves all data through staging buffers, also where the host could map the memory itself.
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
        staged: bool = False,
    ) -> None:
        _refuse_fork("device")
        _know_forks()
        self.adapter = adapter if isinstance(adapter, Adapter) else choose(adapter)
        self.limits = limits or self.adapter.limits
        if checked is None:
            checked = os.environ.get("RUSTY_PY_CHECKED", "0") not in ("", "0")
        self.checked = checked or not native.has_unchecked_modules()
        self.closed = False
        self.throughput = Throughput(self.adapter.type)
        self.recorders: dict[int, Graph | Planner] = {}  # By thread: see `recorder`.
        self.composing: set[int] = set()  # Threads inside of an operation: see operation.py.
        self.attachments: dict[object, Any] = {}  # What higher layers keep for a device.
        # On a discrete GPU, storage that the host can map lies beyond the bus; on a unified one, memory
        # that the host can write is slow for it to read.
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
        storage = flags.STORAGE | flags.COPY_SRC | flags.COPY_DST
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
        """Frees the device and its buffers. A second call does nothing."""
        with self.lock:  # Not between the checks of a submission and the submission.
            closing, self.closed = not self.closed, True
        if closing:
            self.queue.close()
            if _parent is None:
                self.raw.destroy()

    def ensure_usable(self, operation: str) -> None:
        """Raises DeviceError on a closed or lost device and in a forked process."""
        if self.queue.usable:
            return
        _refuse_fork(operation)
        if self.closed:
            raise DeviceError(f"{operation}: the device is closed: {self.adapter}")
        if self.queue.lost:
            self.queue.refuse_lost(operation)

    @property
    def recorder(self) -> "Graph | Planner | None":
        """What writes down this thread's launches now, in place of the queue, if anything."""
        return self.recorders.get(threading.get_ident()) if self.recorders else None

    @contextmanager
    def composing_by(self, recorder: "Graph | Planner | None") -> Iterator[None]:
        """This thread is inside of an operation, whose launches `recorder` writes down, if there is one."""
        thread = threading.get_ident()
        before = self.recorders.get(thread)
        self.composing.add(thread)
        if recorder is not None:
            self.recorders[thread] = recorder
        try:
            yield
        finally:
            self.composing.discard(thread)
            if before is not None:
                self.recorders[thread] = before
            else:
                self.recorders.pop(thread, None)

    @property
    def graph(self) -> "Graph | None":
        """What this thread captures now, if anything."""
        if not self.recorders:
            return None
        from rusty_py.runtime.graph import Graph

        recorder = self.recorder
        return recorder if isinstance(recorder, Graph) else None

    def empty(self, nbytes: int, *, label: str = "buffer") -> Buffer:
        """A storage buffer of `nbytes` from the pool, content undefined. Raises LimitError, OutOfMemory.

        In a capture it has no memory before the end.
        """
        size, nbytes = self._sizes(nbytes, label)
        recorder = self.recorder
        return self.take(size, nbytes, label) if recorder is None else recorder.buffer(size, nbytes, label)

    def take(self, size: int, nbytes: int, label: str) -> Buffer:
        """Memory of a size class from the pool, of which `nbytes` are bound."""
        return Buffer(self, self.pool, size, nbytes, label)

    def zeros(self, nbytes: int, *, label: str = "zeros") -> Buffer:
        """A storage buffer of `nbytes` zeros, cleared on the device. Raises LimitError and OutOfMemory.

        Raises DeviceError in a capture, which holds launches alone: a replay would not clear it again.
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
        """What is allocated for a buffer of `nbytes`, and what of it is bound."""
        self.ensure_usable("buffer")
        if nbytes > self.limits.buffer_bytes:
            raise LimitError(
                f"buffer: {label!r} is larger than {self.adapter} allows:"
                f" {nbytes} > {self.limits.buffer_bytes} bytes"
            )
        return _sizes(nbytes, self.limits.buffer_bytes)

    def pool_stats(self) -> PoolStats:
        """How often buffers were made and reused, and the bytes that are in use, kept, and were at most."""
        return self.pool.stats()

    def cache_stats(self) -> CacheStats:
        """How often pipelines and bind groups were found or made, and how many are kept."""
        return self.cache.stats()

    def purge(self) -> None:
        """Gives up all memory kept for reuse, and the bind groups. The pipelines stay."""
        with self.lock:
            self.cache.forget_bindings()
        for pool in (self.pool, self.transfer.reading, self.transfer.writing):
            pool.purge()

    def upload(self, array: NDArray[np.generic], *, label: str = "input") -> Buffer:
        """A storage buffer that holds `array`, which is C-contiguous; in a capture, a constant."""
        buffer = self._from_pool(array.nbytes, label)
        self._fill(buffer, array)
        return buffer

    def write(self, buffer: Buffer, array: NDArray[np.generic]) -> None:
        """Copies `array`, C-contiguous, to the start of `buffer`, after the work recorded so far.

        In words of 4 bytes: behind an array that ends within one, the rest of that word becomes zero.
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

    def _fill(self, buffer: Buffer, array: NDArray[np.generic]) -> None:
        if array.nbytes:
            data = array.reshape(-1).view(np.uint8)
            if data.nbytes % 4:  # Copies come in words; the buffer has room for the last one.
                data = np.pad(data, (0, -data.nbytes % 4))
            self.transfer.upload(buffer.memory, data)

    def read(self, buffer: Buffer, out: NDArray[np.generic]) -> None:
        """Fills `out` from the start of `buffer`, after the work recorded so far.

        Raises LimitError where `out` is larger than the buffer, ShapeError where it is not C-contiguous.
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
        """Holds launches back until the block ends, to submit them together. Reading sends them earlier."""
        self.ensure_usable("batch")
        return self.queue.batch()

    def capture(self) -> "AbstractContextManager[Graph]":
        """Writes down the launches of the block instead of running them: a graph to `replay`.

        What its launches read from outside is its inputs: write new values into them. Arrays made in the
        block that live on are its outputs.
        """
        from rusty_py.runtime.graph import capture

        return capture(self)

    def submit(self, *recordings: CommandBuffer) -> None:
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
            memories = [buffer.memory for recording in recordings for buffer in recording.buffers]
            self.queue.send([recording.commands for recording in recordings], memories)

    def wait(self) -> None:
        """Returns when all work recorded so far is done; Ctrl-C ends it. DeviceError after `timeout_s`."""
        self.ensure_usable("wait")
        self.queue.wait()


def default_device() -> Device:
    """The device that functions use when given none: made on first use, shared by all threads."""
    global _default
    _refuse_fork("device")  # Before the lock: a fork may have copied it locked.
    with _default_lock:
        if _default is None or _default.closed or _default.queue.is_lost():
            _default = Device()
        return _default


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
    return min(size_class(nbytes), _whole_words(limit - 3)), max(4, _whole_words(nbytes))


def _whole_words(nbytes: int) -> int:
    """Copies and bindings come in words of 4 bytes."""
    return (nbytes + 3) // 4 * 4


def _refuse_fork(operation: str) -> None:
    if _parent is not None:
        raise DeviceError(
            f"{operation}: this process is a fork of one with a device: {os.getpid()} of {_parent};"
            " GPU drivers do not survive that: use multiprocessing's 'spawn'"
        )


@cache
def _know_forks() -> None:
    """From the first device on, has forked children know what they are."""
    here = os.getpid()

    def forked() -> None:
        global _parent
        _parent = here

    native.forget_after_fork()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forked)
