"""Hand-made runs, for what reads them."""

from collections.abc import Sequence
from dataclasses import replace

from rusty_py.bench.run import Baseline, BenchRun, Ceilings, Result, Skipped, Verdict
from rusty_py.bench.runner import with_stats
from rusty_py.bench.suites.matmul import case, problem
from rusty_py.measure.case import Case, Timed, Verification
from rusty_py.measure.clock import Clock

MS = 1e6  # In nanoseconds.
PROOF = Verification("every element against float64", error=0.0182, relative_error=2.9e-7)

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


def matmul(n: int, tile: int | str) -> Case:
    return case(problem(n, n, n), tile)


def result(
    case: Case,
    times_ms: Sequence[float],
    *,
    verdict: Verdict = "ok",
    proof: Verification = PROOF,
    roof_gflops: float | None = 3579.0,
    stopped: str = "settled",
    reason: str = "",
) -> Result:
    """A result with one sample a round, the wall clock 10 % above the GPU's, and its statistics."""
    samples = tuple(Timed(i, 1, 1.1 * MS * ms, MS * ms) for i, ms in enumerate(times_ms))
    measured = Result(case, verdict, proof, samples, roof_gflops=roof_gflops, stopped=stopped, reason=reason)
    return with_stats(measured, Clock("gpu", ""))


def around(ms: float, n: int = 7) -> list[float]:
    """Times about `ms`, a little apart."""
    return [ms * (1 + 0.001 * ((3 * i) % 7 - 3)) for i in range(n)]


def run(*results: Result, **changes: object) -> BenchRun:
    """A run by the GPU's clock on a device of 3,579 GFLOPS and launches of 5 us."""
    whole = BenchRun(
        context=CONTEXT,
        clock="gpu",
        clock_reason="timestamps agree with the wall clock within 0.3%",
        ceilings=Ceilings(3579.0, {3 * 512 * 512 * 4: 93.5}, 5000.0),
        results=list(results),
    )
    return replace(whole, **changes)


def full_run(**changes: object) -> BenchRun:
    """A run with a row of every kind: two that are right, a wrong, a rejected and a skipped one."""
    n = problem(512, 512, 512)
    return run(
        result(matmul(512, "naive"), [0.4474] * 7),
        result(matmul(512, 16), [0.1] * 7),
        result(
            matmul(512, 8),
            [],
            verdict="wrong",
            proof=Verification(PROOF.method, fault="61.33% of C never written"),
            roof_gflops=None,
            reason="61.33% of C never written",
        ),
        result(
            matmul(512, 32),
            [0.0228] * 7,
            verdict="rejected",
            reason="11,767 GFLOPS is 329% of what this machine can do, 3,579; both were measured twice",
        ),
        skipped=[Skipped(matmul(4096, "naive"), "needs about 90 s, 12 s of the budget are left")],
        baselines=[Baseline(n, (3.0 * MS, 2.0 * MS, 4.0 * MS))],
        anchors_ns=[1.0 * MS] * 7,
        **changes,
    )
