"""The process that measures, as its parent sees it: reports, silence, the deadline, and its end."""

import os
import sys
import tempfile
import time
from collections.abc import Sequence

import psutil
import pytest

from rusty_py import DeviceError
from rusty_py.measure.child_process import Event, child_process

LONG = 60.0


def events(code: str, *, silence_s: float = LONG, for_s: float = LONG) -> tuple[list[Event], str]:
    """What a child reports that runs some code, and how it ended."""
    with child_process([sys.executable, "-c", code], {"job": 7}) as child:
        found = list(child.events(silence_s=silence_s, deadline=time.monotonic() + for_s))
        return found, child.ending()


def test_a_child_gets_its_order_as_a_line_and_reports_lines() -> None:
    found, ending = events("import sys; print(sys.stdin.readline(), flush=True)")
    assert found == [{"job": 7}]
    assert ending == "the measuring process ended with status 0"


def test_lines_that_are_no_reports_are_passed_over() -> None:
    code = r"""
import sys
sys.stdout.buffer.write(b"noise\n\xff\xfe\n[1, 2]\nnull\n7\n" + b"[" * 100_000 + b'\n{"event": "end"}\n{"ev')
"""
    assert events(code)[0] == [{"event": "end"}]


def test_a_crash_is_told_with_its_last_words() -> None:
    code = """
import os, sys
print("first", file=sys.stderr)
print("the driver says goodbye", file=sys.stderr, flush=True)
os.abort()
"""
    found, ending = events(code)
    assert (found, ending) == ([], "the measuring process ended with status -6: the driver says goodbye")


def test_last_words_are_shortened_and_may_be_any_bytes() -> None:
    _, ending = events("import sys; sys.stderr.buffer.write(b'\\xff' * 10_000)")
    assert ending.endswith(": " + "\ufffd" * 200)


def test_silence_and_the_deadline_are_told_apart() -> None:
    sleeps = "import time; time.sleep(100)"
    for silence_s, for_s, event in ((0.2, LONG, "hangs"), (LONG, 0.2, "time")):
        start = time.monotonic()
        found, ending = events(sleeps, silence_s=silence_s, for_s=for_s)
        assert found == [{"event": event}]
        assert time.monotonic() - start < 30
        assert "status None" in ending  # It still runs, until the block ends.


def test_reports_end_a_silence() -> None:
    code = """
import time
for i in range(4):
    print(f'{{"event": {i}}}', flush=True)
    time.sleep(0.5)
"""
    found, _ = events(code, silence_s=20.0)
    assert [each["event"] for each in found] == [0, 1, 2, 3]


def test_a_deadline_that_has_passed_ends_it_at_once() -> None:
    assert events("import time; time.sleep(100)", for_s=-5.0)[0] == [{"event": "time"}]


def test_a_child_that_reads_nothing_may_get_a_long_order() -> None:
    with child_process([sys.executable, "-c", "pass"], "x" * (1 << 20)) as child:
        assert list(child.events(silence_s=LONG, deadline=time.monotonic() + LONG)) == []


def test_the_end_of_the_block_ends_the_child_whatever_ends_the_block() -> None:
    began: list[int] = []

    def begin() -> None:
        with child_process(
            [sys.executable, "-c", "import os, time; print(os.getpid()); time.sleep(100)"], None
        ) as child:
            began.append(child._child.pid)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begin()
    assert not psutil.pid_exists(began[0])


def test_signals_of_the_terminal_do_not_reach_the_child() -> None:
    with child_process([sys.executable, "-c", "import time; time.sleep(100)"], None) as child:
        assert os.getsid(child._child.pid) == child._child.pid != os.getsid(0)


@pytest.mark.parametrize("command", [["/nonexistent/python"], ["/"]], ids=["missing", "no program"])
def test_a_command_that_cannot_run_is_an_error_of_the_device(command: Sequence[str]) -> None:
    with (
        pytest.raises(DeviceError, match="the measuring process cannot be started: "),
        child_process(command, 1),
    ):
        pytest.fail("it runs")


def test_so_is_a_machine_without_room_for_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(DeviceError, match="No usable temporary directory"), child_process(["true"], 1):
        pytest.fail("it runs")
