"""The parent of a calibration, with children that play their part: what it keeps, and what it survives."""

import errno
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf, nan
from pathlib import Path
from typing import Any

import psutil
import pytest

from rusty_py import CacheError, DeviceError, LimitError, cache_file
from rusty_py.calibration import Calibrated, calibrate_adapter
from rusty_py.gemm.register_tiled import REGISTER_TILED
from rusty_py.gemm.search_space import as_data
from rusty_py.profile import store
from rusty_py.profile.prior import prior

from ..adapters import RADEON

Line = dict[str, object]

ACTOR = """
import json, os, sys, time
from pathlib import Path
plays, counter = json.loads(sys.argv[1]), Path(sys.argv[2])
job = json.loads(sys.stdin.readline())
with counter.open("a") as file:
    print(json.dumps(job | {"pid": os.getpid()}), file=file)
for line in plays[min(len(counter.read_text().splitlines()), len(plays)) - 1]:
    match line.get("do"):
        case "hang":
            time.sleep(100)
        case "abort":
            print("the driver says goodbye", file=sys.stderr, flush=True)
            os.abort()
        case "noise":
            print("noise of a driver", flush=True)
        case _:
            print(json.dumps(line), flush=True)
"""
HANG, ABORT, NOISE = {"do": "hang"}, {"do": "abort"}, {"do": "noise"}
END = {"event": "end"}
CLOCK = {"event": "clock", "name": "gpu", "reason": "timestamps agree with the wall clock"}
KERNELS = [as_data(each) for each in REGISTER_TILED[:3]]
FIGURES: dict[str, object] = {
    "fma_gflops": 8000.0,
    "cores": 12,
    "launch_us": 4.5,
    "copy_gbps": {"1048576": 200.0, "268435456": 80.0},
    "read_gbps": {"1048576": 300.0, "268435456": 85.0},
}


def figure(name: str, value: object) -> Line:
    return {"event": "figure", "name": name, "value": value}


def trying(kernel: object, *, beside: bool = False) -> Line:
    return {"event": "trying", "kernel": kernel, "beside": beside}


def rated(kernel: object, gflops: object = 3000.0, operands: str = "nn") -> list[Line]:
    return [trying(kernel), {"event": "rate", "kernel": kernel, "class": operands, "gflops": gflops}]


def figures(**changes: object) -> list[Line]:
    return [CLOCK, *(figure(name, value) for name, value in (FIGURES | changes).items() if value is not None)]


GOOD: list[Line] = [*figures(), *rated(KERNELS[0]), *rated(KERNELS[0], 2500.0, "nt"), *rated(KERNELS[1]), END]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    cache_file.note.cache_clear()
    file = tmp_path / "profile.json"
    monkeypatch.setenv(store.ENVIRONMENT, str(file))
    return file


Calibrate = Callable[..., Calibrated]


@pytest.fixture
def calibrate(path: Path, tmp_path: Path) -> Calibrate:
    """Calibrates by children that play: the first child the first play, and so on; the last is repeated."""

    def calibrated(*plays: Sequence[Line], **options: Any) -> Calibrated:
        command = [sys.executable, "-c", ACTOR, json.dumps(plays), str(tmp_path / "jobs")]
        return calibrate_adapter(RADEON, command=command, **options)

    return calibrated


def jobs(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.with_name("jobs").read_text().splitlines()]


def assert_nothing_is_kept(path: Path) -> None:
    assert {each.name for each in path.parent.iterdir()} <= {".profile.json.lock", "jobs"}


