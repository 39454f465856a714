"""No wrong number: kernels that miscompute, rates that cannot be, clocks that lie, end to end."""

import shutil
from pathlib import Path

import pytest

from .program import ROOT, Done, Sabotaged, kernels, strict_json, table

pytestmark = [pytest.mark.alone, pytest.mark.usefixtures("adapter")]

BOTH = ("matmul", "--size", "64x33x70", "--tile", "naive", "--tile", "8", "--runs", "3")

STORE = "    c[c_index] = acc;\n"


@pytest.fixture
def run_broken(tmp_path: Path, sabotaged: Sabotaged) -> "Broken":
    return Broken(tmp_path, sabotaged)


class Broken:
    """Runs the program on a copy of the shaders in which the naive kernel is changed."""

    def __init__(self, folder: Path, sabotaged: Sabotaged) -> None:
        self.wgsl, self.json, self.sabotaged = folder / "wgsl", folder / "run.json", sabotaged
        shutil.copytree(ROOT / "wgsl", self.wgsl)

    def __call__(self, right: str, wrong: str, *arguments: str) -> Done:
        path = self.wgsl / "matmul" / "naive.wgsl"
        text = path.read_text(encoding="utf-8")
        assert text.count(right) == 1, f"the kernel changed: break it in another way than {right!r}"
        path.write_text(text.replace(right, wrong), encoding="utf-8")
        return self.sabotaged(
            f"""
            from pathlib import Path
            from rusty_py import shaders

            shaders.root = lambda: Path({str(self.wgsl)!r})
            """,
            *(*(arguments or BOTH), "--json", self.json),
        )


@pytest.mark.parametrize(
    ("right", "wrong", "reason"),
    [
        (STORE, "    c[c_index] = acc * 1.0001;\n", "outside the rounding bound"),
        (STORE, "    if (row < 63u || col < 69u) { c[c_index] = acc; }\n", "never written"),
        ("k < k1;", "k < k1 - 1u;", "outside the rounding bound"),
        # Right over what verification poisons, wrong when repeated: only the second verification sees it.
        (
            STORE,
            "    c[c_index] = select(acc, acc + 1.0, c[c_index] >= acc);\n",
            "outside the rounding bound",
        ),
    ],
    ids=["slightly off", "last element unwritten", "sum one short", "right only once"],
)
def test_a_kernel_that_computes_something_else_gets_no_rate(
    right: str, wrong: str, reason: str, run_broken: Broken
) -> None:
    done = run_broken(right, wrong)
    assert (done.code, done.err) == (4, "")
    naive, tiled = sorted(table(done.out), key=lambda row: row["kernel"])
    clock = next(head for head in naive if head.startswith("ms "))
    shown = (naive["kernel"], naive[clock], naive["GFLOPS"], naive["ceiling"], naive["vs NumPy"])
    assert shown == ("naive", "WRONG", "", "", "")
    said = " ".join(done.out.split())
    assert "WRONG: 64×33×70, naive: " in said
    assert reason in said
    assert float(tiled["GFLOPS"]) > 0
    told = {each["by"]: each for each in kernels(strict_json(run_broken.json.read_text()))}
    wrong = told["naive"]
    assert (wrong["verdict"], wrong["figures"], wrong["stats"]) == ("wrong", [], None)
    assert told["tile 8"]["verdict"] == "ok"


@pytest.mark.parametrize("format", ["md", "csv"])
def test_a_wrong_kernel_is_called_wrong_in(format: str, run_broken: Broken) -> None:
    done = run_broken(
        STORE,
        "    c[c_index] = 2.0 * acc;\n",
        *("matmul", "--size", "33", "--tile", "naive", "--format", format),
    )
    assert (done.code, done.err) == (4, "")
    row = done.out.splitlines()[1] if format == "csv" else _row_of_markdown(done.out)
    assert "wrong" in row.lower()
    assert "outside the rounding bound" in (row if format == "csv" else done.out)
    cells = [cell.strip() for cell in row.split("," if format == "csv" else "|")]
    # No times, no rates: Markdown leaves columns out that nothing fills.
    assert cells.count("") >= 6 if format == "csv" else cells[1:3] == ["33×33×33", "WRONG"]


