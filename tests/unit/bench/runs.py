"""Hand-made runs of kernels, for what reads them."""

from collections.abc import Sequence
from dataclasses import replace

from rusty_py.bench.matmul_suite import problem
from rusty_py.measure.document import (
    BenchProblem,
    BenchRun,
    Ceilings,
    Figure,
    Result,
    Row,
    Samples,
    Verdict,
    Verification,
)
from rusty_py.measure.figures import ROOFLINE
from rusty_py.measure.runner import finished

MS = 1e6  # In nanoseconds.
CEILING = 3579.0  # GFLOPS.
VERIFIED = Verification("every element against float64", error=0.0182, relative_error=2.9e-7)
TOO_FAST = "22.8 us is 329% of the rate that this machine can reach, 75 us; both were measured twice"

CONTEXT = {
    "date": "2026-01-02T03:04:05+00:00",
    "command": "rusty-bench matmul --size 512",
    "options": {"max_samples": 7, "seed": 1, "min_time_s": 0.0},
    "rusty_py": {"version": "0.1.0", "commit": None},
    "device": {"checked": False, "subgroup_size": 32},
    "adapter": {
        "index": 0,
        "name": "Apple M4",
        "vendor": "Apple",
        "backend": "Metal",
        "type": "IntegratedGPU",
        "driver": "",
        "limits": {"threads": 1024},
        "features": ["timestamp-query"],
    },
    "system": {"cpu": "Apple M4", "ram_bytes": 2**34},
    "blas": {"name": "openblas 0.3.30", "threads": 10},
}


def matmul(
    size: int | BenchProblem,
    by: str,
    times_ms: Sequence[float],
    *,
    verdict: Verdict = "ok",
    verification: Verification | None = VERIFIED,
    roofline_gflops: float | None = CEILING,
    stopped: str = "settled",
    reason: str = "",
    plan: str = "",
) -> Row:
    """A row with one kernel: a sample in each round, the wall clock 10 % above the GPU's."""
    described = problem(size, size, size) if isinstance(size, int) else size
    roofline = [Figure(ROOFLINE, described.flops / roofline_gflops, "ns")] if roofline_gflops else []
    samples = Samples(
        1,
        tuple(range(len(times_ms))),
        wall_ns=tuple(1.1 * MS * ms for ms in times_ms),
        gpu_ns=tuple(MS * ms for ms in times_ms),
    )
    kernel = Result(
        by,
        verdict,
        "gpu",
        "kernel",
        verification,
        plan=plan,
        samples=samples,
        figures=tuple(roofline),
        reason=reason,
    )
    return Row(described, (kernel,), "numpy", stopped)


def numpy(size: int | BenchProblem, times_ms: Sequence[float]) -> Row:
    """NumPy's times for a problem."""
    described = problem(size, size, size) if isinstance(size, int) else size
    samples = Samples(1, tuple(range(len(times_ms))), wall_ns=tuple(MS * ms for ms in times_ms))
    return Row(described, (Result("numpy", "ok", "wall", "host", VERIFIED, samples=samples),), "numpy")


def skipped(size: int | BenchProblem, by: str, reason: str, *, plan: str = "") -> Row:
    """A kernel that was not measured."""
    return matmul(
        size,
        by,
        [],
        verdict="skipped",
        verification=None,
        roofline_gflops=None,
        reason=reason,
        plan=plan,
        stopped="",
    )


def around(ms: float, n: int = 7) -> list[float]:
    """Times about `ms`, a little apart."""
    return [ms * (1 + 0.001 * ((3 * i) % 7 - 3)) for i in range(n)]


def run(*rows: Row, **changes: object) -> BenchRun:
    """A run by the GPU's clock on a device of 3,579 GFLOPS and launches of 5 us.

    Rows of one problem become one row with all their results.
    """
    merged: dict[str, Row] = {}
    for row in rows:
        before = merged.get(row.problem.name)
        merged[row.problem.name] = replace(before, results=(*before.results, *row.results)) if before else row
    whole = BenchRun(
        command="matmul",
        context=CONTEXT,
        rows=list(merged.values()),
        clock="gpu",
        clock_reason="timestamps agree with the wall clock within 0.3%",
        ceilings=Ceilings(CEILING, {3 * 512 * 512 * 4: 93.5}, 5000.0),
    )
    return finished(replace(whole, **changes))


def by_wall(whole: BenchRun) -> BenchRun:
    """The run with all kernels by the wall clock."""
    rows = [
        replace(row, results=tuple(replace(each, clock="wall") for each in row.results)) for row in whole.rows
    ]
    return finished(replace(whole, rows=rows, clock="wall"))


def full_run(**changes: object) -> BenchRun:
    """A run with a result of every verdict: two that are ok, a wrong, a rejected and a skipped one."""
    return run(
        matmul(512, "naive", [0.4474] * 7),
        matmul(512, "tile 16", [0.1] * 7),
        matmul(
            512,
            "tile 8",
            [],
            verdict="wrong",
            verification=Verification(VERIFIED.method, fault="61.33% of the result never written"),
            roofline_gflops=None,
            reason="61.33% of the result never written",
        ),
        matmul(512, "tile 32", [0.0228] * 7, verdict="rejected", reason=TOO_FAST),
        numpy(512, (3.0, 2.0, 4.0)),
        skipped(4096, "naive", "needs about 90 s, 12 s of the budget are left"),
        drift_control_ns=[1.0 * MS] * 7,
        **changes,
    )
