"""Products by a kernel that the test chooses, of operands in all the places and layouts it is made for."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
from hypothesis import strategies as st

from rusty_py import Device, oracle
from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.gemm.dispatch import Operands, dispatches
from rusty_py.gemm.kernel import KernelConfig
from rusty_py.gemm.plan import GemmPlan
from rusty_py.gemm.problem import GemmProblem, MatrixLayout, Signature
from rusty_py.oracle import Expected
from rusty_py.runtime.launch import launch

ORDERS = ("rows", "columns", "apart", "backwards")
AROUND = 7.0
"""What lies around the elements of c, and in them where nothing is added to them."""


@dataclass(frozen=True)
class Placed:
    """Matrices in a flat array, and where."""

    flat: np.ndarray
    layout: MatrixLayout

    def find(self, flat: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """The matrices of `shape` in `flat`, which is a copy of ours."""
        return flat[_indices(self.layout, shape)]


def place(values: np.ndarray, order: str, *, whole: int, start: int = 0, filler: float = np.nan) -> Placed:
    """values: (products, rows, cols). Start and strides, but the inner one, are multiples of `whole`."""
    _, rows, cols = values.shape

    def up(size: int) -> int:
        return -(-size // whole) * whole

    at = up(start)
    match order:
        case "rows":
            row, col = up(cols + 1), 1
            step = rows * row
        case "columns":
            row, col = 1, up(rows + 1)
            step = cols * col
        case "apart":  # Neither stride is 1.
            row, col = up(3 * cols + 2), 3
            step = rows * row
        case "backwards":
            row, col = -up(cols), -1
            step = -rows * row
            at += (rows - 1) * -row + cols - 1
        case "upside down":
            row, col = -up(cols + 1), 1
            step = -rows * row
            at += (rows - 1) * -row
        case _:
            raise AssertionError(order)
    places = _indices(MatrixLayout(at, step, row, col), values.shape)
    flat = np.full(up(int(places.max()) + 1), filler, values.dtype)
    flat[places] = values
    return Placed(_even(flat, filler), MatrixLayout(at, step, row, col))


@dataclass(frozen=True)
class PlacedProduct:
    """c = finish(a @ b + c) for matrices drawn from `seed`, how all that lies, and how it is computed.

    `vec4`: vectorized loads and stores where possible; all sizes that this requires are multiples of 4.
    `limits`: of the device, in place of its own.
    """

    kernel: KernelConfig
    m: int
    k: int
    n: int
    seed: int = 0
    products: int = 1
    split_k: int = 1
    transposed: bool = False
    vec4: bool = False
    a_order: str = "rows"
    b_order: str = "rows"
    c_order: str = "rows"
    start: int = 0
    add: bool = False
    bias: bool = False
    activation: str = ""
    stored: Dtype = F32
    result: Dtype = F32
    limits: dict[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        plan = self.plan()
        details = [f"{self.split_k} parts"] * (self.split_k > 1) + ["transposed"] * self.transposed
        details += ["added"] * self.add + [f"{name} {limit}" for name, limit in self.limits.items()]
        return f"matmul {', '.join([self.kernel.name, f'{plan.problem} {plan.problem.signature}', *details])}"

    def operands(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """a, b, bias, and c before."""
        rng = np.random.default_rng(self.seed)

        def drawn(dtype: Dtype, *shape: int) -> np.ndarray:
            return (rng.random(shape) * 2 - 1).astype(dtype.numpy)

        a = drawn(self.stored, self.products, self.m, self.k)
        b = drawn(self.stored, self.products, self.k, self.n)
        c = drawn(self.result, self.products, self.m, self.n)
        return a, b, drawn(self.stored, self.n), c if self.add else np.full_like(c, AROUND)

    def placed(self) -> tuple[Placed, Placed, np.ndarray, Placed]:
        """a, b, bias and c as they lie in memory. What no kernel may take into account is not a number."""
        a, b, bias, c = self.operands()
        whole = 4 if self.vec4 else 1
        return (
            place(a, self.a_order, whole=whole, start=self.start),
            place(b, self.b_order, whole=whole, start=self.start),
            _even(bias, np.nan),
            place(c, self.c_order, whole=whole, start=self.start, filler=AROUND),
        )

    def plan(self) -> GemmPlan:
        a, b, _, c = self.placed()
        signature = Signature(
            a_along_k=a.layout.col_stride == 1,
            b_along_k=b.layout.col_stride != 1,
            a_vec4=self.vec4 and a.layout.vec4_aligned(self.m, self.k),
            b_vec4=self.vec4 and b.layout.vec4_aligned(self.k, self.n),
            c_vec4=self.vec4 and c.layout.vec4_aligned(self.m, self.n),
            stored=self.stored,
            result=self.result,
            bias=self.bias,
            activation=self.activation,
        )
        problem = GemmProblem(self.m, self.k, self.n, self.products, signature)
        return GemmPlan(problem, self.kernel, self.split_k, transposed=self.transposed)

    def compute(self, device: Device, launch: Callable[..., None]) -> np.ndarray:
        """c, (products, m, n), and behind it what lies around c in memory."""
        a, b, bias, c = self.placed()
        held = [device.upload(each) for each in (a.flat, b.flat, c.flat)]
        operands = Operands(*held, a.layout, b.layout, c.layout, device.upload(bias) if self.bias else None)
        with limited(device, self.limits):
            for request in dispatches(device, self.plan(), operands, accumulate=self.add):
                launch(device, **request._asdict())
        flat = np.empty_like(c.flat)
        device.read(operands.c, flat)
        shape = (self.products, self.m, self.n)
        return np.concatenate([c.find(flat, shape).ravel(), flat[self._around(c)]])

    def expected(self) -> Expected:
        """Of `compute`: float64, and the largest error that rounding allows."""
        a, b, bias, before = (each.astype(np.float64) for each in self.operands())
        each = [oracle.matmul(x, y, dtype=F32) for x, y in zip(a, b, strict=True)]
        reference, bound = (np.stack([pair[i] for pair in each]) for i in (0, 1))
        size = np.abs(a) @ np.abs(b)
        if self.add:
            reference, size = reference + before, size + np.abs(before)
        if self.bias:
            reference, size = reference + bias, size + np.abs(bias)
        # Two more roundings, and those of what is stored: once in f16, which is never stored in parts.
        bound = bound + 2 * F32.eps * size
        reference, bound = oracle.finished(reference, bound, activation=self.activation)
        if self.result is F16:
            bound = bound + oracle.rounding(size, ulps=0.5, dtype=F16)
        around = np.full(int(self._around(self.placed()[3]).sum()), AROUND)
        return Expected(
            np.concatenate([reference.ravel(), around]),
            np.concatenate([bound.ravel(), np.full_like(around, 1e-30)]),
        )

    def _around(self, c: Placed) -> np.ndarray:
        around = np.ones(c.flat.size, bool)
        around[_indices(c.layout, (self.products, self.m, self.n))] = False
        return around


Form = tuple[KernelConfig, bool, str, str, bool, str]
"""A kernel, vec4 loads, the orders of a and b, a bias, and an activation: what decides about its texts."""


def forms(kernels: Sequence[KernelConfig]) -> list[Form]:
    """All forms of these kernels."""
    return list(product(kernels, (False, True), ORDERS, ORDERS, (False, True), ("", "relu")))


@st.composite
def placed_products(draw: st.DrawFn, forms: Sequence[Form]) -> PlacedProduct:
    """A product of any size in one of the forms."""
    kernel, vec4, a_order, b_order, bias, activation = draw(st.sampled_from(forms))
    m, k, n = (draw(st.integers(1, limit)) * (4 if vec4 else 1) for limit in (20, 30, 40))
    return PlacedProduct(
        kernel,
        m,
        k,
        n,
        seed=draw(st.integers(0, 2**32 - 1)),
        products=draw(st.integers(1, 3)),
        split_k=draw(st.integers(1, 4)),
        vec4=vec4,
        a_order=a_order,
        b_order=b_order,
        c_order=draw(st.sampled_from(["rows", "upside down"])),
        start=draw(st.integers(0, 9)),
        add=draw(st.booleans()),
        bias=bias,
        activation=activation,
        limits={"groups": 3, "loop_steps": kernel.loops(40)} if draw(st.booleans()) else {},
    )


def assert_right(device: Device, product: PlacedProduct) -> None:
    """The product is within the bound of its rounding."""
    assert product.expected().error(product.compute(device, launch)) <= 1, product


@contextmanager
def limited(device: Device, limits: dict[str, int]) -> Iterator[None]:
    """The device with these limits in place of its own."""
    own = device.limits
    device.limits = replace(own, **limits)
    try:
        yield
    finally:
        device.limits = own


def _indices(where: MatrixLayout, shape: tuple[int, ...]) -> np.ndarray:
    p, i, j = np.indices(shape, sparse=True)
    return where.offset + p * where.batch_stride + i * where.row_stride + j * where.col_stride


def _even(flat: np.ndarray, filler: float) -> np.ndarray:
    """Whole vectors of four."""
    return np.concatenate([flat, np.full(-flat.size % 4, filler, flat.dtype)])
