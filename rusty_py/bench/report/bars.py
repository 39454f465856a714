"""Times and ratios as bars of characters."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from rusty_py.bench.report.columns import WIDTH
from rusty_py.bench.report.numbers import duration, speedup
from rusty_py.measure.document import BenchRun, Row
from rusty_py.measure.figures import SPEEDUP

_FULL, _SHORTEST = 30, 8
_LONGEST_BY = 40
_LABEL = 20  # Characters for what follows a bar, and the gaps.
_BLOCKS = " ▏▎▍▌▋▊▉█"


def render(run: BenchRun) -> str:
    """Times of every row, then how many times as fast as the reference each is."""
    return "\n\n".join(part for part in (_times(run), _ratios(run)) if part)


@dataclass(frozen=True)
class Bar:
    """A bar of a share of the full length, with its names and what it stands for."""

    problem: str
    by: str
    share: float
    label: str


def _times(run: BenchRun) -> str:
    """A bar for each result, in proportion to the slowest of its row."""
    bars = []
    for row in run.rows:
        measured = [(each.by, each.ns) for each in row.results if each.ns]
        longest = max((ns for _, ns in measured), default=0.0)
        bars += [Bar(row.problem.name, by, ns / longest, duration(ns)) for by, ns in measured]
    return _drawn("time", bars)


def _ratios(run: BenchRun) -> str:
    """A bar for each implementation that has a reference, in proportion to the largest ratio of all."""
    found = [(row.problem.name, by, ratio) for row in run.rows for by, ratio in _speedups(row)]
    largest = max((ratio for *_, ratio in found), default=0.0)
    bars = [Bar(name, by, ratio / largest, speedup(ratio)) for name, by, ratio in found]
    return _drawn("compared with the reference", bars)


def _speedups(row: Row) -> list[tuple[str, float]]:
    return [
        (each.by, ratio)
        for each in row.results
        if each.by != row.reference and (ratio := each.figure(SPEEDUP))
    ]


def _drawn(title: str, bars: Sequence[Bar]) -> str:
    """One line for each bar; the name of a problem appears once, on lines of its own if it is long."""
    if not bars:
        return ""
    name = max(len(each.problem) for each in bars)
    by = min(_LONGEST_BY, max(len(each.by) for each in bars))
    above = WIDTH - name - by - _LABEL < _SHORTEST
    name = 0 if above else name
    full = min(_FULL, WIDTH - name - by - _LABEL)
    lines, before = [f"{title}:"], ""
    for each in bars:
        problem = "" if each.problem == before else each.problem
        before = each.problem
        if above and problem:
            lines.append(textwrap.fill(problem, WIDTH))
            problem = ""
        shown = each.by if len(each.by) <= by else f"...{each.by[3 - by :]}"
        lines.append(f"{problem:{name}}  {shown:{by}}  {bar(each.share, full=full)} {each.label}")
    return "\n".join(lines)


def bar(share: float, *, full: int) -> str:
    """A bar of `share` of the full length, to an eighth of a character; never empty."""
    eighths = max(1, round(8 * full * share))
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (_BLOCKS[rest] if rest else "")
