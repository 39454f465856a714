"""`rusty-bench matmul`: its table, its formats, its files."""

import csv
import io
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import rusty_py
from rusty_py.bench.report.json import parse, schema
from rusty_py.bench.shapes import preset

from .program import Measured, Sabotaged, figure, kernels, rusty_bench, strict_json, table

pytestmark = [pytest.mark.alone, pytest.mark.usefixtures("adapter")]

SMALL = ("matmul", "--size", "33", "--tile", "8", "--runs", "3")


def test_matmul_prints_a_banner_and_the_adapter(measured: Measured) -> None:
    banner, gpu = measured.done.out.split("\n\n")[:2]
    assert f"rusty_py {rusty_py.__version__}" in banner
    block = dict(re.split(r":\s+", line.strip(), maxsplit=1) for line in gpu.splitlines()[1:])
    told = measured.json["context"]["adapter"]
    assert gpu.startswith("GPU\n")
    assert (block["Name"], block["Backend"]) == (told["name"], told["backend"])
    assert block["Type"].startswith(told["type"])


def test_matmul_prints_a_row_a_case_small_sizes_first(measured: Measured) -> None:
    rows = table(measured.done.out)
    assert [(row["M×K×N"], row["kernel"]) for row in rows] == [
        ("31×77×45", "tile 8"),
        ("31×77×45", "naive"),
        ("64×64×64", "tile 8"),
        ("64×64×64", "naive"),
    ]
    for row in rows:
        assert float(row["GFLOPS"].replace(",", "")) > 0
        assert row["ceiling"].endswith("%")
        assert row["vs NumPy"].split()[-1] in ("faster", "slower", "same")
        assert not {"of peak", "error", "note"} & row.keys()
    assert max(map(len, measured.done.out.splitlines())) <= 80


def test_wide_tables_have_all_columns() -> None:
    done = rusty_bench(*SMALL, "--wide")
    done.succeeds()
    (row,) = table(done.out)
    assert {"GB/s", "NumPy ms", "low", "high", "p95", "outliers", "samples", "error"} <= row.keys()
    assert 0 <= float(row["error"]) <= 1
    assert int(row["samples"]) == 3


def test_matmul_names_its_clock_and_its_verification(measured: Measured) -> None:
    head = "ms (GPU)" if measured.json["clock"] == "gpu" else "ms (wall)"
    assert head in table(measured.done.out)[0]
    said = " ".join(measured.done.out.split())
    assert measured.json["clock_reason"] in said
    assert "verified before and after timing: every element against float64" in said


def test_the_table_rounds_what_the_json_holds(measured: Measured) -> None:
    for row, result in zip(table(measured.done.out), kernels(measured.json), strict=True):
        ms = result["stats"]["median"] / 1e6
        assert float(row.get("ms (GPU)") or row["ms (wall)"]) == pytest.approx(ms, abs=0.0005)
        # Two digits at the least.
        assert float(row["GFLOPS"]) == pytest.approx(figure(result, "GFLOPS"), rel=0.06)


def test_without_a_command_matmul_is_run_with_its_options(tmp_path: Path) -> None:
    target = tmp_path / "run.json"
    done = rusty_bench(
        *("--size", "9,33", "--tile", "8, naive", "--size", "9x33x7"),
        *("--runs", "1", "--json", target, "--adapter", "0"),
    )
    done.succeeds()
    sizes = ["9×9×9", "9×33×7", "33×33×33"]
    assert [(row["M×K×N"], row["kernel"]) for row in table(done.out)] == [
        (size, kernel) for size in sizes for kernel in ("tile 8", "naive")
    ]
    assert len(kernels(strict_json(target.read_text(encoding="utf-8")))) == 6


def test_csv_has_a_line_for_each_result_of_plain_numbers() -> None:
    done = rusty_bench(
        "matmul", "--size", "48", "--size", "64x33x70", "--tile", "8", "--runs", "3", "--format", "csv"
    )
    done.succeeds()
    lines = list(csv.DictReader(io.StringIO(done.out)))
    assert [(line["m"], line["k"], line["n"], line["implementation"]) for line in lines] == [
        (*size, by) for size in (("48", "48", "48"), ("64", "33", "70")) for by in ("tile 8", "numpy")
    ]
    for line in lines:
        flops = 2 * int(line["m"]) * int(line["k"]) * int(line["n"])
        assert (line["operation"], line["verdict"], line["dtype"]) == ("matmul", "ok", "f32")
        assert None not in line  # More cells than heads.
        assert None not in line.values()
        assert float(line["gflops"]) == pytest.approx(flops / float(line["median_ms"]) / 1e6)
        assert int(line["samples"]) == 3 or line["implementation"] == "numpy"


