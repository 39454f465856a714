"""The command `rusty-bench conv2d`."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from rusty_py.bench.command import measure_and_report
from rusty_py.bench.convolutions import (
    DEFAULTS,
    PRESETS,
    RESOLUTIONS,
    SMALL,
    Convolution,
    Sweep,
    parse_channels,
    parse_image,
)
from rusty_py.bench.operations import GPU_SECONDS
from rusty_py.bench.options import (
    AdapterOption,
    AsciiOption,
    DtypeOption,
    Element,
    ForceOption,
    FormatOption,
    JsonOption,
    OutOption,
    ReferenceOption,
    RunsOption,
    SeedOption,
    WideOption,
    choose_adapter,
    finite,
    parts,
)
from rusty_py.bench.output import Format, Output

if TYPE_CHECKING:
    from rusty_py.runtime.adapter import Adapter

Parsed = TypeVar("Parsed")
Texts = list[str] | None


def conv2d(
    size: Annotated[
        Texts, typer.Option("--size", "--sizes", metavar="WxH", help="Default: those of the preset.")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="resolutions (default), layers, small (CPU default)."),
    ] = None,
    channels: Annotated[
        Texts, typer.Option(metavar="IN:OUT", help="Input and output channels. Default: 3:64.")
    ] = None,
    kernel: Annotated[Texts, typer.Option(metavar="SIZES", help="Kernel sizes. Default: 3.")] = None,
    batch: Annotated[Texts, typer.Option(metavar="SIZES", help="Batch sizes. Default: 1.")] = None,
    stride: Annotated[int, typer.Option(min=1, metavar="N", help="Default: 1.")] = 1,
    padding: Annotated[int | None, typer.Option(min=0, metavar="N", help="Default: half the kernel.")] = None,
    dilation: Annotated[int, typer.Option(min=1, metavar="N", help="Default: 1.")] = 1,
    groups: Annotated[int, typer.Option(min=1, metavar="N", help="Default: 1.")] = 1,
    layout: Annotated[str, typer.Option(metavar="LAYOUT", help="NCHW or NHWC.")] = "NCHW",
    algorithm: Annotated[
        Texts, typer.Option(metavar="NAMES", help=f"Default: {', '.join(DEFAULTS)}.")
    ] = None,
    tune: Annotated[bool, typer.Option("--tune", help="Keep the fastest for auto; gradients, too.")] = False,
    dtype: DtypeOption = Element.f32,
    reference: ReferenceOption = "numpy",
    adapter: AdapterOption = None,
    runs: RunsOption = None,
    max_time: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            callback=finite,
            metavar="SECONDS",
            help=f"Budget. Default: 60 (GPU: {GPU_SECONDS:.0f}).",
        ),
    ] = None,
    seed: SeedOption = None,
    json: JsonOption = None,
    out: OutOption = None,
    force: ForceOption = False,
    format: FormatOption = Format.table,
    wide: WideOption = False,
    bars: Annotated[bool, typer.Option("--bars/--no-bars", help="Times and ratios as bars.")] = True,
    ascii: AsciiOption = False,
) -> None:
    """Verifies, times and compares algorithms of convolutions.

    Every combination of sizes, channels, kernels and batches is measured. Algorithm auto is what
    rusty_py.conv2d selects; --tune measures all that it may select, and that its gradients may, and stores
    which was fastest. Separate values with commas, or repeat the option.

    Example: rusty-bench conv2d --size 128x96 --kernel 1,3,5,7 --algorithm basic,auto
    """
    swept = {"--size": size, "--channels": channels, "--kernel": kernel, "--batch": batch}
    output = Output(format, json, out, force, wide, bars, ascii)
    if layout not in ("NCHW", "NHWC"):
        raise typer.BadParameter(f"{layout!r} is not one of: NCHW, NHWC", param_hint="--layout")
    fixed = swept if preset == "layers" else {"--size": size}
    if preset and (given := [name for name, value in fixed.items() if value]):
        raise typer.BadParameter(f"cannot be combined with --preset {preset}", param_hint=given[0])
    chosen = choose_adapter(adapter)
    sweep = Sweep(
        _each(size, parse_image, "--size") or _images(preset, chosen),
        _each(channels, parse_channels, "--channels") or ((3, 64),),
        _each(batch, _number, "--batch") or (1,),
        _each(kernel, _number, "--kernel") or (3,),
        stride,
        padding,
        dilation,
        groups,
    )
    convolutions = PRESETS["layers"] if preset == "layers" else sweep.convolutions()
    _check(convolutions)
    names = _algorithms(parts(algorithm), tune=tune)
    output.check()

    from rusty_py.bench.conv_suite import ConvSuite
    from rusty_py.bench.conv_tuning import tuned
    from rusty_py.bench.kernel_suites import measure
    from rusty_py.dtypes import DTYPES
    from rusty_py.measure.references import library
    from rusty_py.measure.sampling import Options

    suite = ConvSuite(convolutions, names, library(reference), layout, DTYPES[dtype])
    suite.check(chosen)
    budget_s = max_time or (None if chosen.is_cpu else GPU_SECONDS)
    options = Options.for_adapter(chosen, runs=runs, max_time_s=budget_s, seed=seed)
    measure_and_report(chosen, partial(tuned if tune else measure, suite), options, output)


def _each(texts: Texts, parse: Callable[[str], Parsed], option: str) -> list[Parsed]:
    try:
        return [parse(text) for text in parts(texts)]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def _number(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) < 1 << 16:
        raise ValueError(f"{text!r} is not a size: 1 or more")
    return int(text)


def _images(preset: str | None, adapter: "Adapter") -> Sequence[tuple[int, int]]:
    """The image sizes of a preset, by default those for the adapter."""
    if preset not in (None, *PRESETS):
        raise typer.BadParameter(f"{preset!r} is not one of: {', '.join(PRESETS)}", param_hint="--preset")
    small = adapter.is_cpu if preset is None else preset == "small"
    return SMALL if small else RESOLUTIONS


def _check(convolutions: Sequence[Convolution]) -> None:
    """Raises a usage error for parameters that contradict each other."""
    for each in convolutions:
        if fault := each.fault():
            raise typer.BadParameter(fault, param_hint="--groups" if "groups" in fault else "--kernel")


def _algorithms(given: Sequence[str], *, tune: bool = False) -> Sequence[str]:
    """The algorithms, or those of the defaults, or all that auto may take. Raises a usage error."""
    from rusty_py.ops.conv.select import ALGORITHMS

    if tune:
        if given:
            raise typer.BadParameter("cannot be combined with --algorithm", param_hint="--tune")
        return [each.name for each in ALGORITHMS.values() if each.automatic]
    known = ["auto", *ALGORITHMS]
    if unknown := [each for each in given if each not in known]:
        raise typer.BadParameter(
            f"{unknown[0]!r} is not one of: {', '.join(known)}", param_hint="--algorithm"
        )
    return given or [each for each in DEFAULTS if each in known]
