"""The tables and findings of `rusty-bench overhead`."""

from rusty_py.bench.diagnosis import faster
from rusty_py.bench.overhead import branches, eager, launches, memory, parts
from rusty_py.bench.overhead.work import HELPER, OURS, PLAIN
from rusty_py.bench.report.columns import WIDE_ONLY, Column, Table, table_of
from rusty_py.bench.report.facts import block_of
from rusty_py.bench.report.numbers import duration, spread
from rusty_py.measure.document import BenchRun, Result, Row
from rusty_py.measure.stats import ratio_interval

_TARGET_HELPER = 8.0
_TARGET_BRANCHES = 1.5
_MIN_SAMPLES = 5  # For an interval, and for claims based on one.


def tables(run: BenchRun) -> list[Table]:
    """The rows, and the parts of eager calls."""
    return [table for table in (_rows(run), _parts(run)) if table.lines]


def configuration(run: BenchRun) -> list[str]:
    """What was measured and how. Each row has a clock of its own."""
    return block_of(run, {"Suite": "overhead of the host", "Reference": PLAIN})


def findings(run: BenchRun) -> list[str]:
    """Findings, derived from the results."""
    lines = [_helper(run), _replay(run), *(_pool(run, size) for size in memory.SIZES)]
    lines += [_branches(run), _bindings(run), _slower(run)]
    return [line for line in lines if line]


def legend(run: BenchRun) -> list[str]:
    """The legend of the columns."""
    split = [
        "process CPU: of all threads, for one of the calls. Python, wgpu-native, waiting for the device and"
        " timing add up to the wall time of the calls with wgpu-native's functions timed: timing is what that"
        " adds, Python the rest, cffi included. native calls: how many of these functions are called."
    ]
    return [
        "Medians of one run, by the CPU time of the calling thread or by the wall clock, as --wide shows."
        " ±: median absolute deviation of ours.",
        f"{PLAIN}: the same by plain wgpu-py, its pipelines and bind groups made once; {HELPER}: its"
        " helper, which keeps nothing. ratio: of their times to ours.",
        "a launch recorded waits in the open batch; it is encoded and submitted with others, as the rows"
        " below it count.",
        *split * bool(_parts(run).lines),
        "seed: a published figure for a thing of the kind, on another machine; not measured here.",
    ]


def _rows(run: BenchRun) -> Table:
    columns = [
        Column("what", right=False),
        Column("clock", right=False, rank=2),
        Column(OURS),
        Column("± %", rank=3),
        Column(PLAIN),
        Column(HELPER, rank=4),
        Column("ratio"),
        Column("seed", right=False, rank=WIDE_ONLY),
    ]
    lines = []
    for row in run.rows:
        ours = row.result(OURS)
        ratios = [row.ratio(other, OURS) for other in (PLAIN, HELPER)]
        lines.append(
            [
                row.problem.name,
                "CPU" if row.results[0].clock == "cpu" else "wall",
                _cell(ours),
                spread(ours.stats) if ours else "",
                _cell(row.result(PLAIN)),
                _cell(row.result(HELPER)),
                ", ".join(f"{ratio:.3g}" for ratio in ratios if ratio),
                row.seed,
            ]
        )
    return table_of(columns, lines)


def _parts(run: BenchRun) -> Table:
    """One line for each row with divided times."""
    names = (eager.PROCESS_CPU, *parts.PARTS)
    columns = [
        Column("eager calls", right=False),
        *(Column(name) for name in names),
        Column("together", rank=1),
        Column("native calls", rank=2),
    ]
    lines = []
    for row in run.rows:
        ours, timed = row.result(OURS), row.result(eager.TIMED)
        if ours and timed and ours.ns and timed.ns:
            split = [timed.figure(part) or 0.0 for part in parts.PARTS]
            times = [ours.figure(eager.PROCESS_CPU) or 0.0, *split, sum(split)]
            calls = timed.figure(parts.NATIVE_CALLS) or 0.0
            lines.append([row.problem.name, *map(duration, times), f"{calls:.3g}"])
    return table_of(columns, lines)


