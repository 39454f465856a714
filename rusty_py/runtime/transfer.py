"""Between host and device, by the fastest way that is correct on this adapter.

Where the host can map storage buffers (CPU drivers; unified memory, for reading), it copies straight out of
them. Otherwise through staging buffers: one at a time for what is small, and for what is large by several
threads with two each, so that copying on the host overlaps the transfer.
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

# A transfer goes in chunks: staging memory stays bounded, and each wait short.
CHUNK_BYTES = 8 << 20
_MIN_CHUNK_BYTES = 4 << 20
# What a thread must have to do to be worth its start.
_THREAD_BYTES = 16 << 20
# On a 16-core host with an H200 six were fastest, up and down; beyond, they wait for each other.
THREADS = max(1, min(6, (os.cpu_count() or 1) // 2))
MAX_STAGED_BYTES = 2 * THREADS * CHUNK_BYTES
# Up to here wgpu's own staging memory, made anew for every write, is as fast as ours.
_QUEUED_BYTES = 32 << 20

Bytes = NDArray[np.uint8]


class Transfer:
    """Moves bytes for one device. `mapped_read` and `mapped_write`: what its storage buffers allow."""

    def __init__(
        self, queue: Queue, reading: Pool, writing: Pool, *, mapped_read: bool, mapped_write: bool
    ) -> None:
        self.queue = queue
        self.reading, self.writing = reading, writing
        self.mapped_read, self.mapped_write = mapped_read, mapped_write

    def upload(self, memory: Allocation, data: Bytes) -> None:
        """Copies `data`, in whole words, to the start of `memory`, behind what was recorded before."""
        if self.mapped_write and self._write_mapped(memory, data):
            return
        if data.nbytes <= _QUEUED_BYTES:
            queue = self.queue
            queue.write(memory, 0, queue.commands.ffi.from_buffer(data), data.nbytes)
        else:
            self.in_chunks(partial(self._write_staged, memory, data), data.nbytes)

    def download(self, memory: Allocation, out: Bytes) -> None:
        """Fills `out` from the start of `memory`, after what was recorded before."""
        if self.mapped_read:
            self._read_mapped(memory, out)
        elif out.nbytes <= _MIN_CHUNK_BYTES:
            self._read_at_once(memory, out)
        else:
            self.in_chunks(partial(self._read_staged, memory, out), out.nbytes)

    def start(self, memory: Allocation, nbytes: int) -> "PendingRead":
        """Begins to read the first `nbytes`, behind what is recorded so far, before what comes later.

        Until `finish` or `drop` nothing may be recorded that uses `memory`, where the host maps it.
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
        """Waits for what `start` began, and for no later work, and shows it to `take`."""
        try:
            with mapped(self.queue, pending.memory, _words(pending.nbytes), write=False) as source:
                take(source[: pending.nbytes])
        except BaseException:
            self.drop(pending)
            raise
        if pending.staged:
            self.reading.give(pending.memory)

    def drop(self, pending: "PendingRead") -> None:
        """Gives up what `start` began."""
        if pending.staged and not pending.memory.destroyed:
            _discard(self.reading, [pending.memory])

    def _write_mapped(self, memory: Allocation, data: Bytes) -> bool:
        """Writes where nothing uses the memory any more; a wait for that would hold up the caller."""
        queue = self.queue
        with queue.lock:  # So that nobody records or submits a use of it meanwhile.
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
                if memory.used_in <= queue.done:  # Else another thread has used it since.
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
        """Two chunks at a time: one is copied by the device while the other is by the host."""
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
        """Through one piece of staging memory, with the open batch in one submission.

        `start` and `finish` do the same, but Ctrl-C between the two would lose the memory.
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
        """Runs `work` here, or for what is large in threads that share the chunks.

        The first error of any of them is raised here.
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
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        finally:  # After Ctrl-C they end with the chunk at hand.
            chunks.stop()
            for thread in threads:
                thread.join()
        if errors:
            raise errors[0]


@dataclass(frozen=True)
class PendingRead:
    """What is on its way to the host: the first `nbytes` of a memory, `staged` if it was made for that."""

    memory: Allocation
    nbytes: int
    staged: bool


class Chunks(Iterator[tuple[int, int]]):
    """(start, size) of the parts of a transfer, which several threads may take turns at."""

    def __init__(self, nbytes: int) -> None:
        # Small enough that there are two to overlap, large enough that they are worth a submission.
        self.limit = max(_MIN_CHUNK_BYTES, min(CHUNK_BYTES, size_class(nbytes // 8)))
        self.nbytes = nbytes
        self._starts, self._lock = iter(range(0, nbytes, self.limit)), threading.Lock()

    def __next__(self) -> tuple[int, int]:
        with self._lock:
            start = next(self._starts)
        return start, min(self.limit, self.nbytes - start)

    def stop(self) -> None:
        """Ends it for all threads."""
        with self._lock:
            self._starts = iter(range(0))


@contextmanager
def mapped(queue: Queue, memory: Allocation, size: int, *, write: bool) -> Iterator[Bytes]:
    """The first `size` bytes of `memory`, whole words, as host memory; they are gone when the block ends.

    Nobody else may record a use of it meanwhile. Waits for the uses that were submitted.
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
            queue.end_mapped(memory)
    except commands.Error as error:
        queue.refuse_lost("map")
        raise DeviceError(f"map: refused, the buffer may have been destroyed meanwhile: {error}") from error
    finally:
        interrupted = None
        while memory.unusable_reason:  # Ctrl-C that comes now is raised afterwards.
            try:
                commands.unmap(memory.handle)
                memory.unusable_reason = ""
            except KeyboardInterrupt as error:
                interrupted = error
        if interrupted is not None:
            raise interrupted


@contextmanager
def _staging(pool: Pool, chunks: Chunks) -> Iterator[list[Allocation]]:
    """Staging memory for two chunks that take turns."""
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
    """Gives up staging memory after an error, for it may be half mapped."""
    for memory in taken:
        memory.destroy()
        pool.give(memory, destroyed=True)


def _words(nbytes: int) -> int:
    """Copies and mappings come in words of 4 bytes."""
    return (nbytes + 3) // 4 * 4
