"""The commands of the suites of operations: `rusty-bench elementwise`, `reduce`, `activation`, ..."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial
from typing import Annotated

import typer

from rusty_py.bench.command import measure_and_report
from rusty_py.bench.options import (
    AdapterOption,
    AsciiOption,
    BarsOption,
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
from rusty_py.bench.suites.description import Axis, Shape, SuiteDescription, Task, parse_sizes


class ElementName(StrEnum):
    """Dtypes of elements."""

    f32 = "f32"
    f16 = "f16"
    i32 = "i32"
    u32 = "u32"


_HELP_COLUMNS = 45
GPU_SECONDS = 180.0
"""The default budget on a GPU, whose samples take longer."""


def command_of(suite: SuiteDescription) -> Callable[..., None]:
    """The command that measures a suite."""

    def command(
        op: Annotated[
            list[str] | None,
            typer.Option("--op", metavar="NAMES", help=_operations_help(suite)),
        ] = None,
        size: Annotated[
            list[str] | None,
            typer.Option("--size", metavar="SIZES", help="4096, 64Ki, 1M, 1024x1024 or 4Ki..1Mi."),
        ] = None,
        preset: Annotated[
            str | None, typer.Option("--preset", metavar="NAME", help=_presets_help(suite))
        ] = None,
        axis: Annotated[
            list[str] | None,
            typer.Option("--axis", metavar="AXES", hidden=not suite.axes, help="Of all: all, 0, 1, ..."),
        ] = None,
        dtype: Annotated[
            ElementName, typer.Option("--dtype", metavar="DTYPE", help="f32, f16, i32 or u32.")
        ] = ElementName.f32,
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
        bars: BarsOption = False,
        ascii: AsciiOption = False,
    ) -> None:
        shapes = [shape for text in parts(size) for shape in _sizes(text)]
        if preset is not None:
            shapes += _preset(suite, preset)
        axes = [_axis(suite, text) for text in parts(axis)]
        if suite.family == "functions" and reference != "numpy":
            raise typer.BadParameter("fused functions are compared with unfused", param_hint="--reference")
        output = Output(format, json, out, force, wide, bars, ascii)
        chosen = choose_adapter(adapter)
        output.check()

        from rusty_py.bench.fused_suite import FusedSuite
        from rusty_py.bench.kernel_suites import measure
        from rusty_py.bench.operation_suite import OperationSuite
        from rusty_py.dtypes import ELEMENTS
        from rusty_py.measure.references import library
        from rusty_py.measure.sampling import Options

        shapes = shapes or list(suite.sizes["CPU" if chosen.is_cpu else "GPU"])
        tasks = tasks_of(suite, parts(op), shapes, axes)
        budget_s = max_time or (None if chosen.is_cpu else GPU_SECONDS)
        options = Options.for_adapter(chosen, runs=runs, max_time_s=budget_s, seed=seed)
        measured: FusedSuite | OperationSuite
        if suite.family == "functions":
            measured = FusedSuite(suite.command, tasks, ELEMENTS[dtype])
        else:
            measured = OperationSuite(suite.command, tasks, ELEMENTS[dtype], library(reference))
        measured.check(chosen)
        measure_and_report(chosen, partial(measure, measured), options, output)

    shapes = suite.sizes["CPU"][-2:]
    sizes = ",".join("x".join(map(str, shape)) for shape in shapes) if len(shapes[0]) > 1 else "64Ki,1Mi"
    example = f"rusty-bench {suite.command} --op {suite.operations[0]} --size {sizes} --bars"
    command.__doc__ = (
        f"{suite.help}\n\nResults are verified by the bound of each operation. Separate operations and sizes"
        f" with commas, or repeat the option.\n\nExample: {example}"
    )
    return command


def tasks_of(
    suite: SuiteDescription, operations: Sequence[str], shapes: Sequence[Shape], axes: Sequence[Axis] = ()
) -> list[Task]:
    """The tasks, operation by operation and small ones first; without `operations` those of the defaults.

    Raises a usage error for unknown operations, and for axes that a shape doesn't have.
    """
    able = able_of(suite)
    for shape in shapes:
        if suite.family == "functions" and len(shape) != 2:
            raise typer.BadParameter("of matrices, as in 1024x1024", param_hint="--size")
        if any(axis is not None and axis >= len(shape) for axis in axes):
            size = "x".join(map(str, shape))
            raise typer.BadParameter(f"{size} has the axes 0 to {len(shape) - 1}", param_hint="--axis")
    tasks = []
    for operation in operations or [each for each in suite.operations if each in able]:
        if operation not in able:
            raise typer.BadParameter(f"{operation!r} is not one of: {', '.join(able)}", param_hint="--op")
        tasks += [task for shape in shapes for task in suite.tasks(operation, shape, axes)]
    return tasks


def able_of(suite: SuiteDescription) -> list[str]:
    """The operations that a suite measures: its own, and those of its family."""
    from inspect import signature

    from rusty_py.operation import OPERATIONS
    from rusty_py.ops.all import ROWS

    if suite.family == "functions":
        from rusty_py.measure.fused_functions import FUNCTIONS

        return sorted(FUNCTIONS)
    found = set(suite.operations)
    if suite.family == "elementwise":
        found |= ROWS.keys()
    if suite.family == "reductions":
        parameters = {
            name: signature(each.function).parameters for name, each in OPERATIONS.items() if each.function
        }
        found |= {name for name, each in parameters.items() if {"axis", "keepdims"} <= set(each)}
    return sorted(
        name
        for name in found & OPERATIONS.keys()
        if (each := OPERATIONS[name]).operands and each.function and each.expected
    )


def _sizes(text: str) -> list[Shape]:
    try:
        return parse_sizes(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--size") from error


def _operations_help(suite: SuiteDescription) -> str:
    """In a line of 80 columns."""
    shown = suite.operations
    while len(text := ", ".join([*shown, *["..."] * (shown != suite.operations)])) > _HELP_COLUMNS:
        shown = shown[:-1]
    return f"Default: {text}{'' if text.endswith('...') else '.'}"


def _presets_help(suite: SuiteDescription) -> str:
    return f"Sizes: {' or '.join(suite.presets)}." if suite.presets else "None."


def _preset(suite: SuiteDescription, name: str) -> tuple[Shape, ...]:
    if name not in suite.presets:
        known = ", ".join(suite.presets) or "none"
        raise typer.BadParameter(f"{name!r} is not one of: {known}", param_hint="--preset")
    return suite.presets[name]


def _axis(suite: SuiteDescription, text: str) -> Axis:
    names = {"all" if axis is None else str(axis): axis for axis in suite.axes}
    if text not in names:
        raise typer.BadParameter(f"{text!r} is not one of: {', '.join(names) or 'none'}", param_hint="--axis")
    return names[text]
