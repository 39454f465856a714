"""The reports: each a pure function of a run."""

import csv as std_csv
import io
import json as std_json
import math
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from rusty_py.bench.report import csv, json, markdown, table
from rusty_py.bench.report.rows import ASCII, banner, figure, gpu_block, header, numpy_ms, rows
from rusty_py.bench.run import Baseline, BenchRun
from rusty_py.bench.suites.matmul import case, problem, problem_of
from rusty_py.bench.suites.shapes import Size
from rusty_py.dtypes import F16

from .runs import MS, around, full_run, matmul, result, run

RESULTS = Path(__file__).parents[3] / "benchmarks" / "results"


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def grid(run: BenchRun) -> list[list[str]]:
    """The rows of the Markdown table, split into cells; the head first."""
    lines = [line for line in markdown.render(run).splitlines() if line.startswith("|")]
    return [cells(line) for line in lines[:1] + lines[2:]]


def records(run: BenchRun) -> list[dict[str, str]]:
    return list(std_csv.DictReader(io.StringIO(csv.render(run))))


def test_a_row_for_every_case_in_every_table() -> None:
    whole = full_run()
    verdicts = ["ok", "ok", "wrong", "rejected", "skipped"]
    assert [record["verdict"] for record in records(whole)] == verdicts
    assert len(list(rows(whole))) == len(grid(whole)) - 1 == 5
    assert {len(row) for row in rows(whole)} == {len(header(whole))}


def test_a_right_row_shows_time_rate_ceiling_and_error() -> None:
    row = dict(zip(*[grid(full_run())[i] for i in (0, 2)], strict=True))
    assert row == {
        "M×K×N": "512×512×512",
        "kernel": "tile 16",
        "ms (GPU)": "0.100",
        "± %": "0.0",
        "GFLOPS": "2,684",
        "% of ceiling": "75.0%",
        "× NumPy": "30",
        "error": "0.018",
        "note": "best, compute-bound",
    }


def test_a_single_sample_shows_no_spread() -> None:
    one = run(result(matmul(512, "naive"), [0.4]), result(matmul(512, 16), [0.1, 0.3]))
    head, first, second = grid(one)
    assert (first[head.index("± %")], second[head.index("± %")]) == ("", "50.0")
    assert [record["mad_ms"] for record in records(one)] == ["", "0.1"]
    # The schema has no blank for it, and `n` beside it says why it is 0.
    stats = [each["stats"] for each in std_json.loads(json.render(one))["results"]]
    assert [(each["mad"], each["iqr"], each["n"]) for each in stats] == [(0.0, 0.0, 1), (1e5, 1e5, 2)]


@pytest.mark.parametrize(
    ("index", "kernel", "said", "reason"),
    [
        (3, "tile 8", "WRONG", "61.33% of C never written"),
        (4, "tile 32", "REJECTED", "11,767 GFLOPS is 329%"),
        (5, "naive", "skipped", "needs about 90 s"),
    ],
)
def test_a_row_that_does_not_count_shows_its_reason_and_no_figures(
    index: int, kernel: str, said: str, reason: str
) -> None:
    row = grid(full_run())[index]
    assert row[1:3] == [kernel, said]
    assert row[-1].startswith(reason)
    assert set(row[3:-1]) == {""}


@pytest.mark.parametrize("render", [table.render, markdown.render, csv.render])
def test_a_rejected_rate_stands_nowhere_but_in_its_reason(render: object) -> None:
    text = render(full_run())
    assert text.count("11,767") == 1
    assert "11767" not in text.replace("11,767 GFLOPS is 329%", "")


def test_the_clock_stands_in_the_head_of_the_column_it_rules() -> None:
    assert "ms (GPU)" in header(full_run())
    assert "ms (wall)" in header(full_run(clock="wall"))
    assert "the wall clock over batched runs" in table.render(full_run(clock="wall"))


def test_peak_adds_a_column_and_says_whose_figure_it_is() -> None:
    whole = full_run(peak_gflops=4_300.0)
    assert grid(whole)[0].index("% of peak") == grid(full_run())[0].index("% of ceiling") + 1
    row = dict(zip(*[grid(whole)[i] for i in (0, 2)], strict=True))
    assert row["% of peak"] == "62.4%"
    assert "peak: 4,300 GFLOPS, from --peak." in table.render(whole)
    assert {len(row) for row in grid(whole)} == {10}


