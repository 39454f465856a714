"""Reads result files of version 1, of `matmul` and of `overhead` and `transfer`, as the current document."""

from collections.abc import Mapping, Sequence
from typing import Any

from rusty_py.measure.document import (
    BenchProblem,
    BenchRun,
    Ceilings,
    ClockName,
    Figure,
    Result,
    Row,
    Samples,
    Timed,
    Verification,
    in_columns,
)
from rusty_py.measure.figures import ROOFLINE, with_figures
from rusty_py.measure.stats import summarise

_REFERENCES = {"overhead": "wgpu-py", "transfer": "memcpy"}

Stored = Mapping[str, Any]


def converted(stored: Stored) -> BenchRun:
    """The document of a file of version 1, whose types are not checked. Raises ValueError for other files."""
    try:
        return _host_rows(stored) if "command" in stored else _kernels(stored)
    except (KeyError, IndexError, TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"results: not a file of version 1: {error!r}") from error


def _kernels(stored: Stored) -> BenchRun:
    """Runs of `matmul`: a list of results, each with its problem, and NumPy's times in another list."""
    ceilings = stored["ceilings"]
    run = BenchRun(
        command="matmul",
        context=stored["context"],
        clock=stored["clock"],
        clock_reason=stored["clock_reason"],
        ceilings=Ceilings(
            ceilings["fma_gflops"],
            _by_bytes(ceilings["copy_gbps"]),
            ceilings["launch_ns"],
            _by_bytes(ceilings.get("read_gbps", {})),
        ),
        drift_control_ns=list(stored["anchors_ns"]),
        peak_gflops=stored.get("peak_gflops"),
        interrupted=stored.get("interrupted", False),
        failure=stored.get("failure", ""),
    )
    found: dict[str, tuple[BenchProblem, list[Result], list[str]]] = {}
    for each in stored["results"]:
        problem = _problem(each["case"]["problem"])
        _, results, stopped = found.setdefault(problem.name, (problem, [], []))
        results.append(_kernel(each, run.clock))
        stopped += [each["stopped"]] * bool(each["stopped"])
    for each in stored.get("skipped", []):
        problem = _problem(each["case"]["problem"])
        found.setdefault(problem.name, (problem, [], []))[1].append(
            Result(
                each["case"]["variant"], "skipped", run.clock, reason=each["reason"], **_names(each["case"])
            )
        )
    for each in stored["baselines"]:
        times = tuple(each["samples_ns"])
        samples = Samples(1, tuple(range(len(times))), wall_ns=times)
        reference = Result("numpy", "ok", "wall", "host", samples=samples, stats=summarise(times))
        found[_problem(each["problem"]).name][1].append(reference)
    run.rows = [
        Row(problem, tuple(results), "numpy", stopped[0] if stopped else "")
        for problem, results, stopped in found.values()
    ]
    return with_figures(run)


def _problem(stored: Stored) -> BenchProblem:
    written = stored.get("written_bytes", 0)
    return BenchProblem(
        stored["suite"],
        stored["name"],
        {"products": 1, **stored["axes"]},
        stored["dtype"],
        {"layout": stored.get("layout", "nn"), "accumulate_dtype": stored.get("sums", "f32")},
        stored["flops"],
        stored["bytes"] - written,
        written,
    )


def _kernel(stored: Stored, clock: ClockName) -> Result:
    taken = stored["samples"]
    samples = in_columns(
        taken[0]["runs"] if taken else 1,
        [each["round"] for each in taken],
        [Timed(each["wall_ns"], each["gpu_ns"], fault=each["fault"]) for each in taken],
    )
    ok = stored["verdict"] == "ok"
    roofline = stored["roof_gflops"]
    flops = stored["case"]["problem"]["flops"]
    figures = [Figure(ROOFLINE, flops / roofline, "ns")] if roofline and ok else []
    return Result(
        stored["case"]["variant"],
        stored["verdict"],
        clock,
        verification=Verification(**stored["proof"]),
        samples=samples,
        stats=summarise(samples.ns(clock)) if ok and len(samples) else None,
        figures=tuple(figures),
        reason=stored["reason"],
        **_names(stored["case"]),
    )


def _names(case: Stored) -> dict[str, Any]:
    return {"kernel": case["kernel"], "sha256": case["sha256"], "plan": case.get("plan", "")}


def _by_bytes(stored: Stored) -> dict[int, float]:
    return {int(nbytes): gbps for nbytes, gbps in stored.items()}


def _host_rows(stored: Stored) -> BenchRun:
    """Runs of `overhead` and `transfer`."""
    command = stored["command"]
    run = BenchRun(
        command=command,
        context=stored["context"],
        interrupted=stored.get("interrupted", False),
        failure=stored.get("failure", ""),
    )
    for each in stored["rows"]:
        nbytes = each["nbytes"] or 0
        problem = BenchProblem(command, each["what"], read_bytes=nbytes if command == "transfer" else 0)
        results = tuple(_host(figure, each["clock"], each["proof"]) for figure in each["figures"])
        run.rows.append(Row(problem, results, _REFERENCES[command], each["stopped"], each["seed"]))
    return with_figures(run)


def _host(stored: Stored, clock: ClockName, method: str) -> Result:
    samples_ns: Sequence[float] = stored["samples_ns"]
    runs = stored["runs"]
    timed = [Timed(**{f"{clock}_ns": runs * ns}) for ns in samples_ns]
    samples = in_columns(runs, range(len(timed)), timed)
    skipped = stored["verdict"] == "skipped"
    return Result(
        stored["by"],
        stored["verdict"],
        clock,
        "host",
        verification=None if skipped else Verification(method, fault=stored["reason"]),
        samples=samples,
        stats=summarise(samples_ns) if samples_ns else None,
        figures=tuple(_count(name, value) for name, value in stored["counts"].items()),
        reason=stored["reason"],
    )


def _count(name: str, value: float) -> Figure:
    """A counter; the names of times end in their unit."""
    return Figure(name[:-3], value, "ns") if name.endswith(" ns") else Figure(name, value, "")
