"""Divides the result of a correlation into tiles, and the tiles into chunks: sizes and layouts. Pure data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from rusty_py.arrays import Array
from rusty_py.dtypes import F32
from rusty_py.gemm.problem import GemmProblem, MatrixLayout, MatrixLayouts
from rusty_py.ops.conv.winograd.forms import Form
from rusty_py.shapes import ceil_div

CHUNK_BYTES = 256 << 20
"""What the transformed inputs and the products of a chunk may take together."""
MIN_TILES = 256
"""Tiles of a chunk even if they take more, because the matrix products of fewer are inefficient."""
CHOICES = 4
"""Numbers of chunks to choose from: how well the matrix products fill the device depends on their size."""


@dataclass(frozen=True)
class Tiling:
    """The tiles of a correlation's result, and the layout of the temporaries of a chunk of `tiles`.

    `along_tiles`: neighbouring tiles are neighbours in the temporaries, as neighbouring pixels are in x; else
    neighbouring channels are.
    """

    form: Form
    channels: int
    outputs: int
    tiles_y: int
    tiles_x: int
    all_tiles: int
    tiles: int
    along_tiles: bool

    @classmethod
    def of(cls, x: Array, out: Array, form: Form) -> Tiling:
        """All tiles in one chunk. x: (batch, 1, channels, height, width); `out` is divided into tiles."""
        tiles_y, tiles_x = (ceil_div(size, form.outputs) for size in out.shape[3:])
        tiles = x.shape[0] * tiles_y * tiles_x
        channels, outputs = x.shape[2], out.shape[2]
        # Vec4 loads along the channels need a multiple of 4.
        along_tiles = channels % 4 != 0 or abs(x.strides[2]) >= abs(x.strides[4])
        return cls(form, channels, outputs, tiles_y, tiles_x, tiles, tiles, along_tiles)

    def choices(self, max_bytes: int) -> Iterator[Tiling]:
        """In equal chunks of at most CHUNK_BYTES, with no temporary larger than `max_bytes`."""
        each = self.form.products * F32.itemsize
        limit = CHUNK_BYTES // (each * (self.channels + self.padded_outputs))
        largest = max_bytes // (each * max(self.channels, self.padded_outputs))
        limit = max(4, min(max(limit, MIN_TILES), largest) // 4 * 4)
        least = ceil_div(self.all_tiles, limit)
        for count in range(least, least + CHOICES):
            tiles = ceil_div(self.all_tiles, 4 * count) * 4
            if count == least or tiles >= MIN_TILES:
                yield replace(self, tiles=min(tiles, self.all_tiles))

    def chunks(self) -> Iterator[tuple[int, Tiling]]:
        """The first tile of each chunk, and the tiling with as many as the chunk has."""
        for first in range(0, self.all_tiles, self.tiles):
            yield first, replace(self, tiles=min(self.tiles, self.all_tiles - first))

    @property
    def padded_tiles(self) -> int:
        """Rounded up for vec4 access."""
        return ceil_div(self.tiles, 4) * 4

    @property
    def padded_outputs(self) -> int:
        """Rounded up for vec4 access."""
        return ceil_div(self.outputs, 4) * 4

    @property
    def weights_bytes(self) -> int:
        """The transformed weights U: (products, channels, padded outputs)."""
        return self.form.products * self.channels * self.padded_outputs * F32.itemsize

    @property
    def input_bytes(self) -> int:
        """The transformed inputs V."""
        return self.form.products * self.channels * self.padded_tiles * F32.itemsize

    @property
    def output_bytes(self) -> int:
        """The matrix products M."""
        return self.form.products * self.padded_outputs * self.padded_tiles * F32.itemsize

    @property
    def layouts(self) -> MatrixLayouts:
        """M = U^T V with the tiles along the rows of V and M, else M = V U with a tile in each row."""
        outputs, channels, tiles = self.padded_outputs, self.channels, self.padded_tiles
        weights = MatrixLayout(0, channels * outputs, outputs, 1)
        if self.along_tiles:
            inputs = MatrixLayout(0, channels * tiles, tiles, 1)
            return weights.transposed(), inputs, MatrixLayout(0, outputs * tiles, tiles, 1)
        inputs = MatrixLayout(0, tiles * channels, channels, 1)
        return inputs, weights, MatrixLayout(0, tiles * outputs, outputs, 1)

    @property
    def products(self) -> GemmProblem:
        """The matrix products of a chunk."""
        rows, columns = self.padded_tiles, self.padded_outputs
        if self.along_tiles:
            rows, columns = columns, rows
        return GemmProblem.of(rows, self.channels, columns, self.form.products, layouts=self.layouts)

    @property
    def weight_layouts(self) -> MatrixLayouts:
        """Of the gradient of weights: U = V M^T with the tiles along the rows of V and M, else U = V^T M."""
        outputs, channels, tiles = self.padded_outputs, self.channels, self.padded_tiles
        weights = MatrixLayout(0, channels * outputs, outputs, 1)
        if self.along_tiles:
            inputs = MatrixLayout(0, channels * tiles, tiles, 1)
            return inputs, MatrixLayout(0, outputs * tiles, 1, tiles), weights
        inputs = MatrixLayout(0, tiles * channels, 1, channels)
        return inputs, MatrixLayout(0, tiles * outputs, outputs, 1), weights

    @property
    def weight_products(self) -> GemmProblem:
        """The matrix products of a chunk for the gradient of weights, sums over its tiles."""
        return GemmProblem.of(
            self.channels,
            self.tiles,
            self.padded_outputs,
            self.form.products,
            layouts=self.weight_layouts,
        )

    @property
    def input_strides(self) -> tuple[int, int, int]:
        """The strides of V's products, tiles and channels."""
        return self._strides(self.channels)

    @property
    def output_strides(self) -> tuple[int, int, int]:
        """The strides of M's products, tiles and outputs."""
        return self._strides(self.padded_outputs)

    def _strides(self, channels: int) -> tuple[int, int, int]:
        along, across = (1, self.padded_tiles) if self.along_tiles else (channels, 1)
        return channels * self.padded_tiles, along, across

    def __str__(self) -> str:
        order = "tiles" if self.along_tiles else "channels"
        count = ceil_div(self.all_tiles, self.tiles)
        return f"{self.form}, {order} contiguous, {count} chunk{'s' * (count > 1)} of {self.tiles} tiles"
