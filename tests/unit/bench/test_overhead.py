"""What `overhead` says of its figures."""

import csv
import io
import re
from dataclasses import replace

import numpy as np
import pytest

from rusty_py.bench.overhead import branches, eager, launches, memory, parts
from rusty_py.bench.overhead.startup import STAGES, TOTAL, rows
from rusty_py.bench.overhead.work import HELPER, OURS, PLAIN, fault
from rusty_py.bench.report import results as report
from rusty_py.bench.report.overhead import header, parts_header, summary, time
from rusty_py.bench.report.overhead import rows as rows_of
from rusty_py.bench.results import Figure

from .rows import overhead, row


def pool(size: str, pool: str, us: float, allocations: float) -> object:
    counts = {memory.ALLOCATIONS: allocations, memory.STEPS: 1000.0}
    made = row("", {OURS: us}).figures[0]
    figure = Figure(OURS, "ok", made.samples_ns, stats=made.stats, counts=counts)
    return row(memory.pooled(size, pool), {OURS: figure}, clock="wall")


def called(us: float, python: float, native: float, waiting: float) -> object:
    """A row of eager calls; timing takes 1 us."""
    shares = dict(zip(parts.PARTS, (1e3 * python, 1e3 * native, 1e3 * waiting, 1e3), strict=True))
    ours, timed = row("", {OURS: us, eager.TIMED: us + 1}).figures
    return row(
        eager.EXPRESSIONS[0].waited,
        {
            OURS: replace(ours, counts={eager.PROCESS_CPU: 2e4}),
            eager.TIMED: replace(timed, counts={**shares, parts.NATIVE_CALLS: 2.5}),
        },
        clock="wall",
    )


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
        launches.COMPILED, {OURS: Figure(OURS, "wrong", reason="3.12% of the elements differ"), PLAIN: 300.0}
    ),
    called(15.0, 8.0, 5.0, 2.0),
    row(launches.ADDED, {OURS: Figure(OURS, "skipped", reason="no arrays")}),
)


def test_the_summary_is_made_from_the_rows() -> None:
    said = "\n".join(summary(FULL))
    assert "ours is 9 times as fast (95 % interval 9 to 9) as compute_with_buffers; target 8: reached" in said
    assert "5 times as fast (95 % interval 5 to 5) as recorded anew; 4 times" in said
    assert "pool at 4 KiB: step time -50%, allocations a step from 3 to 0 (-100%) over 1,000 steps" in said
    assert "one submission is 1.2 times as fast (95 % interval 1.2 to 1.2)" in said
    assert "target 1.5: not reached" in said
    assert f"outside the noise, for: {launches.SUBMITTED} (0.8); {launches.EAGER} (0.8)" in said


def test_a_second_table_has_the_parts_of_eager_calls() -> None:
    first, second, *_ = report.table(FULL).split("\n\n")
    what = eager.EXPRESSIONS[0].waited
    assert what in first
    head, _, line = second.splitlines()
    cells = ["20 us", "8 us", "5 us", "2 us", "1 us", "16 us", "2.5"]
    assert [each for each in re.split("  +", line) if each] == [what, *cells]
    assert re.split("  +", head.strip()) == parts_header(FULL)
    assert "native calls" in report.markdown(FULL)
    record = next(
        each for each in csv.DictReader(io.StringIO(report.as_csv(FULL))) if each["by"] == eager.TIMED
    )
    assert (record["python_us"], record["native_us"], record["waiting_us"]) == ("8.0", "5.0", "2.0")


def test_without_eager_calls_there_is_one_table() -> None:
    text = report.table(overhead(row(launches.RECORDED, {OURS: 3.0, PLAIN: 18.0})))
    assert "native calls" not in text.split("\n\n")[1]


def test_the_summary_of_nothing_is_nothing() -> None:
    assert summary(overhead()) == []


