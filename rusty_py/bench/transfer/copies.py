"""The copy paths: memcpy, rusty_py, rusty_py with staging buffers, and wgpu-py; each with verification."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rusty_py.bench.plain import Plain
from rusty_py.measure.work import Implementation, Verify
from rusty_py.runtime.device import Buffer, Device

MEMCPY, OURS, STAGED, PLAIN, NEW = "memcpy", "ours", "ours, staged", "wgpu-py", "wgpu-py, new buffer"

_POISON = 0xDEADBEEF


@dataclass(frozen=True)
class TransferDevices:
    """Our device, one that stages all transfers, and a wgpu-py device."""

    device: Device
    staged: Device
    plain: Plain


class Arrays:
    """The host arrays, shared by all paths and touched before the first pass."""

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes
        self.rng = np.random.default_rng()
        self.source: NDArray[np.uint32] = self.rng.integers(0, 1 << 32, nbytes // 4, np.uint32)
        self.target: NDArray[np.uint32] = np.full_like(self.source, _POISON)

    def refresh(self) -> None:
        """Changes every word of the source and poisons the target."""
        self.source += np.uint32(self.rng.integers(1, 1 << 32))
        self.target.fill(_POISON)

    def fault(self, got: NDArray[Any]) -> str:
        """Describes how `got` differs from the source; "" if it doesn't."""
        words = got.reshape(-1).view(np.uint8).view(np.uint32)
        if words.size != self.source.size:
            return f"{4 * words.size} bytes arrived of {self.nbytes}"
        wrong = np.count_nonzero(words != self.source)
        return f"{wrong / words.size:.2%} of the words differ" if wrong else ""


def uploads(devices: TransferDevices, arrays: Arrays) -> Sequence[Implementation]:
    """Host to device; each ends when the data is on the device."""
    return [
        _memcpy_from(arrays),
        _our_upload(OURS, devices.device, arrays),
        _our_upload(STAGED, devices.staged, arrays),
        *_plain_uploads(devices.plain, arrays),
    ]


def downloads(devices: TransferDevices, arrays: Arrays) -> Sequence[Implementation]:
    """Device to host; each ends when the data is on the host."""
    return [
        _memcpy_to(arrays),
        _our_download(OURS, devices.device, arrays),
        _our_download(STAGED, devices.staged, arrays),
        _plain_download(devices.plain, arrays),
    ]


def verifier(arrays: Arrays, before: Callable[[], None], arrived: Callable[[], NDArray[Any]]) -> Verify:
    """Verifies a path: refreshes the arrays, calls `before`, runs a pass, compares what `arrived`."""

    def verify(run: Callable[[], None]) -> str:
        arrays.refresh()
        before()
        run()
        return arrays.fault(arrived())

    return verify


def _memcpy_from(arrays: Arrays) -> Implementation:
    """memcpy to a separate array, as every path has a separate buffer, so that caches favor none."""
    own = np.full_like(arrays.source, _POISON)

    def run(n: int) -> None:
        for _ in range(n):
            np.copyto(own, arrays.source)

    return Implementation(MEMCPY, run, verifier(arrays, lambda: own.fill(_POISON), lambda: own))


def _memcpy_to(arrays: Arrays) -> Implementation:
    """memcpy from a separate array."""
    own = np.empty_like(arrays.source)

    def run(n: int) -> None:
        for _ in range(n):
            np.copyto(arrays.target, own)

    return Implementation(
        MEMCPY, run, verifier(arrays, lambda: np.copyto(own, arrays.source), lambda: arrays.target)
    )


def _our_upload(by: str, device: Device, arrays: Arrays) -> Implementation:
    buffer = device.empty(arrays.nbytes, label=by)

    def run(n: int) -> None:
        for _ in range(n):
            device.write(buffer, arrays.source)
            device.wait()

    def arrived() -> NDArray[Any]:
        return np.frombuffer(device.raw.queue.read_buffer(_raw(buffer), size=arrays.nbytes), np.uint8)

    return Implementation(by, run, verifier(arrays, lambda: None, arrived))


def _our_download(by: str, device: Device, arrays: Arrays) -> Implementation:
    buffer = device.empty(arrays.nbytes, label=by)

    def fill() -> None:
        device.wait()
        device.raw.queue.write_buffer(_raw(buffer), 0, arrays.source)
        device.raw.queue.submit([])
        device.raw._poll_wait()

    def run(n: int) -> None:
        for _ in range(n):
            device.read(buffer, arrays.target)

    return Implementation(by, run, verifier(arrays, fill, lambda: arrays.target))


def _plain_uploads(plain: Plain, arrays: Arrays) -> Sequence[Implementation]:
    buffer = plain.buffer(arrays.nbytes)
    made: list[Any] = []

    def write(n: int) -> None:
        for _ in range(n):
            plain.fill(buffer, arrays.source)
            plain.queue.submit([])
            plain.wait()

    def make(n: int) -> None:
        for _ in range(n):
            made.clear()
            made.append(plain.buffer_with(arrays.source))
            plain.queue.submit([])
            plain.wait()

    return [
        Implementation(PLAIN, write, verifier(arrays, lambda: None, lambda: plain.read(buffer))),
        Implementation(NEW, make, verifier(arrays, lambda: None, lambda: plain.read(made[0]))),
    ]


def _plain_download(plain: Plain, arrays: Arrays) -> Implementation:
    buffer = plain.buffer(arrays.nbytes)
    got: list[NDArray[Any]] = []

    def fill() -> None:
        plain.fill(buffer, arrays.source)

    def run(n: int) -> None:
        for _ in range(n):
            got[:] = [plain.read(buffer)]

    return Implementation(PLAIN, run, verifier(arrays, fill, lambda: got[0]))


def _raw(buffer: Buffer) -> Any:
    """The wgpu-py buffer."""
    return buffer.memory.raw
