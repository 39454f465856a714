"""Findings derived from the results of a run: notes, comparisons, drift."""

import math
import statistics
from collections.abc import Sequence
from itertools import groupby

from rusty_py.bench.run import BenchRun, Result
from rusty_py.measure.stats import ratio_interval

# A run shorter than this many empty launches is launch-bound.
_LAUNCH_BOUND = 5
# Rates that differ by less have stopped growing with size.
_GROWTH = 1.1
_MIN_SAMPLES = 5
_NOTABLE_DRIFT = 0.05


def note(result: Result, run: BenchRun) -> str:
    """What limits a row, and whether it is the best of its size."""
    if result.stats is None:
        return result.reason
    ranked = ranking([r for r in run.results if r.case.problem == result.case.problem])
    best = "best" if len(ranked) > 1 and ranked[0] is result else ""
    return ", ".join(filter(None, (best, _bound(result, result.stats.median, run))))


def verdicts(run: BenchRun) -> list[str]:
    """The fastest kernel of each size, by how much, and whether that is outside the noise."""
    lines = []
    for problem, rows in groupby(run.results, key=lambda result: result.case.problem):
        ranked = ranking(list(rows))
        if len(ranked) > 1:
            lines.append(f"{problem.name}: {_verdict(ranked[0], ranked[1], run)}")
    return lines


def choices(run: BenchRun) -> list[str]:
    """The plan of `auto` for each size."""
    cases = [result.case for result in run.results] + [skipped.case for skipped in run.skipped]
    return [f"{case.variant}: {case.plan}" for case in cases if case.plan]


def drift(run: BenchRun) -> str:
    """The change of the control kernel's time from the first third of the rounds to the last."""
    controls = run.anchors_ns
    if len(controls) < 6:
        return ""
    third = len(controls) // 3
    change = statistics.median(controls[-third:]) / statistics.median(controls[:third]) - 1
    text = f"drift: the control kernel's time changed by {change:+.1%} over {len(controls)} rounds"
    if abs(change) > _NOTABLE_DRIFT:
        text += "; kernels are compared round by round, but compare sizes with care"
    return text


def ranking(results: Sequence[Result]) -> list[Result]:
    """The measured results of one problem, fastest first."""
    measured = [(result.stats.median, i) for i, result in enumerate(results) if result.stats]
    return [results[i] for _, i in sorted(measured)]


def _bound(result: Result, median_ns: float, run: BenchRun) -> str:
    problem, rate = result.case.problem, _rate(result)
    if median_ns < _LAUNCH_BOUND * run.ceilings.launch_ns:
        return "launch-bound"
    if rate > 0.5 * (result.roof_gflops or math.inf):
        memory, arithmetic = run.ceilings.memory_gflops(problem), run.ceilings.arithmetic_gflops(problem)
        return "memory-bound" if memory < arithmetic else "compute-bound"
    same_kernel = [r for r in run.results if r.case.variant == result.case.variant and r.stats]
    smaller = [r for r in same_kernel if r.case.problem.flops < problem.flops]
    if not smaller:
        return "gains with size" if any(_rate(r) > _GROWTH * rate for r in same_kernel) else ""
    best = max(smaller, key=_rate)
    if rate > _GROWTH * _rate(best):
        return "gains with size"
    if rate * _GROWTH > _rate(best):
        return "levelled off"
    return f"{rate / _rate(best):.0%} of its rate at {best.case.problem.name}"


def _rate(result: Result) -> float:
    return result.gflops or 0.0


def _verdict(first: Result, second: Result, run: BenchRun) -> str:
    winner, loser = first.case.variant, second.case.variant
    slower, faster = _by_round(second, run), _by_round(first, run)
    rounds = sorted(slower.keys() & faster.keys())
    if len(rounds) < _MIN_SAMPLES:
        return f"{winner} was fastest; too few samples to tell it from {loser}"
    ratio, low, high = ratio_interval([slower[r] for r in rounds], [faster[r] for r in rounds])
    text = f"{winner} is {ratio:.2f} times as fast as {loser} (95 % interval {low:.2f} to {high:.2f})"
    return f"{text}, outside the noise" if low > 1 else f"{text}, within the noise"


def _by_round(result: Result, run: BenchRun) -> dict[int, float]:
    return {timed.round: timed.ns(run.clock) / timed.runs for timed in result.samples}
