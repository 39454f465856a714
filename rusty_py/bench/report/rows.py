"""The rows and lines shared by tables, Markdown and CSV."""

from collections.abc import Iterator, Mapping

from rusty_py.bench import diagnosis
from rusty_py.bench.results import Results
from rusty_py.bench.run import BenchRun, Result
from rusty_py.measure.case import BenchProblem
from rusty_py.measure.stats import Summary, summarise

ASCII = str.maketrans({"×": "x", "·": "-", "═": "=", "║": "|", "╔": "+", "╗": "+", "╚": "+", "╝": "+"})


def facts(run: BenchRun | Results, *path: str) -> object:
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
    cpu = " (a CPU driver: these are CPU results, not a GPU's)" if adapter["type"] == "CPU" else ""
    block = [
        ("Name", str(adapter["name"])),
        ("Backend", str(adapter["backend"])),
        ("Type", f"{adapter['type']}{cpu}"),
        ("Driver", str(adapter["driver"])),
    ]
    if checked:
        block.append(("Checks", "run-time bounds checks are on: kernels are slower"))
    return block


def header(run: BenchRun) -> list[str]:
    """The column headers, with the name of the clock."""
    peak = ["% of peak"] if run.peak_gflops else []
    clock = "GPU" if run.clock == "gpu" else "wall"
    rate = [f"ms ({clock})", "± %", "GFLOPS", "% of ceiling", *peak, "× NumPy"]
    return ["M×K×N", "kernel", *rate, "error", "note"]


def rows(run: BenchRun) -> Iterator[list[str]]:
    """One table row per case, with rounded numbers."""
    for result in run.results:
        yield _row(result, run)
    for skipped in run.skipped:
        case = skipped.case
        blanks = [""] * (len(header(run)) - 4)
        yield [case.problem.name, case.variant, "skipped", *blanks, skipped.reason]


def legend(run: BenchRun) -> list[str]:
    """The legend of the columns."""
    clock = "the GPU's timestamps" if run.clock == "gpu" else "the wall clock over batched runs"
    lines = [
        f"ms: median by {clock} ({run.clock_reason}), kernel only, data on the device;"
        " ±: median absolute deviation.",
        f"ceiling: {figure(run.ceilings.fma_gflops)} GFLOPS of f32 multiply-adds, measured here;"
        " lower where the measured bandwidth of copies and reads allows less.",
    ]
    if run.peak_gflops:
        lines.append(f"peak: {figure(run.peak_gflops)} GFLOPS, from --peak.")
    if run.baselines:
        threads = facts(run, "blas", "threads")
        of = f", {threads} threads" if threads else ""
        lines.append(
            f"× NumPy: kernel against np.matmul in float32 on {facts(run, 'system', 'cpu')}"
            f" ({facts(run, 'blas', 'name')}{of})."
        )
    lines += _words_of_problems(run)
    for method in dict.fromkeys(result.proof.method for result in run.results):
        lines.append(f"verified before and after timing: {method}.")
    return lines


def _words_of_problems(run: BenchRun) -> Iterator[str]:
    """The legend of sizes and errors for these problems, and of the f16 ceiling."""
    cases = [result.case for result in run.results] + [skipped.case for skipped in run.skipped]
    problems = [case.problem for case in cases]
    names = {"f32": "float32", "f16": "float16"}
    kinds = {(names[problem.sums], names[problem.dtype]) for problem in problems}
    for sums, dtype in sorted(kinds) or [("float32", "float32")]:
        stored = f", and one rounding to {dtype}" if sums != dtype else ""
        yield f"error: maximum error relative to float64, as a fraction of the {sums} rounding bound{stored}."
        if sums == "float16":
            yield "with f16 accumulation, the arithmetic ceiling is twice that of f32."
    if any(problem.axes.get("products", 1) > 1 for problem in problems):
        yield "P×M×K×N: P products at once."
    if any(problem.layout != "nn" for problem in problems):
        yield "nn, nt, tn, tt: layouts of a and b, n row-major and t transposed."


def findings(run: BenchRun) -> list[str]:
    """The fastest kernels, the drift of the machine, and whether the run was cut short."""
    lines = diagnosis.choices(run) + diagnosis.verdicts(run)
    cut = {result.stopped for result in run.results if result.stopped.startswith("budget")}
    lines += sorted(cut)
    drift = diagnosis.drift(run)
    if drift:
        lines.append(drift)
    if run.interrupted:
        lines.append("interrupted: these rows are what was measured before")
    if run.failure:
        lines.append(f"the device failed: {run.failure}")
    return lines


def figure(value: float) -> str:
    """A human-readable rate: thousands separators, decimals below 100."""
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}" if value >= 10 else f"{value:.2f}"


def spread(stats: Summary | None) -> str:
    """The median absolute deviation in percent of the median; "" if there is none."""
    if stats is None or stats.spread is None:
        return ""
    return f"{100 * stats.spread / stats.median:.1f}"


def scaled(value: float | None, unit: float) -> float | None:
    """`value` / `unit`; None if `value` is None."""
    return None if value is None else value / unit


def numpy_ms(problem: BenchProblem, run: BenchRun) -> float | None:
    """NumPy's median time for the problem."""
    for baseline in run.baselines:
        if baseline.problem == problem:
            return summarise(baseline.samples_ns).median / 1e6
    return None


def _ratio(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _row(result: Result, run: BenchRun) -> list[str]:
    case = result.case
    if result.stats is None or result.gflops is None or result.roof_gflops is None:
        blanks = [""] * (len(header(run)) - 4)
        return [case.problem.name, case.variant, result.verdict.upper(), *blanks, result.reason]
    ms = result.stats.median / 1e6
    host_ms = numpy_ms(case.problem, run)
    peak = [f"{result.gflops / run.peak_gflops:.1%}"] if run.peak_gflops else []
    return [
        case.problem.name,
        case.variant,
        f"{ms:,.3f}",
        spread(result.stats),
        figure(result.gflops),
        f"{result.gflops / result.roof_gflops:.1%}",
        *peak,
        _ratio(host_ms / ms) if host_ms else "",
        "" if result.proof.error is None else f"{result.proof.error:.2g}",
        diagnosis.note(result, run),
    ]
