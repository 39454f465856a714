"""Sorts of the rows of (rows, n): by counting, in workgroup memory, or by a radix sort of 8 bits a pass."""

from __future__ import annotations

from dataclasses import dataclass

from rusty_py.arrays import Array, allocate
from rusty_py.dtypes import BOOL, ELEMENTS, F16, F32, I32, U32, Dtype
from rusty_py.ops.grid import groups_for
from rusty_py.ops.scan.kernels import scan
from rusty_py.ops.scan.specs import SUM
from rusty_py.ops.sort.keys import KEY_BITS, flip_mask
from rusty_py.ops.sort.specs import (
    COLLECTED,
    CPU_THREADS,
    DIGITS,
    Step,
    bitonic_spec,
    histogram_spec,
    ranks_spec,
    scatter_bytes,
    scatter_spec,
    select_spec,
    step,
)
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec, launch
from rusty_py.shapes import ceil_div

RANKED = 64
"""Rows up to this length are sorted by counting the elements before each."""

CPU_RANKED, CPU_FEW = 128, 512
"""The same on CPU drivers, and up to how many elements in all longer rows are sorted so, too."""

BITONIC = ((256, 64), (512, 128), (1024, 256), (2048, 256))
"""Rows up to these lengths are sorted by a workgroup, of as many threads."""

SELECTED, SPAN = 256, 1 << 13
"""The maximum that is selected of a block, and the longest block to select from."""

MIN_LISTS = 256
"""Lists of a block to select from, at least."""

KEYS = (8, 4)
"""Keys of a thread in a radix sort: the first for which there is enough workgroup memory."""

CPU_TASKS, MIN_CPU_BLOCK, CPU_BLOCK = 128, 1 << 8, 1 << 14
"""Blocks of a radix sort on a CPU driver, at most, unless they would be longer than the last of these."""


def by_counting(device: Device, rows: int, n: int) -> bool:
    """Whether rows are sorted by counting the elements before each."""
    return n <= CPU_RANKED or rows * n <= CPU_FEW if device.adapter.is_cpu else n <= RANKED


def sort_rows(x: Array, rows: int, n: int, *, indices: bool, descending: bool) -> Array:
    """`x`, row-major and of at least one element, as (rows, n), with each row sorted; flat.

    With `indices`, in place of the elements their places in the rows, as int32.
    """
    if by_counting(x.device, rows, n):
        return ranked(x, rows, n, n, indices=indices, descending=descending)
    if n <= BITONIC[-1][0] and not x.device.adapter.is_cpu:
        out = allocate(x.device, (rows * n,), I32 if indices else x.kind, operation="sort")
        mask = flip_mask(x.kind, descending=descending)
        bitonic(step(x.kind, indices=indices), [x], [out], rows, n, n, mask)
        return out
    return _radix(x, rows, n, indices=indices, descending=descending)


def ranked(x: Array, rows: int, n: int, keep: int, *, indices: bool, descending: bool) -> Array:
    """The first `keep` elements of each row, sorted: (rows, keep), flat."""
    out = allocate(x.device, (rows * keep,), I32 if indices else x.kind, operation="sort")
    launch(
        x.device,
        ranks_spec(step(x.kind, indices=indices)),
        inputs=[x.buffer],
        outputs=[out.buffer],
        uniforms=(rows * n, n, keep, x.offset, flip_mask(x.kind, descending=descending)),
        workgroups=(groups_for(x.device, rows * n, operation="sort", steps=n + 1), 1, 1),
        flops=rows * n * n,
    )
    return out


def bitonic(
    what: Step, given: list[Array], outputs: list[Array], rows: int, n: int, keep: int, mask: int
) -> None:
    """The first `keep` elements of each sorted block of each row: (rows, blocks, keep)."""
    elements, threads = next((each for each in BITONIC if n <= each[0]), BITONIC[-1])
    blocks = ceil_div(n, elements)
    device = given[0].device
    launch(
        device,
        bitonic_spec(what, elements, threads),
        inputs=[each.buffer for each in given],
        outputs=[each.buffer for each in outputs],
        uniforms=(rows * blocks, n, blocks, keep, given[0].offset, mask),
        workgroups=(min(rows * blocks, device.limits.groups), 1, 1),
        flops=rows * blocks * elements * elements.bit_length() ** 2 // 2,
    )


def selection(keep: int) -> tuple[int, int]:
    """Lists of a block to select `keep` elements from, and its length, for which there is enough memory.

    Four lists for each element to keep let few others be collected.
    """
    lists = MIN_LISTS
    while lists < COLLECTED and (lists < 4 * keep or _span(lists, keep) < SPAN):
        lists *= 2
    return lists, _span(lists, keep)