def _row_of_markdown(text: str) -> str:
    return [line for line in text.splitlines() if line.startswith("|")][2]


def test_a_kernel_that_does_not_compile_is_named_with_what_the_compiler_says(run_broken: Broken) -> None:
    done = run_broken(STORE, "    c[c_index] = acc + nosuch;\n")
    assert done.code not in (0, 1)
    assert "Traceback" not in done.err
    assert "matmul/naive" in done.err + done.out
    assert "nosuch" in done.err + done.out


def test_a_rate_above_what_the_machine_can_do_is_rejected(sabotaged: Sabotaged, tmp_path: Path) -> None:
    done = sabotaged(
        """
        from rusty_py.measure.ceilings import CeilingMeter

        CeilingMeter.fma_gflops = lambda self: 1e-4
        """,
        *(*BOTH, "--json", tmp_path / "run.json"),
    )
    assert (done.code, done.err) == (4, "")
    rows = table(done.out)
    assert len(rows) == 2
    for row in rows:
        assert "REJECTED" in row.values()
        assert [row.get(name, "") for name in ("GFLOPS", "ceiling", "vs NumPy")] == ["", "", ""]
    said = " ".join(done.out.split())
    for kernel in ("naive", "tile 8"):
        assert f"REJECTED: 64×33×70, {kernel}: " in said
    assert "measured twice" in said
    told = kernels(strict_json((tmp_path / "run.json").read_text()))
    assert [(each["verdict"], each["stats"], each["figures"]) for each in told] == [
        ("rejected", None, [])
    ] * 2
    assert [len(each["samples"]["rounds"]) for each in told] == [3, 3]  # What was seen stays on record.


def test_timestamps_of_zero_make_it_the_wall_clock_and_say_so(sabotaged: Sabotaged) -> None:
    done = sabotaged(
        """
        import numpy as np
        from rusty_py.runtime.timing import Timer

        Timer._stamps_ns = lambda self, passes: np.zeros((passes, 2))
        """,
        *BOTH,
    )
    done.succeeds()
    assert all(float(row["ms (wall)"]) > 0 for row in table(done.out))
    assert "the wall clock over batched runs (timestamps were 0)" in " ".join(done.out.split())


def test_timestamps_that_fail_later_make_all_rows_wall_clock(sabotaged: Sabotaged, tmp_path: Path) -> None:
    done = sabotaged(
        """
        import numpy as np
        from rusty_py.measure import runner
        from rusty_py.measure.clock import Clock
        from rusty_py.measure.sampling import Sampler
        from rusty_py.runtime.timing import Timer

        runner.check_clock = lambda *arguments, **options: Clock("gpu", "as if they agreed on any machine")
        stamps_ns, rounds = Timer._stamps_ns, Sampler.rounds

        def failing(self, *arguments, **options):
            left = [3]

            def some(self, passes):
                left[0] -= 1
                return stamps_ns(self, passes) if left[0] > 0 else np.zeros((passes, 2))

            Timer._stamps_ns = some
            return rounds(self, *arguments, **options)

        Sampler.rounds = failing
        """,
        *(*BOTH, "--json", tmp_path / "run.json"),
    )
    done.succeeds()
    assert all(float(row["ms (wall)"]) > 0 for row in table(done.out))
    document = strict_json((tmp_path / "run.json").read_text())
    assert document["clock"] == "wall"
    assert "timestamps were 0 in " in document["clock_reason"]
    for result in kernels(document):
        samples = result["samples"]
        wall_ns = sorted(ns / samples["runs"] for ns in samples["wall_ns"])
        assert result["clock"] == "wall"
        assert result["stats"]["median"] == pytest.approx(wall_ns[1])
