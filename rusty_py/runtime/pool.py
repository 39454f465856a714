"""Device memory that is used again: buffers by size class, the longest unused given up first.

A buffer comes back when the last reference to it goes. The queue runs in order, so the next launch may have
it at once; a host write or a map asks the queue first whether its uses are over. Before memory is destroyed,
what is recorded must be submitted: `Pool` calls `before_destroy`.
"""

import itertools
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from rusty_py.errors import OutOfMemory
from rusty_py.runtime import native

if TYPE_CHECKING:
    import wgpu

_MIN_BYTES = 256
# To every doubling: above 256 bytes, a buffer is at most an eighth larger than asked for.
_CLASSES = 8


_serials = itertools.count(1)


@dataclass(eq=False, slots=True)
class Allocation:
    """A wgpu buffer: its C handle, and the number of the submission that used it last (see queue.py).

    `serial` is unique in the process; `unusable_reason` says why no submission may use the allocation now.
    Allocations planned in a capture have no buffer and no handle yet.
    """

    raw: "wgpu.GPUBuffer | None"
    size: int
    handle: Any
    serial: int = field(default_factory=lambda: next(_serials))
    used_in: int = 0
    unusable_reason: str = ""
    destroyed: bool = False

    def destroy(self) -> None:
        """Frees the buffer; a submission with it would end the process."""
        self.destroyed = True
        if self.raw is not None and not native.forked():
            self.raw.destroy()


class Allocator(Protocol):
    """Where a buffer has its memory from, and where it goes back to."""

    def take(self, size: int) -> Allocation:
        """Memory of `size` bytes."""

    def give(self, memory: Allocation, *, destroyed: bool = False) -> None:
        """Takes it back."""


class VirtualAllocator:
    """Buffers without memory, for captures and plans. No submission may use them, for `unusable_reason`."""

    def __init__(self, unusable_reason: str) -> None:
        self._unusable_reason = unusable_reason

    def take(self, size: int) -> Allocation:
        """Memory that is none."""
        return Allocation(None, size, None, unusable_reason=self._unusable_reason)

    def give(self, memory: Allocation, *, destroyed: bool = False) -> None:
        """Nothing is kept."""


@dataclass(frozen=True)
class PoolStats:
    """What a pool has done, and holds. `allocation_count` counts new buffers only."""

    allocation_count: int
    reuse_count: int
    eviction_count: int
    live_bytes: int
    cached_bytes: int
    peak_bytes: int

    @property
    def hit_rate(self) -> float:
        """Of all buffers asked for, the fraction that was there already."""
        asked = self.allocation_count + self.reuse_count
        return self.reuse_count / asked if asked else 0.0


def size_class(nbytes: int) -> int:
    """What is allocated for `nbytes`: 256, or the next of eight sizes between two powers of two."""
    if nbytes <= _MIN_BYTES:
        return _MIN_BYTES
    step = (1 << (nbytes - 1).bit_length() - 1) // _CLASSES
    return -(-nbytes // step) * step


class Pool:
    """Buffers made by `create` and, once unused, kept for the next taker; safe to use from many threads.

    At most `max_buffers_per_size` of one class and `max_cached_bytes` in all are kept. With a
    `memory_limit`, used and kept bytes together never pass it.
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
        # Buffers die anywhere, also inside the methods below: they queue here, without a lock.
        self._returned: deque[tuple[Allocation, bool]] = deque()
        # What is out, by serial. A cycle that holds a Buffer is finalised with all it alone can reach: were
        # the wgpu object among that, it would come back released.
        self._lent: dict[int, Allocation] = {}
        self._lock = threading.Lock()
        # By age, the longest unused first; and the keys of that by class, the last returned last.
        self._kept: OrderedDict[int, Allocation] = OrderedDict()
        self._keys: dict[int, list[int]] = {}
        self._next_key = 0
        self._allocations = self._reuses = self._evictions = 0
        self._live_bytes = self._kept_bytes = self._peak_bytes = 0

    def take(self, size: int) -> Allocation:
        """Memory of exactly `size` bytes, its content undefined: the last returned one, or a new one.

        Raises OutOfMemory where the limit, or the driver after everything kept was given up, has no room.
        """
        with self._lock:
            if self._returned and size <= self.max_cached_bytes:
                memory, destroyed = returned = self._returned.pop()
                if memory.size == size and not destroyed:  # It goes on being lent: nothing to count anew.
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
        """Takes memory back that `take` gave, which its owner may have `destroyed`."""
        self._returned.append((memory, destroyed))

    def shrink_to_fit(self, max_bytes: int = 0) -> None:
        """Gives up kept buffers, the longest unused first, until at most `max_bytes` are kept."""
        with self._lock:
            self._collect()
            self._evict_until(max_bytes)

    def purge(self) -> None:
        """Gives up all kept buffers."""
        self.shrink_to_fit(0)

    def stats(self) -> PoolStats:
        """The counters as of now."""
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
            # None for a key whose memory went as Ctrl-C came between the two.
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
        return Allocation(raw, size, raw._internal)

    def _collect(self) -> None:
        """Files what was returned since the last time."""
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
        """Ctrl-C may come between a change and its count."""
        self._live_bytes = sum(memory.size for memory in self._lent.values())
        self._kept_bytes = sum(memory.size for memory in self._kept.values())
