"""Products with compound axes: the samples of the package, on random matrices in memory full of NaN."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from rusty_py import Device, oracle
from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.gemm.compound import Side, Triple
from rusty_py.gemm.compound_samples import CompoundSample, samples
from rusty_py.gemm.dispatch import Operands, dispatches
from rusty_py.oracle import Expected

AROUND = 7.0


@dataclass(frozen=True)
class CompoundProduct:
    """A sample, computed and compared; `compute` returns all of c's memory."""

    sample: CompoundSample

    @property
    def name(self) -> str:
        return f"matmul with compound axes, {self.sample.name}: {self.sample.plan}"

    def operands(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The memory of a and b, and the bias."""
        contraction, rng = self.sample.contraction, np.random.default_rng(3)
        sides = zip((contraction.a, contraction.b), self.indices()[:2], strict=True)
        a, b = (_filled(rng, index, side, self.sample.dtype) for side, index in sides)
        bias = rng.uniform(-1, 1, self.sample.bias_stride * self.sample.products)
        return a, b, bias.astype(self.sample.dtype.numpy)

    def indices(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where the elements of a, b and c are in their memory."""
        x, count = self.sample.contraction, self.sample.products
        return (
            _indices(x.a, x.m, x.k, count),
            _indices(x.b, x.k, x.n, count),
            _indices(x.c, x.m, x.n, count),
        )

    def inside(self) -> np.ndarray:
        """Whether an element of the bounded operand is inside, (lines, k)."""
        x, bounds = self.sample.contraction, self.sample.contraction.bounds
        assert bounds is not None
        axes = (x.m if bounds.operand == "a" else x.n, bounds.lines), (x.k, bounds.depth)
        lines, depth = (np.tensordot(steps, np.indices(sizes), 1).ravel() for sizes, steps in axes)
        place = lines[:, None] + depth
        y, col = (place >> 16) - bounds.start[0], (place & 0xFFFF) - bounds.start[1]
        height, width = bounds.size
        return (y >= 0) & (y < height) & (col >= 0) & (col < width)

    def compute(self, device: Device, launch: Callable[..., None]) -> np.ndarray:
        sample = self.sample
        a, b, bias = self.operands()
        c = np.full(_even(self.indices()[2].max() + 5), AROUND, sample.dtype.numpy)
        held = [device.upload(each) for each in (a, b, c, bias)]
        contraction = sample.contraction
        operands = Operands(
            *held[:3],
            *contraction.layouts(),
            held[3] if sample.bias else None,
            contraction.axes if sample.problem.signature.compound else None,
            sample.bias_stride,
        )
        for request in dispatches(device, sample.plan, operands):
            launch(device, **request._asdict())
        device.read(held[2], c)
        return c

    def expected(self) -> Expected:
        """Of all of c's memory: what lies between its elements stays."""
        sample = self.sample
        memory, where = self.operands(), self.indices()
        a, b = (flat[index] for flat, index in zip(memory[:2], where[:2], strict=True))
        if (bounds := sample.contraction.bounds) is not None:
            if bounds.operand == "a":
                a = np.where(self.inside(), a, 0)
            else:
                b = np.where(self.inside().T, b, 0)
        each = [oracle.matmul(x, y, dtype=F32) for x, y in zip(a, b, strict=True)]
        reference, bound = (np.stack([pair[i] for pair in each]) for i in (0, 1))
        shape = (sample.products, -1, 1) if sample.bias_by_row else (sample.products, 1, -1)
        terms = [memory[2].astype(np.float64).reshape(shape)] * sample.bias
        reference, bound = oracle.finished(reference, bound, terms=terms, activation=sample.activation)
        if sample.dtype is F16:
            bound = bound + oracle.rounding(np.abs(reference) + bound, ulps=0.5, dtype=F16)
        whole = np.full(_even(where[2].max() + 5), AROUND)
        bounds = np.full_like(whole, 1e-30)
        whole[where[2]], bounds[where[2]] = reference, bound
        return Expected(whole, bounds)


def compound_products() -> Iterator[CompoundProduct]:
    """All samples."""
    return map(CompoundProduct, samples())


def _indices(side: Side, rows: Triple, cols: Triple, products: int) -> np.ndarray:
    """(products, rows, columns)."""
    row, col = (
        np.tensordot(strides, np.indices(sizes), 1).ravel()
        for sizes, strides in ((rows, side.rows), (cols, side.cols))
    )
    first = side.start + side.batch_stride * np.arange(products)
    return first[:, None, None] + row[:, None] + col


def _filled(rng: np.random.Generator, index: np.ndarray, side: Side, dtype: Dtype) -> np.ndarray:
    flat = np.full(_even(index.max() + 1), np.nan, dtype.numpy)
    flat[index] = rng.uniform(-1, 1, index.shape).astype(dtype.numpy)
    return flat


def _even(size: int) -> int:
    return -(-size // 4) * 4
