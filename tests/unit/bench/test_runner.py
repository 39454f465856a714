"""What the runner does with measurements; a script plays the device."""

import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from rusty_py import OutOfMemory
from rusty_py.bench.run import BenchRun, Ceilings
from rusty_py.bench.runner import Bench
from rusty_py.bench.suites.matmul import MatmulSuite, problem
from rusty_py.bench.suites.shapes import Size
from rusty_py.measure.case import BenchProblem, Case, Timed, Verification
from rusty_py.measure.clock import Clock
from rusty_py.measure.sampling import Options, Track
from rusty_py.runtime.capi import EncodedDispatch
from rusty_py.runtime.launch import Launch, Spec
from rusty_py.runtime.throughput import Throughput
from rusty_py.runtime.timing import TimedSample

from .runs import MS, PROOF, matmul, result, run

CEILING = 3_579.0


def bench(*, again_gflops: float, roofline: float = CEILING) -> Bench:
    """A bench whose second measurement of 512 cubed gives that rate and that ceiling."""
    made = Bench.__new__(Bench)
    again_ns = 2 * 512**3 / again_gflops
    made.timer = SimpleNamespace(sample=lambda parts: TimedSample(1.1 * again_ns, again_ns))
    made.ceilings = SimpleNamespace(
        fma_gflops=lambda: roofline,
        copy_gbps=lambda nbytes: 1e6,
        read_gbps=lambda nbytes: 1e6,
        launch_ns=lambda: 7000.0,
    )
    made.clock = Clock("gpu", "")
    made.progress = lambda text: None
    return made


def conclude(made: Bench, gflops: float, *, recheck: Verification = PROOF) -> BenchRun:
    """The run that `made` makes of seven samples of that rate."""
    case = matmul(512, 16)
    ns = case.problem.flops / gflops
    track = Track(case, SimpleNamespace(recheck=lambda: recheck), PROOF)
    track.samples = [Timed(i, 1, 1.1 * ns, ns) for i in range(7)]
    outcome = run(ceilings=Ceilings(CEILING, {case.problem.bytes: 1e6}, 5000.0))
    outcome.results.append(made._conclude(track, "settled", outcome))
    return made.finish(outcome)


@pytest.mark.parametrize("gflops", [83, 600, 2_688])
def test_a_rate_under_the_ceiling_is_a_result(gflops: float) -> None:
    (measured,) = conclude(bench(again_gflops=gflops), gflops).results
    assert measured.verdict == "ok"
    assert measured.gflops == pytest.approx(gflops)
    assert measured.roof_gflops == CEILING


def test_a_rate_above_the_ceiling_is_rejected_and_has_no_figure() -> None:
    (measured,) = conclude(bench(again_gflops=11_767), 11_767).results
    assert measured.verdict == "rejected"
    assert "11,767 GFLOPS is 329%" in measured.reason
    assert measured.gflops is None


def test_a_rate_above_the_ceiling_is_not_printed_because_a_second_one_is_lower() -> None:
    (measured,) = conclude(bench(again_gflops=2_000), 11_767).results
    assert measured.gflops is None or measured.gflops <= 1.1 * CEILING


def test_the_rate_of_a_product_that_mostly_reads_is_held_against_the_ceiling_of_reads() -> None:
    case = replace(matmul(512, "auto"), problem=problem(1, 4096, 4096))
    gbps, nbytes = 4_300.0, case.problem.bytes  # Above a copy's 3,500 by 23 %, below a read's 4,400.
    ns = nbytes / gbps
    track = Track(case, SimpleNamespace(recheck=lambda: PROOF), PROOF)
    track.samples = [Timed(i, 1, 1.1 * ns, ns) for i in range(7)]
    track.runs, track.parts = 1, []
    made = bench(again_gflops=1)
    made.ceilings.copy_gbps = lambda nbytes: 3_500.0
    copying = Ceilings(1e9, {nbytes: 3_500.0}, 5000.0)
    for figures, verdict in ((copying, "rejected"), (replace(copying, read_gbps={nbytes: 4_400.0}), "ok")):
        made.ceilings.read_gbps = lambda nbytes, figures=figures: figures.read_gbps.get(nbytes, 0.0)
        assert made._conclude(track, "settled", run(ceilings=figures)).verdict == verdict


