"""What the measuring commands have in common: a device, a context, progress, results, the exit code."""

from typing import TYPE_CHECKING

from rusty_py.bench.exits import leave
from rusty_py.bench.output import Output, progress_line

if TYPE_CHECKING:
    from rusty_py.bench.host_rows import Measure
    from rusty_py.measure.document import BenchRun
    from rusty_py.measure.sampling import Options
    from rusty_py.runtime.adapter import Adapter


def measure_and_report(adapter: "Adapter", measure: "Measure", options: "Options", output: Output) -> None:
    """Measures on a new device, prints and writes the results, and exits with their exit code."""
    from rusty_py.bench.context import adapter_facts, context
    from rusty_py.runtime.device import Device

    with Device(adapter) as device:
        output.begin(adapter_facts(adapter), checked=device.checked)
        facts = context(device, options=vars(options))
        with progress_line(ascii=output.ascii) as progress:
            run = measure(device, options, context=facts, progress=progress)
    output.finish(run)
    leave_with(run)


def leave_with(run: "BenchRun") -> None:
    """Exits with the exit code of the run."""
    leave(run, wrong=any(result.verdict not in ("ok", "skipped") for _, result in run.results()))
