"""The terminal program's commands and options. Exit codes are in exits.py, what is printed in output.py.

numpy and wgpu are imported inside the commands, so that --help is quick.
"""

import math
import re
import sys
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rusty_py.bench.exits import CLOSED, FINDINGS, INTERRUPTED, NO_ADAPTER, WRONG, exit_code_of
from rusty_py.bench.output import Format, heading, progress, render, show, write_files
from rusty_py.errors import DeviceError

if TYPE_CHECKING:
    from rusty_py.adapter import Adapter
    from rusty_py.bench.case import Run
    from rusty_py.bench.figures import Figures
    from rusty_py.bench.rounds import Measure, Options
    from rusty_py.bench.tuning import TuningRun

TILES = ("naive", "8", "16", "32")
LADDER = {"CPU": (64, 128, 256, 512), "GPU": (512, 1024, 2048, 4096)}

app = typer.Typer(
    name="rusty-bench",
    help="Proves WGSL kernels on this machine's GPU, then times and compares them.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_show_locals=False,
)


class InfoFormat(StrEnum):
    """What `info` prints."""

    table = "table"
    json = "json"


AdapterOption = Annotated[
    str | None,
    typer.Option("--adapter", metavar="WHICH", help="Index, part of the name, or backend; see `info`."),
]


def finite(value: float | None) -> float | None:
    """Refuses the infinite and NaN, which Python counts among the floats."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is no finite number")
    return value


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
def matmul(
    size: Annotated[
        list[str] | None,
        typer.Option(
            "--size", metavar="N|MxKxN", help="Repeat for more. Default: a ladder that fits the adapter."
        ),
    ] = None,
    tile: Annotated[
        list[str] | None,
        typer.Option("--tile", metavar="8|16|32|naive", help="Repeat for more. Default: all."),
    ] = None,
    dtype: Annotated[str, typer.Option(help="Element type: f32.")] = "f32",
    adapter: AdapterOption = None,
    warmup: Annotated[
        float | None,
        typer.Option(
            min=0, callback=finite, metavar="SECONDS", help="Warm-up of each row. Default: one sample."
        ),
    ] = None,
    runs: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="N samples a row. Default: until they settle."),
    ] = None,
    min_time: Annotated[
        float | None,
        typer.Option(
            min=0, callback=finite, metavar="SECONDS", help="Sample each row for this long at least."
        ),
    ] = None,
    max_time: Annotated[
        float | None,
        typer.Option(
            min=0.1, callback=finite, metavar="SECONDS", help="Budget of the whole run. Default: 60."
        ),
    ] = None,
    peak: Annotated[
        float | None,
        typer.Option(min=1e-9, callback=finite, metavar="GFLOPS", help="Adds a column: % of this figure."),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the random inputs. Default: a new one.")] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write all samples as JSON.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write this run's files, named by time, into DIR.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing --json FILE.")] = False,
    format: Annotated[Format, typer.Option(help="Of standard output.")] = Format.table,
    ascii: AsciiOption = False,
) -> None:
    """Proves the matmul kernels, times them in random rounds, and compares tile sizes.

    Example: rusty-bench matmul --size 1024 --size 512x2048x512 --tile 8 --tile 16
    """
    sizes = [parse_size(text) for text in size or ()]
    tiles = [parse_tile(text) for text in dict.fromkeys(tile or TILES)]
    if runs and min_time:
        raise typer.BadParameter(
            "--runs says how many samples there are, whatever --min-time", param_hint="--runs"
        )
    from rusty_py import dtypes
    from rusty_py.adapter import choose
    from rusty_py.bench.report import files

    dtypes.parse(dtype, operation="matmul")
    chosen = choose(adapter)
    if json:
        files.check(json, force=force)
    if out:
        files.check_folder(out)

    from rusty_py.bench.context import adapter_facts, context
    from rusty_py.bench.runner import measure
    from rusty_py.bench.sampling import Options
    from rusty_py.bench.suites.matmul import MatmulSuite
    from rusty_py.device import Device

    sizes = sizes or [(n, n, n) for n in LADDER["CPU" if chosen.is_cpu else "GPU"]]
    options = Options.for_adapter(
        chosen, warmup_s=warmup, runs=runs, min_time_s=min_time, max_time_s=max_time, seed=seed
    )
    with Device(chosen) as device:
        if format == Format.table:
            show(heading(adapter_facts(chosen), checked=device.checked), ascii=ascii)
        facts = context(device, options=vars(options))
        suite = MatmulSuite(sizes, tiles)
        with progress(ascii=ascii) as say:
            run = measure(suite, device, options, context=facts, say=say, peak_gflops=peak)
    try:
        show(render(run, format), ascii=ascii)
    finally:  # Also where standard output was closed in the meantime.
        write_files(run, json=json, out=out)
    leave(run, wrong=any(result.verdict != "ok" for result in run.results))


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
    size: Annotated[
        list[str] | None,
        typer.Option(
            "--size", metavar="N|MxKxN", help="Repeat for more. Default: a ladder that fits the adapter."
        ),
    ] = None,
    dtype: Annotated[str, typer.Option(help="Element type: f32 or f16.")] = "f32",
    sums: Annotated[str, typer.Option(help="What f16 is added up in: f32 or f16.")] = "f32",
    layout: Annotated[
        list[str] | None,
        typer.Option("--layout", metavar="nn|nt|tn|tt", help="t: transposed; repeat for more. Default: nn."),
    ] = None,
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

    Example: rusty-bench tune --size 1024 --size 512x2048x512 --layout nn --layout nt
    """
    from rusty_py.bench import tuning

    if list_ or clear:
        show(tuning.clear() if clear else tuning.listing(), ascii=ascii)
        return
    sizes = [parse_size(text) for text in dict.fromkeys(size or ())]
    tasks = partial(tuning.problems, dtype=dtype, sums=sums, layouts=list(dict.fromkeys(layout or ("nn",))))
    from rusty_py.adapter import choose

    chosen = choose(adapter)
    problems = tasks(sizes or [(n, n, n) for n in LADDER["CPU" if chosen.is_cpu else "GPU"]])
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
        list[str] | None, typer.Option(metavar="NAME=NUMBER", help="An override's value. Repeat for more.")
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
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    ascii: AsciiOption = False,
) -> None:
    """Finds faults of a WGSL kernel without a GPU: bounds, races, barriers, and what Metal leaves undefined.

    Example: rusty-bench check my.wgsl --workgroups 8 --buffer a=f32[1000] --constant TILE=16
    """
    from rusty_py.bench import checking
    from rusty_py.checker import check as check_kernel
    from rusty_py.checker.check import STEP_LIMIT, SUBGROUP_SIZES, TIME_LIMIT

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
        name=checking.name_of(file),
    )
    show(checking.text_of(report, as_json=json), ascii=ascii)
    if report.findings:
        raise typer.Exit(FINDINGS)