def test_markdown_has_a_column_for_the_peak() -> None:
    done = rusty_bench(*SMALL, "--format", "md", "--peak", "1000")
    done.succeeds()
    lines = [line for line in done.out.splitlines() if line.startswith("|")]
    head, rule, row = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines[:3])
    cells = dict(zip(head, row, strict=True))
    assert done.out.startswith("## ")
    assert set("".join(rule)) <= set("-:")
    assert float(cells["of peak"].rstrip("%")) == pytest.approx(float(cells["GFLOPS"]) / 10, abs=0.06)
    assert "- peak: 1,000 GFLOPS, from --peak." in done.out


def test_json_on_standard_output_is_what_the_file_gets(tmp_path: Path) -> None:
    done = rusty_bench(*SMALL, "--format", "json", "--json", tmp_path / "run.json")
    done.succeeds()
    assert kernels(strict_json(done.out))[0]["verdict"] == "ok"
    assert (tmp_path / "run.json").read_text(encoding="utf-8") == done.out


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (["--ascii"], {}),
        (["--ascii", "--format", "json"], {}),
        ([], {"PYTHONIOENCODING": "ascii"}),
        ([], {"LC_ALL": "C", "PYTHONUTF8": "0"}),
    ],
    ids=["--ascii", "--ascii --format json", "PYTHONIOENCODING=ascii", "LC_ALL=C"],
)
def test_output_is_ascii_where_asked_for_or_needed(arguments: list[str], env: dict[str, str]) -> None:
    done = rusty_bench(*SMALL, *arguments, env=env)
    done.succeeds()
    assert done.out.isascii()
    assert "33x33x33" in done.out
    assert "?" not in done.out


def test_piped_output_holds_no_escape_codes_with_and_without_no_color(measured: Measured) -> None:
    done = rusty_bench("matmul", "--help", env={"NO_COLOR": "1"})
    assert "\x1b" not in measured.done.out + done.out


def test_checked_kernels_are_said_to_be_slower() -> None:
    done = rusty_bench(*SMALL, env={"RUSTY_PY_CHECKED": "1"})
    done.succeeds()
    assert "Checks:  run-time bounds checks are on" in done.out


def test_a_seed_makes_the_same_inputs_again(tmp_path: Path) -> None:
    errors = []
    for name in ("first", "second"):
        path = tmp_path / name
        rusty_bench(*SMALL, "--seed", "5", "--json", path).succeeds()
        (result,) = kernels(strict_json(path.read_text(encoding="utf-8")))
        errors.append(result["verification"]["relative_error"])
    assert errors[0] == errors[1]


def test_out_gets_files_named_by_time_beside_those_of_earlier_runs(measured: Measured) -> None:
    first = {path.name: path.read_bytes() for path in measured.out.iterdir()}
    assert sorted(re.sub(r"\d{8}_\d{6}", "TIME", name) for name in first) == [
        "gpu_benchmark_TIME.json",
        "system_info_TIME.txt",
    ]
    rusty_bench(*SMALL, "--out", measured.out).succeeds()
    both = {path.name: path.read_bytes() for path in measured.out.iterdir()}
    assert len(both) == 4
    assert first.items() <= both.items()


def test_out_replaces_no_file_of_the_same_second(tmp_path: Path, sabotaged: Sabotaged) -> None:
    stopped_clock = """
        from datetime import datetime
        from rusty_py.bench.report import files

        class Stopped(datetime):
            @classmethod
            def now(cls, tz=None):
                return cls(2026, 1, 2, 3, 4, 5, tzinfo=tz)

        files.datetime = Stopped
        """
    out = tmp_path / "out"
    out.mkdir()
    sabotaged(stopped_clock, *SMALL, "--out", out).succeeds()
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    assert "gpu_benchmark_20260102_030405.json" in first
    again = sabotaged(stopped_clock, *SMALL, "--out", out)
    assert "Traceback" not in again.err
    assert float(table(again.out)[0]["GFLOPS"]) > 0
    assert first.items() <= {path.name: path.read_bytes() for path in out.iterdir()}.items()


