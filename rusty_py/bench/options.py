"""Options shared by several commands."""

import math
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rusty_py.bench.output import Format, complain

if TYPE_CHECKING:
    from rusty_py.runtime.adapter import Adapter


class Preset(StrEnum):
    """Named sets of sizes."""

    shapes = "shapes"


class Element(StrEnum):
    """Element or accumulator dtypes."""

    f32 = "f32"
    f16 = "f16"


def finite(value: float | None) -> float | None:
    """Rejects infinity and NaN, which `float` accepts."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a finite number")
    return value


def parts(texts: Sequence[str] | None) -> list[str]:
    """The distinct values of an option that is repeated or has comma-separated values."""
    return list(dict.fromkeys(part.strip() for text in texts or () for part in text.split(",")))


def choose_adapter(which: str | None) -> "Adapter":
    """The adapter selected by --adapter. Warns on standard error if there is no cache."""
    from rusty_py import user_cache
    from rusty_py.runtime.adapter import choose

    adapter = choose(which)
    if fault := user_cache.fault():
        complain(f"cache: {fault}: {user_cache.WAY_OUT}; until then nothing is kept between runs")
    return adapter


AdapterOption = Annotated[
    str | None,
    typer.Option("--adapter", metavar="WHICH", help="Index, part of the name, or backend; see info."),
]
SizeOption = Annotated[
    list[str] | None,
    typer.Option("--size", metavar="SIZES", help="Default: square sizes for the adapter."),
]
PresetOption = Annotated[
    Preset | None,
    typer.Option("--preset", metavar="shapes", help="Typical matmul shapes, instead of --size."),
]
DtypeOption = Annotated[
    Element, typer.Option("--dtype", metavar="f32|f16", help="Dtype of operands and result.")
]
AccumulateDtypeOption = Annotated[
    Element,
    typer.Option("--accumulate-dtype", metavar="f32|f16", help="Accumulator dtype."),
]
ReferenceOption = Annotated[
    str,
    typer.Option("--reference", metavar="LIBRARY", help="numpy, torch (GPU) or mlx."),
]
SeedOption = Annotated[
    int | None, typer.Option("--seed", min=0, metavar="N", help="Seed of the inputs. Default: a new one.")
]
RunsOption = Annotated[
    int | None,
    typer.Option("--runs", min=1, metavar="N", help="Samples per row. Default: until settled."),
]
MaxTimeOption = Annotated[
    float | None,
    typer.Option(
        "--max-time", min=0.1, callback=finite, metavar="SECONDS", help="Total budget. Default: below 60."
    ),
]
JsonOption = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Also write all samples as JSON.")
]
OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Also write timestamped files to DIR.")
]
WideOption = Annotated[bool, typer.Option("--wide", help="All columns, in lines of any length.")]
BarsOption = Annotated[bool, typer.Option("--bars", help="Draw times and ratios as bars.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace an existing --json FILE.")]
FormatOption = Annotated[Format, typer.Option("--format", metavar="FORMAT", help="table, md, csv or json.")]
AsciiOption = Annotated[bool, typer.Option("--ascii", help="Plain ASCII output.")]
