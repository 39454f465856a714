"""The tuner's file: what is kept, what is believed, and what becomes of it when things go wrong."""

import json
import multiprocessing
import os
import threading
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rusty_py import CacheError, Limits, cache_file
from rusty_py.dtypes import F16
from rusty_py.gemm import tuning_cache, tuning_file
from rusty_py.gemm.blocked import Blocked
from rusty_py.gemm.blocked_family import BLOCKED
from rusty_py.gemm.gemv import GEMV_N, GEMV_T, GemvN, GemvT
from rusty_py.gemm.model import model_of
from rusty_py.gemm.plan import Choice, GemmPlan
from rusty_py.gemm.problem import GemmProblem, Signature
from rusty_py.gemm.register_tiled_cpu import ALONE, REGISTER_TILED_CPU, RegisterTiledCpu
from rusty_py.gemm.search_space import FAMILIES, as_data, from_data, may_choose, space, supports
from rusty_py.gemm.select import plan, untuned
from rusty_py.gemm.simple import Naive
from rusty_py.gemm.tuning_entry import (
    MachineKey,
    TuningEntry,
    as_json,
    choice_data,
    choice_from,
    from_json,
    shape_class,
    signature_key,
)
from rusty_py.profile.prior import prior
from rusty_py.profile.record import Profile

HERE = MachineKey("Adapter", "Vulkan", "DiscreteGPU", "driver 1", "29.0")
PROBLEM = GemmProblem(1024, 1024, 1024)
KERNEL = Blocked(64, 128, 16, thread_m=8, thread_n=8, lanes_m=8, stages=2)
SPACE = {kernel for family in FAMILIES.values() for kernel in family.kernels()}
LIMITS = Limits(1024, 32768, 65535, 1 << 30, 1 << 30)


def entry(problem: GemmProblem = PROBLEM, machine: MachineKey = HERE, **changes: Any) -> TuningEntry:
    made = TuningEntry(
        machine=asdict(machine),
        signature=signature_key(problem),
        shape=shape_class(problem),
        size=(problem.m, problem.k, problem.n, problem.products),
        kernel=KERNEL,
        split_k=2,
        gflops=112.0,
        default="tile 32",
        default_gflops=100.0,
        date="2026-11-21",
    )
    return replace(made, **changes)


class Room:
    """As much of a device as is asked."""

    limits = LIMITS
    adapter = SimpleNamespace(type="DiscreteGPU", is_cpu=False)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "folder" / "matmul.json"
    monkeypatch.setenv(tuning_file.ENVIRONMENT, str(file))
    return file


@pytest.fixture(autouse=True)
def fresh_notes() -> None:
    cache_file.note.cache_clear()


def find(problem: GemmProblem, machine: MachineKey = HERE) -> TuningEntry | None:
    return tuning_cache.load(machine).find(Room(), problem)  # type: ignore[arg-type]


def test_what_is_put_is_found(path: Path) -> None:
    tuning_cache.put(path, entry())
    assert find(PROBLEM) == entry()


TURNED = GemmProblem(512, 512, 3, signature=Signature(a_vec4=False))
CHOICES = [
    (PROBLEM, Choice(KERNEL, 4, "a")),
    (replace(PROBLEM, signature=Signature(b_along_k=True)), Choice(KERNEL, 1, "ab")),
    (TURNED, Choice(GEMV_T[4], 2, "", transposed=True)),
    (GemmProblem(3, 512, 512), Choice(GEMV_N[4], 2)),
    (PROBLEM, Choice(ALONE)),
]


@pytest.mark.parametrize(("problem", "choice"), CHOICES, ids=str)
def test_a_plan_obeys_all_of_an_entry(path: Path, problem: GemmProblem, choice: Choice) -> None:
    kept = entry(problem, **choice._asdict())
    tuning_cache.put(path, kept)
    assert find(problem) == kept
    room: Any = Room()
    room.attachments = {Profile: prior("discrete"), tuning_cache.Tuned: tuning_cache.load(HERE)}
    kernel, split_k, packs, transposed = choice
    assert plan(room, problem) == GemmPlan(problem, kernel, split_k, packs, kept.why, transposed)


