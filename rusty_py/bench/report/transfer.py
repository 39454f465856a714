"""The table and findings of `rusty-bench transfer`."""

from collections.abc import Iterator

from rusty_py.bench.report.overhead import faster
from rusty_py.bench.report.rows import facts, figure, spread
from rusty_py.bench.results import Figure, ResultRow, Results
from rusty_py.bench.transfer import DIRECTIONS, MIB, row_name
from rusty_py.bench.transfer.copies import MEMCPY, NEW, OURS, PLAIN, STAGED

_PATHS = (STAGED, PLAIN, NEW)
_UNIFIED_BYTES = 4 * MIB
_SEED = "seed: 3.42 times, 1.55 ms to 0.45 ms, on Apple M2"


def header(figures: Results) -> list[str]:
    """The column headers; rates are in GB/s."""
    return ["GB/s", MEMCPY, OURS, "± %", "of memcpy", *_paths(figures)]


def rows(figures: Results) -> Iterator[list[str]]:
    """One table row per direction and size, with rounded numbers."""
    for row in figures.rows:
        ours = row.figure(OURS)
        ratio = row.ratio(MEMCPY, OURS)
        yield [
            row.what,
            _cell(row, row.figure(MEMCPY)),
            _cell(row, ours),
            spread(ours.stats) if ours else "",
            f"{ratio:.0%}" if ratio else "",
            *(_cell(row, row.figure(by)) for by in _paths(figures)),
        ]


def summary(figures: Results) -> list[str]:
    """Findings, derived from the results."""
    lines = [
        text
        for each in DIRECTIONS
        for text in (_minimum(figures, each, MEMCPY), _minimum(figures, each, PLAIN))
    ]
    lines += [_unified(figures, each) for each in DIRECTIONS]
    return [line for line in lines if line]


def legend(figures: Results) -> list[str]:
    """The legend of the columns."""
    ways = [
        f"{direction}s {'map the buffer' if facts(figures, 'transfers', key) else 'go through staging'}"
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


def _paths(figures: Results) -> list[str]:
    """The paths of rusty_py and wgpu-py, and others that were measured."""
    others = [each.by for row in figures.rows for each in row.figures]
    return list(dict.fromkeys([*_PATHS, *(by for by in others if by not in (MEMCPY, OURS))]))


def _minimum(figures: Results, direction: str, than: str) -> str:
    """The minimum ratio of our rate to another path's from 1 MiB up, and its row."""
    large = [row for row in figures.rows if row.what.startswith(direction) and (row.nbytes or 0) >= MIB]
    ratios = [(ratio, row.what) for row in large if (ratio := row.ratio(than, OURS))]
    if not ratios:
        return ""
    ratio, what = min(ratios)
    return f"{direction}s from 1 MiB up: ours reaches {ratio:.2f} of {than}'s rate or more, least: {what}"


def _unified(figures: Results, direction: str) -> str:
    row = figures.row(row_name(direction, _UNIFIED_BYTES))
    text = faster(row, row, OURS, STAGED)
    if not text or not row:
        return ""
    times = f"{(row.ns(STAGED) or 0) / 1e6:.3g} ms to {(row.ns(OURS) or 0) / 1e6:.3g} ms"
    return f"{direction} of 1M f32: ours is {text} as staged, {times}; {_SEED}"


def _cell(row: ResultRow, found: Figure | None) -> str:
    if found is None:
        return "-"
    if found.ns and row.nbytes:
        rate = row.nbytes / found.ns
        return figure(rate) if rate >= 0.1 else f"{rate:.2g}"  # So that low rates are not shown as 0.00.
    return "WRONG" if found.verdict == "wrong" else "-"