def test_a_budget_too_small_skips_rows_and_names_the_option() -> None:
    done = rusty_bench("matmul", "--size", "512", "--max-time", "0.2")
    done.succeeds()
    rows = table(done.out)
    assert [row["kernel"] for row in rows] == ["auto", "naive", "tile 8", "tile 16", "tile 32"]
    for row in rows:
        assert row["ms (GPU)" if "ms (GPU)" in row else "ms (wall)"] == "skipped"
        assert row.get("GFLOPS", "") == ""
    said = " ".join(done.out.split())
    assert "SKIPPED: " in said
    assert "--max-time" in said


def test_auto_is_measured_beside_a_tile_for_batches_and_layouts(tmp_path: Path) -> None:
    sizes = [word for size in ("33", "3x8x24x16", "3x8x24x16:tt", "1x64x64:nt") for word in ("--size", size)]
    path = tmp_path / "run.json"
    selected = ("--tile", "auto", "--tile", "8", "--runs", "3", "--wide")
    done = rusty_bench("matmul", *sizes, *selected, "--json", path)
    done.succeeds()
    names = ["1×64×64 nt", "3×8×24×16", "3×8×24×16 tt", "33×33×33"]
    rows = table(done.out)
    assert [(row["M×K×N"], row["kernel"]) for row in rows] == [
        (name, kernel) for name in names for kernel in ("auto", "tile 8")
    ]
    for row in rows:
        assert float(row["GFLOPS"]) >= 0
        assert 0 <= float(row["error"]) <= 1
    text = path.read_text(encoding="utf-8")
    document = strict_json(text)
    Draft202012Validator(schema()).validate(document)
    assert parse(text).rows
    for result in kernels(document):
        assert result["kernel"].startswith("matmul/")
        assert (result["by"] == "auto") == bool(result["plan"])
        assert not result["plan"] or f"\nauto: {result['plan']}\n" in done.out
    problems = [row["problem"] for row in document["rows"]]
    assert [each["options"]["layout"] for each in problems] == ["nt", "nn", "tt", "nn"]
    assert [each["axes"]["products"] for each in problems] == [1, 3, 3, 1]


def test_the_preset_runs_by_auto_alone_and_skips_what_the_budget_has_no_room_for() -> None:
    done = rusty_bench("matmul", "--preset", "shapes", "--runs", "1", "--max-time", "3", "--format", "csv")
    done.succeeds()
    lines = [each for each in csv.DictReader(io.StringIO(done.out)) if each["implementation"] != "numpy"]
    assert len(lines) == len(preset())
    assert {line["implementation"] for line in lines} == {"auto"}
    assert {line["layout"] for line in lines} == {"nn", "nt", "tn", "tt"}
    for line in lines:
        assert line["verdict"] == "ok" or "--max-time" in line["reason"] or "larger than" in line["reason"]


def test_kernels_for_f32_alone_are_skipped_for_f16_with_the_reason() -> None:
    if "shader-f16" not in strict_json(rusty_bench("info", "--format", "json").out)["adapter"]["features"]:
        pytest.skip("the adapter does not compute in f16")
    done = rusty_bench(
        "matmul", "--size", "33", "--dtype", "f16", "--tile", "naive", "--tile", "8", "--runs", "3"
    )
    done.succeeds()
    said = " ".join(done.out.split())
    for kernel in ("naive", "tile 8"):
        reason = f"{kernel} computes in f32 only; --tile auto computes in f16"
        assert f"SKIPPED: 33×33×33, {kernel}: {reason}" in said


def test_a_matrix_too_large_for_the_adapter_is_a_skipped_row() -> None:
    done = rusty_bench("matmul", "--size", "999999999", "--size", "33", "--tile", "8", "--runs", "3")
    done.succeeds()
    small, large = table(done.out)
    assert float(small["GFLOPS"]) > 0
    assert large["GFLOPS"] == ""
    said = " ".join(done.out.split())
    assert "SKIPPED: 999999999×999999999×999999999, tile 8: matmul: a matrix is larger than one" in said


def test_the_budget_holds_for_the_warm_up_too() -> None:
    done = rusty_bench(*SMALL[:-2], "--warmup", "60", "--max-time", "4", patience_s=20)
    done.succeeds()
