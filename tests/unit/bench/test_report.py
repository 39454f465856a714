"""The reports: each a pure function of a run."""

import csv as std_csv
import io
import json as std_json
import math
from collections.abc import Callable
from dataclasses import replace

import jsonschema
import pytest

from rusty_py.bench.matmul_suite import problem, problem_of
from rusty_py.bench.output import ASCII
from rusty_py.bench.report import csv, json, kernels, markdown, table
from rusty_py.bench.report.facts import banner, gpu_block
from rusty_py.bench.report.numbers import duration, milliseconds, rate, speedup
from rusty_py.bench.shapes import Size
from rusty_py.dtypes import F16
from rusty_py.measure.document import BenchProblem, BenchRun, Figure, Result, Samples
from rusty_py.measure.figures import GFLOPS, ROOFLINE, with_figures

from .runs import MS, VERIFIED, around, by_wall, full_run, matmul, numpy, run, skipped

Render = Callable[[BenchRun], str]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def grid(run: BenchRun) -> list[list[str]]:
    """The rows of the first Markdown table, which has all columns, split into cells; the head first."""
    lines = markdown.render(run).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|"))
    end = next((i for i in range(start, len(lines)) if not lines[i].startswith("|")), len(lines))
    return [cells(line) for line in (lines[start], *lines[start + 2 : end])]


def line(run: BenchRun, index: int) -> dict[str, str]:
    """A row of the first table, by column."""
    head, *rows = grid(run)
    return dict(zip(head, rows[index], strict=True))


def records(run: BenchRun) -> list[dict[str, str]]:
    return list(std_csv.DictReader(io.StringIO(csv.render(run))))


def test_every_result_has_a_line_in_csv_and_every_kernel_one_in_the_tables() -> None:
    whole = full_run()
    verdicts = ["ok", "ok", "wrong", "rejected", "ok", "skipped"]
    assert [record["verdict"] for record in records(whole)] == verdicts
    assert [row[1] for row in grid(whole)[1:]] == ["naive", "tile 16", "tile 8", "tile 32", "naive"]
    assert {len(row) for row in grid(whole)} == {len(grid(whole)[0])}


def test_a_correct_row_shows_time_rate_ceiling_bound_and_the_speedup_in_words() -> None:
    shown = table.render(full_run()).splitlines()
    head = next(i for i, each in enumerate(shown) if each.startswith("M×K×N"))
    assert shown[head].split("  ")[-1].strip() == "vs NumPy"
    assert shown[head + 3].split() == [
        *("512×512×512", "tile", "16", "0.100", "0.0", "2,684", "75.0%", "compute", "30x", "faster")
    ]


def test_all_columns_are_in_the_wide_table_and_in_markdown() -> None:
    assert line(full_run(), 1) == {
        "M×K×N": "512×512×512",
        "kernel": "tile 16",
        "ms (GPU)": "0.100",
        "± %": "0.0",
        "GFLOPS": "2,684",
        "GB/s": "31.5",
        "ceiling": "75.0%",
        "bound by": "compute",
        "vs NumPy": "30x faster",
        "NumPy ms": "3.000",
        "mean ms": "0.100",
        "low": "0.100",
        "high": "0.100",
        "min": "0.100",
        "max": "0.100",
        "p95": "0.100",
        "outliers": "0",
        "samples": "7",
        "ns/element": "0.381",
        "gain %": "77.6",
        "error": "0.018",
        "note": "best, compute-bound",
    }
    wide = table.render(full_run(), wide=True).splitlines()
    head = next(each for each in wide if each.startswith("M×K×N"))
    assert all(name in head for name in grid(full_run())[0])


def test_a_single_sample_shows_no_spread() -> None:
    one = run(matmul(512, "naive", [0.4]), matmul(512, "tile 16", [0.1, 0.3]))
    assert (line(one, 0)["± %"], line(one, 1)["± %"]) == ("", "50.0")
    assert [record["mad_ms"] for record in records(one)] == ["", "0.1"]
    # The document has no blank for it, and `n` beside it says why it is 0.
    stats = [each["stats"] for each in std_json.loads(json.render(one))["rows"][0]["results"]]
    assert [(each["mad"], each["iqr"], each["n"]) for each in stats] == [(0.0, 0.0, 1), (1e5, 1e5, 2)]