def parse_size(text: str) -> tuple[int, int, int]:
    """(m, k, n) of "512" or "512x2048x512"."""
    parts = re.fullmatch(r"(\d{1,9})(?:x(\d{1,9})x(\d{1,9}))?", text)
    sizes = [int(part) for part in parts.groups() if part is not None] if parts else []
    if not sizes or 0 in sizes:
        raise typer.BadParameter(f"{text!r} is no size: N or MxKxN, each 1 or more", param_hint="--size")
    return (sizes[0], sizes[0], sizes[0]) if len(sizes) == 1 else (sizes[0], sizes[1], sizes[2])


def parse_bytes(text: str) -> int:
    """The bytes of "64KiB", "4MiB" or "4096": a multiple of 4, as copies are."""
    parts = re.fullmatch(r"(\d{1,12})\s*(KiB|MiB|GiB)?", text)
    nbytes = int(parts[1]) << {None: 0, "KiB": 10, "MiB": 20, "GiB": 30}[parts[2]] if parts else 0
    if not nbytes or nbytes % 4:
        raise typer.BadParameter(
            f"{text!r} is no size: a number of bytes, KiB, MiB or GiB, a multiple of 4", param_hint="--size"
        )
    return nbytes


def parse_tile(text: str) -> int | str:
    """A tile edge, or "naive"."""
    if text not in TILES:
        raise typer.BadParameter(f"{text!r} is no tile: 8, 16, 32 or naive", param_hint="--tile")
    return text if text == "naive" else int(text)


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


def leave(run: "Run | Figures | TuningRun", *, wrong: bool) -> None:
    """Ends the program with the code that the run deserves."""
    if run.failure:
        raise DeviceError(run.failure)
    if run.interrupted:
        raise typer.Exit(INTERRUPTED)
    if wrong:
        raise typer.Exit(WRONG)
