"""Which kernels reduce a box of elements, how often, and how far their rounding may lead."""

from dataclasses import dataclass

from rusty_py.ops.grid import THREADS
from rusty_py.shapes import ceil_div

THREAD_ELEMENTS = 64
"""The maximum that one thread reduces on a GPU. More is fewer passes; less is more threads."""

GROUP_ELEMENTS = 1 << 16
"""The maximum that one workgroup reduces of a row."""

COLUMN_STEPS = 256
"""The maximum that one thread of the kernel for columns reduces of each of its columns."""

ROW_ELEMENTS = 128
"""What one thread reduces of a row, where there are enough rows for all threads of a GPU."""

ROW_THREADS = 64
"""Threads that reduce rows in one pass, for each of the `enough_groups`: more have too little to load.

On an H200, where that makes 65,536, a sum over rows of 1,024 x 1,024 elements takes 3.6 us, by four times as
many 4.8.
"""

ENOUGH_GROUPS = 1024
"""Workgroups of 256 threads that keep a large GPU busy, an H200."""

SINGLE_STEPS, SINGLE_GROUPS = 32, 64
"""Columns are reduced in one pass where this few rows a thread leave that many workgroups.

On an H200 a sum over the columns of 1,024 x 1,024 elements takes 3.8 us in place of 6.6, of 2,048 x 2,048
elements 5.3 in place of 8.2; with 64 steps, argmax of the latter takes longer than in two passes.
"""

KERNELS = ("threads", "rows", "columns")

_SINGLE = 8  # Elements of a row up to which single threads reduce rows on a GPU.
_MIN_ROW_CHUNK, _MIN_COLUMN_STEPS = 1 << 12, 16
_MAX_LANES, _MIN_LANES = 32, 4
_ROW_THREADS = ((24, 1), (48, 2))  # Of rows of up to so many elements; of longer ones four at least.
_MIN_VEC4_COLUMNS = 16
_LARGE_GROUP = 1024  # Threads for few long rows, where the device has as many.

# On CPU drivers, where barriers take a time for each thread, few or long rows are for a few threads each.
# Many rows and all else are for single threads; in the kernel for rows they load four elements at a time.
_CPU_THREAD_ELEMENTS = 256
_CPU_FEW_ROWS, _CPU_LONG_ROW, _CPU_STRIDED = 8, 1024, 1 << 15
_CPU_MANY_ROWS, _CPU_LONG_OF_MANY = 32, 257
_CPU_ROW_ELEMENTS, _MIN_CPU_THREADS = 1024, 8


@dataclass(frozen=True)
class Pass:
    """One launch: `kernel` leaves `width` results of each row or column, each of at most `chunk` elements.

    `across` of its `threads` share a row, or are next to each other along columns; with `vec4`, each has four
    neighbouring columns.
    """

    kernel: str
    width: int
    chunk: int
    threads: int = THREADS
    across: int = 1
    vec4: bool = False


def passes(
    outer: int,
    n: int,
    inner: int,
    *,
    cpu: bool,
    vec4: bool = False,
    max_threads: int = THREADS,
    enough_groups: int = ENOUGH_GROUPS,
) -> list[Pass]:
    """The passes that reduce (outer, n, inner) over n; the last one leaves a single result.

    `vec4`: four neighbours along inner can be loaded at once. `enough_groups`: workgroups that keep the
    device busy; with fewer, rows and columns are reduced in chunks.
    """
    found: list[Pass] = []
    while not found or found[-1].width > 1:
        kernel = _kernel(outer, n, inner, cpu=cpu)
        if kernel == "threads":
            chunk = _CPU_THREAD_ELEMENTS if cpu else THREAD_ELEMENTS
            found.append(Pass(kernel, ceil_div(n, chunk), chunk))
        elif kernel == "rows":
            found.append(_rows(outer * inner, n, enough_groups, cpu=cpu, max_threads=max_threads))
        else:
            found.append(_columns(outer, n, inner, enough_groups, vec4=vec4))
        n = found[-1].width
    return found


def _kernel(outer: int, n: int, inner: int, *, cpu: bool) -> str:
    if cpu:
        limit = GROUP_ELEMENTS if inner == 1 else _CPU_STRIDED
        few = outer * inner <= _CPU_FEW_ROWS and n > THREAD_ELEMENTS and outer * n * inner <= limit
        long = _CPU_LONG_OF_MANY if outer >= _CPU_MANY_ROWS else _CPU_LONG_ROW
        return "rows" if few or (inner == 1 and n >= long) else "threads"
    if n <= (_SINGLE if inner == 1 else THREAD_ELEMENTS):
        return "threads"
    return "rows" if inner == 1 else "columns"


