"""What the runner does with measurements; a script plays the device."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from rusty_py.bench.matmul_suite import problem
from rusty_py.errors import DeviceError, LimitError, OutOfMemory, ShaderError
from rusty_py.measure.clock import Clock
from rusty_py.measure.document import BenchProblem, BenchRun, Ceilings, Result, Timed, Verification
from rusty_py.measure.figures import GFLOPS, ROOFLINE
from rusty_py.measure.runner import Comparison, KernelMeter, Runner, Schedule
from rusty_py.measure.sampling import HostTrack, KernelTrack, Options, Track
from rusty_py.measure.work import Implementation
from rusty_py.runtime.capi import EncodedDispatch
from rusty_py.runtime.launch import Launch, Spec
from rusty_py.runtime.throughput import Throughput
from rusty_py.runtime.timing import TimedSample

CEILING = 3_579.0
MS = 1e6
SPEC = Spec("scripted", inputs=0, outputs=1, threads=1)
VERIFIED = Verification("every element against float64", error=0.01)
FEW = Options.for_adapter(SimpleNamespace(is_cpu=True), runs=7, seed=1)  # type: ignore[arg-type]


def progress(text: str) -> None:
    """Shows nothing."""


class ScriptedMeter(KernelMeter):
    """A meter of given ceilings, which counts what it is asked for."""

    def __init__(self, timer: Any = None, *, gflops: float = CEILING, copy_gbps: float = 1e6) -> None:
        self.options, self.timer = FEW, timer
        self.device = SimpleNamespace(  # type: ignore[assignment]
            throughput=Throughput("CPU"), adapter=SimpleNamespace(is_cpu=True), wait=lambda: None
        )
        self.gflops, self.copies_gbps, self.reads_gbps = gflops, copy_gbps, copy_gbps
        self.ceilings: Any = SimpleNamespace(
            clock=None,
            fma_gflops=lambda: self.gflops,
            copy_gbps=lambda nbytes: self.copies_gbps,
            read_gbps=lambda nbytes: self.reads_gbps,
            launch_ns=lambda: 7000.0,
            drift_control_ns=lambda repeats: MS,
        )
        self.clock = Clock("gpu", "it agrees")
        self.measured = Ceilings(gflops, {}, 5000.0)
        self._drift_control_repeats = 1

    def begin(self, progress: Callable[[str], None]) -> None:
        """Everything is known."""


class ScriptedWork:
    """A kernel whose output is whatever its last poisoning or run left."""

    kernel, sha256, plan = "scripted", "0" * 64, "a plan"

    def __init__(
        self, described: BenchProblem, verifications: Sequence[Verification | Exception] = ()
    ) -> None:
        self.problem, self.verifications, self.written = described, list(verifications), True

    def launches(self) -> list[Launch]:
        encoded = EncodedDispatch(self, None, 0, None, 1, 1, 1)
        return [Launch(SPEC, encoded, buffers=(), flops=self.problem.flops)]

    def poison(self) -> None:
        self.written = False

    def verify(self) -> Verification:
        return self._next()

    def recheck(self) -> Verification:
        if not self.written:
            return Verification(VERIFIED.method, fault="100.00% of the result never written")
        return self._next()

    def _next(self) -> Verification:
        verification = self.verifications.pop(0) if self.verifications else VERIFIED
        if isinstance(verification, Exception):
            raise verification
        return verification


class ScriptedTimer:
    """Runs scripted kernels in `ms` each, until Ctrl-C comes in the middle of a sample."""

    def __init__(self, ms: float = 1.0, *, interrupt_at: int | None = None, stamped: int = 1000) -> None:
        self.ms, self.interrupt_at, self.stamped = ms, interrupt_at, stamped
        self.taken = 0

    def sample(self, parts: list[list[Launch]]) -> TimedSample:
        self.taken += 1
        if self.taken == self.interrupt_at:
            raise KeyboardInterrupt
        launches = [launch for part in parts for launch in part]
        for launch in launches:
            launch.encoded.pipeline.written = True  # type: ignore[attr-defined]
        ns = self.ms * MS * len(launches)
        if self.taken > self.stamped:
            return TimedSample(1.1 * ns, None, "timestamps were 0")
        return TimedSample(1.1 * ns, ns)


class ScriptedTrack(KernelTrack):
    """A track that needs no device for its estimate."""

    def run_s(self) -> float:
        return 1e-3


def kernel(
    meter: KernelMeter,
    by: str = "tile 16",
    *,
    of: BenchProblem | None = None,
    verifications: Sequence[Verification | Exception] = (),
) -> KernelTrack:
    work = ScriptedWork(of or problem(64, 64, 64), verifications)
    return ScriptedTrack(by, lambda: work, meter.device, meter.timer, meter.clock_name)


def measured(
    meter: KernelMeter,
    *tracks: Track,
    of: BenchProblem | None = None,
    options: Options = FEW,
    references: Sequence[Track] = (),
) -> BenchRun:
    """The run of one schedule, whose problem has these tracks."""
    described = of or problem(64, 64, 64)
    comparison = Comparison(described, tracks, references, reference="numpy")
    schedule = Schedule(described, lambda: [comparison], by=[track.by for track in tracks])
    return Runner(options, progress, meter=meter).measure([schedule], BenchRun("matmul", {}))


def at_rate(gflops: float, *, again: float | None = None, ceiling: float = CEILING) -> Result:
    """The result of 512 cubed at a rate; it is measured again at the rate `again`."""
    described = problem(512, 512, 512)
    timer = ScriptedTimer(described.flops / gflops / MS)
    meter = ScriptedMeter(timer, gflops=ceiling)
    track = kernel(meter, of=described)
    if again is not None:
        rechecked = track.recheck

        def recheck() -> Verification:
            timer.ms = described.flops / again / MS
            return rechecked()

        track.recheck = recheck  # type: ignore[method-assign]
    return measured(meter, track, of=described).rows[0].results[0]


@pytest.mark.parametrize("gflops", [83, 600, 2_688])
def test_a_rate_under_the_ceiling_is_a_result(gflops: float) -> None:
    result = at_rate(gflops)
    assert result.verdict == "ok"
    assert result.figure(GFLOPS) == pytest.approx(gflops)
    assert result.figure(ROOFLINE) == pytest.approx(2 * 512**3 / CEILING)


def test_a_rate_above_the_ceiling_is_rejected_and_has_no_figure() -> None:
    result = at_rate(11_767)
    assert result.verdict == "rejected"
    assert "329% of the rate that this machine can reach" in result.reason
    assert (result.figure(GFLOPS), result.stats) == (None, None)
    assert len(result.samples) == 7  # What was seen stays on record.


def test_a_rate_above_the_ceiling_is_not_printed_because_a_second_one_is_lower() -> None:
    assert at_rate(11_767, again=2_000).verdict == "rejected"


def test_the_rate_of_a_product_that_mostly_reads_is_held_against_the_ceiling_of_reads() -> None:
    skinny = problem(1, 4096, 4096)
    gbps = 4_300.0  # Above a copy's 3,500 by 23 %, below a read's 4,400.
    for read_gbps, verdict in ((3_500.0, "rejected"), (4_400.0, "ok")):
        meter = ScriptedMeter(ScriptedTimer(skinny.nbytes / gbps / MS), gflops=1e9, copy_gbps=3_500.0)
        meter.reads_gbps = read_gbps
        (row,) = measured(meter, kernel(meter, of=skinny), of=skinny).rows
        assert row.results[0].verdict == verdict


def test_what_timing_left_wrong_is_wrong() -> None:
    fault = Verification(VERIFIED.method, fault="1 elements changed while it was timed")
    meter = ScriptedMeter(ScriptedTimer())
    (result,) = measured(meter, kernel(meter, verifications=[VERIFIED, fault])).rows[0].results
    assert (result.verdict, result.reason, result.verification) == ("wrong", fault.fault, fault)
    assert (result.stats, result.figures) == (None, ())
    assert len(result.samples) == 7


@pytest.mark.parametrize(
    "verifications",
    [
        [Verification("", fault="off by one")],
        [ShaderError("off by one")],
        [VERIFIED, ShaderError("off by one")],
    ],
    ids=["at first", "refused", "refused at last"],
)
def test_a_wrong_kernel_has_no_figure_and_the_others_have(
    verifications: Sequence[Verification | Exception],
) -> None:
    meter = ScriptedMeter(ScriptedTimer())
    wrong, right = kernel(meter, "tile 8", verifications=verifications), kernel(meter, "tile 16")
    first, second = measured(meter, wrong, right).rows[0].results
    assert (first.by, first.verdict, first.reason, first.stats) == ("tile 8", "wrong", "off by one", None)
    assert (second.by, second.verdict, second.ns) == ("tile 16", "ok", MS)


def test_kernels_are_sampled_round_by_round() -> None:
    meter = ScriptedMeter(ScriptedTimer())
    run = measured(meter, kernel(meter, "tile 8"), kernel(meter, "tile 16"))
    (row,) = run.rows
    assert row.stopped == "7 samples"
    for result in row.results:
        assert (result.verdict, result.kernel, result.plan) == ("ok", "scripted", "a plan")
        assert result.samples.rounds == tuple(range(7))
    assert run.drift_control_ns == [MS] * 7
    assert (run.clock, run.clock_reason, run.interrupted, run.failure) == ("gpu", "it agrees", False, "")
    assert run.ceilings is not None
    assert run.ceilings.copy_gbps == {row.problem.nbytes: 1e6}


@pytest.mark.parametrize("before", range(8))
def test_ctrl_c_in_a_sample_leaves_the_whole_rounds_before_it(before: int) -> None:
    def sampled(timer: ScriptedTimer) -> BenchRun:
        meter = ScriptedMeter(timer)
        return measured(meter, kernel(meter, "tile 8"), kernel(meter, "tile 16"))

    whole = ScriptedTimer()
    sampled(whole)
    warm_up = whole.taken - 2 * 7
    run = sampled(ScriptedTimer(interrupt_at=warm_up + before + 1))
    assert run.interrupted
    whole_rounds = before // 2
    (row,) = run.rows
    assert row.stopped == "interrupted"
    assert [len(result.samples) for result in row.results] == [whole_rounds] * 2
    verdict = ("ok", "") if whole_rounds else ("skipped", "interrupted")
    assert {(result.verdict, result.reason) for result in row.results} == {verdict}


def test_ctrl_c_ends_the_schedules_that_are_left() -> None:
    meter = ScriptedMeter(ScriptedTimer())

    def interrupted() -> list[Comparison]:
        raise KeyboardInterrupt

    fine = Comparison(problem(64, 64, 64), [kernel(meter)])
    schedules = [
        Schedule(problem(64, 64, 64), lambda: [fine]),
        Schedule(problem(65, 65, 65), interrupted),
        Schedule(problem(66, 66, 66), lambda: pytest.fail("after Ctrl-C")),
    ]
    run = Runner(FEW, progress, meter=meter).measure(schedules, BenchRun("matmul", {}))
    assert [row.problem.name for row in run.rows] == ["64×64×64"]
    assert run.interrupted


def test_a_device_that_fails_keeps_what_was_measured_before() -> None:
    meter = ScriptedMeter(ScriptedTimer())

    def lost() -> list[Comparison]:
        raise DeviceError("gone")

    fine = Comparison(problem(64, 64, 64), [kernel(meter)])
    schedules = [Schedule(problem(64, 64, 64), lambda: [fine]), Schedule(problem(65, 65, 65), lost)]
    run = Runner(FEW, progress, meter=meter).measure(schedules, BenchRun("matmul", {}))
    assert ([row.problem.name for row in run.rows], run.failure) == (["64×64×64"], "gone")
    assert run.rows[0].results[0].ns == MS


@pytest.mark.parametrize("error", [KeyboardInterrupt(), DeviceError("gone")])
def test_an_end_while_the_clock_is_checked_leaves_no_run(error: BaseException) -> None:
    meter = ScriptedMeter(ScriptedTimer())

    def begin(progress: Callable[[str], None]) -> None:
        raise error

    meter.begin = begin  # type: ignore[method-assign]
    with pytest.raises(type(error)):
        measured(meter, kernel(meter))


def test_one_sample_without_timestamps_moves_all_rows_to_the_wall_clock() -> None:
    whole = ScriptedTimer()
    both = ("tile 8", "tile 16")
    meter = ScriptedMeter(whole)
    measured(meter, *(kernel(meter, by) for by in both))
    meter = ScriptedMeter(ScriptedTimer(stamped=whole.taken - 1))
    tracks = [kernel(meter, by) for by in both]
    conclude = tracks[0].recheck

    def slower_machine() -> Verification:
        meter.gflops = 3_000.0
        return conclude()

    tracks[0].recheck = slower_machine  # type: ignore[method-assign]
    run = measured(meter, *tracks)
    assert (run.clock, run.clock_reason) == ("wall", "timestamps were 0 in 1 samples")
    assert [result.clock for _, result in run.results()] == ["wall"] * 2
    assert [result.ns for _, result in run.results()] == pytest.approx([1.1 * MS] * 2)
    assert run.ceilings is not None
    assert (run.ceilings.fma_gflops, run.ceilings.launch_ns) == (3_000.0, 7_000.0)
    roofline = run.ceilings.minimum_ns(run.rows[0].problem)
    assert {result.figure(ROOFLINE) for _, result in run.results()} == {roofline}


def test_a_device_that_failed_is_not_measured_again_and_all_its_rows_are_by_the_wall_clock() -> None:
    whole = ScriptedTimer()
    meter = ScriptedMeter(whole)
    measured(meter, kernel(meter))
    meter = ScriptedMeter(ScriptedTimer(stamped=whole.taken - 1))

    def lost() -> list[Comparison]:
        meter.ceilings = None
        raise DeviceError("wait: the GPU did not finish in time")

    fine = Comparison(problem(64, 64, 64), [kernel(meter)])
    schedules = [Schedule(problem(64, 64, 64), lambda: [fine]), Schedule(problem(65, 65, 65), lost)]
    run = Runner(FEW, progress, meter=meter).measure(schedules, BenchRun("matmul", {}))
    assert (run.clock, run.failure) == ("wall", "wait: the GPU did not finish in time")
    (result,) = run.rows[0].results
    assert result.clock == "wall"
    assert result.samples_ns == pytest.approx([1.1 * MS] * 7)


@pytest.mark.parametrize("error", [OutOfMemory("buffer: no room"), LimitError("larger than a binding")])
def test_a_problem_without_room_is_skipped_with_the_reason(error: Exception) -> None:
    meter = ScriptedMeter(ScriptedTimer())

    def stuck() -> list[Comparison]:
        raise error

    schedule = Schedule(problem(64, 64, 64), stuck, by=("naive", "tile 8"))
    run = Runner(FEW, progress, meter=meter).measure([schedule], BenchRun("matmul", {}))
    assert [(each.by, each.verdict, each.reason, each.clock) for _, each in run.results()] == [
        ("naive", "skipped", str(error), "gpu"),
        ("tile 8", "skipped", str(error), "gpu"),
    ]


def test_a_kernel_without_room_is_skipped_and_the_others_are_measured() -> None:
    meter = ScriptedMeter(ScriptedTimer())
    large, small = kernel(meter, "auto", verifications=[OutOfMemory("no room")]), kernel(meter, "naive")
    first, second = measured(meter, large, small).rows[0].results
    assert (first.verdict, first.reason) == ("skipped", "no room")
    assert second.verdict == "ok"


def test_no_room_for_the_ceilings_skips_all_kernels_of_a_problem() -> None:
    meter = ScriptedMeter(ScriptedTimer())

    def full(problem: BenchProblem) -> None:
        raise OutOfMemory("buffer: no room")

    meter.measure_bandwidth = full  # type: ignore[method-assign]
    (row,) = measured(meter, kernel(meter, "naive"), kernel(meter, "tile 8")).rows
    assert {(each.verdict, each.reason) for each in row.results} == {("skipped", "buffer: no room")}


def test_kernels_concluded_before_memory_ran_out_are_not_skipped_too() -> None:
    meter = ScriptedMeter(ScriptedTimer())
    tracks = [
        kernel(meter, "naive"),
        kernel(meter, "tile 8", verifications=[VERIFIED, OutOfMemory("buffer: no room")]),
        kernel(meter, "tile 16"),
    ]
    results = measured(meter, *tracks).rows[0].results
    assert [(each.verdict, each.reason) for each in results] == [
        ("ok", ""),
        ("skipped", "buffer: no room"),
        ("ok", ""),
    ]


def test_a_problem_after_the_deadline_is_skipped_with_the_reason() -> None:
    meter = ScriptedMeter(ScriptedTimer())
    schedule = Schedule(problem(64, 64, 64), lambda: pytest.fail("too late"), by=("naive", "tile 8"))
    clock = iter([0.0, 61.0])
    runner = Runner(FEW, progress, meter=meter, now=lambda: next(clock))
    run = runner.measure([schedule], BenchRun("matmul", {}))
    assert [(each.by, each.reason) for _, each in run.results()] == [
        ("naive", "the budget is used up; try --max-time"),
        ("tile 8", "the budget is used up; try --max-time"),
    ]


def test_a_kernel_that_needs_more_than_the_budget_is_skipped_with_both() -> None:
    meter = ScriptedMeter(ScriptedTimer())
    slow = kernel(meter)
    slow.run_s = lambda: 10.0  # type: ignore[method-assign]
    (result,) = measured(meter, slow).rows[0].results
    assert result.verdict == "skipped"
    assert result.reason == "needs about 90 s, 60 s of the budget are left; try --max-time"


def test_a_need_of_less_than_a_second_is_not_rounded_to_none() -> None:
    meter = ScriptedMeter(ScriptedTimer())
    slow = kernel(meter)
    slow.run_s = lambda: 0.1  # type: ignore[method-assign]
    (result,) = measured(meter, slow, options=replace(FEW, max_time_s=0.5)).rows[0].results
    assert re.match(r"needs about 0\.\d+ s, 0\.\d+ s of the budget are left", result.reason)


def reference(seconds: Callable[[], object], *, fault: str = "") -> HostTrack:
    def run(n: int) -> None:
        for _ in range(n):
            seconds()

    def verify(once: Callable[[], None]) -> str:
        once()
        return fault

    return HostTrack(Implementation("numpy", run, verify), "wall", "against float64")


def test_a_reference_is_verified_and_sampled_before_the_kernels_by_the_wall_clock() -> None:
    timer = ScriptedTimer()
    meter = ScriptedMeter(timer)
    taken: list[int] = []
    numpy = reference(lambda: taken.append(timer.taken))
    (row,) = measured(meter, kernel(meter), references=[numpy]).rows
    ours, theirs = row.results
    assert (theirs.by, theirs.verdict, theirs.clock, row.reference) == ("numpy", "ok", "wall", "numpy")
    assert set(taken) == {0}
    assert 1 <= len(theirs.samples) <= 30
    assert row.ratio("numpy", "tile 16") == pytest.approx((theirs.ns or 0) / (ours.ns or 1))


def test_a_reference_stops_at_a_budget_of_its_own() -> None:
    numpy = reference(lambda: time.sleep(0.02))
    meter = ScriptedMeter(ScriptedTimer())
    start = time.monotonic()
    measured(meter, kernel(meter), references=[numpy])
    assert len(numpy.timed) >= 7
    assert time.monotonic() - start < 2.0


def test_a_wrong_reference_is_wrong_and_costs_no_kernel() -> None:
    meter = ScriptedMeter(ScriptedTimer())
    numpy = reference(lambda: None, fault="off by one")
    ours, theirs = measured(meter, kernel(meter), references=[numpy]).rows[0].results
    assert (ours.verdict, theirs.verdict, theirs.reason, theirs.ns) == ("ok", "wrong", "off by one", None)


def test_the_references_of_a_problem_without_right_kernels_are_measured_all_the_same() -> None:
    meter = ScriptedMeter(ScriptedTimer())
    wrong = kernel(meter, verifications=[Verification("", fault="x")])
    (row,) = measured(meter, wrong, references=[reference(lambda: None)]).rows
    assert [each.verdict for each in row.results] == ["wrong", "ok"]
    assert row.results[1].ns


def test_the_deadline_ends_a_row_of_host_code_and_skips_the_next() -> None:
    now = [0.0]

    def second() -> None:
        now[0] += 1.0

    clocks = {"wall": lambda: int(now[0] * 1e9), "cpu": lambda: 0}
    ours = Implementation("ours", lambda n: second(), lambda once: "")
    track = HostTrack(ours, "wall", "", clocks=clocks, now=lambda: now[0])  # type: ignore[dict-item]
    rows = [BenchProblem("overhead", name) for name in ("first", "second")]
    options = Options(0.001, 0.0, 3, 4, 0.0, max_time_s=2.5, seed=1)
    comparison = Comparison(rows[0], [track])
    schedules = [Schedule(each, lambda: [comparison]) for each in rows]
    runner = Runner(options, progress, now=lambda: now[0])
    first, later = runner.measure(schedules, BenchRun("overhead", {})).rows
    assert first.stopped == "budget: cut short after 1 samples; try --max-time"
    assert (later.problem.name, later.results[0].verdict) == ("second", "skipped")
    assert later.results[0].reason == "the budget is used up; try --max-time"


def test_a_run_of_host_code_needs_no_meter_and_measures_no_ceilings() -> None:
    track = HostTrack(Implementation("ours", lambda n: None, lambda once: ""), "cpu", "by script")
    described = BenchProblem("overhead", "nothing")
    options = Options(1e-6, 0.0, 3, 4, 0.0, 60.0, seed=1)
    schedule = Schedule(described, lambda: [Comparison(described, [track], seed="1 ms, elsewhere")])
    run = Runner(options, progress).measure([schedule], BenchRun("overhead", {}))
    assert (run.ceilings, run.drift_control_ns, run.rows[0].seed) == (None, [], "1 ms, elsewhere")
    assert 3 <= len(run.rows[0].results[0].samples) <= 4


def test_results_without_a_measurement_are_in_their_row() -> None:
    meter = ScriptedMeter(ScriptedTimer())
    described = problem(64, 64, 64)
    missing = Result("torch", "skipped", reason="not installed")
    comparison = Comparison(described, [kernel(meter)], unmeasured=[missing])
    run = Runner(FEW, progress, meter=meter).measure(
        [Schedule(described, lambda: [comparison])], BenchRun("matmul", {})
    )
    assert run.rows[0].result("torch") == missing


def test_progress_names_the_problem_and_the_implementation() -> None:
    said: list[str] = []
    meter = ScriptedMeter(ScriptedTimer())
    described = problem(64, 64, 64)
    schedule = Schedule(described, lambda: [Comparison(described, [kernel(meter)])])
    Runner(FEW, said.append, meter=meter).measure([schedule], BenchRun("matmul", {}))
    for text in ("64×64×64, tile 16: verifying", "64×64×64: sampling", "64×64×64: verifying again"):
        assert text in said


def test_a_sample_of_a_track_is_kept_with_its_round() -> None:
    track = Track("ours", "wall")
    track.keep(3, Timed(5.0))
    assert track.result().samples.by_round("wall") == {3: 5.0}
