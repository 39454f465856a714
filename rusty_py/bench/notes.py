"""What the measurements say, in words: each is made from figures of the run, none is typed."""

import statistics
from collections.abc import Sequence
from itertools import groupby

from rusty_py.bench.case import Result, Run
from rusty_py.bench.stats import ratio_interval

# A run shorter than this many empty launches is mostly launch.
_LAUNCH_BOUND = 5
# Rates this near to a kernel's best have stopped growing with size.
_SATURATED = 0.9
_LEAST_SAMPLES = 5
_NOTABLE_DRIFT = 0.05


def note(result: Result, run: Run) -> str:
    """What holds a row back, and whether it is the best of its size."""
    if result.stats is None or result.gflops is None or result.roof_gflops is None:
        return result.reason
    same_kernel = [r.gflops for r in run.results if r.case.kernel == result.case.kernel and r.gflops]
    if result.stats.median < _LAUNCH_BOUND * run.ceilings.launch_ns:
        bound = "launch-bound"
    elif result.roof_gflops < run.ceilings.fma_gflops and result.gflops > 0.5 * result.roof_gflops:
        bound = "memory-bound"
    elif len(same_kernel) > 1 and result.gflops >= _SATURATED * max(same_kernel):
        bound = "compute-bound"
    elif len(same_kernel) > 1:
        bound = "gains with size"
    else:
        bound = ""
    ranked = ranking([r for r in run.results if r.case.problem == result.case.problem])
    best = "best" if len(ranked) > 1 and ranked[0] is result else ""
    return ", ".join(filter(None, (best, bound)))


def verdicts(run: Run) -> list[str]:
    """Which kernel wins at which size, by how much, and whether that is outside the noise."""
    lines = []
    for problem, rows in groupby(run.results, key=lambda result: result.case.problem):
        ranked = ranking(list(rows))
        if len(ranked) > 1:
            lines.append(f"{problem.name}: {_verdict(ranked[0], ranked[1], run)}")
    return lines


def drift(run: Run) -> str:
    """How the anchor kernel changed from the first third of the rounds to the last."""
    anchors = run.anchors_ns
    if len(anchors) < 6:
        return ""
    third = len(anchors) // 3
    change = statistics.median(anchors[-third:]) / statistics.median(anchors[:third]) - 1
    text = f"drift: an anchor kernel's time changed by {change:+.1%} over {len(anchors)} rounds"
    if abs(change) > _NOTABLE_DRIFT:
        text += "; kernels are compared round by round, but compare sizes with care"
    return text


def ranking(results: Sequence[Result]) -> list[Result]:
    """The measured results of one problem, fastest first."""
    measured = [(result.stats.median, i) for i, result in enumerate(results) if result.stats]
    return [results[i] for _, i in sorted(measured)]


def _verdict(first: Result, second: Result, run: Run) -> str:
    winner, loser = first.case.variant, second.case.variant
    if min(len(first.samples), len(second.samples)) < _LEAST_SAMPLES:
        return f"{winner} was fastest; too few samples to tell it from {loser}"
    ratio, low, high = ratio_interval(_by_round(second, run), _by_round(first, run))
    text = f"{winner} is {ratio:.2f} times as fast as {loser} (95 % interval {low:.2f} to {high:.2f})"
    return f"{text}, outside the noise" if low > 1 else f"{text}, within the noise"


def _by_round(result: Result, run: Run) -> list[float]:
    samples = sorted(result.samples, key=lambda timed: timed.round)
    return [timed.ns(run.clock) / timed.runs for timed in samples]
