"""`rusty-bench compare`: results of two and more runs, formats, exit codes, and files that are no results."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rusty_py.bench.report.json import parse, render
from rusty_py.measure.document import BenchRun, Result, Row
from rusty_py.measure.stats import summarise

from .program import NO_DRIVER, ROOT, Done, rusty_bench, strict_json, table

RESULTS = ROOT / "benchmarks" / "results"
H200 = Path(__file__).parent / "version1" / "matmul.json"  # As the others.
CHECKED = RESULTS / "nvidia-h200" / "matmul-checked.json"
LLVMPIPE = RESULTS / "llvmpipe" / "matmul.json"

Written = Callable[..., Path]


def compare(*arguments: str | Path) -> Done:
    """Comparing needs no driver."""
    return rusty_bench("compare", *arguments, env=NO_DRIVER)


@pytest.fixture
def slower(tmp_path: Path) -> Written:
    """Writes H200 as a file of version 2, with the results of `auto` that many times as slow."""

    def write(factor: float, name: str = "other.json", **changes: Any) -> Path:
        def changed(row: Row, result: Result) -> Result:
            if result.by != "auto":
                return result
            columns = {
                column: tuple(ns and factor * ns for ns in getattr(result.samples, column))
                for column in ("gpu_ns", "wall_ns")
            }
            samples = replace(result.samples, **columns)
            return replace(result, samples=samples, stats=summarise(samples.ns(result.clock)), sha256="new")

        run = base()
        run.rows = [
            replace(row, results=tuple(changed(row, result) for result in row.results)) for row in run.rows
        ]
        path = tmp_path / name
        path.write_text(render(replace(run, **changes)), encoding="utf-8")
        return path

    return write


def base() -> BenchRun:
    return parse(H200.read_text(encoding="utf-8"))


def test_a_file_is_the_same_as_itself() -> None:
    done = compare(H200, H200, "--fail-over", "1%")
    done.succeeds()
    rows = table(done.out)
    assert len(rows) == 24
    assert {row["verdict"] for row in rows} == {"SAME", "reference"}
    assert {row["ratio"] for row in rows} == {"1.000"}
    assert "20 SAME" in done.out.splitlines()


def test_slower_results_are_named_and_fail_beyond_the_limit(slower: Written) -> None:
    other = slower(1.15)
    done = compare(H200, other)
    done.succeeds()
    verdicts = {(row["problem"], row["by"]): row["verdict"] for row in table(done.out)}
    assert verdicts["1024×1024×1024", "auto"] == "SLOWER *"
    assert verdicts["1024×1024×1024", "naive"] == "SAME"
    failed = compare(H200, other, "--fail-over", "10%")
    assert (failed.code, failed.out) == (1, done.out)
    assert "--fail-over 10%: 1024×1024×1024, auto is slower by more" in failed.err
    assert len(failed.err.splitlines()) == 4
    compare(H200, other, "--fail-over", "15%").succeeds()  # The interval reaches below.
    compare(other, H200, "--fail-over", "10%").succeeds()  # It is faster.


def test_each_file_is_compared_with_the_first(slower: Written) -> None:
    faster, slow = slower(1 / 1.2, "faster.json"), slower(1.2, "slow.json")
    done = compare(H200, faster, slow, "--format", "json")
    done.succeeds()
    first, second = strict_json(done.out)["comparisons"]
    assert (first["base"], first["other"], second["other"]) == ([str(H200)], [str(faster)], [str(slow)])
    assert [each["verdict"] for each in first["results"] if each["by"] == "auto"] == ["FASTER"] * 4
    assert [each["verdict"] for each in second["results"] if each["by"] == "auto"] == ["SLOWER"] * 4
    assert compare(H200, faster, slow, "--fail-over", "10%").code == 1


def test_repeated_runs_are_joined_by_commas(slower: Written) -> None:
    once, again = slower(1.2, "once.json"), slower(1.2, "again.json")
    done = compare(H200, f"{once},{again}", "--format", "json")
    done.succeeds()
    (only,) = strict_json(done.out)["comparisons"]
    assert only["other"] == [str(once), str(again)]
    assert [each["verdict"] for each in only["results"] if each["by"] == "auto"] == ["SLOWER"] * 4


def test_a_file_with_a_comma_in_its_name_is_one_file(slower: Written) -> None:
    compare(H200, slower(1.0, "a,b.json")).succeeds()


def test_csv_has_a_line_for_each_result(slower: Written) -> None:
    done = compare(H200, slower(1.15), "--format", "csv")
    done.succeeds()
    records = list(csv.DictReader(io.StringIO(done.out)))
    assert len(records) == 24
    auto = next(each for each in records if each["by"] == "auto")
    assert (auto["problem"], auto["dtype"], auto["verdict"]) == ("512×512×512", "f32", "SLOWER")
    assert auto["kernel"] == "changed"
    assert float(auto["ratio"]) == pytest.approx(1 / 1.15)
    assert float(auto["low"]) < float(auto["ratio"]) < float(auto["high"]) < 1
    assert float(auto["base_ns"]) / float(auto["other_ns"]) == pytest.approx(float(auto["ratio"]))


def test_markdown_has_a_table(slower: Written) -> None:
    done = compare(H200, slower(1.15), "--format", "md")
    done.succeeds()
    assert done.out.startswith(f"## {H200} and ")
    assert any(line.startswith("| 512×512×512 ") and "SLOWER *" in line for line in done.out.splitlines())


@pytest.mark.parametrize("name", ["matmul", "overhead", "transfer"])
def test_a_table_fits_80_columns(name: str) -> None:
    path = Path("llvmpipe") / f"{name}.json"
    done = rusty_bench("compare", path, path, env=NO_DRIVER, cwd=RESULTS)
    done.succeeds()
    assert [line for line in done.out.splitlines() if len(line) > 80] == []
    assert "1.000" in done.out


def test_ascii_is_ascii(slower: Written) -> None:
    done = compare(H200, slower(1.15), "--ascii")
    done.succeeds()
    assert done.out.isascii()
    assert "?" not in done.out


@pytest.mark.parametrize(
    ("other", "reasons"),
    [
        (CHECKED, ["run-time checks: False in base, True in other"]),
        (LLVMPIPE, ["adapter: NVIDIA H200 in base, llvmpipe", "adapter type: DiscreteGPU in base, CPU in"]),
    ],
    ids=["checks", "adapter"],
)
def test_runs_that_are_not_comparable_say_why_and_give_no_verdict(other: Path, reasons: list[str]) -> None:
    done = compare(H200, other)
    done.succeeds()
    for reason in reasons:
        assert f"NOT COMPARABLE: {reason}" in done.out
    assert "auto" not in done.out
    compare(H200, other, "--fail-over", "10%").fails(2, "no result is comparable")


def test_results_that_neither_run_measured_are_told_in_a_line(tmp_path: Path) -> None:
    run = base()
    skipped = [Result(each.by, "skipped", reason="no time left") for each in run.rows[0].results]
    run.rows[0] = replace(run.rows[0], results=tuple(skipped))
    path = tmp_path / "skipped.json"
    path.write_text(render(run), encoding="utf-8")
    done = compare(path, path)
    done.succeeds()
    assert len(table(done.out)) == 18
    assert "NOT COMPARABLE: skipped in base: no time left (6 results)" in done.out.splitlines()
    one = compare(H200, path)
    one.succeeds()
    assert "NOT COMPARABLE: skipped in other: no time left (6 results)" in one.out.splitlines()


def test_results_of_another_command_are_listed_and_not_compared() -> None:
    done = compare(RESULTS / "llvmpipe" / "overhead.json", RESULTS / "llvmpipe" / "transfer.json")
    done.succeeds()
    text = " ".join(done.out.split())
    assert "only in base: cold start: import numpy (ours, wgpu-py); " in text
    assert "only in other: upload 4 KiB (memcpy, ours, ours, staged, wgpu-py, wgpu-py, new buffer); " in text
    assert "and 4 more problems" in text


def test_differences_are_told(slower: Written) -> None:
    context = base().context
    known, adapter = context["rusty_py"], context["adapter"]
    assert isinstance(known, dict)
    assert isinstance(adapter, dict)
    changed = {**context, "rusty_py": {**known, "commit": "abcdef"}, "adapter": {**adapter, "driver": "999"}}
    done = compare(H200, slower(1.0, context=changed, interrupted=True))
    done.succeeds()
    lines = done.out.splitlines()
    assert f"compare with care: driver: {adapter['driver']} in base, 999 in other" in lines
    assert "compare with care: other was interrupted" in lines
    assert f"base and other differ: commit {known['commit']} and abcdef" in lines


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "No such file or directory"),
        ("", "not JSON"),
        ("\xff", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a result file; rusty-bench writes one with --json FILE"),
        ('{"schema_version": 3}', "schema version 3 is newer than 2; update rusty_py"),
        ('{"schema_version": 2}', "invalid results: command: Field required"),
        ('{"schema_version": 1}', "invalid results: results: not a file of version 1"),
        ('{"schema_version": 2, "command": "matmul", "context": {}}', "has no results"),
    ],
    ids=["missing", "empty", "binary", "deep", "other", "newer", "invalid", "invalid_1", "no_rows"],
)
def test_a_file_without_results_is_refused_by_name(text: str | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.json"
    if text is not None:
        path.write_bytes(text.encode("latin-1"))
    compare(H200, path).refuses(2, f"{path}: {says}")
    compare(path, H200).refuses(2, f"{path}: {says}")


@pytest.mark.parametrize("limit", ["0.1", "10", "-5%", "x%", "%", "nan%"])
def test_a_limit_that_is_no_percentage_is_refused(limit: str) -> None:
    compare(H200, H200, "--fail-over", limit).refuses(2, f"'{limit}' is not a percentage, such as 10%")


def test_one_file_is_refused() -> None:
    compare(H200).refuses(2, "needs two files or more")


def test_json_holds_what_the_table_shows(slower: Written) -> None:
    (found,) = json.loads(compare(H200, slower(1.15), "--format", "json").out)["comparisons"]
    assert found["comparability"]["refused"] == []
    assert found["only_base"] == []
    assert 0 < found["half_width"] < 0.05
    assert found["control"] == pytest.approx(1)
    naive = next(each for each in found["results"] if each["by"] == "naive")
    assert (naive["verdict"], naive["kernel"], naive["ratio"]) == ("SAME", "same", 1)