@pytest.mark.parametrize(
    ("size", "used"),
    [
        ((704, 404, 836), True),
        ((592, 300, 1028), True),
        ((688, 384, 932), True),
        ((820, 396, 1248), False),  # Four waves of small blocks: larger blocks need one.
        ((752, 316, 1056), False),  # A fourth wave where the model's kernel needs three.
        ((876, 228, 1292), False),  # Five waves of both kernels in place of three.
        ((704, 320, 1088), False),  # No block crosses an edge: the kernels are others.
        ((1060, 300, 1100), False),  # Beyond the square root of two.
    ],
    ids=str,
)
def test_an_entry_decides_sizes_where_the_model_sees_what_it_saw_when_measured(
    size: tuple[int, int, int], used: bool
) -> None:
    transposed = Signature(b_along_k=True)
    kernel = Blocked(32, 64, 32, thread_m=8, thread_n=4, lanes_m=4, stages=1, slice_k=2)
    tuned = entry(GemmProblem(700, 300, 1100, signature=transposed), kernel=kernel, split_k=1, gflops=111.0)
    room: Any = Room()
    room.attachments = {Profile: prior("discrete"), tuning_cache.Tuned: tuning_cache.Tuned([tuned])}
    problem = GemmProblem(*size, signature=transposed)
    assert (plan(room, problem).kernel == kernel) == used


def test_an_entry_that_packs_what_lies_well_or_turns_what_is_wide_is_not_taken(path: Path) -> None:
    across = replace(PROBLEM, signature=Signature(a_along_k=False))
    tuning_cache.put(path, entry(across, packs="a"))
    assert find(across) is None
    tuning_cache.put(path, entry(GemmProblem(512, 512, 17), kernel=GEMV_T[4], split_k=1, transposed=True))
    assert len(tuning_cache.read(path)) == 1


def test_entries_from_before_packing_and_turning_mean_neither() -> None:
    item = as_json(entry())
    del item["packs"], item["transposed"]
    assert from_json(item) == entry()


def test_every_kernel_of_the_space_is_the_same_when_read_again() -> None:
    for family in FAMILIES.values():
        for kernel in family.kernels():
            assert from_data(json.loads(json.dumps(as_data(kernel)))) == kernel


def test_the_kernels_that_are_shipped_are_in_the_space() -> None:
    assert {*BLOCKED, *REGISTER_TILED_CPU, *GEMV_N.values(), *GEMV_T.values()} <= SPACE


def test_the_turns_in_which_thin_kernels_share_are_whole() -> None:
    for kernel in SPACE:
        if isinstance(kernel, GemvN | GemvT):
            accumulate_dtype = kernel.rows * (kernel.cols if isinstance(kernel, GemvT) else 1)
            assert 0 < kernel.shared <= kernel.lanes_k
            assert accumulate_dtype % kernel.shared == 0


def test_only_operands_that_are_gathered_are_packed_and_only_few_columns_turned() -> None:
    def found(problem: GemmProblem) -> list[Choice]:
        return list(space(LIMITS, problem, cpu=False))

    across = Signature(a_along_k=False)
    assert {each.packs for each in found(GemmProblem(64, 64, 64, signature=across))} == {""}
    assert {each.packs for each in found(GemmProblem(64, 64, 64))} == {"", "a"}
    assert {each.packs for each in found(GemmProblem(64, 64, 64, signature=Signature(b_vec4=False)))} == {
        "",
        "a",
        "b",
        "ab",
    }
    gemv = [each for each in found(GemmProblem(512, 512, 3)) if isinstance(each.kernel, GemvN | GemvT)]
    assert {each.transposed for each in gemv} == {True}
    assert {each.kernel.block[0] for each in gemv} == {1, 2, 4}
    assert {each.transposed for each in found(GemmProblem(3, 512, 512))} == {False}
    assert all(supports(each, LIMITS, GemmProblem(512, 512, 3)) for each in gemv)


def test_blocked_kernels_are_for_gpus_and_direct_ones_for_cpus() -> None:
    for cpu in (False, True):
        limits = replace(LIMITS, subgroup=8)
        kinds = {type(each.kernel) for each in space(limits, PROBLEM, cpu=cpu)}
        assert (Blocked in kinds, RegisterTiledCpu in kinds) == (not cpu, cpu)


def test_the_space_holds_only_what_fits() -> None:
    small = replace(LIMITS, threads=256, workgroup_bytes=16384)
    kernels = [choice.kernel for choice in space(small, PROBLEM, cpu=False)]
    specs = [kernel.spec(PROBLEM) for kernel in kernels]
    assert specs
    assert all(spec.threads <= 256 and spec.workgroup_bytes <= 16384 for spec in specs)
    assert not any(isinstance(choice.kernel, Blocked) for choice in space(small, PROBLEM, cpu=True))


