"""The problems: shapes, operand layouts and values."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.floating]

_SIZE = re.compile(r"(\d+(?:x\d+)*)(?::([nt]{2}))?")


@dataclass(frozen=True)
class Problem:
    """`batch` products of (m, k) by (k, n).

    `layout` says for a and b whether each is row-major ("n") or the transpose of a row-major matrix ("t").
    """

    m: int
    k: int
    n: int
    batch: int = 1
    layout: str = "nn"

    @property
    def flops(self) -> int:
        return 2 * self.batch * self.m * self.k * self.n

    def __str__(self) -> str:
        shape = f"{self.m}×{self.k}×{self.n}"
        shape = f"{self.batch} of {shape}" if self.batch > 1 else shape
        return shape if self.layout == "nn" else f"{shape} {self.layout}"


SQUARES = tuple(Problem(n, n, n) for n in (512, 1024, 2048, 4096, 8192))
MORE_SHAPES = (
    Problem(1, 4096, 4096),
    Problem(4096, 4096, 1),
    Problem(16, 4096, 4096),
    Problem(64, 200_000, 64),
    Problem(100_000, 1000, 20),
    Problem(4095, 4095, 4095),
    Problem(512, 512, 512, batch=64),
    Problem(4096, 4096, 4096, layout="nt"),
    Problem(4096, 4096, 4096, layout="tn"),
)


def parse(text: str) -> Problem:
    """The problem that "n", "MxKxN" or "BxMxKxN" names, with ":nt" and the like behind it for its layout.

    Raises ValueError for anything else, and for sizes of 0.
    """
    found = _SIZE.fullmatch(text.strip())
    sizes = [int(size) for size in found[1].split("x")] if found else []
    if found is None or len(sizes) not in (1, 3, 4) or 0 in sizes:
        raise ValueError(f"sizes: not a size: {text!r}; write 512, 64x1000x32, 8x512x512x512 or 512:nt")
    layout = found[2] or "nn"
    if len(sizes) == 1:
        return Problem(sizes[0], sizes[0], sizes[0], layout=layout)
    m, k, n = sizes[-3:]
    return Problem(m, k, n, batch=sizes[0] if len(sizes) == 4 else 1, layout=layout)


def operands(problem: Problem, *, dtype: str, seed: Sequence[int]) -> tuple[Matrix, Matrix]:
    """a and b in "f32" or "f16", standard normal: (m, k) and (k, n), behind the batch if there is one.

    Random bits everywhere: what a GPU draws, and so how fast it is, depends on the values.
    """
    rng = np.random.default_rng(seed)
    lead = (problem.batch,) if problem.batch > 1 else ()
    pairs = ((problem.m, problem.k), (problem.k, problem.n))
    a, b = (_normal(rng, lead, *pair, way, dtype) for pair, way in zip(pairs, problem.layout, strict=True))
    return a, b


def _normal(
    rng: np.random.Generator, lead: tuple[int, ...], rows: int, cols: int, way: str, dtype: str
) -> Matrix:
    if way == "t":
        return _normal(rng, lead, cols, rows, "n", dtype).swapaxes(-1, -2)
    values = rng.standard_normal((*lead, rows, cols), dtype=np.float32)
    return values.astype(np.float16) if dtype == "f16" else values
