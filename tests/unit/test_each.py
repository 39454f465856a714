"""The helper that runs a loop's cases to the end and reports those that fail."""

from collections.abc import Callable, Mapping

import pytest

from ..each import each_reported


def run(cases: Mapping[str, Callable[[], object]]) -> None:
    with each_reported() as case:
        for name, action in cases.items():
            with case(name):
                action()


def report_of(cases: Mapping[str, Callable[[], object]]) -> str:
    with pytest.raises(pytest.fail.Exception) as caught:
        run(cases)
    return str(caught.value)


def raises() -> None:
    raise KeyError("missing")


def test_each_case_runs_and_each_failure_is_reported_by_name() -> None:
    seen = []

    def is_even(number: int) -> None:
        seen.append(number)
        assert number % 2 == 0

    report = report_of({f"number {n}": lambda n=n: is_even(n) for n in range(4)})
    assert seen == [0, 1, 2, 3]
    assert report.startswith("2 of 4 failed: number 1; number 3\n")
    assert "number 3: tests/unit/test_each.py:32: AssertionError: assert (3 % 2) == 0" in report


def test_errors_and_failures_in_words_are_reported_with_the_first_traceback() -> None:
    report = report_of({"one": raises, "other": lambda: pytest.fail("in words")})
    assert report.startswith("2 of 2 failed: one; other\n")
    assert "one: tests/unit/test_each.py:24: KeyError: 'missing'" in report
    assert "other: " in report
    assert "in words" in report
    assert "Traceback" in report.partition("The first:\n")[2]


def test_cases_that_hold_are_silent() -> None:
    run({"holds": lambda: None})


def test_a_loop_without_a_case_fails() -> None:
    assert report_of({}) == "no case ran"


def test_a_case_that_skips_fails() -> None:
    report = report_of({"skips": lambda: pytest.skip("not here"), "holds": lambda: None})
    assert report.startswith("1 of 2 failed: skips\n")


def test_an_interruption_ends_the_loop() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run({"interrupted": interrupt, "never reached": raises})
