"""The tables and findings of `rusty-bench overhead`."""

from collections.abc import Iterator

from rusty_py.bench.overhead import branches, eager, launches, memory, parts
from rusty_py.bench.overhead.work import HELPER, OURS, PLAIN
from rusty_py.bench.report.rows import spread
from rusty_py.bench.results import Figure, ResultRow, Results
from rusty_py.measure.stats import ratio_interval

COUNTS = {
    "process_cpu_us": eager.PROCESS_CPU,
    "python_us": parts.PYTHON,
    "native_us": parts.NATIVE,
    "waiting_us": parts.WAITING,
    "timing_us": parts.TIMING,
}
"""CSV columns and their counts, which are in nanoseconds."""

_TARGET_HELPER = 8.0
_TARGET_BRANCHES = 1.5
_MIN_SAMPLES = 5  # For an interval, and for claims based on one.


def header(figures: Results) -> list[str]:
    """The column headers."""
    return ["what", "clock", OURS, "± %", PLAIN, HELPER, "ratio", "seed"]


def rows(figures: Results) -> Iterator[list[str]]:
    """One table row per result row, with rounded numbers."""
    for row in figures.rows:
        ours = row.figure(OURS)
        ratios = [row.ratio(other, OURS) for other in (PLAIN, HELPER)]
        yield [
            row.what,
            "CPU" if row.clock == "cpu" else "wall",
            _cell(ours),
            spread(ours.stats) if ours else "",
            _cell(row.figure(PLAIN)),
            _cell(row.figure(HELPER)),
            ", ".join(f"{ratio:.3g}" for ratio in ratios if ratio),
            row.seed,
        ]


def parts_header(figures: Results) -> list[str]:
    """The column headers of the second table."""
    return [
        "eager calls",
        "process CPU",
        "Python",
        "wgpu-native",
        "waiting",
        "timing",
        "together",
        "native calls",
    ]


def parts_rows(figures: Results) -> Iterator[list[str]]:
    """One table row per result row with divided times."""
    for row in figures.rows:
        ours, timed = row.figure(OURS), row.figure(eager.TIMED)
        if ours and timed and ours.ns and timed.ns:
            split = [timed.counts[part] for part in parts.PARTS]
            times = [ours.counts[eager.PROCESS_CPU], *split, sum(split)]
            yield [row.what, *map(time, times), f"{timed.counts[parts.NATIVE_CALLS]:.3g}"]


def summary(figures: Results) -> list[str]:
    """Findings, derived from the results."""
    lines = [_helper(figures), _replay(figures), *(_pool(figures, size) for size in memory.SIZES)]
    lines += [_branches(figures), _bindings(figures), _slower(figures)]
    return [line for line in lines if line]


def legend(figures: Results) -> list[str]:
    """The legend of the columns."""
    split = [
        "process CPU: of all threads, for one of the calls. Python, wgpu-native, waiting for the device and"
        " timing add up to the wall time of the calls with wgpu-native's functions timed: timing is what that"
        " adds, Python the rest, cffi included. native calls: how many of these functions are called."
    ]
    return [
        "CPU: CPU time of the calling thread; wall: the wall clock. Medians of one run; ±: median absolute"
        " deviation of ours.",
        f"{PLAIN}: the same by plain wgpu-py, its pipelines and bind groups made once; {HELPER}: its"
        " helper, which keeps nothing. ratio: of their times to ours.",
        "a launch recorded waits in the open batch; it is encoded and submitted with others, as the rows"
        " below it count.",
        *split * bool(list(parts_rows(figures))),
        "seed: a published figure for a thing of the kind, on another machine; not measured here.",
    ]


def time(ns: float) -> str:
    """A human-readable time with three digits."""
    for unit, size in (("s", 1e9), ("ms", 1e6)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}" if ns < 1000 * size else f"{ns / size:,.0f} {unit}"
    return f"{ns / 1e3:.3g} us" if ns < 999.5e3 else "1 ms"


