"""Tracks of host code: verification, the length of a sample, and figures; with scripted clocks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from rusty_py.errors import ShaderError
from rusty_py.measure.document import ClockName, Figure
from rusty_py.measure.sampling import HostTrack, Options, Sampler
from rusty_py.measure.stats import summarise
from rusty_py.measure.work import Implementation


class Scripted:
    """Clocks that only move when something runs, by what it is said to take."""

    def __init__(self) -> None:
        self.ns = {"cpu": 0, "wall": 0}
        self.ran: list[tuple[str, int]] = []
        self.faults: dict[str, list[str | Exception]] = {}

    def now(self) -> float:
        return self.ns["wall"] / 1e9

    def implementation(
        self, by: str, *, cpu_ns: int = 1000, wall_ns: int = 2000, **options: object
    ) -> Implementation:
        def run(n: int) -> None:
            self.ran.append((by, n))
            self.ns["cpu"] += cpu_ns * n
            self.ns["wall"] += wall_ns * n

        def verify(sample: Callable[[], None]) -> str:
            sample()
            faults = self.faults.get(by)
            fault = faults.pop(0) if faults else ""
            if isinstance(fault, Exception):
                raise fault
            return fault

        return Implementation(by, run, verify, **options)  # type: ignore[arg-type]

    def track(self, implementation: Implementation, clock: ClockName = "cpu") -> HostTrack:
        clocks = {"cpu": lambda: self.ns["cpu"], "wall": lambda: self.ns["wall"]}
        return HostTrack(implementation, clock, "by script", clocks=clocks, now=self.now)  # type: ignore[arg-type]

    def options(self, **changes: object) -> Options:
        values: dict[str, object] = {
            **{"sample_s": 1e-3, "warmup_s": 0.0, "min_samples": 3, "max_samples": 4},
            **{"min_time_s": 0.0, "max_time_s": 60.0, "seed": 1},
        }
        return Options(**{**values, **changes})  # type: ignore[arg-type]

    def sample(self, *tracks: HostTrack, **changes: object) -> str:
        """Verifies, warms up and samples; why it stopped."""
        options = self.options(**changes)
        for track in tracks:
            assert track.verify().ok
            track.warm_up(options, options.max_time_s)
        sampler = Sampler(options, deadline=options.max_time_s, now=self.now)
        return sampler.rounds(tracks, share_s=options.max_time_s)


@pytest.fixture
def script() -> Scripted:
    return Scripted()


@pytest.mark.parametrize(("clock", "ns"), [("cpu", 1000.0), ("wall", 2000.0)])
def test_a_result_has_the_time_of_one_run_by_its_clock(clock: ClockName, ns: float, script: Scripted) -> None:
    track = script.track(script.implementation("ours"), clock)
    script.sample(track)
    result = track.result()
    assert (result.by, result.clock, result.scope) == ("ours", clock, "host")
    assert summarise(result.samples_ns).median == ns
    assert bool(result.samples.wall_ns) == (clock == "wall")


def test_a_result_has_the_figures_of_its_median_sample(script: Scripted) -> None:
    takes_ns = 1000
    later = [3000, 2000, 0]

    def run(n: int) -> None:
        script.ns["wall"] += n * takes_ns

    def sampled() -> list[Figure]:
        nonlocal takes_ns
        counted, takes_ns = takes_ns, later.pop(0)
        return [Figure("counted", counted, "ns")]

    def verify(once: Callable[[], None]) -> str:
        return ""

    steps = Figure("steps", 7.0, "")
    ours = Implementation("ours", run, verify, sampled=sampled, counts=lambda: [steps])
    track = script.track(ours, "wall")
    script.sample(track, max_samples=3)
    assert track.result().samples_ns == [1000.0, 3000.0, 2000.0]
    assert track.result().figures == (steps, Figure("counted", 2000, "ns"))


def test_implementations_may_count_with_the_same_object(script: Scripted) -> None:
    last: list[str] = []

    def implementation(by: str) -> Implementation:
        def run(n: int) -> None:
            script.ns["wall"] += 1000 * n
            last[:] = [by]

        def verify(once: Callable[[], None]) -> str:
            return ""

        return Implementation(by, run, verify, sampled=lambda: [Figure(last[0], 1.0, "")])

    tracks = [script.track(implementation(by), "wall") for by in ("waited", "recorded")]
    script.sample(*tracks)
    assert [track.result().figures for track in tracks] == [
        (Figure("waited", 1.0, ""),),
        (Figure("recorded", 1.0, ""),),
    ]


def test_samples_last_as_long_as_asked(script: Scripted) -> None:
    short, long = (
        script.track(script.implementation("ours", **times)) for times in ({"cpu_ns": 10}, {"wall_ns": 1000})
    )
    script.sample(short)
    # 1 ms by CPU time would be 100,000 runs; they end at 4 ms by the wall clock, 2 us each.
    assert 2000 <= short.runs <= 4000
    script.sample(long)
    assert 1000 <= long.runs <= 2000


def test_samples_come_in_multiples_of_the_step_and_up_to_the_limit(script: Scripted) -> None:
    ours = script.track(script.implementation("ours", cpu_ns=10, wall_ns=10, step=64))
    plain = script.track(script.implementation("wgpu-py", cpu_ns=10, wall_ns=10, limit=50))
    script.sample(ours, plain)
    assert ours.runs % 64 == 0
    assert plain.runs == 50


def test_an_outlier_does_not_shorten_the_samples(script: Scripted) -> None:
    first = [True]

    def run(n: int) -> None:
        script.ns["cpu"] += 1000 * n + 5_000_000 * first.pop() if first else 1000 * n

    def verify(once: Callable[[], None]) -> str:
        return ""

    track = script.track(Implementation("ours", run, verify))
    track.warm_up(script.options(), 60.0)
    assert track.runs >= 1000


def test_a_call_longer_than_what_is_left_is_verified_and_sampled_once_each(script: Scripted) -> None:
    track = script.track(script.implementation("numpy", wall_ns=2_000_000_000), "wall")
    options = script.options(min_samples=1)
    assert track.verify().ok
    track.warm_up(options, 3.5)
    sampler = Sampler(options, deadline=3.5, now=script.now)
    assert sampler.rounds([track], share_s=0.5) == "budget: cut short after 1 samples; try --max-time"
    assert script.ran == [("numpy", 1)] * 2
    assert track.samples_ns() == [2e9]


def test_implementations_are_sampled_once_a_round(script: Scripted) -> None:
    tracks = [script.track(script.implementation(by, cpu_ns=2_000_000)) for by in ("ours", "wgpu-py")]
    script.sample(*tracks)
    rounds = [by for by, _ in script.ran][6:]  # After a verification and two runs to warm up, each.
    assert len(rounds) == 6
    for i in range(0, len(rounds), 2):
        assert {*rounds[i : i + 2]} == {"ours", "wgpu-py"}


def test_only_the_run_is_on_the_clock(script: Scripted) -> None:
    def wait() -> None:
        script.ns["cpu"] += 5_000_000

    @contextmanager
    def around() -> Iterator[None]:
        script.ns["cpu"] += 7_000_000
        yield
        script.ns["cpu"] += 7_000_000

    track = script.track(script.implementation("ours", after=wait, around=around))
    script.sample(track)
    assert track.samples_ns() == [1000.0] * 3


def test_verification_runs_a_step_and_tells_the_fault_and_the_method(script: Scripted) -> None:
    track = script.track(script.implementation("ours", step=64))
    script.faults["ours"] = ["", "off by one", ShaderError("no such function")]
    assert (track.verify().ok, track.verify().fault, track.verify.__self__.method) == (
        True,
        "off by one",
        "by script",
    )
    assert script.ran == [("ours", 64)] * 2
    with pytest.raises(ShaderError):
        track.recheck()


def test_what_the_clock_cannot_resolve_takes_a_nanosecond() -> None:
    ours = Implementation("ours", lambda runs: None, lambda once: "")
    for ticks in (lambda: 5, iter(range(10**6, 0, -7)).__next__):  # It stands, and it goes back.
        track = HostTrack(ours, "cpu", "by script", clocks={"cpu": ticks, "wall": ticks})
        assert track.sample().cpu_ns == 1.0
