import time

import pytest

from rusty_py.bench import baseline


class Clock:
    """A clock that only computing moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *seconds: float) -> None:
        self.now, self.calls, self.seconds = 100.0, 0, seconds
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(time, "perf_counter_ns", lambda: round(self.now * 1e9))

    def compute(self) -> None:
        self.now += self.seconds[min(self.calls, len(self.seconds) - 1)]
        self.calls += 1


def test_the_first_call_warms_up_and_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, 0.5, 0.125)
    assert baseline.sample_ns(clock.compute, budget_s=0.9) == (125e6,) * 4


def test_there_is_a_most_of_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, 0.001)
    assert len(baseline.sample_ns(clock.compute, budget_s=10.0)) == 15
    assert clock.calls == 16


def test_a_call_longer_than_the_budget_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, 2.0)
    assert baseline.sample_ns(clock.compute, budget_s=0.5) == (2e9,)
    assert clock.calls == 1
