"""The table and findings of `rusty-bench transfer`."""

from rusty_py.bench.diagnosis import faster
from rusty_py.bench.report.columns import Column, Table, table_of
from rusty_py.bench.report.facts import block_of, facts
from rusty_py.bench.report.numbers import rate, spread
from rusty_py.bench.transfer import DIRECTIONS, MIB, row_name
from rusty_py.bench.transfer.copies import MEMCPY, NEW, OURS, PLAIN, STAGED
from rusty_py.measure.document import BenchRun, Result
from rusty_py.measure.figures import GBPS

_PATHS = (STAGED, PLAIN, NEW)
_UNIFIED_BYTES = 4 * MIB
_SEED = "seed: 3.42 times, 1.55 ms to 0.45 ms, on Apple M2"


def tables(run: BenchRun) -> list[Table]:
    """Rates in GB/s, a line for each direction and size."""
    paths = _paths(run)
    columns = [
        Column("GB/s", right=False),
        Column(MEMCPY),
        Column(OURS),
        Column("± %", rank=2),
        Column("of memcpy"),
        *(Column(path, rank=0 if path in (STAGED, PLAIN) else 3) for path in paths),
    ]
    lines = []
    for row in run.rows:
        ours, ratio = row.result(OURS), row.ratio(MEMCPY, OURS)
        cells = [_cell(row.result(by)) for by in paths]
        spread_of = spread(ours.stats) if ours else ""
        share = f"{ratio:.0%}" if ratio else ""
        lines.append([row.problem.name, _cell(row.result(MEMCPY)), _cell(ours), spread_of, share, *cells])
    table = table_of(columns, lines)
    return [table] if lines else []


def configuration(run: BenchRun) -> list[str]:
    """What was measured and how."""
    return block_of(run, {"Suite": "transfers", "Clock": "wall clock", "Reference": MEMCPY})


def findings(run: BenchRun) -> list[str]:
    """Findings, derived from the results."""
    lines = [
        text for each in DIRECTIONS for text in (_minimum(run, each, MEMCPY), _minimum(run, each, PLAIN))
    ]
    lines += [_unified(run, each) for each in DIRECTIONS]
    return [line for line in lines if line]


def legend(run: BenchRun) -> list[str]:
    """The legend of the columns."""
    ways = [
        f"{direction}s {'map the buffer' if facts(run, 'transfers', key) else 'go through staging'}"
        for direction, key in zip(DIRECTIONS, ("mapped_write", "mapped_read"), strict=True)
    ]
    return [
        "GB/s: 10^9 bytes a second, the median of single passes by the wall clock, each to its end on the"
        " other side; ±: median absolute deviation of ours.",
        f"{MEMCPY}: np.copyto in turn with them, from the array that all uploads read to one of its own, or"
        " from one of its own to the array that all downloads fill.",
        f"{OURS}, on this adapter: {', '.join(ways)}; {STAGED}: the same with Device(staged=True).",
        f"{PLAIN}: write_buffer, submit and wait; read_buffer. {NEW}: create_buffer_with_data.",
    ]


def _paths(run: BenchRun) -> list[str]:
    """The paths of rusty_py and wgpu-py, and others that were measured."""
    others = [each.by for _, each in run.results()]
    return list(dict.fromkeys([*_PATHS, *(by for by in others if by not in (MEMCPY, OURS))]))


def _minimum(run: BenchRun, direction: str, than: str) -> str:
    """The minimum ratio of our rate to another path's from 1 MiB up, and its row."""
    large = [row for row in run.rows if row.problem.name.startswith(direction) and row.problem.nbytes >= MIB]
    ratios = [(ratio, row.problem.name) for row in large if (ratio := row.ratio(than, OURS))]
    if not ratios:
        return ""
    ratio, what = min(ratios)
    return f"{direction}s from 1 MiB up: ours reaches {ratio:.2f} of {than}'s rate or more, least: {what}"


def _unified(run: BenchRun, direction: str) -> str:
    row = run.row(row_name(direction, _UNIFIED_BYTES))
    text = row and faster(row.result(STAGED), row.result(OURS))
    if not text or not row:
        return ""
    times = f"{(row.ns(STAGED) or 0) / 1e6:.3g} ms to {(row.ns(OURS) or 0) / 1e6:.3g} ms"
    return f"{direction} of 1M f32: ours is {text} as staged, {times}; {_SEED}"


def _cell(result: Result | None) -> str:
    if result is None:
        return "-"
    gbps = result.figure(GBPS)
    return rate(gbps) if gbps else "WRONG" if result.verdict == "wrong" else "-"