def _helper(run: BenchRun) -> str:
    row = run.row(launches.ROUND_TRIP)
    ratio = row.ratio(HELPER, OURS) if row else None
    text = row and faster(row.result(HELPER), row.result(OURS))
    if not row or not ratio:
        return ""
    return f"{launches.ROUND_TRIP}: ours is {text} as {HELPER}; {_reached(ratio, _TARGET_HELPER, row)}"


def _replay(run: BenchRun) -> str:
    graph, eager = run.row(launches.REPLAYED), run.row(launches.EAGER)
    if not graph or not eager:
        return ""
    own = faster(eager.result(OURS), graph.result(OURS))
    other = faster(graph.result(PLAIN), graph.result(OURS))
    if not own or not other:
        return ""
    return f"100 launches replayed: {own} as recorded anew; {other} as {PLAIN} records them anew"


def _pool(run: BenchRun, size: str) -> str:
    rows = [run.row(memory.pooled(size, pool)) for pool in ("on", "off")]
    found = [row.result(OURS) if row else None for row in rows]
    on, off = found
    if not on or not off or not on.ns or not off.ns:
        return ""
    made = [each.figure(memory.ALLOCATIONS) for each in (on, off)]
    text = f"pool at {size}: step time {on.ns / off.ns - 1:+.0%}"
    if made[0] is not None and made[1]:
        steps = on.figure(memory.STEPS) or 0
        text += f", allocations a step from {made[1]:.3g} to {made[0]:.3g} ({made[0] / made[1] - 1:+.0%})"
        text += f" over {steps:,.0f} steps"
    return text


def _branches(run: BenchRun) -> str:
    together, apart = run.row(branches.TOGETHER), run.row(branches.APART)
    if not apart or not together:
        return ""
    text = faster(apart.result(OURS), together.result(OURS))
    if not text:
        return ""
    ratio = (apart.ns(OURS) or 0) / (together.ns(OURS) or 1)
    return (
        f"{branches.BRANCHES} independent kernels: one submission is {text} as one each;"
        f" {_reached(ratio, _TARGET_BRANCHES, apart, together)}"
    )


def _bindings(run: BenchRun) -> str:
    shares = []
    for what in (launches.RECORDED, launches.BOUND):
        row = run.row(what)
        ours = row.result(OURS) if row else None
        found, made = (
            (ours.figure(name) or 0.0) if ours else 0.0
            for name in (launches.BINDINGS_FOUND, launches.BINDINGS_MADE)
        )
        if found + made:
            shares.append(f"{found / (found + made):.1%} of {found + made:,.0f} found ({what})")
    return f"bind groups: {'; '.join(shares)}" if shares else ""


def _slower(run: BenchRun) -> str:
    slow = []
    for row in run.rows:
        ours, plain = row.result(OURS), row.result(PLAIN)
        if not ours or not plain or not len(ours.samples) == len(plain.samples) >= _MIN_SAMPLES:
            continue
        ratio, _, high = ratio_interval(plain.samples_ns, ours.samples_ns)
        if high < 1:
            slow.append(f"{row.problem.name} ({ratio:.2g})")
    return f"{PLAIN} takes less time than ours, outside the noise, for: {'; '.join(slow)}" if slow else ""


def _reached(ratio: float, target: float, *rows: Row) -> str:
    counts = [len(each.samples) for row in rows for each in row.results if len(each.samples)]
    if min(counts) < _MIN_SAMPLES:
        return f"target {target:g}: too few samples to tell"
    return f"target {target:g}: {'reached' if ratio >= target else 'not reached'}"


def _cell(result: Result | None) -> str:
    if result is None:
        return "-"
    return duration(result.ns) if result.ns else "WRONG" if result.verdict == "wrong" else "-"
