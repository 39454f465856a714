"""Sizes of matrix products: their notation, and the preset of typical shapes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

LAYOUTS = ("nn", "nt", "tn", "tt")
"""Layouts of a and b: n row-major, t transposed (column-major)."""

_SIZE = re.compile(r"(?:(\d{1,9})|(?:(\d{1,9})x)?(\d{1,9})x(\d{1,9})x(\d{1,9}))(?::(\w+))?", re.ASCII)


@dataclass(frozen=True)
class Size:
    """`products` products of (m, k) by (k, n) matrices with operands in `layout`."""

    m: int
    k: int
    n: int
    products: int = 1
    layout: str = "nn"

    @property
    def flops(self) -> int:
        return 2 * self.m * self.k * self.n * self.products

    def __str__(self) -> str:
        batch = f"{self.products}×" if self.products > 1 else ""
        layout = f" {self.layout}" if self.layout != "nn" else ""
        return f"{batch}{self.m}×{self.k}×{self.n}{layout}"


def parse(text: str) -> Size:
    """The size of "512", "512x2048x512", "8x512x2048x512" or any of these with ":tn". Raises ValueError."""
    parts = _SIZE.fullmatch(text)
    if parts:
        edge, products, *sides = parts.groups()[:5]
        m, k, n = (int(side or edge) for side in sides)
        size = Size(m, k, n, int(products or 1), parts[6] or "nn")
        if size.flops and size.layout in LAYOUTS:
            return size
    raise ValueError(
        f"{text!r} is not a size: N, MxKxN or PxMxKxN for P products, each 1 or more;"
        f" add :nt, :tn or :tt for transposed operands"
    )


SHAPES: Mapping[str, tuple[str, ...]] = {
    "squares": ("64", "128", "256", "512", "1024", "2048", "4096", "8192"),
    "beside the powers of two": ("1000", "1023", "2047", "4095"),
    "few rows": (
        *("1x4096x4096", "4x4096x4096", "16x4096x4096"),
        *("1x8192x8192", "4x8192x8192", "16x8192x8192"),
    ),
    "few columns": (
        *("4096x4096x1", "4096x4096x4", "4096x4096x16"),
        *("8192x8192x1", "8192x8192x4", "8192x8192x16"),
    ),
    "tall and wide": ("65536x256x256", "256x256x65536", "65536x1000x20"),
    "long sums": ("64x262144x64", "256x65536x256", "1024x16384x1024"),
    "batches": ("512x64x64x64", "64x256x256x256", "16x1024x1024x1024"),
    "layouts": ("2048:nt", "2048:tn", "2048:tt"),
    # 512 tokens, and 1, times the weights of a model with 4096 features; attention scores and values.
    "transformers": (
        *("512x4096x4096:nt", "512x4096x11008:nt", "512x11008x4096:nt"),
        *("1x4096x4096:nt", "1x4096x11008:nt", "1x11008x4096:nt"),
        *("32x512x128x512:nt", "32x512x512x128"),
    ),
}
"""The sizes of `--preset shapes`, by kind."""


def preset() -> list[Size]:
    """The distinct sizes of SHAPES."""
    return [*dict.fromkeys(parse(text) for texts in SHAPES.values() for text in texts)]
