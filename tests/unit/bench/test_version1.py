"""Files of schema version 1 are read with all that they hold: those published, and samples of older ones.

`version1/` has a few rows each of files that this repository published, from the first that lacked the
interquartile range to the last, and of runs with wrong, rejected and skipped kernels.
"""

import json as std_json
import statistics
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from rusty_py.bench.report import json, table
from rusty_py.measure.document import BenchRun, Result
from rusty_py.measure.figures import GBPS, GFLOPS, ROOFLINE

PUBLISHED = sorted((Path(__file__).parents[3] / "benchmarks" / "results").glob("*/*.json"))
OLDER = sorted((Path(__file__).parent / "version1").glob("*.json"))
FILES = [
    path for path in (*PUBLISHED, *OLDER) if std_json.loads(path.read_text("utf-8"))["schema_version"] == 1
]

each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")


@cache
def stored(path: Path) -> Any:
    return std_json.loads(path.read_text(encoding="utf-8"))


@cache
def read(path: Path) -> BenchRun:
    return json.parse(path.read_text(encoding="utf-8"))


def found(path: Path, problem: str, by: str) -> Result:
    row = read(path).row(problem)
    assert row is not None, problem
    result = row.result(by)
    assert result is not None, (problem, by)
    return result


def of_matmul(path: Path) -> Iterator[tuple[Any, Result]]:
    """Each measured or wrong kernel of a file, as stored and as read."""
    for each in stored(path).get("results", []):
        yield each, found(path, each["case"]["problem"]["name"], each["case"]["variant"])


def of_rows(path: Path) -> Iterator[tuple[Any, Any, Result]]:
    """Each implementation of a row, with the row, as stored and as read."""
    for row in stored(path).get("rows", []):
        for each in row["figures"]:
            yield row, each, found(path, row["what"], each["by"])


def test_there_are_files_of_every_age() -> None:
    assert len(OLDER) == 10
    assert [path for path in PUBLISHED if path in FILES]


@each_file
def test_medians_and_spreads_of_kernels_are_those_stored(path: Path) -> None:
    for each, result in of_matmul(path):
        if each["stats"] is None:
            assert result.stats is None
            continue
        assert result.stats is not None
        for name in ("median", "mad", "min", "n"):
            assert getattr(result.stats, name) == pytest.approx(each["stats"][name], rel=1e-12), name


@each_file
def test_rates_and_ceilings_of_kernels_are_those_stored(path: Path) -> None:
    for each, result in of_matmul(path):
        problem = each["case"]["problem"]
        if each["gflops"] is None:
            assert result.figures == ()
            continue
        assert result.figure(GFLOPS) == pytest.approx(each["gflops"])
        assert result.figure(GBPS) == pytest.approx(problem["bytes"] / each["stats"]["median"])
        assert problem["flops"] / (result.figure(ROOFLINE) or 0) == pytest.approx(each["roof_gflops"])


@each_file
def test_every_sample_of_a_kernel_is_read_with_its_round_runs_and_clocks(path: Path) -> None:
    for each, result in of_matmul(path):
        timed = [(one.wall_ns, one.gpu_ns, one.fault) for one in result.samples.each()]
        assert timed == [(one["wall_ns"], one["gpu_ns"], one["fault"]) for one in each["samples"]]
        assert list(result.samples.rounds) == [one["round"] for one in each["samples"]]
        assert {one["runs"] for one in each["samples"]} <= {result.samples.runs}


@each_file
def test_verdicts_reasons_kernels_and_verifications_are_those_stored(path: Path) -> None:
    for each, result in of_matmul(path):
        case = each["case"]
        assert (result.verdict, result.reason) == (each["verdict"], each["reason"])
        assert (result.kernel, result.sha256) == (case["kernel"], case["sha256"])
        assert result.plan == case.get("plan", "")
        assert vars(result.verification) == each["proof"]
    for each in stored(path).get("skipped", []):
        result = found(path, each["case"]["problem"]["name"], each["case"]["variant"])
        assert (result.verdict, result.reason) == ("skipped", each["reason"])


@each_file
def test_problems_keep_their_sizes_flops_and_bytes(path: Path) -> None:
    for each, _ in of_matmul(path):
        old = each["case"]["problem"]
        row = read(path).row(old["name"])
        assert row is not None
        new = row.problem
        assert new.axes == {"products": 1, **old["axes"]}
        assert (new.dtype, new.flops, new.nbytes) == (old["dtype"], old["flops"], old["bytes"])
        assert new.written_bytes == old.get("written_bytes", 0)
        assert new.options == {"layout": old.get("layout", "nn"), "accumulate_dtype": old.get("sums", "f32")}


