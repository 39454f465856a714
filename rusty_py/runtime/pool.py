"""The memory pool: reuses buffers by size class and evicts the least recently used.

A buffer returns when its last reference is dropped. The queue runs in order, so the next launch can reuse it
at once; host writes and mappings first check that earlier uses have finished. Before memory is destroyed,
recorded work must be submitted: `Pool` calls `before_destroy`.
"""

import itertools
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from rusty_py.errors import OutOfMemory
from rusty_py.runtime import native
from rusty_py.runtime.capi import handle

if TYPE_CHECKING:
    import wgpu

_MIN_BYTES = 256
# Size classes per power of two: above 256 bytes, a buffer is at most an eighth larger than requested.
_CLASSES = 8


_serials = itertools.count(1)


@dataclass(eq=False, slots=True)
class Allocation:
    """A wgpu buffer, its C handle and the number of the last submission that used it (see queue.py).

    `serial` is unique in the process; `unusable_reason` is the reason why no submission may use the
    allocation, if any. Virtual allocations have no buffer and no handle.
    """

    raw: "wgpu.GPUBuffer | None"
    size: int
    handle: Any
    serial: int = field(default_factory=lambda: next(_serials))
    used_in: int = 0
    unusable_reason: str = ""
    destroyed: bool = False

    def destroy(self) -> None:
        """Frees the buffer. Submitting it afterwards would abort the process."""
        self.destroyed = True
        if self.raw is not None and not native.forked():
            self.raw.destroy()


class Allocator(Protocol):
    """Allocates the memory of buffers and takes it back."""

    def take(self, size: int) -> Allocation:
        """Allocates `size` bytes."""

    def give(self, memory: Allocation, *, destroyed: bool = False) -> None:
        """Returns an allocation."""


class VirtualAllocator:
    """Allocations without memory, for captures and plans; submissions reject them with `unusable_reason`."""

    def __init__(self, unusable_reason: str) -> None:
        self._unusable_reason = unusable_reason

    def take(self, size: int) -> Allocation:
        """A virtual allocation."""
        return Allocation(None, size, None, unusable_reason=self._unusable_reason)

    def give(self, memory: Allocation, *, destroyed: bool = False) -> None:
        """Does nothing."""


@dataclass(frozen=True)
class PoolStats:
    """Statistics of a pool. `allocation_count` counts new buffers only."""

    allocation_count: int
    reuse_count: int
    eviction_count: int
    live_bytes: int
    cached_bytes: int
    peak_bytes: int

    @property
    def hit_rate(self) -> float:
        """The fraction of requests that reused a buffer."""
        requests = self.allocation_count + self.reuse_count
        return self.reuse_count / requests if requests else 0.0


