"""A user without a home directory: everything runs, and says once that nothing is kept."""

from pathlib import Path

import pytest

from rusty_py import user_cache

from .program import Done, rusty_bench, table

NOTE = (
    "cache: no home directory: HOME is not set: set HOME or XDG_CACHE_HOME to a folder that can be written;"
    " until then nothing is kept between runs\n"
)

pytestmark = pytest.mark.usefixtures("adapter")


@pytest.fixture
def nobody(tmp_path: Path) -> dict[str, str | None]:
    """The environment of a user whom the system does not know, in this process and its children."""
    (tmp_path / "sitecustomize.py").write_text(
        "import pwd\n\n\ndef getpwuid(uid):\n    raise KeyError(uid)\n\n\npwd.getpwuid = getpwuid\n"
    )
    unset = ("HOME", "XDG_CACHE_HOME", "MESA_SHADER_CACHE_DIR", "RUSTY_PY_TUNING", "RUSTY_PY_PROFILE")
    return {**dict.fromkeys(unset), "PYTHONPATH": str(tmp_path)}


def test_kernels_are_measured_without_a_home(nobody: dict[str, str | None], tmp_path: Path) -> None:
    target = tmp_path / "run.json"
    small = ("--size", "33", "--tile", "8", "--runs", "1", "--json", target)
    done = rusty_bench("matmul", *small, env=nobody, cwd=tmp_path)
    assert (done.code, done.err) == (0, NOTE)
    assert float(table(done.out)[0]["GFLOPS"]) > 0
    assert target.is_file()
    assert not (tmp_path / "~").exists()


def test_the_tuner_measures_without_a_home_and_keeps_nothing(nobody: dict[str, str | None]) -> None:
    tune = ("tune", "--size", "9", "--max-time", "2")
    done = rusty_bench(*tune, "--dry-run", env=nobody)
    assert (done.code, done.err) == (0, NOTE)
    assert "no: " in done.out
    refused = rusty_bench(*tune, env=nobody)
    assert refused.code == 2
    assert "no tuning file: no home directory" in refused.message
    listed = (
        "nothing is kept: no home directory: HOME is not set: set HOME or XDG_CACHE_HOME to a folder that"
    )
    for option in ("--list", "--clear"):
        done = rusty_bench("tune", option, env=nobody)
        assert (done.code, done.err) == (0, "")
        assert done.out == f"{listed} can be written, or RUSTY_PY_TUNING to a file\n"


def test_info_and_doctor_say_it_each_in_its_place(nobody: dict[str, str | None]) -> None:
    info = rusty_bench("info", env=nobody)
    assert (info.code, info.err) == (0, NOTE)
    # What it compiles may be kept for the other tests: it takes seconds.
    shaders = {"MESA_SHADER_CACHE_DIR": str(user_cache.folder("shaders"))}
    doctor = rusty_bench("doctor", "--ascii", env=nobody | shaders)
    doctor.succeeds()
    assert "note cache: no home directory: HOME is not set\n     -> set HOME or XDG_CACHE_HOME" in doctor.out
    assert "ok   clock: " in doctor.out or "note clock: " in doctor.out


def test_what_a_command_does_not_need_is_not_said(nobody: dict[str, str | None]) -> None:
    def says_nothing(done: Done) -> None:
        assert "cache" not in done.err

    for arguments in (["--version"], ["--help"], ["matmul", "--help"], ["matmul", "--size", "0"]):
        says_nothing(rusty_bench(*arguments, env=nobody))
