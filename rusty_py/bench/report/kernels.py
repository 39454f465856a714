"""The tables and findings of runs that measure kernels: `matmul` and the suites of operations."""

from collections.abc import Iterator, Mapping, Sequence
from math import prod

from rusty_py.bench import diagnosis
from rusty_py.bench.report import fusion
from rusty_py.bench.report.columns import WIDE_ONLY, Column, Table, table_of
from rusty_py.bench.report.facts import block_of, facts
from rusty_py.bench.report.numbers import milliseconds, rate, speedup, spread
from rusty_py.measure.document import BenchProblem, BenchRun, Result, Row
from rusty_py.measure.figures import GBPS, GFLOPS, SPEEDUP, share_of_ceiling

PARTS = {
    "compile": "compile",
    "upload": "upload",
    "dispatch": "launch",
    "GPU": "GPU",
    "download": "download",
}
"""The figures of a result measured end to end, in nanoseconds, and their headers."""

CALL_LEGEND = (
    "call: from NumPy arrays to a NumPy array, by the wall clock; compile: once per process and kernel, not"
    " part of the total; launch: the call without waiting; GPU: the wait that follows."
)

_CATEGORIES = {"matmul": "compute", "reduce": "reduction"}
_DTYPES = {"f32": "float32", "f16": "float16"}


def tables(run: BenchRun) -> list[Table]:
    """Kernels, what fusion saves, whole calls from NumPy to NumPy, and a summary."""
    saved = fusion.table(run)
    return [table for table in (_kernels(run), saved, whole_calls(run), _summary(run)) if table.lines]


def configuration(run: BenchRun) -> list[str]:
    """What was measured and how, for above the tables; what is unknown is left out."""
    clock = "GPU timestamps" if run.clock == "gpu" else "wall clock over batched runs"
    reference = ", ".join(dict.fromkeys(_label(row.reference) for row in run.rows if row.reference))
    what = _launch(run) if run.command == "run" else _suite(run)
    return block_of(run, {**what, "Clock": clock if run.clock_reason else "", "Reference": reference})


def _suite(run: BenchRun) -> dict[str, str]:
    """The suite with its dtypes and options."""
    problems = [row.problem for row in run.rows]
    pairs = [(name, value, each.dtype) for each in problems for name, value in each.options.items()]
    usual = {"layout": "nn"}
    named = {name for name, value, dtype in pairs if value != (usual | {"accumulate_dtype": dtype}).get(name)}
    options = {f"{name.replace('_', ' ')} {value}" for name, value, _ in pairs if name in named}
    dtypes = dict.fromkeys(each.dtype for each in problems)
    return {"Suite": ", ".join([run.command, *dtypes, *sorted(options)])}


def _launch(run: BenchRun) -> dict[str, str]:
    """A user's kernel: its name, its workgroups and its constants."""
    name, workgroups, constants = (facts(run, "kernel", key) for key in ("name", "workgroups", "constants"))
    if not isinstance(workgroups, Sequence) or not isinstance(constants, Mapping):
        return {}
    values = [f"{key}={value:g}" for key, value in constants.items()]
    size = "x".join(map(str, workgroups))
    return {"Kernel": ", ".join([str(name), f"{size} workgroup{'s' * (size != '1')}", *values])}


def findings(run: BenchRun) -> list[str]:
    """The selected kernels, the fastest ones, scaling with size and the drift of the machine."""
    lines = diagnosis.choices(run) + diagnosis.verdicts(run)
    lines += fusion.findings(run) if run.command == "fused" else diagnosis.against_reference(run)
    lines += list(filter(None, [diagnosis.largest_speedup(run)]))
    lines += diagnosis.exponents(run)
    lines += budget_shares(run)
    unverified = facts(run, "unverified")
    if isinstance(unverified, list) and unverified:
        lines.append(f"not verified, for lack of a reference: {', '.join(map(str, unverified))}")
    drift = diagnosis.drift(run)
    return [*lines, drift] if drift else lines


def budget_shares(run: BenchRun) -> list[str]:
    """How many rows stopped at their share of the budget, and how noisy they are."""
    short = [row for row in run.rows if row.stopped.startswith("budget: its share")]
    noise = [each.stats.noise for row in short for each in diagnosis.ranking(row) if each.stats]
    if not noise:
        return []
    rows = "1 row used up its share" if len(short) == 1 else f"{len(short)} rows used up their share"
    return [f"budget: {rows}; noise of the medians up to {max(noise):.1%}"]


def legend(run: BenchRun) -> list[str]:
    """The legend of the columns, and how results were verified."""
    timed = any(result.ns for _, result in run.results())
    lines = [*(_columns(run) if timed else []), *_of_problems(run)]
    methods = [each.verification.method for _, each in run.results() if each.verification]
    verified = "verified before and after timing" if timed else "verified"
    return [*lines, *(f"{verified}: {method}." for method in dict.fromkeys(methods))]


