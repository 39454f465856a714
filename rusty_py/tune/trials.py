"""The tuner's own process: proves and times contestants, and reports each step as a line of JSON.

A kernel may hang the driver or end the process, so that who chose it lives elsewhere (tune/child.py).
Reads one line, the job, which says until when.
"""

import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

from rusty_py.dtypes import F32
from rusty_py.errors import DeviceError, LimitError, OutOfMemory, RustyError, ShaderError
from rusty_py.gemm.plan import GemmPlan
from rusty_py.gemm.tuning_entry import choice_from
from rusty_py.measure import guard
from rusty_py.measure.case import Timed
from rusty_py.measure.ceilings import CeilingMeter
from rusty_py.measure.clock import Clock, check_clock
from rusty_py.measure.sampling import Options, Sampler, Track, run_ns
from rusty_py.measure.signals import leave_to_parent
from rusty_py.measure.stats import ratio_interval, summarise
from rusty_py.runtime.adapter import choose
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Launch, record, run, submissions
from rusty_py.runtime.throughput import SUBMISSION_SECONDS
from rusty_py.runtime.timing import Timer
from rusty_py.tune.search import distance, problem_of
from rusty_py.tune.verifier import METHOD, Attempt, TrialVerifier

Report = Callable[[dict[str, object]], None]

_FIRST_PHASE = 0.55  # Of the budget, for proving and a first look.
_LAST_ROUNDS = 9
_LAST_PHASE_S = 6.0  # Kept for the winner against the default, or less where there is less.
_LAST_PHASE = 0.35
_MIN_S = 0.5
_BROAD = 16  # So many different ones, before those near the best.
_NEAR = 0.8  # Of the best rate: those that a longer look may put first.
_HOPELESS = 0.3
_TELLING_S = 5e-3  # A shorter run is mostly what comes around it.
_WARM_S = 0.03


