"""The tuner on an adapter: what it tries, what it throws out, what it survives, and that `matmul` obeys."""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from rusty_py import Adapter, CacheError, Device, DeviceError, LimitError, matmul, ones
from rusty_py.gemm import tuning_cache, tuning_file
from rusty_py.gemm.plan import GemmPlan
from rusty_py.gemm.problem import GemmProblem
from rusty_py.gemm.simple import Naive, Tiled
from rusty_py.gemm.tuning_entry import TuningEntry, machine_of, shape_class, signature_key
from rusty_py.measure.ceilings import CeilingMeter
from rusty_py.runtime.buffer import CommandBuffer
from rusty_py.runtime.launch import Launch, record
from rusty_py.runtime.throughput import SUBMISSION_SECONDS
from rusty_py.runtime.timing import Timer
from rusty_py.tune import tune
from rusty_py.tune.search import candidates, distance, problem_of
from rusty_py.tune.trials import Trials, repeated

pytestmark = pytest.mark.alone

SMALL = problem_of(33, 40, 36)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "matmul.json"
    monkeypatch.setenv(tuning_file.ENVIRONMENT, str(file))
    return file


def put(path: Path, adapter: Adapter, problem: GemmProblem, kernel: Naive | Tiled) -> TuningEntry:
    entry = TuningEntry(
        machine=vars(machine_of(adapter)),
        signature=signature_key(problem),
        shape=shape_class(problem),
        size=(problem.m, problem.k, problem.n, problem.products),
        kernel=kernel,
        split_k=1,
        gflops=112.0,
        default="naive",
        default_gflops=100.0,
        date="2026-11-21",
    )
    tuning_cache.put(path, entry)
    return entry


def test_matmul_obeys_an_entry_and_its_plan_says_so(path: Path, adapter: Adapter) -> None:
    put(path, adapter, SMALL, Tiled(8))
    a, b = np.ones((33, 40), np.float32), np.ones((40, 36), np.float32)
    with Device(adapter) as device:
        assert str(matmul.plan(a, b, device=device)) == (
            "33×40×36 (nn, vec4 a b c): tile 8: tuned 2026-11-21: 1.12 times the rate of naive at 33×40×36"
        )
        assert "requested" in str(matmul.plan(a, b, tile="naive", device=device))
        np.testing.assert_array_equal(matmul(a, b, device=device), np.full((33, 36), 40, np.float32))
        assert any("tiled" in str(spec) for spec in device.cache._pipelines)


def test_a_device_reads_the_file_once(path: Path, adapter: Adapter) -> None:
    put(path, adapter, SMALL, Tiled(8))
    a, b = np.ones((33, 40), np.float32), np.ones((40, 36), np.float32)
    with Device(adapter) as device:
        assert "tuned" in str(matmul.plan(a, b, device=device))
        path.unlink()
        assert "tuned" in str(matmul.plan(a, b, device=device))
    with Device(adapter) as device:
        assert "tuned" not in str(matmul.plan(a, b, device=device))


