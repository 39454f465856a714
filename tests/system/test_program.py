"""How the tests start programs: with Ctrl-C working, and none is left behind."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from .program import PATIENCE_S, ROOT, python, run, started

SLEEPERS = "sleep 600 & echo $!; sleep 600"


def test_a_program_hears_ctrl_c_where_the_tests_run_in_the_background() -> None:
    asked = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    code = f"import tests.conftest; from tests.system.program import python; print(python({asked!r}).out)"
    ignoring = ["sh", "-c", 'trap "" INT; exec "$0" "$@"', sys.executable, "-c"]
    assert run([*ignoring, asked]).out == "False\n"
    done = run([*ignoring, code], cwd=ROOT)
    assert done.out.strip() == "True", done.err


def test_the_tests_go_on_ignoring_ctrl_c_in_the_background() -> None:
    done = python(
        """
        import os, signal
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        import tests.conftest
        os.kill(os.getpid(), signal.SIGINT)
        print("still here")
        """,
        cwd=ROOT,
    )
    assert done.out == "still here\n", done.err


def test_a_program_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    with pytest.raises(subprocess.TimeoutExpired):
        run(["sh", "-c", f"({SLEEPERS}) > {pids}"], patience_s=1)
    _is_gone(int(pids.read_text()))


def test_a_program_is_killed_with_its_children_where_a_test_fails() -> None:
    pids = []

    def fail() -> None:
        with started(["sh", "-c", SLEEPERS], stdout=subprocess.PIPE) as child:
            assert child.stdout
            pids.extend([child.pid, int(child.stdout.readline())])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    for pid in pids:
        _is_gone(pid)


def _is_gone(pid: int) -> None:
    end = time.monotonic() + PATIENCE_S / 4
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end
        time.sleep(0.01)