class Trials:
    """The contestants of one problem on a device; the first is the default."""

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
        # The default's, and one for all others: hundreds would need much memory.
        self.outputs = [device.empty(self.verifier.c_bytes, label=label) for label in ("default", "others")]

    def run(self) -> None:
        """All phases; what they found is in the reports."""
        self.ceilings.fit(5e-3 if self.cpu else 2e-3)
        self.clock = check_clock(self.timer, self.ceilings.fma_launch, at_least_s=0.02)
        self.ceilings.clock = self.clock
        once_s = self.timer.sample([[self.ceilings.fma_launch]]).wall_ns / 1e9
        self.filler = repeated(self.ceilings.fma_launch, once_s=once_s)
        self.report({"event": "begun", "clock": self.clock.name})
        tracks = self._first_look()
        others = {at: track for at, track in tracks.items() if at}
        if 0 not in tracks or not others:
            return
        winner = self._halved(others, default=tracks[0])
        self._final(tracks[0], winner, others[winner])

    def _first_look(self) -> dict[int, Track]:
        """Proves contestants and takes one sample of each, as far as the time goes."""
        end = self.begun + _FIRST_PHASE * self.budget_s
        tracks: dict[int, Track] = {}
        rates: dict[int, float] = {}
        left = list(range(len(self.plans)))
        while left and (len(rates) < 2 or time.monotonic() < end):
            at = self._next(left, rates)
            left.remove(at)
            self.report({"event": "trying", "at": at})
            self._occupy()
            try:
                track, why = self._proved(at, max(rates.values(), default=0.0))
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
        """The next in order, and after the first few the most like the best so far."""
        if len(self.plans) - len(left) < _BROAD or not rates:
            return left[0]
        best = self.plans[max(rates, key=lambda at: rates[at])]
        return min(left, key=lambda at: distance(self.plans[at], best))

    def _proved(self, at: int, best: float) -> tuple[Track | None, str]:
        """The contestant with its proof, or why it is out. Its pace comes first: it cuts the launches."""
        plan = self.plans[at]
        attempt = Attempt(self.verifier, plan, self.outputs[min(at, 1)])
        for _ in range(2):  # The driver compiles at the first.
            part = next(submissions(self.device, attempt.launches()))
            start = time.perf_counter()
            run(self.device, part)
            seconds = time.perf_counter() - start
        rate = sum(each.flops for each in part) / seconds / 1e9
        if seconds > _TELLING_S and rate < _HOPELESS * best:
            return None, f"slow: {rate:,.0f} GFLOPS"
        proof = attempt.verify()
        if not proof.ok:
            return None, f"wrong: {proof.fault}"
        return Track(attempt.case, attempt, proof), ""

    def _occupy(self) -> None:
        """Gives a GPU work while the host compiles: an idle one lowers its clocks, by four on some."""
        if not self.cpu:
            self.device.submit(record(self.device, self.filler))

    def _rates(self, tracks: Sequence[Track], *, sample_s: float, samples: int) -> list[float]:
        """GFLOPS by the median of a few rounds."""
        sampler = self._sampler(sample_s, samples)
        for track in tracks:
            track.samples = []
            self._alive()
            sampler.warm_up(track)
        sampler.rounds(tracks, drift_control=self._alive, share_s=self.deadline - time.monotonic())
        for track in tracks:
            track.parts = []  # Launches keep what they pack and split into: hundreds would need much memory.
        return [self._of(track) for track in tracks]

    def _alive(self) -> None:
        """Once a round, so that long work is told from a hanging kernel."""
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
        return Sampler(self.device, self.timer, self.clock, options, deadline=self.deadline)

    def _halved(self, tracks: dict[int, Track], *, default: Track) -> int:
        """The best of them, by rounds of which each is longer and keeps the better half."""
        rates = {at: self._of(track) for at, track in tracks.items()}
        # Where one run takes seconds, the last phase needs most of the time.
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

    def _of(self, track: Track) -> float:
        return self.problem.flops / summarise(run_ns(track.samples, self.clock)).median

    def _final(self, default: Track, at: int, winner: Track) -> None:
        """The winner against the default, in long samples by rounds; both are proved before and after."""
        self.report({"event": "trying", "at": at})
        pair = (default, winner)
        for track in pair:
            self._alive()
            proof = track.work.verify()
            if not proof.ok:
                self.report({"event": "out", "at": at, "why": f"wrong, proved again: {proof.fault}"})
                return
        # Long samples, unless all rounds of the two would then not fit into what this phase may take.
        sample_s = min(0.02 if self.cpu else 0.1, _LAST_PHASE * self.budget_s / (3 * _LAST_ROUNDS))
        sampler = self._sampler(sample_s, _LAST_ROUNDS)
        for track in pair:
            track.samples = []
            self._alive()
            sampler.warm_up(track)
        sampler.rounds(pair, drift_control=self._alive, share_s=self.deadline - time.monotonic())
        fault = self._fault_after(default, winner)
        if fault:
            self.report({"event": "out", "at": at, "why": fault})
            return
        slow, fast = _by_round(default.samples, self.clock), _by_round(winner.samples, self.clock)
        ratio, low, high = ratio_interval(slow, fast)
        gflops = [self._of(track) for track in pair]
        final = {"gflops": gflops[1], "default_gflops": gflops[0], "rounds": len(slow)}
        self.report({"event": "final", "at": at, "ratio": ratio, "low": low, "high": high, **final})

    def _fault_after(self, default: Track, winner: Track) -> str:
        """What is wrong with the results that timing left, or with a rate that cannot be."""
        assert isinstance(default.work, Attempt)
        assert isinstance(winner.work, Attempt)
        results = [work.result() for work in (default.work, winner.work)]
        for c in results:
            proof = self.verifier.compare(c)
            if not proof.ok:
                return f"wrong after it was timed: {proof.fault}"
        fault = self.verifier.differs(results[1], results[0])
        roof = self.ceilings.fma_gflops()
        rate = self._of(winner)
        if not fault and self.problem.signature.stored is F32 and rate > guard.TOLERANCE * roof:
            fault = f"{rate:,.0f} GFLOPS is more than this machine can do, {roof:,.0f}"
        return fault


def repeated(launch: Launch, *, once_s: float) -> list[Launch]:
    """As often as fits one submission, once at least: longer ones drivers may kill."""
    return [launch] * max(1, int(SUBMISSION_SECONDS / once_s))


def _by_round(samples: Sequence[Timed], clock: Clock) -> list[float]:
    return run_ns(sorted(samples, key=lambda timed: timed.round), clock)


def _end_with_parent() -> None:
    """Ends this process once its standard input is closed: a kernel that hangs must not outlive the tuner."""
    while os.read(0, 1):
        pass
    os._exit(1)


def main() -> None:
    """Does the job on standard input."""
    leave_to_parent()
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def report(event: dict[str, object]) -> None:
        print(json.dumps(event), flush=True)

    report({"event": "begun", "method": METHOD})
    problem = problem_of(**job["problem"])
    choices = [choice_from(each, problem) for each in job["plans"]]
    plans = [GemmPlan(problem, x.kernel, x.split_k, x.packs, "tried", x.transposed) for x in choices]
    try:
        # Unchecked whatever the environment says: as matmul runs for everyone.
        with Device(choose(job["adapter"]), checked=False) as device:
            budget_s = max(_MIN_S, job["until"] - time.time())
            Trials(device, plans, budget_s=budget_s, report=report, seed=job["seed"]).run()
    except DeviceError:
        raise  # A device that is lost is the fault of what was tried: as if the process had died.
    except RustyError as error:
        report({"event": "failed", "why": str(error)})
    report({"event": "end"})


if __name__ == "__main__":
    main()
