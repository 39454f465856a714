"""The gradients of convolutions, by every algorithm that may compute them: what `--tune` measures besides."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rusty_py.arrays import Array, allocate
from rusty_py.bench.conv_suite import FEWER, problem_of, shapes_of
from rusty_py.bench.convolutions import Convolution
from rusty_py.dtypes import F32, Dtype
from rusty_py.measure.correlation_verification import CorrelationVerifier, result_of
from rusty_py.measure.document import BenchProblem, Verification
from rusty_py.measure.operation_work import CallWork
from rusty_py.measure.runner import Comparison, KernelMeter, Schedule
from rusty_py.measure.sampling import KernelTrack
from rusty_py.ops.conv import problems, tuning
from rusty_py.ops.conv.algorithm import Algorithm, Problem
from rusty_py.ops.conv.correlation import Correlation, WeightCorrelation
from rusty_py.ops.conv.geometry import Geometry
from rusty_py.ops.conv.select import ALGORITHMS, WEIGHT_ALGORITHMS, automatic, predicted
from rusty_py.ops.creation import asarray
from rusty_py.runtime.device import Device
from rusty_py.views import View

KEY, DEFAULT = "problem", "default"
"""Options of a row: the problem in the tuning file, and the algorithm with the lowest predicted time."""


@dataclass(frozen=True)
class GradientSuite:
    """A row for each correlation of the gradients of input and weights.

    That of the input consists of several for a stride of more than 1.
    """

    command = "conv2d"

    convolutions: Sequence[Convolution]
    layout: str = "NCHW"
    dtype: Dtype = F32

    def schedules(self, meter: KernelMeter, rng: np.random.Generator) -> list[Schedule]:
        """One for each convolution."""
        return [
            Schedule(
                self._problem(each, "gradients"),
                partial(self._comparisons, each, meter, rng),
                weight=max(1.0, 2 * each.flops / 1e9),
            )
            for each in self.convolutions
        ]

    def _problem(self, each: Convolution, of: str) -> BenchProblem:
        problem = problem_of(each, self.dtype, self.layout)
        return replace(problem, name=f"{problem.name} {of}")

    def _comparisons(
        self, each: Convolution, meter: KernelMeter, rng: np.random.Generator
    ) -> list[Comparison]:
        device = meter.device
        shapes = shapes_of(each, self.layout)
        x, w, dout = (
            asarray(rng.uniform(-1, 1, shape).astype(self.dtype.numpy), device=device) for shape in shapes
        )
        dx, dw = (_empty(like) for like in (x, w))
        geometry = geometry_of(each, self.layout)
        phases = list(problems.transposed(geometry, dout, w, dx, None, ""))
        found = [
            self._comparison(self._problem(each, _of_phase(i, len(phases))), phase, ALGORITHMS, meter, rng)
            for i, phase in enumerate(phases)
        ]
        weights = problems.weight_gradient(geometry, x, dout, dw)
        of_weights = self._problem(each, "weights")
        return [*found, self._comparison(of_weights, weights, WEIGHT_ALGORITHMS, meter, rng)]

    def _comparison(
        self,
        bench: BenchProblem,
        problem: Problem,
        algorithms: dict[str, Algorithm[Problem]],
        meter: KernelMeter,
        rng: np.random.Generator,
    ) -> Comparison:
        device = meter.device
        able = automatic(device, problem, algorithms, operation="conv2d")
        chosen = {KEY: tuning.key_of(problem), DEFAULT: predicted(device, problem, able).name}
        verifier = CorrelationVerifier(problem, rng)
        read = problem.x.nbytes + (problem.w if isinstance(problem, Correlation) else problem.dout).nbytes
        bench = replace(
            bench,
            flops=problem.flops,
            read_bytes=read,
            written_bytes=result_of(problem).nbytes,
            options={**bench.options, **chosen},
        )
        tracks = [
            KernelTrack(
                name,
                partial(CorrelationWork, device, algorithm, problem, bench, verifier),
                device,
                meter.timer,
                meter.clock_name,
            )
            for name, algorithm in able.items()
        ]
        return Comparison(bench, tracks)


def geometry_of(each: Convolution, layout: str) -> Geometry:
    """The options of the operations."""
    stride, padding, dilation = ((size, size) for size in (each.stride, each.pad, each.dilation))
    return Geometry(stride, padding, dilation, each.groups, layout)


def _of_phase(i: int, count: int) -> str:
    return "input" if count == 1 else f"input {i + 1}/{count}"


def _with_own_result(problem: Correlation | WeightCorrelation) -> Correlation | WeightCorrelation:
    result = result_of(problem)
    memory = allocate(
        result.device, (result.buffer.nbytes // result.kind.itemsize,), result.kind, operation="conv2d"
    )
    own = memory.view(View(result.offset, result.shape, result.strides))
    changes: dict[str, Any] = {"out" if isinstance(problem, Correlation) else "dw": own}
    return replace(problem, **changes)


def _empty(x: Array) -> Array:
    return allocate(x.device, x.shape, x.kind, operation="conv2d")


class CorrelationWork(CallWork):
    """A correlation, or a gradient of weights, by an algorithm, in memory of its own: a `Work`."""

    def __init__(
        self,
        device: Device,
        algorithm: Algorithm[Any],
        problem: Correlation | WeightCorrelation,
        bench: BenchProblem,
        verifier: CorrelationVerifier,
    ) -> None:
        super().__init__(device, partial(_computed, algorithm, device, _with_own_result(problem)))
        self._verifier = verifier
        # Its own arithmetic, so that Winograd's algorithm is not taken for an impossible rate.
        self.problem = replace(bench, flops=int(bench.flops / FEWER.get(algorithm.name, 1.0)))

    def compare(self, result: NDArray[Any]) -> Verification:
        return self._verifier.compare(result)


def _computed(algorithm: Algorithm[Any], device: Device, problem: Correlation | WeightCorrelation) -> Array:
    algorithm.run(device, problem)
    return result_of(problem)
