"""The report of `compare`, in each format."""

import csv as csv_of
import io
import json as json_of
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from tabulate import MIN_PADDING, tabulate

from rusty_py.bench.output import Format
from rusty_py.measure.comparability import fact
from rusty_py.measure.compare import TOLERANCE, ComparedResult, RunComparison
from rusty_py.measure.document import BenchRun

HEADER = ["problem", "by", "base", "other", "ratio", "interval", "verdict"]
_COLUMNS = 80
_BY_COLUMNS, _VERDICT_COLUMNS = 12, 10
_VERDICTS = ("FASTER", "SLOWER", "SAME", "UNSURE", "NOT COMPARABLE")
_LISTED = 10
_WIDE = 0.1
"""Intervals of this half-width hide changes that matter."""

LEGEND = (
    "ratio: base time / other time; above 1, other is faster. *: the kernel has changed.",
    "interval: 95 %, for all intervals of a table together; covers the variation between runs.",
    f"SAME: within ±{TOLERANCE:.0%}. FASTER, SLOWER: 1 is outside the interval, and the ratio is beyond"
    f" ±{TOLERANCE:.0%}. UNSURE: the runs don't show which.",
)


@dataclass(frozen=True)
class NamedRuns:
    """The files of one side and their runs."""

    files: tuple[str, ...]
    runs: tuple[BenchRun, ...]

    @property
    def name(self) -> str:
        """The files, as given on the command line."""
        return ",".join(self.files)

    def each(self) -> Iterator[tuple[str, BenchRun]]:
        """Every file and its run."""
        return zip(self.files, self.runs, strict=True)


@dataclass(frozen=True)
class NamedComparison:
    """A comparison and its files."""

    base: NamedRuns
    other: NamedRuns
    comparison: RunComparison


def render(comparisons: Sequence[NamedComparison], format: Format) -> str:
    """The report in one of the formats."""
    return {"table": table, "md": markdown, "csv": csv, "json": json}[format.value](comparisons)


def table(comparisons: Sequence[NamedComparison]) -> str:
    """For a terminal of 80 columns: a table for each comparison, findings, and the legend."""
    parts = []
    for each in comparisons:
        parts.append([_wrapped(f"{label + ':':8} {text}") for label, text in heading(each)])
        parts.append(_table(list(rows(each.comparison))))
        parts.append([_wrapped(line) for line in findings(each.comparison)])
    parts.append([_wrapped(line) for line in LEGEND])
    return "\n\n".join("\n".join(part) for part in parts if part)


def markdown(comparisons: Sequence[NamedComparison]) -> str:
    """Headings, tables, findings and the legend."""
    parts = []
    for each in comparisons:
        parts.append([f"## {each.base.name} and {each.other.name}"])
        parts.append([f"- {label}: {text}" for label, text in heading(each)])
        if found := list(rows(each.comparison)):
            parts.append([tabulate(found, HEADER, tablefmt="github", disable_numparse=True)])
        parts.append([f"- {line}" for line in findings(each.comparison)])
    parts.append([f"- {line}" for line in LEGEND])
    return "\n\n".join("\n".join(part) for part in parts if part)


def csv(comparisons: Sequence[NamedComparison]) -> str:
    """One line per result, plain numbers, empty if missing."""
    records = [_record(each, result) for each in comparisons for result in each.comparison.results]
    text = io.StringIO()
    if records:
        lines = csv_of.DictWriter(text, list(records[0]), lineterminator="\n")
        lines.writeheader()
        lines.writerows(records)
    return text.getvalue().rstrip("\n")


def json(comparisons: Sequence[NamedComparison]) -> str:
    """Everything, as strict JSON."""
    document = {
        "schema_version": 1,
        "command": "compare",
        "comparisons": [
            {"base": each.base.files, "other": each.other.files, **asdict(each.comparison)}
            for each in comparisons
        ],
    }
    return json_of.dumps(document, indent=2, allow_nan=False, ensure_ascii=False)


def heading(named: NamedComparison) -> list[tuple[str, str]]:
    """The files with date and commit, and the adapter, each with its label."""
    sides = (("base", named.base), ("other", named.other))
    lines = [(label, _origin(file, run)) for label, side in sides for file, run in side.each()]
    run = named.base.runs[0]
    return [*lines, ("adapter", f"{fact(run, ('adapter', 'name'))}, {fact(run, ('adapter', 'backend'))}")]


def rows(comparison: RunComparison) -> Iterator[list[str]]:
    """One table row per result that base or other has measured; none if the runs are not comparable."""
    for each in () if comparison.comparability.refused else comparison.results:
        if each.base_ns is None and each.other_ns is None:
            continue
        changed = each.kernel == "changed" and each.ratio is not None
        yield [
            each.problem.name,
            each.by,
            duration(each.base_ns),
            duration(each.other_ns),
            factor(each.ratio),
            f"{factor(each.low)}-{factor(each.high)}" if each.low else "",
            each.verdict + " *" * changed,
        ]


