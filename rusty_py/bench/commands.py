"""The commands of `rusty-bench`. `matmul` is in matmul.py, `run` and `kernel` are in user_kernel/

Shared options are in options.py. Exit codes are in exits.py, output in output.py.
numpy and wgpu are imported inside the commands, to keep --help fast.
"""

import re
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from rusty_py.bench.command import measure_and_report
from rusty_py.bench.compare import compare
from rusty_py.bench.conv2d import conv2d
from rusty_py.bench.exits import FINDINGS, NO_ADAPTER, leave
from rusty_py.bench.group import CommandGroup
from rusty_py.bench.matmul import default_sizes, matmul, parse_size
from rusty_py.bench.operations import command_of
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
    MaxTimeOption,
    OutOption,
    PresetOption,
    RunsOption,
    SizeOption,
    WideOption,
    choose_adapter,
    finite,
    parts,
)
from rusty_py.bench.output import Format, Output, progress_line, show
from rusty_py.bench.report_command import report
from rusty_py.bench.suites.description import suites
from rusty_py.bench.user_kernel.command import kernel, run

app = typer.Typer(
    name="rusty-bench",
    cls=CommandGroup,
    help="""Verifies WGSL kernels on this machine's GPU, then times and compares them.

    Without a command, matmul runs, and its options are accepted.

    Example: rusty-bench --size 512,1024
    """,
    subcommand_metavar="[COMMAND] [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,  # Its frames leave too little room for one option per line.
)
app.command()(matmul)
app.command()(conv2d)
for suite in suites():
    app.command(suite.command)(command_of(suite))
app.command()(compare)
app.command()(report)
app.command()(run)
app.command()(kernel)


class InfoFormat(StrEnum):
    """Output formats of `info`."""

    table = "table"
    json = "json"


