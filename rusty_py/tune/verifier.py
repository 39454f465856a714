"""Verification of the tuner's candidates, for any layout and dtype.

Sampled rows and columns are compared with float64, and the winner's whole result with the default's.
"""

import math

import numpy as np
from numpy.typing import NDArray

from rusty_py import oracle
from rusty_py.dtypes import F16, F32
from rusty_py.errors import LimitError
from rusty_py.gemm.blocked import SUM_DEPTH
from rusty_py.gemm.dispatch import Operands, dispatches
from rusty_py.gemm.plan import GemmPlan
from rusty_py.gemm.problem import GemmProblem, contiguous
from rusty_py.measure.document import BenchProblem, Verification
from rusty_py.measure.kernels import FILL
from rusty_py.measure.verification import POISON
from rusty_py.runtime.buffer import Buffer
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Launch, launch, prepare, run

_ROWS, _COLS, _PRODUCTS = 32, 2048, 3
_PERIOD = 4_194_301  # Period of the inputs: a prime, so that no two rows or blocks are equal.
METHOD = f"up to {_ROWS + 2} rows of up to {_PRODUCTS} products against float64"


class TrialVerifier:
    """Inputs and reference of one problem, shared by all its candidates.

    The reference has up to `cols` columns: with fewer it takes less time.
    """

    def __init__(
        self, device: Device, problem: GemmProblem, rng: np.random.Generator, *, cols: int = _COLS
    ) -> None:
        self.device, self.problem, self.cols = device, problem, cols
        m, k, n, products = problem.m, problem.k, problem.n, problem.products
        signature = problem.signature
        limit = min(device.limits.binding_bytes, device.limits.buffer_bytes)
        self.c_bytes = products * m * n * signature.result.itemsize
        if max(products * max(m * k, k * n) * signature.stored.itemsize, self.c_bytes) > limit:
            raise LimitError(f"tune: a matrix is larger than one binding on {device.adapter}: {problem}")
        a, b = (_uniform(rng, (products, *size), signature.stored.numpy) for size in ((m, k), (k, n)))
        self._refer(a, b, rng)
        self.layouts = contiguous(m, k, n, products, layout=signature.layout)
        self.a, self.b = (
            device.upload(np.ascontiguousarray(x if by == "n" else x.swapaxes(1, 2)))
            for x, by in zip((a, b), signature.layout, strict=True)
        )

    def _refer(self, a: NDArray[np.generic], b: NDArray[np.generic], rng: np.random.Generator) -> None:
        """Computes the reference and its error bound at the sampled indices `self.at`."""
        signature, (products, m, k), n = self.problem.signature, a.shape, b.shape[2]
        p, rows, cols = (
            _some(rng, size, limit) for size, limit in ((products, _PRODUCTS), (m, _ROWS), (n, self.cols))
        )
        self.at = np.ix_(p, rows, cols)
        pairs = [oracle.matmul(_f32(a[i][rows]), _f32(b[i][:, cols]), dtype=F32, centred=True) for i in p]
        self.reference = np.stack([each for each, _ in pairs])
        self.bound = np.stack([bound for _, bound in pairs])
        if signature.accumulate_dtype is F16:
            factor = oracle.rounding_factor(min(k, SUM_DEPTH), F16)
            sizes = [np.abs(_f32(a[i][rows])) @ np.abs(_f32(b[i][:, cols])) for i in p]
            self.bound += factor * np.stack(sizes)
        if signature.result is F16:
            self.bound += oracle.rounding(self.reference, ulps=1.0, dtype=F16)

    def compare(self, c: NDArray[np.generic]) -> Verification:
        """Compares `c`, (products, m, n), with float64 at the sampled indices; no element may be poison."""
        words = c.reshape(-1)[: c.size // (4 // c.itemsize) * (4 // c.itemsize)].view(np.uint32)
        if (words == POISON).any():
            return Verification(METHOD, fault=f"{(words == POISON).mean():.2%} of the result never written")
        distance = np.abs(c[self.at].astype(np.float64) - self.reference)
        wrong = ~(distance <= self.bound)  # So that NaN is wrong.
        fault = (
            f"{wrong.sum():,} of {wrong.size:,} elements outside the rounding bound" if wrong.any() else ""
        )
        worst = np.max(distance / self.bound)
        return Verification(METHOD, error=float(worst) if np.isfinite(worst) else None, fault=fault)

    def differs(self, c: NDArray[np.generic], verified: NDArray[np.generic]) -> str:
        """Why the results of two kernels cannot both be right; "" if they can."""
        # Each may be off by the bound, which may be larger at indices that were not sampled.
        slack = 4 * float(self.bound.max())
        count = 0
        for one, other in zip(c, verified, strict=True):
            count += int((~(np.abs(_f32(one) - _f32(other)) <= slack)).sum())
        return f"{count:,} elements differ from the default's" if count else ""


class Attempt:
    """One candidate on the verifier's inputs: a `measure.work.Work`. Candidates may share the output."""

    def __init__(self, verifier: TrialVerifier, plan: GemmPlan, c: Buffer | None = None) -> None:
        self.verifier, self.device, self.gemm_plan = verifier, verifier.device, plan
        self.c = c or self.device.empty(verifier.c_bytes, label="c")
        p = plan.problem
        axes = {"m": p.m, "k": p.k, "n": p.n, "products": p.products}
        self.problem = BenchProblem("matmul", str(p), axes, p.signature.stored.name, flops=p.flops)
        self.kernel, self.sha256, self.plan = plan.kernel.name, "", str(plan)

    def launches(self) -> list[Launch]:
        operands = Operands(self.verifier.a, self.verifier.b, self.c, *self.verifier.layouts)
        return [
            prepare(self.device, **each._asdict())
            for each in dispatches(self.device, self.gemm_plan, operands)
        ]

    def poison(self) -> None:
        groups = 64
        uniforms = (self.c.nbytes // 4, POISON, groups * FILL.threads)
        launch(self.device, FILL, outputs=[self.c], uniforms=uniforms, workgroups=(groups, 1, 1))

    def verify(self) -> Verification:
        self.poison()
        run(self.device, self.launches())
        return self.recheck()

    def recheck(self) -> Verification:
        return self.verifier.compare(self.result())

    def result(self) -> NDArray[np.generic]:
        problem = self.gemm_plan.problem
        c = np.empty((problem.products, problem.m, problem.n), problem.signature.result.numpy)
        self.device.read(self.c, c)
        return c


def _some(rng: np.random.Generator, size: int, limit: int) -> NDArray[np.int64]:
    picked = rng.choice(size, size=min(size, limit), replace=False)
    return np.array(sorted({0, size - 1, *picked.tolist()}))


def _f32(x: NDArray[np.generic]) -> NDArray[np.float32]:
    return x.astype(np.float32)


def _uniform(
    rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[np.generic]
) -> NDArray[np.generic]:
    count = math.prod(shape)
    numbers = rng.random(min(count, _PERIOD), np.float32) * np.float32(2) - np.float32(1)
    x: NDArray[np.generic] = np.resize(numbers.astype(dtype, copy=False), shape)
    return x
