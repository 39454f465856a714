"""Copies between host and device, by the fastest path that is correct on the adapter.

If the host can map storage buffers (CPU drivers; unified memory, for reads), it copies directly. Otherwise
copies go through staging buffers: one for small copies; for large ones several threads with two buffers each,
so that host copies overlap with the transfer.
"""

import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from rusty_py.errors import DeviceError
from rusty_py.runtime.capi import Copy
from rusty_py.runtime.pool import Allocation, Pool, size_class
from rusty_py.runtime.queue import Queue

# Transfers are chunked to bound staging memory and the duration of each wait.
CHUNK_BYTES = 8 << 20
_MIN_CHUNK_BYTES = 4 << 20
# The minimum bytes per thread.
_THREAD_BYTES = 16 << 20
# On a 16-core host with an H200, six threads were fastest in both directions.
THREADS = max(1, min(6, (os.cpu_count() or 1) // 2))
MAX_STAGED_BYTES = 2 * THREADS * CHUNK_BYTES
# Up to this size wgpu's own staging memory, allocated for every write, is as fast as ours.
_QUEUED_BYTES = 32 << 20

Bytes = NDArray[np.uint8]


class Transfer:
    """Copies for one device. `mapped_read`, `mapped_write`: whether the host can map its storage buffers."""

    def __init__(
        self, queue: Queue, reading: Pool, writing: Pool, *, mapped_read: bool, mapped_write: bool
    ) -> None:
        self.queue = queue
        self.reading, self.writing = reading, writing
        self.mapped_read, self.mapped_write = mapped_read, mapped_write

    def upload(self, memory: Allocation, data: Bytes) -> None:
        """Copies `data`, in whole words, to the start of `memory`, after the work recorded so far."""
        if self.mapped_write and self._write_mapped(memory, data):
            return
        if data.nbytes <= _QUEUED_BYTES:
            queue = self.queue
            queue.write(memory, 0, queue.commands.bytes_of(data), data.nbytes)
        else:
            self.in_chunks(partial(self._write_staged, memory, data), data.nbytes)

    def download(self, memory: Allocation, out: Bytes) -> None:
        """Fills `out` from the start of `memory`, after the work recorded so far."""
        if self.mapped_read:
            self._read_mapped(memory, out)
        elif out.nbytes <= _MIN_CHUNK_BYTES:
            self._read_at_once(memory, out)
        else:
            self.in_chunks(partial(self._read_staged, memory, out), out.nbytes)

    def start(self, memory: Allocation, nbytes: int) -> "PendingRead":
        """Starts reading the first `nbytes`, after the work recorded so far and before later work.

        If the host maps the memory, no use of it may be recorded until `finish` or `drop`.
        """
        if self.mapped_read:
            self.queue.flush()
            return PendingRead(memory, nbytes, staged=False)
        pending = PendingRead(self.reading.take(size_class(nbytes)), nbytes, staged=True)
        try:
            self._copy(memory, 0, pending.memory, 0, _words(nbytes))
        except BaseException:
            self.drop(pending)
            raise
        return pending

    def finish(self, pending: "PendingRead", take: Callable[[Bytes], None]) -> None:
        """Waits for a read of `start`, but for no later work, and passes the data to `take`."""
        try:
            with mapped(self.queue, pending.memory, _words(pending.nbytes), write=False) as source:
                take(source[: pending.nbytes])
        except BaseException:
            self.drop(pending)
            raise
        if pending.staged:
            self.reading.give(pending.memory)

    def drop(self, pending: "PendingRead") -> None:
        """Cancels a read of `start`."""
        if pending.staged and not pending.memory.destroyed:
            _discard(self.reading, [pending.memory])

    def _write_mapped(self, memory: Allocation, data: Bytes) -> bool:
        """Writes through a mapping if the memory is idle; else returns False, rather than block."""
        queue = self.queue
        with queue.lock:  # No other thread may record or submit a use of it meanwhile.
            if queue.uses(memory) or not queue.finished(memory):
                return False
            with mapped(queue, memory, data.nbytes, write=True) as target:
                np.copyto(target, data)
        return True

    def _read_mapped(self, memory: Allocation, out: Bytes) -> None:
        queue = self.queue
        while True:
            queue.wait()
            with queue.lock:
                if memory.used_in <= queue.done:  # Else another thread has used it meanwhile.
                    with mapped(queue, memory, _words(out.nbytes), write=False) as source:
                        np.copyto(out, source[: out.nbytes])
                    return

    def _write_staged(self, memory: Allocation, data: Bytes, chunks: "Chunks") -> None:
        queue = self.queue
        with _staging(self.writing, chunks) as pair:
            for (start, size), staging in zip(chunks, itertools.cycle(pair), strict=False):
                with mapped(queue, staging, size, write=True) as target:
                    np.copyto(target, data[start : start + size])
                self._copy(staging, 0, memory, start, size)

    def _read_staged(self, memory: Allocation, out: Bytes, chunks: "Chunks") -> None:
        """Double-buffered: the device copies one chunk while the host copies the other."""
        with _staging(self.reading, chunks) as free:
            pending: list[tuple[int, int, Allocation]] = []
            while True:
                while free and (chunk := next(chunks, None)) is not None:
                    staging = free.pop()
                    self._copy(memory, chunk[0], staging, 0, _words(chunk[1]))
                    pending.append((*chunk, staging))
                if not pending:
                    return
                start, size, staging = pending.pop(0)
                with mapped(self.queue, staging, _words(size), write=False) as source:
                    np.copyto(out[start : start + size], source[:size])
                free.append(staging)

    def _read_at_once(self, memory: Allocation, out: Bytes) -> None:
        """Reads through one staging buffer, with the copy in the submission of the open batch.

        Not by `start` and `finish`: Ctrl-C between the two would leak the buffer.
        """
        taken: list[Allocation] = []
        try:
            taken.append(self.reading.take(size_class(out.nbytes)))
            size = _words(out.nbytes)
            self._copy(memory, 0, taken[0], 0, size)
            with mapped(self.queue, taken[0], size, write=False) as source:
                np.copyto(out, source[: out.nbytes])
        except BaseException:
            _discard(self.reading, taken)
            raise
        self.reading.give(taken[0])

    def _copy(
        self, source: Allocation, source_start: int, target: Allocation, target_start: int, size: int
    ) -> None:
        copy = Copy(source.handle, source_start, target.handle, target_start, size)
        self.queue.send([], (source, target), copies=[copy])

    def in_chunks(self, work: Callable[["Chunks"], None], nbytes: int) -> None:
        """Runs `work` on the chunks of `nbytes`, in several threads if it is large.

        Raises the first error of any thread.
        """
        chunks = Chunks(nbytes)
        count = min(THREADS, nbytes // _THREAD_BYTES)
        if count < 2:
            work(chunks)
            return
        errors: list[BaseException] = []

        def run() -> None:
            try:
                work(chunks)
            except BaseException as error:
                errors.append(error)
                chunks.stop()

        threads = [threading.Thread(target=run, name="rusty_py transfer") for _ in range(count)]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:  # After Ctrl-C the threads finish their current chunk.
            chunks.stop()
            for thread in threads:
                if thread.ident is not None:  # Else it was not started.
                    thread.join()
        if errors:
            raise errors[0]


@dataclass(frozen=True)
class PendingRead:
    """A read in flight: the first `nbytes` of `memory`, a staging buffer if `staged`."""

    memory: Allocation
    nbytes: int
    staged: bool


class Chunks(Iterator[tuple[int, int]]):
    """Iterates over (start, size) of the chunks of a transfer. Thread-safe."""

    def __init__(self, nbytes: int) -> None:
        # Small enough to overlap two, large enough to be worth a submission.
        self.limit = max(_MIN_CHUNK_BYTES, min(CHUNK_BYTES, size_class(nbytes // 8)))
        self.nbytes = nbytes
        self._starts, self._lock = iter(range(0, nbytes, self.limit)), threading.Lock()

    def __next__(self) -> tuple[int, int]:
        with self._lock:
            start = next(self._starts)
        return start, min(self.limit, self.nbytes - start)

    def stop(self) -> None:
        """Ends the iteration in all threads."""
        with self._lock:
            self._starts = iter(range(0))


@contextmanager
def mapped(queue: Queue, memory: Allocation, size: int, *, write: bool) -> Iterator[Bytes]:
    """The first `size` bytes of `memory`, in whole words, as host memory that is valid inside the block.

    Waits for submitted uses. No use of the memory may be recorded meanwhile.
    """
    commands = queue.commands
    try:
        memory.unusable_reason = "is mapped; unmap it first"
        token = commands.ask_map(memory.handle, size, write=write)
        queue.poll_until(lambda: commands.answer(token))
        try:
            queue.start_mapped(memory)
            yield np.frombuffer(commands.mapped(memory.handle, size, write=write), np.uint8)
        finally:
            queue.mapped.pop(memory, None)  # One call of C, which Ctrl-C cannot prevent.
    except commands.Error as error:
        queue.refuse_lost("map")
        raise DeviceError(f"map: refused, the buffer may have been destroyed meanwhile: {error}") from error
    finally:
        interrupted = None
        while memory.unusable_reason:  # Ctrl-C is deferred until the memory is unmapped.
            try:
                commands.unmap(memory.handle)
                memory.unusable_reason = ""
            except KeyboardInterrupt as error:
                interrupted = error
        if interrupted is not None:
            raise interrupted


@contextmanager
def _staging(pool: Pool, chunks: Chunks) -> Iterator[list[Allocation]]:
    """Two staging buffers of one chunk each."""
    taken: list[Allocation] = []
    try:
        taken.extend(pool.take(size_class(chunks.limit)) for _ in range(2))
        yield list(taken)
    except BaseException:
        _discard(pool, taken)
        raise
    for memory in taken:
        pool.give(memory)


def _discard(pool: Pool, taken: Iterable[Allocation]) -> None:
    """Destroys staging buffers after an error: they may still be mapped."""
    for memory in taken:
        memory.destroy()
        pool.give(memory, destroyed=True)


def _words(nbytes: int) -> int:
    """`nbytes` rounded up to words of 4 bytes, the granularity of copies and mappings."""
    return (nbytes + 3) // 4 * 4
