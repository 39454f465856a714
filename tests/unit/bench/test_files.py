import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from rusty_py.bench.report import files
from rusty_py.bench.report.files import FileError

DEV_FULL = Path("/dev/full")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_whole_and_alone(tmp_path: Path) -> None:
    files.write(tmp_path / "run.json", "{}\nä\n")
    assert (tmp_path / "run.json").read_bytes() == b"{}\n\xc3\xa4\n"
    assert names(tmp_path) == ["run.json"]


def test_an_existing_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text("old and longer")
    reader = path.open()
    files.write(path, "new")
    assert path.read_text() == "new"
    with reader:
        assert reader.read() == "old and longer"


def test_checking_leaves_nothing_behind(tmp_path: Path) -> None:
    files.check(tmp_path / "run.json", force=False)
    assert names(tmp_path) == []


def test_an_existing_file_is_refused_without_force(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text("mine")
    with pytest.raises(FileError, match=r"run\.json: exists; use --force to replace it$"):
        files.check(path, force=False)
    files.check(path, force=True)
    assert path.read_text() == "mine"
    assert names(tmp_path) == ["run.json"]


@pytest.mark.parametrize("force", [True, False])
def test_a_folder_is_no_regular_file(tmp_path: Path, force: bool) -> None:
    with pytest.raises(FileError, match=r"not a regular file$"):
        files.check(tmp_path, force=force)


def test_links_that_lead_in_a_circle_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.symlink_to(path)
    for refuse in (lambda: files.check(path, force=True), lambda: files.write(path, "")):
        with pytest.raises(FileError, match=r"run\.json: .*links"):
            refuse()
    assert names(tmp_path) == ["run.json"]


@pytest.mark.skipif(not DEV_FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("force", [True, False])
def test_a_device_is_no_regular_file_and_stays_one(force: bool) -> None:
    with pytest.raises(FileError, match=r"^/dev/full: not a regular file$"):
        files.check(DEV_FULL, force=force)
    assert stat.S_ISCHR(DEV_FULL.stat().st_mode)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_is_no_regular_file_is_not_replaced_by_writing(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(FileError, match="not a regular file"):
        files.write(pipe, "text")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert names(tmp_path) == ["pipe"]


def test_a_missing_folder_is_found_when_checking(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"gone/run\.json: No such file or directory$"):
        files.check(tmp_path / "gone" / "run.json", force=False)


def test_a_file_error_is_ours_and_an_os_error(tmp_path: Path) -> None:
    from rusty_py import RustyError

    for kind in (RustyError, OSError):
        with pytest.raises(kind):
            files.write(tmp_path / "gone" / "run.json", "text")


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "run.json", tmp_path / "link.json"
    target.write_text("old")
    link.symlink_to(target)
    files.check(link, force=True)
    files.write(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert names(tmp_path / "there") == ["run.json"]


def test_a_rename_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> Path:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(FileError, match=r"run\.json: Permission denied$"):
        files.write(tmp_path / "run.json", "text")
    assert names(tmp_path) == []


def test_an_interrupt_while_writing_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write(tmp_path / "run.json", "text")
    assert names(tmp_path) == []


FULL = """
import resource, sys
from pathlib import Path
from rusty_py.bench.report import files

resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
path, what = Path(sys.argv[1]), sys.argv[2]
try:
    files.check(path, force=True) if what == "check" else files.write(path, "x" * 200_000)
except files.FileError as error:
    print(error)
"""


def limited(path: Path, what: str, *, limit: int = 100_000) -> str:
    """What checking or writing says in a process whose files end after `limit` bytes."""
    script = FULL.replace("100_000", str(limit))
    done = subprocess.run(
        [sys.executable, "-c", script, path, what], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on file sizes")
def test_a_disk_that_fills_up_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text("old")
    assert limited(path, "write") == f"{path}: File too large"
    assert path.read_text() == "old"
    assert names(tmp_path) == ["run.json"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on file sizes")
def test_a_disk_without_room_is_found_when_checking(tmp_path: Path) -> None:
    assert limited(tmp_path / "run.json", "check") == ""
    assert limited(tmp_path / "run.json", "check", limit=10_000) == f"{tmp_path / 'run.json'}: File too large"
    assert names(tmp_path) == []
