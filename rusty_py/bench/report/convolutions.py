"""The tables and findings of `rusty-bench conv2d`."""

import math
import statistics

from rusty_py.bench import diagnosis
from rusty_py.bench.report import kernels
from rusty_py.bench.report.columns import WIDE_ONLY, Column, Table, table_of
from rusty_py.bench.report.facts import block_of, facts
from rusty_py.bench.report.numbers import microseconds, rate, saved, speedup, spread
from rusty_py.measure.document import BenchRun, Result, Row
from rusty_py.measure.figures import GFLOPS, SPEEDUP, share_of_ceiling

BASIC = "basic"
WORKSPACE = "workspace"
"""The name of a figure, as in bench/conv_suite.py."""

_SETTINGS = ("kernel", "stride", "padding", "dilation", "groups")
_IMAGE = {"height", "width"}
AXES = {"batch", "channels", "outputs", *_IMAGE, *_SETTINGS}
"""What the axes of a convolution are."""


def tables(run: BenchRun) -> list[Table]:
    """Times and ratios, their spread and the memory, time per pixel by size, and whole calls."""
    found = (_times(run), _details(run), _scaling(run), kernels.whole_calls(run))
    return [table for table in found if table.lines]


def configuration(run: BenchRun) -> list[str]:
    """The parameters of the convolutions, those that are swept with all their values."""
    axes = [row.problem.axes for row in run.rows if row.problem.axes]

    def values(name: str) -> str:
        return ", ".join(dict.fromkeys(str(each[name]) for each in axes))

    channels = dict.fromkeys(f"{each['channels']} in, {each['outputs']} out" for each in axes)
    kernel_sizes = dict.fromkeys(f"{each['kernel']}×{each['kernel']}" for each in axes)
    settings = {
        "Device": str(facts(run, "adapter", "name") or ""),
        "Suite": "conv2d",
        "Images": ", ".join(dict.fromkeys(f"{each['width']}×{each['height']}" for each in axes)),
        "Batch": values("batch"),
        "Channels": "; ".join(channels),
        "Kernel": ", ".join(kernel_sizes),
        **{name.capitalize(): values(name) for name in _SETTINGS[1:]},
        "Dtype": ", ".join(dict.fromkeys(row.problem.dtype for row in run.rows)),
        "Layout": ", ".join(dict.fromkeys(row.problem.options.get("layout", "") for row in run.rows)),
        "Clock": ("GPU timestamps" if run.clock == "gpu" else "wall clock") if run.clock_reason else "",
        "Reference": ", ".join(dict.fromkeys(diagnosis.label_of(row) for row in run.rows if row.reference)),
    }
    return block_of(run, settings)


def findings(run: BenchRun) -> list[str]:
    """The selected algorithms, the fastest ones, and the drift of the machine."""
    lines = diagnosis.choices(run) + diagnosis.verdicts(run) + diagnosis.against_reference(run)
    lines += [diagnosis.largest_speedup(run), *kernels.budget_shares(run), diagnosis.drift(run)]
    tuned = facts(run, "tuned")
    lines += [f"tuning: {each}" for each in tuned] if isinstance(tuned, list) else []
    return [line for line in lines if line]


def legend(run: BenchRun) -> list[str]:
    """The legend of the columns, and how results were verified."""
    if not any(result.ns for _, result in run.results()):
        return []
    clock = "the GPU's timestamps" if run.clock == "gpu" else "the wall clock over batched runs"
    lines = [
        "sizes: width×height input:output channels; n batch, k kernel, s stride, p padding, d dilation,"
        " g groups, where they are not n1 k3 s1 d1 g1 and half the kernel.",
        f"us: median by {clock} ({run.clock_reason}), kernel only, data on the device; low, high: 95 %"
        " interval of the median.",
        "GFLOPS: the operations of the sum of products, also for algorithms with fewer; ceiling (--wide):"
        " share of the roofline of an algorithm's own operations.",
    ]
    found = dict.fromkeys(row.reference for row in run.rows if row.reference)
    lines += [kernels.reference_legend(run, each) for each in found]
    lines += [
        "vs basic: the time saved against the basic algorithm.",
        "ns/pixel: time for each pixel of the result, with all channels; MB: workspace, the peak of the"
        " memory pool in a call beyond operands and result, in 10^6 bytes.",
    ]
    if _scaling(run).lines:
        lines.append("exponent: time grows as pixels to this power, by least squares.")
    if kernels.whole_calls(run).lines:
        lines.append(kernels.CALL_LEGEND)
    methods = [r.verification.method for _, r in run.results() if r.scope == "kernel" and r.verification]
    lines += kernels.error_legend(run)
    return [*lines, *(f"verified before and after timing: {each}." for each in dict.fromkeys(methods))]


