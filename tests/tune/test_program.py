"""`rusty-bench tune`: its tables, its options and its exit codes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rusty_py import Adapter
from rusty_py.gemm import tuned


def rusty_bench(*arguments: str, path: Path | str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "rusty_py", *arguments]
    env = {**os.environ, "RUSTY_PY_TUNING": str(path), "COLUMNS": "200", "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=env, timeout=120)


def test_a_class_is_a_row(adapter: Adapter, tmp_path: Path) -> None:
    done = rusty_bench("tune", "--size", "40", "--layout", "tn", "--max-time", "10", path=tmp_path / "t.json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(adapter))
    (row,) = [line for line in done.stdout.split("\n") if line.startswith("40×40×40  ")]
    assert "tn, a b c by fours" in row
    assert "direct" in row  # The default of a CPU driver.
    assert "kernels proved and timed in" in done.stdout


def test_what_is_kept_can_be_listed_and_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    assert rusty_bench("tune", "--list", path=path).stdout == f"nothing is kept in {path}\n"
    path.write_text('{"version": 1, "entries": [{}]}')
    done = rusty_bench("tune", "--list", path=path)
    assert (done.returncode, done.stdout) == (0, f"nothing is kept in {path}\n")
    assert "an entry is ignored" in done.stderr
    assert rusty_bench("tune", "--clear", path=path).returncode == 0
    assert not path.exists()
    assert rusty_bench("tune", "--clear", path=path).returncode == 0


def test_a_dry_run_keeps_nothing(adapter: Adapter, tmp_path: Path) -> None:
    done = rusty_bench("tune", "--size", "33", "--dry-run", "--max-time", "5", path=tmp_path / "t.json")
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "path", "code", "says"),
    [
        (["--layout", "xy"], "t.json", 2, "no such layout: 'xy'; choose one of nn, nt, tn, tt"),
        (["--dtype", "f64"], "t.json", 2, "unknown dtype"),
        (["--sums", "f16"], "t.json", 2, "--sums f16 is for --dtype f16"),
        (["--size", "0"], "t.json", 2, "is no size"),
        (["--size", "9"], "off", 2, "there is no file to keep anything in"),
        (["--size", "9", "--adapter", "no such"], "t.json", 3, "none matches"),
    ],
    ids=str,
)
def test_exit_codes(
    adapter: Adapter, tmp_path: Path, arguments: list[str], path: str, code: int, says: str
) -> None:
    done = rusty_bench("tune", *arguments, path=path if path == "off" else tmp_path / path)
    assert done.returncode == code, done.stderr
    assert says in done.stderr


def test_a_file_that_cannot_be_written_is_known_before_anything_is_measured(
    adapter: Adapter, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    done = rusty_bench("tune", "--size", "2048", path=tmp_path / "file" / "t.json")
    assert done.returncode == 2
    assert "cannot be kept" in done.stderr
    assert tuned.ENVIRONMENT in done.stderr
