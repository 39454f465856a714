"""Something to compute with every kernel that chooses, sets or sums by indices."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from rusty_py import Device, array, oracle
from rusty_py.dtypes import F16, F32, I32, U32, Dtype
from rusty_py.operation import OPERATIONS, apply
from rusty_py.ops import scattering, sorted_sums
from rusty_py.ops.scattering import Rows
from rusty_py.oracle import Expected
from rusty_py.samples import values


class IndexWork(NamedTuple):
    """As `Work`."""

    name: str
    compute: Callable[[Device, object], np.ndarray]
    expected: Callable[[], Expected]


def index_works() -> Iterator[IndexWork]:
    """By indices of either dtype, by two or three of them, and by a mask; reading, setting and summing."""
    for kind in (F32, F16):
        for index in (I32, U32):
            yield _reading(kind, (37,), (index,))
            yield _setting(kind, (37,), (index,))
            for kernel in ("lines", "rows", "runs"):
                yield _summing(kind, index, kernel)
        yield _reading(kind, (7, 6), (I32, U32))
        yield _setting(kind, (7, 6), (U32, I32))
        yield from _masked(kind)
    for shape in ((9, 512), (9, 12), (9, 515), (9, 5)):
        yield _reading(F32, shape, (I32,))
    yield _reading(F32, (6, 10), (I32,), axis=1)
    yield _setting(F32, (9, 12), (I32,))
    yield _reading(F32, (6, 7), (I32, I32), beyond=3)
    for kinds in ((I32, I32), (U32, U32), (I32, I32, I32), (I32, U32, U32)):
        yield _reading(F32, (4, 5, 6)[: len(kinds)], kinds)
    yield IndexWork("nonzero", _nonzero, lambda: Expected(np.stack(np.nonzero(_MASK)).astype(np.int32), None))


_MASK = np.random.default_rng(5).random((4, 9)) < 0.4


def _nonzero(device: Device, _: object) -> np.ndarray:
    """As `nonzero` does, but for the number of elements, which it reads from the device."""
    from rusty_py.ops.masks import COORDINATE, PLACES
    from rusty_py.ops.scan.operations import cumulative_sum

    mask = array(_MASK.ravel(), device=device)
    places = apply(PLACES, mask, cumulative_sum(mask), count=int(_MASK.sum()))
    steps = ((_MASK.shape[1], _MASK.shape[0]), (1, _MASK.shape[1]))
    return np.stack([apply(COORDINATE, places, words=words).numpy() for words in steps])


def _indices(kinds: tuple[Dtype, ...], shape: tuple[int, ...], first: int = 0) -> list[np.ndarray]:
    """Eight different places each, and of i32 some negative."""
    rng = np.random.default_rng(3)
    found = []
    for axis, kind in enumerate(kinds, first):
        size = shape[axis]
        index = rng.permutation(max(size, 8))[:8] % size
        index -= size * (rng.random(8) < 0.5) * (kind is I32)
        found.append(index.astype(kind.numpy))
    return found


def _beyond(indices: list[np.ndarray], size: int, count: int = 4) -> list[np.ndarray]:
    """With more, of which the first index is out of bounds."""
    more = [size, size + 1, size, size + 9][:count], [0] * count
    return [np.append(each, np.array(more[i > 0], each.dtype)) for i, each in enumerate(indices)]


def _reading(
    kind: Dtype, shape: tuple[int, ...], kinds: tuple[Dtype, ...], axis: int = 0, *, beyond: int = 4
) -> IndexWork:
    x, inside = values(kind, *shape), _indices(kinds, shape, axis)
    axes = tuple(range(axis, axis + len(kinds)))

    def compute(device: Device, _: object) -> np.ndarray:
        given = [array(each, device=device) for each in _beyond(inside, shape[axis], beyond)]
        return apply(OPERATIONS["take"], array(x, device=device), *given, axes=axes, at=axis).numpy()

    def expected() -> Expected:
        chosen = x[(slice(None),) * axis + tuple(each.astype(np.int64) for each in inside)]
        widths = [(0, beyond * int(i == axis)) for i in range(chosen.ndim)]
        return Expected(np.pad(chosen, widths), None)

    by = " ".join(each.name for each in kinds)
    return IndexWork(f"take {kind.name} of {shape} by {by} on {axis}", compute, expected)


def _setting(kind: Dtype, shape: tuple[int, ...], kinds: tuple[Dtype, ...]) -> IndexWork:
    x, inside = values(kind, *shape), _indices(kinds, shape)
    value = values(kind, 12, *shape[len(kinds) :], seed=1)
    axes = tuple(range(len(kinds)))

    def compute(device: Device, _: object) -> np.ndarray:
        given = [array(each, device=device) for each in _beyond(inside, shape[0])]
        out = array(x, device=device)
        apply(OPERATIONS["put"], array(value, device=device), *given, out, axes=axes, at=0)
        return out.numpy()

    def expected() -> Expected:
        changed = x.copy()
        changed[tuple(each.astype(np.int64) for each in inside)] = value[:8]
        return Expected(changed, None)

    return IndexWork(f"put {kind.name} of {shape} by {kinds[0].name}", compute, expected)


def _masked(kind: Dtype) -> Iterator[IndexWork]:
    x, mask, value = values(kind, 4, 9), _MASK, values(kind, 9, seed=1)
    for number in (True, False):

        def compute(device: Device, _: object, number: bool = number) -> np.ndarray:
            out, over = array(x, device=device), array(mask, device=device)
            operands = (over, out) if number else (array(value, device=device), over, out)
            if number:
                flat = (mask.size,)
                apply(OPERATIONS["put_masked"], over.reshape(flat), out.reshape(flat), words=(0,))
            else:
                apply(OPERATIONS["put_masked"], *operands)
            return out.numpy()

        def expected(number: bool = number) -> Expected:
            return Expected(np.where(mask, np.zeros((), x.dtype) if number else value, x), None)

        yield IndexWork(f"put_masked {kind.name} {number}", compute, expected)


def _summing(kind: Dtype, index: Dtype, kernel: str) -> IndexWork:
    x, size = values(kind, 2, 1100, 3), Rows(2, 1100, 5, 3)
    rows = np.random.default_rng(4).integers(-5 if index is I32 else 0, 6, 1100).astype(index.numpy)

    def compute(device: Device, _: object) -> np.ndarray:
        given, by = array(x, device=device), array(rows, device=device)
        out = array(np.zeros((2, 5, 3), np.float32), device=device)
        if kernel == "runs":
            sorted_sums.by_runs(given, by, 2, 5, 3, out, operation="scatter_add")
        else:
            launch = scattering.by_lines if kernel == "lines" else scattering.by_rows
            launch(given, by, size, out, operation="scatter_add")
        return out.numpy()

    def expected() -> Expected:
        inside = rows < 5
        sums = []
        for each in (x.astype(np.float64), np.abs(x).astype(np.float64)):
            out = np.zeros((5, 2, 3))
            np.add.at(out, rows[inside].astype(np.int64), each[:, inside].transpose(1, 0, 2))
            sums.append(out.transpose(1, 0, 2))
        reference, total = sums
        bound = oracle.rounding_factor(1100, F32) * total + oracle.rounding(reference, ulps=0.5, dtype=F32)
        return Expected(reference, bound)

    return IndexWork(f"scatter_{kernel} {kind.name} by {index.name}", compute, expected)
