"""The tuner: measures candidate kernels for a class of problems and stores the fastest for `matmul`.

`tune(adapter, ...)` tunes one class; `rusty-bench tune` tunes several and prints a table.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from rusty_py.errors import DeviceError, LimitError
from rusty_py.gemm import tuning_cache, tuning_file
from rusty_py.gemm.plan import Choice, GemmPlan
from rusty_py.gemm.problem import GemmProblem
from rusty_py.gemm.tuning_entry import TuningEntry, choice_data, machine_of, shape_class, signature_key
from rusty_py.runtime.adapter import Adapter
from rusty_py.tune.child import COMMAND, Reports, TuneJob, measure
from rusty_py.tune.search import MAX, candidates

MAX_TIME_S, CPU_MAX_TIME_S = 25.0, 60.0
SILENCE_S, CPU_SILENCE_S = 12.0, 30.0
"""A child that reports nothing for this long is treated as hung."""
MIN_ROUNDS = 5
MIN_GAIN = 1.01
"""The minimum speedup, beyond the noise, for a kernel to be stored; less is within drift."""


@dataclass(frozen=True)
class TuneOutcome:
    """The result of tuning one class. `best` is None if the measurement was not completed.

    `settled`: whether there were enough samples. `stored`: whether the best is in the file; if not, `reason`
    says why. `notes`: rejected candidates, and why.
    """

    problem: GemmProblem
    default: GemmPlan
    tried: int
    seconds: float
    best: GemmPlan | None = None
    gflops: float | None = None
    default_gflops: float | None = None
    ratio: float | None = None
    interval: tuple[float, float] | None = None
    stored: bool = False
    settled: bool = False
    reason: str = ""
    wrong: bool = False
    notes: Sequence[str] = field(default_factory=tuple)


def tune(
    adapter: Adapter,
    problem: GemmProblem,
    *,
    max_time_s: float | None = None,
    path: Path | None = None,
    keep: bool = True,
    limit: int = MAX,
    command: Sequence[str] = COMMAND,
    silence_s: float | None = None,
) -> TuneOutcome:
    """Measures up to `limit` kernels for the problem's class in a child process, and stores a faster one.

    `path` is the tuning file, by default the user's; without `keep` nothing is written. Raises LimitError if
    no kernel fits or there is no file, DeviceError if measuring cannot start, CacheError if the file cannot
    be written.
    """
    begun = monotonic()
    path = path or tuning_file.location()
    if path is None and keep:
        raise LimitError(f"tune: no tuning file: {tuning_file.nowhere()}")
    if path and keep:
        tuning_file.check(path)
    machine = machine_of(adapter)
    refused = set(tuning_cache.refused(path, machine)) if path else set()
    plans = candidates(adapter, problem, limit=limit)
    plans = [plans[0], *(each for each in plans[1:] if each.kernel not in refused)]
    silence_s = silence_s or (CPU_SILENCE_S if adapter.is_cpu else SILENCE_S)
    job = TuneJob(
        adapter.index,
        _arguments(problem),
        [choice_data(each.choice) for each in plans],
        silence_s=silence_s,
    )
    max_time_s = max_time_s or (CPU_MAX_TIME_S if adapter.is_cpu else MAX_TIME_S)
    reports = measure(job, max_time_s=max_time_s, command=command)
    if reports.failure and not reports.rates:
        raise DeviceError(f"tune: {problem}: {reports.failure}")
    if keep and path:
        for at, why in reports.killers.items():
            tuning_cache.refuse(path, machine, plans[at].kernel, why)
    outcome = _outcome(problem, plans, reports, seconds=monotonic() - begun)
    if keep and path:
        _keep(path, adapter, outcome)
    return outcome


def _outcome(problem: GemmProblem, plans: list[GemmPlan], reports: Reports, *, seconds: float) -> TuneOutcome:
    wrong = {at: why for at, why in reports.out.items() if why.startswith("wrong")}
    thrown = {**wrong, **reports.killers}
    notes = tuple(f"{name_of(plans[at])}: {why}" for at, why in sorted(thrown.items()))
    final, tried = reports.final, len(reports.rates)
    if final is None:
        reason = "no other kernel to try" if len(plans) == 1 else "not measured to the end; try --max-time"
        if 0 in thrown:
            reason = f"the default fails: {thrown[0]}"
        return TuneOutcome(problem, plans[0], tried, seconds, reason=reason, wrong=bool(wrong), notes=notes)
    faster = final.low > 1 and final.ratio >= MIN_GAIN
    reason = ""
    if final.rounds < MIN_ROUNDS:
        faster, reason = False, f"{final.rounds} rounds are too few to tell; try --max-time"
    elif not faster:
        reason = "the default is faster" if final.high < 1 else "no faster, within the noise or 1 %"
    return TuneOutcome(
        problem,
        plans[0],
        tried,
        seconds,
        best=plans[final.at],
        gflops=final.gflops,
        default_gflops=final.default_gflops,
        ratio=final.ratio,
        interval=(final.low, final.high),
        stored=faster,
        settled=final.rounds >= MIN_ROUNDS,
        reason=reason,
        wrong=bool(wrong),
        notes=notes,
    )


def _keep(path: Path, adapter: Adapter, outcome: TuneOutcome) -> None:
    """Stores the winner; if the default won, removes an older entry."""
    machine = machine_of(adapter)
    if not outcome.stored:
        if outcome.settled:
            tuning_cache.drop(path, machine, outcome.problem)
        return
    assert outcome.best
    assert outcome.gflops
    assert outcome.default_gflops
    problem = outcome.problem
    entry = TuningEntry(
        machine=vars(machine),
        signature=signature_key(problem),
        shape=shape_class(problem),
        size=(problem.m, problem.k, problem.n, problem.products),
        **outcome.best.choice._asdict(),
        gflops=outcome.gflops,
        default=name_of(outcome.default),
        default_gflops=outcome.default_gflops,
        date=datetime.now(UTC).date().isoformat(),
    )
    tuning_cache.put(path, entry)


def name_of(plan: GemmPlan | Choice) -> str:
    """The name of the kernel, with transposition, packing and split-K."""
    how = ["transposed"] * plan.transposed + [f"{' and '.join(plan.packs)} packed"] * bool(plan.packs)
    return ", ".join([plan.kernel.name, *how]) + f", split-K {plan.split_k}" * (plan.split_k > 1)


def _arguments(problem: GemmProblem) -> dict[str, str | int]:
    """The arguments of `problem_of` that create the same problem in the child."""
    signature = problem.signature
    sizes = {"m": problem.m, "k": problem.k, "n": problem.n, "products": problem.products}
    return {
        **sizes,
        "layout": signature.layout,
        "dtype": signature.stored.name,
        "accumulate_dtype": signature.accumulate_dtype.name,
    }