@pytest.mark.parametrize(
    ("index", "kernel", "verdict", "reason"),
    [
        (2, "tile 8", "WRONG", "WRONG: 512×512×512, tile 8: 61.33% of the result never written"),
        (3, "tile 32", "REJECTED", "REJECTED: 512×512×512, tile 32: 22.8 us is 329%"),
        (4, "naive", "skipped", "SKIPPED: 4096×4096×4096, naive: needs about 90 s"),
    ],
)
@pytest.mark.parametrize("render", [table.render, markdown.render])
def test_a_result_that_does_not_count_shows_its_verdict_and_its_reason_below(
    index: int, kernel: str, verdict: str, reason: str, render: Render
) -> None:
    row = grid(full_run())[1 + index]
    assert row[1:3] == [kernel, verdict]
    assert set(row[3:]) == {""}
    assert reason in render(full_run())


def test_many_results_with_one_reason_take_one_line() -> None:
    many = run(*(skipped(n, "naive", "the budget is used up") for n in range(1, 7)))
    assert "SKIPPED: 6 results: the budget is used up" in table.render(many)
    assert table.render(many).count("the budget is used up") == 1


@pytest.mark.parametrize("render", [table.render, markdown.render, csv.render])
def test_a_rejected_time_stands_nowhere_but_in_its_reason(render: Render) -> None:
    text = render(full_run())
    assert text.count("22.8 us") == 1
    assert "0.0228" not in text
    assert "11,7" not in text
    assert "11773" not in text


def test_the_clock_stands_in_the_head_of_the_column_it_rules() -> None:
    assert "ms (GPU)" in grid(full_run())[0]
    assert "ms (wall)" in grid(by_wall(full_run()))[0]
    assert "the wall clock over batched runs" in table.render(by_wall(full_run()), wide=True)


def test_peak_adds_a_column_and_names_its_source() -> None:
    whole = full_run(peak_gflops=4_300.0)
    assert grid(whole)[0].index("of peak") == grid(full_run())[0].index("ceiling") + 1
    assert line(whole, 1)["of peak"] == "62.4%"
    assert "peak: 4,300 GFLOPS, from --peak." in table.render(whole)
    assert {len(row) for row in grid(whole)} == {len(grid(full_run())[0]) + 1}


def test_without_peak_nothing_speaks_of_one() -> None:
    assert "peak" not in table.render(full_run()) + markdown.render(full_run())


def test_the_table_lines_its_figures_up_to_the_right() -> None:
    whole = run(matmul(512, "tile 8", [1.0]), matmul(512, "tile 16", [100.0]))
    lines = [each for each in table.render(whole).splitlines() if each.startswith("512×512×512  ")]
    ends = [each.index(ms) + len(ms) for each, ms in zip(lines, ("1.000", "100.0"), strict=True)]
    assert ends[0] == ends[1]


def joined(text: str) -> str:
    """The text without its line breaks."""
    return " ".join(text.split())


@pytest.mark.parametrize("render", [table.render, markdown.render])
def test_a_report_explains_its_columns_and_names_the_fastest(render: Render) -> None:
    text = joined(render(full_run()))
    for said in (
        "timestamps agree with the wall clock within 0.3%",
        "ceiling: share of the roofline, 3,579 GFLOPS of f32 multiply-adds, measured here",
        "NumPy's time in float32 on Apple M4 (openblas 0.3.30, 10 threads) divided by the kernel's.",
        "verified before and after timing: every element against float64.",
        "tile 16 is 4.47 times as fast as naive",
        "drift: the control kernel's time changed by +0.0% over 7 rounds",
    ):
        assert said in text


