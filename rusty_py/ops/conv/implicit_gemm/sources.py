"""How a product of implicit GEMM reads an image, weights or a gradient: in place, or from a packed copy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from rusty_py.arrays import Array
from rusty_py.gemm.compound import Bounds, Triple, place
from rusty_py.ops.conv.correlation import Pair, Taps
from rusty_py.ops.conv.implicit_gemm.pack import Packing
from rusty_py.shapes import ceil_div
from rusty_py.views import View


@dataclass(frozen=True, eq=False)
class OperandSource:
    """An operand as the product reads it: `array` in place, or a packed copy of it, of so many elements.

    Strides of batch, group, channel, row and column, and where the first element is. `bounds`: the first
    pixel of the image and its size, where taps reach beyond it.
    """

    array: Array
    strides: tuple[int, ...]
    start: Any
    channels: int
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    packing: Packing | None = None
    elements: int = 0
    bounds: tuple[Pair, Pair] | None = None

    @property
    def nbytes(self) -> int:
        """The size of the packed copy; 0 if there is none."""
        return self.elements * self.array.kind.itemsize

    @property
    def group(self) -> int:
        return self.strides[1]

    @property
    def pixels(self) -> Triple:
        """The strides from pixel to pixel of the result: image, row, column."""
        return Triple(self.strides[0], self.strides[3] * self.stride[0], self.strides[4] * self.stride[1])

    @property
    def taps(self) -> Triple:
        """The strides from tap to tap: row, column, channel."""
        y, x = self.dilation
        return Triple(self.strides[3] * y, self.strides[4] * x, self.strides[2])

    def bounded(self, operand: str, *, pixels: bool) -> Bounds | None:
        """Those of the image as an operand whose lines are `pixels`, else taps; None if there are none."""
        if self.bounds is None:
            return None
        of_pixels = Triple(0, place(self.stride[0], 0), self.stride[1])
        of_taps = Triple(place(self.dilation[0], 0), self.dilation[1], 0)
        lines, depth = (of_pixels, of_taps) if pixels else (of_taps, of_pixels)
        return Bounds(operand, lines, depth, *self.bounds)


def in_place(x: Array, taps: Taps, kernel: Pair, size: Pair) -> OperandSource | None:
    """The image itself, bounded if taps reach beyond it; None if that is not possible."""
    start = x.offset + taps.start[0] * x.strides[3] + taps.start[1] * x.strides[4]
    source = OperandSource(x, x.strides, start, x.shape[2], taps.stride, taps.dilation)
    lengths, image = reach(taps, kernel, size), (x.shape[3], x.shape[4])
    if all(
        0 <= first <= whole - length for first, length, whole in zip(taps.start, lengths, image, strict=True)
    ):
        return source
    before = -taps.start[0], -taps.start[1]
    # Each coordinate is half a word, and bounded loads are of four channels.
    if min(before) < 0 or max(*before, *lengths, *image) >= 1 << 16 or x.strides[2] != 1 or x.shape[2] % 4:
        return None
    return replace(source, bounds=(before, image))


def padded(x: Array, taps: Taps, kernel: Pair, size: Pair) -> OperandSource:
    """A copy of what the taps reach, zero outside. An axis with one tap keeps every `stride`th pixel only."""
    steps = [stride if taps_of == 1 else 1 for stride, taps_of in zip(taps.stride, kernel, strict=True)]
    strides = [stride // step for stride, step in zip(taps.stride, steps, strict=True)]
    lengths = [ceil_div(each, step) for each, step in zip(reach(taps, kernel, size), steps, strict=True)]
    height, width = lengths
    batch, groups, channels = x.shape[0], x.shape[1], ceil_div(x.shape[2], 4) * 4
    pixel = groups * channels
    packing = Packing(
        taps.start,
        (steps[0], steps[1]),
        (height, width),
        channels,
        batch_stride=height * width * pixel,
        group_stride=channels,
        row_stride=width * pixel,
        column_stride=pixel,
    )
    return OperandSource(
        x,
        (height * width * pixel, channels, 1, width * pixel, pixel),
        0,
        channels,
        (strides[0], strides[1]),
        taps.dilation,
        packing,
        batch * height * width * pixel,
    )


def reach(taps: Taps, kernel: Pair, size: Pair) -> tuple[int, int]:
    """The rows and the columns of an image from the first tap to the last."""
    y, x = (
        (pixels - 1) * stride + (count - 1) * dilation + 1
        for pixels, stride, count, dilation in zip(size, taps.stride, kernel, taps.dilation, strict=True)
    )
    return y, x


def weights(w: Array, channels: int) -> OperandSource:
    """Weights as a source with (output, group, channel, tap row, tap column), and so many channels.

    Those of 1 x 1 stay in place if they are vec4s along channels or outputs.
    """
    groups, outputs, own, height, width = w.shape
    group, output, channel, row, column = w.strides
    along, across = ((own, output), channel) if channel == 1 else ((outputs, channel), output)
    aligned = across == 1 and not any(each % 4 for each in (w.offset, *along, *[group] * (groups > 1)))
    if (height, width) == (1, 1) and channels == own and aligned:
        return OperandSource(w, (output, group, channel, row, column), w.offset, channels)
    line = ceil_div(outputs, 4) * 4
    tap = channels * line
    strides = (1, height * width * tap, line, width * tap, tap)
    # As an image: outputs are channels, channels are rows, taps are columns, which are merged if possible.
    merged = row == width * column
    rows, columns = (1, height * width) if merged else (height, width)
    view = View(w.offset, (groups, rows, outputs, own, columns), (group, row, output, channel, column))
    packing = Packing(
        (0, 0),
        (1, 1),
        (channels, columns),
        line,
        batch_stride=height * width * tap,
        group_stride=columns * tap,
        row_stride=line,
        column_stride=tap,
    )
    elements = groups * height * width * tap
    return OperandSource(w.view(view), strides, 0, channels, packing=packing, elements=elements)
