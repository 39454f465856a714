"""Unified memory: mapped for reading, written through the queue. A CPU driver can play it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

import rusty_py as rp
from rusty_py import Adapter, Device, matmul

from .products import assert_product, uniform


@pytest.fixture
def unified(adapter: Adapter) -> Iterator[Device]:
    if "mappable-primary-buffers" not in adapter.features:
        pytest.skip("this adapter maps no storage")
    with Device(replace(adapter, type="IntegratedGPU"), timeout_s=20) as device:
        assert (device.transfer.mapped_read, device.transfer.mapped_write) == (True, False)
        yield device


def words(count: int) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    return np.random.default_rng().integers(0, 1 << 32, count, np.uint32)


@pytest.mark.parametrize("count", [1, 1023, 1 << 20, 10 << 20])
def test_what_is_written_is_read_with_no_launch_between(unified: Device, count: int) -> None:
    buffer = unified.upload(words(count))
    for _ in range(3):
        sent = words(count)
        unified.write(buffer, sent)
        received = np.zeros_like(sent)
        unified.read(buffer, received)
        np.testing.assert_array_equal(received, sent)


def test_a_write_comes_between_the_launches_around_it(unified: Device) -> None:
    x = rp.asarray(words(64), device=unified)
    first = x + x
    x.assign(later := words(64))
    second = x + x
    unified.write(x.buffer, latest := words(64))
    np.testing.assert_array_equal(second, later + later)
    np.testing.assert_array_equal(x, latest)
    assert first.shape == second.shape


def test_products_and_chains_are_right(unified: Device) -> None:
    a, b = uniform(70, 33), uniform(33, 50)
    assert_product(matmul(a, b, device=unified), a, b)
    assert_product((rp.asarray(a, device=unified) @ rp.asarray(b, device=unified)).numpy(), a, b)


def test_graphs_replay_what_was_assigned(unified: Device) -> None:
    x = rp.zeros(100, device=unified)
    with unified.capture() as graph:
        y = x * 2.0 + 1.0
    for value in (3.0, -5.0):
        x.assign(np.full(100, value, np.float32))
        graph.replay()
        assert (y.numpy() == 2 * value + 1).all()


def test_threads_write_and_read_their_own(unified: Device) -> None:
    def work(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        for _ in range(50):
            sent = rng.integers(0, 1 << 20, 3000, np.uint32)
            doubled = (rp.asarray(sent, device=unified) * 2).numpy()
            if not (doubled == 2 * sent).all():
                return False
        return True

    with ThreadPoolExecutor(6) as threads:
        assert all(threads.map(work, range(6)))