def test_markdown_names_the_device_the_command_and_the_date() -> None:
    text = markdown.render(full_run())
    assert text.startswith(
        "## Apple M4\n\n`rusty-bench matmul --size 512`, 2026-01-02T03:04:05+00:00, rusty_py 0.1.0"
    )
    assert "- Backend: Metal\n- Type: IntegratedGPU" in text


def test_a_run_that_was_interrupted_says_so() -> None:
    assert "interrupted: these rows are what was measured before" in table.render(full_run(interrupted=True))


def test_a_run_whose_device_failed_says_so() -> None:
    assert "the device failed: gone" in table.render(full_run(failure="gone"))


def test_a_run_that_was_interrupted_within_a_round_can_be_shown() -> None:
    cut = run(matmul(512, "tile 8", around(2.0, 8)), matmul(512, "tile 16", around(1.0, 7)), interrupted=True)
    assert "interrupted" in table.render(cut)
    assert "interrupted" in markdown.render(cut)


def test_rows_that_were_cut_short_are_counted_with_the_option_that_helps() -> None:
    budget = "budget: cut short after 3 samples; try --max-time"
    whole = run(*(matmul(n, "tile 8", [1.0] * 3, stopped=budget) for n in (64, 512)))
    assert table.render(whole).count("try --max-time") == 1
    assert "budget: 2 rows were cut short; try --max-time" in table.render(whole)
    assert "budget: 1 row was cut short; try" in table.render(replace(whole, rows=whole.rows[:1]))


def test_the_layouts_of_all_rows_are_named_unless_none_is_transposed() -> None:
    sizes = [problem(64, 64, 64), replace(problem(96, 96, 96), options={"layout": "tn"})]
    mixed = run(*(matmul(each, "auto", [1.0]) for each in sizes))
    assert "matmul, f32, layout nn, layout tn" in table.render(mixed)
    assert "layout" not in table.render(replace(mixed, rows=mixed.rows[:1])).split("Clock")[0]


def test_a_share_of_the_budget_that_was_used_up_is_told_once() -> None:
    budget = "budget: its share of it is used; noise of the medians 2.0%"
    whole = run(*(matmul(n, "tile 8", [1.0, 1.1, 0.9], stopped=budget) for n in (64, 512)))
    said = joined(table.render(whole))
    one = joined(table.render(replace(whole, rows=whole.rows[:1])))
    assert "budget: 1 row used up its share; noise" in one
    assert said.count("budget: 2 rows used up their share; noise of the medians up to 10.7%") == 1


@pytest.mark.parametrize("render", [table.render, markdown.render, json.render])
def test_a_run_without_any_result_can_be_shown(render: Render) -> None:
    assert render(run())


@pytest.mark.parametrize(
    ("times_ms", "shown"), [((3.0, 1.0, 2.0), "2.000"), ((4.0, 1.0, 2.0, 3.0), "2.500"), ((5.0,), "5.000")]
)
def test_numpy_s_time_is_the_median_of_its_samples(times_ms: tuple[float, ...], shown: str) -> None:
    assert line(run(matmul(512, "tile 8", [1.0]), numpy(512, times_ms)), 0)["NumPy ms"] == shown


def test_without_numpy_s_time_there_is_no_ratio() -> None:
    whole = run(matmul(512, "tile 8", [1.0]), matmul(64, "tile 8", [1.0]), numpy(64, [1.0]))
    assert (line(whole, 0)["vs NumPy"], line(whole, 1)["vs NumPy"]) == ("", "same")


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        (1234.0, "1,234x faster"),
        (30.0, "30x faster"),
        (5.196, "5.2x faster"),
        (1.004, "same"),
        (0.996, "same"),
        (0.5, "2x slower"),
        (1 / 1234.0, "1,234x slower"),
    ],
)
def test_speedups_are_written_out_with_their_direction(ratio: float, said: str) -> None:
    assert speedup(ratio) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        *((11767.4, "11,767"), (100.0, "100"), (53.64, "53.6"), (10.0, "10.0"), (1.234, "1.23")),
        *((0.1, "0.10"), (0.0412, "0.041")),
    ],
)
def test_rates_are_rounded_for_reading(value: float, said: str) -> None:
    assert rate(value) == said


