"""How rows are divided among workgroups and threads: pure functions, and the constants to tune."""

from __future__ import annotations

from dataclasses import dataclass

from rusty_py.ops.rowwise.kernel import MIN_SUBGROUP, Tile
from rusty_py.shapes import ceil_div

THREAD_ELEMENTS = 32
"""Elements of a row in the registers of a thread: more is fewer threads, which have more loads in flight."""

MIN_THREADS, MAX_THREADS = 32, 1024
"""Threads of a workgroup that shares a row."""

SHORT_ELEMENTS = 32
"""Elements of a thread where 4 lanes share a row; rows of up to 4 times that are short."""

SHORT_THREADS = 256

LONG_THREADS, LONG_SLOTS = 512, 4
"""A workgroup of a row that does not fit into registers."""

COLUMNS, COLUMN_LANES, COLUMN_SLOTS = 32, (8, 16), 32
"""Neighbouring rows of a workgroup where these are neighbours in memory; lanes of each, and their slots.

A row of no more elements than slots has one lane, and needs no barriers.
"""

SUM_ELEMENTS, SUM_SHORT_ELEMENTS = 8, 16
"""Elements of a thread that adds up rows: of each it keeps two operands and two sums."""

SUM_THREADS, SUM_ROWS = 1 << 18, 8
"""Threads that add up rows, in all, and rows of each at least: more leave more sums to add up."""

CPU_THREADS, CPU_SLOTS = 32, 4

ENOUGH_JOBS, MIN_CHUNK = 512, 8192
"""With fewer rows than jobs that fill a GPU, rows are cut into parts of a minimum length."""

CPU_JOBS, CPU_MIN_CHUNK, CPU_MAX_CHUNK = 256, 1024, 1 << 16


@dataclass(frozen=True)
class Machine:
    """What the choice depends on besides the rows."""

    threads: int
    subgroups: bool
    cpu: bool


@dataclass(frozen=True)
class Rows:
    """`count` rows of n elements. `width`: 4 where vec4 loads fit, else 1.

    `across`: neighbouring rows are neighbours in memory, and not the elements of a row.
    """

    count: int
    n: int
    width: int
    across: bool = False


def tile_for(rows: Rows, machine: Machine) -> Tile:
    """How these rows are computed fastest, by what was measured on an H200 and on llvmpipe."""
    if machine.cpu:
        width = 1 if rows.across else rows.width
        return _loop(CPU_THREADS, 1, min(CPU_SLOTS, ceil_div(rows.n, width)), rows)
    if rows.across:
        return _across(rows, machine)
    limit = min(MAX_THREADS if machine.subgroups else LONG_THREADS, machine.threads)
    if rows.n > limit * THREAD_ELEMENTS:
        threads = min(LONG_THREADS, limit)
        return _loop(threads, threads, LONG_SLOTS * 4 // rows.width, rows)
    if rows.n <= MIN_SUBGROUP * SHORT_ELEMENTS // (1 if rows.width == 4 else 2) and machine.subgroups:
        slots = ceil_div(rows.n, MIN_SUBGROUP * rows.width)
        return Tile("subgroups", min(SHORT_THREADS, limit), MIN_SUBGROUP, _power_of_2(slots), rows.width)
    threads = min(limit, max(MIN_THREADS, _power_of_2(ceil_div(rows.n, THREAD_ELEMENTS))))
    slots = _slots(rows.n, threads * rows.width)
    return Tile("subgroups" if machine.subgroups else "tree", threads, threads, slots, rows.width)


def tile_for_sums(rows: Rows, machine: Machine) -> Tile | None:
    """How sums over rows are computed in one launch; None where other operations are as fast, or faster."""
    limit = min(MAX_THREADS, machine.threads)
    if machine.cpu or not machine.subgroups or rows.across or rows.n > limit * SUM_ELEMENTS:
        return None
    if rows.n <= MIN_SUBGROUP * SUM_SHORT_ELEMENTS // (1 if rows.width == 4 else 2):
        slots = _power_of_2(ceil_div(rows.n, MIN_SUBGROUP * rows.width))
        return Tile("sums", min(SHORT_THREADS, limit), MIN_SUBGROUP, slots, rows.width)
    threads = min(limit, max(MIN_THREADS, _power_of_2(ceil_div(rows.n, SUM_ELEMENTS))))
    return Tile("sums", threads, threads, _slots(rows.n, threads * rows.width), rows.width)


def groups_for_sums(count: int, tile: Tile) -> int:
    """Workgroups that add up `count` rows."""
    return max(1, min(SUM_THREADS // tile.threads, count // (SUM_ROWS * tile.rows)))


def _across(rows: Rows, machine: Machine) -> Tile:
    few, many = COLUMN_LANES
    if rows.n <= COLUMN_SLOTS:
        return _loop(SHORT_THREADS, 1, _slots(rows.n, 1), rows)
    lanes = few if rows.n <= few * COLUMN_SLOTS or machine.threads < COLUMNS * many else many
    return _loop(COLUMNS * lanes, lanes, min(COLUMN_SLOTS, _slots(rows.n, lanes)), rows)


def _loop(threads: int, lanes: int, slots: int, rows: Rows) -> Tile:
    """Rows of any length; a loop of one turn keeps them in registers."""
    width = 1 if rows.across else rows.width
    return Tile("tree", threads, lanes, slots, width, once=rows.n <= lanes * slots * width)


def parts_for(rows: Rows, tile: Tile, *, cpu: bool) -> tuple[int, int]:
    """In how many parts each row is computed, and the length of a part, a multiple of 4."""
    if tile.once:
        return 1, rows.n
    enough, least = (CPU_JOBS, CPU_MIN_CHUNK) if cpu else (ENOUGH_JOBS, MIN_CHUNK)
    if rows.across and not cpu:
        enough, least = enough * tile.rows, tile.elements
    parts = max(1, min(enough // max(1, rows.count), ceil_div(rows.n, least)))
    chunk = ceil_div(rows.n, parts)
    chunk = ceil_div(min(chunk, CPU_MAX_CHUNK) if cpu else chunk, tile.elements) * tile.elements
    return ceil_div(rows.n, chunk), chunk


def _slots(n: int, items: int) -> int:
    """Slots for n elements, `items` in each: one of few numbers, so that there are few kernels."""
    slots = ceil_div(n, items)
    return slots if slots <= 4 else _power_of_2(slots)


def _power_of_2(number: int) -> int:
    return 1 << (number - 1).bit_length()
