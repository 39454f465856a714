"""What is kept between runs, where it goes, and what becomes of it where there is no place."""

import os
import pwd
from pathlib import Path

import platformdirs
import pytest

from rusty_py import CacheError, user_cache
from rusty_py.bench.context import homeless
from rusty_py.gemm import tuning_file
from rusty_py.runtime import native

SHADERS = ("MESA_SHADER_CACHE_DIR", "__GL_SHADER_DISK_CACHE_PATH")


@pytest.fixture
def unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without HOME whom the system does not know, as in a container that runs as any user."""

    def getpwuid(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", getpwuid)
    for variable in ("HOME", "XDG_CACHE_HOME", "RUSTY_PY_TUNING", "RUSTY_PY_PROFILE", *SHADERS):
        monkeypatch.delenv(variable, raising=False)


def finds_no_cache(fault: str) -> None:
    """Asserts that nobody finds one, and that no one fails for it."""
    assert fault in user_cache.fault()
    with pytest.raises(CacheError, match=r"set HOME or XDG_CACHE_HOME to a folder that can be written$"):
        user_cache.folder("part")
    assert tuning_file.location() is None
    assert fault in tuning_file.nowhere()
    native.keep_compiled_shaders()
    assert set(SHADERS).isdisjoint(os.environ)


def test_a_user_whom_the_system_does_not_know_has_no_cache(
    unknown: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    finds_no_cache("no home directory: HOME is not set")
    assert homeless("/a/b") == "/a/b"
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_older_platformdirs_leave_unexpanded_is_none(
    unknown: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: Path("~/.cache") / name)
    finds_no_cache("no home directory: HOME is not set")
    assert list(tmp_path.iterdir()) == []


def test_a_home_that_is_no_directory_is_not_made(
    unknown: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    for home in (tmp_path / "missing", tmp_path / "file", Path("/dev/null")):
        monkeypatch.setenv("HOME", str(home))
        finds_no_cache(f"no home directory: HOME={home}")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_cache_that_cannot_be_made_is_none(
    unknown: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    finds_no_cache(f"cannot be made: {tmp_path}/file/rusty_py: Not a directory")


def test_the_folder_that_the_environment_names_needs_no_home(
    unknown: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new"))
    for home in (None, "/nonexistent"):
        if home:
            monkeypatch.setenv("HOME", home)
        assert user_cache.fault() == ""
        assert user_cache.folder("part") == tmp_path / "new" / "rusty_py" / "part"
        assert user_cache.folder("part").is_dir()
        assert tuning_file.location() == tmp_path / "new" / "rusty_py" / "tuning" / "matmul.json"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes into read-only directories")
def test_a_cache_that_may_only_be_read_is_said_and_served(
    unknown: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = user_cache.folder("part")
    folder.parent.chmod(0o500)
    try:
        assert user_cache.fault() == f"cannot be written: {folder.parent}"
        assert user_cache.folder("part") == folder
    finally:
        folder.parent.chmod(0o700)
