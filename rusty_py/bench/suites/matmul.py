"""The matmul suite: the naive and the tiled kernels on m x k x n problems."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rusty_py import shaders
from rusty_py.bench.case import Case, Problem, Proof
from rusty_py.bench.kernels import FILL
from rusty_py.bench.proof import POISON, MatmulExam
from rusty_py.device import Device
from rusty_py.dtypes import F32
from rusty_py.errors import LimitError
from rusty_py.gemm.kernel import Kernel
from rusty_py.gemm.launches import Operands, requests
from rusty_py.gemm.plan import Plan, Tile, kernel_of
from rusty_py.gemm.problem import Place
from rusty_py.gemm.problem import Problem as Product
from rusty_py.kernel import Launch, check_workgroup, launch, prepare, run

Size = tuple[int, int, int]


@dataclass(frozen=True)
class MatmulSuite:
    """`sizes` are (m, k, n); `tiles` as in `rusty_py.matmul`."""

    sizes: Sequence[Size]
    tiles: Sequence[Tile]

    def cases(self) -> list[Case]:
        problems = [problem(*size) for size in sorted(set(self.sizes), key=lambda s: s[0] * s[1] * s[2])]
        return [case(p, tile) for p in problems for tile in self.tiles]

    def setup(self, problem: Problem, device: Device, rng: np.random.Generator) -> "MatmulSetup":
        return MatmulSetup(problem, device, rng)


def problem(m: int, k: int, n: int) -> Problem:
    """The m x k x n product in f32: 2mkn flops, and every matrix moved once."""
    return Problem(
        suite="matmul",
        name=f"{m}×{k}×{n}",
        axes={"m": m, "k": k, "n": n},
        dtype=F32.name,
        flops=2 * m * k * n,
        bytes=(m * k + k * n + m * n) * F32.itemsize,
    )


def case(problem: Problem, tile: Tile) -> Case:
    """The kernel of `tile` on `problem`."""
    m, k, n = (problem.axes[axis] for axis in "mkn")
    spec = kernel_of(tile).spec(Product(m, k, n))
    variant = "naive" if tile == "naive" else f"tile {tile}"
    return Case(problem, variant, str(spec), shaders.sha256(spec.source))


class MatmulSetup:
    """Inputs on the device, and an exam that all kernels sit."""

    def __init__(self, problem: Problem, device: Device, rng: np.random.Generator) -> None:
        m, k, n = (problem.axes[axis] for axis in "mkn")
        largest = max(m * k, k * n, m * n) * F32.itemsize
        most = min(device.limits.binding_bytes, device.limits.buffer_bytes)
        if largest > most:
            raise LimitError(
                f"matmul: a matrix is larger than one binding on {device.adapter}: {largest} > {most} bytes"
            )
        self.device = device
        self.exam = MatmulExam(m, k, n, rng=rng)
        self.a = device.upload(self.exam.a, label="a")
        self.b = device.upload(self.exam.b, label="b")

    def work(self, case: Case) -> "MatmulWork":
        tile = case.variant.removeprefix("tile ")
        return MatmulWork(self, kernel_of(tile if tile == "naive" else int(tile)))

    def baseline(self) -> Callable[[], object]:
        a, b = self.exam.a, self.exam.b
        c = np.empty((a.shape[0], b.shape[1]), np.float32)
        return lambda: np.matmul(a, b, out=c)


class MatmulWork:
    """One kernel on the setup's inputs, with an output of its own."""

    def __init__(self, setup: MatmulSetup, kernel: Kernel) -> None:
        self.exam, self.device = setup.exam, setup.device
        m, k, n = self.exam.m, self.exam.k, self.exam.n
        self.setup, self.plan = setup, Plan(Product(m, k, n), kernel, why="asked for")
        check_workgroup(setup.device, kernel.spec(self.plan.problem))
        self.c = self.device.empty(self.exam.m * self.exam.n * F32.itemsize, label="c")
        self.proven: NDArray[np.float32] | None = None

    def launches(self) -> list[Launch]:
        k, n = self.exam.k, self.exam.n
        places = Place(0, 0, k, 1), Place(0, 0, n, 1), Place(0, 0, n, 1)
        operands = Operands(self.setup.a, self.setup.b, self.c, *places)
        return [prepare(self.device, **each._asdict()) for each in requests(self.device, self.plan, operands)]

    def poison(self) -> None:
        groups = 64
        launch(
            self.device,
            FILL,
            outputs=[self.c],
            dims=(self.c.nbytes // 4, POISON, groups * FILL.threads),
            workgroups=(groups, 1, 1),
        )

    def prove(self) -> Proof:
        proof, self.proven = self.exam.prove(self._product)
        return proof

    def recheck(self) -> Proof:
        if self.proven is None:
            raise LimitError("recheck: nothing was proven before")
        return self.exam.recheck(self._result(), self.proven)

    def _product(self, a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
        self.device.write(self.setup.a, a)
        self.device.write(self.setup.b, b)
        self.poison()
        run(self.device, self.launches())
        return self._result()

    def _result(self) -> NDArray[np.float32]:
        c = np.empty((self.exam.m, self.exam.n), np.float32)
        self.device.read(self.c, c)
        return c
