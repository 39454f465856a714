"""The commands of the suites of operations as their users see them."""

import re
from pathlib import Path

import pytest

from rusty_py.bench.report.json import parse

from ..each import each_reported
from .program import Sabotaged, rusty_bench, table

pytestmark = [pytest.mark.alone, pytest.mark.usefixtures("adapter")]


def test_each_operation_and_size_has_a_kernel_a_whole_call_and_a_reference(tmp_path: Path) -> None:
    target = tmp_path / "run.json"
    options = ("--op", "add,exp", "--size", "256,4Ki", "--runs", "3", "--json", target, "--bars")
    done = rusty_bench("elementwise", *options)
    done.succeeds()
    assert max(map(len, done.out.splitlines())) <= 80
    assert [row["problem"] for row in table(done.out)] == ["add 256", "add 4,096", "exp 256", "exp 4,096"]
    assert all(float(row["GB/s"]) > 0 for row in table(done.out))
    assert "Reference: NumPy" in done.out
    assert "█" in done.out
    run = parse(target.read_text(encoding="utf-8"))
    for row in run.rows:
        assert [result.by for result in row.results] == ["rusty_py", "numpy", "NumPy to NumPy"]
        assert all(result.verdict == "ok" and result.ns for result in row.results)
        whole = row.results[2]
        parts = [whole.figure(part) or 0.0 for part in ("upload", "dispatch", "GPU", "download")]
        assert all(part > 0 for part in parts)
        assert sum(parts) <= 1.01 * (whole.ns or 0.0)


def test_a_matrix_is_reduced_along_each_axis() -> None:
    done = rusty_bench("reduce", "--op", "sum", "--size", "64x96", "--runs", "2", "--dtype", "i32")
    done.succeeds()
    assert [row["problem"] for row in table(done.out)] == [
        "sum 64×96",
        "sum 64×96 axis 0",
        "sum 64×96 axis 1",
    ]
    assert "exactly" in done.out


def test_each_suite_measures_its_operations() -> None:
    with each_reported() as case:
        for suite, options in {
            "activation": ("--op", "tanh", "--size", "256..1Ki"),
            "norm": ("--size", "8x64", "--dtype", "f16"),
            "scan": ("--size", "8x64", "--axis", "1"),
        }.items():
            with case(suite):
                done = rusty_bench(suite, *options, "--runs", "2")
                done.succeeds()
                assert len(table(done.out)) >= 2


def test_fused_functions_are_measured_beside_their_operations(tmp_path: Path) -> None:
    target = tmp_path / "run.json"
    done = rusty_bench("fused", "--op", "chain,mean_gelu", "--size", "8x64", "--runs", "2", "--json", target)
    done.succeeds()
    assert [row["problem"] for row in table(done.out)] == ["chain 8×64", "mean_gelu 8×64"]
    assert re.search(r"^chain 8×64 +5 to 1 ", done.out, re.MULTILINE)
    assert "chain: the fused kernel " in done.out
    run = parse(target.read_text(encoding="utf-8"))
    for row in run.rows:
        assert [each.by for each in row.results] == ["fused", "unfused", "fused call", "unfused call"]
        assert all(each.verdict == "ok" and each.ns for each in row.results)
        fused, unfused = row.results[:2]
        assert (fused.figure("launches") or 9) < (unfused.figure("launches") or 0)
        assert (fused.figure("moved") or 9e9) < (unfused.figure("moved") or 0)


def test_a_kernel_that_computes_something_else_is_wrong(sabotaged: Sabotaged) -> None:
    done = sabotaged(
        """
        from rusty_py.ops.row import ROWS
        from dataclasses import replace
        import rusty_py.ops.all

        object.__setattr__(ROWS["exp"], "wgsl", "exp(x) * 1.0001")
        """,
        *("elementwise", "--op", "exp,add", "--size", "1Ki", "--runs", "2"),
    )
    assert (done.code, done.err) == (4, "")
    assert "WRONG: exp 1,024, rusty_py: " in " ".join(done.out.split())
    assert "WRONG: exp 1,024, NumPy to NumPy: " in " ".join(done.out.split())
    assert "WRONG: add" not in done.out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--op", "frobnicate"), ["'frobnicate' is not one of", "add"]),
        (("--op", "astype"), ["'astype' is not one of"]),
        (("--size", "0"), ["'0' is not a size"]),
        (("--size", "4x"), ["'4x' is not a size"]),
        (("--size", "4..2"), ["'4..2' is not a sweep"]),
        (("--preset", "huge"), ["'huge' is not one of: millions, large"]),
        (("--axis", "0"), ["'0' is not one of: none"]),
        (("--op", "exp", "--dtype", "i32"), ["exp is not for i32"]),
        (("--reference", "torhc"), ["torhc", "numpy, torch, mlx"]),
    ],
)
def test_bad_options_are_refused(options: tuple[str, ...], words: list[str]) -> None:
    rusty_bench("elementwise", *options).refuses(2, *words)
