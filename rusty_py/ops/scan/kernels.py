"""Scans of (outer, n, inner) over n: reduce, then scan.

A long axis is cut into chunks. A first launch combines each of them; the last one scans each, from the
combination of those before it.
"""

from __future__ import annotations

from dataclasses import dataclass

from rusty_py.arrays import Array, allocate
from rusty_py.dtypes import BOOL, F16, F32, I32, U32, Dtype
from rusty_py.ops.grid import THREADS, groups_for
from rusty_py.ops.scan.specs import LARGE, PROD, SMALL, SUM, RowConfig, Scan, scan_spec, sums_spec
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec, launch
from rusty_py.shapes import ceil_div

SHORT_ROW = 64
"""Rows up to this length are scanned by single threads."""

SINGLE_LAUNCH = 1 << 14
"""Rows up to this length are one chunk, and so are longer ones where there are `ENOUGH_ROWS`."""

ENOUGH_ROWS = 512
"""Workgroups that fill a GPU without chunks."""

ENOUGH_GROUPS = 8192
"""Chunks of all rows, at most, unless they would be longer than `LONG_CHUNK`."""

LONG_CHUNK = 1 << 18
"""The maximum that one workgroup scans: the carry goes through a block for each 4,096 elements."""

ENOUGH_THREADS, ENOUGH_CPU_THREADS = 1 << 16, 1 << 8
"""Chunks that threads scan, at most, unless they would be longer than `THREAD_CHUNK`."""

MIN_THREAD_CHUNK, MIN_CPU_CHUNK, THREAD_CHUNK = 32, 512, 1 << 10
"""The length of a chunk that one thread scans, where there is more than one.

The least on GPUs, and on CPU drivers, where a launch takes as long as a thousand elements; the most on both.
"""


@dataclass(frozen=True)
class ScanPlan:
    """How an axis is scanned: in `width` chunks of `chunk` elements, by workgroups or by threads.

    `rows` are the workgroups; None for threads. With `wide`, workgroups access four neighbours of a row at
    once, and threads scan four neighbouring columns.
    """

    chunk: int
    width: int
    rows: RowConfig | None
    wide: bool

    @property
    def unit(self) -> int:
        """Columns of a thread."""
        return 4 if self.wide and self.rows is None else 1


