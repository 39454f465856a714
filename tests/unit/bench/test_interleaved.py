"""Interleaved sampling: verification, the order of samples, and when it stops; with scripted clocks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from rusty_py.bench.interleaved import (
    Comparison,
    Implementation,
    InterleavedOptions,
    InterleavedSampler,
    Schedule,
)
from rusty_py.bench.results import Results
from rusty_py.errors import DeviceError, OutOfMemory, ShaderError


class Scripted:
    """Clocks that only move when something runs, by what it is said to take."""

    def __init__(self) -> None:
        self.ns = {"cpu": 0, "wall": 0}
        self.ran: list[tuple[str, int]] = []
        self.faults: dict[str, list[str | Exception]] = {}

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

    def rounds(self, **changes: object) -> InterleavedSampler:
        options: dict[str, object] = {
            "sample_s": 1e-3,
            "min_samples": 3,
            "max_samples": 4,
            "max_time_s": 60.0,
            "seed": 1,
        }
        return InterleavedSampler(
            InterleavedOptions(**{**options, **changes}),  # type: ignore[arg-type]
            lambda text: None,
            clocks={"cpu": lambda: self.ns["cpu"], "wall": lambda: self.ns["wall"]},
            now=lambda: self.ns["wall"] / 1e9,
        )

    def measure(self, *implementations: Implementation, clock: str = "cpu", **changes: object) -> Results:
        plan = Schedule("row", lambda: [Comparison("row", clock, "", implementations)])  # type: ignore[arg-type]
        outcome = Results("overhead", {})
        self.rounds(**changes).measure([plan], outcome)
        return outcome


@pytest.fixture
def script() -> Scripted:
    return Scripted()


@pytest.mark.parametrize(("clock", "ns"), [("cpu", 1000.0), ("wall", 2000.0)])
def test_a_figure_is_the_time_of_one_run_by_the_clock_of_its_row(
    clock: str, ns: float, script: Scripted
) -> None:
    (row,) = script.measure(script.implementation("ours"), clock=clock).rows
    assert (row.clock, row.ns("ours")) == (clock, ns)


def test_a_figure_has_what_was_counted_in_its_median_sample(script: Scripted) -> None:
    takes_ns = 1000
    later = [3000, 2000, 0]

    def run(n: int) -> None:
        script.ns["wall"] += n * takes_ns

    def sampled() -> dict[str, float]:
        nonlocal takes_ns
        counted, takes_ns = takes_ns, later.pop(0)
        return {"counted": counted}

    ours = Implementation("ours", run, lambda sample: "", sampled=sampled, counts=lambda: {"steps": 7.0})
    (row,) = script.measure(ours, clock="wall", max_samples=3).rows
    assert row.figures[0].samples_ns == (1000.0, 3000.0, 2000.0)
    assert row.figures[0].counts == {"steps": 7.0, "counted": 2000}


def test_samples_last_as_long_as_asked(script: Scripted) -> None:
    (row,) = script.measure(script.implementation("ours", cpu_ns=10)).rows
    (figure,) = row.figures
    # 1 ms by CPU time would be 100,000 runs; they end at 4 ms by the wall clock, 2 us each.
    assert 2000 <= figure.runs <= 4000
    (row,) = script.measure(script.implementation("ours", wall_ns=1000)).rows
    assert 1000 <= row.figures[0].runs <= 2000


def test_samples_come_in_multiples_of_the_step_and_up_to_the_most(script: Scripted) -> None:
    outcome = script.measure(
        script.implementation("ours", cpu_ns=10, wall_ns=10, step=64),
        script.implementation("wgpu-py", cpu_ns=10, wall_ns=10, limit=50),
    )
    ours, plain = outcome.rows[0].figures
    assert ours.runs % 64 == 0
    assert plain.runs == 50


def test_implementations_are_sampled_once_a_round(script: Scripted) -> None:
    both = [script.implementation(by, cpu_ns=2_000_000) for by in ("ours", "wgpu-py")]
    script.measure(*both)
    turns = [by for by, _ in script.ran]
    assert turns[:2] == ["ours", "wgpu-py"]  # The proofs.
    rounds = turns[6:-2]  # Behind two runs each that size the samples, before the proofs.
    assert len(rounds) >= 6
    for i in range(0, len(rounds), 2):
        assert {*rounds[i : i + 2]} == {"ours", "wgpu-py"}


def test_steady_samples_end_at_the_least_number_and_unsteady_ones_at_the_most(script: Scripted) -> None:
    (steady,) = script.measure(script.implementation("ours")).rows
    assert (len(steady.figures[0].samples_ns), steady.stopped) == (
        3,
        "settled: noise of the medians under 1%",
    )
    times = iter(range(1, 100))
    jumpy = script.implementation("ours", limit=1)

    def run(n: int) -> None:
        script.ns["cpu"] += 1000 * next(times)

    (row,) = script.measure(Implementation("ours", run, jumpy.verify, limit=1)).rows
    assert (len(row.figures[0].samples_ns), row.stopped) == (4, "4 samples")


def test_the_deadline_ends_a_row_and_skips_the_next(script: Scripted) -> None:
    slow = script.implementation("ours", wall_ns=10**9)

    def comparisons() -> list[Comparison]:
        return [Comparison("first", "wall", "", [slow])]

    plans = [Schedule("first", comparisons), Schedule("second", comparisons)]
    outcome = Results("overhead", {})
    script.rounds(max_time_s=3.5).measure(plans, outcome)
    first, second = outcome.rows
    assert first.stopped == "budget: cut short after 1 samples; try --max-time"
    assert (second.what, second.figures[0].verdict) == ("second", "skipped")
    assert second.figures[0].reason == "the budget is used up; try --max-time"


@pytest.mark.parametrize(
    "faults",
    [["off by one"], [ShaderError("off by one")], ["", "off by one"]],
    ids=["at first", "refused", "at last"],
)
def test_a_wrong_implementation_has_no_result_and_the_others_have(
    faults: list[str | Exception], script: Scripted
) -> None:
    script.faults["ours"] = faults
    (row,) = script.measure(script.implementation("ours"), script.implementation("wgpu-py")).rows
    ours, plain = row.figures
    assert (ours.verdict, ours.stats, ours.samples_ns, ours.reason) == ("wrong", None, (), "off by one")
    assert (plain.verdict, plain.ns) == ("ok", 1000.0)


def test_what_the_device_has_no_room_for_is_skipped(script: Scripted) -> None:
    def full() -> list[Comparison]:
        raise OutOfMemory("no room")

    outcome = Results("overhead", {})
    script.rounds().measure([Schedule("row", full)], outcome)
    assert outcome.rows[0].figures[0].reason == "no room"


@pytest.mark.parametrize("end", [KeyboardInterrupt(), DeviceError("gone")])
def test_what_was_measured_before_the_end_is_kept(end: BaseException, script: Scripted) -> None:
    def broken() -> list[Comparison]:
        raise end

    fine = Schedule("row", lambda: [Comparison("row", "cpu", "", [script.implementation("ours")])])
    outcome = Results("overhead", {})
    script.rounds().measure([fine, Schedule("broken", broken)], outcome)
    assert [row.what for row in outcome.rows] == ["row"]
    assert (outcome.interrupted, outcome.failure) == (
        isinstance(end, KeyboardInterrupt),
        "gone" * isinstance(end, DeviceError),
    )


def test_only_the_run_is_on_the_clock(script: Scripted) -> None:
    def wait() -> None:
        script.ns["cpu"] += 5_000_000

    @contextmanager
    def around() -> Iterator[None]:
        script.ns["cpu"] += 7_000_000
        yield
        script.ns["cpu"] += 7_000_000

    (row,) = script.measure(script.implementation("ours", after=wait, around=around)).rows
    assert row.ns("ours") == 1000.0
