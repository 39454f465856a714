"""Ctrl-C and other signals, at every stage: an exit code, no traceback, and what was measured is kept."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from jsonschema import Draft202012Validator

from rusty_py.bench.report.json import schema

from .program import PATIENCE_S, SCRIPT, Sabotaged, driver, kernels, python, run, started, strict_json, table
from .terminal import Terminal

pytestmark = [pytest.mark.alone, pytest.mark.usefixtures("adapter")]

# The sizes of the default run on a CPU driver; on a GPU they would be larger.
LADDER = ("matmul", "--size", "64,128,256,512", "--tile", "naive", "--tile", "8")
TWO = ("matmul", "--size", "33", "--tile", "8", "--tile", "naive", "--runs", "9")


def test_ctrl_c_in_the_middle_of_a_run_keeps_what_was_measured(tmp_path: Path) -> None:
    target = tmp_path / "run.json"
    command = [SCRIPT, *LADDER, "--json", target]
    env = {"TERM": "xterm-256color"}
    with (
        Terminal() as terminal,
        started(command, env=env, stdout=subprocess.PIPE, stderr=terminal.end) as child,
    ):
        terminal.leave_end()
        terminal.wait_for(r"128×128×128: sampling")
        child.send_signal(signal.SIGINT)
        start = time.monotonic()
        out, _ = child.communicate(timeout=PATIENCE_S)
        assert time.monotonic() - start < 3
    assert child.returncode == 130
    assert "Traceback" not in terminal.text
    assert "interrupted: these rows are what was measured before" in out
    _is_interrupted(target, results=len(table(out)))
    assert len(table(out)) >= 2


# The kernels of a round then have one sample more or less than each other, and the output of one may
# hold what was put there for the sample that did not come.
@pytest.mark.parametrize("moment", ["before", "after"])
def test_ctrl_c_in_the_middle_of_a_round_keeps_all_kernels_and_finds_none_wrong(
    moment: str, tmp_path: Path, sabotaged: Sabotaged
) -> None:
    target = tmp_path / "run.json"
    done = sabotaged(_interrupt_in_round(6, moment=moment), *TWO, "--json", target)
    assert (done.code, done.err) == (130, ""), done
    assert "WRONG" not in done.out
    assert [float(row["GFLOPS"]) > 0 for row in table(done.out)] == [True, True]
    assert "interrupted: these rows are what was measured before" in done.out
    counts = [len(result["samples"]["rounds"]) for result in _is_interrupted(target, results=2)]
    assert counts == [6, 6]


def test_ctrl_c_while_the_commands_are_imported_is_no_crash(sabotaged: Sabotaged) -> None:
    done = sabotaged(
        """
        import os, signal, sys

        class Interrupting:
            def find_spec(self, name, path=None, target=None):
                if name == "typer":
                    os.kill(os.getpid(), signal.SIGINT)

        sys.meta_path.insert(0, Interrupting())
        """,
        "--version",
        anew=True,
    )
    assert (done.code, done.out, done.err) == (130, "", "interrupted\n")


def test_a_second_ctrl_c_while_the_first_is_answered_is_no_crash(
    tmp_path: Path, sabotaged: Sabotaged
) -> None:
    target = tmp_path / "run.json"
    again = """
        from rusty_py.bench import signals
        from rusty_py.bench.matmul_suite import MatmulWork

        signals._SAME_S = 0.0
        recheck = MatmulWork.recheck

        def impatient(self):
            os.kill(os.getpid(), signal.SIGINT)
            return recheck(self)

        MatmulWork.recheck = impatient
        """
    done = sabotaged(_interrupt_in_round(2, moment="after") + again, *TWO, "--json", target)
    assert (done.code, "Traceback" in done.err) == (130, False)


def test_ctrl_c_before_the_first_row_leaves_valid_json(tmp_path: Path, sabotaged: Sabotaged) -> None:
    target = tmp_path / "run.json"
    done = sabotaged(
        """
        import os, signal
        from rusty_py.bench.matmul_suite import MatmulWork

        MatmulWork.verify = lambda self: os.kill(os.getpid(), signal.SIGINT)
        """,
        *(*TWO, "--json", target),
    )
    assert (done.code, "Traceback" in done.err) == (130, False)
    assert _is_interrupted(target, results=0) == []


def test_ctrl_c_while_the_clock_is_checked_leaves_no_file(tmp_path: Path, sabotaged: Sabotaged) -> None:
    done = sabotaged(
        """
        import os, signal
        from rusty_py.measure import runner

        runner.check_clock = lambda *_, **__: os.kill(os.getpid(), signal.SIGINT)
        """,
        *(*TWO, "--json", tmp_path / "run.json"),
    )
    assert (done.code, done.err) == (130, "interrupted\n")
    assert [path.name for path in tmp_path.iterdir()] == ["driver.py"]


@pytest.mark.parametrize("module", ["numpy", "wgpu", "pydantic", "psutil"])
def test_ctrl_c_while_the_program_starts_shows_no_traceback(module: str) -> None:
    done = python(
        """
        import os, runpy, signal, sys

        script, module = sys.argv[1:3]
        hit = []

        class Interrupt:
            @staticmethod
            def find_spec(name, path=None, target=None):
                if name == module and not hit:
                    hit.append(name)
                    os.kill(os.getpid(), signal.SIGINT)

        sys.meta_path.insert(0, Interrupt)
        sys.argv = [script, *sys.argv[3:]]
        try:
            runpy.run_path(script, run_name="__main__")
        finally:
            assert hit, f"{module} was never imported"
        """,
        *(str(SCRIPT), module, *TWO),
        anew=True,
    )
    assert (done.code, "Traceback" in done.err) == (130, False), done


def test_ctrl_c_in_doctor_ends_its_child_without_a_traceback(tmp_path: Path) -> None:
    # A terminal interrupts the child as well as the program: here the child hears it first.
    command = driver(
        tmp_path / "driver.py",
        f"""
        import os, signal, threading, time
        from pathlib import Path
        from rusty_py.bench import doctor

        def press(adapter):
            Path({str(tmp_path / "child")!r}).write_text(str(os.getpid()))
            threading.Timer(0.5, os.kill, (os.getppid(), signal.SIGINT)).start()
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(60)
            yield

        doctor._on_device = press
        """,
    )
    done = run([*command, "doctor"])
    assert (done.code, done.err) == (130, "interrupted\n")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "child").read_text()), 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["SIGTERM", "SIGHUP"])
def test_a_scheduler_or_a_terminal_that_ends_the_program_gets_what_was_measured(
    number: signal.Signals, tmp_path: Path, sabotaged: Sabotaged
) -> None:
    target = tmp_path / "run.json"
    done = sabotaged(_interrupt_in_round(3, moment="after", number=number), *TWO, "--json", target)
    assert (done.code, done.err) == (128 + number, ""), done
    assert [float(row["GFLOPS"]) > 0 for row in table(done.out)] == [True, True]
    assert "interrupted: these rows are what was measured before" in done.out
    _is_interrupted(target, results=2)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=["SIGINT", "SIGHUP"])
def test_a_signal_that_is_ignored_from_the_start_ends_nothing(number: signal.Signals, tmp_path: Path) -> None:
    sabotage = _interrupt_in_round(1, moment="after", number=number)
    ignoring = ["sh", "-c", f'trap "" {number.name[3:]}; exec "$0" "$@"']
    done = run([*ignoring, *driver(tmp_path / "driver.py", sabotage), *TWO])
    done.succeeds()
    assert "interrupted" not in done.out


def test_a_terminal_that_goes_away_does_not_cost_the_file(tmp_path: Path) -> None:
    target = tmp_path / "run.json"
    ours, end = os.openpty()
    command = [SCRIPT, *LADDER, "--json", target]
    with started(command, env={"TERM": "xterm-256color"}, stdout=end, stderr=end) as child:
        os.close(end)
        seen = ""
        while "128×128×128: sampling" not in seen:
            seen += os.read(ours, 4096).decode(errors="replace")
        os.close(ours)
        child.send_signal(signal.SIGHUP)
        assert child.wait(PATIENCE_S) == 128 + signal.SIGHUP
    document = strict_json(target.read_text(encoding="utf-8"))
    assert document["interrupted"] is True
    assert len(kernels(document)) >= 2


@pytest.mark.parametrize("command", ["overhead", "transfer"])
def test_the_rows_of_host_costs_are_kept(command: str, tmp_path: Path, sabotaged: Sabotaged) -> None:
    target = tmp_path / "part.json"
    done = sabotaged(
        """
        import os, signal
        from rusty_py.bench.overhead import startup
        from rusty_py.measure.runner import Runner

        startup.rows = lambda *_, **__: []
        measure_schedule, schedules = Runner._measure_schedule, []

        def stop_at_the_third(self, schedule, *arguments):
            schedules.append(schedule)
            if len(schedules) == 3:
                os.kill(os.getpid(), signal.SIGTERM)
            measure_schedule(self, schedule, *arguments)

        Runner._measure_schedule = stop_at_the_third
        """,
        *(command, "--runs", "1", "--json", target),
    )
    assert (done.code, done.err) == (143, "")
    assert "interrupted: these rows are what was measured before" in done.out
    document = strict_json(target.read_text(encoding="utf-8"))
    assert document["interrupted"] is True
    assert len(document["rows"]) == len(table(done.out)) >= 2


def test_devices_that_are_made_for_host_costs_may_be_interrupted(
    tmp_path: Path, sabotaged: Sabotaged
) -> None:
    target = tmp_path / "part.json"
    done = sabotaged(
        """
        import os, signal
        from rusty_py.bench import overhead
        from rusty_py.bench.overhead.work import task
        from rusty_py.measure.document import skipped_row

        overhead.startup.rows = lambda *_, **__: [skipped_row(task("a cold start"), "not here")]
        overhead.Plain = lambda adapter: os.kill(os.getpid(), signal.SIGINT)
        """,
        *("overhead", "--json", target),
    )
    assert (done.code, done.err) == (130, "")
    assert len(strict_json(target.read_text(encoding="utf-8"))["rows"]) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_tuner_that_is_ended_says_what_is_left_and_ends_its_child(number: signal.Signals) -> None:
    with started([SCRIPT, "tune", "--size", "640", "--dry-run"], stdout=subprocess.PIPE) as child:
        (measuring,) = _wait_for_children(child.pid)
        child.send_signal(number)
        out, _ = child.communicate(timeout=PATIENCE_S)
        psutil.wait_procs([measuring], timeout=PATIENCE_S / 4)
    assert child.returncode == 128 + number
    assert "not tuned: --size 640x640x640" in out
    assert not measuring.is_running()


def test_a_tuner_that_is_killed_leaves_no_process() -> None:
    with started([SCRIPT, "tune", "--size", "640", "--dry-run"], stdout=subprocess.DEVNULL) as child:
        (measuring,) = _wait_for_children(child.pid)
        child.kill()
        psutil.wait_procs([measuring], timeout=PATIENCE_S / 4)
    assert not measuring.is_running()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which signals a process ignores")
def test_children_that_measure_leave_signals_to_the_program(tmp_path: Path) -> None:
    # systemd and schedulers signal every process: that must not look like a kernel that ends its process.
    for command in (["tune", "--size", "640", "--dry-run"], ["doctor"]):
        with started([SCRIPT, *command], stdout=subprocess.DEVNULL) as program:
            _wait_for_children(program.pid, lambda child: _ignores(child, signal.SIGTERM))
            program.send_signal(signal.SIGTERM)
            assert program.wait(PATIENCE_S) == 143, command


def _ignores(process: psutil.Process, number: signal.Signals) -> bool:
    status = Path(f"/proc/{process.pid}/status").read_text()
    mask = int(status.partition("SigIgn:")[2].split()[0], 16)
    return bool(mask >> (number - 1) & 1)


def test_a_doctor_that_is_killed_leaves_no_process(tmp_path: Path) -> None:
    command = driver(
        tmp_path / "driver.py",
        f"""
        import time
        from pathlib import Path
        from rusty_py.bench import doctor

        def hang(adapter):
            Path({str(tmp_path / "hangs")!r}).touch()
            time.sleep(600)
            yield

        doctor._on_device = hang
        """,
    )
    with started([*command, "doctor"], stdout=subprocess.DEVNULL) as program:
        children = _wait_for_children(program.pid, lambda child: (tmp_path / "hangs").exists())
        program.kill()
        psutil.wait_procs(children, timeout=PATIENCE_S / 4)
    assert not any(child.is_running() for child in children)


def _wait_for_children(
    pid: int, ready: Callable[[psutil.Process], bool] = lambda child: True
) -> list[psutil.Process]:
    """The processes that a program has started, once one of them is ready."""
    end = time.monotonic() + PATIENCE_S
    while not any(map(ready, found := psutil.Process(pid).children())):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


def _interrupt_in_round(round: int, *, moment: str, number: signal.Signals = signal.SIGINT) -> str:
    """Code that signals in that round (from 0), "before" or "after" the second kernel is timed."""
    return f"""
        import os, signal
        from rusty_py.measure.ceilings import CeilingMeter
        from rusty_py.runtime.timing import Timer

        drift_control_ns, sample = CeilingMeter.drift_control_ns, Timer.sample
        rounds, samples = [], []

        def counted_drift_control_ns(self, repeats):
            taken = drift_control_ns(self, repeats)
            rounds.append(taken)
            samples.clear()
            return taken

        def counted_sample(self, submissions):
            samples.append(submissions)
            here = (len(rounds), len(samples)) == ({round} + 1, 2)
            if here and {moment!r} == "before":
                press()
            taken = sample(self, submissions)
            if here:
                press()
            return taken

        def press():
            try:
                os.kill(os.getpid(), {int(number)})
            finally:  # As `timeout` does, which signals the program and then its process group.
                os.kill(os.getpid(), {int(number)})

        CeilingMeter.drift_control_ns, Timer.sample = counted_drift_control_ns, counted_sample
        """


def _is_interrupted(path: Path, *, results: int) -> list[dict[str, Any]]:
    """The results of kernels in the JSON of an interrupted run."""
    document = strict_json(path.read_text(encoding="utf-8"))
    Draft202012Validator(schema()).validate(document)
    assert document["interrupted"] is True
    assert len(kernels(document)) == results
    assert [file.name for file in path.parent.iterdir() if file.suffix in (".json", ".tmp")] == [path.name]
    return kernels(document)
