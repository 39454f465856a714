import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, BrokenBarrierError

import platformdirs
import pytest

from rusty_py.runtime import native

VARIABLE = "XDG_RUNTIME_DIR"


def test_the_driver_is_kept_quiet_for_as_long_as_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with native.quiet_driver():
        assert os.environ[VARIABLE] == tempfile.gettempdir()
    assert VARIABLE not in os.environ


def test_an_environment_that_is_set_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/run/user/1000")
    with native.quiet_driver():
        assert os.environ[VARIABLE] == "/run/user/1000"
    assert os.environ[VARIABLE] == "/run/user/1000"


def test_the_environment_is_mended_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(ZeroDivisionError), native.quiet_driver():
        raise ZeroDivisionError
    assert VARIABLE not in os.environ


def meet(barrier: Barrier) -> None:
    """Waits for the other thread; not for long, for it may have been made to wait its turn."""
    with suppress(BrokenBarrierError):
        barrier.wait(timeout=1)


def test_drivers_may_start_in_two_threads_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    folder, undecided, started = tempfile.gettempdir(), Barrier(2), Barrier(2)

    def gettempdir() -> str:
        meet(undecided)
        return folder

    monkeypatch.setattr(tempfile, "gettempdir", gettempdir)

    def start() -> None:
        with native.quiet_driver():
            meet(started)

    with ThreadPoolExecutor(2) as threads:
        for start_of_one in [threads.submit(start), threads.submit(start)]:
            start_of_one.result(timeout=30)
    assert VARIABLE not in os.environ


def test_drivers_keep_their_shaders_in_our_cache_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / name)
    monkeypatch.setenv("MESA_SHADER_CACHE_DIR", "/chosen")
    monkeypatch.setenv("__GL_SHADER_DISK_CACHE_PATH", "")  # So that it is put back afterwards.
    monkeypatch.delenv("__GL_SHADER_DISK_CACHE_PATH")
    native.keep_compiled_shaders()
    assert os.environ["__GL_SHADER_DISK_CACHE_PATH"] == str(tmp_path / "rusty_py" / "shaders")
    assert (tmp_path / "rusty_py" / "shaders").is_dir()
    assert os.environ["MESA_SHADER_CACHE_DIR"] == "/chosen"


def test_without_a_folder_to_write_to_shaders_are_compiled_each_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / "file" / name)
    monkeypatch.delenv("MESA_SHADER_CACHE_DIR", raising=False)
    native.keep_compiled_shaders()
    assert "MESA_SHADER_CACHE_DIR" not in os.environ
