"""Findings derived from the results of kernels: limits, comparisons, growth with size, drift."""

import math
import statistics
from collections.abc import Sequence
from itertools import pairwise

from rusty_py.measure.document import BenchRun, Result, Row
from rusty_py.measure.figures import SPEEDUP, share_of_ceiling
from rusty_py.measure.stats import ratio_interval

# A run shorter than this many empty launches is launch-bound.
_LAUNCH_BOUND = 5
# Rates that differ by less have stopped growing with size.
_GROWTH = 1.1
_MIN_SAMPLES = 5
_NOTABLE_DRIFT = 0.05
LABELS = {"numpy": "NumPy", "torch": "PyTorch", "mlx": "MLX"}
"""The libraries that are references, by name."""

_GRADES = ((0.75, "excellent"), (0.5, "good"), (0.25, "fair"), (0.0, "poor"))
"""Grades by the least share of the ceiling."""


def kernels(row: Row) -> list[Result]:
    """The row's kernels: what is neither its reference nor measured end to end."""
    return [each for each in row.results if each.scope == "kernel" and each.by != row.reference]


def ranking(row: Row) -> list[Result]:
    """The measured kernels of a row, fastest first."""
    return sorted((each for each in kernels(row) if each.ns), key=lambda each: each.ns or math.inf)


def bound(result: Result, row: Row, run: BenchRun) -> str:
    """What limits a kernel: "launch", "memory" or "compute"; "" below half of the ceiling."""
    share = share_of_ceiling(result)
    if result.ns is None or run.ceilings is None:
        return ""
    if result.ns < _LAUNCH_BOUND * run.ceilings.launch_ns:
        return "launch"
    if not share or share <= 0.5:
        return ""
    memory, arithmetic = run.ceilings.memory_ns(row.problem), run.ceilings.arithmetic_ns(row.problem)
    return "memory" if memory > arithmetic else "compute"


def note(result: Result, row: Row, run: BenchRun) -> str:
    """What limits a kernel, and whether it is the fastest of its row."""
    if result.ns is None:
        return ""
    ranked = ranking(row)
    best = "best" if len(ranked) > 1 and ranked[0] is result else ""
    limit = bound(result, row, run)
    return ", ".join(filter(None, (best, f"{limit}-bound" if limit else growth_note(result, row, run))))


def growth_note(result: Result, row: Row, run: BenchRun) -> str:
    """How the rate compares with that of the same kernel at smaller sizes."""
    rates = {
        other.problem.name: (_work(other) / found.ns, _work(other))
        for other in of_operation(run, row)
        if (found := other.result(result.by)) and found.ns
    }
    rate, work = rates[row.problem.name]
    smaller = {name: each for name, (each, size) in rates.items() if size < work}
    if not smaller:
        return "gains with size" if any(each > _GROWTH * rate for each, _ in rates.values()) else ""
    best = max(smaller, key=lambda name: smaller[name])
    if rate > _GROWTH * smaller[best]:
        return "gains with size"
    if rate * _GROWTH > smaller[best]:
        return "levelled off"
    return f"{rate / smaller[best]:.0%} of its rate at {best}"


def of_operation(run: BenchRun, row: Row) -> list[Row]:
    """The rows of one operation that differ in size alone, smallest first."""
    same = [
        each
        for each in run.rows
        if (each.problem.operation, each.problem.dtype, each.problem.options)
        == (row.problem.operation, row.problem.dtype, row.problem.options)
    ]
    return sorted(same, key=_work)


def growth(result: Result, row: Row, run: BenchRun) -> float | None:
    """The time divided by that at the next smaller size."""
    rows = of_operation(run, row)
    place = rows.index(row)
    before = rows[place - 1].ns(result.by) if place else None
    return result.ns / before if result.ns and before else None


def exponents(run: BenchRun) -> list[str]:
    """The exponent of time against work, of the kernel that is fastest at the largest size.

    By least squares over the sizes that are not launch-bound, for operations whose rows differ in size alone.
    """
    lines = []
    for operation in dict.fromkeys(row.problem.operation for row in run.rows):
        rows = [row for row in run.rows if row.problem.operation == operation and ranking(row)]
        if not rows or not _grows(rows):
            continue
        by = ranking(rows[-1])[0].by
        points = [
            (math.log(_work(row)), math.log(found.ns))
            for row in rows
            if (found := row.result(by)) and found.ns and bound(found, row, run) != "launch"
        ]
        if len(points) > 2:
            slope = statistics.linear_regression(*zip(*points, strict=True)).slope
            lines.append(f"{operation}, {by}: time grows as work to the power of {slope:.2f}")
    return lines


def verdicts(run: BenchRun) -> list[str]:
    """The fastest kernel of each row, by how much, and whether that is outside the noise."""
    lines = []
    for row in run.rows:
        ranked = ranking(row)
        if len(ranked) > 1:
            lines.append(f"{row.problem.name}: {_verdict(ranked[0], ranked[1])}")
    return lines


