"""What one small eager operation costs: ours, and PyTorch's on CUDA where it is installed, in turn.

    python -m benchmarks.eager

Each line is the median of 15 samples of 1,000 calls, in microseconds a call: wall time until the last call
returned, wall time through the final wait, and CPU time of the whole process, all threads. Samples of ours
and PyTorch's take turns, because the clock of a host's cores changes from one second to the next; the ratio
is the median of those of neighbours.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np

import rusty_py as rp

CALLS, SAMPLES, WARM_UP = 1000, 15, 100

Call = Callable[[], object]


def sample(call: Call, wait: Call) -> tuple[float, float, float]:
    """Seconds a call: issued, through the wait, and of CPU."""
    for _ in range(WARM_UP):
        call()
    wait()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(CALLS):
        call()
    issued = time.perf_counter() - wall
    wait()
    times = issued, time.perf_counter() - wall, time.process_time() - cpu
    return times[0] / CALLS, times[1] / CALLS, times[2] / CALLS


def measure(name: str, implementations: Mapping[str, tuple[Call, Call]]) -> None:
    """Prints a line for each implementation, a call and a wait, and how ours compares."""
    samples: dict[str, list[tuple[float, float, float]]] = {each: [] for each in implementations}
    for _ in range(SAMPLES):
        for each, (call, wait) in implementations.items():
            samples[each].append(sample(call, wait))
    for each, taken in samples.items():
        issued, waited, used = (1e6 * statistics.median(column) for column in zip(*taken, strict=True))
        figures = f"issued {issued:.2f} us, through the wait {waited:.2f}, CPU of the process {used:.2f}"
        print(f"{each} {name}: {figures}", flush=True)
    if len(samples) == 2:
        ours, theirs = samples.values()
        wall, cpu = (
            statistics.median(a[column] / b[column] for a, b in zip(ours, theirs, strict=True))
            for column in (1, 2)
        )
        print(f"ratio {name}: {wall:.2f} through the wait, {cpu:.2f} of CPU time", flush=True)


def operands() -> Mapping[str, np.ndarray]:
    """Random, the same for both."""
    rng = np.random.default_rng()
    shapes = {"x": (256,), "y": (256,), "a": (256, 256), "b": (256, 256), "bias": (256,)}
    return {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}


def calls(arrays: Mapping[str, Any], epilogue: Call) -> dict[str, Call]:
    """What is measured, on arrays of either library; `epilogue` is a product with what follows it."""
    x, y, a, b = (arrays[name] for name in "xyab")
    return {
        "x + y": lambda: x + y,
        "x * 2": lambda: x * 2.0,
        "x.sum()": lambda: x.sum(),
        "a @ b": lambda: a @ b,
        "relu(a @ b + bias)": epilogue,
        "a.T + b": lambda: a.T + b,
        "a[3:100, ::2] + 1": lambda: a[3:100, ::2] + 1,
    }


def ours(host: Mapping[str, np.ndarray]) -> dict[str, Call]:
    """Ours, on the default device."""
    arrays = {name: rp.array(each) for name, each in host.items()}
    a, b, bias = arrays["a"], arrays["b"], arrays["bias"]
    return calls(arrays, lambda: rp.matmul(a, b, bias=bias, activation="relu"))


def pytorch(host: Mapping[str, np.ndarray]) -> dict[str, Call]:
    """PyTorch's, without TF32."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    arrays = {name: torch.from_numpy(each).cuda() for name, each in host.items()}
    a, b, bias = arrays["a"], arrays["b"], arrays["bias"]
    return calls(arrays, lambda: torch.relu(a @ b + bias))


def main() -> None:
    """A row for each operation."""
    host = operands()
    device = rp.default_device()
    print(device.adapter)
    implementations = {"rusty_py": (ours(host), device.wait)}
    if find_spec("torch") is not None:
        import torch

        if torch.cuda.is_available():
            implementations["PyTorch"] = (pytorch(host), torch.cuda.synchronize)
    for name in implementations["rusty_py"][0]:
        measure(name, {each: (made[name], wait) for each, (made, wait) in implementations.items()})


if __name__ == "__main__":
    main()
