"""`rusty-bench tune`: its tables, its options and its exit codes."""

from pathlib import Path

import pytest

from rusty_py import Adapter
from rusty_py.bench import shapes, tuning
from rusty_py.gemm import tuning_file
from rusty_py.gemm.tuning_entry import shape_class, signature_key
from rusty_py.tune import TuneOutcome
from rusty_py.tune.search import candidates

from ..system import program
from ..system.program import Done, table

pytestmark = pytest.mark.alone


def rusty_bench(*arguments: str, path: Path | str) -> Done:
    return program.rusty_bench(*arguments, env={"RUSTY_PY_TUNING": str(path), "GEMV_N": "200"})


def test_a_class_is_a_row(adapter: Adapter, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    arguments = ("tune", "--size", "40:tn", "--max-time", "10", "--out", str(out))
    done = rusty_bench(*arguments, path=tmp_path / "t.json")
    assert done.code == 0, done.err
    assert done.out.startswith(str(adapter))
    (row,) = [line for line in done.out.split("\n") if line.startswith("40×40×40  ")]
    assert "tn, vec4 a b c" in row
    assert "register-tiled" in row or not adapter.is_cpu
    assert "kernels verified and timed in" in done.out
    written = {each.name.partition("_2")[0]: each.read_text(encoding="utf-8") for each in out.iterdir()}
    assert written.keys() == {"tuning", "system_info"}
    assert row in written["tuning"]
    assert str(adapter.name) in written["system_info"]


def test_what_is_kept_can_be_listed_and_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    assert rusty_bench("tune", "--list", path=path).out == f"nothing is kept in {path}\n"
    path.write_text('{"version": 1, "entries": [{}]}')
    done = rusty_bench("tune", "--list", path=path)
    assert (done.code, done.out) == (0, f"nothing is kept in {path}\n")
    assert "an entry is ignored" in done.err
    assert rusty_bench("tune", "--clear", path=path).out == f"removed {path}\n"
    assert not path.exists()
    done = rusty_bench("tune", "--clear", path=path)
    assert (done.code, done.out) == (0, f"nothing is kept in {path}\n")


def test_a_folder_is_neither_cleared_nor_tuned_into(tmp_path: Path) -> None:
    for arguments in (("--clear",), ("--size", "33", "--max-time", "5")):
        done = rusty_bench("tune", *arguments, path=tmp_path)
        assert done.code == 2
        assert "not a regular file" in done.err


def test_a_dry_run_keeps_nothing(adapter: Adapter, tmp_path: Path) -> None:
    done = rusty_bench("tune", "--size", "33", "--dry-run", "--max-time", "5", path=tmp_path / "t.json")
    assert done.code == 0, done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "path", "code", "says"),
    [
        (["--size", "64:xy"], "t.json", 2, "is not a size"),
        (["--size", "64", "--preset", "shapes"], "t.json", 2, "cannot be combined with --size"),
        (["--size", "64,64:xy"], "t.json", 2, "'64:xy' is not a size"),
        (["--dtype", "f64"], "t.json", 2, "'f64' is not one of"),
        (["--accumulate-dtype", "f16"], "t.json", 2, "--accumulate-dtype f16 needs --dtype f16"),
        (["--size", "0"], "t.json", 2, "is not a size"),
        (["--size", "9"], "off", 2, "no tuning file"),
        (["--size", "9", "--adapter", "no such"], "t.json", 3, "none matches"),
    ],
    ids=str,
)
def test_exit_codes(
    adapter: Adapter, tmp_path: Path, arguments: list[str], path: str, code: int, says: str
) -> None:
    done = rusty_bench("tune", *arguments, path=path if path == "off" else tmp_path / path)
    assert done.code == code, done.err
    assert says in done.err


def test_a_file_that_cannot_be_written_is_known_before_anything_is_measured(
    adapter: Adapter, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    done = rusty_bench("tune", "--size", "2048", path=tmp_path / "file" / "t.json")
    assert done.code == 2
    assert "cannot write" in done.err
    assert tuning_file.ENVIRONMENT in done.err


def test_the_sizes_are_those_of_matmul_and_what_is_left_can_be_asked_for_again() -> None:
    sizes = [shapes.parse(text) for text in ("40", "8x20x30x40:nt", "1x4096x4096", "512x64x1")]
    found = tuning.problems(sizes, dtype="f32", accumulate_dtype="f32")
    assert [str(each) for each in found] == ["40×40×40", "8×20×30×40", "1×4096×4096", "512×64×1"]
    again = [shapes.parse(tuning.size_text(each)) for each in found]
    assert tuning.problems(again, dtype="f32", accumulate_dtype="f32") == found


def test_a_preset_is_tuned_class_by_class() -> None:
    found = tuning.of_classes(tuning.problems(shapes.preset(), dtype="f32", accumulate_dtype="f32"))
    names = [str(each) for each in found]
    assert len({(signature_key(each), shape_class(each)) for each in found}) == len(found)
    assert "1024×1024×1024" in names
    assert "1000×1000×1000" not in names
    assert "1023×1023×1023" in names  # One by one: another form.


def test_an_interval_of_too_few_rounds_is_not_shown(adapter: Adapter) -> None:
    (problem,) = tuning.problems([shapes.parse("40")], dtype="f32", accumulate_dtype="f32")
    default, best = candidates(adapter, problem)[:2]
    for settled, shown in ((False, ""), (True, "1.20 to 1.30")):
        outcome = TuneOutcome(
            problem,
            default,
            2,
            1.0,
            best=best,
            ratio=1.25,
            interval=(1.2, 1.3),
            settled=settled,
            reason="few",
        )
        (line,) = table(tuning.table(tuning.TuningRun(adapter, None, [outcome])))
        assert (line["ratio"], line["95 %"]) == ("1.25", shown)


def test_what_an_interrupt_left_is_told(adapter: Adapter) -> None:
    problems = tuning.problems(
        [shapes.parse("40"), shapes.parse("64:tn")], dtype="f32", accumulate_dtype="f32"
    )

    def interrupt(text: str) -> None:
        assert text == "tuning 1 of 2: 40×40×40 (nn, vec4 a b c)"
        raise KeyboardInterrupt

    run = tuning.tune_all(adapter, problems, max_time_s=1, keep=False, progress=interrupt)
    assert run.interrupted
    assert tuning.table(run).endswith("not tuned: --size 40x40x40 --size 64x64x64:tn")