def plan(outer: int, n: int, inner: int, *, aligned: bool, initial: bool, cpu: bool) -> ScanPlan:
    """The plan for (outer, n, inner), scanned over n. `aligned`: it begins at a multiple of 4 elements.

    `initial`: the result has n + 1 elements a column.
    """
    if inner == 1 and n > SHORT_ROW and not cpu:  # Barriers are slow on CPU drivers.
        config = SMALL if n <= 4 * SMALL.block else LARGE
        chunk = n
        if n > SINGLE_LAUNCH and outer < ENOUGH_ROWS:
            chunk = ceil_div(n, ENOUGH_GROUPS // outer)
        chunk = ceil_div(min(chunk, LONG_CHUNK), config.block) * config.block
        wide = aligned and not initial and (n % 4 == 0 or outer == 1)
        return ScanPlan(chunk, ceil_div(n, chunk), config, wide)
    wide = aligned and inner % 4 == 0
    columns = outer * (inner // 4 if wide else inner)
    enough, least = (ENOUGH_CPU_THREADS, MIN_CPU_CHUNK) if cpu else (ENOUGH_THREADS, MIN_THREAD_CHUNK)
    chunk = n
    if n > 2 * least and columns < enough:
        chunk = max(least, ceil_div(n, ceil_div(enough, columns)))
    chunk = min(chunk, THREAD_CHUNK)
    return ScanPlan(chunk, ceil_div(n, chunk), None, wide)


def depth(n: int) -> int:
    """How many roundings an element of n meets at most, whichever kernels and chunks are chosen."""
    if n <= 1:
        return n
    by_threads = min(n, THREAD_CHUNK) + (depth(ceil_div(n, MIN_THREAD_CHUNK)) if n > MIN_THREAD_CHUNK else 0)
    return max(by_threads, _depth_of_rows(n, SMALL), _depth_of_rows(n, LARGE))


def _depth_of_rows(n: int, config: RowConfig) -> int:
    """In a vec4, in a block, over the blocks of a chunk; then in each chunk before it, and over those."""
    among = max(lanes + config.vecs * config.threads // lanes for lanes in (4, 64))
    blocks = ceil_div(min(n, LONG_CHUNK), config.block)
    if n <= SINGLE_LAUNCH:
        return 4 + among + blocks
    chunks = max(ENOUGH_GROUPS, ceil_div(n, LONG_CHUNK))
    sums = blocks + config.vecs + 2 + config.threads.bit_length() + ceil_div(chunks, config.threads) + among
    return 4 + among + blocks + sums


def scan(
    row: Scan, x: Array, box: tuple[int, int, int], *, reverse: bool = False, initial: bool = False
) -> Array:
    """The scan of `x`, row-major and seen as (outer, n, inner) of at least one element, over n; flat.

    With `reverse`, from the end. With `initial`, n + 1 results, of which the first is the identity.
    """
    outer, n, inner = box
    device, cpu = x.device, x.device.adapter.is_cpu
    found = plan(outer, n, inner, aligned=x.offset % 4 == 0, initial=initial, cpu=cpu)
    out = allocate(device, (outer * (n + initial) * inner,), row.result(x.kind), operation=row.name)
    tasks = outer * found.width * (inner // found.unit)
    sizes = (tasks, n, found.width, found.chunk, *[inner // found.unit] * (found.rows is None), x.offset)
    groups = _groups(device, found, tasks, operation=row.name)
    flops = outer * n * inner
    sums = x  # Not read where there is one chunk.
    if found.width > 1:
        kind = row.computed(x.kind)
        sums = allocate(device, (outer * found.width * inner,), kind, operation=row.name)
        launch(
            device,
            sums_spec(row, x.kind, found.rows, wide=found.wide),
            inputs=[x.buffer],
            outputs=[sums.buffer],
            uniforms=sizes,
            workgroups=groups,
            flops=flops,
        )
        if found.rows is None:
            sums = scan(row, sums, (outer, found.width, inner), reverse=reverse)
    # With accesses one by one, subgroups give wrong results on NVIDIA (H200, driver of 2026).
    subgroups = found.rows is not None and found.wide and "subgroup" in device.adapter.features
    launch(
        device,
        scan_spec(row, x.kind, found.rows, wide=found.wide, reverse=reverse, subgroups=subgroups),
        inputs=[x.buffer, sums.buffer],
        outputs=[out.buffer],
        uniforms=(*sizes, n + initial, int(initial)),
        workgroups=groups,
        flops=flops,
    )
    return out


def _groups(device: Device, found: ScanPlan, tasks: int, *, operation: str) -> tuple[int, int, int]:
    """Workgroups of a launch. Raises LimitError if a thread would take too many steps for the device."""
    if found.rows is None:
        return groups_for(device, tasks, operation=operation, steps=found.chunk // 4 + 2), 1, 1
    # As if each thread had a chunk of its own. A block takes a step, and one for each vec4 of each subgroup.
    block_steps = 1 + found.rows.vecs * found.rows.threads // max(4, device.limits.subgroup)
    steps = (found.chunk // found.rows.block + 1) * block_steps + ceil_div(found.width, found.rows.threads)
    groups_for(device, tasks * THREADS, operation=operation, steps=steps)
    return min(tasks, device.limits.groups), 1, 1


def variants() -> list[Spec]:
    """Kernels that cover each line of the texts, each dtype and each scan."""
    kinds = (F32, F16, I32, U32, BOOL)
    found = [_spec(row, kind, None) for row in (SUM, PROD) for kind in kinds]
    found += [_spec(SUM, kind, LARGE, wide=True) for kind in kinds]
    found += [_spec(PROD, F32, LARGE, wide=True), _spec(SUM, F32, SMALL, wide=True)]
    for reverse in (False, True):
        found.append(_spec(SUM, F32, None, wide=True, reverse=reverse))
        found.append(_spec(SUM, F32, SMALL, reverse=reverse))
    found.append(_spec(SUM, F32, LARGE, wide=True, reverse=True, subgroups=False))
    found.append(_spec(PROD, F32, LARGE, subgroups=False))
    found += [sums_spec(SUM, kind, LARGE, wide=True) for kind in (F32, F16)]
    found += [sums_spec(PROD, F32, LARGE, wide=False), sums_spec(SUM, F32, None, wide=True)]
    # Those of the counts of a radix sort.
    found += [_spec(SUM, U32, SMALL, wide=True, subgroups=each) for each in (True, False)]
    found.append(sums_spec(SUM, U32, None, wide=False))
    return found


def _spec(
    row: Scan,
    kind: Dtype,
    rows: RowConfig | None,
    *,
    wide: bool = False,
    reverse: bool = False,
    subgroups: bool = True,
) -> Spec:
    subgroups = subgroups and wide and rows is not None
    return scan_spec(row, kind, rows, wide=wide, reverse=reverse, subgroups=subgroups)
