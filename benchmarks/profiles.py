"""What matmul loses by a profile: the kernels chosen by several profiles against the best of the tuner's.

    rusty-bench calibrate
    python -m benchmarks.profiles --json profiles.json

From the root of the checkout, on a machine with a GPU. It takes the plans of each profile for the classes of
`rusty-bench matmul --preset shapes`: shipped for this adapter, shipped for Apple's GPUs, a scrambled one, and
the calibrated one. These, the tuner's first candidates and tuned kernels of earlier runs (--tuned) are
verified and screened; the plans and the fastest others are then timed in interleaved rounds.
RUSTY_PY_LIMITS=metal does it with Metal's limits.
"""

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from rusty_py.bench import context
from rusty_py.bench.shapes import parse, preset
from rusty_py.bench.tuning import of_classes, problems
from rusty_py.errors import RustyError
from rusty_py.gemm import tuning_cache
from rusty_py.gemm.model import model_of
from rusty_py.gemm.plan import Choice, CostModel, GemmPlan
from rusty_py.gemm.problem import GemmProblem
from rusty_py.gemm.search_space import supports
from rusty_py.gemm.select import untuned
from rusty_py.gemm.tuning_entry import signature_key
from rusty_py.measure.ceilings import CeilingMeter
from rusty_py.measure.clock import check_clock
from rusty_py.measure.document import ClockName
from rusty_py.measure.sampling import KernelTrack, Options, Sampler
from rusty_py.measure.stats import ratio_interval, summarise
from rusty_py.profile import store
from rusty_py.profile.prior import prior, prior_for
from rusty_py.profile.record import Profile
from rusty_py.runtime.adapter import LIMITS_ENVIRONMENT, Adapter, choose
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import compile_ahead
from rusty_py.runtime.timing import Timer
from rusty_py.tune import name_of
from rusty_py.tune.search import candidates
from rusty_py.tune.verifier import Attempt, TrialVerifier

ROUNDS, SAMPLE_S = 5, 0.01
KEPT = 3
"""How many of the screened candidates are timed beside the profiles' plans."""


@dataclass
class Row:
    """One class: the best plan and its time, and for each profile the best time over that of its plan."""

    problem: str
    signature: str
    best: str
    ms: float
    plans: dict[str, str]
    shares: dict[str, float]
    intervals: dict[str, tuple[float, float]]


def profiles_of(adapter: Adapter, rng: random.Random) -> dict[str, Profile]:
    """The profiles to compare. Raises SystemExit without a calibrated one."""
    calibrated = store.calibrated(adapter)
    if calibrated is None:
        raise SystemExit("profiles: run rusty-bench calibrate first")
    own = prior_for(adapter)
    return {
        "calibrated": calibrated,
        "shipped": own,
        "Apple's": prior("apple"),
        "scrambled": scrambled(own, rng),
    }


def scrambled(profile: Profile, rng: random.Random) -> Profile:
    """The profile with all figures off by a factor of up to 4, independently."""

    def off(x: float) -> float:
        return float(x * 4 ** rng.uniform(-1, 1))

    return replace(
        profile,
        cores=max(1, round(off(profile.cores))),
        launch_s=off(profile.launch_s),
        copy=tuple((size, off(rate)) for size, rate in profile.copy),
        read=tuple((size, off(rate)) for size, rate in profile.read),
        kernels=tuple(
            replace(each, gflops={name: off(rate) for name, rate in each.gflops.items()})
            for each in profile.kernels
        ),
    )


def stored(paths: Iterable[Path], problem: GemmProblem) -> Iterator[Choice]:
    """The choices of tuning files for a class of problems."""
    size = problem.m, problem.k, problem.n, problem.products
    for path in paths:
        for entry in tuning_cache.read(path):
            if (entry.size, entry.signature) == (size, signature_key(problem)):
                yield entry.choice


class Comparison:
    """Times plans of one problem in turn."""

    def __init__(self, device: Device, seed: int) -> None:
        self.device, self.seed, self.timer = device, seed, Timer(device)
        self.meter = CeilingMeter(device, self.timer, sample_s=0.02)
        self.meter.fit(2e-3)
        self.clock: ClockName = (
            "gpu" if check_clock(self.timer, self.meter.fma_launch, at_least_s=0.05).name == "gpu" else "wall"
        )

    def row(self, problem: GemmProblem, plans: Mapping[str, GemmPlan], others: Sequence[Choice]) -> Row:
        """The plans of the profiles, and the fastest of the other choices."""
        verifier = TrialVerifier(self.device, problem, np.random.default_rng(self.seed), cols=256)
        chosen = {plan.choice for plan in plans.values()}
        tracks: dict[Choice, KernelTrack] = {}
        for choice in dict.fromkeys((*chosen, *others)):
            try:
                tracks[choice] = self.track(Attempt(verifier, choice.plan(problem, "compared")))
            except RustyError as error:
                print(f"{problem}: {name_of(choice)}: {error}", file=sys.stderr)
        self.rounds(list(tracks.values()), sample_s=0.003, samples=2)
        ns = {choice: summarise(track.samples_ns()).median for choice, track in tracks.items()}
        kept = sorted((each for each in tracks if each not in chosen), key=lambda each: ns[each])[:KEPT]
        final = {each: tracks[each] for each in (*chosen, *kept) if each in tracks}
        self.rounds(list(final.values()), sample_s=SAMPLE_S, samples=ROUNDS)
        for choice, track in final.items():
            if fault := track.recheck().fault:
                raise SystemExit(f"profiles: {name_of(choice)} computes {problem} wrong: {fault}")
        ns = {choice: summarise(track.samples_ns()).median for choice, track in final.items()}
        best = min(ns, key=lambda each: ns[each])
        ratios = {
            name: ratio_interval(final[best].samples_ns(), final[plan.choice].samples_ns())
            for name, plan in plans.items()
        }
        return Row(
            str(problem),
            str(problem.signature),
            name_of(best),
            ns[best] / 1e6,
            {name: name_of(plan) for name, plan in plans.items()},
            {name: ratio for name, (ratio, _, _) in ratios.items()},
            {name: (low, high) for name, (_, low, high) in ratios.items()},
        )

    def track(self, attempt: Attempt) -> KernelTrack:
        if fault := attempt.verify().fault:
            raise SystemExit(f"profiles: {attempt.kernel} computes {attempt.problem} wrong: {fault}")
        track = KernelTrack(attempt.kernel, lambda: attempt, self.device, self.timer, self.clock)
        track.prepare()
        return track

    def rounds(self, tracks: Sequence[KernelTrack], *, sample_s: float, samples: int) -> None:
        options = Options(sample_s, sample_s, samples, samples, 0.0, 60.0, self.seed)
        sampler = Sampler(options, deadline=time.monotonic() + 60.0)
        for track in tracks:
            track.forget()
            track.warm_up(options, sampler.deadline)
        sampler.rounds(tracks, share_s=60.0)


