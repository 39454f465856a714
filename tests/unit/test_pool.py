"""The pool on buffers that are only counted."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rusty_py.errors import OutOfMemory
from rusty_py.runtime.pool import Pool, size_class


class Fake:
    """A buffer that knows whether it was destroyed."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.destroyed = False
        self._internal = None  # Where wgpu-py has the C handle.

    def destroy(self) -> None:
        assert not self.destroyed
        self.destroyed = True


@given(st.integers(0, 1 << 40))
def test_a_size_class_holds_what_is_asked_for_and_wastes_an_eighth_at_most(nbytes: int) -> None:
    size = size_class(nbytes)
    assert size >= nbytes
    assert size <= max(256, nbytes * 9 / 8)
    assert size % 32 == 0
    assert size_class(size) == size


def test_powers_of_two_are_classes() -> None:
    assert [size_class(1 << n) for n in range(8, 40)] == [1 << n for n in range(8, 40)]


def test_a_returned_buffer_is_the_next_one_of_its_size() -> None:
    pool = Pool(Fake)
    first, other = pool.take(256), pool.take(512)
    pool.give(first)
    assert pool.take(256) is first
    assert pool.take(256) is not first
    assert other.size == 512
    stats = pool.stats()
    assert (stats.allocation_count, stats.reuse_count) == (3, 1)
    assert stats.hit_rate == 0.25


def test_a_pool_that_was_never_asked_has_no_hits() -> None:
    assert Pool(Fake).stats().hit_rate == 0.0


def test_bytes_are_live_or_kept_or_gone() -> None:
    pool = Pool(Fake)
    a, b = pool.take(1024), pool.take(512)
    assert (pool.stats().live_bytes, pool.stats().cached_bytes) == (1536, 0)
    pool.give(a)
    assert (pool.stats().live_bytes, pool.stats().cached_bytes) == (512, 1024)
    pool.give(b)
    pool.purge()
    stats = pool.stats()
    assert (stats.live_bytes, stats.cached_bytes, stats.peak_bytes, stats.eviction_count) == (0, 0, 1536, 2)
    assert a.raw.destroyed
    assert b.raw.destroyed


def test_a_buffer_its_owner_destroyed_is_not_handed_out_again() -> None:
    pool = Pool(Fake)
    gone = pool.take(256)
    gone.raw.destroy()
    pool.give(gone, destroyed=True)
    assert pool.take(256) is not gone
    assert pool.stats().live_bytes == 256


def test_at_most_so_many_of_a_size_are_kept_and_the_oldest_goes() -> None:
    pool = Pool(Fake, max_buffers_per_size=2)
    buffers = [pool.take(256) for _ in range(3)]
    for buffer in buffers:
        pool.give(buffer)
    assert pool.stats().cached_bytes == 512
    assert [buffer.raw.destroyed for buffer in buffers] == [True, False, False]


def test_the_longest_unused_goes_first_whatever_its_size() -> None:
    pool = Pool(Fake)
    small, large, last = pool.take(256), pool.take(4096), pool.take(512)
    for buffer in (large, small, last):
        pool.give(buffer)
    pool.shrink_to_fit(800)
    assert (large.raw.destroyed, small.raw.destroyed, last.raw.destroyed) == (True, False, False)
    pool.shrink_to_fit(512)
    assert (small.raw.destroyed, last.raw.destroyed) == (True, False)


def test_kept_bytes_have_a_budget() -> None:
    pool = Pool(Fake, max_cached_bytes=1000)
    for buffer in [pool.take(512) for _ in range(3)]:
        pool.give(buffer)
    assert pool.stats().cached_bytes == 512


def test_what_is_larger_than_the_budget_is_made_anew_each_time() -> None:
    for budget, reused in ((0, 0), (511, 0), (512, 2)):
        pool = Pool(Fake, max_cached_bytes=budget)
        for _ in range(3):
            pool.give(pool.take(512))
        stats = pool.stats()
        assert (stats.allocation_count, stats.reuse_count) == (3 - reused, reused)


def test_a_memory_limit_is_met_by_giving_up_what_is_kept() -> None:
    pool = Pool(Fake, memory_limit=1024)
    kept = pool.take(512)
    pool.give(kept)
    pool.take(768)
    assert kept.raw.destroyed
    assert pool.stats().live_bytes + pool.stats().cached_bytes <= 1024


def test_beyond_the_memory_limit_the_numbers_are_told_and_the_pool_goes_on() -> None:
    pool = Pool(Fake, memory_limit=1024)
    pool.take(768)
    with pytest.raises(OutOfMemory, match=r"no room for 512 bytes: 768 of 1,024 are in use$"):
        pool.take(512)
    assert pool.stats().live_bytes == 768
    pool.take(256)


def test_a_driver_without_room_is_asked_once_more_after_giving_up_what_is_kept() -> None:
    room = 1024

    def create(size: int) -> Fake:
        held = sum(fake.size for fake in made if not fake.destroyed)
        if held + size > room:
            raise OutOfMemory("full")
        made.append(Fake(size))
        return made[-1]

    made: list[Fake] = []
    pool = Pool(create)
    pool.give(pool.take(768))
    assert pool.take(512).size == 512
    with pytest.raises(OutOfMemory, match="full"):
        pool.take(768)
    assert pool.stats().live_bytes == 512


def test_a_buffer_may_come_back_while_the_pool_is_at_work() -> None:
    taken: list[Fake] = []

    def create(size: int) -> Fake:
        if taken:  # As when garbage is collected inside.
            pool.give(taken.pop())
        return Fake(size)

    pool = Pool(create)
    taken.append(pool.take(256))
    done = threading.Event()
    thread = threading.Thread(target=lambda: (pool.take(512), done.set()), daemon=True)
    thread.start()
    assert done.wait(10)
    assert pool.stats().cached_bytes == 256


def test_threads_never_share_a_buffer() -> None:
    pool = Pool(Fake)
    used: set[int] = set()

    def work(_: int) -> None:
        for _ in range(300):
            buffer = pool.take(256)
            assert id(buffer) not in used
            used.add(id(buffer))
            used.discard(id(buffer))
            pool.give(buffer)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    stats = pool.stats()
    assert stats.allocation_count + stats.reuse_count == 1200
    assert stats.live_bytes == 0