def test_a_second_entry_of_a_class_takes_the_place_of_the_first(path: Path) -> None:
    tuning_cache.put(path, entry())
    tuning_cache.put(path, entry(GemmProblem(1023, 1000, 1030), split_k=4))
    assert [each.split_k for each in tuning_cache.read(path)] == [4]


@pytest.mark.parametrize("change", ["adapter", "backend", "driver", "wgpu"])
def test_entries_of_another_machine_are_ignored(
    path: Path, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tuning_cache.put(path, entry())
    other = replace(HERE, **{change: "other"})
    assert find(PROBLEM, other) is None
    assert find(PROBLEM, other) is None
    note = capsys.readouterr().err
    assert note.count("of another driver or wgpu") == (change != "adapter")


def test_other_dtypes_and_layouts_are_other_classes(path: Path) -> None:
    tuning_cache.put(path, entry())
    for signature in (
        Signature(a_along_k=False),
        Signature(b_along_k=True),
        Signature(a_vec4=False),
        Signature(stored=F16),
    ):
        assert find(replace(PROBLEM, signature=signature)) is None
    assert find(replace(PROBLEM, signature=Signature(bias=True, activation="relu"))) == entry()


def test_classes_have_powers_of_two_in_their_middle() -> None:
    assert shape_class(GemmProblem(1023, 1025, 1400, 20)) == (1024, 1024, 1024, 16)
    assert shape_class(GemmProblem(1500, 16, 15, 1)) == (2048, 16, 15, 1)


@pytest.mark.parametrize(
    ("sizes", "taken"),
    [
        ({"m": 725}, True),  # 1024 / sqrt(2) is 724.08.
        ({"m": 724}, False),
        ({"k": 1448}, True),
        ({"n": 1449}, False),
        ({"m": 725, "k": 1448, "n": 1448}, True),
        ({"products": 2}, False),
        ({"m": 1024, "k": 2048}, False),
    ],
    ids=str,
)
def test_an_entry_holds_within_the_root_of_two_of_what_was_measured(
    path: Path, sizes: dict[str, int], taken: bool
) -> None:
    tuning_cache.put(path, entry())
    assert find(replace(PROBLEM, **sizes)) == (entry() if taken else None)


def test_an_entry_holds_about_its_own_size_and_not_about_the_middle_of_its_class(path: Path) -> None:
    at = GemmProblem(1400, 1024, 1024)
    tuning_cache.put(path, entry(at))
    assert shape_class(at) == shape_class(PROBLEM) != shape_class(replace(at, m=1979))
    assert find(replace(at, m=1979)) == entry(at)  # Of the next class, but near.
    assert find(replace(at, m=990)) == entry(at)
    assert find(replace(at, m=989)) is None  # Of the same class, but far.


def test_numbers_up_to_16_must_be_those_that_were_measured(path: Path) -> None:
    at = GemmProblem(16, 4096, 4096, 12)
    kept = entry(at, kernel=GEMV_N[16], split_k=1)
    tuning_cache.put(path, kept)
    assert find(at) == kept
    for sizes in ({"m": 15}, {"m": 17}, {"products": 13}, {"products": 11}):
        assert find(replace(at, **sizes)) is None


def test_the_nearest_entry_is_taken_and_the_next_where_that_does_not_suit(path: Path) -> None:
    near, far = entry(GemmProblem(1500, 1500, 1500)), entry(GemmProblem(1300, 1300, 1300), split_k=4)
    tuning_cache.put(path, near)
    tuning_cache.put(path, far)
    assert find(GemmProblem(1450, 1450, 1450)) == near
    assert find(GemmProblem(1350, 1350, 1350)) == find(GemmProblem(1000, 1300, 1300)) == far
    unsuited = entry(
        GemmProblem(1500, 1500, 1500), kernel=RegisterTiledCpu(8, 8, lanes_m=1, lanes_n=8, sharing=True)
    )
    tuning_cache.put(path, replace(unsuited, split_k=1))  # No subgroups there.
    assert find(GemmProblem(1450, 1450, 1450)) == far


def test_a_kernel_that_does_not_fit_the_device_is_not_taken(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuning_cache.put(path, entry())
    monkeypatch.setattr(Room, "limits", replace(LIMITS, threads=64))
    assert find(PROBLEM) is None


def test_off_means_that_no_file_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tuning_cache.put(path, entry())
    monkeypatch.setenv(tuning_file.ENVIRONMENT, "off")
    assert find(PROBLEM) is None


WRONG = [
    ("kernel", {"family": "unheard of"}),
    ("kernel", {**as_data(KERNEL), "block_m": 96}),
    ("kernel", {**as_data(KERNEL), "block_m": "64"}),
    ("kernel", {**as_data(KERNEL), "block_m": True}),
    ("kernel", {**as_data(KERNEL), "lanes_m": 16, "thread_m": 16}),
    ("kernel", {**as_data(KERNEL), "more": 1}),
    ("kernel", {"family": "tiled"}),
    ("kernel", "blocked"),
    ("kernel", {**as_data(REGISTER_TILED_CPU[0]), "sharing": 1}),
    ("kernel", {**as_data(REGISTER_TILED_CPU[0]), "lanes_m": True}),
    ("kernel", as_data(GEMV_N[1])),
    ("packs", "ba"),
    ("packs", ["a"]),
    ("packs", None),
    ("transposed", True),
    ("transposed", 1),
    ("split_k", 3),
    ("split_k", True),
    ("split_k", 2.0),
    ("shape", [1024, 1024, 1024]),
    ("shape", [1024, 1024, 512, 1]),
    ("size", [0, 1024, 1024, 1]),
    ("gflops", -1),
    ("gflops", "fast"),
    ("default_gflops", float("nan")),
    ("date", "\x1b[31m"),
    ("signature", None),
    ("machine", {"adapter": "Adapter"}),
    ("machine", []),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_an_entry_with_a_wrong_field_is_ignored_with_a_note(
    path: Path, name: str, value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    good = entry(GemmProblem(64, 64, 64))
    path.parent.mkdir()
    items = [{**as_json(entry()), name: value}, as_json(good)]
    path.write_text(json.dumps({"version": 1, "entries": items}))
    assert tuning_cache.read(path) == [good]
    assert tuning_cache.read(path) == [good]
    assert capsys.readouterr().err.count("an entry is ignored") == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"version": 1, "entries": 5}', b'{"version": true}'],
)
def test_a_damaged_file_is_ignored_by_plans_and_refused_by_the_tuner(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    assert find(PROBLEM) is None
    with pytest.raises(CacheError, match="damaged"):
        tuning_cache.put(path, entry())
    assert path.read_bytes() == content


PUBLISHED = Path(__file__).parents[2] / "benchmarks" / "results" / "nvidia-h200" / "tuning" / "tuning.json"


def test_every_entry_of_a_file_of_version_1_is_read_and_written_back_as_version_2(path: Path) -> None:
    old = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    assert old["version"] == 1
    assert {each["kernel"]["family"] for each in old["entries"]} >= {"blocked", "columns", "dots"}
    old["refused"] = [{"machine": asdict(HERE), "kernel": old["entries"][0]["kernel"], "why": "hung"}]
    path.parent.mkdir()
    path.write_text(json.dumps(old))
    read = tuning_cache.read(path)
    assert len(read) == len(old["entries"])
    for entry_, item in zip(reversed(read), old["entries"], strict=True):
        assert (entry_.split_k, entry_.transposed) == (item["splits"], item.get("turned", False))
        problem = GemmProblem(*entry_.size, signature=Signature(b_along_k=item["form"].startswith("nt")))
        assert entry_.signature == signature_key(problem)
    assert len(tuning_cache.refused(path, HERE)) == 1
    tuning_cache.put(path, entry())
    new = json.loads(path.read_text(encoding="utf-8"))
    assert new["version"] == 2
    assert tuning_cache.read(path)[1:] == read


def test_a_file_of_a_newer_version_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('{"version": 3}')
    assert find(PROBLEM) is None
    with pytest.raises(CacheError, match="another version"):
        tuning_cache.put(path, entry())


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
JSON = SCALARS | st.lists(SCALARS, max_size=5) | st.dictionaries(st.text(max_size=5), SCALARS, max_size=3)
FIELDS = st.sampled_from(sorted(as_json(entry())))
KERNEL_FIELDS = st.sampled_from(sorted(as_data(KERNEL)))


@given(
    changes=st.dictionaries(FIELDS, JSON, max_size=3), kernel=st.dictionaries(KERNEL_FIELDS, JSON, max_size=2)
)
def test_whatever_stands_in_an_entry_reading_it_gives_kernels_of_the_space_or_none(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[str, object], kernel: dict[str, object]
) -> None:
    path = tmp_path_factory.mktemp("tuning") / "matmul.json"
    item = {**as_json(entry()), "kernel": {**as_data(KERNEL), **kernel}, **changes}
    path.write_text(json.dumps({"version": 1, "entries": [item]}))
    for each in tuning_cache.read(path):
        assert each.kernel in SPACE
        assert may_choose(each.choice, GemmProblem(*each.size))


@given(st.data())
def test_whatever_bytes_are_lost_reading_does_not_raise(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("tuning") / "matmul.json"
    tuning_cache.put(path, entry())
    text = path.read_bytes()
    at = data.draw(st.integers(0, len(text)))
    path.write_bytes(text[:at] + data.draw(st.binary(max_size=5)) + text[at + data.draw(st.integers(0, 9)) :])
    tuning_cache.read(path)


def _put_many(path: Path, first: int) -> None:
    for i in range(first, first + 8):
        tuning_cache.put(path, entry(GemmProblem(1 << i % 16, 1 << i // 16, 8), split_k=1, kernel=Naive()))


def test_processes_that_write_at_once_keep_all_their_entries(path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_put_many, args=(path, 8 * i)) for i in range(4)]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    assert [each.exitcode for each in writers] == [0] * 4
    assert len(tuning_cache.read(path)) == 32
    assert {each.name for each in path.parent.iterdir()} == {"matmul.json", ".matmul.json.lock"}


def test_a_file_locked_for_too_long_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tuning_cache.put(path, entry())
    monkeypatch.setattr(cache_file, "LOCK_SECONDS", 0.05)
    with (
        cache_file.locked(path, operation="tuning"),
        pytest.raises(CacheError, match="locked by another process"),
    ):
        tuning_cache.put(path, entry())


def test_a_lock_whose_holder_died_is_free(path: Path) -> None:
    tuning_cache.put(path, entry())
    path.with_name(".matmul.json.lock").write_text("left behind")
    tuning_cache.put(path, entry(split_k=4))
    assert [each.split_k for each in tuning_cache.read(path)] == [4]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_whole(
    path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuning_cache.put(path, entry())
    before = path.read_bytes()

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if step == "fsync" else (Path, "replace")), full)
    with pytest.raises(CacheError, match="No space left on device: set RUSTY_PY_TUNING"):
        tuning_cache.put(path, entry(split_k=4))
    assert path.read_bytes() == before
    assert {each.name for each in path.parent.iterdir()} == {"matmul.json", ".matmul.json.lock"}


def test_a_folder_that_cannot_be_made_is_an_error_for_who_writes_and_none_for_who_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()  # Root may write into read-only folders, but not below a file.
    path = tmp_path / "file" / "matmul.json"
    monkeypatch.setenv(tuning_file.ENVIRONMENT, str(path))
    with pytest.raises(CacheError, match="cannot write"):
        tuning_cache.put(path, entry())
    assert find(PROBLEM) is None


def test_refused_kernels_are_remembered_for_their_machine(path: Path) -> None:
    tuning_cache.refuse(path, HERE, KERNEL, "it hung")
    tuning_cache.refuse(path, HERE, KERNEL, "it hung again")
    tuning_cache.put(path, entry())
    assert tuning_cache.refused(path, HERE) == [KERNEL]
    assert tuning_cache.refused(path, replace(HERE, driver="2")) == []


def test_dropping_an_entry_leaves_the_others(path: Path) -> None:
    other = entry(GemmProblem(64, 64, 64))
    tuning_cache.put(path, entry())
    tuning_cache.put(path, other)
    tuning_cache.drop(path, HERE, PROBLEM)
    assert tuning_cache.read(path) == [other]


def test_the_file_is_read_once_whatever_is_asked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tuning_cache.put(path, entry())
    table = tuning_cache.load(HERE)
    path.unlink()
    threads = [threading.Thread(target=table.find, args=(Room(), PROBLEM)) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert table.find(Room(), PROBLEM) == entry()  # type: ignore[arg-type]


PRIORS = {"DiscreteGPU": "discrete", "IntegratedGPU": "integrated", "CPU": "llvmpipe"}


@pytest.mark.parametrize("kind", PRIORS)
@pytest.mark.parametrize("size", [(1, 4096, 4096), (4096, 4096, 1), (5, 64, 7), (300, 300, 300)], ids=str)
@pytest.mark.parametrize("along_k", [(True, False), (True, True), (False, False), (False, True)], ids=str)
def test_every_default_can_be_told_to_the_measuring_process(
    kind: str, size: tuple[int, int, int], along_k: tuple[bool, bool]
) -> None:
    problem = GemmProblem(*size, signature=Signature(*along_k))
    choice = untuned(model_of(LIMITS, kind == "CPU", prior(PRIORS[kind])), problem).choice
    assert choice_from(json.loads(json.dumps(choice_data(choice))), problem) == choice
