"""Tables of 80 columns: which columns go, what is wrapped, and that every report keeps to it."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rusty_py.bench.matmul_suite import problem_of
from rusty_py.bench.overhead import eager
from rusty_py.bench.overhead.work import HELPER, OURS, PLAIN
from rusty_py.bench.report import json, table
from rusty_py.bench.report.columns import WIDE_ONLY, WIDTH, Column, Table, fitted, table_of
from rusty_py.bench.report.views import view_of
from rusty_py.bench.shapes import Size
from rusty_py.bench.transfer import GIB, row_name
from rusty_py.bench.transfer.copies import MEMCPY, STAGED
from rusty_py.bench.transfer.torch_copies import PAGEABLE, PINNED
from rusty_py.dtypes import F16
from rusty_py.measure.document import BenchProblem, BenchRun, Figure, Result

from .rows import overhead, row, transfer
from .runs import full_run, matmul, numpy, run, skipped

RESULTS = sorted((Path(__file__).parents[3] / "benchmarks" / "results").glob("*/*.json"))
OLDER = sorted((Path(__file__).parent / "version1").glob("*.json"))

NAME = "a kernel with a name of so many words that it fills most of a line"
COLUMNS = [
    Column("name", right=False),
    Column("ms"),
    Column("note", right=False, rank=2),
    Column("low", rank=3),
    Column("high", rank=3),
    Column("p95", rank=WIDE_ONLY),
]
LINE = ["512×512×512", "1.234", "memory", "1.1", "1.3", "1.4"]


def fits(text: str) -> bool:
    return max(map(len, text.splitlines())) <= WIDTH


def test_columns_without_content_are_left_out() -> None:
    lines = [["a", "1", "", "", "", ""], ["b", "", "", "2", "", ""]]
    made = table_of(COLUMNS, lines)
    assert made.header == ["name", "ms", "low"]
    assert made.lines == (("a", "1", ""), ("b", "", "2"))


def test_a_table_that_fits_lacks_only_the_columns_of_wide_tables() -> None:
    assert fitted(table_of(COLUMNS, [LINE])).header == ["name", "ms", "note", "low", "high"]


@pytest.mark.parametrize(
    ("width", "left"),
    [
        (40, ["name", "ms", "note", "low", "high"]),
        (35, ["name", "ms", "note", "low"]),
        (30, ["name", "ms", "note"]),
        (20, ["name", "ms"]),
    ],
)
def test_columns_of_the_highest_rank_go_first_and_the_last_of_them_before_the_others(
    width: int, left: list[str]
) -> None:
    assert fitted(table_of(COLUMNS, [LINE]), width).header == left


def test_text_is_wrapped_where_no_column_is_left_to_go() -> None:
    long = fitted(table_of(COLUMNS[:2], [[NAME, "1.234"]]), 40)
    assert long.width <= 40
    ((name, ms),) = long.lines
    assert name.replace("\n", " ") == NAME
    assert ms == "1.234"


def test_several_long_texts_are_wrapped_to_the_same_width() -> None:
    columns = [COLUMNS[0], Column("kernel", right=False), COLUMNS[1]]
    made = fitted(table_of(columns, [[NAME, NAME, "1.234"]]), 60)
    assert made.width <= 60
    first, second, ms = made.widths
    assert abs(first - second) < 12
    assert ms == 5
    assert [cell.replace("\n", " ") for cell in made.lines[0]] == [NAME, NAME, "1.234"]


def test_wrapped_cells_are_aligned_with_the_first_line_of_their_row() -> None:
    text = table.text_of(fitted(table_of(COLUMNS[:2], [[NAME, "1.234"], ["b", "2"]]), 40))
    head, rule, first, *_, last = text.splitlines()
    assert first.endswith("1.234")
    assert (len(head), len(rule)) == (len(first), len(first))
    assert last.split() == ["b", "2"]


def test_a_title_is_above_its_table() -> None:
    titled = Table((Column("name"),), (("a",),), title="Kernels")
    assert table.text_of(titled).splitlines()[0] == "Kernels"


@given(
    st.lists(st.text("abc ", min_size=1, max_size=120).map(str.strip).filter(bool), min_size=1, max_size=4),
    st.integers(0, 9),
)
def test_a_long_text_among_many_numbers_always_fits(names: list[str], numbers: int) -> None:
    columns = [COLUMNS[0], *(Column(f"n {i}", rank=i) for i in range(numbers))]
    assert fitted(table_of(columns, [[name, *["123.45"] * numbers] for name in names])).width <= WIDTH


def longest_matmul() -> BenchRun:
    """Sizes of the most digits, on a machine faster than any."""
    sizes = [Size(999_999_999, 999_999_999, 999_999_999, 99_999, layout) for layout in ("nn", "tt")]
    rows = []
    for problem in (problem_of(size, dtype=F16, accumulate_dtype=F16) for size in sizes):
        ms = problem.flops / 9_999_999.0 / 1e6
        rows += [
            matmul(problem, "auto", [ms, 1.3 * ms], roofline_gflops=9e6, plan="x" * 70),
            matmul(problem, "register-tiled (CPU)", [2 * ms, 3 * ms, 4 * ms], roofline_gflops=9e6),
            skipped(problem, "tile 32", "no room for " + "something " * 30),
            numpy(problem, [12345 * ms]),
        ]
    return run(*rows, peak_gflops=1e7, failure="the device was lost " * 9)


def longest_operations() -> BenchRun:
    made = full_run(command="elementwise")
    rows = []
    for i in range(3):
        described = BenchProblem(
            "a fused operation of several arrays",
            f"relu(a @ b + bias) over {10**i} arrays of 1048576x1048576 elements, transposed",
            {"n": 2**i << 30},
            "f32",
            flops=2**i << 30,
            read_bytes=2**i << 33,
            written_bytes=2**i << 32,
        )
        kernel, reference = made.rows[0].results[1], made.rows[0].results[4]
        parts = [Figure(part, 9.99e9, "ns") for part in ("compile", "upload", "dispatch", "GPU", "download")]
        whole = replace(kernel, by="ours", scope="end to end", clock="wall", figures=tuple(parts))
        results = (kernel, replace(reference, by="torch"), whole)
        rows.append(replace(made.rows[0], problem=described, results=results, reference="torch"))
    return replace(made, rows=rows)


def longest_overhead() -> BenchRun:
    ours, timed = row("", {OURS: 123456.0, eager.TIMED: 123457.0}, clock="wall").results
    parts = [
        Figure(name, 1.23456e9, "ns")
        for name in (eager.PROCESS_CPU, "Python", "wgpu-native", "waiting", "timing")
    ]
    both = [replace(each, figures=tuple(parts)) for each in (ours, timed)]
    return overhead(
        row(
            f"{NAME}, and what follows from it on the host and on the device",
            {OURS: 9999999.0, PLAIN: 8888888.0, HELPER: 7777777.0},
            seed="a published figure, " * 8,
        ),
        row(f"{NAME}, eagerly", {OURS: both[0], eager.TIMED: both[1]}, clock="wall"),
        row(NAME, {OURS: Result(OURS, "wrong", reason="it differs " * 30)}),
    )


def longest_transfer() -> BenchRun:
    times = {MEMCPY: 1.0, OURS: 100.0, STAGED: 200.0, PLAIN: 300.0, PINNED: 2.0, PAGEABLE: 3.0}
    sizes = (999_999_996, 512 * GIB)
    rows = [row(row_name("download", nbytes), times, clock="wall", nbytes=nbytes) for nbytes in sizes]
    return transfer(*rows)


HAND_MADE = {
    "matmul": longest_matmul,
    "operations": longest_operations,
    "overhead": longest_overhead,
    "transfer": longest_transfer,
    "every verdict": full_run,
    "nothing": run,
}


@pytest.mark.parametrize("path", [*RESULTS, *OLDER], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_reports_of_result_files_fit_80_columns(path: Path) -> None:
    made = json.parse(path.read_text(encoding="utf-8"))
    assert fits(table.render(made))
    assert fits(table.render(made, legend=False))


@pytest.mark.parametrize("name", HAND_MADE)
def test_reports_of_long_names_and_large_numbers_fit_80_columns(name: str) -> None:
    made = HAND_MADE[name]()
    assert fits(table.render(made))


@pytest.mark.parametrize("name", HAND_MADE)
def test_a_wide_report_has_every_column_that_has_content(name: str) -> None:
    made = HAND_MADE[name]()
    wide = table.render(made, wide=True)
    for each in view_of(made).tables(made):
        assert table.text_of(each) in wide
    narrow = table.render(made)
    assert max(map(len, wide.splitlines())) >= max(map(len, narrow.splitlines()))


def test_what_matters_is_in_80_columns() -> None:
    """Sizes, kernels, times, rates and the share of the ceiling are never left out."""
    for made, columns in (
        (longest_matmul(), {"M×K×N", "kernel", "ms (GPU)", "GFLOPS", "ceiling"}),
        (longest_operations(), {"problem", "ms (GPU)", "GB/s", "ceiling"}),
        (longest_overhead(), {OURS, PLAIN, "ratio"}),
        (longest_transfer(), {"GB/s", MEMCPY, OURS, "of memcpy"}),
    ):
        first, *_ = view_of(made).tables(made)
        assert columns <= set(fitted(first).header)
