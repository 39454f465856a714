"""`check`: proves a kernel for one launch, by running its Metal translation under a checker."""

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rusty_py.checker import contents
from rusty_py.checker.build import Program, RefusedText, build
from rusty_py.checker.findings import findings_of
from rusty_py.checker.overrides import bake
from rusty_py.checker.report import CheckRun, Report
from rusty_py.checker.run import WORKGROUP_BYTES, BrokenProgram, CheckJob, CheckOutcome, TooSmall, run
from rusty_py.checker.translate import EntryPoint, Global, Translation, translate, validate
from rusty_py.errors import LimitError, ShaderError, ShapeError, ToolError
from rusty_py.wgsl_text.tokens import check_size

STEP_LIMIT = 10_000_000
TIME_LIMIT = 60.0
MAX_WORKGROUPS = 1 << 24
MAX_THREADS = 1024
MAX_SUBGROUP = 64
MAX_SEEDS = 1000
MAX_STEPS = (1 << 63) - 1
MAX_WORKGROUP_BYTES = 1 << 24
SUBGROUP_SIZES = (16, 32, 64)


def check(
    wgsl: str,
    *,
    workgroups: int | Sequence[int],
    buffers: Mapping[str, ArrayLike | str],
    constants: Mapping[str, int | float | bool] | None = None,
    entry: str | None = None,
    subgroup_sizes: Sequence[int] = SUBGROUP_SIZES,
    seeds: int = 2,
    step_limit: int = STEP_LIMIT,
    time_limit: float = TIME_LIMIT,
    workgroup_bytes: int = WORKGROUP_BYTES,
    name: str = "wgsl",
) -> Report:
    """Runs one launch of a WGSL kernel, translated to Metal's language, on the CPU, and reports its faults.

    `workgroups`: how many, along x, y and z. `buffers`: for each variable in storage or uniform memory its
    contents, an array or a description like "f32[1000]"; they are not changed. An array has the variable's
    dtype, or is u32 or u8 words of its bytes, or structured. `constants`: the overrides' values by WebGPU's
    keys, the number of an override's @id as a string, its name where it has none.
    `entry`: the entry point, where there are several. The kernel runs once for each of `seeds` orders of its
    threads and, if it uses subgroups, each of `subgroup_sizes`; the first run with findings is the last.
    A thread that takes more than `step_limit` turns of loops, or a check longer than `time_limit` seconds,
    is a finding. `workgroup_bytes`: how much workgroup memory there is; Metal has 32 KiB.

    Raises ShaderError for text that the compilers refuse, ShapeError and DtypeError for buffers and constants
    that do not fit, LimitError for numbers out of range, ToolError where clang or Node are missing or fail.
    """
    check_size(wgsl)
    baked = bake(wgsl, constants or {})
    if baked != wgsl:
        validate(wgsl, name=name)  # A constant may stand where an override may not.
    translation = translate(baked, name=name)
    return check_translation(
        translation,
        _entry(translation, entry),
        workgroups=_three(workgroups),
        buffers=buffers,
        subgroup_sizes=subgroup_sizes,
        seeds=seeds,
        step_limit=step_limit,
        time_limit=time_limit,
        workgroup_bytes=workgroup_bytes,
        name=name,
    )


def check_translation(
    translation: Translation,
    entry: EntryPoint,
    *,
    workgroups: tuple[int, int, int],
    buffers: Mapping[str, ArrayLike | str],
    subgroup_sizes: Sequence[int],
    seeds: int,
    step_limit: int,
    time_limit: float,
    name: str,
    workgroup_bytes: int = WORKGROUP_BYTES,
) -> Report:
    """`check` from the Metal text on."""
    _check_threads(entry)
    _check_runs(subgroup_sizes, seeds, step_limit, time_limit, workgroup_bytes)
    program = _program(translation, entry)
    used = [each for each in translation.globals if each.spelled in program.variables and _is_buffer(each)]
    given = _contents(used, translation, buffers)
    sizes = subgroup_sizes if program.uses_subgroups else subgroup_sizes[:1]
    job = CheckJob(
        workgroups=workgroups,
        threads=entry.threads,
        contents={each.spelled: given[each.name].tobytes() for each in used},
        sizes=[given[each.name].nbytes if each.name in given else 0 for each in translation.sized],
        runs=[(size, seed) for size in sizes for seed in range(seeds)],
        step_limit=step_limit,
        time_limit=time_limit,
        workgroup_bytes=workgroup_bytes,
    )
    outcome = _outcome(program, translation, entry, job)
    return Report(
        wgsl=translation.wgsl,
        entry=entry.name,
        workgroups=workgroups,
        threads=entry.threads,
        runs=tuple(CheckRun(*each) for each in outcome.runs),
        findings=findings_of(outcome.findings, translation),
        outputs=_outputs(used, given, outcome),
        varies=tuple(each.name for each in used if each.spelled in outcome.varies),
        name=name,
    )


def _program(translation: Translation, entry: EntryPoint) -> Program:
    """The compiled kernel. Raises ToolError where the stand-in lacks what the text needs."""
    try:
        return build(translation.msl, entry)
    except RefusedText as error:
        metal = translation.msl.split("\n")[error.line - 1].strip()
        statement = translation.lines[error.line - 1]
        line = translation.wgsl.count("\n", 0, statement.start) + 1 if statement else 0
        where = f"line {line}" if line else "the kernel"
        raise ToolError(
            f"check: {where}: naga's Metal text is not C++ to the checker, which is the checker's lack:"
            f" {metal}: {error}"
        ) from error


