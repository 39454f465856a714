"""Between host and device, by the fastest way that is correct on this adapter.

Where the host can map storage buffers (CPU drivers; unified memory, for reading), it copies straight out of
them. Otherwise through staging buffers: one at a time for what is small, and for what is large by several
threads with two each, so that copying on the host overlaps the transfer.
"""

import itertools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from rusty_py.pool import Memory, Pool, size_class
from rusty_py.queue import Queue

# A transfer goes in chunks: staging memory stays bounded, and each wait short.
CHUNK_BYTES = 8 << 20
# Below this, threads cost more than they bring.
_PARALLEL_BYTES = 4 * CHUNK_BYTES
# On a 16-core host with an H200 six were fastest, up and down; beyond, they wait for each other.
_THREADS = max(1, min(6, (os.cpu_count() or 1) // 2))
MOST_STAGED_BYTES = 2 * _THREADS * CHUNK_BYTES

Bytes = NDArray[np.uint8]


class Transfer:
    """Moves bytes for one device. `mapped_read` and `mapped_write`: what its storage buffers allow."""

    def __init__(
        self, queue: Queue, reading: Pool, writing: Pool, *, mapped_read: bool, mapped_write: bool
    ) -> None:
        self.queue = queue
        self.reading, self.writing = reading, writing
        self.mapped_read, self.mapped_write = mapped_read, mapped_write

    def upload(self, memory: Memory, data: Bytes) -> None:
        """Copies `data`, in whole words, to the start of `memory`, behind what was recorded before."""
        if self.mapped_write and self._write_mapped(memory, data):
            return
        if data.nbytes < _PARALLEL_BYTES or _THREADS == 1:
            self._write_queued(memory, data)
        else:
            self._in_parallel(lambda chunks: self._write_staged(memory, data, chunks), data.nbytes)

    def download(self, memory: Memory, out: Bytes) -> None:
        """Fills `out` from the start of `memory`, after what was recorded before."""
        if self.mapped_read:
            self._read_mapped(memory, out)
        elif out.nbytes < _PARALLEL_BYTES or _THREADS == 1:
            self._read_staged(memory, out, iter(range(0, out.nbytes, CHUNK_BYTES)))
        else:
            self._in_parallel(lambda chunks: self._read_staged(memory, out, chunks), out.nbytes)

    def _write_mapped(self, memory: Memory, data: Bytes) -> bool:
        """Writes where nothing uses the memory any more; a wait for that would hold up the caller."""
        queue = self.queue
        with queue.lock:  # So that nobody records or submits a use of it meanwhile.
            if queue.uses(memory) or not queue.finished(memory):
                return False
            with mapped(queue, memory, data.nbytes, write=True) as target:
                np.copyto(target, data)
        return True

    def _read_mapped(self, memory: Memory, out: Bytes) -> None:
        queue = self.queue
        while True:
            queue.wait()
            with queue.lock:
                if memory.used_in <= queue.done:  # Else another thread has used it since.
                    with mapped(queue, memory, _words(out.nbytes), write=False) as source:
                        np.copyto(out, source[: out.nbytes])
                    return

    def _write_queued(self, memory: Memory, data: Bytes) -> None:
        """By wgpu's own staging memory, which only a submission frees."""
        queue = self.queue
        for start in range(0, data.nbytes, CHUNK_BYTES):
            part = data[start : start + CHUNK_BYTES]
            queue.write(memory, start, queue.commands.ffi.from_buffer(part), part.nbytes)
            if (start + part.nbytes) % _PARALLEL_BYTES == 0:  # So that it is freed as we go.
                queue.send([], (), empty=True)
                queue.wait()

    def _write_staged(self, memory: Memory, data: Bytes, chunks: Iterator[int]) -> None:
        queue = self.queue
        with _staging(self.writing, 2) as pair:
            for start, staging in zip(chunks, itertools.cycle(pair), strict=False):
                part = data[start : start + CHUNK_BYTES]
                with mapped(queue, staging, part.nbytes, write=True) as target:
                    np.copyto(target, part)
                self._copy(staging, 0, memory, start, part.nbytes)

    def _read_staged(self, memory: Memory, out: Bytes, chunks: Iterator[int]) -> None:
        """Two chunks at a time: one is copied by the device while the other is by the host."""
        chunk = min(CHUNK_BYTES, out.nbytes)
        with _staging(self.reading, 2 if out.nbytes > CHUNK_BYTES else 1, chunk) as free:
            coming: list[tuple[int, Memory]] = []
            while True:
                while free and (start := next(chunks, None)) is not None:
                    staging = free.pop()
                    size = min(CHUNK_BYTES, out.nbytes - start)
                    self._copy(memory, start, staging, 0, _words(size))
                    coming.append((start, staging))
                if not coming:
                    return
                start, staging = coming.pop(0)
                size = min(CHUNK_BYTES, out.nbytes - start)
                with mapped(self.queue, staging, _words(size), write=False) as source:
                    np.copyto(out[start : start + size], source[:size])
                free.append(staging)

    def _copy(self, source: Memory, source_start: int, target: Memory, target_start: int, size: int) -> None:
        queue = self.queue
        copy = queue.commands.copy(
            queue.device, source.handle, source_start, target.handle, target_start, size
        )
        queue.send([copy], (source, target))

    def _in_parallel(self, work: Callable[[Iterator[int]], None], nbytes: int) -> None:
        """Runs `work` in threads that share the chunks; the first error of any is raised here."""
        chunks = _Shared(range(0, nbytes, CHUNK_BYTES))
        errors: list[BaseException] = []

        def run() -> None:
            try:
                work(chunks)
            except BaseException as error:
                errors.append(error)
                chunks.stop()

        threads = [threading.Thread(target=run, name="rusty_py transfer") for _ in range(_THREADS)]
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


class _Shared(Iterator[int]):
    """Numbers that several threads take turns at."""

    def __init__(self, numbers: range) -> None:
        self._numbers, self._lock = iter(numbers), threading.Lock()

    def __next__(self) -> int:
        with self._lock:
            return next(self._numbers)

    def stop(self) -> None:
        with self._lock:
            self._numbers = iter(range(0))


@contextmanager
def mapped(queue: Queue, memory: Memory, size: int, *, write: bool) -> Iterator[Bytes]:
    """The first `size` bytes of `memory`, whole words, as host memory; they are gone when the block ends.

    Nobody else may record a use of it meanwhile. Waits for the uses that were submitted.
    """
    commands = queue.commands
    queue.refuse_lost("map")
    memory.refusal = "is mapped; unmap it first"
    try:
        token = commands.ask_map(memory.handle, size, write=write)
        queue.until(lambda: commands.answer(token))
        yield np.frombuffer(commands.mapped(memory.handle, size, write=write), np.uint8)
    finally:
        commands.unmap(memory.handle)
        memory.refusal = ""


@contextmanager
def _staging(pool: Pool, count: int, nbytes: int = CHUNK_BYTES) -> Iterator[list[Memory]]:
    """Staging memory from the pool; on an error it is destroyed, for it may be half mapped."""
    taken: list[Memory] = []
    try:
        taken.extend(pool.take(size_class(nbytes)) for _ in range(count))
        yield list(taken)
    except BaseException:
        for memory in taken:
            if memory.raw is not None:
                memory.raw.destroy()
            pool.give(memory, destroyed=True)
        raise
    for memory in taken:
        pool.give(memory)


def _words(nbytes: int) -> int:
    """Copies and mappings come in words of 4 bytes."""
    return (nbytes + 3) // 4 * 4