def faster(slow: ResultRow | None, fast: ResultRow | None, by: str, than: str) -> str:
    """How many times as fast `by` of one row is as `than` of another; "" if either was not measured."""
    slower, quicker = (slow and slow.figure(than)), (fast and fast.figure(by))
    if not slower or not quicker or not slower.ns or not quicker.ns:
        return ""
    pairs = min(len(slower.samples_ns), len(quicker.samples_ns))
    median, low, high = ratio_interval(slower.samples_ns[:pairs], quicker.samples_ns[:pairs])
    interval = f" (95 % interval {low:.3g} to {high:.3g})" if pairs >= _MIN_SAMPLES else ""
    return f"{median:.3g} times as fast{interval}"


def _helper(figures: Results) -> str:
    row = figures.row(launches.ROUND_TRIP)
    ratio = row.ratio(HELPER, OURS) if row else None
    text = faster(row, row, OURS, HELPER)
    if not row or not ratio:
        return ""
    return f"{launches.ROUND_TRIP}: ours is {text} as {HELPER}; {_reached(ratio, _TARGET_HELPER, row)}"


def _replay(figures: Results) -> str:
    graph, eager = figures.row(launches.REPLAYED), figures.row(launches.EAGER)
    own, other = faster(eager, graph, OURS, OURS), faster(graph, graph, OURS, PLAIN)
    if not own or not other:
        return ""
    return f"100 launches replayed: {own} as recorded anew; {other} as {PLAIN} records them anew"


def _pool(figures: Results, size: str) -> str:
    rows = [figures.row(memory.pooled(size, pool)) for pool in ("on", "off")]
    found = [row.figure(OURS) if row else None for row in rows]
    on, off = found
    if not on or not off or not on.ns or not off.ns:
        return ""
    made = [each.counts.get(memory.ALLOCATIONS) for each in (on, off)]
    text = f"pool at {size}: step time {on.ns / off.ns - 1:+.0%}"
    if made[0] is not None and made[1]:
        steps = on.counts[memory.STEPS]
        text += f", allocations a step from {made[1]:.3g} to {made[0]:.3g} ({made[0] / made[1] - 1:+.0%})"
        text += f" over {steps:,.0f} steps"
    return text


def _branches(figures: Results) -> str:
    together, apart = figures.row(branches.TOGETHER), figures.row(branches.APART)
    text = faster(apart, together, OURS, OURS)
    if not text or not apart or not together:
        return ""
    ratio = (apart.ns(OURS) or 0) / (together.ns(OURS) or 1)
    return (
        f"{branches.BRANCHES} independent kernels: one submission is {text} as one each;"
        f" {_reached(ratio, _TARGET_BRANCHES, apart, together)}"
    )


def _bindings(figures: Results) -> str:
    parts = []
    for what in (launches.RECORDED, launches.BOUND):
        row = figures.row(what)
        ours = row.figure(OURS) if row else None
        counts = ours.counts if ours else {}
        asked = counts.get(launches.BINDINGS_FOUND, 0) + counts.get(launches.BINDINGS_MADE, 0)
        if asked:
            parts.append(f"{counts[launches.BINDINGS_FOUND] / asked:.1%} of {asked:,.0f} found ({what})")
    return f"bind groups: {'; '.join(parts)}" if parts else ""


def _slower(figures: Results) -> str:
    slow = []
    for row in figures.rows:
        ours, plain = row.figure(OURS), row.figure(PLAIN)
        if not ours or not plain or not len(ours.samples_ns) == len(plain.samples_ns) >= _MIN_SAMPLES:
            continue
        ratio, _, high = ratio_interval(plain.samples_ns, ours.samples_ns)
        if high < 1:
            slow.append(f"{row.what} ({ratio:.2g})")
    return f"{PLAIN} takes less time than ours, outside the noise, for: {'; '.join(slow)}" if slow else ""


def _reached(ratio: float, target: float, *rows: ResultRow) -> str:
    counts = [len(figure.samples_ns) for row in rows for figure in row.figures if figure.samples_ns]
    if min(counts) < _MIN_SAMPLES:
        return f"target {target:g}: too few samples to tell"
    return f"target {target:g}: {'reached' if ratio >= target else 'not reached'}"


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return "-"
    return time(figure.ns) if figure.ns else figure.verdict.upper() if figure.verdict == "wrong" else "-"
