"""The report as Markdown."""

from tabulate import tabulate

from rusty_py.bench.report.rows import facts, findings, gpu_block, header, legend, rows
from rusty_py.bench.run import BenchRun


def render(run: BenchRun) -> str:
    """Heading, GPU, table, findings and legend."""
    adapter = run.context["adapter"]
    assert isinstance(adapter, dict)
    gpu = [
        f"- {label}: {value}" for label, value in gpu_block(adapter, checked=facts(run, "device", "checked"))
    ]
    about = f"`{facts(run, 'command')}`, {facts(run, 'date')}, rusty_py {facts(run, 'rusty_py', 'version')}"
    table = tabulate(list(rows(run)), header(run), tablefmt="github", disable_numparse=True)
    parts = [[f"## {adapter['name']}"], [about], gpu, [table]]
    parts += [[f"- {line}" for line in lines] for lines in (findings(run), legend(run)) if lines]
    return "\n\n".join("\n".join(part) for part in parts)