def _span(lists: int, keep: int) -> int:
    return min(SPAN, lists * ((COLLECTED - 1) // max(1, keep - 1)))


def select(
    what: Step, given: list[Array], outputs: list[Array], rows: int, n: int, keep: int, mask: int
) -> None:
    """The first `keep` elements of each block of each row, sorted, as `bitonic`, of longer blocks."""
    lists, span = selection(keep)
    blocks, device = ceil_div(n, span), given[0].device
    launch(
        device,
        select_spec(what, lists),
        inputs=[each.buffer for each in given],
        outputs=[each.buffer for each in outputs],
        uniforms=(rows * blocks, n, blocks, keep, given[0].offset, mask, span),
        workgroups=(min(rows * blocks, device.limits.groups), 1, 1),
        flops=16 * rows * n,
    )


@dataclass(frozen=True)
class RadixPlan:
    """Blocks of `block` elements of each row, `keys` a thread; on CPU drivers 0: a thread has a block."""

    block: int
    keys: int
    subgroups: bool


def radix_plan(device: Device, rows: int, n: int, *, indices: bool) -> RadixPlan:
    """The plan for (rows, n)."""
    if device.adapter.is_cpu:
        wanted = ceil_div(n, max(1, CPU_TASKS // rows))
        return RadixPlan(min(CPU_BLOCK, max(MIN_CPU_BLOCK, wanted)), 0, subgroups=False)
    subgroups = "subgroup" in device.adapter.features
    limit = device.limits.workgroup_bytes
    fitting = (each for each in KEYS if scatter_bytes(each, indices=indices, subgroups=subgroups) <= limit)
    keys = next(fitting, KEYS[-1])
    return RadixPlan(DIGITS * keys, keys, subgroups)


def _radix(x: Array, rows: int, n: int, *, indices: bool, descending: bool) -> Array:
    """By 8 bits a pass, the lowest first: count the digits of each block, scan the counts, move the keys."""
    device = x.device
    plan = radix_plan(device, rows, n, indices=indices)
    blocks = ceil_div(n, plan.block)
    counts = allocate(device, (rows * DIGITS * blocks,), U32, operation="sort")
    groups = _groups(device, plan, rows * blocks)
    mask, passes = flip_mask(x.kind, descending=descending), ceil_div(KEY_BITS[x.kind], 8)
    between = [_keys(device, rows * n, indices=indices) for _ in range(min(2, passes - 1))]
    given = [x]
    for i in range(passes):
        what = step(x.kind, indices=indices, first=i == 0, last=i == passes - 1)
        outputs = (
            between[i % 2]
            if not what.last
            else [allocate(device, (rows * n,), I32 if indices else x.kind, operation="sort")]
        )
        sizes = (rows * blocks, n, blocks, given[0].offset, mask, 8 * i, *[plan.block] * (not plan.keys))
        launch(
            device,
            histogram_spec(what, plan.keys),
            inputs=[given[0].buffer],
            outputs=[counts.buffer],
            uniforms=sizes,
            workgroups=groups,
            flops=rows * n,
        )
        ends = scan(SUM, counts, (rows, DIGITS * blocks, 1))
        launch(
            device,
            scatter_spec(what, plan.keys, subgroups=plan.subgroups),
            inputs=[each.buffer for each in (*given, ends)],
            outputs=[each.buffer for each in (*outputs, *[counts] * (not plan.keys))],
            uniforms=sizes,
            workgroups=groups,
            flops=8 * rows * n,
        )
        given = outputs
    return given[0]


def _keys(device: Device, count: int, *, indices: bool) -> list[Array]:
    """Room for keys, and for indices."""
    return [allocate(device, (count,), U32, operation="sort") for _ in range(1 + indices)]


def _groups(device: Device, plan: RadixPlan, tasks: int) -> tuple[int, int, int]:
    """Workgroups of a pass. Raises LimitError if a thread would take too many steps for the device."""
    if plan.keys:
        return min(tasks, device.limits.groups), 1, 1
    steps = plan.block + DIGITS
    # A workgroup has fewer threads than `groups_for` counts with.
    groups_for(device, tasks, operation="sort", steps=steps)
    return min(ceil_div(tasks, CPU_THREADS), device.limits.groups), 1, 1


def radix_specs(kind: Dtype, *, indices: bool, keys: int, subgroups: bool = False) -> list[Spec]:
    """The kernels of the passes of a radix sort, but for its scans."""
    passes = ceil_div(KEY_BITS[kind], 8)
    steps = [step(kind, indices=indices, first=i == 0, last=i == passes - 1) for i in range(passes)]
    found = [histogram_spec(each, keys) for each in steps]
    found += [scatter_spec(each, keys, subgroups=subgroups) for each in steps]
    return list(dict.fromkeys(found))


def variants() -> list[Spec]:
    """Kernels that cover each line of the texts, and each dtype."""
    found = [ranks_spec(step(kind, indices=each)) for kind in ELEMENTS.values() for each in (False, True)]
    for size in BITONIC[:2]:
        found += [bitonic_spec(step(F32, indices=each), *size) for each in (False, True)]
    found.append(bitonic_spec(step(F32, indices=True, first=False), *BITONIC[0]))
    found += [select_spec(step(kind, indices=True), MIN_LISTS) for kind in (F32, F16)]
    found.append(select_spec(step(F32, indices=True, first=False, last=False), COLLECTED))
    found += radix_specs(F32, indices=True, keys=KEYS[1], subgroups=True)
    found += radix_specs(F16, indices=False, keys=KEYS[1])
    found += radix_specs(BOOL, indices=False, keys=KEYS[0], subgroups=True)
    found += radix_specs(F32, indices=False, keys=0) + radix_specs(I32, indices=True, keys=0)
    return list(dict.fromkeys(found))
