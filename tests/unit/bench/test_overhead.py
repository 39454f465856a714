"""What `overhead` says of its figures."""

import csv as std_csv
import io
import re
from dataclasses import replace

import numpy as np
import pytest

from rusty_py.bench.output import Format, Output
from rusty_py.bench.overhead import branches, eager, launches, memory, parts
from rusty_py.bench.overhead.startup import STAGES, TOTAL, rows
from rusty_py.bench.overhead.work import HELPER, OURS, PLAIN, fault
from rusty_py.bench.report import csv, json, markdown, table
from rusty_py.bench.report.overhead import findings
from rusty_py.measure.document import BenchRun, Figure, Result, Row

from .rows import overhead, row


def pool(size: str, pool: str, us: float, allocations: float) -> Row:
    counts = (Figure(memory.ALLOCATIONS, allocations, ""), Figure(memory.STEPS, 1000.0, ""))
    (made,) = row("", {OURS: us}, clock="wall").results
    return row(memory.pooled(size, pool), {OURS: replace(made, figures=counts)}, clock="wall")


def called(us: float, python: float, native: float, waiting: float) -> Row:
    """A row of eager calls; timing takes 1 us."""
    times = (1e3 * python, 1e3 * native, 1e3 * waiting, 1e3)
    shares = [Figure(name, ns, "ns") for name, ns in zip(parts.PARTS, times, strict=True)]
    ours, timed = row("", {OURS: us, eager.TIMED: us + 1}, clock="wall").results
    return row(
        eager.EXPRESSIONS[0].waited,
        {
            OURS: replace(ours, figures=(Figure(eager.PROCESS_CPU, 2e4, "ns"),)),
            eager.TIMED: replace(timed, figures=(*shares, Figure(parts.NATIVE_CALLS, 2.5, ""))),
        },
        clock="wall",
    )


def records(run: BenchRun) -> list[dict[str, str]]:
    return list(std_csv.DictReader(io.StringIO(csv.render(run))))


FULL = overhead(
    row(launches.RECORDED, {OURS: 3.0, PLAIN: 18.0}),
    row(launches.SUBMITTED, {OURS: 5.0, PLAIN: 4.0}),
    row(launches.EAGER, {OURS: 5.0, PLAIN: 4.0}),
    row(launches.REPLAYED, {OURS: 1.0, PLAIN: 4.0}),
    row(launches.ROUND_TRIP, {OURS: 100.0, PLAIN: 300.0, HELPER: 900.0}, clock="wall", seed="0.2 ms, a seed"),
    pool("4 KiB", "on", 100.0, 0.0),
    pool("4 KiB", "off", 200.0, 3.0),
    row(branches.TOGETHER, {OURS: 50.0}, clock="wall"),
    row(branches.APART, {OURS: 60.0}, clock="wall"),
    row(
        launches.COMPILED, {OURS: Result(OURS, "wrong", reason="3.12% of the elements differ"), PLAIN: 300.0}
    ),
    called(15.0, 8.0, 5.0, 2.0),
    row(launches.ADDED, {OURS: Result(OURS, "skipped", reason="no arrays")}),
)


def test_the_findings_are_made_from_the_rows() -> None:
    said = "\n".join(findings(FULL))
    assert "ours is 9 times as fast (95 % interval 9 to 9) as compute_with_buffers; target 8: reached" in said
    assert "5 times as fast (95 % interval 5 to 5) as recorded anew; 4 times" in said
    assert "pool at 4 KiB: step time -50%, allocations a step from 3 to 0 (-100%) over 1,000 steps" in said
    assert "one submission is 1.2 times as fast (95 % interval 1.2 to 1.2)" in said
    assert "target 1.5: not reached" in said
    assert f"outside the noise, for: {launches.SUBMITTED} (0.8); {launches.EAGER} (0.8)" in said


def test_a_second_table_has_the_parts_of_eager_calls() -> None:
    _, first, second, *_ = table.render(FULL, wide=True).split("\n\n")
    name = eager.EXPRESSIONS[0].waited
    assert name in first
    head, _, line = second.splitlines()
    cells = ["20 us", "8 us", "5 us", "2 us", "1 us", "16 us", "2.5"]
    assert [each for each in re.split("  +", line) if each] == [name, *cells]
    columns = ["eager calls", "process CPU", *parts.PARTS, "together", "native calls"]
    assert re.split("  +", head.strip()) == columns
    assert "native calls" in markdown.render(FULL)
    record = next(each for each in records(FULL) if each["implementation"] == eager.TIMED)
    assert (record["python_ns"], record["wgpu_native_ns"], record["waiting_ns"]) == (
        "8000.0",
        "5000.0",
        "2000.0",
    )


def test_without_eager_calls_there_is_one_table() -> None:
    text = table.render(overhead(row(launches.RECORDED, {OURS: 3.0, PLAIN: 18.0})))
    assert "native calls" not in text.split("\n\n")[1]


def test_the_findings_of_nothing_are_nothing() -> None:
    assert findings(overhead()) == []


