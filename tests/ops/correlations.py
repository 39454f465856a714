"""Correlations for tests of single kernels: operands, what must come of them in float64, and their arrays."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rusty_py import Device, array, oracle
from rusty_py.arrays import Array
from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.ops.conv.correlation import Correlation, Pair, Taps, WeightCorrelation
from rusty_py.oracle import Expected
from rusty_py.samples import values
from rusty_py.views import View

Memory = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Case:
    """Sizes of a correlation with padding at the start and, for the size of its result, at the end."""

    batch: int
    groups: int
    channels: int
    size: Pair
    outputs: int
    kernel: Pair
    padding: Pair = (0, 0)
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    bias: bool = False
    activation: str = ""
    kind: Dtype = F32

    @property
    def taps(self) -> Taps:
        return Taps((-self.padding[0], -self.padding[1]), self.stride, self.dilation)

    @property
    def out_size(self) -> Pair:
        height, width = (
            (size + 2 * padding - dilation * (taps - 1) - 1) // stride + 1
            for size, padding, dilation, taps, stride in zip(
                self.size, self.padding, self.dilation, self.kernel, self.stride, strict=True
            )
        )
        return height, width

    @property
    def x(self) -> np.ndarray:
        return values(self.kind, self.batch, self.groups, self.channels, *self.size, seed=1)

    @property
    def w(self) -> np.ndarray:
        return values(self.kind, self.groups, self.outputs, self.channels, *self.kernel, seed=2)

    @property
    def dout(self) -> np.ndarray:
        return values(self.kind, self.batch, self.groups, self.outputs, *self.out_size, seed=3)

    @property
    def biases(self) -> np.ndarray:
        return values(self.kind, self.groups * self.outputs, seed=4)

    def expected(self) -> Expected:
        """The result."""
        seen, w = self._seen(), self.w.astype(np.float64)
        reference = np.einsum("ijngcyx,gocij->ngoyx", seen, w)
        magnitude = np.einsum("ijngcyx,gocij->ngoyx", np.abs(seen), np.abs(w))
        bias = self.biases.astype(np.float64).reshape(self.groups, self.outputs, 1, 1)
        depth = self.channels * self.kernel[0] * self.kernel[1]
        return self._stored(
            *oracle.finished(
                reference,
                oracle.rounding_factor(depth, F32) * magnitude + depth * 2.0**-126,
                terms=[bias] * self.bias,
                activation=self.activation,
            )
        )

    def expected_weights(self) -> Expected:
        """The gradient of the weights."""
        seen, dout = self._seen(), self.dout.astype(np.float64)
        reference = np.einsum("ijngcyx,ngoyx->gocij", seen, dout)
        magnitude = np.einsum("ijngcyx,ngoyx->gocij", np.abs(seen), np.abs(dout))
        depth = self.batch * self.out_size[0] * self.out_size[1]
        return self._stored(reference, oracle.rounding_factor(depth, F32) * magnitude + depth * 2.0**-126)

    def correlation(self, device: Device, *, x: str = "rows", out: str = "rows") -> Correlation:
        """On arrays in these forms; the result is filled with 7."""
        return Correlation(
            placed(device, self.x, x),
            array(self.w, device=device),
            placed(device, np.full(self.dout.shape, 7, self.dout.dtype), out),
            self.taps,
            array(self.biases, device=device) if self.bias else None,
            self.activation,
        )

    def weight_correlation(self, device: Device, *, x: str = "rows") -> WeightCorrelation:
        """On arrays in this form; the result is filled with 7."""
        dw = array(np.full(self.w.shape, 7, self.w.dtype), device=device)
        return WeightCorrelation(placed(device, self.x, x), placed(device, self.dout, x), dw, self.taps)

    def _seen(self) -> np.ndarray:
        """x at each tap of each pixel of the result: (i, j, n, g, c, y, x)."""
        rows, columns = (
            -padding + np.arange(count)[None] * stride + np.arange(taps)[:, None] * dilation
            for padding, count, stride, taps, dilation in zip(
                self.padding, self.out_size, self.stride, self.kernel, self.dilation, strict=True
            )
        )
        y, x = rows[:, None, :, None], columns[None, :, None, :]
        height, width = self.size
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        taken = self.x.astype(np.float64)[..., np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
        return np.moveaxis(taken * inside, (3, 4), (0, 1))

    def _stored(self, reference: np.ndarray, bound: np.ndarray) -> Expected:
        rounding = oracle.rounding(reference, ulps=0.5, dtype=F16) if self.kind is F16 else 0
        return Expected(reference, bound + rounding)


def placed(device: Device, x: np.ndarray, form: str) -> Array:
    """`x` in one of FORMS, among sevens."""
    memory, seen = FORMS[form](x)
    seen[...] = x
    start = seen.__array_interface__["data"][0] - memory.__array_interface__["data"][0]
    strides = tuple(stride // x.itemsize for stride in seen.strides)
    return array(memory, device=device).view(View(start // x.itemsize, x.shape, strides))


def _of(shape: tuple[int, ...], dtype: np.dtype, view: Callable[[np.ndarray], np.ndarray]) -> Memory:
    memory = np.full(shape, 7, dtype)
    return memory, view(memory)


FORMS: dict[str, Callable[[np.ndarray], Memory]] = {
    "rows": lambda x: _of(x.shape, x.dtype, lambda memory: memory),
    "channels last": lambda x: _of(
        (x.shape[0], *x.shape[3:], *x.shape[1:3]), x.dtype, lambda memory: memory.transpose(0, 3, 4, 1, 2)
    ),
    "reversed": lambda x: _of(x.shape, x.dtype, lambda memory: memory[..., ::-1, ::-1]),
    "apart": lambda x: _of(
        tuple(2 * size + 1 for size in x.shape), x.dtype, lambda memory: memory[(slice(1, None, 2),) * 5]
    ),
}
"""Memory, and a view of it, for values of a shape."""
