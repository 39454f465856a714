"""Whether the host should finish a sum: its second launch against adding up the partial sums in NumPy.

    python -m benchmarks.host_finish

device: `float(x.sum())`, all passes, after which four bytes are read. host: the first pass alone, whose
partial sums are read and added up in float64. Both end with the number in Python. Medians of alternating
samples, in microseconds; the ratio is the median of those of neighbours, above 1 where the host is faster.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

import rusty_py as rp
from rusty_py.dtypes import F32
from rusty_py.ops.all import REDUCTIONS
from rusty_py.ops.reduce import operations as reduce
from rusty_py.ops.reduce.box import rows_box
from rusty_py.ops.reduce.launches import form_of, launch_pass
from rusty_py.ops.reduce.passes import passes
from rusty_py.ops.reduce.source import has_subgroups

SIZES = tuple(1 << power for power in (16, 17, 18, 20, 22, 24, 26))
SAMPLES, WARM_UP = 31, 5


def main() -> None:
    """Prints a line for each size."""
    device = rp.default_device()
    print(device.adapter)
    for size in SIZES:
        if 4 * size <= device.limits.binding_bytes:
            measure(rp.array(np.random.default_rng().standard_normal(size, np.float32)))


def measure(x: rp.Array) -> None:
    """Prints both times and their ratio, after both sums were checked."""
    host = host_finish(x)
    if host is None:
        print(f"{x.size:>9} elements: one launch")
        return
    exact = float(x.numpy().sum(dtype=np.float64))
    for result in (host(), float(x.sum())):
        assert abs(result - exact) < 1e-3 * x.size**0.5, (result, exact)
    on_device, on_host = zip(*samples(lambda: float(x.sum()), host), strict=True)
    ratio = statistics.median(a / b for a, b in zip(on_device, on_host, strict=True))
    medians = [1e6 * statistics.median(each) for each in (on_device, on_host)]
    print(f"{x.size:>9} elements: device {medians[0]:.1f} us, host {medians[1]:.1f} us, ratio {ratio:.2f}")


def host_finish(x: rp.Array) -> Callable[[], float] | None:
    """The sum of a one-dimensional array by one launch and the host; None where one launch does it all."""
    device, row = x.device, REDUCTIONS["sum"]
    cpu, threads = device.adapter.is_cpu, device.limits.threads
    first, *rest = passes(1, x.size, 1, cpu=cpu, max_threads=threads)
    if not rest:
        return None
    box = rows_box(1, x.size, 1)
    stage = replace(reduce.stage_of(row, F32), result="")
    form = form_of(first, box, [""], stage, subgroups=has_subgroups(device))
    partial_sums = np.empty(first.width, np.float32)

    def call() -> float:
        out = device.empty(4 * first.width)
        launch_pass(device, stage, form, box, first, [x.buffer], out)
        device.read(out, partial_sums)
        return float(partial_sums.sum(dtype=np.float64))

    return call


def samples(*calls: Callable[[], float]) -> Iterator[tuple[float, ...]]:
    """Seconds of each call, in turn."""
    for turn in range(WARM_UP + SAMPLES):
        times = []
        for call in calls:
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        if turn >= WARM_UP:
            yield tuple(times)


if __name__ == "__main__":
    main()
