"""Standard output that is closed, full, or a terminal; standard error that is closed."""

import os
import subprocess
from pathlib import Path

import pytest

from .program import PATIENCE_S, SCRIPT, environment, run, rusty_bench, started
from .terminal import Terminal

SMALL = ("matmul", "--size", "33", "--tile", "8", "--runs", "1")

XTERM = {"TERM": "xterm-256color"}

EACH = pytest.mark.parametrize(
    "arguments", [SMALL, ("info",), ("doctor",), ("--version",), ("--help",), ("matmul", "-h")], ids=" ".join
)

pytestmark = pytest.mark.usefixtures("adapter")


def _sh(redirection: str, *arguments: str) -> list[str | Path]:
    return ["sh", "-c", f'exec "$0" "$@" {redirection}', SCRIPT, *arguments]


def test_a_reader_that_leaves_after_a_line_ends_the_program_silently() -> None:
    pipe = subprocess.PIPE
    with started([SCRIPT, *SMALL], stdout=pipe, stderr=pipe) as child:
        assert child.stdout
        assert child.stderr
        assert child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == ""
        assert child.wait(PATIENCE_S) == 141


@EACH
def test_a_reader_that_never_came_ends_the_program_silently(arguments: tuple[str, ...]) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as nobody:
        done = run([SCRIPT, *arguments], stdout=nobody)
    assert (done.code, done.err) == (141, "")


@EACH
def test_standard_output_closed_from_the_start_ends_the_program_silently(arguments: tuple[str, ...]) -> None:
    done = run(_sh(">&-", *arguments))
    assert (done.code, done.err) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@EACH
def test_a_full_disk_behind_standard_output_is_said(arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = run([SCRIPT, *arguments], stdout=full)
    assert (done.code, done.err) == (2, "error: standard output: No space left on device\n")


def test_with_standard_error_closed_an_error_does_not_go_to_standard_output() -> None:
    done = run(_sh("2>&-", "info", "--adapter", "nosuch"))
    assert (done.code, done.out) == (3, "")


def test_without_standard_input_all_is_well() -> None:
    done = run(_sh("<&-", *SMALL))
    done.succeeds()
    assert "GFLOPS" in done.out


def test_progress_is_shown_on_a_terminal_and_results_stay_clean() -> None:
    with (
        Terminal() as terminal,
        started([SCRIPT, *SMALL], env=XTERM, stdout=subprocess.PIPE, stderr=terminal.end) as child,
    ):
        terminal.leave_end()
        results, _ = child.communicate(timeout=PATIENCE_S)
    progress_line = terminal.text
    assert child.returncode == 0
    assert "Running benchmarks" in progress_line
    assert "33×33×33" in progress_line
    assert results.startswith("╔")  # A progress bar that captures what is printed would take the banner.
    assert "GFLOPS" in results
    assert "\x1b" not in results
    assert "GFLOPS" not in progress_line


def test_results_on_a_terminal_hold_no_escape_codes() -> None:
    with (
        Terminal() as terminal,
        started([SCRIPT, *SMALL], env=XTERM, stdout=terminal.end, stderr=subprocess.PIPE) as child,
    ):
        terminal.leave_end()
        _, complaints = child.communicate(timeout=PATIENCE_S)
    results = terminal.text
    assert child.returncode == 0
    assert "GFLOPS" in results
    assert "\x1b" not in results
    assert complaints == ""


def test_a_piped_run_shows_no_progress_and_no_complaint_of_the_driver() -> None:
    assert "XDG_RUNTIME_DIR" not in environment()
    done = rusty_bench(*SMALL)
    assert (done.code, done.err) == (0, "")