def _outcome(program: Program, translation: Translation, entry: EntryPoint, job: CheckJob) -> CheckOutcome:
    """What running it leaves. It is built once more where the cache held a broken one."""
    try:
        return run(program, job)
    except BrokenProgram:
        program.library.unlink(missing_ok=True)
        return run(_program(translation, entry), job)
    except TooSmall as error:
        buffer = next(each for each in translation.globals if each.spelled == error.variable)
        raise ShapeError(
            f"check: buffer {buffer.name}: smaller than its type: {error.given} < {error.minimum} bytes:"
            f" {buffer.kind}"
        ) from error


def _outputs(
    used: Sequence[Global], given: Mapping[str, NDArray[np.generic]], outcome: CheckOutcome
) -> dict[str, NDArray[np.generic]]:
    """What the first run left in the buffers that the kernel may write."""
    written = [each for each in used if "read_write" in each.space and each.spelled in outcome.contents]
    found = {}
    for each in written:
        before = given[each.name]
        after = np.frombuffer(outcome.contents[each.spelled], before.dtype)
        found[each.name] = after.reshape(before.shape).copy()
    return found


def _entry(translation: Translation, name: str | None) -> EntryPoint:
    entries = translation.entries
    names = ", ".join(each.name for each in entries) or "none"
    if name is None and len(entries) == 1:
        return entries[0]
    for each in entries:
        if each.name == name:
            return each
    if name is None and not entries:
        raise ShaderError("check: the text has no entry point: mark one with @compute @workgroup_size(64)")
    which = f"no entry point {name}" if name else "several entry points"
    raise ShaderError(f"check: {which}: the text has {names}: name one by entry= or --entry")


def _three(workgroups: int | Sequence[int]) -> tuple[int, int, int]:
    given = _integers(workgroups)
    if not 1 <= len(given) <= 3 or not all(1 <= each <= 65535 for each in given):
        raise LimitError(f"check: workgroups are one to three numbers from 1 to 65535: {workgroups}")
    x, y, z = (*given, 1, 1)[:3]
    if x * y * z > MAX_WORKGROUPS:
        raise LimitError(f"check: too many workgroups: {x * y * z} > {MAX_WORKGROUPS}")
    return x, y, z


def _integers(given: Any) -> list[int]:
    """One integer or several, of any type; none where there is anything else."""
    try:
        return [operator.index(each) for each in (given if isinstance(given, Iterable) else (given,))]
    except TypeError:
        return []


def _check_threads(entry: EntryPoint) -> None:
    x, y, z = entry.threads
    threads = x * y * z
    if threads > MAX_THREADS:
        raise LimitError(f"check: more threads in a workgroup than Metal allows: {threads} > {MAX_THREADS}")


def _check_runs(
    subgroup_sizes: Sequence[int], seeds: int, step_limit: int, time_limit: float, workgroup_bytes: int
) -> None:
    sizes = _integers(subgroup_sizes)
    if not sizes or not all(1 <= size <= MAX_SUBGROUP and size & (size - 1) == 0 for size in sizes):
        raise LimitError(f"check: subgroup sizes are powers of 2 up to {MAX_SUBGROUP}: {subgroup_sizes}")
    if not 1 <= seeds <= MAX_SEEDS:
        raise LimitError(f"check: orders of threads are 1 to {MAX_SEEDS}: seeds={seeds}")
    if not 1 <= step_limit <= MAX_STEPS:
        raise LimitError(f"check: turns of loops are 1 to {MAX_STEPS}: step_limit={step_limit}")
    if not (time_limit > 0 and math.isfinite(time_limit)):
        raise LimitError(f"check: seconds are more than 0, and not infinite: time_limit={time_limit}")
    if not 0 <= workgroup_bytes <= MAX_WORKGROUP_BYTES:
        limit = MAX_WORKGROUP_BYTES
        raise LimitError(f"check: workgroup memory is 0 to {limit} bytes: workgroup_bytes={workgroup_bytes}")


def _contents(
    used: Sequence[Global], translation: Translation, buffers: Mapping[str, ArrayLike | str]
) -> dict[str, NDArray[np.generic]]:
    """The contents of each buffer the entry uses. Those of others may be given, too."""
    kinds = {each.name: each.kind for each in translation.globals if _is_buffer(each)}
    known = sorted(kinds)
    if unknown := sorted(set(buffers) - set(known)):
        has = ", ".join(known) or "none"
        raise ShapeError(f"check: no such buffer: {', '.join(unknown)}: the text has {has}")
    if missing := [f"{each.name}: {each.kind}" for each in used if each.name not in buffers]:
        example = missing[0].partition(":")[0]
        raise ShapeError(
            f"check: buffers are missing: {', '.join(missing)}: give each, as in --buffer {example}=f32[1000]"
        )
    given = {name: contents.array(value, name=name, kind=kinds[name]) for name, value in buffers.items()}
    if (total := sum(each.nbytes for each in given.values())) > contents.MAX_BYTES:
        raise LimitError(f"check: buffers are too large: {total} > {contents.MAX_BYTES} bytes together")
    return given


def _is_buffer(variable: Global) -> bool:
    return variable.space.startswith(("storage", "uniform"))
