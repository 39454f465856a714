"""The suite of convolutions: algorithms on the same images and weights, and a reference."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rusty_py.arrays import Array
from rusty_py.bench.convolutions import Convolution
from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.errors import DtypeError, LimitError, UnsupportedError
from rusty_py.measure.conv_verification import ConvVerifier
from rusty_py.measure.document import BenchProblem, Figure, Verification
from rusty_py.measure.end_to_end import CompileMeter, WholeCall, end_to_end
from rusty_py.measure.memory import pool_bytes
from rusty_py.measure.operation_work import CallWork
from rusty_py.measure.references import Library, ReferenceTask, references
from rusty_py.measure.references import convolution as numpy_convolution
from rusty_py.measure.runner import Comparison, KernelMeter, Schedule
from rusty_py.measure.sampling import KernelTrack
from rusty_py.ops.conv.geometry import Geometry
from rusty_py.ops.conv.winograd.forms import F2, F4
from rusty_py.ops.conv2d import conv2d
from rusty_py.ops.creation import asarray
from rusty_py.runtime.adapter import Adapter
from rusty_py.runtime.device import Device

AUTO = "auto"
POOL, WORKSPACE = "peak pool", "workspace"
"""Figures of an algorithm: the bytes that a call takes from the pool, and those beyond the result."""

FEWER = {"winograd": F2.saving, "winograd4": F4.saving}
"""How many times fewer multiplications than a direct sum algorithms have."""


class ConvTrack(KernelTrack):
    """The launches of an algorithm, and the memory that it takes."""

    nbytes: tuple[int, int] = (0, 0)

    def verify(self) -> Verification:
        assert isinstance(self.work, ConvWork)
        self.nbytes = self.work.pool_bytes()
        return super().verify()

    def figures(self) -> list[Figure]:
        memory = zip((POOL, WORKSPACE), self.nbytes, strict=True)
        return [*super().figures(), *(Figure(name, nbytes, "B") for name, nbytes in memory)]


@dataclass(frozen=True)
class ConvSuite:
    """`algorithms` as in `rusty_py.conv2d`. With "auto", calls from NumPy to NumPy are measured, too."""

    command = "conv2d"

    convolutions: Sequence[Convolution]
    algorithms: Sequence[str]
    reference: Library
    layout: str = "NCHW"
    dtype: Dtype = F32

    def check(self, adapter: Adapter) -> None:
        """Raises DtypeError if the adapter doesn't take the dtype."""
        if self.dtype is F16 and "shader-f16" not in adapter.features:
            raise DtypeError(f"conv2d: {adapter} does not compute in f16: use --dtype f32")

    def schedules(self, meter: KernelMeter, rng: np.random.Generator) -> list[Schedule]:
        """A row for each convolution."""
        compiler = CompileMeter(meter.device)
        return [
            Schedule(
                problem_of(each, self.dtype, self.layout),
                partial(self._comparisons, each, meter, compiler, rng),
                by=self.algorithms,
                weight=max(1.0, each.flops / 1e9),
            )
            for each in self.convolutions
        ]

    def _comparisons(
        self, each: Convolution, meter: KernelMeter, compiler: CompileMeter, rng: np.random.Generator
    ) -> list[Comparison]:
        problem = problem_of(each, self.dtype, self.layout)
        setup = ConvSetup(problem, each, meter.device, rng, self.dtype)
        tracks = [
            ConvTrack(name, partial(setup.work, name), meter.device, meter.timer, meter.clock_name)
            for name in self.algorithms
        ]
        others = references([self.reference], setup.task(), device=meter.device, clock=meter.clock_name)
        whole = [end_to_end(setup.whole_call(), compiler)] * (AUTO in self.algorithms)
        return [
            Comparison(
                problem,
                [*tracks, *others.tracks],
                [*others.references, *whole],
                reference=self.reference.name,
            )
        ]


