"""Files that processes share: read as they are, replaced at once, changed by one at a time."""

import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rusty_py import CacheError
from rusty_py.cache_file import locked, note, read, replace


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    assert read(path, operation="test") is None
    replace(path, {"é": [1, 2.5, None]})
    assert read(path, operation="test") == {"é": [1, 2.5, None]}
    assert path.read_text(encoding="utf-8").endswith("}\n")
    replace(path, [], only_try=True)
    assert read(path, operation="test") == {"é": [1, 2.5, None]}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_folder_or_a_pipe_is_neither_read_nor_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (tmp_path, pipe):
        with pytest.raises(CacheError, match=f"^test: {path}: not a regular file$"):
            read(path, operation="test")
        with pytest.raises(OSError, match="not a regular file"):
            replace(path, 1)
        with pytest.raises(OSError, match="not a regular file"), locked(path, operation="test"):
            pass
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_folder_without_a_name_of_its_own_is_refused_as_any_other() -> None:
    with pytest.raises(OSError, match="not a regular file"), locked(Path(), operation="test"):
        pass


@pytest.mark.parametrize("content", [b"", b"{]", b"\xff", b"[" * 100_000, b"9" * 5000])
def test_what_is_not_json_is_a_value_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"."):
        read(path, operation="test")


def test_content_that_is_no_json_leaves_the_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    replace(path, 1)
    with pytest.raises(TypeError):
        replace(path, object())
    assert read(path, operation="test") == 1
    assert list(tmp_path.iterdir()) == [path]


HOLDER = """
import sys
from pathlib import Path
from rusty_py.cache_file import locked
with locked(Path(sys.argv[1]), operation="holder"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_another_process_waits_for_the_lock_and_a_killed_one_leaves_none(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    command = [sys.executable, "-c", HOLDER, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        start = time.monotonic()
        with (
            pytest.raises(CacheError, match=f"^test: locked by another process: {path}$"),
            locked(path, operation="test", wait_s=0.2),
        ):
            pytest.fail("both hold it")
        assert time.monotonic() - start >= 0.2
        holder.kill()
        holder.wait()
        with locked(path, operation="test", wait_s=5.0):
            pass


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError("no space left on device")


def test_a_note_is_printed_once_and_needs_no_stream(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    note.cache_clear()
    note("one \ud800")
    note("one \ud800")
    assert capsys.readouterr().err == "one \\ud800\n"
    monkeypatch.setattr(sys, "stderr", None)
    note("two")
    monkeypatch.setattr(sys, "stderr", Full())
    note("three")
