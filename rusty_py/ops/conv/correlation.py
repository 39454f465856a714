"""Correlations, which all convolutions consist of, as kernels see them: strided views and a few numbers.

A convolution is one correlation. A transposed convolution, which is also the gradient of the input, is one
for each phase of its stride: other views of the same weights and of the result. The gradient of the weights
has the same terms, with other axes summed over (`WeightCorrelation`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from rusty_py.arrays import Array
from rusty_py.dtypes import Dtype
from rusty_py.runtime.buffer import Buffer
from rusty_py.views import View

Pair = tuple[int, int]
"""Along the height and the width."""

_WORD = 0xFFFFFFFF


@dataclass(frozen=True)
class Taps:
    """Where the taps of a correlation lie: tap (i, j) of the output pixel (y, x) reads the input pixel

    (start[0] + y * stride[0] + i * dilation[0], start[1] + x * stride[1] + j * dilation[1]),

    which is zero outside of the input. With padding p, start is -p.
    """

    start: Pair = (0, 0)
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)


@dataclass(frozen=True, eq=False)
class Correlation:
    """out[n,g,o,y,x] = activation(bias[g,o] + sum of w[g,o,c,i,j] * x[n,g,c, tap (i,j) of (y,x)]);

    the sum is over c, i and j.

    x: (batch, groups, channels, height, width). w: (groups, outputs, channels, kernel height, kernel width).
    out: (batch, groups, outputs, height, width), which is written. All have one dtype, f32 or f16, and any
    strides. bias: (groups * outputs,), contiguous. Sums are f32. No size is 0.
    """

    x: Array
    w: Array
    out: Array
    taps: Taps
    bias: Array | None = None
    activation: str = ""

    @property
    def batch(self) -> int:
        return self.x.shape[0]

    @property
    def groups(self) -> int:
        return self.x.shape[1]

    @property
    def channels(self) -> int:
        """Those of the input in a group."""
        return self.x.shape[2]

    @property
    def outputs(self) -> int:
        """Channels of the result in a group."""
        return self.out.shape[2]

    @property
    def size(self) -> Pair:
        """The height and the width of the input."""
        return self.x.shape[3], self.x.shape[4]

    @property
    def kernel(self) -> Pair:
        return self.w.shape[3], self.w.shape[4]

    @property
    def out_size(self) -> Pair:
        return self.out.shape[3], self.out.shape[4]

    @property
    def dtype(self) -> Dtype:
        return self.x.kind

    @property
    def inputs(self) -> list[Buffer]:
        """What kernels bind: x, w and, if there is one, the bias."""
        return [self.x.buffer, self.w.buffer, *([] if self.bias is None else [self.bias.buffer])]

    @property
    def depth(self) -> int:
        """The terms of one sum."""
        return self.channels * self.kernel[0] * self.kernel[1]

    @property
    def flops(self) -> int:
        return 2 * self.out.size * self.depth

    @property
    def uniforms(self) -> tuple[int, ...]:
        """The words of `Uniforms` in wgsl/conv2d/uniforms.wgsl."""
        return _uniforms(self.x, self.w, self.out, self.taps)


@dataclass(frozen=True, eq=False)
class WeightCorrelation:
    """dw[g,o,c,i,j] = sum over n, y, x of dout[n,g,o,y,x] * x[n,g,c, tap (i,j) of (y,x)].

    The shapes are those of a `Correlation`'s x, w and out; dw is written.
    """

    x: Array
    dout: Array
    dw: Array
    taps: Taps

    @property
    def dtype(self) -> Dtype:
        return self.x.kind

    @property
    def flops(self) -> int:
        batch, _, _, height, width = self.dout.shape
        return 2 * self.dw.size * batch * height * width

    @property
    def uniforms(self) -> tuple[int, ...]:
        """The words of `Uniforms` in wgsl/conv2d/uniforms.wgsl, where w is dw and out is dout."""
        return _uniforms(self.x, self.dw, self.dout, self.taps)


def _uniforms(x: Array, w: Array, out: Array, taps: Taps) -> tuple[int, ...]:
    sizes = (*x.shape, out.shape[2], *w.shape[3:], *out.shape[3:])
    layouts = [(each.offset, *each.strides) for each in (x, w, out)]
    words = (*sizes, *taps.start, *taps.stride, *taps.dilation, *(word for each in layouts for word in each))
    return tuple(word & _WORD for word in words)


def permuted(x: Array, axes: tuple[int, ...]) -> Array:
    """A view with the axes in another order."""
    return x.view(View(x.offset, tuple(x.shape[i] for i in axes), tuple(x.strides[i] for i in axes)))


def part(x: Array, axis: int, first: int, count: int) -> Array:
    """A view of `count` elements along an axis."""
    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
    return x.view(View(x.offset + first * x.strides[axis], shape, x.strides))


def pieces(whole: Correlation, max_flops: int) -> Iterator[Correlation]:
    """Correlations that compute `whole`, of at most `max_flops` each: some images, or rows of one image.

    A single row is not divided.
    """
    axis = 0 if whole.batch > 1 else 3
    size = whole.out.shape[axis]
    count = max(1, min(size, size * max_flops // whole.flops))
    for first in range(0, size, count):
        piece = whole if count == size else _piece(whole, axis, first, min(count, size - first))
        if piece.flops > max_flops and axis == 0 and piece.out_size[0] > 1:
            yield from pieces(piece, max_flops)
        else:
            yield piece


def _piece(whole: Correlation, axis: int, first: int, count: int) -> Correlation:
    """The correlation for some images (axis 0) or rows (axis 3) of the result."""
    out = part(whole.out, axis, first, count)
    if axis == 0:
        return replace(whole, x=part(whole.x, 0, first, count), out=out)
    y, x = whole.taps.start
    return replace(whole, out=out, taps=replace(whole.taps, start=(y + first * whole.taps.stride[0], x)))