def labels(run: BenchRun) -> dict[str, str]:
    """The names of rows without the parameters that all have in common."""
    names = [row.problem.name for row in run.rows]
    common = set.intersection(*(set(name.split()[1:]) for name in names)) if len(names) > 1 else set()
    short = {}
    for name in names:
        image, *others = name.split()
        short[name] = " ".join([image, *(each for each in others if each not in common)])
    return short


def _times(run: BenchRun) -> Table:
    """A line for each algorithm, with the reference's time as a column."""
    reference = next((diagnosis.label_of(row) for row in run.rows if row.reference), "")
    columns = [
        Column("size", right=False),
        Column("algorithm", right=False),
        Column(f"us ({'GPU' if run.clock == 'gpu' else 'wall'})"),
        Column("± %", rank=2),
        Column(GFLOPS),
        Column("ceiling", rank=WIDE_ONLY),
        Column(f"{reference} us"),
        Column(f"vs {reference}"),
        Column("vs basic", rank=1),
        Column("error", rank=WIDE_ONLY),
    ]
    short = labels(run)
    lines = [
        [short[row.problem.name], result.by, *_cells(result, row)]
        for row in run.rows
        for result in diagnosis.kernels(row)
    ]
    return table_of(columns, lines)


def _cells(result: Result, row: Row) -> list[str]:
    if result.stats is None:
        return [result.verdict if result.verdict == "skipped" else result.verdict.upper(), *[""] * 7]
    share, gflops, ratio = share_of_ceiling(result), result.figure(GFLOPS), result.figure(SPEEDUP)
    reference_ns, against = row.ns(row.reference), row.ratio(BASIC, result.by)
    error = result.verification.error if result.verification else None
    return [
        microseconds(result.stats.median),
        spread(result.stats),
        rate(gflops) if gflops else "",
        f"{share:.1%}" if share else "",
        microseconds(reference_ns) if reference_ns else "",
        speedup(ratio) if ratio else "",
        saved(against) if against and result.by != BASIC else "",
        "" if error is None else f"{error:.2g}",
    ]


def _details(run: BenchRun) -> Table:
    """Time per pixel, memory, and the spread of every implementation, the reference included."""
    columns = [
        Column("size", right=False),
        Column("algorithm", right=False),
        Column("ns/pixel"),
        Column("MB"),
        Column("low us"),
        Column("mean us", rank=1),
        Column("high us"),
        Column("outliers"),
        Column("samples", rank=WIDE_ONLY),
    ]
    short = labels(run)
    lines = []
    for row, result in run.results():
        if result.stats is None or not _compared(row, result):
            continue
        stats, workspace = result.stats, result.figure(WORKSPACE)
        lines.append(
            [
                short[row.problem.name],
                diagnosis.LABELS.get(result.by, result.by),
                rate(stats.median / pixels(row)),
                "" if workspace is None else f"{workspace / 1e6:,.1f}",
                *map(microseconds, (stats.low, stats.mean, stats.high)),
                str(stats.outliers),
                str(stats.n),
            ]
        )
    return table_of(columns, lines)


def _scaling(run: BenchRun) -> Table:
    """Time per pixel by image size, and the exponent of time; empty unless rows differ in the image alone."""
    rows = sorted(run.rows, key=pixels) if all(row.problem.axes for row in run.rows) else []
    others = [{name: n for name, n in row.problem.axes.items() if name not in _IMAGE} for row in rows]
    if len(rows) < 2 or any(each != others[0] for each in others):
        return table_of([], [])
    columns = [
        Column("ns/pixel", right=False),
        *(Column(row.problem.name.split()[0]) for row in rows),
        Column("exponent"),
    ]
    lines = []
    for by in dict.fromkeys(result.by for row, result in run.results() if _compared(row, result)):
        times = {pixels(row): ns for row in rows if (ns := row.ns(by))}
        cells = [rate(times[n] / n) if (n := pixels(row)) in times else "" for row in rows]
        exponent = _exponent(times)
        lines.append([diagnosis.LABELS.get(by, by), *cells, "" if exponent is None else f"{exponent:.2f}"])
    return table_of(columns, lines)


def _exponent(times: dict[int, float]) -> float | None:
    """The slope of log time over log pixels."""
    if len(times) < 2:
        return None
    logs = [[math.log(each) for each in values] for values in (times, times.values())]
    return statistics.linear_regression(*logs).slope


def _compared(row: Row, result: Result) -> bool:
    """Whether it is an algorithm, or the reference."""
    return result.scope == "kernel" or result.by == row.reference


def pixels(row: Row) -> int:
    """The pixels of a row's result, of all images."""
    axes = row.problem.axes
    if not axes:
        return 1
    reach = axes["dilation"] * (axes["kernel"] - 1) + 1
    along = ((axes[name] + 2 * axes["padding"] - reach) // axes["stride"] + 1 for name in ("height", "width"))
    return axes["batch"] * math.prod(along)