def findings(comparison: RunComparison) -> list[str]:
    """Counts, reasons, the state of the machine, and what differs between the runs."""
    found = comparison.comparability
    if found.refused:
        return [f"NOT COMPARABLE: {reason}" for reason in found.refused]
    counts = Counter[str](each.verdict for each in comparison.results)
    lines = [", ".join(f"{counts[name]} {name}" for name in _VERDICTS if counts[name])]
    reasons = Counter((each.verdict, each.reason) for each in comparison.results if each.reason)
    lines += [f"{verdict}: {reason} ({_results(n)})" for (verdict, reason), n in reasons.items()]
    lines += _variation(comparison)
    lines += [f"compare with care: {each}" for each in found.warned]
    if found.informed:
        differing = (f"{each.fact} {each.base} and {each.other}" for each in found.informed)
        lines.append(f"base and other differ: {'; '.join(differing)}")
    for side, names in (("base", comparison.only_base), ("other", comparison.only_other)):
        if names:
            lines.append(f"only in {side}: {_unmatched(names)}")
    return [line for line in lines if line]


def duration(ns: float | None) -> str:
    """A time with its unit, to 3 digits."""
    if ns is None:
        return ""
    unit, scale = next(
        ((unit, scale) for unit, scale in (("s", 1e9), ("ms", 1e6), ("us", 1e3)) if ns >= scale), ("ns", 1.0)
    )
    value = ns / scale
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:#.3g} {unit}"


def factor(ratio: float | None) -> str:
    """A ratio with 3 decimals; 3 digits from 10 on and below 0.1."""
    return "" if ratio is None else f"{ratio:.3f}" if 0.1 <= ratio < 10 else f"{ratio:.3g}"


def _table(cells: Sequence[Sequence[str]]) -> list[str]:
    """The lines of the table, with long names wrapped to the columns that the others leave."""
    if not cells:
        return []
    used = [max(len(name) + MIN_PADDING, *(len(row[i]) for row in cells)) for i, name in enumerate(HEADER)]
    by, verdict = min(used[1], _BY_COLUMNS), min(used[-1], _VERDICT_COLUMNS)
    name = _COLUMNS - sum(used[2:-1]) - by - verdict - 2 * (len(HEADER) - 1)
    widths = [max(name, _BY_COLUMNS), by, *[None] * 4, verdict]
    align = ("left", "left", "right", "right", "right", "left", "left")
    text = tabulate(
        cells, HEADER, tablefmt="simple", disable_numparse=True, colalign=align, maxcolwidths=widths
    )
    return [line.rstrip() for line in text.splitlines()]


def _variation(comparison: RunComparison) -> Iterator[str]:
    """The state of the machine, and the width of the intervals."""
    states = {"unchanged kernels": comparison.common, "drift control": comparison.control}
    known = [f"{name} {factor(ratio)}" for name, ratio in states.items() if ratio]
    if known:
        yield f"state of the machine: {', '.join(known)} (base time / other time)"
    if comparison.half_width:
        percent = 100 * comparison.half_width
        yield f"intervals: about ±{percent:.{0 if percent >= 10 else 1}f} %"
        if comparison.half_width > _WIDE:
            yield "to narrow them, repeat the runs: rusty-bench compare A1.json,A2.json B1.json,B2.json"


def _origin(file: str, run: BenchRun) -> str:
    """A file with the date and the code of its run."""
    commit = fact(run, ("rusty_py", "commit"))
    of = f"commit {commit}" if commit else f"rusty_py {fact(run, ('rusty_py', 'version'))}"
    return f"{file} ({str(fact(run, ('date',)))[:16].replace('T', ' ')}, {of})"


def _unmatched(names: Sequence[tuple[str, str]]) -> str:
    """The first problems, with their implementations."""
    found: dict[str, list[str]] = {}
    for problem, by in names:
        found.setdefault(problem, []).append(by)
    listed = [f"{problem} ({', '.join(by)})" for problem, by in found.items()]
    more = [f"and {len(listed) - _LISTED} more problems"] if len(listed) > _LISTED else []
    return "; ".join(listed[:_LISTED] + more)


def _results(n: int) -> str:
    return "1 result" if n == 1 else f"{n} results"


def _wrapped(line: str) -> str:
    return textwrap.fill(
        line, _COLUMNS, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def _record(named: NamedComparison, result: ComparedResult) -> Mapping[str, object]:
    return {
        "base": named.base.name,
        "other": named.other.name,
        "operation": result.problem.operation,
        "problem": result.problem.name,
        "dtype": result.problem.dtype,
        "by": result.by,
        "clock": result.clock,
        "base_ns": result.base_ns,
        "other_ns": result.other_ns,
        "ratio": result.ratio,
        "low": result.low,
        "high": result.high,
        "verdict": result.verdict,
        "kernel": result.kernel,
        "reason": result.reason,
    }
