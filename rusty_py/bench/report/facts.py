"""What a report says of the machine and of the run."""

from collections.abc import Mapping

from rusty_py.measure.document import BenchRun

_MANY = 4


def facts(run: BenchRun, *path: str) -> object:
    """The value at `path` of the run's context, or None."""
    value: object = run.context
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def banner(version: str) -> str:
    """The program's title in a frame."""
    title = f"  rusty_py {version}: verified GPU benchmarks  "
    line = "═" * len(title)
    return f"╔{line}╗\n║{title}║\n╚{line}╝"


def gpu_block(adapter: Mapping[str, object], *, checked: object = None) -> list[tuple[str, str]]:
    """Name, backend, type and driver of an adapter, each with its label."""
    name, backend, kind, driver = (
        str(adapter.get(fact, "unknown")) for fact in ("name", "backend", "type", "driver")
    )
    cpu = " (a CPU driver: these are CPU results, not a GPU's)" if kind == "CPU" else ""
    block = [("Name", name), ("Backend", backend), ("Type", f"{kind}{cpu}"), ("Driver", driver)]
    if checked:
        block.append(("Checks", "run-time bounds checks are on: kernels are slower"))
    return block


def _reasons(run: BenchRun) -> list[str]:
    """Why results are missing; one line for many that share a reason."""
    found: dict[tuple[str, str], list[str]] = {}
    for row, result in run.results():
        if result.reason:
            found.setdefault((result.verdict.upper(), result.reason), []).append(
                f"{row.problem.name}, {result.by}"
            )
    return [
        f"{verdict}: {name}: {reason}"
        for (verdict, reason), names in found.items()
        for name in ([f"{len(names)} results"] if len(names) > _MANY else names)
    ]


def block_of(run: BenchRun, settings: Mapping[str, str]) -> list[str]:
    """The configuration of a run, with its samples and its date; settings without a value are left out."""
    least, most = facts(run, "options", "min_samples"), facts(run, "options", "max_samples")
    sample_s, warmup_s = facts(run, "options", "sample_s"), facts(run, "options", "warmup_s")
    count = f"{least}" if least == most else f"{least} to {most}"
    length = f" of {sample_s} s" if sample_s else ", one run each"
    warm_up = f", after {warmup_s} s of warm-up" if warmup_s else ""
    samples = f"{count}{length}{warm_up}" if least else ""
    block = {**settings, "Samples": samples, "Date": str(facts(run, "date") or "")}
    return ["Configuration", *(f"  {label + ':':11}{value}" for label, value in block.items() if value)]


def endings(run: BenchRun) -> list[str]:
    """Wrong and missing results, and whether the run was cut short."""
    lines = _reasons(run)
    cut = sum(row.stopped.startswith("budget: cut") for row in run.rows)
    if cut:
        rows = "1 row was" if cut == 1 else f"{cut} rows were"
        lines.append(f"budget: {rows} cut short; try --max-time")
    if run.interrupted:
        lines.append("interrupted: these rows are what was measured before")
    if run.failure:
        lines.append(f"the device failed: {run.failure}")
    return lines
