"""Convolutions to test: geometries, operands in any layout, and what an operation must give."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from rusty_py import Array, Device
from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.operation import apply
from rusty_py.ops.conv import reference
from rusty_py.ops.conv.geometry import Geometry
from rusty_py.ops.conv.operations import CONV2D, CONV2D_WEIGHT_GRADIENT, CONV_TRANSPOSE2D
from rusty_py.samples import Sample

from .operands import on

OPERATIONS = {each.name: each for each in (CONV2D, CONV_TRANSPOSE2D, CONV2D_WEIGHT_GRADIENT)}
Placed = Callable[[Device, np.ndarray], Array]


def _one_of_more(device: Device, x: np.ndarray) -> Array:
    wide = np.full((*x.shape[:2], 3, *x.shape[2:]), np.nan, x.dtype)
    wide[:, :, 1] = x
    return on(device, wide)[:, :, 1]


def _inside(device: Device, x: np.ndarray) -> Array:
    wide = np.full([size + 3 for size in x.shape], np.nan, x.dtype)
    key = (slice(1, -2), slice(2, -1), slice(1, -2), slice(2, -1))
    wide[key] = x
    return on(device, wide)[key]


def _every_other(device: Device, x: np.ndarray) -> Array:
    wide = np.full((*x.shape[:3], 2 * x.shape[3]), np.nan, x.dtype)
    wide[..., 1::2] = x
    return on(device, wide)[..., 1::2]


LAYOUTS: dict[str, Placed] = {
    "rows": on,
    "columns": lambda device, x: on(device, x.T.copy()).T,
    "channels last": lambda device, x: on(device, x.transpose(0, 2, 3, 1).copy()).transpose(0, 3, 1, 2),
    "transposed": lambda device, x: on(device, x.swapaxes(0, 1).copy()).swapaxes(0, 1),
    "reversed": lambda device, x: on(device, x[::-1, :, :, ::-1].copy())[::-1, :, :, ::-1],
    "one of more": _one_of_more,
    "inside": _inside,
    "every other": _every_other,
}
"""The elements of a NumPy array on a device, in other orders, with gaps and offsets."""


@st.composite
def geometries(draw: st.DrawFn) -> tuple[Geometry, tuple[int, ...], tuple[int, ...]]:
    """A geometry, and shapes of x and w that fit it; half of the kernels are 3x3 with a stride of 1."""
    common, same = draw(st.booleans()), draw(st.sampled_from([False, False, True]))
    kernel = (3, 3) if common else draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    dilation = (1, 1) if common else draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    stride = (1, 1) if common or same else draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    padding = None if same else draw(st.tuples(st.integers(0, 4), st.integers(0, 4)))
    groups = 1 if common else draw(st.sampled_from([1, 1, 2, 3]))
    layout = draw(st.sampled_from(["NCHW", "NHWC"]))
    geometry = Geometry(stride, padding, dilation, groups, layout)
    least = [
        max(1, reach - sum(pads))
        for reach, pads in zip(geometry.reach(kernel), geometry.pads(kernel), strict=True)
    ]
    size = tuple(each + draw(st.sampled_from([0, 1, 4, 17, 30])) for each in least)
    channels, outputs = (draw(st.sampled_from([1, 2, 3, 4, 5, 19])) for _ in range(2))
    x = geometry.shape(draw(st.integers(0, 3)), groups * channels, (size[0], size[1]))
    return geometry, x, (groups * outputs, channels, *kernel)


def drawn(kind: Dtype, *shapes: tuple[int, ...], seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.uniform(-1, 1, shape).astype(kind.numpy) for shape in shapes]


def assert_computed(
    device: Device,
    name: str,
    operands: list[np.ndarray],
    layouts: tuple[str, ...] = ("rows", "rows"),
    **options: Any,
) -> None:
    """The operation gives what its reference does, in memory that held NaN, for operands in any layout."""
    given = [LAYOUTS[layout](device, x) for layout, x in zip(layouts, operands[:2], strict=True)]
    given += [on(device, x) for x in operands[2:]]
    expected = reference.expected(name, Sample("", tuple(operands), options))
    kind = F16 if all(x.dtype == F16.numpy for x in operands[:2]) else F32
    if expected.reference.size:
        on(device, np.full(expected.reference.shape, np.nan, kind.numpy))
    result = apply(OPERATIONS[name], *given, **options)
    assert result.contiguous
    assert result.kind is kind
    assert expected.error(result.numpy()) <= 1
