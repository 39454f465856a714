"""The report for a terminal, 80 columns wide unless asked for all columns."""

import textwrap

from tabulate import tabulate

from rusty_py.bench.report.bars import render as bar_chart
from rusty_py.bench.report.columns import WIDTH, Table, fitted
from rusty_py.bench.report.facts import endings
from rusty_py.bench.report.views import view_of
from rusty_py.measure.document import BenchRun


def render(run: BenchRun, *, legend: bool = True, wide: bool = False, bars: bool = False) -> str:
    """The configuration, tables, bars, findings and legend; without `legend`, tables and findings alone."""
    view = view_of(run)
    drawn = [text_of(table if wide else fitted(table)) for table in view.tables(run)]
    drawn += [bar_chart(run)] if bars else []
    before = view.configuration(run) if legend else []
    after = [view.findings(run) + endings(run), view.legend(run) if legend else []]
    parts = [_wrapped(before, wide=wide), *drawn, *(_wrapped(lines, wide=wide) for lines in after)]
    return "\n\n".join(part for part in parts if part)


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


def _wrapped(lines: list[str], *, wide: bool) -> str:
    """Lines within the width; what continues is indented."""
    width = 1 << 16 if wide else WIDTH
    filled = [textwrap.fill(line, width, subsequent_indent="  ", break_long_words=False) for line in lines]
    return "\n".join(filled)
