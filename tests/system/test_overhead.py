"""`rusty-bench overhead` as its users see it."""

import csv
import io
import shutil
from pathlib import Path
from statistics import median_low

import pytest
from jsonschema import Draft202012Validator

from rusty_py.bench.overhead import branches, eager, launches, memory, parts
from rusty_py.bench.overhead.startup import STAGES, TOTAL
from rusty_py.bench.overhead.work import OURS, PLAIN
from rusty_py.bench.report.json import parse, render, schema

from .program import ROOT, Done, Sabotaged, figure, rusty_bench, strict_json, table

pytestmark = [pytest.mark.alone, pytest.mark.usefixtures("adapter")]

SHORT = ("overhead", "--runs", "1", "--max-time", "60")
ROWS = [
    *(f"cold start: {stage}" for stage in STAGES),
    TOTAL,
    *(launches.FOUND, launches.COMPILED, launches.ENCODER, launches.RECORDED, launches.ENCODED),
    *(launches.BOUND, launches.SUBMITTED, launches.ADDED, launches.WAITED, launches.EAGER),
    *(launches.REPLAYED, launches.ROUND_TRIP),
    *(memory.pooled(size, pool) for size in memory.SIZES for pool in ("on", "off")),
    *(branches.TOGETHER, branches.APART),
    *eager.names(),
]


@pytest.fixture(scope="module")
def ran(adapter: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Done, str]:
    """What a short run prints and writes."""
    target = tmp_path_factory.mktemp("overhead") / "overhead.json"
    done = rusty_bench(*SHORT, "--ascii", "--wide", "--json", target)
    done.succeeds()
    return done, target.read_text(encoding="utf-8")


def test_the_table_has_every_row_in_ascii(ran: tuple[Done, str]) -> None:
    done, _ = ran
    assert done.out.isascii()
    assert [row["what"] for row in table(done.out)] == ROWS
    assert "WRONG" not in done.out
    assert "as compute_with_buffers; target 8: " in done.out


def test_the_json_fits_the_schema_and_holds_every_sample(ran: tuple[Done, str]) -> None:
    document = strict_json(ran[1])
    Draft202012Validator(schema()).validate(document)
    assert render(parse(ran[1])) + "\n" == ran[1]
    assert [row["problem"]["name"] for row in document["rows"]] == ROWS
    for row in document["rows"]:
        for result in row["results"]:
            assert result["verdict"] in ("ok", "skipped"), (row["problem"], result)
            if result["verdict"] == "ok":
                column = result["samples"][f"{result['clock']}_ns"]
                assert len(column) == result["stats"]["n"] >= 1
                assert result["stats"]["median"] > 0


def test_eager_calls_have_parts_that_add_up_to_their_time(ran: tuple[Done, str]) -> None:
    rows = {row["problem"]["name"]: row for row in strict_json(ran[1])["rows"]}
    recorded = [each.recorded for each in eager.EXPRESSIONS]
    for name in eager.names():
        ours, timed = rows[name]["results"]
        assert (ours["by"], timed["by"]) == (OURS, eager.TIMED)
        assert figure(ours, eager.PROCESS_CPU) >= 0
        shares = [figure(timed, part) for part in parts.PARTS]
        assert min(shares) >= 0
        # What the median sample took, but for the Python around its clock.
        took_ns = median_low(timed["samples"]["wall_ns"]) / timed["samples"]["runs"]
        assert 0.5 * took_ns <= sum(shares) <= took_ns * 1.001, name
        for count in (parts.NATIVE_CALLS, parts.NATIVE):
            if name not in recorded:
                assert figure(timed, count) > 0, (name, count)
            elif timed["samples"]["runs"] > 10:  # A batch of slow calls goes out before its end.
                assert figure(timed, count) == 0, (name, count)


def test_the_table_has_the_parts_of_eager_calls(ran: tuple[Done, str]) -> None:
    done, _ = ran
    second = table(done.out[done.out.index("eager calls") :])
    assert [row["eager calls"] for row in second] == eager.names()


def test_a_kernel_that_computes_something_else_is_wrong_everywhere(
    sabotaged: Sabotaged, tmp_path: Path
) -> None:
    wgsl = tmp_path / "wgsl"
    shutil.copytree(ROOT / "wgsl", wgsl)
    kernel = wgsl / "bench" / "scale.wgsl"
    text = kernel.read_text(encoding="utf-8")
    kernel.write_text(text.replace("* x[id.x]", "* x[id.x] + 1.0"), encoding="utf-8")
    done = sabotaged(
        f"""
        from pathlib import Path
        from rusty_py import shaders
        from rusty_py.bench.overhead import startup

        shaders.root = lambda: Path({str(wgsl)!r})
        startup.rows = lambda *_, **__: []
        """,
        *("overhead", "--runs", "1", "--max-time", "60", "--format", "csv"),
    )
    assert (done.code, done.err) == (4, "")
    lines = csv.DictReader(io.StringIO(done.out))
    verdicts = {(line["problem"], line["implementation"]): line["verdict"] for line in lines}
    for what in (launches.RECORDED, launches.REPLAYED, launches.WAITED):
        assert verdicts[what, OURS] == verdicts[what, PLAIN] == "wrong"
    assert verdicts[launches.ENCODER, OURS] == verdicts[branches.TOGETHER, OURS] == "ok"  # Other kernels.
