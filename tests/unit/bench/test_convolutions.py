"""Convolutions to measure: sizes, names, sweeps and presets; and the report of a made-up run."""

from dataclasses import replace

import pytest

from rusty_py.bench.conv2d import _algorithms
from rusty_py.bench.convolutions import (
    PRESETS,
    RESOLUTIONS,
    Convolution,
    Sweep,
    parse_channels,
    parse_image,
)
from rusty_py.bench.report import convolutions, csv, json, markdown, table
from rusty_py.measure.document import BenchProblem, BenchRun, Figure, Result, Row, Samples, Verification
from rusty_py.measure.runner import finished

from .runs import CONTEXT, MS, around

SEED = {
    (800, 600): {"basic": 12_591.0, "optimized": 11_305.0, "torch": 1_080.9},
    (1024, 768): {"basic": 20_204.0, "optimized": 18_214.0, "torch": 1_817.5},
    (1920, 1080): {"basic": 54_508.0, "optimized": 47_503.0, "torch": 4_790.6},
}
"""Microseconds of a published table."""


def row_of(each: Convolution, times_us: dict[str, float]) -> Row:
    """A row with a result for each time."""
    problem = BenchProblem("conv2d", each.name, each.axes, "f32", {"layout": "NCHW"}, flops=each.flops)
    results = []
    for by, us in times_us.items():
        times = tuple(MS * ms for ms in around(us / 1e3))
        samples = Samples(1, tuple(range(len(times))), wall_ns=times, gpu_ns=times)
        figures = () if by == "torch" else (Figure("workspace", 2.5e6, "B"),)
        verified = Verification("every element against float64", error=0.1)
        result = Result(by, "ok", "gpu", "kernel", verified, samples=samples, figures=figures)
        results.append(result)
    return Row(problem, tuple(results), "torch", "settled")


def run_of(*rows: Row) -> BenchRun:
    return finished(BenchRun("conv2d", CONTEXT, list(rows), clock="gpu", clock_reason="they agree"))


def seed_run() -> BenchRun:
    return run_of(*(row_of(Convolution(*image), times) for image, times in SEED.items()))


def lines_after(text: str, title: str) -> list[list[str]]:
    """The cells of the lines of the table whose first column has this header."""
    lines = text.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith(title)) + 2
    return [line.split() for line in lines[first : lines.index("", first)]]


def test_sizes_of_the_result_follow_from_stride_padding_and_dilation() -> None:
    assert (Convolution(800, 600).out_width, Convolution(800, 600).out_height) == (800, 600)
    strided = Convolution(224, 223, 3, 64, batch=32, kernel=7, stride=2)
    assert (strided.out_width, strided.out_height, strided.pixels) == (112, 112, 32 * 112 * 112)
    dilated = Convolution(9, 8, 2, 4, kernel=3, padding=0, dilation=2)
    assert (dilated.out_width, dilated.out_height) == (5, 4)
    assert Convolution(8, 8, 6, 6, groups=6).flops == 2 * 8 * 8 * 6 * 9


def test_a_name_has_what_differs_from_a_3x3_convolution_of_the_same_size() -> None:
    assert Convolution(800, 600).name == "800×600 3:64"
    assert Convolution(800, 600, padding=1).name == "800×600 3:64"
    assert Convolution(224, 224, 3, 64, batch=32, kernel=7, stride=2).name == "224×224 3:64 n32 k7 s2"
    assert Convolution(56, 56, 96, 96, groups=96, padding=0).name == "56×56 96:96 p0 g96"


def test_convolutions_that_cannot_be_have_a_fault() -> None:
    assert "do not divide" in Convolution(8, 8, 3, 64, groups=2).fault()
    assert "larger than" in Convolution(2, 2, kernel=5, padding=0).fault()
    assert not Convolution(8, 8).fault()


def test_a_sweep_has_every_combination_once() -> None:
    found = Sweep(((8, 8), (9, 8)), ((3, 4),), batch=(1, 2), kernel=(1, 3, 3)).convolutions()
    assert [each.name for each in found] == [
        *("8×8 3:4 k1", "9×8 3:4 k1", "8×8 3:4", "9×8 3:4"),
        *("8×8 3:4 n2 k1", "9×8 3:4 n2 k1", "8×8 3:4 n2", "9×8 3:4 n2"),
    ]


def test_every_preset_has_convolutions_of_different_names() -> None:
    assert [(each.width, each.height) for each in PRESETS["resolutions"]] == list(RESOLUTIONS)
    for preset in PRESETS.values():
        assert not any(each.fault() for each in preset)
        assert len({each.name for each in preset}) == len(preset)
    assert len(PRESETS["layers"]) == 13