def against_reference(run: BenchRun) -> list[str]:
    """Up to which size the fastest kernel, and the whole call, is slower than the reference."""
    lines = []
    for operation in dict.fromkeys(row.problem.operation for row in run.rows):
        rows = sorted((row for row in run.rows if row.problem.operation == operation), key=_work)
        for what, chosen in (("the kernel", _fastest), ("NumPy to NumPy", _whole)):
            ratios = [
                (row, ratio) for row in rows if (result := chosen(row)) and (ratio := result.figure(SPEEDUP))
            ]
            slower = [row for row, ratio in ratios if ratio < 1]
            if slower:
                reference = label_of(slower[0])
                where = _where(slower, [row for row, _ in ratios])
                lines.append(f"{operation}: {what} is slower than {reference} {where}")
    return lines


def largest_speedup(run: BenchRun) -> str:
    """The kernel that is ahead of its reference by most."""
    found = [
        (ratio, row, result)
        for row in run.rows
        for result in ranking(row)[:1]
        if (ratio := result.figure(SPEEDUP)) and ratio > 1
    ]
    if len(found) < 2:
        return ""
    ratio, row, result = max(found, key=lambda each: each[0])
    return f"largest speedup: {row.problem.name}, {result.by}: {ratio:,.3g} times as fast as {label_of(row)}"


def label_of(row: Row) -> str:
    """The name of the row's reference."""
    return LABELS.get(row.reference, row.reference)


def _fastest(row: Row) -> Result | None:
    return next(iter(ranking(row)), None)


def _whole(row: Row) -> Result | None:
    return next((each for each in row.results if each.scope == "end to end" and each.ns), None)


def _where(slower: Sequence[Row], rows: Sequence[Row]) -> str:
    """Which of the rows, in the order of size."""
    if len(slower) == len(rows):
        return "at every size measured" if len(rows) > 1 else f"at {rows[0].problem.name}"
    if list(slower) == list(rows[: len(slower)]):
        return f"below {rows[len(slower)].problem.name}"
    return f"at {', '.join(row.problem.name for row in slower)}"


def choices(run: BenchRun) -> list[str]:
    """The plan of `auto` for each size."""
    return [f"{result.by}: {result.plan}" for _, result in run.results() if result.plan]


def drift(run: BenchRun) -> str:
    """The change of the control kernel's time from the first third of the rounds to the last."""
    controls = run.drift_control_ns
    if len(controls) < 6:
        return ""
    third = len(controls) // 3
    change = statistics.median(controls[-third:]) / statistics.median(controls[:third]) - 1
    text = f"drift: the control kernel's time changed by {change:+.1%} over {len(controls)} rounds"
    if abs(change) > _NOTABLE_DRIFT:
        text += "; kernels are compared round by round, but compare sizes with care"
    return text


def grade(share: float) -> str:
    """A word for the share of the ceiling."""
    return next(word for least, word in _GRADES if share >= least)


def faster(slower: Result | None, quicker: Result | None) -> str:
    """How many times as fast `quicker` is as `slower`; "" if either was not measured."""
    if not slower or not quicker or not slower.ns or not quicker.ns:
        return ""
    slow, fast = slower.samples_ns, quicker.samples_ns
    pairs = min(len(slow), len(fast))
    median, low, high = ratio_interval(slow[:pairs], fast[:pairs])
    interval = f" (95 % interval {low:.3g} to {high:.3g})" if pairs >= _MIN_SAMPLES else ""
    return f"{median:.3g} times as fast{interval}"


def _grows(rows: Sequence[Row]) -> bool:
    """Whether the rows have the same axes and options, and no axis is shorter in a later row."""
    problems = [row.problem for row in rows]
    return all(
        before.axes.keys() == after.axes.keys()
        and before.options == after.options
        and all(size <= after.axes[axis] for axis, size in before.axes.items())
        and before.axes != after.axes
        for before, after in pairwise(problems)
    )


def _work(row: Row) -> int:
    return row.problem.flops or row.problem.nbytes


def _verdict(first: Result, second: Result) -> str:
    slower, quicker = second.samples.by_round(second.clock), first.samples.by_round(first.clock)
    rounds = sorted(slower.keys() & quicker.keys())
    if len(rounds) < _MIN_SAMPLES:
        return f"{first.by} was fastest; too few samples to tell it from {second.by}"
    ratio, low, high = ratio_interval(_at(slower, rounds), _at(quicker, rounds))
    text = f"{first.by} is {ratio:.2f} times as fast as {second.by} (95 % interval {low:.2f} to {high:.2f})"
    return f"{text}, outside the noise" if low > 1 else f"{text}, within the noise"


def _at(times: dict[int, float], rounds: Sequence[int]) -> list[float]:
    return [times[each] for each in rounds]