Work = tuple[GemmProblem, Mapping[str, GemmPlan], Sequence[Choice]]
"""A problem, the plans of the profiles, and other choices."""


def work_of(
    problem: GemmProblem, adapter: Adapter, models: Mapping[str, CostModel], tuned: Iterable[Path], count: int
) -> Work:
    """The plans of a problem by each model, and the tuner's first `count` and what was tuned earlier."""
    plans = {name: untuned(model, problem) for name, model in models.items()}
    tried = [each.choice for each in candidates(adapter, problem)[:count]]
    tried += [each for each in stored(tuned, problem) if supports(each, adapter.limits, problem)]
    return problem, plans, tried


def compile_all(device: Device, work: Sequence[Work]) -> None:
    """Compiles the kernels by several threads, but for those of packed operands."""
    plans = [
        plan
        for problem, chosen, tried in work
        for plan in (*chosen.values(), *(choice.plan(problem, "") for choice in tried))
        if not plan.packs
    ]
    specs = dict.fromkeys(plan.kernel.spec(plan.seen) for plan in plans)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda spec: compile_ahead(device, spec), specs))


def report(rows: Sequence[Row], names: Sequence[str]) -> Iterator[str]:
    """A table of the classes, and the mean and the least of each profile."""
    cells = [
        [
            row.problem,
            row.signature,
            row.best,
            f"{row.ms:.4f}",
            *(f"{row.shares[name]:.3f}" for name in names),
        ]
        for row in rows
    ]
    yield tabulate(cells, ["M×K×N", "operands", "best", "ms", *names], disable_numparse=True)
    for name in names if rows else ():
        shares = [row.shares[name] for row in rows]
        mean, worst = float(np.exp(np.mean(np.log(shares)))), min(rows, key=lambda row: row.shares[name])
        yield (
            f"{name}: geometric mean {mean:.3f}, least {worst.shares[name]:.3f}"
            f" at {worst.problem} ({worst.signature}): {worst.plans[name]}"
        )


def table(document: str) -> str:
    """The table of a result file, as Markdown."""
    rows = [Row(**each) for each in json.loads(document)["rows"]]
    head, *findings = report(rows, list(rows[0].shares))
    return "\n".join(["```text", head, "```", "", *(f"- {each}" for each in findings)])


def main() -> None:
    """Measures and prints the table."""
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write all figures as JSON")
    parser.add_argument(
        "--tuned", type=Path, nargs="*", default=[], help="tuning files whose kernels are tried"
    )
    parser.add_argument(
        "--candidates", type=int, default=12, help="of the tuner, per class (default: %(default)s)"
    )
    parser.add_argument(
        "--max-time", type=float, default=240.0, help="seconds after compiling (default: %(default)s)"
    )
    parser.add_argument("--size", nargs="*", help="as of rusty-bench matmul, in place of the preset")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(31))
    arguments = parser.parse_args()
    adapter = choose()
    profiles = profiles_of(adapter, random.Random(arguments.seed))
    rows: list[Row] = []
    left: list[str] = []
    with Device(adapter, checked=False) as device:
        models = {name: model_of(device.limits, adapter.is_cpu, each) for name, each in profiles.items()}
        comparison = Comparison(device, arguments.seed)
        sizes = [*map(parse, arguments.size)] if arguments.size else preset()
        classes = of_classes(problems(sizes, dtype="f32", accumulate_dtype="f32"))
        work = [work_of(each, adapter, models, arguments.tuned, arguments.candidates) for each in classes]
        compile_all(device, work)
        deadline = time.monotonic() + arguments.max_time
        for problem, plans, tried in work:
            if time.monotonic() > deadline:
                left.append(f"{problem} ({problem.signature})")
                continue
            try:
                rows.append(comparison.row(problem, plans, tried))
            except RustyError as error:
                left.append(f"{problem}: {error}")
                continue
            shares = " ".join(f"{name} {share:.3f}" for name, share in rows[-1].shares.items())
            print(f"{problem}: {shares}", file=sys.stderr, flush=True)
    for line in report(rows, list(profiles)):
        print(line)
    if left:
        print(f"not measured: {'; '.join(left)}")
    if arguments.json:
        document: dict[str, Any] = {
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "commit": context.commit(),
            "adapter": context.adapter_facts(adapter),
            "limits": os.environ.get(LIMITS_ENVIRONMENT, ""),
            "clock": comparison.clock,
            "profiles": {name: str(each) for name, each in profiles.items()},
            "rows": [asdict(row) for row in rows],
            "left": left,
        }
        arguments.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
