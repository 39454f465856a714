"""The commands of the suites of operations: `rusty-bench elementwise`, `rusty-bench reduce`, ..."""

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
from rusty_py.bench.suites.description import Shape, SuiteDescription, Task, parse_shape


class ElementName(StrEnum):
    """Dtypes of elements."""

    f32 = "f32"
    f16 = "f16"
    i32 = "i32"
    u32 = "u32"


GPU_SECONDS = 180.0
"""The default budget on a GPU, whose samples take longer."""


def command_of(suite: SuiteDescription) -> Callable[..., None]:
    """The command that measures a suite."""

    def command(
        op: Annotated[
            list[str] | None,
            typer.Option("--op", metavar="NAMES", help=f"Default: {', '.join(suite.operations)}."),
        ] = None,
        size: Annotated[
            list[str] | None,
            typer.Option("--size", metavar="SIZES", help="Elements: 4096, 64Ki, 1Mi, or 1024x1024."),
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
        shapes = [_shape(text) for text in parts(size)]
        output = Output(format, json, out, force, wide, bars, ascii)
        chosen = choose_adapter(adapter)
        output.check()

        from rusty_py.bench.kernel_suites import measure
        from rusty_py.bench.operation_suite import OperationSuite
        from rusty_py.dtypes import ELEMENTS
        from rusty_py.measure.references import library
        from rusty_py.measure.sampling import Options

        tasks = tasks_of(
            suite, parts(op) or suite.operations, shapes or suite.sizes["CPU" if chosen.is_cpu else "GPU"]
        )
        budget_s = max_time or (None if chosen.is_cpu else GPU_SECONDS)
        options = Options.for_adapter(chosen, runs=runs, max_time_s=budget_s, seed=seed)
        measured = OperationSuite(suite.command, tasks, ELEMENTS[dtype], library(reference))
        measured.check(chosen)
        measure_and_report(chosen, partial(measure, measured), options, output)

    example = f"rusty-bench {suite.command} --op {suite.operations[0]} --size 64Ki,1Mi --bars"
    command.__doc__ = (
        f"{suite.help}\n\nResults are verified by the bound of each operation. Separate operations and sizes"
        f" with commas, or repeat the option.\n\nExample: {example}"
    )
    return command


def tasks_of(suite: SuiteDescription, operations: Sequence[str], shapes: Sequence[Shape]) -> list[Task]:
    """The tasks, operation by operation and small ones first. Raises a usage error for unknown operations."""
    tasks = []
    able = _able(suite, shapes[0])
    for operation in operations:
        if operation not in able:
            raise typer.BadParameter(f"{operation!r} is not one of: {', '.join(able)}", param_hint="--op")
        tasks += [task for shape in shapes for task in suite.tasks(operation, shape)]
    return tasks


def _able(suite: SuiteDescription, shape: Shape) -> list[str]:
    """The operations that make their own operands and take the options of the suite, an axis or none."""
    from inspect import signature

    from rusty_py.operation import OPERATIONS

    OPERATIONS[suite.operations[0]]  # The first that is asked for registers all.
    options = set(suite.tasks("", shape)[0].options)
    return sorted(
        name
        for name, each in OPERATIONS.items()
        if each.operands and each.function and {"axis"} & set(signature(each.function).parameters) == options
    )


def _shape(text: str) -> Shape:
    try:
        return parse_shape(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--size") from error
