"""The report for a terminal, 80 columns wide unless asked for all columns."""

import textwrap

from tabulate import tabulate

from rusty_py.bench.report.columns import WIDTH, Table, fitted
from rusty_py.bench.report.facts import endings
from rusty_py.bench.report.views import view_of
from rusty_py.measure.document import BenchRun


def render(run: BenchRun, *, legend: bool = True, wide: bool = False, bars: bool = False) -> str:
    """The configuration, tables, findings and optionally the legend."""
    view = view_of(run)
    tables = [text_of(table if wide else fitted(table)) for table in view.tables(run)]
    lines = [view.configuration(run) if legend else [], *([table] for table in tables)]
    lines += [view.findings(run) + endings(run), view.legend(run) if legend else []]
    parts = [part if i and i <= len(tables) else _wrapped(part, wide=wide) for i, part in enumerate(lines)]
    return "\n\n".join("\n".join(part) for part in parts if part)


def text_of(table: Table) -> str:
    """A table in tabulate's simple format, whose headers would make every column two wider."""
    ruler = ["-" * width for width in table.widths]
    text = tabulate(
        [table.header, ruler, *table.lines],
        tablefmt="plain",
        disable_numparse=True,
        colalign=["right" if column.right else "left" for column in table.columns],
    )
    text = "\n".join(line.rstrip() for line in text.splitlines())
    return f"{table.title}\n{text}" if table.title else text


def _wrapped(lines: list[str], *, wide: bool) -> list[str]:
    """Lines within the width; what continues is indented."""
    if wide:
        return lines
    return [textwrap.fill(line, WIDTH, subsequent_indent="  ", break_long_words=False) for line in lines]
