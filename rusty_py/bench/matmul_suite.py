"""The matmul suite: the kernel that `matmul` selects, and the naive and tiled kernels."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from rusty_py.arrays import Array
from rusty_py.bench.shapes import Size
from rusty_py.dtypes import DTYPES, F32, Dtype
from rusty_py.errors import LimitError
from rusty_py.gemm.dispatch import Operands, dispatches
from rusty_py.gemm.plan import GemmPlan
from rusty_py.gemm.problem import GemmProblem, MatrixLayouts, contiguous
from rusty_py.gemm.select import Tile, plan
from rusty_py.measure.document import BenchProblem, Verification
from rusty_py.measure.end_to_end import CompileMeter, WholeCall, end_to_end
from rusty_py.measure.operation_work import kernel_names, poison
from rusty_py.measure.references import Library, ReferenceTask, library, references
from rusty_py.measure.runner import Comparison, KernelMeter, Schedule
from rusty_py.measure.sampling import KernelTrack, Track
from rusty_py.measure.verification import MatmulVerifier
from rusty_py.ops.matmul import matmul
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Launch, prepare, run


@dataclass(frozen=True)
class MatmulSuite:
    """`tiles` as in `rusty_py.matmul`; `dtype` is that of operands and results; `reference` is a library.

    With `whole_calls` and the tile "auto", calls from NumPy to NumPy are measured, too.
    """

    command = "matmul"

    sizes: Sequence[Size]
    tiles: Sequence[Tile]
    dtype: Dtype = F32
    accumulate_dtype: Dtype = F32
    reference: Library = field(default_factory=lambda: library("numpy"))
    whole_calls: bool = True

    def schedules(self, meter: KernelMeter, rng: np.random.Generator) -> list[Schedule]:
        """A row for each size, small ones first."""
        sizes = sorted(dict.fromkeys(self.sizes), key=lambda size: size.flops)
        problems = [
            problem_of(size, dtype=self.dtype, accumulate_dtype=self.accumulate_dtype) for size in sizes
        ]
        by = [variant_of(tile) for tile in self.tiles]
        compiler = CompileMeter(meter.device)
        return [
            Schedule(each, partial(self._comparisons, each, meter, compiler, rng), by=by) for each in problems
        ]

    def _comparisons(
        self, problem: BenchProblem, meter: KernelMeter, compiler: CompileMeter, rng: np.random.Generator
    ) -> list[Comparison]:
        setup = MatmulSetup(problem, meter.device, rng)
        tracks = [setup.track(variant_of(tile), meter) for tile in self.tiles]
        others = references([self.reference], setup.task(), device=meter.device, clock=meter.clock_name)
        whole = [end_to_end(setup.whole_call(), compiler)] * (self.whole_calls and "auto" in self.tiles)
        return [
            Comparison(
                problem,
                [*tracks, *others.tracks],
                [*others.references, *whole],
                reference=self.reference.name,
            )
        ]


def problem(m: int, k: int, n: int) -> BenchProblem:
    """The m x k x n product in f32."""
    return problem_of(Size(m, k, n))


def problem_of(size: Size, *, dtype: Dtype = F32, accumulate_dtype: Dtype = F32) -> BenchProblem:
    """The products of `size`: 2mnk flops each, with every matrix moved once."""
    m, k, n = size.m, size.k, size.n
    return BenchProblem(
        "matmul",
        str(size),
        {"m": m, "k": k, "n": n, "products": size.products},
        dtype.name,
        {"layout": size.layout, "accumulate_dtype": accumulate_dtype.name},
        flops=size.flops,
        read_bytes=(m * k + k * n) * size.products * dtype.itemsize,
        written_bytes=m * n * size.products * dtype.itemsize,
    )


def variant_of(tile: Tile) -> str:
    """The name of a tile in tables."""
    return f"tile {tile}" if isinstance(tile, int) else tile


def product_of(problem: BenchProblem) -> GemmProblem:
    """The GEMM problem, with contiguous matrices."""
    dtype, accumulate_dtype = DTYPES[problem.dtype], DTYPES[problem.options["accumulate_dtype"]]
    return GemmProblem.of(
        *_sizes(problem), layouts=layouts_of(problem), dtype=dtype, accumulate_dtype=accumulate_dtype
    )


def layouts_of(problem: BenchProblem) -> MatrixLayouts:
    """The layouts of a, b and c, each in a buffer of its own."""
    return contiguous(*_sizes(problem), layout=problem.options["layout"])


def _sizes(problem: BenchProblem) -> tuple[int, int, int, int]:
    axes = problem.axes
    return axes["m"], axes["k"], axes["n"], axes["products"]


class MatmulSetup:
    """Inputs on the device, and the verifier shared by all kernels."""

    def __init__(self, problem: BenchProblem, device: Device, rng: np.random.Generator) -> None:
        self.problem, self.device = problem, device
        self._works: dict[str, MatmulWork] = {}
        m, k, n, products = _sizes(problem)
        dtype = DTYPES[problem.dtype]
        largest = max(m * k, k * n, m * n) * products * dtype.itemsize
        limit = min(device.limits.binding_bytes, device.limits.buffer_bytes)
        if largest > limit:
            raise LimitError(
                f"matmul: a matrix is larger than one binding on {device.adapter}: {largest} > {limit} bytes"
            )
        self.verifier = MatmulVerifier(
            m,
            k,
            n,
            rng=rng,
            products=products,
            dtype=dtype,
            accumulate_dtype=DTYPES[problem.options["accumulate_dtype"]],
        )
        self.a = device.upload(self.stored(self.verifier.a, 0), label="a")
        self.b = device.upload(self.stored(self.verifier.b, 1), label="b")

    def stored(self, x: NDArray[np.floating], operand: int) -> NDArray[np.floating]:
        """Operand 0 or 1 in its memory order, C-contiguous."""
        transposed = self.problem.options["layout"][operand] == "t"
        return np.ascontiguousarray(x.swapaxes(-1, -2) if transposed else x)

    def track(self, variant: str, meter: KernelMeter) -> Track:
        """A variant to be measured."""
        return KernelTrack(variant, partial(self.work, variant), meter.device, meter.timer, meter.clock_name)

    def work(self, variant: str) -> "MatmulWork":
        """A variant, ready to run, made once. Raises LimitError if it exceeds the device's limits."""
        if variant not in self._works:
            self._works[variant] = MatmulWork(self, variant)
        return self._works[variant]

    def task(self) -> ReferenceTask:
        """The product for other libraries, with operands in the same layout."""
        verifier = self.verifier
        operands = tuple(self._as_stored(x, i) for i, x in enumerate((verifier.a, verifier.b)))
        return ReferenceTask(
            "matmul", operands, verifier.shape, verifier.dtype.numpy, verifier.compare, np.matmul
        )

    def whole_call(self) -> WholeCall:
        """The product of NumPy arrays, by the kernel that `matmul` selects."""
        verifier, letters = self.verifier, self.problem.options["layout"]
        accumulate_dtype = self.problem.options["accumulate_dtype"]

        def call(*arrays: Array) -> Array:
            a, b = (x.mT if letter == "t" else x for x, letter in zip(arrays, letters, strict=True))
            return matmul(a, b, accumulate_dtype=accumulate_dtype)

        operands = [self.stored(x, i) for i, x in enumerate((verifier.a, verifier.b))]
        return WholeCall(self.device, operands, call, lambda: self.work("auto").made, verifier.compare)

    def _as_stored(self, x: NDArray[np.floating], operand: int) -> NDArray[np.floating]:
        """Operand 0 or 1 with the strides that it has on the device."""
        held = self.stored(x, operand)
        return held.swapaxes(-1, -2) if self.problem.options["layout"][operand] == "t" else held