def test_sizes_and_channels_are_parsed_or_refused() -> None:
    assert parse_image("800x600") == (800, 600)
    assert [parse_channels(text) for text in ("3:64", "32")] == [(3, 64), (32, 32)]
    for parse, texts in ((parse_image, ("800", "0x5", "8x8x8")), (parse_channels, ("0:3", "a", "3:"))):
        for text in texts:
            with pytest.raises(ValueError, match="is not"):
                parse(text)


def test_algorithms_are_those_that_conv2d_knows() -> None:
    assert list(_algorithms(["auto", "basic"])) == ["auto", "basic"]
    assert set(_algorithms([])) >= {"basic", "auto"}


def test_the_configuration_stands_before_the_results() -> None:
    shown = table.render(seed_run()).splitlines()
    head = next(i for i, line in enumerate(shown) if line.startswith("size "))
    for line in (
        "  Device:    Apple M4",
        "  Images:    800×600, 1024×768, 1920×1080",
        "  Batch:     1",
        "  Channels:  3 in, 64 out",
        "  Kernel:    3×3",
        "  Stride:    1",
        "  Padding:   1",
        "  Dilation:  1",
        "  Dtype:     f32",
        "  Layout:    NCHW",
    ):
        assert line in shown[:head]


def test_times_have_separators_the_ratio_its_direction_and_the_gain_its_percentage() -> None:
    text = table.render(seed_run())
    assert max(map(len, text.splitlines())) <= 80
    cells = lines_after(text, "size     ")
    assert len(cells) == 6
    assert cells[0] == ["800×600", "basic", "12,591.00", "132", "1,080.90", "11.6x", "slower"]
    assert cells[1][2:3] + cells[1][-4:] == ["11,305.00", "10.5x", "slower", "10.2%", "less"]
    assert [line[-2] for line in cells[1::2]] == ["10.2%", "9.8%", "12.9%"]


def test_time_per_pixel_grows_with_an_exponent_by_implementation() -> None:
    cells = {line[0]: line[1:] for line in lines_after(table.render(seed_run()), "ns/pixel")}
    assert cells["basic"] == ["26.2", "25.7", "26.3", "1.00"]
    assert set(cells) == {"basic", "optimized", "PyTorch"}


def test_every_implementation_has_its_spread_and_algorithms_their_memory() -> None:
    lines = table.render(seed_run()).splitlines()
    first = next(i for i, line in enumerate(lines) if "outliers" in line)
    assert lines[first].split()[2:] == ["ns/pixel", "MB", "low", "us", "mean", "us", "high", "us", "outliers"]
    basic, _, reference = (line.split() for line in lines[first + 2 : first + 5])
    assert (basic[2:4], basic[-1]) == (["26.2", "2.5"], "0")
    assert (reference[1], len(reference)) == ("PyTorch", len(basic) - 1)


def test_bars_show_times_and_ratios_of_every_size() -> None:
    text = table.render(seed_run(), bars=True)
    times, ratios = text.split("time:\n")[1].split("compared with the reference:\n")
    assert times.count("█ 12.6 ms") == 1
    assert sum("torch" in line and "█" in line for line in times.splitlines()) == 3
    assert ratios.count("x slower") >= 6


def test_rows_that_differ_in_more_than_the_image_have_no_exponent() -> None:
    rows = [row_of(Convolution(80, 60, kernel=k), {"basic": 10.0 * k, "torch": 5.0}) for k in (1, 3)]
    text = table.render(run_of(*rows))
    assert "exponent" not in text
    assert "80×60 k1 " in text
    assert "  Kernel:    1×1, 3×3" in text


def test_labels_leave_out_what_all_rows_have_in_common() -> None:
    convolutions_ = [Convolution(8, 8, batch=2), Convolution(8, 8, batch=2, kernel=5)]
    run = run_of(*(row_of(each, {"basic": 1.0}) for each in convolutions_))
    assert list(convolutions.labels(run).values()) == ["8×8", "8×8 k5"]


def test_wrong_skipped_and_missing_results_are_shown_without_numbers() -> None:
    whole = seed_run()
    first = whole.rows[0]
    wrong = replace(first.results[0], verdict="wrong", stats=None, figures=(), reason="of no use")
    whole.rows[0] = replace(first, results=(wrong, *first.results[1:]))
    text = table.render(whole)
    assert lines_after(text, "size     ")[0] == ["800×600", "basic", "WRONG"]
    assert "WRONG: 800×600 3:64, basic: of no use" in text
    assert table.render(run_of())


def test_every_format_has_the_run_and_json_reads_back() -> None:
    whole = seed_run()
    assert "| 800×600" in markdown.render(whole)
    assert csv.render(whole).count("\n") == 9
    assert json.parse(json.render(whole)).rows == whole.rows