def show_version(requested: bool) -> None:
    """Prints the version and exits."""
    if requested:
        from rusty_py import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Options before the command."""


@app.command()
def overhead(
    adapter: AdapterOption = None,
    runs: RunsOption = None,
    max_time: MaxTimeOption = None,
    json: JsonOption = None,
    out: OutOption = None,
    force: ForceOption = False,
    format: FormatOption = Format.table,
    wide: WideOption = False,
    bars: BarsOption = False,
    ascii: AsciiOption = False,
) -> None:
    """Times launches, submissions, memory and start-up.

    Each is compared with plain wgpu-py doing the same, and its result is verified.

    Example: rusty-bench overhead --max-time 20
    """
    output = Output(format, json, out, force, wide, bars, ascii)
    chosen = choose_adapter(adapter)
    output.check()
    from rusty_py.bench import overhead

    options = overhead.options(runs=runs, max_time_s=max_time)
    measure_and_report(chosen, overhead.measure, options, output)


@app.command()
def transfer(
    size: Annotated[
        list[str] | None,
        typer.Option("--size", metavar="SIZES", help="Bytes, KiB, MiB or GiB. Default: 4KiB to 256MiB."),
    ] = None,
    adapter: AdapterOption = None,
    runs: RunsOption = None,
    max_time: MaxTimeOption = None,
    json: JsonOption = None,
    out: OutOption = None,
    force: ForceOption = False,
    format: FormatOption = Format.table,
    wide: WideOption = False,
    bars: BarsOption = False,
    ascii: AsciiOption = False,
) -> None:
    """Times copies to the device and back, compared with memcpy.

    Separate sizes with commas, or repeat the option.

    Example: rusty-bench transfer --size 1MiB,64MiB
    """
    sizes = list(dict.fromkeys(map(parse_bytes, parts(size))))
    output = Output(format, json, out, force, wide, bars, ascii)
    chosen = choose_adapter(adapter)
    output.check()
    from rusty_py.bench import transfer

    options = transfer.options(runs=runs, max_time_s=max_time)
    measure_and_report(chosen, partial(transfer.measure, sizes=sizes or transfer.SIZES), options, output)


@app.command()
def tune(
    size: SizeOption = None,
    preset: PresetOption = None,
    dtype: DtypeOption = Element.f32,
    accumulate_dtype: AccumulateDtypeOption = Element.f32,
    adapter: AdapterOption = None,
    max_time: Annotated[
        float | None,
        typer.Option(
            min=1, callback=finite, metavar="SECONDS", help="Budget per class. Default: 25 (CPU: 60)."
        ),
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Print the stored results; don't measure.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Remove the stored results; don't measure.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Measure without storing results.")] = False,
    out: OutOption = None,
    ascii: AsciiOption = False,
) -> None:
    """Finds the fastest matmul kernels for this machine.

    They are verified and stored in a file that rusty_py.matmul reads. Sizes are as in rusty-bench matmul: N,
    MxKxN or PxMxKxN; a suffix :tn, :nt or :tt transposes operands. Separate them with commas, or repeat
    the option. Sizes that round to the same powers of two are one class. --accumulate-dtype f16 requires
    --dtype f16.

    Example: rusty-bench tune --size 1024,8x512x2048x512:nt
    """
    from rusty_py.bench import tuning

    if list_ or clear:
        show(tuning.clear() if clear else tuning.listing(), ascii=ascii)
        return
    sizes = [parse_size(text) for text in parts(size)]
    if preset and sizes:
        raise typer.BadParameter("cannot be combined with --size", param_hint="--preset")

    from rusty_py.bench.report import files

    chosen = choose_adapter(adapter)
    if out:
        files.check_folder(out)
    problems = tuning.problems(
        sizes or default_sizes(chosen, preset), dtype=dtype, accumulate_dtype=accumulate_dtype
    )
    if preset:
        problems = tuning.of_classes(problems)
    with progress_line(ascii=ascii) as progress:
        run = tuning.tune_all(chosen, problems, max_time_s=max_time, keep=not dry_run, progress=progress)
    try:
        show(tuning.table(run), ascii=ascii)
    finally:
        if out:
            tuning.write(run, out)
    leave(run, wrong=any(outcome.wrong for outcome in run.outcomes))


@app.command()
def calibrate(
    adapter: AdapterOption = None,
    max_time: Annotated[
        float | None,
        typer.Option(min=1, callback=finite, metavar="SECONDS", help="Budget. Default: 15 (CPU: 60)."),
    ] = None,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write the profile as JSON.")
    ] = None,
    force: ForceOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Measure without storing the profile.")] = False,
    ascii: AsciiOption = False,
) -> None:
    """Measures this adapter, so that work is planned for it.

    The profile is kept in the user's cache: rates of kernels, bandwidth, and the cost of launches. rusty_py
    reads it whenever it selects a kernel.

    Example: rusty-bench calibrate --json profile.json
    """
    from rusty_py.bench import calibration
    from rusty_py.bench.report import files
    from rusty_py.calibration import calibrate_adapter

    chosen = choose_adapter(adapter)
    if json:
        files.check(json, force=force)
    with progress_line(ascii=ascii) as progress:
        found = calibrate_adapter(chosen, max_time_s=max_time, keep=not dry_run, progress=progress)
    try:
        show(calibration.as_text(found), ascii=ascii)
    finally:
        if json:
            files.write(json, calibration.as_document(found) + "\n")


@app.command()
def info(
    adapter: AdapterOption = None,
    format: Annotated[InfoFormat, typer.Option(metavar="FORMAT", help="table or json.")] = InfoFormat.table,
    all_: Annotated[bool, typer.Option("--all", help="List every feature of the adapter.")] = False,
    ascii: AsciiOption = False,
) -> None:
    """Lists the adapters and describes the machine."""
    from rusty_py.bench.context import adapter_facts
    from rusty_py.bench.info import as_json, as_text, machine
    from rusty_py.runtime.adapter import list_adapters

    chosen = choose_adapter(adapter)
    facts = machine(chosen, [adapter_facts(each) for each in list_adapters()])
    show(as_json(facts) if format == InfoFormat.json else as_text(facts, complete=all_), ascii=ascii)


@app.command()
def doctor(adapter: AdapterOption = None, ascii: AsciiOption = False) -> None:
    """Checks what the benchmark needs, and suggests fixes."""
    from rusty_py.bench.doctor import NOTHING_TO_RUN_ON, examine

    findings = examine(adapter)
    for finding in findings:
        show(str(finding), ascii=ascii)
    failed = [finding.what for finding in findings if finding.failed]
    if NOTHING_TO_RUN_ON in failed:
        raise typer.Exit(NO_ADAPTER)
    if failed:
        raise typer.Exit(FINDINGS)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="WGSL file; - reads standard input.")],
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
    subgroup_size: Annotated[
        list[int] | None,
        typer.Option(min=1, max=64, metavar="N", help="A power of 2. Default: 16, 32 and 64."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, metavar="N", help="Orders of threads to try.")] = 2,
    step_limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Loop iterations per thread. Default: 10^7."),
    ] = None,
    time_limit: Annotated[
        float | None,
        typer.Option(min=0.1, callback=finite, metavar="SECONDS", help="For all runs. Default: 60."),
    ] = None,
    workgroup_bytes: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Workgroup memory. Default: Metal's 32768."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail if results depend on the order of threads.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    ascii: AsciiOption = False,
) -> None:
    """Finds faults in a WGSL kernel, without a GPU.

    Detects out-of-bounds indices, data races, misplaced barriers, and behavior that Metal leaves undefined.
    Buffer contents are f32[1000] (random), u32:8,0,1 (these numbers) or @FILE.npy. Subgroup sizes, one per
    option, matter only to kernels that use subgroups.

    Example: rusty-bench check my.wgsl --workgroups 8 --buffer a=f32[1000] --constant TILE=16
    """
    if strict and seeds < 2:
        raise typer.BadParameter("compares thread orders: needs --seeds 2 or more", param_hint="--strict")
    from rusty_py.bench import checking
    from rusty_py.checker import check as check_kernel
    from rusty_py.checker.check import STEP_LIMIT, SUBGROUP_SIZES, TIME_LIMIT
    from rusty_py.checker.run import WORKGROUP_BYTES

    report = check_kernel(
        checking.read_wgsl(file),
        workgroups=checking.parse_workgroups(workgroups),
        buffers=checking.parse_buffers(buffer or ()),
        constants=checking.parse_constants(constant or ()),
        entry=entry,
        subgroup_sizes=subgroup_size or SUBGROUP_SIZES,
        seeds=seeds,
        step_limit=STEP_LIMIT if step_limit is None else step_limit,
        time_limit=TIME_LIMIT if time_limit is None else time_limit,
        workgroup_bytes=WORKGROUP_BYTES if workgroup_bytes is None else workgroup_bytes,
        name=checking.name_of(file),
    )
    show(checking.text_of(report, as_json=json), ascii=ascii)
    if strict and report.varies:
        left = ", ".join(report.varies)
        typer.echo(f"--strict: what is left in {left} depends on the order of threads", err=True)
    if report.findings or (strict and report.varies):
        raise typer.Exit(FINDINGS)


def parse_bytes(text: str) -> int:
    """The bytes of "64KiB", "4MiB" or "4096": a multiple of 4, as copies are."""
    parts = re.fullmatch(r"(\d{1,12})\s*(KiB|MiB|GiB)?", text)
    nbytes = int(parts[1]) << {None: 0, "KiB": 10, "MiB": 20, "GiB": 30}[parts[2]] if parts else 0
    if not nbytes or nbytes % 4:
        raise typer.BadParameter(
            f"{text!r} is not a size: a multiple of 4 bytes, or KiB, MiB or GiB", param_hint="--size"
        )
    return nbytes
