"""The command `rusty-bench conv2d` as its users see it."""

from pathlib import Path

import pytest

from rusty_py.bench.report.json import parse

from .program import rusty_bench, table

pytestmark = [pytest.mark.alone, pytest.mark.usefixtures("adapter")]


def test_algorithms_are_verified_timed_and_compared_with_numpy(tmp_path: Path) -> None:
    target = tmp_path / "run.json"
    sizes = ("--sizes", "24x18,48x27", "--channels", "3:8", "--algorithm", "basic,auto")
    done = rusty_bench("conv2d", *sizes, "--runs", "3", "--json", target)
    done.succeeds()
    assert max(map(len, done.out.splitlines())) <= 80
    assert [row["size"] for row in table(done.out)] == ["24×18", "24×18", "48×27", "48×27"]
    for line in ("  Channels:  3 in, 8 out", "  Kernel:    3×3", "  Padding:   1", "  Reference: NumPy"):
        assert line in done.out.splitlines()
    assert "█" in done.out
    run = parse(target.read_text(encoding="utf-8"))
    for row in run.rows:
        assert [result.by for result in row.results] == ["basic", "auto", "numpy", "NumPy to NumPy"]
        assert all(result.verdict == "ok" and result.ns for result in row.results)
        assert row.results[0].figure("workspace") == 0
        assert row.results[0].figure("peak pool") >= row.problem.written_bytes


def test_parameters_that_contradict_each_other_are_usage_errors() -> None:
    for arguments, said in (
        (("--preset", "layers", "--kernel", "3"), "--preset layers"),
        (("--preset", "none"), "resolutions, layers, small"),
        (("--size", "8"), "width and height"),
        (("--groups", "2"), "do not divide"),
        (("--algorithm", "fast"), "is not one of: auto, basic"),
    ):
        done = rusty_bench("conv2d", *arguments)
        assert done.code == 2
        assert said in done.err.replace("\n", " ")
