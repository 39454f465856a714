"""Refuses result documents whose numbers no run can have: reports and comparisons trust the others."""

from collections.abc import Iterable, Iterator
from dataclasses import astuple

from rusty_py.bench.report import convolutions
from rusty_py.measure.document import BenchRun, Ceilings, Result, Row, Samples
from rusty_py.measure.figures import ROOFLINE

_MAX_NS = 1e18
_MAX = 1e60
"""Of other quantities: far more than sizes of 9 digits have operations, and products of two are finite."""


def ensure_valid(run: BenchRun) -> None:
    """Raises ValueError, which says what is invalid and where."""
    for place, fault in _faults(run):
        if fault:
            raise ValueError(f"{place}: {fault}")


def _faults(run: BenchRun) -> Iterator[tuple[str, str]]:
    yield "ceilings", _of_ceilings(run.ceilings)
    yield "drift_control_ns", _times(run.drift_control_ns, least=1e-6)
    yield "peak_gflops", "" if run.peak_gflops is None else _quantities([run.peak_gflops])
    for row in run.rows:
        yield row.problem.name, _of_problem(row, conv2d=run.command == "conv2d")
        for result in row.results:
            yield f"{row.problem.name}, {result.by}", _of_result(result)


def _of_problem(row: Row, *, conv2d: bool) -> str:
    problem = row.problem
    numbers = [*problem.axes.values(), problem.flops, problem.read_bytes, problem.written_bytes]
    if fault := _quantities(numbers):
        return fault
    if not conv2d or not problem.axes:
        return ""
    if missing := sorted(convolutions.AXES - problem.axes.keys()):
        return f"no axis {', '.join(missing)}"
    return "" if problem.axes["stride"] and convolutions.pixels(row) > 0 else "no pixels"


def _of_result(result: Result) -> str:
    return (
        _of_samples(result.samples)
        or _times(result.samples_ns, least=1e-9)  # Ratios divide by them.
        or _of_stats(result)
        or _quantities(abs(each.value) for each in result.figures)
        or _times([roofline] if (roofline := result.figure(ROOFLINE)) is not None else [], least=0)
        or _quantities(_errors(result))
    )


def _of_samples(samples: Samples) -> str:
    columns = (samples.wall_ns, samples.gpu_ns, samples.cpu_ns, samples.faults)
    if any(len(column) not in (0, len(samples)) for column in columns):
        return "columns of samples of different lengths"
    if not 1 <= samples.runs <= _MAX:
        return f"samples of {samples.runs} runs"
    gpu_ns = [ns for ns in samples.gpu_ns if ns is not None]
    return _times([*samples.wall_ns, *samples.cpu_ns]) or _times(gpu_ns, least=1e-6)


def _of_stats(result: Result) -> str:
    if result.stats is None:
        return ""
    if not 1 <= result.stats.n <= 1e9:
        return f"statistics of {result.stats.n} samples"
    return _times(astuple(result.stats))


def _of_ceilings(ceilings: Ceilings | None) -> str:
    if ceilings is None:
        return ""
    rates = [ceilings.fma_gflops, *ceilings.copy_gbps.values(), *ceilings.read_gbps.values()]
    return _times(rates, least=1e-9) or _times([ceilings.launch_ns])


def _errors(result: Result) -> list[float]:
    known = result.verification
    return [each for each in (known.error, known.relative_error) if each is not None] if known else []


def _times(values: Iterable[float], *, least: float = 0.0) -> str:
    """What is wrong with times or rates; 0 is a time that a clock cannot resolve, if `least` is 0."""
    return next(
        (f"{each!r}" for each in values if not (least <= each <= _MAX_NS and (each == 0 or each >= 1e-9))), ""
    )


def _quantities(values: Iterable[float]) -> str:
    return next((f"{each!r}" for each in values if not 0 <= each <= _MAX), "")