class MatmulWork:
    """A variant on the inputs of the setup, with its own output and plan."""

    def __init__(self, setup: MatmulSetup, variant: str) -> None:
        self.setup, self.verifier, self.device = setup, setup.verifier, setup.device
        self.problem = setup.problem
        self.gemm_plan = _plan(setup.device, product_of(self.problem), variant)
        self.c = self.device.empty(self.verifier.nbytes, label="c")
        self.operands = Operands(setup.a, setup.b, self.c, *layouts_of(self.problem))
        self.made = self.launches()
        self.kernel, self.sha256 = kernel_names(self.made)
        self.plan = str(self.gemm_plan) if variant == "auto" else ""
        self.verified: NDArray[np.floating] | None = None

    def launches(self) -> list[Launch]:
        made = dispatches(self.device, self.gemm_plan, self.operands)
        self.made = [prepare(self.device, **each._asdict()) for each in made]
        return self.made

    def poison(self) -> None:
        """Poisons the output and the temporary buffers of the last launches."""
        poison(self.device, self.made)

    def verify(self) -> Verification:
        verification, self.verified = self.verifier.verify(self._product)
        return verification

    def recheck(self) -> Verification:
        if self.verified is None:
            raise LimitError("recheck: verify first")
        return self.verifier.recheck(self._result(), self.verified)

    def _product(self, a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.floating]:
        self.device.write(self.setup.a, self.setup.stored(a, 0))
        self.device.write(self.setup.b, self.setup.stored(b, 1))
        launches = self.launches()
        self.poison()
        run(self.device, launches)
        return self._result()

    def _result(self) -> NDArray[np.floating]:
        c = np.empty(self.verifier.shape, self.verifier.dtype.numpy)
        self.device.read(self.c, c)
        return c


def _plan(device: Device, product: GemmProblem, variant: str) -> GemmPlan:
    """The plan of a variant. Raises LimitError if it cannot compute the product."""
    if variant == "auto":
        return plan(device, product)
    if product.signature.stored is not F32:
        raise LimitError(
            f"{variant} computes in f32 only; --tile auto computes in {product.signature.stored.name}"
        )
    tile = variant.removeprefix("tile ")
    return plan(device, product, tile=tile if tile == "naive" else int(tile))
