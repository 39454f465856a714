"""MLX, Apple's array library."""

import time

import mlx.core as mx
import numpy as np

from benchmarks.peers.contestant import Unavailable
from benchmarks.peers.problems import Matrix


def start(variant: str) -> "Mlx":
    """MLX's GPU. Raises Unavailable where it has none."""
    if mx.default_device() != mx.Device(mx.gpu):
        raise Unavailable(f"MLX has no GPU here: it takes {mx.default_device()}")
    return Mlx()


class Mlx:
    """MLX on its default device."""

    def about(self) -> dict[str, str]:
        return {"device": str(mx.default_device())}

    def product(self, a: Matrix, b: Matrix) -> "MlxProduct":
        x, y = (_on_device(each) for each in (a, b))
        return MlxProduct(x, y)


class MlxProduct:
    """Products handed to the GPU one after the other, and the host's clock around them."""

    clock = "wall, calls back to back"

    def __init__(self, a: mx.array, b: mx.array) -> None:
        self.a, self.b = a, b

    def result(self) -> Matrix:
        return np.array(mx.matmul(self.a, self.b))

    def seconds(self, calls: int) -> float:
        mx.synchronize()
        start = time.perf_counter()
        for _ in range(calls):
            mx.async_eval(mx.matmul(self.a, self.b))
        mx.synchronize()
        return time.perf_counter() - start


def _on_device(values: Matrix) -> mx.array:
    """`values` in MLX's memory; a transposed matrix stays the view of a row-major one."""
    if values.flags.c_contiguous:
        moved = mx.array(values)
        mx.eval(moved)
        return moved
    return mx.swapaxes(_on_device(values.swapaxes(-1, -2)), -1, -2)
