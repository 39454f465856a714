"""Arithmetic on shapes: pure functions."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import NamedTuple

import numpy as np

from rusty_py.errors import ShapeError


class Block(NamedTuple):
    """A box of the m x n x k index space of a matrix product: [start, stop) on each axis."""

    row0: int
    row1: int
    col0: int
    col1: int
    k0: int
    k1: int

    @property
    def rows(self) -> int:
        return self.row1 - self.row0

    @property
    def cols(self) -> int:
        return self.col1 - self.col0

    @property
    def depth(self) -> int:
        return self.k1 - self.k0

    @property
    def flops(self) -> int:
        return 2 * self.rows * self.cols * self.depth


def ceil_div(a: int, b: int) -> int:
    """The smallest integer not under a / b."""
    return -(-a // b)


def power_of_2(count: int) -> int:
    """The smallest power of 2 that is not below `count`, which is positive."""
    return 1 << (count - 1).bit_length()


def matmul_shapes(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, int, int, tuple[int, ...]]:
    """(m, k, n, batch) of `a @ b` by NumPy's rules; a 1-D `a` is a row, a 1-D `b` a column.

    Raises ShapeError for scalars, inner sizes that differ and leading axes that do not broadcast.
    """
    for name, shape in (("a", a), ("b", b)):
        if not shape:
            raise ShapeError(f"matmul: needs 1 dimension or more: {name} is a scalar; use a * b")
    m, k = (1, a[0]) if len(a) == 1 else a[-2:]
    k_b, n = (b[0], 1) if len(b) == 1 else b[-2:]
    if k != k_b:
        raise ShapeError(f"matmul: inner sizes differ: a is {a}, b is {b}")
    try:
        batch = np.broadcast_shapes(a[:-2], b[:-2])
    except ValueError:
        raise ShapeError(f"matmul: leading axes do not broadcast: a is {a}, b is {b}") from None
    return m, k, n, batch


def split(
    size: tuple[int, int, int],
    *,
    limit: tuple[int, int, int],
    multiple: int | tuple[int, int, int],
    fits: Callable[[Block], bool],
) -> Iterator[Block]:
    """Blocks that cover an m x n x k product, each of which `fits`, in the order of rows, columns, depth.

    A block is `limit` in size; while that does not fit, its longest axis is halved, to a multiple of
    `multiple`, one number or one an axis. Where `limit` is one, so is every block but the last on an axis. An
    axis that is no longer than its multiple stays; what no halving can make fit comes as it is.
    """
    if 0 in size:
        return
    units = multiple if isinstance(multiple, tuple) else (multiple,) * 3
    step = [min(whole, part) for whole, part in zip(size, limit, strict=True)]
    while not fits(Block(0, step[0], 0, step[1], 0, step[2])):
        lengths = [part if part > unit else 0 for part, unit in zip(step, units, strict=True)]
        axis = lengths.index(max(lengths))
        if not lengths[axis]:
            break
        step[axis] = ceil_div(step[axis], 2 * units[axis]) * units[axis]
    rows, cols, depths = (range(0, whole, part) for whole, part in zip(size, step, strict=True))
    for row, col, k in product(rows, cols, depths):
        ends = (min(i + part, whole) for i, part, whole in zip((row, col, k), step, size, strict=True))
        row1, col1, k1 = ends
        yield Block(row, row1, col, col1, k, k1)


def is_sizes(value: object) -> bool:
    """Whether `value` is an int or two, which equal no value of other types in a cache."""
    if type(value) is int:
        return True
    return type(value) is tuple and len(value) == 2 and type(value[0]) is type(value[1]) is int
