"""Ctrl-C, at every stage: exit code 130, no traceback, and what was measured is kept."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from rusty_py.bench.report.json import schema

from .program import PATIENCE_S, SCRIPT, Sabotaged, driver, python, run, started, strict_json, table
from .terminal import Terminal

pytestmark = pytest.mark.usefixtures("adapter")

TWO = ("matmul", "--size", "33", "--tile", "8", "--tile", "naive", "--runs", "9")


def test_ctrl_c_in_the_middle_of_the_default_run_keeps_what_was_measured(tmp_path: Path) -> None:
    target = tmp_path / "run.json"
    command = [SCRIPT, "matmul", "--json", target]
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
    _is_interrupted(target, rows=len(table(out)))
    assert len(table(out)) >= 4


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
    counts = [len(result["samples"]) for result in _is_interrupted(target, rows=2)]
    assert sorted(counts) in ([6, 6], [6, 7])


def test_a_second_ctrl_c_while_the_first_is_answered_is_no_crash(
    tmp_path: Path, sabotaged: Sabotaged
) -> None:
    target = tmp_path / "run.json"
    again = """
        from rusty_py.bench.suites.matmul import MatmulWork

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
        from rusty_py.bench.suites.matmul import MatmulWork

        MatmulWork.prove = lambda self: os.kill(os.getpid(), signal.SIGINT)
        """,
        *(*TWO, "--json", target),
    )
    assert (done.code, "Traceback" in done.err) == (130, False)
    assert _is_interrupted(target, rows=0) == []


def test_ctrl_c_while_the_clock_is_checked_leaves_no_file(tmp_path: Path, sabotaged: Sabotaged) -> None:
    done = sabotaged(
        """
        import os, signal
        from rusty_py.bench import runner

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


def _interrupt_in_round(number: int, *, moment: str) -> str:
    """Code that presses Ctrl-C in that round (from 0), "before" or "after" the second kernel is timed."""
    return f"""
        import os, signal
        from rusty_py.bench.ceilings import Ceilings
        from rusty_py.timing import Timer

        anchor_ns, sample = Ceilings.anchor_ns, Timer.sample
        rounds, samples = [], []

        def counted_anchor_ns(self, repeats):
            taken = anchor_ns(self, repeats)
            rounds.append(taken)
            samples.clear()
            return taken

        def counted_sample(self, submissions):
            samples.append(submissions)
            here = (len(rounds), len(samples)) == ({number} + 1, 2)
            if here and {moment!r} == "before":
                os.kill(os.getpid(), signal.SIGINT)
            taken = sample(self, submissions)
            if here:
                os.kill(os.getpid(), signal.SIGINT)
            return taken

        Ceilings.anchor_ns, Timer.sample = counted_anchor_ns, counted_sample
        """


def _is_interrupted(path: Path, *, rows: int) -> list[dict[str, list[object]]]:
    """The results in the JSON of an interrupted run."""
    document = strict_json(path.read_text(encoding="utf-8"))
    Draft202012Validator(schema()).validate(document)
    assert document["interrupted"] is True
    assert len(document["results"]) == rows
    assert [file.name for file in path.parent.iterdir() if file.suffix in (".json", ".tmp")] == [path.name]
    results: list[dict[str, list[object]]] = document["results"]
    return results
