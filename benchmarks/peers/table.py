"""The report: one table, and what its cells cannot say."""

import re
import statistics
from collections.abc import Sequence

from tabulate import tabulate

from benchmarks.peers.records import Comparison, Record, of
from benchmarks.peers.roster import OURS, ROSTER


def markdown(comparison: Comparison) -> str:
    """GFLOPS of every peer for every problem, in brackets ours divided by theirs; then notes and clocks."""
    notes: list[str] = []
    keys = dict.fromkeys((each.problem, each.dtype) for each in comparison.records)
    rows = []
    for problem, dtype in keys:
        records = of(comparison.records, problem=problem, dtype=dtype)
        ours = gflops(of(records, peer=OURS))
        cells = [_cell(of(records, peer=peer), ours, notes) for peer in comparison.peers]
        rows.append([problem, dtype, *cells, _drift(records, comparison.peers)])
    head = ["M×K×N", "dtype", *(_heading(comparison, peer) for peer in comparison.peers), "drift"]
    align = ["left", "left", *("right" for _ in comparison.peers), "left"]
    table = tabulate(rows, head, tablefmt="github", disable_numparse=True, colalign=align)
    legend = "GFLOPS; in brackets: rusty_py divided by that peer. Drift: last visit against the first."
    if any(each.sums == "f16" for each in comparison.records):
        legend += " *: within the bound of sums in f16, not of sums in f32."
    numbered = [f"[{i}] {note}" for i, note in enumerate(notes, 1)]
    parts = ([legend], numbered, _about(comparison))
    return "\n\n".join([table, *("\n".join(f"- {line}" for line in part) for part in parts if part)])


def gflops(records: Sequence[Record]) -> float | None:
    """The rate at the median of all visits' samples; none where one visit failed."""
    if not records or any(each.failure for each in records):
        return None
    return records[0].flops / statistics.median(s for each in records for s in each.samples_s) / 1e9


def _cell(records: Sequence[Record], ours: float | None, notes: list[str]) -> str:
    if not records:
        return "not measured"
    failure = next((each.failure for each in records if each.failure), "")
    if failure:
        note = f"{ROSTER[records[0].peer].label}: {failure}"
        if note not in notes:
            notes.append(note)
        return f"not available [{notes.index(note) + 1}]"
    rate = gflops(records)
    assert rate is not None
    mark = "*" if any(each.sums == "f16" for each in records) else ""
    ratio = f" ({_digits(ours / rate)})" if ours and records[0].peer != OURS else ""
    return f"{rounded(rate)}{mark}{ratio}"


def rounded(rate: float) -> str:
    """A rate as tables write it."""
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"


def _digits(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.2g}"


def _heading(comparison: Comparison, peer: str) -> str:
    """The peer and its clock, "wall" rather than how it is read."""
    clocks = dict.fromkeys(re.split("[,(]", clock)[0].strip() for clock in _clocks(comparison, peer))
    return f"{ROSTER[peer].label} ({' or '.join(clocks)})" if clocks else ROSTER[peer].label


def _clocks(comparison: Comparison, peer: str) -> list[str]:
    records = of(comparison.records, peer=peer)
    return list(dict.fromkeys(each.clock for each in records if each.clock))


def _drift(records: Sequence[Record], peers: Sequence[str]) -> str:
    """By how much each anchor's rate changed between its visits."""
    changes = []
    for peer in peers:
        rates = [each.gflops for each in of(records, peer=peer)]
        first, last = (rates[0], rates[-1]) if len(rates) > 1 else (None, None)
        if first and last:
            changes.append(f"{ROSTER[peer].label} {last / first - 1:+.1%}")
    return ", ".join(changes)


def _about(comparison: Comparison) -> list[str]:
    """A line for each peer: device, versions, clocks."""
    lines = []
    for peer in comparison.peers:
        clocks = _clocks(comparison, peer)
        facts = [f"{name} {value}" for name, value in comparison.about.get(peer, {}).items()]
        clock = [f"clock: {'; '.join(clocks)}"] if clocks else []
        if facts or clock:
            lines.append(f"{ROSTER[peer].label}: {', '.join([*facts, *clock])}")
    return lines
