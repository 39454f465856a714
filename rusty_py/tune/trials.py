"""The tuner's measuring process: verifies and times candidates, and reports progress as lines of JSON.

A kernel may hang the driver or crash the process, so the parent controls it from outside (tune/child.py).
Reads the job, with its deadline, as one line from standard input.
"""

import random
import time
from collections.abc import Sequence

import numpy as np

from rusty_py.dtypes import F32
from rusty_py.errors import LimitError, OutOfMemory, ShaderError
from rusty_py.gemm.plan import GemmPlan
from rusty_py.gemm.tuning_entry import choice_from
from rusty_py.measure import guard
from rusty_py.measure.ceilings import CeilingMeter
from rusty_py.measure.clock import Clock, check_clock
from rusty_py.measure.document import ClockName
from rusty_py.measure.sampling import KernelTrack, Options, Sampler
from rusty_py.measure.stats import ratio_interval, summarise
from rusty_py.runtime.adapter import choose
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Launch, record, run, submissions
from rusty_py.runtime.throughput import SUBMISSION_SECONDS
from rusty_py.runtime.timing import Timer
from rusty_py.tune.measuring_process import Job, Report, serve
from rusty_py.tune.search import distance, problem_of
from rusty_py.tune.verifier import METHOD, Attempt, TrialVerifier

_FIRST_PHASE = 0.55  # Fraction of the budget for verification and screening.
_LAST_ROUNDS = 9
_LAST_PHASE_S = 6.0  # Reserved for the winner against the default, or `_LAST_PHASE` of the budget if less.
_LAST_PHASE = 0.35
_MIN_S = 0.5
_DIVERSE = 16  # Candidates screened in the given order, before those similar to the best.
_NEAR = 0.8  # Fraction of the best rate above which candidates are measured for longer.
_HOPELESS = 0.3
_MIN_RUN_S = 5e-3  # Shorter runs are dominated by overhead.
_WARM_S = 0.03


