"""The commands `run` and `kernel`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from rusty_py.bench.command import leave_with
from rusty_py.bench.matmul import parse_size, parse_tile
from rusty_py.bench.options import (
    AdapterOption,
    AsciiOption,
    BarsOption,
    DtypeOption,
    Element,
    ForceOption,
    FormatOption,
    JsonOption,
    MaxTimeOption,
    OutOption,
    RunsOption,
    WideOption,
    choose_adapter,
    finite,
)
from rusty_py.bench.output import Format, Output, progress_line, show


def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="WGSL file; - reads standard input.")],
    reference: Annotated[
        list[str],
        typer.Option(metavar="NAME=WHAT", help="Expected output. Repeat for each."),
    ],
    workgroups: Annotated[str, typer.Option(metavar="X[xY[xZ]]", help="Workgroups to launch.")] = "1",
    buffer: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=WHAT", help="A variable's contents. Repeat for each."),
    ] = None,
    constant: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=NUMBER", help="An override's value. Repeat for each."),
    ] = None,
    entry: Annotated[
        str | None, typer.Option(metavar="NAME", help="Entry point, if there are several.")
    ] = None,
    rtol: Annotated[
        float | None,
        typer.Option(min=0, callback=finite, metavar="R", help="Instead of the derived error bound."),
    ] = None,
    atol: Annotated[
        float | None,
        typer.Option(min=0, callback=finite, metavar="A", help="Instead of the derived error bound."),
    ] = None,
    unchecked: Annotated[bool, typer.Option("--unchecked", help="Compile without bounds checks.")] = False,
    adapter: AdapterOption = None,
    runs: RunsOption = None,
    max_time: MaxTimeOption = None,
    time_limit: Annotated[
        float, typer.Option(min=0.1, callback=finite, metavar="SECONDS", help="For each run.")
    ] = 10.0,
    json: JsonOption = None,
    out: OutOption = None,
    force: ForceOption = False,
    format: FormatOption = Format.table,
    wide: WideOption = False,
    bars: BarsOption = False,
    ascii: AsciiOption = False,
) -> None:
    """Verifies and times your own WGSL kernel.

    Buffer contents are f32[1000] or f32[32,32] (random), u32:8,0,1 (these numbers) or @FILE.npy. A reference
    is an expression in NumPy's syntax, evaluated in float64, or NAME=@FILE.npy. The kernel runs in a process
    of its own.

    Example: rusty-bench run saxpy.wgsl --workgroups 64 --buffer x=f32[4096] --buffer y=f32[4096]
    --buffer z=f32[4096] --reference "z = 3 * x + y"
    """
    from rusty_py.bench import checking
    from rusty_py.bench.context import homeless
    from rusty_py.bench.user_kernel import parent
    from rusty_py.bench.user_kernel.job import KernelJob

    for text in reference:
        if "=" not in text:
            raise typer.BadParameter(
                f"{text!r} is not NAME=WHAT, as in 'z = x + y'", param_hint="--reference"
            )
    output = Output(format, json, out, force, wide, bars, ascii)
    output.check()
    job = KernelJob(
        checking.read_wgsl(file, operation="run"),
        homeless(checking.name_of(file)),
        checking.parse_workgroups(workgroups),
        dict(checking.pairs(buffer or (), "--buffer", "x=f32[1000]")),
        reference,
        entry=entry,
        constants=checking.parse_constants(constant or ()),
        adapter=adapter,
        checked=not unchecked,
        runs=runs,
        max_time_s=max_time,
        time_limit_s=time_limit,
        rtol=rtol,
        atol=atol,
        command=homeless(" ".join(["rusty-bench", *sys.argv[1:]])),
    )
    known: dict[str, object] = {}
    try:
        with progress_line(ascii=ascii) as progress:
            measured = parent.measure(job, ready=known.update, progress=progress)
    except parent.KernelFailure as failure:
        measured = parent.failed(job, failure, known)
    if isinstance(facts := known.get("adapter"), dict):  # Only now: a refusal prints nothing.
        output.begin(facts, checked=not unchecked)
    output.finish(measured)
    leave_with(measured)


def kernel(
    operation: Annotated[str, typer.Argument(metavar="matmul", help="The operation.")],
    size: Annotated[str, typer.Option(metavar="SIZE", help="N or MxKxN, with :tn for transposed.")] = "256",
    tile: Annotated[str, typer.Option(metavar="TILE", help="auto, naive, 8, 16 or 32.")] = "auto",
    dtype: DtypeOption = Element.f32,
    adapter: AdapterOption = None,
    ascii: AsciiOption = False,
) -> None:
    """Prints the WGSL of a kernel, and the command to verify it.

    Example: rusty-bench kernel matmul --tile 16 > kernel.wgsl
    """
    if operation != "matmul":
        raise typer.BadParameter(f"{operation!r} is not an operation: matmul", param_hint="OPERATION")
    from rusty_py.bench.user_kernel import text
    from rusty_py.runtime.device import Device

    with Device(choose_adapter(adapter)) as device:
        show(text.matmul(device, parse_size(size), parse_tile(tile), dtype), ascii=ascii)
