"""The calibrated profile in the user's cache: where it is, when it is used, and what may be wrong with it."""

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rusty_py import CacheError, cache_file, user_cache
from rusty_py.profile import store
from rusty_py.profile.prior import prior, prior_for
from rusty_py.profile.record import Profile, as_json
from rusty_py.runtime import native
from rusty_py.runtime.adapter import lowered

from ..adapters import RADEON

ADAPTER = RADEON
MEASURED = replace(prior("integrated"), basis="calibrated", subject=ADAPTER.name, cores=12, date="2026-11-28")


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A cache folder of its own, no notes yet, and wgpu-native of a version of the test's."""
    cache_file.note.cache_clear()
    monkeypatch.delenv(store.ENVIRONMENT, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(native, "library_version", lambda: "29.0.1.1")


@pytest.fixture
def path() -> Path:
    found = store.location(ADAPTER)
    assert found
    return found


@pytest.fixture
def says(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """What was noted since it was last asked, without the end of the line."""
    return lambda: capsys.readouterr().err.removesuffix("\n")


Says = Callable[[], str]


def test_a_profile_is_kept_with_what_it_is_valid_for(path: Path, says: Says) -> None:
    assert store.calibrated(ADAPTER) is None
    store.save(path, ADAPTER, MEASURED)
    found = store.calibrated(ADAPTER)
    assert found
    assert as_json(found) == as_json(MEASURED)
    assert str(store.load(ADAPTER)) == "calibrated 2026-11-28"
    document = json.loads(path.read_text(encoding="utf-8"))
    assert (
        document["machine"]
        == store.key_of(ADAPTER)
        == {
            "adapter": "AMD Radeon 780M",
            "backend": "Vulkan",
            "type": "IntegratedGPU",
            "driver": "Mesa 25.0.7",
            "limits": [1024, 32768, ADAPTER.limits.subgroup],
            "subgroups": "subgroup" in ADAPTER.features,
            "wgpu": "29.0.1.1",
            "rusty_py": store.__version__,
        }
    )
    assert says() == ""


@pytest.mark.parametrize("text", ["threads=256", "workgroup_bytes=16384", "subgroup=1"])
def test_lowered_limits_have_a_profile_of_their_own(text: str) -> None:
    adapter = replace(ADAPTER, features=ADAPTER.features | {"subgroup"})
    assert store.location(lowered(adapter, text)) != store.location(adapter)
    assert store.key_of(lowered(adapter, text)) != store.key_of(adapter)


def test_without_a_file_an_adapter_has_the_profile_that_is_assumed_of_it(says: Says) -> None:
    assert store.load(ADAPTER) is prior("integrated")
    assert store.load(replace(ADAPTER, name="Apple M4")) is prior("apple")
    assert says() == ""


def test_each_adapter_has_a_file_of_its_own(path: Path) -> None:
    assert path.parent == user_cache.folder("profiles")
    assert path.name.startswith("amd-radeon-780m-")
    others = (
        replace(ADAPTER, name="AMD Radeon 780m"),
        replace(ADAPTER, backend="D3D12"),
        replace(ADAPTER, type="DiscreteGPU"),
        replace(ADAPTER, limits=replace(ADAPTER.limits, threads=256)),
        replace(ADAPTER, limits=replace(ADAPTER.limits, workgroup_bytes=16384)),
    )
    assert len({path, *map(store.location, others)}) == 6
    # A new driver takes the place of an old one.
    assert store.location(replace(ADAPTER, driver="Mesa 26.1.0", index=3)) == path


@pytest.mark.parametrize("name", ["", "../../../etc/passwd", "名前", "a" * 300, "x\0y\n"])
def test_any_name_of_an_adapter_is_a_file_in_the_folder(name: str) -> None:
    adapter = replace(ADAPTER, name=name)
    found = store.location(adapter)
    assert found
    assert found.resolve().parent == user_cache.folder("profiles").resolve()
    store.save(found, adapter, replace(MEASURED, subject="any"))
    assert store.calibrated(adapter)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"driver": "Mesa 26.1.0"}, "driver 'Mesa 25.0.7', this is 'Mesa 26.1.0'"),
        ({"wgpu": "30.0.0"}, "wgpu '29.0.1.1', this is '30.0.0'"),
        ({"rusty_py": "9.9"}, "rusty_py '{version}', this is '9.9'"),
    ],
    ids=["driver", "wgpu", "version"],
)
def test_a_profile_of_another_driver_or_version_is_noted_once_and_not_used(
    path: Path, says: Says, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], difference: str
) -> None:
    store.save(path, ADAPTER, MEASURED)
    monkeypatch.setattr(native, "library_version", lambda: change.get("wgpu", "29.0.1.1"))
    monkeypatch.setattr(store, "__version__", change.get("rusty_py", store.__version__))
    adapter = replace(ADAPTER, driver=change.get("driver", ADAPTER.driver))
    difference = difference.format(
        version=json.loads(path.read_text(encoding="utf-8"))["machine"]["rusty_py"]
    )
    assert store.load(adapter) is prior("integrated")
    assert store.load(adapter) is prior("integrated")
    assert says() == f"profile: {path}: of {difference}, and ignored: run rusty-bench calibrate"