class Trials:
    """The candidates for one problem on a device; the first is the default."""

    def __init__(
        self, device: Device, plans: Sequence[GemmPlan], *, budget_s: float, report: Report, seed: int
    ) -> None:
        self.device, self.plans, self.report = device, plans, report
        self.begun = time.monotonic()
        self.budget_s = budget_s
        self.deadline = self.begun + budget_s
        self.cpu = device.adapter.is_cpu
        self.random = random.Random(seed)
        self.problem = plans[0].problem
        self.timer = Timer(device)
        self.ceilings = CeilingMeter(device, self.timer, sample_s=0.02)
        self.clock = Clock("wall", "not checked")
        self.filler = [self.ceilings.fma_launch]
        self.verifier = TrialVerifier(device, self.problem, np.random.default_rng(seed))
        # One for the default and one shared by all others, to save memory.
        self.outputs = [device.empty(self.verifier.c_bytes, label=label) for label in ("default", "others")]

    def run(self) -> None:
        """Runs all phases; the results are in the reports."""
        self.ceilings.fit(5e-3 if self.cpu else 2e-3)
        self.clock = check_clock(self.timer, self.ceilings.fma_launch, at_least_s=0.02)
        self.ceilings.clock = self.clock
        once_s = self.timer.sample([[self.ceilings.fma_launch]]).wall_ns / 1e9
        self.filler = repeated(self.ceilings.fma_launch, once_s=once_s)
        self.report({"event": "begun", "clock": self.clock.name})
        tracks = self._screen()
        others = {at: track for at, track in tracks.items() if at}
        if 0 not in tracks or not others:
            return
        winner = self._successive_halving(others, default=tracks[0])
        self._final(tracks[0], winner, others[winner])

    def _screen(self) -> dict[int, KernelTrack]:
        """Verifies candidates and takes one sample of each, as long as time permits."""
        end = self.begun + _FIRST_PHASE * self.budget_s
        tracks: dict[int, KernelTrack] = {}
        rates: dict[int, float] = {}
        left = list(range(len(self.plans)))
        while left and (len(rates) < 2 or time.monotonic() < end):
            at = self._next(left, rates)
            left.remove(at)
            self.report({"event": "trying", "at": at})
            self._keep_busy()
            try:
                track, why = self._verified(at, max(rates.values(), default=0.0))
                if track:
                    tracks[at] = track
                    rates[at] = self._rates([track], sample_s=0.002, samples=1)[0]
                    self.report({"event": "rate", "at": at, "gflops": rates[at]})
            except (LimitError, OutOfMemory, ShaderError) as error:
                why = str(error)
            if why:
                self.report({"event": "out", "at": at, "why": why})
        return tracks

    def _next(self, left: Sequence[int], rates: dict[int, float]) -> int:
        """The next in order; after the first `_DIVERSE` the one most similar to the best so far."""
        if len(self.plans) - len(left) < _DIVERSE or not rates:
            return left[0]
        best = self.plans[max(rates, key=lambda at: rates[at])]
        return min(left, key=lambda at: distance(self.plans[at], best))

    def _verified(self, at: int, best: float) -> tuple[KernelTrack | None, str]:
        """The verified candidate, or why it is rejected. Throughput is measured first to size submissions."""
        plan = self.plans[at]
        attempt = Attempt(self.verifier, plan, self.outputs[min(at, 1)])
        for _ in range(2):  # The driver compiles at the first run.
            part = next(submissions(self.device, attempt.launches()))
            start = time.perf_counter()
            run(self.device, part)
            seconds = time.perf_counter() - start
        rate = sum(each.flops for each in part) / seconds / 1e9
        if seconds > _MIN_RUN_S and rate < _HOPELESS * best:
            return None, f"slow: {rate:,.0f} GFLOPS"
        verification = attempt.verify()
        if not verification.ok:
            return None, f"wrong: {verification.fault}"
        clock: ClockName = "gpu" if self.clock.name == "gpu" else "wall"
        track = KernelTrack(str(plan.kernel), lambda: attempt, self.device, self.timer, clock)
        track.prepare()
        return track, ""

    def _keep_busy(self) -> None:
        """Keeps a GPU busy while the host compiles: idle GPUs lower their clocks, by up to a factor of 4."""
        if not self.cpu:
            self.device.submit(record(self.device, self.filler))

    def _rates(self, tracks: Sequence[KernelTrack], *, sample_s: float, samples: int) -> list[float]:
        """GFLOPS by the median of a few samples, taken in interleaved rounds."""
        sampler = self._sampler(sample_s, samples)
        for track in tracks:
            track.forget()
            self._alive()
            track.warm_up(sampler.options, self.deadline)
        sampler.rounds(tracks, drift_control=self._alive, share_s=self.deadline - time.monotonic())
        for track in tracks:
            track.parts = []  # Launches hold their temporary buffers: free them.
        return [self._of(track) for track in tracks]

    def _alive(self) -> None:
        """Reports progress once per round, so that the parent can tell long work from a hang."""
        self.report({"event": "alive"})

    def _sampler(self, sample_s: float, samples: int) -> Sampler:
        options = Options(
            sample_s=sample_s,
            warmup_s=sample_s if self.cpu else max(sample_s, _WARM_S),
            min_samples=samples,
            max_samples=samples,
            min_time_s=0.0,
            max_time_s=self.budget_s,
            seed=self.random.getrandbits(32),
        )
        return Sampler(options, deadline=self.deadline)

    def _successive_halving(self, tracks: dict[int, KernelTrack], *, default: KernelTrack) -> int:
        """The best candidate by successive halving: each round is longer and keeps the better half."""
        rates = {at: self._of(track) for at, track in tracks.items()}
        # If one run takes seconds, the last phase needs most of the time.
        last_s = 2 * _LAST_ROUNDS * self.problem.flops / 1e9 / min(self._of(default), max(rates.values()))
        end = self.deadline - max(last_s, min(_LAST_PHASE_S, _LAST_PHASE * self.budget_s))
        sample_s = 0.005 if self.cpu else 0.01
        while True:
            best = max(rates.values())
            near = [at for at in sorted(rates, key=lambda at: -rates[at]) if rates[at] > _NEAR * best]
            kept = near[: max(1, (len(rates) + 1) // 2)]
            if len(kept) == 1 or time.monotonic() > end:
                return kept[0]
            found = self._rates([tracks[at] for at in kept], sample_s=sample_s, samples=3)
            rates = dict(zip(kept, found, strict=True))
            for at, rate in rates.items():
                self.report({"event": "rate", "at": at, "gflops": rate})
            if len(kept) == 2:
                return max(rates, key=lambda at: rates[at])
            sample_s *= 2

    def _of(self, track: KernelTrack) -> float:
        return self.problem.flops / summarise(track.samples_ns()).median

    def _final(self, default: KernelTrack, at: int, winner: KernelTrack) -> None:
        """Compares the winner with the default in long interleaved samples, verified before and after."""
        self.report({"event": "trying", "at": at})
        pair = (default, winner)
        for track in pair:
            self._alive()
            verification = track.verify()
            if not verification.ok:
                self.report(
                    {"event": "out", "at": at, "why": f"wrong when verified again: {verification.fault}"}
                )
                return
        # Long samples, but short enough that all rounds fit this phase.
        sample_s = min(0.02 if self.cpu else 0.1, _LAST_PHASE * self.budget_s / (3 * _LAST_ROUNDS))
        sampler = self._sampler(sample_s, _LAST_ROUNDS)
        for track in pair:
            track.forget()
            self._alive()
            track.warm_up(sampler.options, self.deadline)
        sampler.rounds(pair, drift_control=self._alive, share_s=self.deadline - time.monotonic())
        fault = self._fault_after(default, winner)
        if fault:
            self.report({"event": "out", "at": at, "why": fault})
            return
        slow, fast = default.samples_ns(), winner.samples_ns()
        ratio, low, high = ratio_interval(slow, fast)
        gflops = [self._of(track) for track in pair]
        final = {"gflops": gflops[1], "default_gflops": gflops[0], "rounds": len(slow)}
        self.report({"event": "final", "at": at, "ratio": ratio, "low": low, "high": high, **final})

    def _fault_after(self, default: KernelTrack, winner: KernelTrack) -> str:
        """Why the results after timing are wrong or the rate is implausible; "" if neither."""
        assert isinstance(default.work, Attempt)
        assert isinstance(winner.work, Attempt)
        results = [work.result() for work in (default.work, winner.work)]
        for c in results:
            verification = self.verifier.compare(c)
            if not verification.ok:
                return f"wrong after it was timed: {verification.fault}"
        fault = self.verifier.differs(results[1], results[0])
        roofline = self.ceilings.fma_gflops()
        rate = self._of(winner)
        if not fault and self.problem.signature.stored is F32 and rate > guard.TOLERANCE * roofline:
            fault = f"{rate:,.0f} GFLOPS is more than this machine can do, {roofline:,.0f}"
        return fault


def repeated(launch: Launch, *, once_s: float) -> list[Launch]:
    """The launch as often as one submission permits, at least once: drivers may kill longer ones."""
    return [launch] * max(1, int(SUBMISSION_SECONDS / once_s))


def measure(job: Job, report: Report) -> None:
    """Runs the trials of a job."""
    report({"event": "begun", "method": METHOD})
    problem = problem_of(**job["problem"])
    choices = [choice_from(each, problem) for each in job["plans"]]
    plans = [each.plan(problem, "tried") for each in choices]
    # Unchecked regardless of the environment, as matmul runs by default.
    with Device(choose(job["adapter"]), checked=False) as device:
        budget_s = max(_MIN_S, job["until"] - time.time())
        Trials(device, plans, budget_s=budget_s, report=report, seed=job["seed"]).run()


if __name__ == "__main__":
    serve(measure)
