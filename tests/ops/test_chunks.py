"""Transfers through staging memory, in chunks and by several threads, made small enough to see here."""

from collections.abc import Iterator

import numpy as np
import pytest

from rusty_py import Adapter, Device
from rusty_py.runtime import transfer


@pytest.fixture
def staged(adapter: Adapter, monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    monkeypatch.setattr(transfer, "CHUNK_BYTES", 4096)
    monkeypatch.setattr(transfer, "_MIN_CHUNK_BYTES", 1024)
    monkeypatch.setattr(transfer, "_QUEUED_BYTES", 100)
    with Device(adapter, staged=True) as device:
        yield device


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("nbytes", [1, 99, 101, 1024, 1025, 4097, 100_003])
def test_bytes_arrive_in_chunks_of_any_number(
    staged: Device, monkeypatch: pytest.MonkeyPatch, nbytes: int, threads: int
) -> None:
    monkeypatch.setattr(transfer, "THREADS", threads)
    monkeypatch.setattr(transfer, "_THREAD_BYTES", 2048)
    sent = np.random.default_rng().integers(0, 256, nbytes, np.uint8)
    received = np.zeros_like(sent)
    staged.read(staged.upload(sent), received)
    np.testing.assert_array_equal(received, sent)


def test_an_error_in_a_thread_of_a_transfer_is_raised_and_the_device_goes_on(
    staged: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "THREADS", 3)
    monkeypatch.setattr(transfer, "_THREAD_BYTES", 2048)
    sent = np.random.default_rng().integers(0, 256, 100_000, np.uint8)
    buffer, received = staged.upload(sent), np.zeros_like(sent)

    def fail(*kwargs: object, **more: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(np, "copyto", fail)
        with pytest.raises(ZeroDivisionError):
            staged.read(buffer, received)
    staged.read(buffer, received)
    np.testing.assert_array_equal(received, sent)