def test_what_a_child_reports_becomes_the_profile_and_is_kept(calibrate: Calibrate, path: Path) -> None:
    said: list[str] = []
    found = calibrate([NOISE, *GOOD], progress=said.append)
    profile = found.profile
    assert (profile.basis, profile.subject) == ("calibrated", RADEON.name)
    assert (profile.cores, profile.fma_gflops, profile.launch_s) == (12, 8000.0, 4.5e-6)
    assert profile.copy == ((1 << 20, 200e9), (1 << 28, 80e9))
    assert {each.kernel["step"]: dict(each.gflops) for each in profile.kernels[:1]} == {
        KERNELS[0]["step"]: {"nn": 3000.0, "nt": 2500.0}
    }
    assert len(profile.kernels) == 2
    assert (found.clock, found.clock_reason, found.notes) == ("gpu", CLOCK["reason"], [])
    assert found.path == path
    assert str(store.load(RADEON)) == str(profile) == f"calibrated {profile.date}"
    assert said[-1] == "calibrating: 5 figures, 2 kernels"


def test_the_job_has_the_adapter_and_a_deadline_before_that_of_the_parent(
    calibrate: Calibrate, path: Path
) -> None:
    start = time.time()
    calibrate(GOOD, max_time_s=12.0)
    (job,) = jobs(path)
    assert (job["adapter"], job["refused"]) == (RADEON.index, [])
    assert start + 10 < job["until"] < start + 12


def test_what_there_was_no_time_for_is_that_of_the_shipped_profile(calibrate: Calibrate) -> None:
    found = calibrate(GOOD)
    assert found.profile.scattered == prior("integrated").scattered
    assert found.profile.fill_groups == prior("integrated").fill_groups
    assert found.profile.item_bytes == prior("integrated").item_bytes
    measured: dict[str, object] = {"fill_groups": 40, "scattered": 0.5, "item_bytes": 8}
    more = calibrate([*GOOD[:-1], *(figure(*each) for each in measured.items()), END])
    assert {name: getattr(more.profile, name) for name in measured} == measured


def test_what_a_child_notes_is_told(calibrate: Calibrate) -> None:
    assert calibrate([{"event": "note", "text": "no f16"}, *GOOD]).notes == ["no f16"]


def test_a_kernel_that_is_wrong_is_noted_and_the_rest_is_kept(calibrate: Calibrate) -> None:
    wrong = {"event": "out", "kernel": KERNELS[2], "class": "nn", "why": "wrong: 7 of 9 elements"}
    found = calibrate([*GOOD[:-1], trying(KERNELS[2]), wrong, END])
    assert found.notes == [f"{REGISTER_TILED[2].name}: wrong: 7 of 9 elements"]
    assert len(found.profile.kernels) == 2


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (HANG, "the measuring process hung"),
        (ABORT, "the measuring process ended with status -6: the driver says goodbye"),
    ],
    ids=["hangs", "aborts"],
)
def test_a_kernel_that_ends_the_child_is_left_out_by_the_next(
    calibrate: Calibrate, path: Path, end: Line, why: str
) -> None:
    first = [*figures(), *rated(KERNELS[0]), trying(KERNELS[2]), end]
    found = calibrate(first, GOOD, silence_s=4.0, max_time_s=60.0)
    assert found.notes == [f"{REGISTER_TILED[2].name}: {why}"]
    assert [job["refused"] for job in jobs(path)] == [[], [KERNELS[2]]]
    assert len(found.profile.kernels) == 2
    assert store.calibrated(RADEON)


def test_of_kernels_that_are_compiled_beside_each_other_the_next_child_finds_the_one_that_ends_it(
    calibrate: Calibrate, path: Path
) -> None:
    plays = [
        [*figures(), *rated(KERNELS[0]), trying(KERNELS[1], beside=True), ABORT],
        [*figures(), *rated(KERNELS[1]), trying(KERNELS[2]), ABORT],
    ]
    found = calibrate(*plays, [*figures(), END], max_time_s=60.0)
    assert [(job["ahead"], job["refused"]) for job in jobs(path)] == [
        (True, []),
        (False, []),
        (False, KERNELS[2:]),
    ]
    assert [dict(each.kernel) for each in found.profile.kernels] == KERNELS[:2]
    assert found.notes == [
        f"{REGISTER_TILED[2].name}: the measuring process ended with status -6: the driver says goodbye"
    ]