MACHINES: list[tuple[object, str]] = [
    (None, "no machine"),
    ([], "no machine"),
    ({}, "adapter None, this is 'AMD Radeon 780M'"),
    ({"adapter": "x" * 10_000}, "adapter 'xx"),
    ({"adapter": {"deep": [1]}}, "adapter {'deep': [1]}, this is"),
    ({"adapter": "\x1b[2J"}, r"adapter '\x1b[2J', this is"),
]


@pytest.mark.parametrize(("machine", "difference"), MACHINES, ids=lambda x: str(x)[:20])
def test_a_file_of_another_adapter_is_noted_and_not_used(
    path: Path, says: Says, machine: object, difference: str
) -> None:
    path.write_text(json.dumps({**as_json(MEASURED), "machine": machine}))
    assert store.load(ADAPTER) is prior("integrated")
    noted = says()
    assert f"profile: {path}: of {difference}" in noted
    assert noted.isprintable()
    assert len(noted) < 400


def test_more_facts_of_a_machine_than_these_are_of_another(path: Path, says: Says) -> None:
    path.write_text(json.dumps({**as_json(MEASURED), "machine": {**store.key_of(ADAPTER), "more": 1}}))
    assert store.calibrated(ADAPTER) is None
    assert "of another machine, and ignored" in says()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b"[]", "not an object"),
        (b"\xff\xfe", "can't decode byte"),
        (b"[" * 100_000, "nested too deeply"),
        (b"1" * 100_000, "Exceeds the limit"),
        (b" " * ((16 << 20) + 1), "more than 16777216 bytes"),
    ],
    ids=lambda x: str(x)[:12],
)
def test_a_damaged_file_is_noted_once_and_not_used(path: Path, says: Says, content: bytes, why: str) -> None:
    path.write_bytes(content)
    for _ in range(2):
        assert store.load(ADAPTER) is prior_for(ADAPTER)
    noted = says()
    assert noted.startswith(f"profile: {path}: ignored: ")
    assert why in noted
    assert noted.endswith(": run rusty-bench calibrate")
    assert noted.count("profile: ") == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"format": 2}, "format 2, this is 1"),
        ({"cores": 0}, "cores is 0"),
        ({"fma_gflops": 10**400}, "fma_gflops is 1"),
        ({"copy_gbps": {"1024": float("nan")}}, "1024 is nan"),
    ],
    ids=str,
)
def test_a_file_with_an_invalid_value_is_noted_and_not_used(
    path: Path, says: Says, change: dict[str, Any], why: str
) -> None:
    path.write_text(json.dumps({**as_json(MEASURED), "machine": store.key_of(ADAPTER), **change}))
    assert store.load(ADAPTER) is prior("integrated")
    assert f"profile: {path}: ignored: {why}" in says()


