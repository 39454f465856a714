"""The report as Markdown, with all columns."""

from collections.abc import Mapping

from tabulate import tabulate

from rusty_py.bench.report.columns import Table
from rusty_py.bench.report.facts import endings, facts, gpu_block
from rusty_py.bench.report.views import view_of
from rusty_py.measure.document import BenchRun


def render(run: BenchRun) -> str:
    """Heading, GPU, configuration, tables, findings and legend."""
    adapter, view = run.context.get("adapter"), view_of(run)
    gpu: list[tuple[str, str]] = []
    if isinstance(adapter, Mapping):  # A measuring process may crash before it has one.
        gpu = gpu_block(adapter, checked=facts(run, "device", "checked"))
    version = facts(run, "rusty_py", "version")
    parts = [[f"## {facts(run, 'adapter', 'name') or 'unknown adapter'}"]]
    parts += [[f"`{facts(run, 'command')}`, {facts(run, 'date')}, rusty_py {version}"]]
    parts += [[f"- {label}: {value}" for label, value in gpu]]
    parts += [[f"- {' '.join(line.split())}" for line in view.configuration(run)[1:]]]
    parts += [[_table(table)] for table in view.tables(run)]
    for lines in (view.findings(run) + endings(run), view.legend(run)):
        parts.append([f"- {line}" for line in lines])
    return "\n\n".join("\n".join(part) for part in parts if part)


def _table(table: Table) -> str:
    align = ["right" if column.right else "left" for column in table.columns]
    return tabulate(table.lines, table.header, tablefmt="github", disable_numparse=True, colalign=align)