@pytest.mark.parametrize(
    ("ns", "said"),
    [
        (1234.5678e6, "1,234.6"),
        (99.9e6, "99.900"),
        (1e5, "0.100"),
        (11637.0, "0.0116"),
        (150.0, "0.00015"),
        (12.0, "1.2e-05"),
    ],
)
def test_milliseconds_have_three_decimals_and_fewer_where_they_do_not_matter(ns: float, said: str) -> None:
    assert milliseconds(ns) == said


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        *((162.0, "0.162 us"), (4580.0, "4.58 us"), (999_400.0, "999 us"), (999_600.0, "1 ms")),
        *((749e6, "749 ms"), (1.5e9, "1.5 s"), (1234e9, "1,234 s")),
    ],
)
def test_durations_have_three_digits_and_their_unit(ns: float, text: str) -> None:
    assert duration(ns) == text


def test_csv_holds_plain_numbers_in_full() -> None:
    record = records(full_run())[1]
    assert (record["command"], record["operation"], record["problem"]) == ("matmul", "matmul", "512×512×512")
    assert (record["m"], record["k"], record["n"], record["dtype"]) == ("512", "512", "512", "f32")
    assert (record["implementation"], record["scope"]) == ("tile 16", "kernel")
    for name in ("median_ms", "mean_ms", "min_ms", "max_ms", "p95_ms", "low_ms", "high_ms"):
        assert float(record[name]) == pytest.approx(0.1), name
    assert float(record["gflops"]) == pytest.approx(2684.35456)
    assert float(record["gb_per_s"]) == pytest.approx(31.45728)
    assert float(record["roofline_ns"]) == pytest.approx(2 * 512**3 / 3579.0)
    assert int(record["flops"]) == 2 * 512**3
    assert int(record["read_bytes"]) == 2 * int(record["written_bytes"]) == 2 * 4 * 512**2
    assert (record["samples"], record["runs_per_sample"], record["outliers"]) == ("7", "1", "0")
    assert (record["clock"], record["adapter"], record["adapter_type"]) == (
        "gpu",
        "Apple M4",
        "IntegratedGPU",
    )
    assert float(record["error_of_bound"]) == 0.0182
    numpy_record = records(full_run())[4]
    assert (numpy_record["implementation"], numpy_record["clock"], numpy_record["scope"]) == (
        *("numpy", "wall", "host"),
    )
    assert float(numpy_record["median_ms"]) == 3.0


def test_batches_layouts_and_f16_stand_in_every_table() -> None:
    size = Size(512, 512, 256, products=4, layout="nt")
    whole = run(matmul(problem_of(size, dtype=F16), "auto", [1.0], plan="4×512×512×256: blocked"))
    record = records(whole)[0]
    names = ("products", "m", "layout", "dtype", "accumulate_dtype", "implementation")
    assert {name: record[name] for name in names} == {
        "products": "4",
        "m": "512",
        "layout": "nt",
        "dtype": "f16",
        "accumulate_dtype": "f32",
        "implementation": "auto",
    }
    assert record["plan"] == "4×512×512×256: blocked"
    assert grid(whole)[1][0] == "4×512×512×256 nt"
    for text in (joined(table.render(whole)), markdown.render(whole)):
        for said in (
            "matmul, f16, accumulate dtype f32, layout nt",
            "auto: 4×512×512×256: blocked",
            "as a fraction of the float32 rounding bound, and one rounding to float16.",
            "P×M×K×N: P products at once.",
            "nn, nt, tn, tt: layouts of a and b",
        ):
            assert said in text


def test_f16_accumulators_are_compared_with_twice_the_ceiling() -> None:
    halves = problem_of(Size(64, 64, 64), dtype=F16, accumulate_dtype=F16)
    assert "arithmetic ceiling is twice that of f32" in table.render(run(matmul(halves, "auto", [1.0])))