def _rows(rows: int, n: int, enough: int, *, cpu: bool, max_threads: int) -> Pass:
    if cpu:
        chunk = n if n <= GROUP_ELEMENTS else _MIN_CPU_THREADS * _CPU_ROW_ELEMENTS
        wanted = _power(ceil_div(chunk, _CPU_ROW_ELEMENTS))
        threads = max(_MIN_CPU_THREADS, wanted)
        return Pass("rows", ceil_div(n, chunk), chunk, threads, wanted if rows >= _CPU_MANY_ROWS else threads)
    # All rows at once, each by as many threads as keep what a thread reduces near ROW_ELEMENTS.
    least = next((threads for limit, threads in _ROW_THREADS if n <= limit), 4)
    across = min(THREADS, max(least, _power(ceil_div(n, ROW_ELEMENTS))))
    while rows * across < enough * ROW_THREADS and across < THREADS and across * 4 < n:
        across *= 2
    enough_at_once = across < THREADS or rows * THREADS >= enough * ROW_THREADS
    if (enough_at_once and n <= GROUP_ELEMENTS) or rows * n <= GROUP_ELEMENTS:
        chunk = n
    else:
        across = THREADS
        wanted = _power(ceil_div(n, max(1, enough // rows)))
        chunk = min(GROUP_ELEMENTS, max(_MIN_ROW_CHUNK, wanted))
    large = max_threads >= _LARGE_GROUP and rows * ceil_div(n, chunk) <= enough // 8
    if large and min(chunk, n) >= 4 * _LARGE_GROUP:
        return Pass("rows", ceil_div(n, chunk), chunk, _LARGE_GROUP, _LARGE_GROUP)
    return Pass("rows", ceil_div(n, chunk), chunk, THREADS, across)


def _columns(outer: int, n: int, inner: int, enough: int, *, vec4: bool) -> Pass:
    wide = vec4 and inner >= _MIN_VEC4_COLUMNS
    lanes = max(_MIN_LANES, min(_MAX_LANES, _power(ceil_div(inner, 4 if wide else 1))))
    depth = THREADS // lanes
    groups = outer * ceil_div(inner, lanes * (4 if wide else 1))
    if outer * n * inner <= GROUP_ELEMENTS:
        chunk = n
    else:
        wanted = _power(ceil_div(n, max(1, enough // groups)))
        chunk = min(COLUMN_STEPS * depth, max(_MIN_COLUMN_STEPS * depth, wanted))
    narrow = lanes
    while chunk < n and narrow > _MIN_LANES:  # Fewer columns a workgroup, for a single pass.
        narrow //= 2
        groups = outer * ceil_div(inner, narrow * (4 if wide else 1))
        if ceil_div(n * narrow, THREADS) <= SINGLE_STEPS and groups >= SINGLE_GROUPS:
            return Pass("columns", 1, n, THREADS, narrow, wide)
    return Pass("columns", ceil_div(n, chunk), chunk, THREADS, lanes, wide)


def _power(n: int) -> int:
    """The smallest power of two not under n."""
    return 1 << (n - 1).bit_length()


def depth(n: int) -> int:
    """How many roundings an element of n meets at most, whichever kernels and chunks are chosen."""
    if n <= 1:
        return n
    columns = _MIN_COLUMN_STEPS * THREADS // _MAX_LANES
    limits = {"threads": THREAD_ELEMENTS, "rows": _MIN_ROW_CHUNK, "columns": columns}
    return max(
        min(n, depth_of(kernel, n)) + (depth(ceil_div(n, limit)) if n > limit else 0)
        for kernel, limit in limits.items()
    )


def depth_of(kernel: str, n: int) -> int:
    """The roundings of one pass over chunks of n elements: a thread's accumulator, fours, and threads.

    A thread adds fours (two roundings each) or sixteens (four) to its accumulator, and up to four single
    elements. Threads of a row are combined by trees of at most 1,024, in subgroups of four or more; those of
    a column one after the other, up to 64.
    """
    if kernel == "threads":
        return _CPU_THREAD_ELEMENTS // 4 + 2 + 3
    if kernel == "rows":
        own = max(GROUP_ELEMENTS // THREADS, _CPU_ROW_ELEMENTS)
        return ceil_div(min(n, own), 16) + 3 + 4 + 4 + 2 * 7 + ceil_div(_LARGE_GROUP, 16)
    return COLUMN_STEPS // 4 + 2 + 3 + THREADS // _MIN_LANES