def test_what_timing_left_wrong_is_wrong() -> None:
    fault = Verification(PROOF.method, fault="1 elements changed while it was timed")
    (measured,) = conclude(bench(again_gflops=600), 600, recheck=fault).results
    assert (measured.verdict, measured.reason) == ("wrong", fault.fault)
    assert measured.gflops is None
    assert len(measured.samples) == 7


def test_one_sample_without_timestamps_moves_all_rows_to_the_wall_clock() -> None:
    outcome = run(result(matmul(512, 8), [1.0] * 3), result(matmul(512, 16), [2.0] * 3))
    spoiled = outcome.results[1]
    samples = (*spoiled.samples[:2], Timed(2, 1, 2.2 * MS, None, "timestamps were 0"))
    outcome.results[1] = type(spoiled)(spoiled.case, "ok", PROOF, samples, roof_gflops=3_579.0)
    finished = bench(again_gflops=1, roofline=3_000.0).finish(outcome)
    assert (finished.clock, finished.clock_reason) == ("wall", "timestamps were 0 in 1 samples")
    assert [each.stats.median for each in finished.results] == pytest.approx([1.1 * MS, 2.2 * MS])
    assert (finished.ceilings.fma_gflops, finished.ceilings.launch_ns) == (3_000.0, 7_000.0)
    assert {each.roof_gflops for each in finished.results} == {3_000.0}


def test_a_device_that_failed_is_not_measured_again() -> None:
    outcome = run(result(matmul(512, 8), [1.0] * 3))
    rows = outcome.results[0]
    samples = (*rows.samples[:2], Timed(2, 1, 2.2 * MS, None, "timestamps were 0"))
    outcome.results[0] = type(rows)(rows.case, "ok", PROOF, samples, roof_gflops=3_579.0)
    outcome.failure = "wait: the GPU did not finish in time"
    made = bench(again_gflops=1)
    made.ceilings = None
    assert made.finish(outcome).clock == "wall"


def test_rows_concluded_before_memory_ran_out_are_not_skipped_too() -> None:
    made, outcome = begun(MatmulSuite([Size(8, 8, 8)], ["naive", 8])), run()
    cases = made.suite.cases()
    made.suite = SimpleNamespace(setup=lambda problem, device, rng: None)
    made._verify_all = lambda setup, cases, outcome: [Track(each, SimpleNamespace(), PROOF) for each in cases]

    def first_only(problem: BenchProblem, setup: object, tracks: list[Track], outcome: BenchRun) -> None:
        outcome.results.append(type(result(cases[0], [1.0]))(tracks[0].case, "ok", PROOF))
        raise OutOfMemory("buffer: no room")

    made._measure_tracks = first_only
    made.measure_problem(cases[0].problem, cases, outcome)
    assert [each.case for each in outcome.results] == cases[:1]
    assert [each.case for each in outcome.skipped] == cases[1:]


class Stuck:
    """A suite of one problem whose inputs have no room."""

    def cases(self) -> list[Case]:
        return MatmulSuite([Size(8, 8, 8)], ["naive", 8]).cases()

    def setup(self, problem: BenchProblem, device: object, rng: np.random.Generator) -> object:
        raise OutOfMemory("buffer: no room")