def test_plain_products_in_f32_have_no_words_on_batches_and_layouts() -> None:
    text = joined(table.render(full_run()))
    assert "error: maximum error relative to float64, as a fraction of the float32 rounding bound. " in text
    assert "Suite: matmul, f32 Clock: GPU timestamps" in text
    assert "P×M×K×N" not in text
    assert "tn" not in text


def test_csv_leaves_blank_what_was_not_measured() -> None:
    for index in (2, 3, 5):
        record = records(full_run())[index]
        names = (
            "median_ms",
            "mad_ms",
            "min_ms",
            "mean_ms",
            "p95_ms",
            "outliers",
            "samples",
            "gflops",
            "gb_per_s",
        )
        assert {record[name] for name in names} == {""}
        assert record["reason"]
        assert record["backend"] == "Metal"


def test_csv_quotes_a_reason_with_commas() -> None:
    assert records(full_run())[3]["reason"].endswith("75 us; both were measured twice")
    lines = list(std_csv.reader(io.StringIO(csv.render(full_run()))))
    assert {len(each) for each in lines} == {len(lines[0])}


def test_csv_has_a_column_for_every_figure_with_its_unit() -> None:
    row = matmul(512, "auto", [1.0])
    figures = (
        Figure("process CPU", 2e4, "ns"),
        Figure("allocations a step", 3.0, ""),
        Figure("GPU", 1.0, "ns"),
    )
    whole = run(replace(row, results=(replace(row.results[0], figures=figures),)), numpy(512, [1.0]))
    ours, reference = records(whole)
    assert (ours["process_cpu_ns"], ours["allocations_a_step"], ours["gpu_ns"]) == ("20000.0", "3.0", "1.0")
    assert reference["process_cpu_ns"] == ""


def test_a_run_without_results_has_no_csv() -> None:
    assert csv.render(run()) == ""


@pytest.mark.parametrize("changes", [{}, {"clock": "wall"}, {"interrupted": True}, {"peak_gflops": 1e4}])
def test_json_gives_the_run_back(changes: dict[str, object]) -> None:
    whole = full_run(**changes)
    assert json.parse(json.render(whole)) == whole


def test_json_keeps_every_sample_in_columns_and_working_sets_as_numbers() -> None:
    again = json.parse(json.render(full_run()))
    assert again.rows[0].results[0].samples.gpu_ns == (0.4474 * MS,) * 7
    assert again.rows[0].results[0].samples.rounds == tuple(range(7))
    assert again.ceilings is not None
    assert again.ceilings.copy_gbps == {3 * 512 * 512 * 4: 93.5}
    document = std_json.loads(json.render(full_run()))
    samples = document["rows"][0]["results"][0]["samples"]
    assert samples["wall_ns"] == [1.1 * MS * 0.4474] * 7
    assert (samples["cpu_ns"], samples["faults"]) == ([], [])


def test_a_list_of_numbers_takes_one_line() -> None:
    lines = json.render(full_run()).splitlines()
    assert any(each.strip().startswith('"rounds": [0, 1, 2, 3, 4, 5, 6]') for each in lines)


def refuse(constant: str) -> float:
    raise AssertionError(f"{constant} is not JSON")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_json_is_strict_whatever_the_figures(value: float) -> None:
    whole = full_run()
    row = whole.rows[0]
    odd = replace(row.results[0], figures=(Figure(GFLOPS, value, GFLOPS),))
    text = json.render(
        replace(whole, rows=[replace(row, results=(odd,))], context={**whole.context, "odd": value})
    )
    assert std_json.loads(text, parse_constant=refuse)["schema_version"] == 2


def test_json_fits_its_schema() -> None:
    document = std_json.loads(json.render(full_run()), parse_constant=refuse)
    jsonschema.validate(document, json.schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "clock": "sundial"}, json.schema())


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"clock": "gpu"}', "not json", '{"schema_version": 1}', '{"schema_version": 2}']
)
def test_what_is_no_run_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        json.parse(text)


def test_a_document_of_another_schema_version_is_refused() -> None:
    document = std_json.loads(json.render(full_run()))
    with pytest.raises(ValueError, match="schema_version"):
        json.parse(std_json.dumps({**document, "schema_version": 3}))