@each_file
def test_numpys_times_are_the_reference_of_their_problem(path: Path) -> None:
    for each in stored(path).get("baselines", []):
        name = each["problem"]["name"]
        numpy = found(path, name, "numpy")
        assert numpy.samples_ns == each["samples_ns"]
        assert (numpy.clock, numpy.scope) == ("wall", "host")
        assert numpy.ns == statistics.median(each["samples_ns"])
        for old in stored(path)["results"]:
            if old["case"]["problem"]["name"] == name and old["stats"]:
                row = read(path).row(name)
                assert row is not None
                assert row.reference == "numpy"
                ratio = row.ratio("numpy", old["case"]["variant"])
                assert ratio == pytest.approx(numpy.ns / old["stats"]["median"])


@each_file
def test_times_and_counters_of_host_code_are_those_stored(path: Path) -> None:
    for row, each, result in of_rows(path):
        assert (result.verdict, result.reason, result.clock) == (
            each["verdict"],
            each["reason"],
            row["clock"],
        )
        assert result.samples_ns == pytest.approx(each["samples_ns"])
        if each["stats"]:
            assert result.ns == pytest.approx(each["stats"]["median"])
            assert result.samples.runs == each["runs"]
        for name, value in each["counts"].items():
            assert result.figure(name.removesuffix(" ns")) == value, name
        if stored(path)["command"] == "transfer" and each["stats"]:
            assert result.figure(GBPS) == pytest.approx(row["nbytes"] / each["stats"]["median"])


@each_file
def test_rows_of_host_code_keep_their_seed_their_reference_and_why_they_stopped(path: Path) -> None:
    reference = {"overhead": "wgpu-py", "transfer": "memcpy"}
    for old in stored(path).get("rows", []):
        row = read(path).row(old["what"])
        assert row is not None
        assert (row.seed, row.stopped) == (old["seed"], old["stopped"])
        assert row.reference == reference[stored(path)["command"]]


@each_file
def test_the_run_keeps_its_context_clock_and_ceilings(path: Path) -> None:
    old, new = stored(path), read(path)
    assert (new.command, new.context) == (old.get("command", "matmul"), old["context"])
    assert (new.interrupted, new.failure) == (old.get("interrupted", False), old.get("failure", ""))
    if "ceilings" in old:
        assert new.ceilings is not None
        assert (new.clock, new.clock_reason) == (old["clock"], old["clock_reason"])
        assert new.drift_control_ns == old["anchors_ns"]
        assert new.peak_gflops == old["peak_gflops"]
        for name in ("copy_gbps", "read_gbps"):
            by_bytes = {int(nbytes): gbps for nbytes, gbps in old["ceilings"].get(name, {}).items()}
            assert getattr(new.ceilings, name) == by_bytes
        assert new.ceilings.fma_gflops == old["ceilings"]["fma_gflops"]
        assert new.ceilings.launch_ns == old["ceilings"]["launch_ns"]


@each_file
def test_a_file_of_version_1_is_written_as_one_of_version_2(path: Path) -> None:
    text = json.render(read(path))
    document = std_json.loads(text)
    assert document["schema_version"] == 2
    jsonschema.validate(document, json.schema())
    assert json.parse(text) == read(path)
    assert table.render(read(path))


def test_bounds_of_files_without_the_rate_of_reads_are_those_of_copies() -> None:
    path = next(path for path in OLDER if path.stem == "matmul-without-reads")
    ceilings = read(path).ceilings
    assert ceilings is not None
    for each, _ in of_matmul(path):
        row = read(path).row(each["case"]["problem"]["name"])
        assert row is not None
        copy_gbps = ceilings.copy_gbps[row.problem.nbytes]
        assert ceilings.memory_ns(row.problem) == pytest.approx(row.problem.nbytes / copy_gbps)


@pytest.mark.parametrize("missing", ["results", "ceilings", "clock", "context"])
def test_a_file_of_version_1_that_lacks_a_part_is_refused(missing: str) -> None:
    path = next(path for path in OLDER if path.stem == "matmul-with-reads")
    document = {name: value for name, value in stored(path).items() if name != missing}
    with pytest.raises(ValueError, match="not a file of version 1"):
        json.parse(std_json.dumps(document))