def test_a_kernel_that_hangs_is_left_out_though_others_were_being_compiled(
    calibrate: Calibrate, path: Path
) -> None:
    first = [*figures(), *rated(KERNELS[0]), trying(KERNELS[2], beside=True), HANG]
    calibrate(first, GOOD, silence_s=4.0, max_time_s=60.0)
    assert [job["refused"] for job in jobs(path)] == [[], [KERNELS[2]]]


def test_a_child_that_ends_between_kernels_keeps_what_it_has_and_the_end_is_noted(
    calibrate: Calibrate, path: Path
) -> None:
    found = calibrate([*GOOD[:-1], ABORT])
    assert found.notes == ["the measuring process ended with status -6: the driver says goodbye"]
    assert len(jobs(path)) == 1
    assert store.calibrated(RADEON)


def test_kernels_that_all_end_the_child_leave_those_that_were_measured_before(
    calibrate: Calibrate, path: Path
) -> None:
    plays = [
        [*figures(), *rated(KERNELS[0]), trying(KERNELS[1]), ABORT],
        [*figures(), trying(KERNELS[2]), ABORT],
    ]
    found = calibrate(*plays, [*figures(), END], max_time_s=60.0)
    assert [job["refused"] for job in jobs(path)] == [[], [KERNELS[1]], KERNELS[1:]]
    assert [dict(each.kernel) for each in found.profile.kernels] == [KERNELS[0]]
    assert len(found.notes) == 2


def test_a_child_that_always_ends_does_not_go_on_beyond_the_deadline(
    calibrate: Calibrate, path: Path
) -> None:
    start = time.monotonic()
    with pytest.raises(DeviceError, match="no kernel: not measured in 4 s: give it more time"):
        calibrate([*figures(), trying(KERNELS[0]), ABORT], max_time_s=4.0)
    assert time.monotonic() - start < 30
    assert len(jobs(path)) > 1
    assert_nothing_is_kept(path)


def test_a_child_that_is_too_slow_keeps_what_it_has(calibrate: Calibrate, path: Path) -> None:
    found = calibrate([*GOOD[:-1], trying(KERNELS[2]), HANG], max_time_s=4.0)
    assert found.seconds < 30
    assert (len(found.profile.kernels), found.notes) == (2, [])
    assert not psutil.pid_exists(jobs(path)[0]["pid"])


FAILURES: list[tuple[list[Line], str]] = [
    ([], "the measuring process ended with status 0"),
    ([END], "fma_gflops, cores, launch_us, copy_gbps, read_gbps: not measured in 5 s: give it more time"),
    ([NOISE, {"event": "unheard of"}, END], "fma_gflops, "),
    ([*figures(launch_us=None), *rated(KERNELS[0]), END], "launch_us: not measured in 5 s"),
    ([*figures(), END], "no kernel: not measured in 5 s"),
    ([ABORT], "the measuring process ended with status -6: the driver says goodbye"),
    ([*figures(cores=None), ABORT], "status -6: the driver says goodbye"),
    ([{"event": "failed", "why": "adapter: none found"}, END], "adapter: none found"),
    ([*figures(cores=0), *rated(KERNELS[0]), END], "measured what cannot be: cores is 0"),
    ([*figures(fma_gflops=nan), *rated(KERNELS[0]), END], "measured what cannot be: fma_gflops is nan"),
    ([*figures(), *rated(KERNELS[0], inf), END], "measured what cannot be: nn is inf"),
]


@pytest.mark.parametrize(("play", "why"), FAILURES, ids=[why[:30] for _, why in FAILURES])
def test_a_child_that_finds_too_little_is_an_error_and_nothing_is_kept(
    calibrate: Calibrate, path: Path, play: list[Line], why: str
) -> None:
    with pytest.raises(DeviceError) as caught:
        calibrate(play, max_time_s=5.0)
    assert str(caught.value).startswith("calibrate: AMD Radeon 780M (Vulkan, IntegratedGPU): ")
    assert why in str(caught.value)
    assert_nothing_is_kept(path)