def test_a_cpu_driver_is_called_one() -> None:
    adapter = {"name": "llvmpipe", "backend": "Vulkan", "type": "CPU", "driver": "Mesa 25.0.7"}
    assert ("Type", "CPU (a CPU driver: these are CPU results, not a GPU's)") in gpu_block(adapter)
    assert [label for label, _ in gpu_block(adapter, checked=True)][-1] == "Checks"
    assert [label for label, _ in gpu_block(adapter, checked=False)][-1] == "Driver"


def test_the_banner_is_a_closed_frame_that_ascii_can_show() -> None:
    lines = banner("0.1.0").splitlines()
    assert len(set(map(len, lines))) == 1
    assert "0.1.0" in lines[1]
    assert banner("0.1.0").translate(ASCII).isascii()


def test_the_text_of_a_table_can_be_shown_in_ascii() -> None:
    assert table.render(full_run()).translate(ASCII).replace("±", "+-").isascii()


def test_the_summary_grades_the_fastest_kernel_at_the_largest_size() -> None:
    text = table.render(
        run(matmul(64, "auto", [0.9]), *(matmul(512, by, [ms]) for by, ms in (("auto", 0.1), ("naive", 1.0))))
    )
    summary = next(part for part in text.split("\n\n") if part.startswith("category"))
    (graded,) = summary.splitlines()[2:]
    assert graded.split() == ["compute", "matmul", "512×512×512", "2,684", "GFLOPS", "75.0%", "excellent"]


def end_to_end(run: BenchRun) -> BenchRun:
    """The run with a result of its first problem measured from NumPy to NumPy."""
    parts = [Figure(part, 1e4 * (i + 1), "ns") for i, part in enumerate(kernels.PARTS)]
    row = run.rows[0]
    whole = Result(
        "ours",
        "ok",
        "wall",
        "end to end",
        VERIFIED,
        samples=Samples(1, (0,), wall_ns=(5e5,)),
        stats=row.results[0].stats,
        figures=(Figure(ROOFLINE, 1.0, "ns"), *parts),
    )
    return with_figures(replace(run, rows=[replace(row, results=(*row.results, whole)), *run.rows[1:]]))


def test_whole_calls_have_a_table_of_their_parts_and_no_line_among_the_kernels() -> None:
    text = table.render(end_to_end(full_run()))
    second = next(part for part in text.split("\n\n") if part.startswith("call, ms"))
    head, _, shown = second.splitlines()
    assert head.split()[2:] == [*kernels.PARTS.values(), "total", "vs", "NumPy"]
    assert shown.split()[:6] == ["512×512×512", "0.01", "0.02", "0.03", "0.04", "0.05"]
    assert len(grid(end_to_end(full_run()))) == len(grid(full_run()))
    assert "call: from NumPy arrays to a NumPy array" in joined(text)
    assert "call, ms" not in table.render(full_run())


def test_an_operation_bound_by_memory_shows_its_bandwidth() -> None:
    described = BenchProblem(
        "copy", "4 MiB", {"n": 1 << 20}, "f32", read_bytes=1 << 22, written_bytes=1 << 22
    )
    row = replace(matmul(problem(512, 512, 512), "copy", [0.1]), problem=described, reference="numpy")
    parts = table.render(run(row, command="elementwise")).split("\n\n")
    head = next(part for part in parts if part.startswith("problem")).splitlines()[0]
    assert "GB/s" in head
    assert "GFLOPS" not in head


def test_bars_of_long_names_fit_80_columns() -> None:
    long = replace(problem(64, 64, 64), name="z = " + " + ".join(["x"] * 40))
    drawn = table.render(run(matmul(long, "a/path/of/a/kernel/" * 5 + "k.wgsl", [1.0])), bars=True)
    bars = drawn[drawn.index("time:") :].splitlines()
    assert bars[1].startswith("z = x + x")
    assert "kernel/k.wgsl  ████" in drawn
    assert max(map(len, drawn.splitlines())) <= 80
