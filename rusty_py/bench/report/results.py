"""The reports of `overhead` and `transfer`: pure functions of their `Results`, one per format."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pydantic import RootModel
from tabulate import tabulate

from rusty_py.bench.report import overhead, transfer
from rusty_py.bench.report.rows import facts, gpu_block, scaled
from rusty_py.bench.results import Figure, ResultRow, Results

_Document = RootModel[Results]


@dataclass(frozen=True)
class TableLayout:
    """What differs between the reports of the two commands. `words` are the columns of text.

    `more_header` and `more_rows` are an optional second table; `counts` maps CSV columns in microseconds to
    counts in nanoseconds.
    """

    header: Callable[[Results], list[str]]
    rows: Callable[[Results], Iterable[list[str]]]
    summary: Callable[[Results], list[str]]
    legend: Callable[[Results], list[str]]
    words: frozenset[str]
    more_header: Callable[[Results], list[str]] = lambda figures: []
    more_rows: Callable[[Results], Iterable[list[str]]] = lambda figures: []
    counts: Mapping[str, str] = field(default_factory=dict)


LAYOUTS: Mapping[str, TableLayout] = {
    "overhead": TableLayout(
        overhead.header,
        overhead.rows,
        overhead.summary,
        overhead.legend,
        frozenset({"what", "clock", "seed", "eager calls"}),
        overhead.parts_header,
        overhead.parts_rows,
        overhead.COUNTS,
    ),
    "transfer": TableLayout(
        transfer.header, transfer.rows, transfer.summary, transfer.legend, frozenset({"GB/s"})
    ),
}


def render(figures: Results, format: str) -> str:
    """The report as "table", "md", "csv" or "json"."""
    return {"table": table, "md": markdown, "csv": as_csv, "json": as_json}[format](figures)


def table(figures: Results, *, legend: bool = True) -> str:
    """The report for a terminal: tables, findings and optionally the legend."""
    layout = LAYOUTS[figures.command]
    tables = [
        tabulate(
            rows,
            head,
            tablefmt="simple",
            disable_numparse=True,
            colalign=["left" if name in layout.words else "right" for name in head],
        )
        for head, rows in _tables(figures)
    ]
    parts = (*([text] for text in tables), findings(figures), layout.legend(figures) if legend else [])
    return "\n\n".join("\n".join(part) for part in parts if part)


def markdown(figures: Results) -> str:
    """The report as Markdown: heading, GPU, tables, findings and legend."""
    layout = LAYOUTS[figures.command]
    adapter = figures.context["adapter"]
    assert isinstance(adapter, Mapping)
    checked = facts(figures, "device", "checked")
    gpu = [f"- {label}: {value}" for label, value in gpu_block(adapter, checked=checked)]
    version = facts(figures, "rusty_py", "version")
    about = f"`{facts(figures, 'command')}`, {facts(figures, 'date')}, rusty_py {version}"
    parts = [[f"## {adapter['name']}"], [about], gpu]
    parts += [
        [tabulate(rows, head, tablefmt="github", disable_numparse=True)] for head, rows in _tables(figures)
    ]
    parts += [
        [f"- {line}" for line in lines] for lines in (findings(figures), layout.legend(figures)) if lines
    ]
    return "\n\n".join("\n".join(part) for part in parts)


def as_csv(figures: Results) -> str:
    """One line per implementation, plain numbers in the units of the column names, empty if missing."""
    records = [_record(figures, row, figure) for row in figures.rows for figure in row.figures]
    text = io.StringIO()
    if records:
        lines = csv.DictWriter(text, list(records[0]), lineterminator="\n")
        lines.writeheader()
        lines.writerows(records)
    return text.getvalue().rstrip("\n")


def as_json(figures: Results) -> str:
    """The results as strict JSON, with all samples: no NaN, no infinity."""
    return _Document(figures).model_dump_json(indent=2)


def parse(text: str) -> Results:
    """Parses the output of `as_json`. Raises ValueError if it is invalid."""
    return _Document.model_validate_json(text).root


def schema() -> dict[str, object]:
    """The JSON Schema of the document."""
    return _Document.model_json_schema(mode="serialization")


def findings(figures: Results) -> list[str]:
    """Findings, wrong or missing results, and whether the run was cut short."""
    lines = LAYOUTS[figures.command].summary(figures)
    reported = [(row.what, figure) for row in figures.rows for figure in row.figures if figure.reason]
    lines += [f"{figure.verdict.upper()}: {what}, {figure.by}: {figure.reason}" for what, figure in reported]
    cut = sum(row.stopped.startswith("budget: cut") for row in figures.rows)
    if cut:
        lines.append(f"budget: {cut} rows were cut short; try --max-time")
    if figures.interrupted:
        lines.append("interrupted: these rows are what was measured before")
    if figures.failure:
        lines.append(f"the device failed: {figures.failure}")
    return lines


def _tables(figures: Results) -> list[tuple[list[str], list[list[str]]]]:
    """Headers and rows of the tables that have rows."""
    layout = LAYOUTS[figures.command]
    tables = [
        (layout.header(figures), list(layout.rows(figures))),
        (layout.more_header(figures), list(layout.more_rows(figures))),
    ]
    return [(head, rows) for head, rows in tables if rows]


def _record(figures: Results, row: ResultRow, figure: Figure) -> dict[str, object]:
    stats = figure.stats
    counts = LAYOUTS[figures.command].counts
    return {
        "command": figures.command,
        "what": row.what,
        "by": figure.by,
        "clock": row.clock,
        "verdict": figure.verdict,
        "median_us": stats.median / 1e3 if stats else None,
        "mad_us": scaled(stats.spread, 1e3) if stats else None,
        "min_us": stats.min / 1e3 if stats else None,
        "samples": stats.n if stats else None,
        "runs_a_sample": figure.runs if stats else None,
        "bytes": row.nbytes,
        "gb_per_s": row.nbytes / stats.median if stats and row.nbytes else None,
        "seed": row.seed,
        "adapter": facts(figures, "adapter", "name"),
        "backend": facts(figures, "adapter", "backend"),
        "adapter_type": facts(figures, "adapter", "type"),
        "reason": figure.reason,
        **{column: scaled(figure.counts.get(name), 1e3) for column, name in counts.items()},
    }
