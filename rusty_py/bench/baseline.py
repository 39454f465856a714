"""The NumPy baseline: times of the same problem on the same machine."""

import time
from collections.abc import Callable

_MAX_SAMPLES = 15


def sample_ns(compute: Callable[[], object], *, budget_s: float) -> tuple[float, ...]:
    """Times of single calls within `budget_s`, after a warm-up; only the warm-up's if it used the budget."""
    start = time.perf_counter()
    compute()
    first_s = time.perf_counter() - start
    if first_s > budget_s:
        return (first_s * 1e9,)
    samples: list[float] = []
    while len(samples) < _MAX_SAMPLES and time.perf_counter() - start < budget_s:
        begin = time.perf_counter_ns()
        compute()
        samples.append(float(time.perf_counter_ns() - begin))
    return tuple(samples) or (first_s * 1e9,)
