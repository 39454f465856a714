"""The command `rusty-bench matmul`."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from rusty_py.bench import shapes
from rusty_py.bench.command import measure_and_report
from rusty_py.bench.options import (
    AccumulateDtypeOption,
    AdapterOption,
    AsciiOption,
    BarsOption,
    DtypeOption,
    Element,
    ForceOption,
    FormatOption,
    JsonOption,
    OutOption,
    Preset,
    PresetOption,
    ReferenceOption,
    RunsOption,
    SeedOption,
    SizeOption,
    WideOption,
    choose_adapter,
    finite,
    parts,
)
from rusty_py.bench.output import Format, Output, complain, progress_line, show
from rusty_py.bench.shapes import Size
from rusty_py.errors import DtypeError

if TYPE_CHECKING:
    from rusty_py.bench.matmul_suite import MatmulSuite
    from rusty_py.runtime.adapter import Adapter

TILES = ("auto", "naive", "8", "16", "32")
LADDER = {"CPU": (64, 128, 256, 512), "GPU": (512, 1024, 2048, 4096)}
PRESET_SECONDS = 300.0
"""The default budget of a preset on a GPU."""


def _peak(value: float | None) -> float | None:
    """Rejects what no machine has, and what is no number."""
    if value is not None and not 1e-9 <= value <= 1e12:
        raise typer.BadParameter(f"{value} is not between 1e-9 and 1e12")
    return value


def matmul(
    size: SizeOption = None,
    preset: PresetOption = None,
    tile: Annotated[
        list[str] | None,
        typer.Option("--tile", metavar="TILES", help="auto, naive, 8, 16 or 32. Default: all."),
    ] = None,
    dtype: DtypeOption = Element.f32,
    accumulate_dtype: AccumulateDtypeOption = Element.f32,
    reference: ReferenceOption = "numpy",
    adapter: AdapterOption = None,
    warmup: Annotated[
        float | None,
        typer.Option(min=0, callback=finite, metavar="SECONDS", help="Warm-up per row. Default: one sample."),
    ] = None,
    runs: RunsOption = None,
    min_time: Annotated[
        float | None,
        typer.Option(min=0, callback=finite, metavar="SECONDS", help="Sample each row at least this long."),
    ] = None,
    max_time: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            callback=finite,
            metavar="SECONDS",
            help=f"Budget. Default: 60 (GPU preset: {PRESET_SECONDS:.0f}).",
        ),
    ] = None,
    peak: Annotated[
        float | None,
        typer.Option(callback=_peak, metavar="GFLOPS", help="Adds a column: % of this."),
    ] = None,
    seed: SeedOption = None,
    calibrate: Annotated[
        bool,
        typer.Option("--calibrate", help="Calibrate first, unless that was done."),
    ] = False,
    json: JsonOption = None,
    out: OutOption = None,
    force: ForceOption = False,
    format: FormatOption = Format.table,
    wide: WideOption = False,
    bars: BarsOption = False,
    ascii: AsciiOption = False,
) -> None:
    """Verifies, times and compares the matmul kernels.

    A size is N, MxKxN, or PxMxKxN for a batch of P products; a suffix :tn, :nt or :tt transposes operands.
    Tile auto is the kernel that rusty_py.matmul selects, and the only one that --preset measures. Separate
    sizes and tiles with commas, or repeat the option. --accumulate-dtype f16 requires --dtype f16.

    Example: rusty-bench matmul --size 1024,8x512x2048x512:nt --tile auto,16
    """
    sizes = [parse_size(text) for text in parts(size)]
    tiles = [parse_tile(text) for text in parts(tile) or (TILES[:1] if preset else TILES)]
    refuse_contradictions(
        preset=preset,
        sizes=sizes,
        dtype=dtype,
        accumulate_dtype=accumulate_dtype,
        runs=runs,
        min_time=min_time,
    )
    output = Output(format, json, out, force, wide, bars, ascii)
    chosen = choose_adapter(adapter)
    check_dtype(chosen, dtype)
    output.check()

    from rusty_py.bench.kernel_suites import measure
    from rusty_py.measure.sampling import Options

    if preset and not chosen.is_cpu:
        max_time = max_time or PRESET_SECONDS
    if calibrate:
        max_time = _after_calibration(chosen, max_time or 60.0, output)
    options = Options.for_adapter(
        chosen, warmup_s=warmup, runs=runs, min_time_s=min_time, max_time_s=max_time, seed=seed
    )
    suite = suite_of(
        sizes or default_sizes(chosen, preset),
        tiles,
        dtype,
        accumulate_dtype,
        reference=reference,
        whole_calls=not preset,
    )
    measure_and_report(chosen, partial(measure, suite, peak_gflops=peak), options, output)


def _after_calibration(adapter: "Adapter", budget_s: float, output: Output) -> float:
    """Calibrates the adapter, unless that was done; returns the seconds that are left of the budget.

    The line about it is a heading of the table; other formats hold the results alone.
    """
    from rusty_py.bench.calibration import precede

    with progress_line(ascii=output.ascii) as progress:
        seconds, line = precede(adapter, budget_s=budget_s, progress=progress)
    if line and output.format == Format.table:
        show(line, ascii=output.ascii)
    elif line:
        complain(line)
    return budget_s - seconds


def parse_size(text: str) -> Size:
    """The size in `text`. Raises a usage error if it is invalid."""
    try:
        return shapes.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--size") from error


def parse_tile(text: str) -> int | str:
    """A tile edge, "naive" or "auto"."""
    if text not in TILES:
        raise typer.BadParameter(f"{text!r} is not a tile: auto, naive, 8, 16 or 32", param_hint="--tile")
    return int(text) if text.isdecimal() else text


def refuse_contradictions(
    *,
    preset: Preset | None,
    sizes: Sequence[Size],
    dtype: Element,
    accumulate_dtype: Element,
    runs: int | None,
    min_time: float | None,
) -> None:
    """Raises a usage error for options that contradict each other."""
    if runs and min_time:
        raise typer.BadParameter("cannot be combined with --min-time", param_hint="--runs")
    if preset and sizes:
        raise typer.BadParameter("cannot be combined with --size", param_hint="--preset")
    if accumulate_dtype == Element.f16 and dtype != Element.f16:
        raise typer.BadParameter("f16 needs --dtype f16", param_hint="--accumulate-dtype")


def check_dtype(adapter: "Adapter", dtype: Element) -> None:
    """Raises DtypeError if the adapter does not support `dtype`."""
    if dtype == Element.f16 and "shader-f16" not in adapter.features:
        raise DtypeError(f"matmul: {adapter} does not compute in f16: use --dtype f32")


def default_sizes(adapter: "Adapter", preset: Preset | None) -> list[Size]:
    """The sizes of the preset, else a ladder of square sizes."""
    if preset:
        return shapes.preset()
    return [Size(n, n, n) for n in LADDER["CPU" if adapter.is_cpu else "GPU"]]


def suite_of(
    sizes: Sequence[Size],
    tiles: Sequence[int | str],
    dtype: Element,
    accumulate_dtype: Element,
    *,
    reference: str,
    whole_calls: bool,
) -> "MatmulSuite":
    """The suite to measure."""
    from rusty_py.bench.matmul_suite import MatmulSuite
    from rusty_py.dtypes import DTYPES
    from rusty_py.measure.references import library

    return MatmulSuite(sizes, tiles, DTYPES[dtype], DTYPES[accumulate_dtype], library(reference), whole_calls)