def test_off_means_that_no_file_is_read_or_written(
    path: Path, says: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save(path, ADAPTER, MEASURED)
    monkeypatch.setenv(store.ENVIRONMENT, "off")
    assert store.location(ADAPTER) is None
    assert store.load(ADAPTER) is prior("integrated")
    assert store.nowhere() == "RUSTY_PY_PROFILE=off: unset it"
    assert says() == ""


def test_a_file_that_the_environment_names_is_taken_for_any_adapter(
    tmp_path: Path, says: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.json"
    monkeypatch.setenv(store.ENVIRONMENT, str(file))
    assert store.location(ADAPTER) == file
    assert store.load(ADAPTER) is prior("integrated")
    store.save(file, ADAPTER, MEASURED)
    other = replace(ADAPTER, name="Apple M4", driver="")
    assert as_json(store.load(other)) == as_json(MEASURED)
    file.write_text(json.dumps(as_json(prior("apple"))))
    assert str(store.load(ADAPTER)) == str(prior("apple"))
    file.write_text("{}")
    assert store.load(ADAPTER) is prior("integrated")
    assert f"profile: {file}: ignored: format None, this is 1" in says()


def test_a_user_without_a_home_has_no_file(says: Says, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_cache, "_find", lambda part: "no home directory: HOME is not set")
    assert store.location(ADAPTER) is None
    assert store.load(ADAPTER) is prior("integrated")
    assert store.nowhere() == (
        "no home directory: HOME is not set: set HOME or XDG_CACHE_HOME to a folder that can be written,"
        " or RUSTY_PY_PROFILE to a file"
    )
    assert says() == ""


def test_a_file_that_cannot_be_read_is_noted_and_not_used(path: Path, says: Says) -> None:
    path.mkdir()
    assert store.load(ADAPTER) is prior("integrated")
    assert says() == f"profile: {path}: not a regular file: ignored"


def test_a_path_that_leads_through_a_file_is_an_error_that_says_the_way_out(
    tmp_path: Path, says: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    file = tmp_path / "file" / "profile.json"
    monkeypatch.setenv(store.ENVIRONMENT, str(file))
    with pytest.raises(CacheError, match=f"^calibrate: cannot write {file}: .*: set RUSTY_PY_PROFILE$"):
        store.save(file, ADAPTER, MEASURED)
    with pytest.raises(CacheError, match=r"cannot write .*: set RUSTY_PY_PROFILE$"), store.alone(file):
        pytest.fail("nothing was locked")
    assert store.load(ADAPTER) is prior("integrated")
    assert "Not a directory: ignored" in says()


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_profile_whole(
    path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save(path, ADAPTER, MEASURED)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(*{"fsync": (os, "fsync", full), "replace": (Path, "replace", full)}[step])
    with pytest.raises(CacheError, match=r"No space left on device: set RUSTY_PY_PROFILE$"):
        store.save(path, ADAPTER, replace(MEASURED, cores=99))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_trying_writes_nothing(path: Path) -> None:
    store.save(path, ADAPTER, MEASURED, only_try=True)
    assert list(path.parent.iterdir()) == []


def test_one_at_a_time_calibrates(path: Path) -> None:
    with (
        store.alone(path),
        pytest.raises(CacheError, match=f"^calibrate: locked by another process: {path}$"),
        store.alone(path),
    ):
        pytest.fail("two have the lock")
    with store.alone(path):
        pass


def test_an_error_while_the_lock_is_held_is_not_taken_for_one_of_the_lock(path: Path) -> None:
    with pytest.raises(ConnectionResetError), store.alone(path):
        raise ConnectionResetError("from elsewhere")
    with pytest.raises(CacheError, match=r"^measured elsewhere$"), store.alone(path):
        raise CacheError("measured elsewhere")


class Room:
    """As much of a device as is asked."""

    def __init__(self) -> None:
        self.adapter = ADAPTER
        self.attachments: dict[object, object] = {}


def test_a_device_reads_its_file_once(path: Path) -> None:
    store.save(path, ADAPTER, MEASURED)
    room: Any = Room()
    found = store.profile_of(room)
    assert found.calibrated
    path.unlink()
    assert store.profile_of(room) is found is room.attachments[Profile]
    assert store.profile_of(Room()) is prior("integrated")  # type: ignore[arg-type]
