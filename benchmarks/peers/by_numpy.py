"""NumPy, on the CPU."""

import time

import numpy as np

from benchmarks.peers.contestant import Unavailable
from benchmarks.peers.problems import Matrix


def start(variant: str) -> "Numpy":
    """NumPy is always there."""
    return Numpy()


class Numpy:
    """NumPy and the BLAS behind it."""

    def about(self) -> dict[str, str]:
        from rusty_py.bench.context import blas, cpu_name

        return {"device": cpu_name(), "BLAS": str(blas()["name"])}

    def product(self, a: Matrix, b: Matrix) -> "NumpyProduct":
        if a.dtype != np.float32:
            raise Unavailable("BLAS has no f16")
        return NumpyProduct(a, b)


class NumpyProduct:
    """np.matmul into memory that is there already."""

    clock = "wall, calls back to back"

    def __init__(self, a: Matrix, b: Matrix) -> None:
        self.a, self.b = a, b
        self.c = np.empty((*a.shape[:-1], b.shape[-1]), a.dtype)

    def result(self) -> Matrix:
        self.seconds(1)
        return self.c

    def seconds(self, calls: int) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            np.matmul(self.a, self.b, out=self.c)
        return time.perf_counter() - start
