"""Common windows, and how much a thread of the unrolled kernels computes: constants to tune."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SquareWindow:
    """A square window: taps a side, from one to the next, and padding."""

    kernel: int
    stride: int
    padding: int

    def __str__(self) -> str:
        return f"{self.kernel}x{self.kernel} stride {self.stride} padding {self.padding}"


COMMON = (
    SquareWindow(2, 2, 0),
    SquareWindow(3, 2, 0),
    SquareWindow(3, 2, 1),
    SquareWindow(3, 1, 0),
    SquareWindow(3, 1, 1),
)
"""Those that kernels are unrolled for. Their padding is at most 1."""


@dataclass(frozen=True)
class Tile:
    """Windows along height and width; for gradients, cells of as many elements as the stride.

    `channels` are computed at once where they are neighbours in memory: 1, 2 or 4.
    """

    rows: int
    cols: int
    channels: int = 1


_WINDOWS = ((2, 2), (3, 2), (3, 1))

# For windows of 2x2 with stride 2, of 3x3 with stride 2, and of 3x3 with stride 1. In a plane, threads store
# neighbouring vectors: 16 bytes of a row each for gradients, as two stores of half a sector would be slower.
# Rows of gradients of 3x3: with the steps before them, 1 or 2, a multiple of 3, the period of their loop. The
# fastest of those tried on an H200, for maxima of 32x64 planes of 112x112; averages have the tiles of maxima.
TILES = {
    ("max", "NCHW", "f32"): [Tile(1, 4), Tile(1, 4), Tile(4, 4)],
    ("max", "NCHW", "f16"): [Tile(2, 8), Tile(2, 4), Tile(8, 8)],
    ("max", "NHWC", "f32"): [Tile(1, 1, 4), Tile(2, 1, 4), Tile(4, 2, 4)],
    ("max", "NHWC", "f16"): [Tile(1, 2, 4), Tile(4, 1, 4), Tile(4, 4, 4)],
    ("avg", "NCHW", "f32"): [Tile(1, 4), Tile(1, 4), Tile(4, 4)],
    ("avg", "NCHW", "f16"): [Tile(2, 8), Tile(2, 4), Tile(4, 8)],
    ("avg", "NHWC", "f32"): [Tile(1, 1, 4), Tile(2, 1, 4), Tile(4, 2, 4)],
    ("avg", "NHWC", "f16"): [Tile(1, 2, 4), Tile(4, 1, 4), Tile(4, 2, 4)],
    ("max gradient", "NCHW", "f32"): [Tile(1, 2), Tile(5, 2), Tile(10, 4)],
    ("max gradient", "NCHW", "f16"): [Tile(1, 4), Tile(5, 4), Tile(10, 8)],
    ("max gradient", "NHWC", "f32"): [Tile(1, 2, 4), Tile(5, 2, 2), Tile(10, 2, 2)],
    ("max gradient", "NHWC", "f16"): [Tile(1, 2, 4), Tile(5, 2, 2), Tile(10, 2, 2)],
    ("avg gradient", "NCHW", "f32"): [Tile(2, 2), Tile(5, 2), Tile(4, 4)],
    ("avg gradient", "NCHW", "f16"): [Tile(2, 4), Tile(5, 4), Tile(7, 8)],
    ("avg gradient", "NHWC", "f32"): [Tile(2, 2, 4), Tile(5, 2, 4), Tile(16, 2, 4)],
    ("avg gradient", "NHWC", "f16"): [Tile(2, 2, 4), Tile(5, 2, 4), Tile(4, 4, 4)],
}


def tile_for(work: str, dtype: str, square: SquareWindow, *, channels_last: bool) -> Tile:
    """The tile of a thread. `work` is "max" or "avg", or the same with " gradient"."""
    row = TILES[work, "NHWC" if channels_last else "NCHW", dtype]
    return row[_WINDOWS.index((square.kernel, square.stride))]
