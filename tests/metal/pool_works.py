"""Pooling by the kernels that no sample of an operation launches."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from rusty_py import Device, array
from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.operation import OPERATIONS, apply
from rusty_py.ops.pool.tile_sizes import COMMON
from rusty_py.ops.pool.window import PoolWindow, window_of
from rusty_py.oracle import Expected
from rusty_py.samples import Sample, values


class PoolWork(NamedTuple):
    """As `Work`."""

    name: str
    compute: Callable[[Device, object], np.ndarray]
    expected: Callable[[], Expected]


def pool_works() -> Iterator[PoolWork]:
    """Maxima and averages, by tiles and by loops, in both layouts, and their gradients."""
    for kind, square in product(("max", "avg"), COMMON):
        window = _window(square.kernel, square.stride, square.padding)
        yield from _both(kind, F32, (1, 2, 9, 16), window)
        yield from _both(kind, F32, (2, 1, 6, 13), window)
        yield from _both(kind, F32, (1, 5, 9, 8), window, "NHWC")
        if square.padding == 1 or square.kernel == 2:
            yield from _both(kind, F16, (1, 2, 9, 16), window)
            yield from _both(kind, F16, (1, 5, 9, 8), window, "NHWC")
    yield from _both("avg", F32, (1, 2, 6, 10), _window(3, 2, 1, ceil_mode=True))
    yield from _both("avg", F32, (1, 2, 7, 9), _window(3, 2, 1, count_include_pad=False))
    loops = PoolWindow((3, 2), (2, 1), (1, 0))
    for kind, dtype, layout in product(("max", "avg"), (F32, F16), ("NCHW", "NHWC")):
        yield from _both(kind, dtype, (1, 6, 5, 3), loops, layout)
    yield from _both("avg", F32, (1, 2, 6, 6), PoolWindow((3, 2), (2, 1), (1, 0), count_include_pad=False))
    for dtype, layout in product((F32, F16), ("NCHW", "NHWC")):
        v, x = (values(dtype, 1, 6, 5, 3, seed=seed) for seed in (1, 2))
        yield _work("max_pool2d_selected", (v, x), window=loops, layout=layout)


def _window(kernel: int, stride: int, padding: int, **others: bool) -> PoolWindow:
    return window_of("pool", kernel, stride, padding, **others)


def _both(
    kind: str, dtype: Dtype, shape: tuple[int, ...], window: PoolWindow, layout: str = "NCHW"
) -> Iterator[PoolWork]:
    """The forward kernel and that of the gradient."""
    x = values(dtype, *shape)
    size = shape[1:3] if layout == "NHWC" else shape[2:]
    out = window.out_size((size[0], size[1]), operation="pool")
    windows = (shape[0], *out, shape[3]) if layout == "NHWC" else (*shape[:2], *out)
    g = values(dtype, *windows, seed=1)
    yield _work(f"{kind}_pool2d", (x,), window=window, layout=layout)
    if kind == "max":
        yield _work("max_pool2d_gradient", (g, x), window=window, layout=layout)
    else:
        yield _work("avg_pool2d_gradient", (g,), window=window, size=size, layout=layout)


def _work(name: str, operands: tuple[np.ndarray, ...], **options: Any) -> PoolWork:
    def compute(device: Device, _: object) -> np.ndarray:
        return apply(OPERATIONS[name], *(array(x, device=device) for x in operands), **options).numpy()

    expected = OPERATIONS[name].expected
    assert expected is not None
    sample = Sample(name, operands, options)
    title = f"{name} {operands[0].dtype} of {operands[-1].shape} {options['layout']}, {options['window']}"
    return PoolWork(title, compute, partial(expected, sample))
