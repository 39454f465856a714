"""Options that several commands have."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rusty_py.bench.output import Format, complain

if TYPE_CHECKING:
    from rusty_py.adapter import Adapter


def finite(value: float | None) -> float | None:
    """Refuses the infinite and NaN, which Python counts among the floats."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is no finite number")
    return value


def choose_adapter(which: str | None) -> "Adapter":
    """The adapter that --adapter names. Says on standard error if nothing can be kept between runs."""
    from rusty_py import user_cache
    from rusty_py.adapter import choose

    adapter = choose(which)
    if fault := user_cache.fault():
        complain(f"cache: {fault}: {user_cache.WAY_OUT}; until then nothing is kept between runs")
    return adapter


AdapterOption = Annotated[
    str | None,
    typer.Option("--adapter", metavar="WHICH", help="Index, part of the name, or backend; see `info`."),
]
RunsOption = Annotated[
    int | None,
    typer.Option("--runs", min=1, metavar="N", help="N samples a row. Default: until they settle."),
]
MaxTimeOption = Annotated[
    float | None,
    typer.Option(
        "--max-time",
        min=0.1,
        callback=finite,
        metavar="SECONDS",
        help="Budget of the whole run. Default: below 60.",
    ),
]
JsonOption = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Also write all samples as JSON.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace an existing --json FILE.")]
FormatOption = Annotated[Format, typer.Option("--format", help="Of standard output.")]
AsciiOption = Annotated[bool, typer.Option("--ascii", help="Plain ASCII output.")]
SizeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--size",
        metavar="SIZE",
        help="N, MxKxN or PxMxKxN for P products; :tn, :nt or :tt behind it for operands that lie"
        " transposed. Repeat for more. Default: a ladder that fits the adapter.",
    ),
]