@pytest.fixture
def slow_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a bad guess would be: a kernel that is three times slower than the best."""

    def untuned(machine: object, problem: GemmProblem) -> GemmPlan:
        return GemmPlan(problem, Tiled(8), why="a bad guess")

    monkeypatch.setattr("rusty_py.tune.search.untuned", untuned)


@pytest.mark.usefixtures("slow_default")
def test_a_faster_kernel_is_verified_and_kept_and_taken_from_then_on(path: Path, adapter: Adapter) -> None:
    problem = problem_of(256, 256, 256, layout="nt")
    outcome = tune(adapter, problem, max_time_s=20)
    assert outcome.stored, outcome
    assert outcome.ratio
    assert outcome.ratio > 1
    (entry,) = tuning_cache.read(path)
    assert outcome.best
    assert entry.kernel == outcome.best.kernel
    with Device(adapter) as device:
        a = ones((256, 256), device=device)
        assert matmul.plan(a, a.T).why == entry.why


def test_a_slower_kernel_is_not_kept_and_an_older_entry_goes(
    path: Path, adapter: Adapter, tmp_path: Path
) -> None:
    put(path, adapter, SMALL, Tiled(8))
    lines = [*tried(0, 3.0), *tried(1, 2.0), FINAL | {"ratio": 0.6, "low": 0.5, "high": 0.7}, END]
    outcome = tune(adapter, SMALL, command=actor(tmp_path, [lines]))
    assert (outcome.stored, outcome.reason) == (False, "the default is faster")
    assert tuning_cache.read(path) == []


@dataclass(frozen=True)
class Wrong(Tiled):
    """As if its tile were larger than it is: leaves most of c as it was."""

    @property
    def block(self) -> tuple[int, int]:
        return 2 * self.edge, 2 * self.edge


def test_a_kernel_that_is_wrong_is_thrown_out(unchecked: Device) -> None:
    events: list[dict[str, object]] = []
    plans = [GemmPlan(SMALL, Naive()), GemmPlan(SMALL, Wrong(8)), GemmPlan(SMALL, Tiled(16))]
    Trials(unchecked, plans, budget_s=10, report=events.append, seed=1).run()
    wrong = [event["at"] for event in events if str(event.get("why")).startswith("wrong: ")]
    assert wrong == [1]
    assert not any(event["event"] in ("rate", "final") and event["at"] == 1 for event in events)


# What follows needs a child that misbehaves: a script in the place of the tuner's own.

END = {"event": "end"}
HANG, ABORT = {"do": "hang"}, {"do": "abort"}
FINAL = {"event": "final", "at": 1, "gflops": 3.0, "default_gflops": 2.0, "rounds": 9}
FASTER = FINAL | {"ratio": 1.5, "low": 1.4, "high": 1.6}
Line = dict[str, object]

ACTOR = """
import json, os, sys, time
from pathlib import Path
plays, counter = json.loads(sys.argv[1]), Path(sys.argv[2])
job = json.loads(sys.stdin.readline())
with counter.open("a") as file:
    print(json.dumps(job), file=file)
for line in plays[len(counter.read_text().splitlines()) - 1]:
    if line.get("do") == "hang":
        time.sleep(100)
    if line.get("do") == "abort":
        print("the driver says goodbye", file=sys.stderr, flush=True)
        os.abort()
    print("noise of a driver" if line.get("do") == "noise" else json.dumps(line), flush=True)
