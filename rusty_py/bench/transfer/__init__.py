"""`rusty-bench transfer`: copy bandwidth to the device and back, by each path, compared with memcpy."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from rusty_py.bench.host_rows import host_options, host_row
from rusty_py.bench.plain import Plain
from rusty_py.bench.transfer import copies, torch_copies
from rusty_py.bench.transfer.copies import MEMCPY, OURS, Arrays, TransferDevices
from rusty_py.errors import LimitError
from rusty_py.measure.document import BenchProblem, BenchRun
from rusty_py.measure.runner import Comparison, Progress, Runner, Schedule
from rusty_py.measure.sampling import Options
from rusty_py.runtime.device import Device

MAX_TIME_S = 45.0
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
SIZES = (4 * KIB, 64 * KIB, MIB, 4 * MIB, 16 * MIB, 64 * MIB, 256 * MIB)
DIRECTIONS = ("upload", "download")

_EVEN = 16 * MIB  # Up to this size all rows get the same time.
_COPIES = 8  # The maximum number of copies of the data in unified memory.


def options(*, runs: int | None, max_time_s: float | None) -> Options:
    """A sample is one pass, so that the cache state is the same for all paths."""
    return host_options(
        sample_s=0.0, min_samples=7, max_samples=101, runs=runs, max_time_s=max_time_s or MAX_TIME_S
    )


def size_name(nbytes: int) -> str:
    """A human-readable size, such as 4 KiB."""
    for unit, size in (("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if nbytes >= size and nbytes % size == 0:
            return f"{nbytes // size} {unit}"
    return f"{nbytes} bytes"


def row_name(direction: str, nbytes: int) -> str:
    """The name of a row."""
    return f"{direction} {size_name(nbytes)}"


def task(direction: str, nbytes: int) -> BenchProblem:
    """The problem of a row. Bytes count once, as they are read."""
    return BenchProblem("transfer", row_name(direction, nbytes), read_bytes=nbytes)


def measure(
    device: Device,
    options: Options,
    *,
    context: Mapping[str, object],
    progress: Progress,
    sizes: Sequence[int] = SIZES,
) -> BenchRun:
    """Measures both directions at each size. After Ctrl-C the result has what was measured so far."""
    moved = {"mapped_read": device.transfer.mapped_read, "mapped_write": device.transfer.mapped_write}
    run = BenchRun("transfer", {**context, "transfers": moved})
    with _devices(device) as devices:
        schedules = [
            Schedule(
                task(direction, nbytes),
                partial(_comparisons, devices, direction, nbytes),
                by=(OURS,),
                weight=max(1.0, nbytes / _EVEN),
            )
            for nbytes in sizes
            for direction in DIRECTIONS
        ]
        return Runner(options, progress).measure(schedules, run)


def _comparisons(devices: TransferDevices, direction: str, nbytes: int) -> Sequence[Comparison]:
    _ensure_room(nbytes)
    for device in (devices.device, devices.staged):
        device.purge()
    arrays = Arrays(nbytes)
    make, peers = (
        (copies.uploads, torch_copies.uploads)
        if direction == "upload"
        else (copies.downloads, torch_copies.downloads)
    )
    implementations = [*make(devices, arrays), *peers(arrays)]
    method = "random words, all compared, written or read back by wgpu-py"
    return [host_row(task(direction, nbytes), "wall", method, implementations, reference=MEMCPY)]


def _ensure_room(nbytes: int) -> None:
    import psutil

    free = psutil.virtual_memory().available
    if _COPIES * nbytes > free:
        raise LimitError(
            f"transfer: needs up to {_COPIES} times {size_name(nbytes)}, {free / MIB:,.0f} MiB are free"
        )


@contextmanager
def _devices(device: Device) -> Iterator[TransferDevices]:
    """The other devices, on the adapter of the first."""
    plain = Plain(device.adapter)
    try:
        with Device(device.adapter, staged=True) as staged:
            yield TransferDevices(device, staged, plain)
    finally:
        plain.close()