def size_class(nbytes: int) -> int:
    """The allocation size for `nbytes`: at least 256, else the next of eight sizes per power of two."""
    if nbytes <= _MIN_BYTES:
        return _MIN_BYTES
    step = (1 << (nbytes - 1).bit_length() - 1) // _CLASSES
    return -(-nbytes // step) * step


class Pool:
    """Creates buffers with `create` and caches unused ones for reuse. Thread-safe.

    Caches at most `max_buffers_per_size` of one class and `max_cached_bytes` in total. Used and cached bytes
    together never exceed `memory_limit`, if given.
    """

    def __init__(
        self,
        create: "Callable[[int], wgpu.GPUBuffer]",
        *,
        before_destroy: Callable[[], None] = lambda: None,
        max_buffers_per_size: int = 32,
        max_cached_bytes: int = 1 << 30,
        memory_limit: int | None = None,
    ) -> None:
        self._create, self._before_destroy = create, before_destroy
        self.max_buffers_per_size = max_buffers_per_size
        self.max_cached_bytes = max_cached_bytes
        self.memory_limit = memory_limit
        # Buffers may be finalized anywhere, even inside the methods below: they queue here, without a lock.
        self._returned: deque[tuple[Allocation, bool]] = deque()
        # Allocations in use, by serial. A garbage cycle with a Buffer is finalized with everything only it
        # references: without this reference the wgpu object would be released before it returns.
        self._lent: dict[int, Allocation] = {}
        self._lock = native.free_in_forks(threading.Lock())
        # Least recently used first; and the keys by size class, last returned last.
        self._kept: OrderedDict[int, Allocation] = OrderedDict()
        self._keys: dict[int, list[int]] = {}
        self._next_key = 0
        self._allocations = self._reuses = self._evictions = 0
        self._live_bytes = self._kept_bytes = self._peak_bytes = 0

    def take(self, size: int) -> Allocation:
        """An uninitialized allocation of exactly `size` bytes: the last returned one, or a new one.

        Raises OutOfMemory if it exceeds the limit, or if the driver has no memory even after eviction.
        """
        with self._lock:
            if self._returned and size <= self.max_cached_bytes:
                memory, destroyed = returned = self._returned.pop()
                if memory.size == size and not destroyed:  # Still counted as in use: no counter changes.
                    memory.unusable_reason = ""
                    self._reuses += 1
                    return memory
                self._returned.append(returned)
            self._collect()
            memory = self._reuse(size) or self._allocate(size)
            self._lent[memory.serial] = memory
            self._live_bytes += size
            if self._live_bytes + self._kept_bytes > self._peak_bytes:
                self._peak_bytes = self._live_bytes + self._kept_bytes
            return memory

    def give(self, memory: Allocation, *, destroyed: bool = False) -> None:
        """Returns an allocation of `take`, which the owner may have `destroyed`."""
        self._returned.append((memory, destroyed))

    def shrink_to_fit(self, max_bytes: int = 0) -> None:
        """Evicts cached buffers, least recently used first, until at most `max_bytes` are cached."""
        with self._lock:
            self._collect()
            self._evict_until(max_bytes)

    def purge(self) -> None:
        """Evicts all cached buffers."""
        self.shrink_to_fit(0)

    def stats(self) -> PoolStats:
        """The current statistics."""
        with self._lock:
            self._collect()
            self._recount()
            return PoolStats(
                self._allocations,
                self._reuses,
                self._evictions,
                self._live_bytes,
                self._kept_bytes,
                self._peak_bytes,
            )

    def _reuse(self, size: int) -> Allocation | None:
        keys = self._keys.get(size)
        while keys:
            # None if Ctrl-C interrupted between removing the memory and its key.
            memory = self._kept.pop(keys.pop(), None)
            if memory is not None:
                self._kept_bytes -= size
                self._reuses += 1
                return memory
        return None

    def _allocate(self, size: int) -> Allocation:
        if self.memory_limit is not None:
            self._recount()
            self._evict_until(self.memory_limit - self._live_bytes - size)
            if self._live_bytes + size > self.memory_limit:
                raise OutOfMemory(
                    f"buffer: the memory limit leaves no room for {size:,} bytes:"
                    f" {self._live_bytes:,} of {self.memory_limit:,} are in use"
                )
        try:
            raw = self._create(size)
        except OutOfMemory:
            if not self._kept:
                raise
            self._evict_until(0)
            raw = self._create(size)
        self._allocations += 1
        return Allocation(raw, size, handle(raw))

    def _collect(self) -> None:
        """Processes allocations returned since the last call."""
        while self._returned:
            memory, destroyed = self._returned.popleft()
            size, memory.unusable_reason = memory.size, ""
            self._lent.pop(memory.serial, None)
            self._live_bytes -= size
            if destroyed:
                continue
            keys = self._keys.setdefault(size, [])
            self._kept[self._next_key] = memory
            keys.append(self._next_key)
            self._next_key += 1
            self._kept_bytes += size
            if len(keys) > self.max_buffers_per_size:
                self._evict(keys.pop(0))
        self._evict_until(self.max_cached_bytes)

    def _evict_until(self, max_bytes: int) -> None:
        while self._kept and self._kept_bytes > max_bytes:
            self._evict(next(iter(self._kept)))

    def _evict(self, key: int) -> None:
        memory = self._kept.pop(key, None)
        if memory is None:
            return
        if key in self._keys[memory.size]:
            self._keys[memory.size].remove(key)
        self._kept_bytes -= memory.size
        self._evictions += 1
        self._before_destroy()
        memory.destroy()

    def _recount(self) -> None:
        """Recomputes the counters: Ctrl-C may interrupt between a change and its count."""
        self._live_bytes = sum(memory.size for memory in self._lent.values())
        self._kept_bytes = sum(memory.size for memory in self._kept.values())
