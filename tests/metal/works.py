"""Something to compute with every kernel: what, on which device, and what must come of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import pytest

import rusty_py as rp
from rusty_py import Device, array, oracle
from rusty_py.adapter import Limits
from rusty_py.dtypes import BOOL, ELEMENTS, F16, F32, I32, U32, Dtype
from rusty_py.gemm import plan, variants
from rusty_py.gemm.blocked import SUM_DEPTH
from rusty_py.gemm.launches import Operands, requests
from rusty_py.gemm.plan import Plan
from rusty_py.gemm.problem import Form, Place, Problem
from rusty_py.gemm.simple import TILES
from rusty_py.kernel import Spec
from rusty_py.measure import kernels
from rusty_py.operation import OPERATIONS, apply
from rusty_py.ops import elementwise, reduce
from rusty_py.ops.matmul import matmul
from rusty_py.ops.table import BINARY, UNARY, Row
from rusty_py.probe import SUBGROUP_SIZE

from ..ops.expected import Expected, of_operation
from ..ops.operands import LAYOUTS, values
from .execution import POISON
from .family_works import direct_products, thin_products

KINDS = list(ELEMENTS.values())
_SMALL = {"rows": LAYOUTS["rows"], "any layout": LAYOUTS["every other"]}
"""One layout for the kernels along one axis, one for the strided ones."""


@dataclass(frozen=True)
class Work:
    """`compute` launches kernels on a device and returns what they gave, `expected` what they should."""

    name: str
    compute: Callable[[Device, "Launch"], np.ndarray]
    expected: Callable[[], Expected]


Launch = Callable[..., None]
"""`kernel.launch`, for kernels that no operation launches."""


def works() -> list[Work]:
    """Enough for each kernel to be launched."""
    return [
        *_binary(),
        *_with_numbers(),
        *_unary(),
        *_casts(),
        *_where(),
        *_sums(),
        *_creation(),
        *_products(),
        *_planned_products(),
        *_packed(),
        *(Work(each.name, each.compute, each.expected) for each in (*direct_products(), *thin_products())),
        *_measuring(),
    ]


def _binary() -> Iterator[Work]:
    for row, kind in _rows():
        a, b = _operands(row, kind)
        for layout, view in _SMALL.items():
            yield Work(
                f"{row.name} {kind.name}, {layout}",
                lambda device, _, row=row, a=a, b=b, view=view: elementwise.binary(
                    row.name, view(array(a, device=device)), view(array(b, device=device))
                ).numpy(),
                lambda row=row, a=a, b=b, view=view: of_operation(row, view(a), view(b)),
            )


def _with_numbers() -> Iterator[Work]:
    for row, kind in _rows():
        a, _ = _operands(row, kind)
        number = {"f": 2.75, "i": 3, "u": 3, "b": True}[kind.kind]
        alone = np.array(number, kind.numpy)
        if row.name == "power" and kind.kind == "f":
            a = np.abs(a)
        for reflected in {False, not row.mirror}:
            for layout, view in _SMALL.items():
                side = "before" if reflected else "after"
                yield Work(
                    f"{row.name} {kind.name}, a number {side}, {layout}",
                    lambda device, _, row=row, a=a, number=number, view=view, reflected=reflected: (
                        elementwise.binary(
                            row.name, view(array(a, device=device)), number, reflected=reflected
                        ).numpy()
                    ),
                    lambda row=row, a=a, alone=alone, view=view, reflected=reflected: of_operation(
                        row, *((alone, view(a)) if reflected else (view(a), alone))
                    ),
                )


def _unary() -> Iterator[Work]:
    for row in UNARY.values():
        for kind in KINDS:
            if kind.kind not in row.kinds:
                continue
            a = values(kind, 6, 10)
            for layout, view in _SMALL.items():
                yield Work(
                    f"{row.name} {kind.name}, {layout}",
                    lambda device, _, row=row, a=a, view=view: apply(
                        OPERATIONS[row.name], view(array(a, device=device))
                    ).numpy(),
                    lambda row=row, a=a, view=view: Expected(np.asarray(row.oracle(view(a))), None),
                )


def _casts() -> Iterator[Work]:
    for source in KINDS:
        for target in KINDS:
            a = values(source, 6, 10)
            if source.kind == "f" and target is U32:
                a = np.abs(a)
            if target is F16 and source.kind in "iu":
                a = (a % 2000).astype(source.numpy)
            for layout, view in _SMALL.items():
                yield Work(
                    f"{source.name} to {target.name}, {layout}",
                    lambda device, _, a=a, target=target, view=view: (
                        view(array(a, device=device)).astype(target).numpy()
                    ),
                    lambda a=a, target=target, view=view: _cast(view(a), target),
                )


def _cast(a: np.ndarray, target: Dtype) -> Expected:
    if target.kind != "f" or a.dtype.kind == "b":
        return Expected(a.astype(target.numpy), None)
    reference = a.astype(np.float64)
    return Expected(reference, oracle.rounding(reference, ulps=1.0, dtype=target))


def _where() -> Iterator[Work]:
    for kind in (F32, F16):
        mask, a, b = values(BOOL, 6, 10), values(kind, 6, 10, seed=1), values(kind, 6, 10, seed=2)
        for layout, view in _SMALL.items():
            yield Work(
                f"where {kind.name}, {layout}",
                lambda device, _, given=(mask, a, b), view=view: rp.where(
                    *(view(array(each, device=device)) for each in given)
                ).numpy(),
                lambda given=(mask, a, b), view=view: Expected(np.where(*map(view, given)), None),
            )


def _sums() -> Iterator[Work]:
    for kind in KINDS:
        for shape, axis in [((301,), None), ((5, 67), 0), ((5, 67), 1), ((3, 7, 5), (0, 2))]:
            a = values(kind, *shape)
            yield Work(
                f"sum {kind.name} of {shape} over {axis}",
                lambda device, _, a=a, axis=axis: rp.sum(array(a, device=device), axis=axis).numpy(),
                lambda a=a, axis=axis, kind=kind: _sum(a, axis, kind),
            )
    a = values(F16, 301)
    yield Work(
        "mean f16",
        lambda device, _, a=a: rp.mean(array(a, device=device)).numpy(),
        lambda a=a: _mean(a),
    )


def _sum(a: np.ndarray, axis: Any, kind: Dtype) -> Expected:
    if kind.kind == "f":
        count = a.size // np.sum(a, axis=axis).size
        return Expected(*oracle.sum(a, axis=axis, depth=reduce.depth(count), dtype=kind))
    target = np.int32 if kind.kind == "b" else kind.numpy
    return Expected(np.asarray(a.sum(axis=axis, dtype=target)), None)


def _mean(a: np.ndarray) -> Expected:
    total, bound = oracle.sum(a, axis=None, depth=reduce.depth(a.size), dtype=F32)
    mean = total / a.size
    # The quotient, and the result in f16.
    roundings = oracle.rounding(mean, ulps=2.5, dtype=F32) + oracle.rounding(mean, ulps=0.5, dtype=F16)
    return Expected(mean, bound / a.size + roundings)


def _creation() -> Iterator[Work]:
    for kind in KINDS:
        value = {"f": -1.25, "i": -7, "u": 2**32 - 1, "b": True}[kind.kind]
        yield Work(
            f"full {kind.name}",
            lambda device, _, kind=kind, value=value: rp.full(301, value, dtype=kind, device=device).numpy(),
            lambda kind=kind, value=value: Expected(np.full(301, value, kind.numpy), None),
        )
    for kind in (F32, F16, I32, U32):
        yield Work(
            f"arange {kind.name}",
            lambda device, _, kind=kind: rp.arange(3, 906, 3, dtype=kind, device=device).numpy(),
            lambda kind=kind: Expected(np.arange(3, 906, 3).astype(kind.numpy), None),
        )


def _products() -> Iterator[Work]:
    for tile in ("naive", *TILES):
        for m, k, n in [(1, 1, 1), (13, 17, 11), (33, 31, 35)]:
            a, b = _uniform(m, k, seed=1), _uniform(k, n, seed=2)
            yield Work(
                f"matmul {tile}, {m}x{k}x{n}",
                lambda device, _, a=a, b=b, tile=tile: matmul(array(a, device=device), b, tile=tile).numpy(),
                lambda a=a, b=b: Expected(*oracle.matmul(a, b, dtype=F32)),
            )
        yield Work(
            f"matmul {tile}, a batch in three launches each",
            lambda device, _, tile=tile: _split_batch(device, tile),
            _batch_expected,
        )


def _batch() -> tuple[np.ndarray, np.ndarray]:
    return _uniform(2, 9, 80, seed=3), _uniform(2, 80, 10, seed=4)


def _planned_products() -> Iterator[Work]:
    """Each kernel that is chosen for GPUs in the forms of `variants`, its sums as a whole and in parts."""
    for kernel, form in variants.blocked():
        rows, cols = kernel.block
        # Over the edge of one workgroup. What lies one by one has odd sizes.
        m, k, n = (rows + 4, 20, cols + 4) if form.c_fours else (rows + 3, 19, cols + 1)
        problem = Problem(m, k, n, form=form)
        yield _planned(Plan(problem, kernel), "")
        yield _planned(Plan(problem, kernel, 2), "in two parts")
    for kernel in plan.BLOCKED:
        whole = Problem(2 * kernel.block_m, 48, kernel.block_n, products=2)
        yield _planned(Plan(whole, kernel), "a batch at once")
        yield _planned(Plan(Problem(kernel.block_m - 4, 20, kernel.block_n - 4), kernel), "less than a block")
        yield _planned(Plan(whole, kernel), "a batch in two launches", loop_steps=kernel.loops(48) - 1)


def _packed() -> Iterator[Work]:
    """What is copied for the kernels of `_planned_products`, alone; then a product of two such copies."""
    kernel = variants.SMALLEST
    for kind, along_k in product((F32, F16), (True, False)):
        x = _uniform(2, 37, 41, seed=10).astype(kind.numpy)

        def compute(
            device: Device, launch: Launch, x: np.ndarray = x, kind: Dtype = kind, along_k: bool = along_k
        ) -> np.ndarray:
            form = Form(along_k, a_fours=False, c_fours=False, stored=kind, result=kind)
            held = device.upload(np.ascontiguousarray(x if along_k else x.swapaxes(1, 2)))
            place = Place(0, 37 * 41, 41, 1) if along_k else Place(0, 37 * 41, 1, 37)
            operands = Operands(held, held, held, place, Place(0, 0, 5, 1), Place(0, 37 * 5, 5, 1))
            packing = next(requests(device, Plan(Problem(37, 41, 5, 2, form), kernel, packs="a"), operands))
            launch(device, **packing._asdict())
            copied = np.empty((2, 41, 40), kind.numpy)
            device.read(packing.outputs[0], copied)
            return copied[:, :, :37]

        def expected(x: np.ndarray = x) -> Expected:
            return Expected(x.swapaxes(1, 2), None)

        yield Work(f"pack {kind.name} {'along k' if along_k else 'across'}", compute, expected)
    rows, cols = kernel.block
    unpacked = Form(b_along_k=True, a_fours=False, b_fours=False)
    yield _planned(Plan(Problem(rows + 4, 19, cols + 4, form=unpacked), kernel, packs="ab"), "both packed")
    for result, more, a_along_k in product((F16, F32), (3, 4), (True, False)):
        fours = more == 4
        form = Form(a_along_k, not a_along_k, fours, fours, fours, stored=F16, result=result, sums=F16)
        for splits in (1, 2):
            problem = Problem(rows + more, 2 * kernel.block_k + more, cols + more, form=form)
            yield _planned(Plan(problem, kernel, splits, packs="ab"), f"in pairs, in {splits} parts")
    fastest = variants.FASTEST_IN_PAIRS
    rows, cols = fastest.block
    large = Problem(rows + 4, 44, cols + 4, form=Form(stored=F16, result=F16, sums=F16))
    yield _planned(Plan(large, fastest, packs="ab"), "in pairs")


def _planned(chosen: Plan, name: str, *, loop_steps: int = 1 << 30) -> Work:
    """One plan, carried out and compared: beside `bias` and the activation, it adds to what c holds."""
    problem, form = chosen.problem, chosen.problem.form
    m, k, n, products = problem.m, problem.k, problem.n, problem.products
    a, b, c, bias = (
        _uniform(*shape, seed=seed).astype(form.stored.numpy)
        for seed, shape in enumerate([(products, m, k), (products, k, n), (products, m, n), (n,)], 6)
    )

    def compute(device: Device, launch: Launch) -> np.ndarray:
        held = device.upload(np.ascontiguousarray(a if form.a_along_k else a.swapaxes(1, 2)))
        other = device.upload(np.ascontiguousarray(b.swapaxes(1, 2) if form.b_along_k else b))
        out = device.upload(c.astype(form.result.numpy))
        operands = Operands(
            held,
            other,
            out,
            Place(0, m * k, k, 1) if form.a_along_k else Place(0, m * k, 1, m),
            Place(0, k * n, 1, k) if form.b_along_k else Place(0, k * n, n, 1),
            Place(0, m * n, n, 1),
            device.upload(bias) if form.bias else None,
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(device, "limits", replace(device.limits, loop_steps=loop_steps))
            for request in requests(device, chosen, operands, accumulate=True):
                launch(device, **request._asdict())
        result = np.empty((products, m, n), form.result.numpy)
        device.read(out, result)
        return result

    def expected() -> Expected:
        reference, bound = np.empty((2, products, m, n))
        for i in range(products):
            reference[i], bound[i] = (
                oracle.matmul_of_f16_sums(a[i], b[i], depth=SUM_DEPTH)
                if form.sums is F16
                else oracle.matmul(a[i], b[i], dtype=F32)
            )
        terms = [c.astype(form.result.numpy), *[bias] * form.bias]
        reference, bound = oracle.finished(reference, bound, terms=terms, activation=form.activation)
        if form.result is F16:
            bound = bound + oracle.rounding(np.abs(reference) + bound, ulps=0.5, dtype=F16)
        return Expected(reference, bound)

    title = ", ".join(filter(None, [f"matmul {chosen.kernel.name}", str(problem), str(form), name]))
    return Work(title, compute, expected)


def _products_of(a: np.ndarray, b: np.ndarray) -> Expected:
    each = [oracle.matmul(x, y, dtype=F32) for x, y in zip(a, b, strict=True)]
    return Expected(np.stack([reference for reference, _ in each]), np.stack([bound for _, bound in each]))


def _batch_expected() -> Expected:
    return _products_of(*_batch())


def _split_batch(device: Device, tile: int | str) -> np.ndarray:
    """Along k, as on a driver whose loops are short: the later launches add to what the first ones left."""
    limits = device.limits
    device.limits = Limits(**(vars(limits) | {"loop_steps": 40}))
    try:
        a, b = _batch()
        return matmul(array(a, device=device), array(b, device=device), tile=tile).numpy()
    finally:
        device.limits = limits


def _measuring() -> Iterator[Work]:
    """The kernels that only measure: no operation launches them."""
    rng = np.random.default_rng(5)
    source = rng.standard_normal((37, 4), np.float32)
    x = rng.standard_normal(301, np.float32)
    seeds = rng.integers(0, 1 << 32, 301, np.uint32)
    yield Work(
        "fill",
        lambda device, launch: _launched(device, launch, kernels.FILL, [], 301, (301, 7, 512), 2),
        lambda: Expected(np.full(301, 7, np.uint32), None),
    )
    yield Work(
        "copy",
        lambda device, launch: _launched(
            device, launch, kernels.COPY, [source], 37 * 4, (37, 3, 256, 5), 1
        ).view(np.float32),
        lambda: Expected(np.roll(source, -2 * 5, axis=0).ravel(), None),  # The third pass.
    )
    yield Work(
        "scale",
        lambda device, launch: _launched(device, launch, kernels.DOUBLE, [x], 301, (), 2).view(np.float32),
        lambda: Expected(2 * x, None),
    )
    yield Work(
        "churn",
        lambda device, launch: _launched(device, launch, kernels.CHURN, [seeds], 301, (5,), 2),
        lambda: Expected(_churned(seeds, 5), None),
    )
    # Chains of x -> shift - x come back to where they began after an even number of steps; and in the first
    # thread these begin where the sum is the number that lets a thread write. Of other workgroups, too.
    chains = np.array([-1.0, (12345.678 - 112) / 32], np.float32)
    written = np.full(256, np.frombuffer(bytes([POISON] * 4), np.uint32)[0])
    written[0] = np.float32(12345.678).view(np.uint32)
    yield Work(
        "fma",
        lambda device, launch: _launched(device, launch, kernels.FMA, [chains], 256, (9,), 1),
        lambda: Expected(written, None),
    )
    yield Work(
        "subgroup size",
        lambda device, launch: _launched(device, launch, SUBGROUP_SIZE, [], 1, (), 1),
        lambda: Expected(np.array([16], np.uint32), None),
    )


def _launched(
    device: Device,
    launch: Launch,
    spec: Spec,
    inputs: list[np.ndarray],
    count: int,
    dims: tuple[int, ...],
    groups: int,
) -> np.ndarray:
    """The words that a kernel wrote."""
    out = device.empty(4 * count)
    held = [device.upload(each) for each in inputs]
    launch(device, spec, inputs=held, outputs=[out], dims=dims, workgroups=(groups, 1, 1))
    words = np.empty(count, np.uint32)
    device.read(out, words)
    return words


def _churned(seeds: np.ndarray, steps: int) -> np.ndarray:
    state = seeds.astype(np.uint64)
    for _ in range(steps):
        state = (1664525 * state + 1013904223) % 2**32
    return state.astype(np.uint32)


def _rows() -> Iterator[tuple[Row, Dtype]]:
    for row in BINARY.values():
        yield from ((row, kind) for kind in KINDS if kind.kind in row.kinds)


def _operands(row: Row, kind: Dtype) -> tuple[np.ndarray, np.ndarray]:
    a, b = values(kind, 6, 10, seed=1), values(kind, 6, 10, seed=2)
    if row.name == "power" and kind.kind == "f":
        b = np.where(a < 0, np.rint(b), b).astype(kind.numpy)  # A negative base has whole powers only.
    else:
        b[1] = a[1]  # Some are equal.
    return a, b


def _uniform(*shape: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, np.float32) * 2 - 1