def _columns(run: BenchRun) -> list[str]:
    """The legend of the columns of times, rates and errors."""
    clock = "the GPU's timestamps" if run.clock == "gpu" else "the wall clock over batched runs"
    lines = [
        f"ms: median by {clock} ({run.clock_reason}), kernel only, data on the device;"
        " ±: median absolute deviation, in % of it.",
    ]
    if run.ceilings:
        lines.append(
            f"ceiling: share of the roofline, {rate(run.ceilings.fma_gflops)} GFLOPS of f32 multiply-adds,"
            " measured here; lower where the measured bandwidth of copies and reads allows less."
        )
    if run.peak_gflops:
        lines.append(f"peak: {rate(run.peak_gflops)} GFLOPS, from --peak.")
    lines += [
        reference_legend(run, each) for each in dict.fromkeys(row.reference for row in run.rows) if each
    ]
    if any(len(diagnosis.kernels(row)) > 1 for row in run.rows):
        lines.append("gain (--wide): the time saved against the slowest kernel of the row, in %.")
    if fusion.table(run).lines:
        lines.append(fusion.LEGEND)
    if whole_calls(run).lines:
        lines.append(CALL_LEGEND)
    return [*lines, *(_of_user_kernel(run) if run.command == "run" else error_legend(run))]


def _of_user_kernel(run: BenchRun) -> Iterator[str]:
    """The legend of what a user's kernel moves and computes."""
    problem = run.rows[0].problem
    if problem.flops:
        yield f"GFLOPS: {problem.flops:,} floating-point operations of the reference."
    yield f"GB/s: {problem.nbytes:,} bytes: every buffer once, those that are read and written twice."
    yield "error: maximum error as a fraction of its bound."
    if run.rows[0].result("rusty_py") and facts(run, "device", "checked"):
        yield "rusty_py: its operation on the same inputs, without bounds checks, as with --unchecked."


def _kernels(run: BenchRun) -> Table:
    clock = "GPU" if run.clock == "gpu" else "wall"
    reference = next((row.reference for row in run.rows if row.reference), "")
    matmul = run.command == "matmul"
    columns = [
        Column("M×K×N" if matmul else "problem", right=False),
        Column("kernel", right=False),
        Column(f"ms ({clock})"),
        Column("± %", rank=2),
        Column(GFLOPS, rank=0 if matmul else 3 if run.command == "run" else WIDE_ONLY),
        Column(GBPS, rank=WIDE_ONLY if matmul else 0),
        Column("ceiling"),
        Column("of peak", rank=1),
        Column("bound by", right=False, rank=5),
        Column(f"vs {_label(reference)}", rank=1),
        Column("growth", rank=WIDE_ONLY if matmul else 6),
        Column(f"{_label(reference)} ms", rank=WIDE_ONLY if matmul else 7),
        *(
            Column(name, rank=WIDE_ONLY)
            for name in (
                *("mean ms", "low", "high", "min", "max", "p95", "outliers", "samples"),
                *("ns/element", "gain %"),
            )
        ),
        Column("error", rank=4 if run.command == "run" else WIDE_ONLY),
        Column("note", right=False, rank=WIDE_ONLY),
    ]
    several = run.command == "run" or any(len(diagnosis.kernels(row)) > 1 for row in run.rows)
    lines = [
        _line(result, row, run, several=several) for row in run.rows for result in diagnosis.kernels(row)
    ]
    return table_of(columns, lines)


def _line(result: Result, row: Row, run: BenchRun, *, several: bool) -> list[str]:
    name = [row.problem.name, result.by if several else ""]
    stats = result.stats
    if stats is None:
        return [*name, result.verdict if result.verdict == "skipped" else result.verdict.upper(), *[""] * 21]
    share, gflops, gbps = share_of_ceiling(result), result.figure(GFLOPS), result.figure(GBPS)
    ratio, reference_ns = result.figure(SPEEDUP), row.ns(row.reference)
    growth = diagnosis.growth(result, row, run)
    elements = prod(size for axis, size in row.problem.axes.items() if axis != "k")
    slowest = max(each.ns or 0.0 for each in diagnosis.kernels(row))
    error = result.verification.error if result.verification else None
    times = (stats.mean, stats.low, stats.high, stats.min, stats.max, stats.p95)
    return [
        *name,
        milliseconds(stats.median),
        spread(stats),
        rate(gflops) if gflops else "",
        rate(gbps) if gbps else "",
        f"{share:.1%}" if share else "",
        f"{gflops / run.peak_gflops:.1%}" if gflops and run.peak_gflops else "",
        diagnosis.bound(result, row, run),
        speedup(ratio) if ratio else "",
        f"{growth:.2f}x" if growth else "",
        milliseconds(reference_ns) if reference_ns else "",
        *map(milliseconds, times),
        str(stats.outliers),
        str(stats.n),
        f"{stats.median / elements:.3g}" if row.problem.axes and elements else "",
        f"{100 * (1 - stats.median / slowest):.1f}" if slowest > stats.median else "",
        "" if error is None else f"{error:.2g}",
        diagnosis.note(result, row, run),
    ]


