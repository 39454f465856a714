"""Streamed products against all on the device at once, and against NumPy: in turn, in one run.

A memory limit makes the product stream; without one the same product has all its operands on the device.
Copy time is the time of the same transfers alone, both ways; compute time is that of the
product of arrays on the device. Perfect overlap would take the longer of the two.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

import rusty_py as rp
from rusty_py import Device
from rusty_py.gemm import stream


def seconds(actions: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median of each after a warm-up, in turn, so that what else the machine does meets all alike."""
    samples: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds + 1):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            samples[name].append(time.perf_counter() - start)
    return {name: statistics.median(each[1:]) for name, each in samples.items()}


def moved(device: Device, action: Callable[[], object]) -> tuple[list[int], list[int]]:
    """The bytes of each upload and each download that `action` does."""
    sent: list[int] = []
    read: list[int] = []
    write, start = device.write, device.transfer.start
    # This device alone counts, until the action ends: what mypy takes for methods are its own meanwhile.
    device.write = lambda buffer, x: (sent.append(x.nbytes), write(buffer, x))[1]  # type: ignore[method-assign]
    device.transfer.start = lambda memory, nbytes: (read.append(nbytes), start(memory, nbytes))[1]  # type: ignore[method-assign]
    try:
        action()
    finally:
        del device.write, device.transfer.start
    return sent, read


def copies(device: Device, sent: list[int], read: list[int]) -> None:
    """Moves as many bytes in parts of these sizes, and computes nothing."""
    host = np.ones(max(*sent, *read) // 4 + 1, np.float32)
    buffer = device.empty(host.nbytes)
    for nbytes in sent:
        device.write(buffer, host[: nbytes // 4])
    device.wait()
    for nbytes in read:
        device.transfer.finish(device.transfer.start(buffer.memory, nbytes), lambda data: data.copy())


def main() -> None:
    """Prints the times of a run, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", type=int, nargs=3, default=(8192, 8192, 8192), metavar=("M", "K", "N"))
    parser.add_argument("--dtype", choices=("f32", "f16"), default="f32")
    parser.add_argument(
        "--memory", type=float, default=0.25, help="of what the product takes (default: 0.25)"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--numpy", action="store_true", help="time NumPy as well")
    options = parser.parse_args()
    m, k, n = options.size
    rng = np.random.default_rng(0)
    dtype = {"f32": np.float32, "f16": np.float16}[options.dtype]
    a, b = (rng.random(shape, np.float32).astype(dtype) for shape in ((m, k), (k, n)))
    limit = int((a.nbytes + b.nbytes + m * n * a.itemsize) * options.memory)
    with Device() as resident, Device(resident.adapter, memory_limit=limit) as small:
        job = stream.Job(a, b, np.empty((m, n), dtype), rp.dtypes.element(dtype, operation="benchmark"))
        steps = stream._Steps(job)
        spans = stream.choose(small, steps, limit)
        np.testing.assert_allclose(
            rp.matmul(a, b, device=small),
            rp.matmul(a, b, device=resident),
            rtol=0.02 if a.itemsize < 4 else 1e-4,
        )
        sent, read = moved(small, lambda: rp.matmul(a, b, device=small))
        x, y = rp.array(a, device=resident), rp.array(b, device=resident)

        def on_device() -> None:
            x @ y
            resident.wait()

        actions: dict[str, Callable[[], object]] = {
            "streamed": lambda: rp.matmul(a, b, device=small),
            "all on the device, with copies": lambda: rp.matmul(a, b, device=resident),
            "compute alone": on_device,
            "copies of streaming alone": lambda: copies(resident, sent, read),
        }
        if options.numpy:
            actions["NumPy"] = lambda: a @ b
        times = seconds(actions, options.rounds)
    print(f"{resident.adapter}: {m} x {k} x {n} {options.dtype}, memory limit {limit / 2**20:,.0f} MiB")
    print(
        f"blocks: {spans.rows} x {spans.depth} x {spans.cols}, {sum(1 for _ in steps.order(spans))} steps;",
        end=" ",
    )
    print(f"{sum(sent) / 2**20:,.0f} MiB sent, {sum(read) / 2**20:,.0f} MiB read")
    for name, taken in times.items():
        print(f"{name:<32} {taken * 1e3:10.1f} ms {2e-9 * m * k * n / taken:10.1f} GFLOP/s")
    longer = max(times["compute alone"], times["copies of streaming alone"])
    print(f"streamed / max(copies, compute): {times['streamed'] / longer:.2f}")


if __name__ == "__main__":
    main()
