"""The geometry of a convolution: stride, padding, dilation, groups and layout, and the sizes that follow."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from operator import index
from typing import Literal, NamedTuple

from rusty_py.errors import LimitError, ShapeError
from rusty_py.ops.conv.correlation import Pair
from rusty_py.shapes import is_sizes
from rusty_py.views import Shape

Sizes = int | Sequence[int]
"""One number for the height and the width, or one for each."""

Padding = Sizes | Literal["same", "valid"]

LAYOUTS = ("NCHW", "NHWC")

POSITIONS = 1 << 31
"""Pixels of an axis with its padding: kernels compute positions of taps as words with a sign."""


class Geometry(NamedTuple):
    """What a convolution, its gradients and the transposed convolution have in common. An option of theirs.

    `padding`: zeros before and after each axis, or None for "same".
    """

    stride: Pair = (1, 1)
    padding: Pair | None = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    layout: str = "NCHW"

    def pads(self, kernel: Pair) -> tuple[Pair, Pair]:
        """The zeros before and after the height, then the width; "same" has the larger half after."""
        if self.padding is not None:
            rows, columns = self.padding
            return (rows, rows), (columns, columns)
        rows, columns = (each - 1 for each in self.reach(kernel))
        return (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2)

    def size(self, shape: Shape) -> Pair:
        """The height and the width of an array (batch, channels, height, width) in this layout."""
        return (shape[2], shape[3]) if self.layout == "NCHW" else (shape[1], shape[2])

    def channels(self, shape: Shape) -> int:
        return shape[1] if self.layout == "NCHW" else shape[3]

    def shape(self, batch: int, channels: int, size: Pair) -> Shape:
        """The shape of an array in this layout."""
        return (batch, channels, *size) if self.layout == "NCHW" else (batch, *size, channels)

    def out_size(self, size: Pair, kernel: Pair) -> Pair:
        """The size of a convolution's result; below 1 where the kernel exceeds the padded input."""
        sizes = zip(size, self.pads(kernel), self.reach(kernel), self.stride, strict=True)
        height, width = ((each + sum(pads) - reach) // step + 1 for each, pads, reach, step in sizes)
        return height, width

    def transposed_size(self, size: Pair, kernel: Pair) -> Pair:
        """The size of a transposed convolution's result, without output_padding."""
        sizes = zip(size, self.pads(kernel), self.reach(kernel), self.stride, strict=True)
        height, width = ((each - 1) * step - sum(pads) + reach for each, pads, reach, step in sizes)
        return height, width

    def reach(self, kernel: Pair) -> Pair:
        """The pixels from the first to the last tap."""
        return self.dilation[0] * (kernel[0] - 1) + 1, self.dilation[1] * (kernel[1] - 1) + 1


def geometry_of(
    operation: str, stride: Sizes, padding: Padding, dilation: Sizes, groups: int, layout: str
) -> Geometry:
    """The geometry that a user's arguments say. Raises ShapeError, and LimitError for an unknown layout."""
    cached = is_sizes(stride) and (type(padding) is str or is_sizes(padding)) and is_sizes(dilation)
    if cached and type(groups) is int and type(layout) is str:
        return _cached(operation, stride, padding, dilation, groups, layout)
    return _geometry(operation, stride, padding, dilation, groups, layout)


def _geometry(
    operation: str, stride: Sizes, padding: Padding, dilation: Sizes, groups: int, layout: str
) -> Geometry:
    steps, apart = pair_of(operation, "stride", stride), pair_of(operation, "dilation", dilation)
    for name, pair in (("stride", steps), ("dilation", apart)):
        if min(pair) < 1:
            raise ShapeError(f"{operation}: {name} is 1 or more: {pair}")
    count = index_of(operation, "groups", groups)
    if count < 1:
        raise ShapeError(f"{operation}: groups is 1 or more: {count}")
    if not isinstance(layout, str) or layout not in LAYOUTS:
        raise LimitError(f"{operation}: no such layout: {layout!r}; choose {' or '.join(LAYOUTS)}")
    if isinstance(padding, str):
        return Geometry(steps, _named_padding(operation, padding, steps), apart, count, layout)
    pads = pair_of(operation, "padding", padding)
    if min(pads) < 0:
        raise ShapeError(f"{operation}: padding is not negative: {pads}; slice the input instead")
    return Geometry(steps, pads, apart, count, layout)


_cached = lru_cache(512)(_geometry)  # At every call of an operation.


def index_of(operation: str, name: str, value: int) -> int:
    """`value` as an integer. Raises ShapeError if it is none."""
    try:
        return index(value)
    except TypeError:
        raise ShapeError(f"{operation}: {name} is an integer: {value!r}") from None


def pair_of(operation: str, name: str, value: Sizes) -> Pair:
    """`value` for the height and for the width. Raises ShapeError unless it is a number or two."""
    given = value if isinstance(value, list | tuple) else (value, value)
    try:
        sizes = [index(each) for each in given]
    except TypeError:
        sizes = []
    if len(sizes) != 2:
        raise ShapeError(f"{operation}: {name} is a number or a pair of numbers: {value!r}")
    return sizes[0], sizes[1]


def _named_padding(operation: str, padding: str, stride: Pair) -> Pair | None:
    if padding == "valid":
        return 0, 0
    if padding != "same":
        raise ShapeError(f'{operation}: padding is numbers, "same" or "valid": {padding!r}')
    if stride != (1, 1):
        raise ShapeError(
            f'{operation}: padding "same" needs a stride of 1: {stride}; pass padding in numbers'
        )
    return None


def check_operands(
    operation: str, geometry: Geometry, x: Shape, w: Shape, bias: Shape | None, *, transposed: bool
) -> None:
    """Raises ShapeError unless x, w and the bias fit each other."""
    if len(x) != 4:
        axes = ", ".join(geometry.layout)
        raise ShapeError(f"{operation}: x has the axes ({axes}), or no N: shape {x}")
    if len(w) != 4 or 0 in w[2:]:
        raise ShapeError(f"{operation}: w has 4 axes, and a kernel of 1 x 1 or more: shape {w}")
    groups, channels = geometry.groups, geometry.channels(x)
    if transposed:
        _check_transposed_channels(operation, groups, channels, w)
    elif channels != w[1] * groups:
        raise ShapeError(
            f"{operation}: w is (outputs, channels / groups, height, width): {w} for {channels} channels of x"
            f" in {groups} groups"
        )
    elif w[0] % groups:
        raise ShapeError(f"{operation}: groups divide the outputs: {w[0]} in {groups} groups")
    outputs = w[1] * groups if transposed else w[0]
    if bias is not None and bias != (outputs,):
        raise ShapeError(f"{operation}: the bias has an element for each output, ({outputs},): shape {bias}")


def _check_transposed_channels(operation: str, groups: int, channels: int, w: Shape) -> None:
    if channels != w[0]:
        raise ShapeError(
            f"{operation}: w is (channels, outputs / groups, height, width): {w} for {channels} channels of x"
        )
    if channels % groups:
        raise ShapeError(f"{operation}: groups divide the channels: {channels} in {groups} groups")


def result_size(operation: str, geometry: Geometry, size: Pair, kernel: Pair) -> Pair:
    """The size of a convolution's result. Raises ShapeError where the kernel exceeds the padded input.

    LimitError where positions of taps exceed a word.
    """
    found = geometry.out_size(size, kernel)
    padded = tuple(each + sum(pads) for each, pads in zip(size, geometry.pads(kernel), strict=True))
    if min(found) < 1:
        raise ShapeError(
            f"{operation}: the kernel exceeds the padded input: {geometry.reach(kernel)} with dilation, the"
            f" input is {padded}; use more padding"
        )
    if max(padded) >= POSITIONS:
        raise LimitError(f"{operation}: the padded input is {padded} pixels; each is below {POSITIONS}")
    return found


def transposed_result_size(
    operation: str, geometry: Geometry, size: Pair, kernel: Pair, output_padding: Pair
) -> Pair:
    """The size of a transposed convolution's result. Raises ShapeError where nothing is left of it.

    LimitError where positions of taps exceed a word.
    """
    found = geometry.transposed_size(size, kernel)
    height, width = (each + more for each, more in zip(found, output_padding, strict=True))
    if min(height, width) < 1:
        raise ShapeError(f"{operation}: padding leaves no pixels: the result is {(height, width)}")
    pads = geometry.pads(kernel)
    whole = height + sum(pads[0]), width + sum(pads[1])
    if max(whole) >= POSITIONS:
        raise LimitError(
            f"{operation}: the result is {whole} pixels without padding; each is below {POSITIONS}"
        )
    return height, width