def whole_calls(run: BenchRun) -> Table:
    """One line for each result that was measured from NumPy to NumPy, with its parts in milliseconds."""
    reference = next((row.reference for row in run.rows if row.reference), "")
    columns = [
        Column("call, ms", right=False),
        *(Column(header) for header in PARTS.values()),
        Column("total"),
        Column(f"vs {_label(reference)}"),
    ]
    lines = []
    for row, result in run.results():
        if result.scope == "end to end" and result.ns:
            parts = [result.figure(part) for part in PARTS]
            ratio = result.figure(SPEEDUP)
            cells = ["" if ns is None else milliseconds(ns) for ns in (*parts, result.ns)]
            lines.append([row.problem.name, *cells, speedup(ratio) if ratio else ""])
    return table_of(columns, lines)


def _summary(run: BenchRun) -> Table:
    """The grade of the fastest kernel of each operation, at its largest size; none for a single row."""
    columns = [
        Column("category", right=False),
        Column("operation", right=False),
        Column("size", right=False),
        Column("rate"),
        Column("ceiling"),
        Column("grade", right=False),
    ]
    lines: list[list[str]] = []
    operations = dict.fromkeys(row.problem.operation for row in run.rows) if len(run.rows) > 1 else ()
    for operation in operations:
        rows = [row for row in run.rows if row.problem.operation == operation and diagnosis.ranking(row)]
        if rows:
            row = max(rows, key=lambda row: row.problem.flops + row.problem.nbytes)
            lines += _graded(row, diagnosis.ranking(row)[0], run)
    return table_of(columns, lines)


def _graded(row: Row, best: Result, run: BenchRun) -> Iterator[list[str]]:
    share = share_of_ceiling(best)
    name = GFLOPS if run.command == "matmul" else GBPS
    value = best.figure(name)
    if share and value:
        category = _CATEGORIES.get(run.command, run.command)
        figure = f"{rate(value)} {name}"
        yield [
            category,
            row.problem.operation,
            row.problem.name,
            figure,
            f"{share:.1%}",
            diagnosis.grade(share),
        ]


def _label(library: str) -> str:
    return diagnosis.LABELS.get(library, library)


def reference_legend(run: BenchRun, name: str) -> str:
    """The legend of the comparison with a reference."""
    if name == fusion.UNFUSED:
        return "vs unfused: the time of the operations one by one, divided by that of the fused kernels."
    if name != "numpy":
        return (
            f"vs {_label(name)}: its time divided by the kernel's, same scope and layout; below 0.05 ms both"
            " replay graphs, by the wall clock."
        )
    if run.command != "matmul":
        return f"vs NumPy: NumPy's time on {facts(run, 'system', 'cpu')} divided by the kernel's."
    threads = facts(run, "blas", "threads")
    of = f", {threads} threads" if threads else ""
    return (
        f"vs NumPy: NumPy's time in float32 on {facts(run, 'system', 'cpu')}"
        f" ({facts(run, 'blas', 'name')}{of}) divided by the kernel's."
    )


def error_legend(run: BenchRun) -> Iterator[str]:
    """The legend of errors, and of the f16 ceiling."""
    problems = [row.problem for row in run.rows]
    for accumulated, dtype in sorted({_rounded(each) for each in problems if each.dtype in _DTYPES}):
        stored = f", and one rounding to {dtype}" if accumulated != dtype else ""
        yield (
            f"error: maximum error relative to float64, as a fraction of the {accumulated} rounding"
            f" bound{stored}."
        )
    if any(each.options.get("accumulate_dtype") == "f16" for each in problems):
        yield "with f16 accumulation, the arithmetic ceiling is twice that of f32."


def _of_problems(run: BenchRun) -> Iterator[str]:
    """The legend of sizes and layouts."""
    problems = [row.problem for row in run.rows]
    if any(problem.axes.get("products", 1) > 1 for problem in problems):
        yield "P×M×K×N: P products at once."
    if any(problem.options.get("layout", "nn") != "nn" for problem in problems):
        yield "nn, nt, tn, tt: layouts of a and b, n row-major and t transposed."


def _rounded(problem: BenchProblem) -> tuple[str, str]:
    dtype = _DTYPES.get(problem.dtype, problem.dtype)
    accumulated = problem.options.get("accumulate_dtype", "f32")
    return _DTYPES.get(accumulated, accumulated), dtype