def test_the_table_has_a_line_for_each_row_and_no_figure_for_a_wrong_one() -> None:
    text = table.render(FULL, wide=True)
    lines = {line.split("  ")[0]: line for line in text.splitlines()}
    assert "6" in lines[launches.RECORDED].split()
    assert "3, 9" in lines[launches.ROUND_TRIP]
    assert "a seed" in lines[launches.ROUND_TRIP]
    assert "WRONG" in lines[launches.COMPILED]
    assert f"WRONG: {launches.COMPILED}, ours: 3.12% of the elements differ" in text
    assert f"SKIPPED: {launches.ADDED}, ours: no arrays" in text


def spreads(run: BenchRun) -> list[str]:
    """The column of spreads of the wide table."""
    lines = [line for line in markdown.render(run).splitlines() if line.startswith("|")]
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return [cells[head.index("± %")] for cells in rows]


def test_a_few_samples_show_no_spread_and_no_verdict() -> None:
    few = overhead(
        row(launches.ROUND_TRIP, {OURS: [100.0], PLAIN: [300.0], HELPER: [900.0]}),
        row(branches.TOGETHER, {OURS: [50.0] * 4}),
        row(branches.APART, {OURS: [60.0] * 4}),
    )
    said = "\n".join(findings(few))
    assert "ours is 9 times as fast as compute_with_buffers; target 8: too few samples to tell" in said
    assert "one submission is 1.2 times as fast as one each; target 1.5: too few samples to tell" in said
    assert spreads(few) == ["", "0.0", "0.0"]
    assert [line["mad_ms"] for line in records(few)] == ["", "", "", "0.0", "0.0"]


def test_csv_has_a_line_for_each_result() -> None:
    lines = records(FULL)
    assert len(lines) == sum(len(each.results) for each in FULL.rows)
    first, *_, skipped = lines
    assert (first["problem"], first["implementation"]) == (launches.RECORDED, OURS)
    assert (float(first["median_ms"]), first["clock"]) == (0.003, "cpu")
    assert (first["samples"], first["runs_per_sample"]) == ("5", "10")
    assert (skipped["verdict"], skipped["median_ms"]) == ("skipped", "")


def test_json_reads_back_and_markdown_has_every_row() -> None:
    assert json.parse(json.render(FULL)) == FULL
    text = markdown.render(FULL)
    assert text.startswith("## Apple M4")
    for each in FULL.rows:
        assert f"| {each.problem.name} " in text


@pytest.mark.parametrize("format", list(Format))
def test_a_run_without_rows_has_a_report(format: Format) -> None:
    text = Output(format).render(overhead(failure="gone"))
    assert "failed: gone" in text or format in ("csv", "json")


def test_bits_that_differ_are_a_fault() -> None:
    right = np.arange(100, dtype=np.float32)
    assert fault(right.copy(), right) == ""
    wrong = right.copy()
    wrong[3] += 1
    assert fault(wrong, right) == "1.00% of the elements differ"
    assert fault(np.zeros(2, np.float32), -np.zeros(2, np.float32)) == "100.00% of the elements differ"


@pytest.mark.parametrize("steps", [0, 1, 2, 7, 1000])
def test_many_steps_of_the_generator_are_as_many_single_ones(steps: int) -> None:
    seeds = np.array([0, 1, 12345, 2**32 - 1], np.uint32)
    states = seeds.astype(object)
    for _ in range(steps):
        states = (1664525 * states + 1013904223) % 2**32
    assert (branches.after(seeds, steps) == states.astype(np.uint32)).all()


class Adapter:
    index, name, backend = 0, "a GPU", "Vulkan"


def stages(*, right: bool = True) -> dict[str, object]:
    return {"right": right, "stages_ns": [1000.0 * (i + 1) for i in range(len(STAGES))]}


def cold_starts(**options: object) -> list[Row]:
    return overhead(*rows(Adapter(), **options)).rows  # type: ignore[arg-type]


def test_the_cold_start_is_the_sum_of_its_stages() -> None:
    made = cold_starts(runs=3, enough=lambda: False, start=lambda command: stages())
    assert [each.problem.name for each in made] == [*(f"cold start: {stage}" for stage in STAGES), TOTAL]
    assert made[-1].ns(OURS) == sum(each.ns(OURS) or 0 for each in made[:-1])
    assert made[1].result(PLAIN) is None  # It imports no rusty_py.
    assert len(made[0].results[0].samples) == 3
    assert {each.reference for each in made} == {PLAIN}


def test_a_cold_start_that_computes_wrong_has_no_figure() -> None:
    def start(command: list[str]) -> dict[str, object]:
        return stages(right="start_plain" in command[0])

    made = cold_starts(runs=1, enough=lambda: False, start=start)
    ours, plain = made[0].results
    assert (ours.verdict, ours.ns, plain.verdict) == ("wrong", None, "ok")


def test_a_process_that_fails_skips_the_cold_start() -> None:
    def start(command: list[str]) -> dict[str, object]:
        raise OSError("no more processes")

    (made,) = cold_starts(runs=1, enough=lambda: False, start=start)
    assert "no more processes" in made.results[0].reason


def test_enough_time_ends_cold_starts_after_one_of_each() -> None:
    made = cold_starts(runs=9, enough=lambda: True, start=lambda command: stages())
    assert {len(result.samples) for each in made for result in each.results} == {1}
