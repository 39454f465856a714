"""How far rounding may lead Winograd's algorithm from the exact result.

With |M| for the absolute values of a matrix, an error is at most

    factor(form, channels) * |A^T| (sum over the channels of (|G| |g| |G^T|) * (|B^T| |d| |B|)) |A|,

because each of the three transforms rounds its sums a few times, and the matrix products round theirs as all
do (Higham 2002, section 24.2.3, for the method). The magnitude includes all pixels of a tile, also those that
an output does not depend on: an output near zero may lose digits to a large neighbour, which a direct sum's
does not. Where all |w| and all |x| are equal, it is 64/9 times the direct sum of |w x| for F(2x2,3x3), and
up to 97 times for F(4x4,3x3). The factor grows with the channels, a direct sum's with 9 times as many.

For independent operands of mean zero, errors grow with the square root of the number of terms, times the
standard deviation of the sum: as 9 * channels for a direct sum, 5 * channels for F(2x2,3x3), and up to 31 *
channels for F(4x4,3x3). docs/convolution.md has measured errors.

In the gradient of the weights, the sum is over the tiles in place of the channels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rusty_py import oracle
from rusty_py.dtypes import F32
from rusty_py.ops.conv.winograd.forms import F2, GRADIENT, Form, Matrix
from rusty_py.shapes import ceil_div

Values = NDArray[np.float64]


def factor(form: Form, terms: int) -> float:
    """The error in units of the magnitude: the roundings of the transforms, and those of a sum of `terms`."""
    return oracle.rounding_factor(terms, F32) + form.roundings * F32.eps / 2


def magnitude(x: Values, w: Values, form: Form, *, start: tuple[int, int], size: tuple[int, int]) -> Values:
    """The magnitude of each output of a correlation.

    x: (batch, groups, channels, height, width). w: (groups, outputs, channels, 3, 3). `start` is where the
    first tap of output (0, 0) is, `size` the height and width of the result.
    """
    tiles = _tiles(np.abs(x), form, start, size)
    inputs, weights, outputs = (_absolute(each) for each in (form.input, form.weights, form.output))
    v = inputs @ tiles @ inputs.T
    u = weights @ np.abs(w) @ weights.T
    y = outputs @ np.einsum("gocij,ngcyxij->ngoyxij", u, v) @ outputs.T
    batch, groups, channels, rows, columns, m, _ = y.shape
    whole: Values = y.swapaxes(4, 5).reshape(batch, groups, channels, rows * m, columns * m)
    found: Values = whole[..., : size[0], : size[1]]
    return found


def weights_magnitude(x: Values, dout: Values, *, start: tuple[int, int]) -> tuple[Values, int]:
    """The magnitude of each element of a gradient of weights, and the number of tiles in a sum.

    x: (batch, groups, channels, height, width). dout: (batch, groups, outputs, height, width).
    """
    size = dout.shape[3], dout.shape[4]
    tiles = _tiles(np.abs(x), F2, start, size)
    edge = F2.outputs
    whole = np.pad(np.abs(dout), [(0, 0)] * 3 + [(0, -extent % edge) for extent in size])
    blocks = whole.reshape(*whole.shape[:3], tiles.shape[3], edge, tiles.shape[4], edge).swapaxes(4, 5)
    inputs, weights, outputs = (
        _absolute(each) for each in (GRADIENT.input, GRADIENT.weights, GRADIENT.output)
    )
    v = inputs @ tiles @ inputs.T
    u = weights @ blocks @ weights.T
    found: Values = outputs @ np.einsum("ngoyxij,ngcyxij->gocij", u, v) @ outputs.T
    return found, tiles.shape[0] * tiles.shape[3] * tiles.shape[4]


def _tiles(x: Values, form: Form, start: tuple[int, int], size: tuple[int, int]) -> Values:
    """(batch, groups, channels, tiles_y, tiles_x, form.size, form.size), zero outside of x."""
    padding, windows = [(0, 0)] * 3, []
    for first, extent, count in zip(start, x.shape[3:], size, strict=True):
        reach = ceil_div(count, form.outputs) * form.outputs + form.size - form.outputs
        before = max(0, -first)
        padding.append((before, max(0, first + reach - extent)))
        windows.append(slice(first + before, first + before + reach))
    padded = np.pad(x, padding)[..., windows[0], windows[1]]
    every = np.lib.stride_tricks.sliding_window_view(padded, (form.size, form.size), axis=(3, 4))
    return every[..., :: form.outputs, :: form.outputs, :, :]


def _absolute(matrix: Matrix) -> Values:
    return np.array([[abs(float(each)) for each in row] for row in matrix])