def problem_of(each: Convolution, dtype: Dtype, layout: str) -> BenchProblem:
    """Images and weights are read once, and the result written once."""
    shapes = shapes_of(each, layout)
    read, written = sum(int(np.prod(shape)) for shape in shapes[:2]), int(np.prod(shapes[2]))
    return BenchProblem(
        "conv2d",
        each.name,
        each.axes,
        dtype.name,
        {"layout": layout},
        flops=each.flops,
        read_bytes=read * dtype.itemsize,
        written_bytes=written * dtype.itemsize,
    )


def shapes_of(each: Convolution, layout: str) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """The shapes of the images, the weights and the result."""
    shape = Geometry(layout=layout).shape
    return (
        shape(each.batch, each.channels, (each.height, each.width)),
        (each.outputs, each.channels // each.groups, each.kernel, each.kernel),
        shape(each.batch, each.outputs, (each.out_height, each.out_width)),
    )


class ConvSetup:
    """Operands on the device, and the verifier shared by all algorithms."""

    def __init__(
        self,
        problem: BenchProblem,
        each: Convolution,
        device: Device,
        rng: np.random.Generator,
        dtype: Dtype = F32,
    ) -> None:
        self.problem, self.device = problem, device
        layout = problem.options["layout"]
        self.options: dict[str, Any] = {**each.options, "layout": layout}
        largest = max(prod(shape) for shape in shapes_of(each, layout)) * dtype.itemsize
        limit = min(device.limits.binding_bytes, device.limits.buffer_bytes)
        if largest > limit:
            raise LimitError(
                f"conv2d: an array is larger than one binding on {device.adapter}: {largest} > {limit} bytes"
            )
        self.verifier = ConvVerifier(
            shapes_of(each, layout), each.options, rng=rng, layout=layout, dtype=dtype
        )
        self._works: dict[str, ConvWork] = {}
        self.arrays = [asarray(x, device=device) for x in (self.verifier.x, self.verifier.w)]

    def call(self, *arrays: Array, algorithm: str = AUTO) -> Array:
        """The convolution of arrays by an algorithm."""
        x, w = arrays
        return conv2d(x, w, algorithm=algorithm, **self.options)

    def work(self, algorithm: str) -> "ConvWork":
        """An algorithm, ready to run, made once. Raises LimitError if it doesn't take the convolution."""
        if algorithm not in self._works:
            try:
                self._works[algorithm] = ConvWork(self, algorithm)
            except UnsupportedError as error:
                raise LimitError(str(error)) from error
        return self._works[algorithm]

    def task(self) -> ReferenceTask:
        """The convolution for other libraries."""
        verifier = self.verifier
        return ReferenceTask(
            "conv2d",
            (verifier.x, verifier.w),
            verifier.shape,
            verifier.dtype.numpy,
            verifier.compare_large_tiles,
            numpy_convolution.conv2d,
            self.options,
            ours=conv2d,
        )

    def whole_call(self) -> WholeCall:
        """The convolution of NumPy arrays, by the algorithm that `conv2d` selects."""
        operands = [self.verifier.x, self.verifier.w]
        return WholeCall(
            self.device, operands, self.call, lambda: self.work(AUTO).made, self.verifier.compare
        )


class ConvWork(CallWork):
    """An algorithm on the operands of the setup: a `Work`."""

    def __init__(self, setup: ConvSetup, algorithm: str) -> None:
        x, w = setup.arrays
        super().__init__(setup.device, partial(setup.call, x, w, algorithm=algorithm))
        plan = conv2d.plan(x, w, algorithm=algorithm, **setup.options)
        # What is selected is of interest, and that an algorithm leaves the convolution to another.
        self.plan = str(plan) if algorithm == AUTO or plan.how.startswith("by ") else ""
        # Its own arithmetic, so that Winograd's algorithm is not taken for an impossible rate.
        fewer = FEWER.get(plan.algorithm, 1.0)
        self.problem = replace(setup.problem, flops=int(setup.problem.flops / fewer))
        verifier = setup.verifier
        self._compare = verifier.compare_large_tiles if fewer > 3 else verifier.compare

    def compare(self, result: NDArray[Any]) -> Verification:
        return self._compare(result)

    def pool_bytes(self) -> tuple[int, int]:
        """The memory of a call."""
        return pool_bytes(self.device, self._call)
