"""`rusty-bench tune`: runs the tuner for several classes and prints its results and the stored entries."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tabulate import tabulate

from rusty_py import dtypes
from rusty_py.bench.shapes import Size
from rusty_py.errors import DeviceError, DtypeError
from rusty_py.gemm import tuning_cache, tuning_file
from rusty_py.gemm.problem import GemmProblem
from rusty_py.gemm.tuning_entry import shape_class, signature_key
from rusty_py.ops.conv import tuning as conv_tuning
from rusty_py.runtime.adapter import Adapter
from rusty_py.tune import TuneOutcome, name_of, tune
from rusty_py.tune.search import problem_of

_HEAD = ["M×K×N", "layout", "default", "GFLOPS", "best other", "GFLOPS", "ratio", "95 %", "kept"]
_CONVOLUTION_HEAD = ["adapter", "convolution", "algorithm", "ms", "default", "ms", "date"]
_LIST_HEAD = ["adapter", "driver", "M×K×N", "layout", "kernel", "GFLOPS", "default", "GFLOPS", "date"]


@dataclass
class TuningRun:
    """The outcomes of one run, possibly `interrupted` or ended by a `failure` of the device.

    `left`: the problems that were not tuned.
    """

    adapter: Adapter
    path: Path | None
    outcomes: list[TuneOutcome] = field(default_factory=list)
    interrupted: bool = False
    failure: str = ""
    left: list[GemmProblem] = field(default_factory=list)


def problems(sizes: Sequence[Size], *, dtype: str, accumulate_dtype: str) -> list[GemmProblem]:
    """The problems of the sizes. Raises DtypeError for unknown dtypes."""
    for each in (dtype, accumulate_dtype):
        dtypes.parse(each, operation="tune")
    if (dtype, accumulate_dtype) == ("f32", "f16"):
        raise DtypeError("tune: --accumulate-dtype f16 needs --dtype f16: got f32")
    found = (
        problem_of(
            each.m,
            each.k,
            each.n,
            layout=each.layout,
            dtype=dtype,
            accumulate_dtype=accumulate_dtype,
            products=each.products,
        )
        for each in sizes
    )
    return list(dict.fromkeys(found))


def of_classes(problems: Sequence[GemmProblem]) -> list[GemmProblem]:
    """The first problem of each class."""
    first: dict[object, GemmProblem] = {}
    for problem in problems:
        first.setdefault((signature_key(problem), shape_class(problem)), problem)
    return list(first.values())


def tune_all(
    adapter: Adapter,
    problems: Sequence[GemmProblem],
    *,
    max_time_s: float | None,
    keep: bool,
    progress: Callable[[str], None],
) -> TuningRun:
    """Tunes the classes in order. Each is stored at once, so Ctrl-C loses only the current one."""
    run = TuningRun(adapter, tuning_file.location() if keep else None)
    try:
        for at, problem in enumerate(problems):
            progress(f"tuning {at + 1} of {len(problems)}: {problem} ({problem.signature})")
            outcome = tune(adapter, problem, max_time_s=max_time_s, keep=keep)
            run.outcomes.append(outcome)
    except KeyboardInterrupt:
        run.interrupted = True
    except DeviceError as error:
        run.failure = str(error)
    run.left = list(problems[len(run.outcomes) :])
    return run


def table(run: TuningRun) -> str:
    """A table with a row per class, the rejected candidates, and the path of the file."""
    rows = [_row(outcome, kept=run.path is not None) for outcome in run.outcomes]
    align = ("left", "left", "left", "right", "left", "right", "right", "right", "left")
    lines = [str(run.adapter), "", tabulate(rows, _HEAD, disable_numparse=True, colalign=align * bool(rows))]
    notes = list(dict.fromkeys(note for outcome in run.outcomes for note in outcome.notes))
    lines += ["", *(f"rejected: {note}" for note in notes)] if notes else []
    lines += ["", *_summary(run)]
    return "\n".join(lines)


def write(run: TuningRun, folder: Path) -> None:
    """Writes the table and a description of the machine, named by the time."""
    from rusty_py.bench.context import adapter_facts, homeless, system
    from rusty_py.bench.info import as_text
    from rusty_py.bench.report import files

    stamp = files.fresh_stamp(folder)
    machine = {"adapter": adapter_facts(run.adapter), **system()}
    files.write(folder / f"tuning_{stamp}.txt", homeless(table(run)) + "\n")
    files.write(folder / f"system_info_{stamp}.txt", as_text(machine, complete=True) + "\n")


def listing() -> str:
    """The entries of the user's file as a table."""
    path = tuning_file.location()
    if path is None:
        return f"nothing is kept: {tuning_file.nowhere()}"
    rows = [
        [
            each.machine["adapter"],
            each.machine["driver"],
            str(GemmProblem(*each.size)),
            each.signature,
            name_of(each.choice),
            _rate(each.gflops),
            each.default,
            _rate(each.default_gflops),
            each.date,
        ]
        for each in tuning_cache.read(path)
    ]
    align = ("left", "left", "left", "left", "left", "right", "left", "right", "left")
    tables = [tabulate(rows, _LIST_HEAD, disable_numparse=True, colalign=align)] if rows else []
    convolutions = [
        [
            each.machine["adapter"],
            each.problem,
            each.algorithm,
            each.ms,
            each.default,
            each.default_ms,
            each.date,
        ]
        for each in conv_tuning.read(path)
    ]
    if convolutions:
        tables.append(tabulate(convolutions, _CONVOLUTION_HEAD, floatfmt=".4f"))
    return "\n\n".join([*tables, f"from {path}"]) if tables else f"nothing is kept in {path}"


def clear() -> str:
    """Removes the user's file. Raises CacheError."""
    path = tuning_file.location()
    if path is None:
        return f"nothing is kept: {tuning_file.nowhere()}"
    return f"removed {path}" if tuning_file.clear(path) else f"nothing is kept in {path}"


def _row(outcome: TuneOutcome, *, kept: bool) -> list[str]:
    known = outcome.best is not None
    verdict = f"no: {outcome.reason}" if outcome.reason else "yes" if kept else "no: --dry-run"
    low, high = outcome.interval or (0.0, 0.0)
    interval = f"{low:.2f} to {high:.2f}" if outcome.settled else ""  # Few rounds give no interval.
    return [
        str(outcome.problem),
        str(outcome.problem.signature),
        name_of(outcome.default),
        _rate(outcome.default_gflops),
        name_of(outcome.best) if outcome.best else "",
        _rate(outcome.gflops),
        f"{outcome.ratio:.2f}" if known and outcome.ratio else "",
        interval,
        verdict,
    ]


def _summary(run: TuningRun) -> Iterator[str]:
    for outcome in run.outcomes:
        yield f"{outcome.problem}: {outcome.tried} kernels verified and timed in {outcome.seconds:.0f} s"
    if run.path and any(outcome.stored for outcome in run.outcomes):
        yield f"kept in {run.path}"
    if run.left:
        yield "not tuned: " + " ".join(f"--size {size_text(problem)}" for problem in run.left)


def size_text(problem: GemmProblem) -> str:
    """The problem in the format of `--size`."""
    batch = (problem.products,) if problem.products > 1 else ()
    layout = problem.signature.layout
    text = "x".join(map(str, (*batch, problem.m, problem.k, problem.n)))
    return f"{text}:{layout}" if layout != "nn" else text


def _rate(gflops: float | None) -> str:
    if gflops is None:
        return ""
    return f"{gflops:,.0f}" if gflops >= 1000 else f"{gflops:.3g}"
