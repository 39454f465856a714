"""What one small eager operation costs: ours, and PyTorch's on CUDA where it is installed, in one run.

    python -m benchmarks.eager

Each line is the median of 7 samples of 1,000 calls, in microseconds a call: wall time until the last call
returned, wall time through the final wait, and CPU time of the whole process, all threads.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec

import numpy as np

import rusty_py as rp

CALLS, SAMPLES, WARM_UP = 1000, 7, 100


def measure(name: str, call: Callable[[], object], wait: Callable[[], object]) -> None:
    """Prints a line of `call`."""
    for _ in range(WARM_UP):
        call()
    wait()
    samples = []
    for _ in range(SAMPLES):
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(CALLS):
            call()
        issued = time.perf_counter() - wall
        wait()
        samples.append((issued, time.perf_counter() - wall, time.process_time() - cpu))
    issued, waited, used = (statistics.median(each) * 1e6 / CALLS for each in zip(*samples, strict=True))
    figures = f"issued {issued:.2f} us, through the wait {waited:.2f}, CPU of the process {used:.2f}"
    print(f"{name}: {figures}", flush=True)


def operands() -> Mapping[str, np.ndarray]:
    """Random, the same for both."""
    rng = np.random.default_rng()
    shapes = {"x": (256,), "y": (256,), "a": (256, 256), "b": (256, 256), "bias": (256,)}
    return {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}


def ours(host: Mapping[str, np.ndarray]) -> None:
    """Ours, on the default device."""
    x, y, a, b, bias = (rp.array(each) for each in host.values())
    device = rp.default_device()
    for name, call in {
        "x + y": lambda: x + y,
        "x * 2": lambda: x * 2.0,
        "x.sum()": lambda: x.sum(),
        "a @ b": lambda: a @ b,
        "relu(a @ b + bias)": lambda: rp.matmul(a, b, bias=bias, activation="relu"),
        "a.T + b": lambda: a.T + b,
        "a[3:100, ::2] + 1": lambda: a[3:100, ::2] + 1,
    }.items():
        measure(f"rusty_py {name}", call, device.wait)


def pytorch(host: Mapping[str, np.ndarray]) -> None:
    """PyTorch's, without TF32."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    x, y, a, b, bias = (torch.from_numpy(each).cuda() for each in host.values())
    for name, call in {
        "x + y": lambda: x + y,
        "x * 2": lambda: x * 2.0,
        "x.sum()": lambda: x.sum(),
        "a @ b": lambda: a @ b,
        "relu(a @ b + bias)": lambda: torch.relu(a @ b + bias),
        "a.T + b": lambda: a.T + b,
        "a[3:100, ::2] + 1": lambda: a[3:100, ::2] + 1,
    }.items():
        measure(f"PyTorch {name}", call, torch.cuda.synchronize)


def main() -> None:
    """Ours first, then PyTorch's."""
    host = operands()
    print(rp.default_device().adapter)
    ours(host)
    if find_spec("torch") is not None:
        pytorch(host)


if __name__ == "__main__":
    main()