"""


def tried(at: int, gflops: float) -> list[Line]:
    return [{"event": "trying", "at": at}, {"event": "rate", "at": at, "gflops": gflops}]


def actor(folder: Path, plays: Sequence[Sequence[Line]]) -> list[str]:
    """A command that plays its part: the first child the first play, and so on."""
    return [sys.executable, "-c", ACTOR, json.dumps(plays), str(folder / "jobs")]


def jobs(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "jobs").read_text().splitlines()]


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (HANG, "the measuring process hung"),
        (ABORT, "the measuring process ended with status -6: the driver says goodbye"),
    ],
    ids=["hangs", "aborts"],
)
def test_a_kernel_that_ends_the_child_is_remembered_and_the_rest_is_tuned(
    path: Path, adapter: Adapter, tmp_path: Path, end: Line, why: str
) -> None:
    plans = candidates(adapter, SMALL)
    first = [*tried(0, 2.0), {"event": "trying", "at": 1}, end]
    second = [{"do": "noise"}, *tried(0, 2.0), *tried(1, 3.0), FASTER, END]
    outcome = tune(adapter, SMALL, command=actor(tmp_path, [first, second]), silence_s=2.0)
    assert outcome.notes == (f"{plans[1].kernel.name}: {why}",)
    assert outcome.best == plans[2]
    assert outcome.stored
    assert tuning_cache.refused(path, machine_of(adapter)) == [plans[1].kernel]
    first_job, second_job = jobs(tmp_path)
    assert len(second_job["plans"]) == len(first_job["plans"]) - 1  # type: ignore[arg-type]
    # And is not tried another day.
    third = tune(adapter, SMALL, command=actor(tmp_path, [[]] * 2 + [[*tried(0, 1.0), END]]))
    assert third.best is None
    assert len(jobs(tmp_path)[2]["plans"]) == len(plans) - 1  # type: ignore[arg-type]


def test_the_time_limit_ends_a_child_that_works_too_long(
    path: Path, adapter: Adapter, tmp_path: Path
) -> None:
    start = time.monotonic()
    outcome = tune(adapter, SMALL, command=actor(tmp_path, [[*tried(0, 1.0), HANG]]), max_time_s=2.0)
    assert time.monotonic() - start < 8
    assert (outcome.stored, outcome.reason) == (False, "not measured to the end; try --max-time")


def test_a_default_that_ends_the_child_ends_the_tuning(path: Path, adapter: Adapter, tmp_path: Path) -> None:
    lines = [[{"event": "trying", "at": 0}, ABORT]]
    outcome = tune(adapter, SMALL, command=actor(tmp_path, lines))
    assert outcome.reason.startswith("the default fails: the measuring process ended")
    assert not outcome.stored


def test_a_child_that_cannot_start_measuring_is_an_error(
    path: Path, adapter: Adapter, tmp_path: Path
) -> None:
    with pytest.raises(DeviceError, match="status -6: the driver says goodbye"):
        tune(adapter, SMALL, command=actor(tmp_path, [[ABORT]]))


def test_a_file_that_cannot_be_written_is_a_typed_error(
    tmp_path: Path, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(tuning_file.ENVIRONMENT, str(tmp_path / "file" / "matmul.json"))
    with pytest.raises(CacheError, match="set RUSTY_PY_TUNING"):
        tune(adapter, SMALL, command=actor(tmp_path, [[*tried(0, 2.0), *tried(1, 3.0), FASTER, END]]))


def test_without_a_file_nothing_can_be_kept(adapter: Adapter) -> None:
    with pytest.raises(LimitError, match="RUSTY_PY_TUNING=off"):
        tune(adapter, SMALL)


def test_gpus_get_kernels_that_differ_first_and_the_default_before_all(adapter: Adapter) -> None:
    limits = replace(adapter.limits, threads=1024, workgroup_bytes=32768)
    gpu = replace(adapter, type="DiscreteGPU", limits=limits)
    plans = candidates(gpu, problem_of(4096, 4096, 4096))
    assert plans[0].why == "default"
    assert len(plans) == len({plan.choice for plan in plans}) == 300
    assert all(distance(one, other) > 0 for one in plans[:16] for other in plans[:16] if one is not other)


def test_a_gpu_has_work_while_the_host_compiles(unchecked: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[dict[str, object]] = []
    occupied: list[dict[str, object]] = []
    trials = Trials(
        unchecked,
        [GemmPlan(SMALL, Naive()), GemmPlan(SMALL, Tiled(8))],
        budget_s=1.0,
        report=events.append,
        seed=1,
    )
    trials.cpu = False

    def submitted(device: Device, launches: Sequence[Launch]) -> CommandBuffer:
        assert {launch.spec for launch in launches} == {trials.ceilings.fma_launch.spec}
        occupied.append(events[-1])
        return record(device, launches)

    monkeypatch.setattr("rusty_py.tune.trials.record", submitted)
    trials.run()
    assert occupied == [{"event": "trying", "at": 0}, {"event": "trying", "at": 1}]
    # Beside other work the second may seem too slow to be compared at length.
    assert events[-1]["event"] in ("final", "out")
    assert events[-1].get("why", "slow: ").startswith("slow: ")  # type: ignore[attr-defined]


@pytest.mark.parametrize("once_s", [2e-4, 0.003, 0.15, 3.0])
def test_that_work_is_no_longer_than_a_submission_or_one_launch(unchecked: Device, once_s: float) -> None:
    launch = CeilingMeter(unchecked, Timer(unchecked), sample_s=0.02).fma_launch
    count = len(repeated(launch, once_s=once_s))
    assert count == 1 or SUBMISSION_SECONDS - once_s < count * once_s <= SUBMISSION_SECONDS