def test_a_child_that_hangs_before_it_measures_is_an_error(calibrate: Calibrate, path: Path) -> None:
    with pytest.raises(DeviceError, match="the measuring process hung"):
        calibrate([HANG], silence_s=1.0)
    assert_nothing_is_kept(path)


def test_a_failure_leaves_the_profile_that_there_was(calibrate: Calibrate, path: Path) -> None:
    calibrate(GOOD)
    before = path.read_bytes()
    with pytest.raises(DeviceError):
        calibrate([ABORT])
    assert path.read_bytes() == before


def test_a_new_profile_takes_the_place_of_any_file(calibrate: Calibrate, path: Path) -> None:
    for content in ("{", "[]", '{"format": 99}', json.dumps({"machine": {"adapter": "another"}})):
        path.write_text(content)
        assert store.calibrated(RADEON) is None
        calibrate(GOOD)
        assert store.calibrated(RADEON)


def test_without_keeping_nothing_is_written_whoever_holds_the_lock(calibrate: Calibrate, path: Path) -> None:
    with store.alone(path):
        found = calibrate(GOOD, keep=False)
    assert found.path is None
    assert_nothing_is_kept(path)


def test_of_two_at_once_the_second_says_so_and_measures_nothing(calibrate: Calibrate, path: Path) -> None:
    with (
        store.alone(path),
        pytest.raises(CacheError, match=f"^calibrate: locked by another process: {path}$"),
    ):
        calibrate(GOOD)
    assert_nothing_is_kept(path)
    assert not path.with_name("jobs").exists()


def test_without_a_place_nothing_is_measured(
    calibrate: Calibrate, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(store.ENVIRONMENT, "off")
    with pytest.raises(LimitError, match="no place for the profile: RUSTY_PY_PROFILE=off: unset it"):
        calibrate(GOOD)
    assert_nothing_is_kept(path)
    assert calibrate(GOOD, keep=False).profile.calibrated


def test_a_full_disk_is_found_before_anything_is_measured(
    calibrate: Calibrate, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibrate(GOOD)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CacheError, match=r"cannot write .*: No space left on device: set RUSTY"):
        calibrate(GOOD)
    assert path.read_bytes() == before
    assert len(jobs(path)) == 1


@pytest.mark.parametrize("seconds", [0, 0.0, -1, nan, inf])
def test_a_time_must_be_a_positive_number(calibrate: Calibrate, path: Path, seconds: float) -> None:
    with pytest.raises(
        LimitError, match=f"calibrate: max_time_s must be a positive number of seconds, got {seconds}"
    ):
        calibrate(GOOD, max_time_s=seconds)
    assert_nothing_is_kept(path)


def test_gpus_and_cpu_drivers_have_times_of_their_own(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ACTOR, json.dumps([GOOD]), str(tmp_path / "jobs")]
    start = time.time()
    for kind in ("DiscreteGPU", "CPU"):
        calibrate_adapter(replace(RADEON, type=kind), keep=False, command=command)
    gpu, cpu = (json.loads(line)["until"] - start for line in (tmp_path / "jobs").read_text().splitlines())
    assert (10 < gpu < 20, 55 < cpu < 65) == (True, True)


def test_ctrl_c_ends_the_child_and_frees_the_lock(calibrate: Calibrate, path: Path) -> None:
    def interrupt(text: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        calibrate([CLOCK, HANG], progress=interrupt)
    assert not psutil.pid_exists(jobs(path)[0]["pid"])
    assert_nothing_is_kept(path)
    assert calibrate(GOOD).path == path


def test_threads_that_calibrate_at_once_keep_one_whole_profile(calibrate: Calibrate, path: Path) -> None:
    """At least one succeeds; those that start while it measures are refused."""
    outcomes: list[str] = []

    def one() -> None:
        try:
            calibrate(GOOD)
            outcomes.append("kept")
        except CacheError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=one) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(outcomes) == 4
    assert "kept" in outcomes
    assert set(outcomes) <= {"kept", f"calibrate: locked by another process: {path}"}
    assert store.calibrated(RADEON)
