"""Verification of correlations and gradients of weights: random elements, and that all are written."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rusty_py import oracle
from rusty_py.arrays import Array
from rusty_py.dtypes import F32
from rusty_py.measure.document import Verification
from rusty_py.measure.verification import compared, unwritten
from rusty_py.ops.conv.correlation import Correlation, Taps, WeightCorrelation
from rusty_py.oracle import Expected

_ELEMENTS, _WEIGHTS = 1024, 128
"""Elements of a result that are compared, and of a gradient of weights, whose sums are longer."""

Float64 = NDArray[np.float64]
Places = tuple[NDArray[np.intp], ...]


class CorrelationVerifier:
    """The reference of a problem, of independent operands of mean zero, shared by all algorithms."""

    def __init__(self, problem: Correlation | WeightCorrelation, rng: np.random.Generator) -> None:
        self.problem = problem
        count = _ELEMENTS if isinstance(problem, Correlation) else _WEIGHTS
        self._places = tuple(rng.integers(size, size=count) for size in result_of(problem).shape)
        self.method = f"{count:,} random elements against float64"

    def compare(self, result: NDArray[np.floating]) -> Verification:
        """Compares a result with float64."""
        if fault := unwritten(result):
            return Verification(self.method, fault=fault)
        return replace(compared(self._expected, result[self._places]), method=self.method)

    @cached_property
    def _expected(self) -> Expected:
        """The elements at `_places`, and the error bound of sums in float32."""
        if isinstance(self.problem, Correlation):
            reference, squares = _correlated(self.problem, self._places)
            depth = self.problem.depth
        else:
            reference, squares = _weights(self.problem, self._places)
            depth = self.problem.flops // (2 * self.problem.dw.size)
        bound = oracle.centred_factor(depth, F32) * np.sqrt(squares) + 1e-37
        if self.problem.dtype is not F32:
            bound += oracle.rounding(reference, ulps=0.5, dtype=self.problem.dtype)
        return Expected(reference, bound)


def result_of(problem: Correlation | WeightCorrelation) -> Array:
    """What an algorithm writes."""
    return problem.out if isinstance(problem, Correlation) else problem.dw


def _correlated(problem: Correlation, places: Places) -> tuple[Float64, Float64]:
    """The sums at `places`, (batch, group, output, y, x), and those of the squares of the terms."""
    image, group, output, y, x = places
    (rows, inside_y), (columns, inside_x) = (
        _taps(problem.taps, axis, pixels[:, None], np.arange(problem.kernel[axis]), problem.size[axis])
        for axis, pixels in enumerate((y, x))
    )
    at = image[:, None, None], group[:, None, None], slice(None), rows[:, :, None], columns[:, None, :]
    taken = problem.x.numpy()[at].astype(np.float64)
    taken *= (inside_y[:, :, None] & inside_x[:, None, :])[..., None]
    weights = problem.w.numpy()[group, output].astype(np.float64)
    squares: Float64 = np.einsum("eijc,ecij->e", taken**2, weights**2)
    return np.einsum("eijc,ecij->e", taken, weights), squares


def _weights(problem: WeightCorrelation, places: Places) -> tuple[Float64, Float64]:
    """The sums at `places`, (group, output, channel, i, j), and those of the squares of the terms."""
    x, dout = problem.x.numpy(), problem.dout.numpy()
    size, pixels = x.shape[3:], [np.arange(count) for count in dout.shape[3:]]
    sums = []
    for group, output, channel, *tap in zip(*places, strict=True):
        (rows, inside_y), (columns, inside_x) = (
            _taps(problem.taps, axis, pixels[axis], tap[axis], size[axis]) for axis in (0, 1)
        )
        taken = x[:, group, channel][:, rows[:, None], columns].astype(np.float64)
        terms = taken * (inside_y[:, None] & inside_x) * dout[:, group, output]
        sums.append((terms.sum(), np.square(terms).sum()))
    reference, squares = np.array(sums).T
    return reference, squares


def _taps(
    taps: Taps, axis: int, pixel: NDArray[np.intp], tap: NDArray[np.intp] | int, size: int
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """The input's pixels along an axis that a tap of pixels reads, and whether they are inside."""
    found = taps.start[axis] + pixel * taps.stride[axis] + tap * taps.dilation[axis]
    return np.clip(found, 0, size - 1), (found >= 0) & (found < size)