def test_without_peak_nothing_speaks_of_one() -> None:
    assert "peak" not in table.render(full_run()) + markdown.render(full_run())


def test_the_table_lines_its_figures_up_to_the_right() -> None:
    lines = table.render(run(result(matmul(512, 8), [1.0]), result(matmul(512, 16), [100.0]))).splitlines()
    ends = [line.index(ms) + len(ms) for line, ms in zip(lines[2:4], ("1.000", "100.000"), strict=True)]
    assert ends[0] == ends[1]


@pytest.mark.parametrize("render", [table.render, markdown.render])
def test_a_report_says_what_its_columns_mean_and_who_won(render: object) -> None:
    text = render(full_run())
    for said in (
        "timestamps agree with the wall clock within 0.3%",
        "ceiling: 3,579 GFLOPS of f32 multiply-adds, measured here",
        "np.matmul in float32 on Apple M4 (openblas 0.3.30, 10 threads)",
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


def test_a_run_that_was_interrupted_within_a_round_can_be_shown() -> None:
    cut = run(
        result(matmul(512, 8), around(2.0, 8)), result(matmul(512, 16), around(1.0, 7)), interrupted=True
    )
    assert "interrupted" in table.render(cut)
    assert "interrupted" in markdown.render(cut)


def test_a_budget_that_was_used_up_is_told_once() -> None:
    budget = "budget: cut short after 3 samples; try --max-time"
    whole = run(*(result(matmul(512, tile), [1.0] * 3, stopped=budget) for tile in (8, 16)))
    assert table.render(whole).count(budget) == 1


@pytest.mark.parametrize("render", [table.render, markdown.render, json.render])
def test_a_run_without_any_result_can_be_shown(render: object) -> None:
    assert render(run())


def test_numpys_time_is_the_median_of_its_samples() -> None:
    measured, size = result(matmul(512, 8), [1.0]), problem(512, 512, 512)
    for samples, expected in (((3.0, 1.0, 2.0), 2.0), ((4.0, 1.0, 2.0, 3.0), 2.5), ((5.0,), 5.0)):
        baseline = Baseline(size, tuple(MS * ms for ms in samples))
        assert numpy_ms(size, run(measured, baselines=[baseline])) == expected


def test_without_numpys_time_there_is_no_ratio() -> None:
    measured = result(matmul(512, 8), [1.0])
    other = Baseline(problem(64, 64, 64), (MS,))
    assert numpy_ms(measured.case.problem, run(measured, baselines=[other])) is None
    assert grid(run(measured, baselines=[other]))[1][6] == ""


def test_large_ratios_are_written_out() -> None:
    measured = result(matmul(512, 8), [1.0])
    baseline = Baseline(problem(512, 512, 512), (1234.0 * MS,))
    assert "e+" not in grid(run(measured, baselines=[baseline]))[1][6]


@pytest.mark.parametrize(
    ("value", "said"),
    [(11767.4, "11,767"), (100.0, "100"), (53.64, "53.6"), (10.0, "10.0"), (1.234, "1.23"), (0.0, "0.00")],
)
def test_rates_are_rounded_for_reading(value: float, said: str) -> None:
    assert figure(value) == said


def test_csv_holds_plain_numbers_in_full() -> None:
    record = records(full_run())[1]
    assert record["suite"] == "matmul"
    assert (record["m"], record["k"], record["n"], record["dtype"]) == ("512", "512", "512", "f32")
    assert float(record["median_ms"]) == pytest.approx(0.1)
    assert float(record["gflops"]) == pytest.approx(2684.35456)
    assert float(record["numpy_ms"]) == 3.0
    assert (record["samples"], record["clock"], record["adapter"]) == ("7", "gpu", "Apple M4")


def test_batches_layouts_and_f16_stand_in_every_table() -> None:
    size = Size(512, 512, 256, products=4, layout="nt")
    odd = replace(case(problem_of(size, dtype=F16), "auto"), plan="4×512×512×256: blocked")
    whole = run(result(odd, [1.0]))
    record = records(whole)[0]
    assert {name: record[name] for name in ("products", "m", "layout", "dtype", "sums", "kernel")} == {
        "products": "4",
        "m": "512",
        "layout": "nt",
        "dtype": "f16",
        "sums": "f32",
        "kernel": "auto",
    }
    assert record["plan"] == "4×512×512×256: blocked"
    assert grid(whole)[1][:2] == ["4×512×512×256 nt", "auto"]
    for text in (table.render(whole), markdown.render(whole)):
        for said in (
            "auto: 4×512×512×256: blocked",
            "as a fraction of the float32 rounding bound, and one rounding to float16.",
            "P×M×K×N: P products at once.",
            "nn, nt, tn, tt: layouts of a and b",
        ):
            assert said in text


def test_plain_products_in_f32_have_no_words_on_batches_and_layouts() -> None:
    text = table.render(full_run())
    assert "error: maximum error relative to float64, as a fraction of the float32 rounding bound.\n" in text
    assert "P×M×K×N" not in text
    assert "tn" not in text


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*/matmul*.json")), ids=lambda path: path.parent.name)
def test_files_from_before_batches_and_plans_are_read_and_shown(path: Path) -> None:
    whole = json.parse(path.read_text(encoding="utf-8"))
    cases = [result.case for result in whole.results]
    assert {(case.problem.layout, case.problem.sums) for case in cases} == {("nn", "f32")}
    assert {record["products"] for record in records(whole)} == {"1"}
    jsonschema.validate(std_json.loads(json.render(whole)), json.schema())
    assert table.render(whole)


def test_csv_leaves_blank_what_was_not_measured() -> None:
    for record in records(full_run())[2:]:
        assert {record[name] for name in ("median_ms", "mad_ms", "min_ms", "samples", "gflops")} == {""}
        assert record["reason"]
        assert record["backend"] == "Metal"


def test_csv_quotes_a_reason_with_commas() -> None:
    assert records(full_run())[3]["reason"].endswith("3,579; both were measured twice")
    lines = list(std_csv.reader(io.StringIO(csv.render(full_run()))))
    assert {len(line) for line in lines} == {len(lines[0])}


@pytest.mark.parametrize("changes", [{}, {"clock": "wall"}, {"interrupted": True}, {"peak_gflops": 1e4}])
def test_json_gives_the_run_back(changes: dict[str, object]) -> None:
    whole = full_run(**changes)
    assert json.parse(json.render(whole)) == whole


def test_json_keeps_every_sample_and_working_sets_as_numbers() -> None:
    again = json.parse(json.render(full_run()))
    assert again.results[0].samples[6].gpu_ns == 0.4474 * MS
    assert again.ceilings.copy_gbps == {3 * 512 * 512 * 4: 93.5}


def test_ceilings_without_reads_are_those_of_an_older_file() -> None:
    document = std_json.loads(json.render(full_run()))
    del document["ceilings"]["read_gbps"]
    for each in document["results"]:
        del each["case"]["problem"]["written_bytes"]
    older = json.parse(std_json.dumps(document))
    assert older.ceilings == full_run().ceilings
    (first, *_) = older.results
    assert older.ceilings.memory_gflops(first.case.problem) == pytest.approx(
        93.5 * first.case.problem.flops / first.case.problem.bytes
    )


def refuse(constant: str) -> float:
    raise AssertionError(f"{constant} is not JSON")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_json_is_strict_whatever_the_figures(value: float) -> None:
    whole = full_run()
    odd = replace(whole.results[0], gflops=value)
    text = json.render(replace(whole, results=[odd], context={**whole.context, "odd": value}))
    assert std_json.loads(text, parse_constant=refuse)["schema_version"] == 1


def test_json_fits_its_schema() -> None:
    document = std_json.loads(json.render(full_run()), parse_constant=refuse)
    jsonschema.validate(document, json.schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "clock": "sundial"}, json.schema())


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"clock": "gpu"}', "not json"])
def test_what_is_no_run_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        json.parse(text)


def test_a_document_of_another_schema_version_is_refused() -> None:
    document = std_json.loads(json.render(full_run()))
    with pytest.raises(ValueError, match="schema_version"):
        json.parse(std_json.dumps({**document, "schema_version": 2}))


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


def test_the_words_of_a_table_can_be_shown_in_ascii() -> None:
    assert table.render(full_run()).translate(ASCII).replace("±", "+-").isascii()