def begun(suite: object, *, left_s: float = 60.0, timer: object = None) -> Bench:
    """A bench that has measured its ceilings and has so much time left."""
    made = bench(again_gflops=600)
    made.suite, made.rng, made.problems_left = suite, np.random.default_rng(0), 1
    made.deadline = time.monotonic() + left_s
    made.options = Options.for_adapter(SimpleNamespace(is_cpu=True), runs=7, seed=1)
    made.device = SimpleNamespace(throughput=Throughput("CPU"), adapter=SimpleNamespace(is_cpu=True))
    made.drift_control_repeats = 1
    made.ceilings.drift_control_ns = lambda repeats: MS
    made.timer = timer
    return made


def test_a_problem_without_room_is_skipped_with_the_reason() -> None:
    made, outcome = begun(Stuck()), run()
    cases = made.suite.cases()
    made.measure_problem(cases[0].problem, cases, outcome)
    assert [(each.case.variant, each.reason) for each in outcome.skipped] == [
        ("naive", "buffer: no room"),
        ("tile 8", "buffer: no room"),
    ]
    assert made.problems_left == 0


def test_a_problem_after_the_deadline_is_skipped_with_the_reason() -> None:
    made, outcome = begun(Stuck(), left_s=-1.0), run()
    cases = made.suite.cases()
    made.measure_problem(cases[0].problem, cases, outcome)
    assert {each.reason for each in outcome.skipped} == {"the budget is used up; try --max-time"}


class ScriptedWork:
    """A kernel whose output is whatever its last poisoning or run left."""

    def __init__(self) -> None:
        self.written = True

    def launches(self) -> list[Launch]:
        spec = Spec("scripted", inputs=0, outputs=1, threads=1)
        return [Launch(spec, EncodedDispatch(self, None, 0, None, 1, 1, 1), buffers=(), flops=1)]

    def poison(self) -> None:
        self.written = False

    def recheck(self) -> Verification:
        return PROOF if self.written else Verification(PROOF.method, fault="100.00% of C never written")


class ScriptedTimer:
    """Runs scripted kernels in 1 ms each, until Ctrl-C comes in the middle of a sample."""

    def __init__(self, *, interrupt_at: int | None = None) -> None:
        self.interrupt_at = interrupt_at
        self.taken = 0

    def sample(self, parts: list[list[Launch]]) -> TimedSample:
        self.taken += 1
        if self.taken == self.interrupt_at:
            raise KeyboardInterrupt
        launches = [launch for part in parts for launch in part]
        for launch in launches:
            launch.encoded.pipeline.written = True
        return TimedSample(1.1 * MS * len(launches), MS * len(launches))


def sampled(timer: ScriptedTimer) -> BenchRun:
    """The run of two kernels that were verified and are then sampled."""
    made, outcome = begun(None, timer=timer), run()
    tracks = [Track(matmul(64, tile), ScriptedWork(), PROOF) for tile in (8, 16)]
    setup = SimpleNamespace(baseline=lambda: lambda: None)
    try:
        made._measure_tracks(tracks[0].case.problem, setup, tracks, outcome)
    except KeyboardInterrupt:
        assert outcome.interrupted
    return made.finish(outcome)


def test_kernels_are_sampled_round_by_round() -> None:
    outcome = sampled(ScriptedTimer())
    assert [measured.verdict for measured in outcome.results] == ["ok", "ok"]
    for measured in outcome.results:
        assert [timed.round for timed in measured.samples] == list(range(7))
        assert measured.stopped == "7 samples"
    assert len(outcome.anchors_ns) == 7
    assert len(outcome.baselines) == 1


@pytest.mark.parametrize("before", range(8))
def test_ctrl_c_in_a_sample_leaves_the_whole_rounds_before_it(before: int) -> None:
    whole = ScriptedTimer()
    sampled(whole)
    warm_up = whole.taken - 2 * 7
    outcome = sampled(ScriptedTimer(interrupt_at=warm_up + before + 1))
    assert outcome.interrupted
    whole_rounds = before // 2
    assert sum(len(measured.samples) for measured in outcome.results) == 2 * whole_rounds
    assert {measured.verdict for measured in outcome.results} <= {"ok"}