def test_the_table_has_a_line_for_each_row_and_no_figure_for_a_wrong_one() -> None:
    text = report.table(FULL)
    lines = {line.split("  ")[0]: line for line in text.splitlines()}
    assert "6" in lines[launches.RECORDED].split()
    assert "3, 9" in lines[launches.ROUND_TRIP]
    assert "a seed" in lines[launches.ROUND_TRIP]
    assert "WRONG" in lines[launches.COMPILED]
    assert f"WRONG: {launches.COMPILED}, ours: 3.12% of the elements differ" in text
    assert f"SKIPPED: {launches.ADDED}, ours: no arrays" in text


def test_a_few_samples_show_no_spread_and_no_verdict() -> None:
    few = overhead(
        row(launches.ROUND_TRIP, {OURS: [100.0], PLAIN: [300.0], HELPER: [900.0]}),
        row(branches.TOGETHER, {OURS: [50.0] * 4}),
        row(branches.APART, {OURS: [60.0] * 4}),
    )
    said = "\n".join(summary(few))
    assert "ours is 9 times as fast as compute_with_buffers; target 8: too few samples to tell" in said
    assert "one submission is 1.2 times as fast as one each; target 1.5: too few samples to tell" in said
    for of, spread in zip(rows_of(few), ("", "0.0", "0.0"), strict=True):
        assert of[header(few).index("± %")] == spread
    lines = list(csv.DictReader(io.StringIO(report.as_csv(few))))
    assert [line["mad_us"] for line in lines] == ["", "", "", "0.0", "0.0"]


def test_csv_has_a_line_for_each_figure() -> None:
    lines = list(csv.DictReader(io.StringIO(report.as_csv(FULL))))
    assert len(lines) == sum(len(each.figures) for each in FULL.rows)
    first, *_, skipped = lines
    assert (first["what"], first["by"], float(first["median_us"])) == (launches.RECORDED, OURS, 3.0)
    assert (skipped["verdict"], skipped["median_us"]) == ("skipped", "")


def test_json_reads_back_and_markdown_says_the_same() -> None:
    assert report.parse(report.as_json(FULL)) == FULL
    text = report.markdown(FULL)
    assert text.startswith("## Apple M4")
    for each in FULL.rows:
        assert f"| {each.what} " in text


@pytest.mark.parametrize("format", ["table", "csv", "md", "json"])
def test_a_run_without_rows_has_a_report(format: str) -> None:
    assert "failed: gone" in report.render(overhead(failure="gone"), format) or format in ("csv", "json")


@pytest.mark.parametrize(
    ("ns", "text"),
    [(162.0, "0.162 us"), (4580.0, "4.58 us"), (999_400.0, "999 us"), (749e6, "749 ms"), (1.5e9, "1.5 s")],
)
def test_times_are_read_in_three_digits(ns: float, text: str) -> None:
    assert time(ns) == text


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


def test_the_cold_start_is_the_sum_of_its_stages() -> None:
    made = rows(Adapter(), runs=3, enough=lambda: False, start=lambda command: stages())  # type: ignore[arg-type]
    assert [each.what for each in made] == [*(f"cold start: {stage}" for stage in STAGES), TOTAL]
    assert made[-1].ns(OURS) == sum(each.ns(OURS) or 0 for each in made[:-1])
    assert made[1].figure(PLAIN) is None  # It imports no rusty_py.
    assert len(made[0].figures[0].samples_ns) == 3


def test_a_cold_start_that_computes_wrong_has_no_figure() -> None:
    def start(command: list[str]) -> dict[str, object]:
        return stages(right="start_plain" in command[0])

    made = rows(Adapter(), runs=1, enough=lambda: False, start=start)  # type: ignore[arg-type]
    ours, plain = made[0].figures
    assert (ours.verdict, plain.verdict) == ("wrong", "ok")


def test_a_process_that_fails_skips_the_cold_start() -> None:
    def start(command: list[str]) -> dict[str, object]:
        raise OSError("no more processes")

    (made,) = rows(Adapter(), runs=1, enough=lambda: False, start=start)  # type: ignore[arg-type]
    assert "no more processes" in made.figures[0].reason


def test_enough_time_ends_cold_starts_after_one_of_each() -> None:
    made = rows(Adapter(), runs=9, enough=lambda: True, start=lambda command: stages())  # type: ignore[arg-type]
    assert {len(figure.samples_ns) for each in made for figure in each.figures} == {1}
