"""The command `rusty-bench report`: the tables and bars of a result file again, and pictures of it."""

from pathlib import Path
from typing import Annotated

import typer

from rusty_py.bench.options import AsciiOption, BarsOption, FormatOption, WideOption
from rusty_py.bench.output import Format, Output, heading, show


def report(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that --json wrote.")],
    format: FormatOption = Format.table,
    wide: WideOption = False,
    bars: BarsOption = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also draw times and ratios as PNG files.")
    ] = None,
    ascii: AsciiOption = False,
) -> None:
    """Prints the report of a result file, in any format.

    Nothing is measured. --plot writes benchmark_times.png and benchmark_speedup.png, and needs the extra
    plot.

    Example: rusty-bench report run.json --format md
    """
    from rusty_py.bench.compare import read
    from rusty_py.bench.report.facts import facts

    run = read(file)
    adapter = facts(run, "adapter")
    if format == Format.table and isinstance(adapter, dict):
        show(heading(adapter, checked=bool(facts(run, "device", "checked"))), ascii=ascii)
    show(Output(format, wide=wide, bars=bars).render(run), ascii=ascii)
    if plot:
        from rusty_py.bench.report.pictures import draw

        draw(run, plot)
