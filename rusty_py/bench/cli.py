"""The terminal program's commands: `matmul` is in matmul.py, options that several have in options.py.

Exit codes are in exits.py, what is printed in output.py.
numpy and wgpu are imported inside the commands, so that --help is quick.
"""

import re
import sys
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rusty_py.bench.exits import CLOSED, FINDINGS, NO_ADAPTER, exit_code_of, leave
from rusty_py.bench.matmul import Preset, default_sizes, matmul, parse_size
from rusty_py.bench.options import (
    AdapterOption,
    AsciiOption,
    ForceOption,
    FormatOption,
    JsonOption,
    MaxTimeOption,
    RunsOption,
    SizeOption,
    finite,
)
from rusty_py.bench.output import Format, heading, progress, show

if TYPE_CHECKING:
    from rusty_py.adapter import Adapter
    from rusty_py.bench.rounds import Measure, Options

app = typer.Typer(
    name="rusty-bench",
    help="Proves WGSL kernels on this machine's GPU, then times and compares them.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(matmul)


class InfoFormat(StrEnum):
    """What `info` prints."""

    table = "table"
    json = "json"


def main() -> None:
    """The entry point."""
    sys.exit(CLOSED if sys.stdout is None else exit_code_of(app))


@app.callback(invoke_without_command=True)
def default(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    """Without a command: the main job, `matmul` with its defaults, in about a minute."""
    if version:
        from rusty_py import __version__

        print(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        matmul()


@app.command()
def overhead(
    adapter: AdapterOption = None,
    runs: RunsOption = None,
    max_time: MaxTimeOption = None,
    json: JsonOption = None,
    force: ForceOption = False,
    format: FormatOption = Format.table,
    ascii: AsciiOption = False,
) -> None:
    """Times what comes around a kernel: launches, caches, submissions, the pool, the cold start.

    Each beside plain wgpu-py, and proved by its result. Example: rusty-bench overhead --max-time 20
    """
    from rusty_py.adapter import choose
    from rusty_py.bench.report import files

    chosen = choose(adapter)
    if json:
        files.check(json, force=force)
    from rusty_py.bench import overhead

    options = overhead.options(runs=runs, max_time_s=max_time)
    report(chosen, overhead.measure, options, format=format, json=json, ascii=ascii)


@app.command()
def transfer(
    size: Annotated[
        list[str] | None,
        typer.Option(
            "--size", metavar="BYTES", help="As 64KiB or 4MiB; repeat for more. Default: 4KiB to 256MiB."
        ),
    ] = None,
    adapter: AdapterOption = None,
    runs: RunsOption = None,
    max_time: MaxTimeOption = None,
    json: JsonOption = None,
    force: ForceOption = False,
    format: FormatOption = Format.table,
    ascii: AsciiOption = False,
) -> None:
    """Times copies to the device and back by each path, in turn with memcpy.

    Example: rusty-bench transfer --size 1MiB --size 64MiB
    """
    sizes = [parse_bytes(text) for text in dict.fromkeys(size or ())]
    from rusty_py.adapter import choose
    from rusty_py.bench.report import files

    chosen = choose(adapter)
    if json:
        files.check(json, force=force)
    from rusty_py.bench import transfer

    options = transfer.options(runs=runs, max_time_s=max_time)
    measure = partial(transfer.measure, sizes=sizes or transfer.SIZES)
    report(chosen, measure, options, format=format, json=json, ascii=ascii)


@app.command()
def tune(
    size: SizeOption = None,
    preset: Annotated[
        Preset | None,
        typer.Option(help="In place of sizes: those of matmul's preset, one of each class."),
    ] = None,
    dtype: Annotated[str, typer.Option(help="Element type: f32 or f16.")] = "f32",
    sums: Annotated[str, typer.Option(help="What f16 is added up in: f32 or f16.")] = "f32",
    adapter: AdapterOption = None,
    max_time: Annotated[
        float | None,
        typer.Option(
            min=1,
            callback=finite,
            metavar="SECONDS",
            help="Budget of each shape class. Default: 25; on CPUs 60.",
        ),
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Print what is kept, and measure nothing.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Forget what is kept, and measure nothing.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Measure, and keep nothing.")] = False,
    ascii: AsciiOption = False,
) -> None:
    """Finds the fastest matmul kernels for this machine, proves them, and keeps them for `matmul`.

    Example: rusty-bench tune --size 1024 --size 8x512x2048x512:nt
    """
    from rusty_py.bench import tuning

    if list_ or clear:
        show(tuning.clear() if clear else tuning.listing(), ascii=ascii)
        return
    sizes = [parse_size(text) for text in dict.fromkeys(size or ())]
    if preset and sizes:
        raise typer.BadParameter("the preset has its own sizes, so there is no --size", param_hint="--preset")
    from rusty_py.adapter import choose

    chosen = choose(adapter)
    problems = tuning.problems(sizes or default_sizes(chosen, preset), dtype=dtype, sums=sums)
    if preset:
        problems = tuning.of_classes(problems)
    with progress(ascii=ascii) as say:
        run = tuning.tune_all(chosen, problems, max_time_s=max_time, keep=not dry_run, say=say)
    show(tuning.table(run), ascii=ascii)
    leave(run, wrong=any(outcome.wrong for outcome in run.outcomes))


@app.command()
def info(
    adapter: AdapterOption = None,
    format: Annotated[InfoFormat, typer.Option(help="Of standard output.")] = InfoFormat.table,
    ascii: AsciiOption = False,
) -> None:
    """Lists the adapters, and describes one of them and this machine."""
    from rusty_py.adapter import choose, list_adapters
    from rusty_py.bench.context import adapter_facts
    from rusty_py.bench.info import as_json, as_text, machine

    chosen = choose(adapter)
    facts = machine(chosen, [adapter_facts(each) for each in list_adapters()])
    show(as_json(facts) if format == InfoFormat.json else as_text(facts), ascii=ascii)


@app.command()
def doctor(adapter: AdapterOption = None, ascii: AsciiOption = False) -> None:
    """Checks what the benchmark needs, and says how to mend what is missing."""
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
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A WGSL text; - reads standard input.")],
    workgroups: Annotated[
        str, typer.Option(metavar="X[xY[xZ]]", help="How many workgroups to launch.")
    ] = "1",
    buffer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=WHAT",
            help="A variable's contents: f32[1000] at random, u32:8,0,1, or @FILE.npy. Repeat for each.",
        ),
    ] = None,
    constant: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=NUMBER",
            help="An override's value; one with @id(7) is named 7, as in WebGPU. Repeat for more.",
        ),
    ] = None,
    entry: Annotated[
        str | None, typer.Option(metavar="NAME", help="The entry point, where there are several.")
    ] = None,
    subgroup_size: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            max=64,
            metavar="N",
            help="A power of 2; repeat for more. Default: 16, 32 and 64, if the kernel uses subgroups.",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, metavar="N", help="Orders of threads to try.")] = 2,
    step_limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Turns of loops a thread may take. Default: ten million."),
    ] = None,
    time_limit: Annotated[
        float | None,
        typer.Option(min=0.1, callback=finite, metavar="SECONDS", help="Of all runs together. Default: 60."),
    ] = None,
    workgroup_bytes: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Workgroup memory that there is. Default: Metal's, 32 KiB."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Results that depend on the order of threads fail, too.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    ascii: AsciiOption = False,
) -> None:
    """Finds faults of a WGSL kernel without a GPU: bounds, races, barriers, and what Metal leaves undefined.

    Example: rusty-bench check my.wgsl --workgroups 8 --buffer a=f32[1000] --constant TILE=16
    """
    if strict and seeds < 2:
        raise typer.BadParameter("compares orders of threads: give --seeds 2 or more", param_hint="--strict")
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
            f"{text!r} is no size: a number of bytes, KiB, MiB or GiB, a multiple of 4", param_hint="--size"
        )
    return nbytes


def report(
    chosen: "Adapter",
    measure: "Measure",
    options: "Options",
    *,
    format: Format,
    json: Path | None,
    ascii: bool,
) -> None:
    """Measures figures, prints and writes them, and leaves with the code that they deserve."""
    from rusty_py.bench.context import adapter_facts, context
    from rusty_py.bench.report import figures, files
    from rusty_py.device import Device

    with Device(chosen) as device:
        if format == Format.table:
            show(heading(adapter_facts(chosen), checked=device.checked), ascii=ascii)
        facts = context(device, options=vars(options))
        with progress(ascii=ascii) as say:
            outcome = measure(device, options, context=facts, say=say)
    try:
        show(figures.render(outcome, format), ascii=ascii)
    finally:  # Also where standard output was closed in the meantime.
        if json:
            files.write(json, figures.as_json(outcome) + "\n")
    leave(outcome, wrong=any(figure.verdict == "wrong" for row in outcome.rows for figure in row.figures))
