"""Signals that end the program: which are heard, and what the second one does."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from rusty_py.bench.signals import Signals

ALL = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def defaults() -> Iterator[None]:
    """Every signal does what it does in a program that a terminal starts."""
    before = [signal.getsignal(each) for each in ALL]
    for each in ALL:
        signal.signal(each, signal.default_int_handler if each == signal.SIGINT else signal.SIG_DFL)
    yield
    for each, handler in zip(ALL, before, strict=True):
        signal.signal(each, handler)


def test_each_of_them_interrupts_and_is_remembered() -> None:
    for number in ALL:
        with Signals() as signals:
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(number)
            assert signals.number == number


def test_afterwards_they_do_what_they_did_before() -> None:
    before = [signal.getsignal(each) for each in ALL]
    with Signals():
        assert all(signal.getsignal(each) not in before for each in ALL)
    assert [signal.getsignal(each) for each in ALL] == before


def test_one_that_is_ignored_stays_ignored() -> None:
    for number in ALL:
        signal.signal(number, signal.SIG_IGN)
        with Signals() as signals:
            signal.raise_signal(number)
        assert signals.number is None
        assert signal.getsignal(number) == signal.SIG_IGN


def test_within_a_second_more_of_them_mean_the_same() -> None:
    with Signals(now=iter([10.0, 10.2, 10.9]).__next__) as signals:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
    assert signals.number == signal.SIGHUP


def test_a_later_ctrl_c_interrupts_what_is_being_finished() -> None:
    with Signals(now=iter([10.0, 11.5]).__next__) as signals:
        for number in (signal.SIGTERM, signal.SIGINT):
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(number)
    assert signals.number == signal.SIGTERM


def test_a_later_signal_of_another_kind_ends_the_process() -> None:
    for first, second in ((signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGHUP)):
        script = f"""
import signal
from contextlib import suppress
from rusty_py.bench.signals import Signals

with Signals(now=iter([10.0, 11.5]).__next__):
    with suppress(KeyboardInterrupt):
        signal.raise_signal({int(first)})
    print("finishing", flush=True)
    signal.raise_signal({int(second)})
    print("goes on")
"""
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout, done.stderr) == (-second, "finishing\n", "")
