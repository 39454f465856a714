"""Buffers that are used again, on a device."""

import gc
import weakref

import numpy as np
import pytest

from rusty_py import Adapter, Device, OutOfMemory, ShapeError, matmul
from rusty_py.runtime.launch import record

from .children import outcome
from .products import launches

pytestmark = pytest.mark.usefixtures("short_kernels")

ONES = np.ones((64, 64), np.float32)


def test_a_loop_allocates_nothing_after_its_first_round(adapter: Adapter) -> None:
    with Device(adapter) as device:
        matmul(ONES, ONES, device=device)
        before = device.pool_stats()
        for _ in range(20):
            matmul(ONES, ONES, device=device)
        after = device.pool_stats()
    assert after.allocation_count == before.allocation_count
    assert after.reuse_count == before.reuse_count + 60
    assert after.live_bytes == 0


def test_a_buffer_returns_by_reference_counting_alone(adapter: Adapter) -> None:
    with Device(adapter) as device:
        gc.disable()
        try:
            buffer = device.upload(ONES)
            assert device.pool_stats().live_bytes == ONES.nbytes
            del buffer
            assert device.pool_stats().live_bytes == 0
        finally:
            gc.enable()


def test_a_device_without_references_is_gone_by_reference_counting_alone(adapter: Adapter) -> None:
    device = Device(adapter)
    matmul(ONES, ONES, device=device)
    gone = weakref.ref(device)
    gc.disable()
    try:
        del device
        assert gone() is None
    finally:
        gc.enable()


def test_what_a_recording_uses_is_not_handed_out(adapter: Adapter) -> None:
    with Device(adapter) as device:
        a, b, c = device.upload(ONES), device.upload(ONES), device.zeros(ONES.nbytes)
        recording = record(device, launches(device, a, b, c, m=64, k=64, n=64))
        del a, b
        other = device.upload(np.full_like(ONES, 7.0))
        device.submit(recording)
        product = np.empty_like(ONES)
        device.read(c, product)
        assert (product == 64.0).all()
        assert other.memory not in [buffer.memory for buffer in recording.buffers]


def test_a_write_into_a_reused_buffer_comes_after_the_work_that_still_reads_it(adapter: Adapter) -> None:
    size = 256
    ones, sevens = np.ones((size, size), np.float32), np.full((size, size), 7.0, np.float32)
    with Device(adapter) as device:
        a, b, c = device.upload(ones), device.upload(ones), device.zeros(ones.nbytes)
        device.submit(record(device, launches(device, a, b, c, m=size, k=size, n=size)))
        memory = a.memory
        del a
        again = device.upload(sevens)
        assert again.memory is memory
        product = np.empty_like(ones)
        device.read(c, product)
        assert (product == size).all()


def test_zeros_are_zero_in_a_buffer_that_was_used(adapter: Adapter) -> None:
    with Device(adapter) as device:
        device.upload(ONES)
        got = np.empty_like(ONES)
        device.read(device.zeros(ONES.nbytes), got)
        assert device.pool_stats().reuse_count == 1
        assert not got.any()


def test_a_destroyed_buffer_does_not_come_back(adapter: Adapter) -> None:
    with Device(adapter) as device:
        buffer = device.upload(ONES)
        buffer.destroy()
        buffer.destroy()
        del buffer
        assert device.pool_stats().live_bytes == device.pool_stats().cached_bytes == 0
        assert (matmul(ONES, ONES, device=device) == 64.0).all()


def test_a_device_beyond_its_memory_limit_says_so_and_stays_usable(adapter: Adapter) -> None:
    with Device(adapter, memory_limit=100_000) as device:
        with pytest.raises(
            OutOfMemory, match=r"the memory limit leaves no room for 163,840 bytes: 0 of 100,000"
        ):
            device.upload(np.ones((200, 200), np.float32))
        assert (matmul(ONES, ONES, device=device) == 64.0).all()
        assert device.pool_stats().peak_bytes <= 100_000


def test_a_product_beyond_the_memory_limit_is_computed_in_parts_or_refused(adapter: Adapter) -> None:
    large = np.ones((200, 200), np.float32)
    with Device(adapter, memory_limit=100_000) as device:
        assert (matmul(large, large, device=device) == 200.0).all()
        assert device.pool_stats().peak_bytes <= 100_000
    with Device(adapter, memory_limit=4_000) as device:
        with pytest.raises(OutOfMemory, match=r"^matmul: no room for the smallest blocks: [\d,]+ bytes, "):
            matmul(large, large, device=device)
        assert device.pool_stats().peak_bytes <= 4_000
        small = np.ones((8, 8), np.float32)
        assert (matmul(small, small, device=device) == 8.0).all()


def test_a_driver_out_of_memory_is_an_error_and_the_device_stays_usable(adapter: Adapter) -> None:
    if not adapter.is_cpu:
        pytest.skip("an address-space limit does not bound a GPU's memory")
    script = """
import resource
from rusty_py import OutOfMemory
d = Device()
matmul(ONES, ONES, device=d)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20),) * 2)
kept = d.empty(100 << 20)
del kept
held = []
try:
    for _ in range(64):
        held.append(d.empty(60 << 20))
except OutOfMemory as error:
    print(error)
evicted = d.pool_stats().eviction_count
held.clear()
d.pool.purge()
print(evicted, matmul(ONES, ONES, device=d)[0, 0])
"""
    said, rest = outcome(script).splitlines()
    assert said.startswith("buffer: no room on ")
    assert rest.split()[1] == "33.0"
    assert int(rest.split()[0]) >= 1


def test_reads_share_their_staging_memory(adapter: Adapter) -> None:
    with Device(adapter, staged=True) as device:
        buffer, got = device.upload(ONES), np.empty_like(ONES)
        for _ in range(10):
            device.read(buffer, got)
        stats = device.transfer.reading.stats()
    assert (stats.allocation_count, stats.reuse_count) == (1, 9)


def test_staging_memory_of_a_read_that_failed_is_not_used_again(
    adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(answered: object) -> None:
        raise KeyboardInterrupt

    with Device(adapter, staged=True) as device:
        buffer, got = device.upload(ONES), np.empty_like(ONES)
        with monkeypatch.context() as patched:
            patched.setattr(device.queue, "poll_until", interrupted)
            with pytest.raises(KeyboardInterrupt):
                device.read(buffer, got)
        device.read(buffer, got)
        assert (got == ONES).all()
        assert device.transfer.reading.stats().reuse_count == 0


@pytest.mark.parametrize("view", [np.s_[:, ::2], np.s_[::-1]])
def test_reading_into_what_is_not_contiguous_is_refused(adapter: Adapter, view: tuple[slice, ...]) -> None:
    with Device(adapter) as device:
        buffer = device.upload(ONES)
        with pytest.raises(ShapeError, match=r"^read: fills C-contiguous, writable arrays only"):
            device.read(buffer, np.zeros((64, 64), np.float32)[view])


def test_a_buffer_of_a_cycle_comes_back_usable(adapter: Adapter) -> None:
    with Device(adapter) as device:
        cycle: list[object] = [device.upload(ONES)]
        cycle.append(cycle)
        del cycle
        gc.collect()
        assert device.pool_stats().live_bytes == 0
        buffer, got = device.upload(ONES), np.empty_like(ONES)
        assert device.pool_stats().reuse_count == 1
        device.read(buffer, got)
        assert (got == ONES).all()
