"""Something to compute with every kernel: what, on which device, and what must come of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np
import pytest

import rusty_py as rp
from rusty_py import Device, array, dtypes, oracle
from rusty_py.dtypes import BOOL, ELEMENTS, F16, F32, I32, U32, Dtype
from rusty_py.gemm import blocked_family
from rusty_py.gemm.blocked import SUM_DEPTH
from rusty_py.gemm.dispatch import Operands, dispatches
from rusty_py.gemm.plan import GemmPlan
from rusty_py.gemm.problem import GemmProblem, MatrixLayout, Signature
from rusty_py.gemm.simple import TILES
from rusty_py.measure import kernels
from rusty_py.operation import OPERATIONS, Operation, apply
from rusty_py.ops import generator, rowwise_kernels
from rusty_py.ops.all import ROWS, elementwise
from rusty_py.ops.generator import Body, Skeleton
from rusty_py.ops.matmul import matmul
from rusty_py.ops.rowwise import launches
from rusty_py.ops.rowwise.tiles import Machine
from rusty_py.oracle import Expected
from rusty_py.runtime.adapter import Limits
from rusty_py.runtime.launch import Spec
from rusty_py.runtime.probe import SUBGROUP_SIZE
from rusty_py.samples import KINDS, Sample, values

from .compound_works import compound_products
from .conv_works import conv_works
from .execution import POISON
from .family_works import direct_products, register_tiled_products, thin_products
from .index_works import index_works
from .order_works import order_works
from .pool_works import pool_works
from .reduce_works import reductions


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
        *_operations(),
        *_skeletons(),
        *(Work(*each) for each in reductions()),
        *(Work(*each) for each in order_works()),
        *(Work(*each) for each in conv_works()),
        *_rows(),
        *_transposed(),
        *_creation(),
        *_products(),
        *_planned_products(),
        *_packed(),
        *(
            Work(each.name, each.compute, each.expected)
            for each in (
                *direct_products(),
                *register_tiled_products(),
                *thin_products(),
                *compound_products(),
                *index_works(),
                *pool_works(),
            )
        ),
        *_measuring(),
    ]


def _operations() -> Iterator[Work]:
    """Every operation on the samples of its record, in rows; products have works of their own."""
    for operation in OPERATIONS.values():
        if operation.name == "matmul":
            continue
        for sample in operation.samples():

            def compute(
                device: Device, _: Launch, operation: Operation = operation, sample: Sample = sample
            ) -> np.ndarray:
                given = [array(each, device=device) for each in sample.operands]
                return apply(operation, *given, **sample.options).numpy()

            assert operation.expected is not None
            yield Work(sample.name, compute, partial(operation.expected, sample))


def _skeletons() -> Iterator[Work]:
    """What the elementwise generator makes, in each skeleton, launched alone."""
    for body, skeleton in elementwise.covering():
        if skeleton.index != "flat" or set(skeleton.access) != {"vec4"} or skeleton.width == 8:
            yield Work(f"{body.name}, {skeleton.index}, {skeleton}", *_in_skeleton(body, skeleton))
    x = values(U32, 3, 5)

    def assigned(device: Device, _: Launch) -> np.ndarray:
        around = rp.full((9, 20), 7, dtype="u32", device=device)
        around[1::3, ::4].assign(array(x, device=device))
        return around.numpy()

    expected = np.full((9, 20), 7, np.uint32)
    expected[1::3, ::4] = x
    yield Work("assigned to a part", assigned, lambda: Expected(expected, None))

    def padded(device: Device, _: Launch) -> np.ndarray:
        return rp.pad(array(x, device=device), ((2, 1), (0, 7)), constant_values=7).numpy()

    yield Work(
        "padded with a number", padded, lambda: Expected(np.pad(x, ((2, 1), (0, 7)), constant_values=7), None)
    )


_BOXES = {"flat": (23,), "grid": (3, 5, 8), "general": (3, 2, 5, 8), "of up to 8 axes": (2, 1, 2, 3, 2, 8)}


def _in_skeleton(
    body: Body, skeleton: Skeleton
) -> tuple[Callable[[Device, Launch], np.ndarray], Callable[[], Expected]]:
    shape = _BOXES["of up to 8 axes" if skeleton.wide_axes else skeleton.index]
    name, _, last = body.name.rpartition(" ")
    kinds = [ELEMENTS[last]] * len(body.types)
    if name == "where":
        kinds[0] = BOOL
    operands = [
        _operand(values(kind, *shape, seed=i), kind, access)
        for i, (kind, access) in enumerate(zip(kinds, skeleton.access, strict=True))
    ]
    arrays = [each for each in operands if each.held is not None]
    rows = _strides(np.empty(shape, np.int8))
    uniforms = generator.uniforms(
        skeleton,
        shape,
        [*(each.start for each in arrays), 0],
        [*(each.strides for each in arrays), rows],
        [each.word for each in operands if each.held is None],
        operation=name,
    )

    def compute(device: Device, launch: Launch) -> np.ndarray:
        out = np.empty(
            shape, {"f32": np.float32, "f16": np.float16, "i32": np.int32}.get(body.result, np.uint32)
        )
        buffer = device.empty(out.nbytes)
        groups = (1, 2, 3) if skeleton.index == "grid" else (1, 1, 1)
        inputs = [device.upload(each.held) for each in arrays]
        spec = generator.spec(body, skeleton)
        launch(device, spec, inputs=inputs, outputs=[buffer], uniforms=uniforms, workgroups=groups)
        device.read(buffer, out)
        return out

    def expected() -> Expected:
        seen = [each.seen for each in operands]
        if name == "copy":
            return Expected(seen[0], None)
        if name == "where":
            return Expected(np.where(*seen), None)
        return ROWS[name].expected(Sample(name, tuple(seen)))

    return compute, expected


class _Operand(NamedTuple):
    """What a kernel sees of an operand, and how: an array that is `held`, or a number's word."""

    seen: np.ndarray
    held: np.ndarray | None
    start: int = 0
    strides: tuple[int, ...] = ()
    word: int = 0


def _operand(x: np.ndarray, kind: Dtype, access: str) -> _Operand:
    held = x.astype(kind.stored)
    if access == "number":
        number = x.flat[0].item()
        word = dtypes.scalar_word(number, kind, operation="number")
        return _Operand(np.full(x.shape, x.flat[0]), None, word=word)
    rows = _strides(x)
    if access == "one":
        return _Operand(np.broadcast_to(x[..., :1], x.shape), held, strides=(*rows[:-1], 0))
    if access == "scalar":  # Backwards.
        backwards = tuple(-each for each in rows)
        return _Operand(x.reshape(-1)[::-1].reshape(x.shape), held, x.size - 1, backwards)
    return _Operand(x, held, strides=rows)


def _strides(x: np.ndarray) -> tuple[int, ...]:
    return tuple(each // x.itemsize for each in x.strides)


def _rows() -> Iterator[Work]:
    """Row operations on tiles for other machines, and for rows that no record has."""
    for name, sample, machine in rowwise_kernels.cases():
        if machine is rowwise_kernels.GPU and sample.name.startswith(f"{name} f"):
            continue  # One of `_operations`.

        def compute(
            device: Device, _: Launch, name: str = name, sample: Sample = sample, machine: Machine = machine
        ) -> np.ndarray:
            device.cache.forget_plans()
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(launches, "machine_of", lambda _: machine)
                given = [array(each, device=device) for each in sample.operands]
                result = apply(OPERATIONS[name], *given, **sample.options).numpy()
            device.cache.forget_plans()
            return result

        expected = OPERATIONS[name].expected
        assert expected is not None
        yield Work(f"{sample.name} on {machine}", compute, partial(expected, sample))


def _transposed() -> Iterator[Work]:
    """Batches of copies by tiles, of which either side can be accessed as vec4 or not."""
    for kind, rows, cols in product((F32, F16), (68, 67), (132, 131)):
        x = values(kind, 2, rows, cols)
        yield Work(
            f"transpose {kind.name} of {rows} by {cols}",
            lambda device, _, x=x: array(x, device=device).mT.copy().numpy(),
            lambda x=x: Expected(x.swapaxes(1, 2), None),
        )


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
    for kind in (F32, F16):
        yield Work(
            f"linspace {kind.name}",
            lambda device, _, kind=kind: rp.linspace(-2, 298, 301, dtype=kind, device=device).numpy(),
            lambda kind=kind: Expected(np.linspace(-2, 298, 301, dtype=kind.numpy), None),
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
    for kernel, signature in blocked_family.blocked():
        rows, cols = kernel.block
        # Over the edge of one workgroup. What lies one by one has odd sizes.
        m, k, n = (rows + 4, 20, cols + 4) if signature.c_vec4 else (rows + 3, 19, cols + 1)
        problem = GemmProblem(m, k, n, signature=signature)
        yield _planned(GemmPlan(problem, kernel), "")
        yield _planned(GemmPlan(problem, kernel, 2), "in two parts")
    for kernel, less in blocked_family.without_edges():
        if less:
            problem = GemmProblem(kernel.block_m - 4, 20, kernel.block_n - 4)
            yield _planned(GemmPlan(problem, kernel), "less than a block")
        else:
            whole = GemmProblem(2 * kernel.block_m, 48, kernel.block_n, products=2)
            yield _planned(GemmPlan(whole, kernel), "a batch at once")
            yield _planned(
                GemmPlan(whole, kernel), "a batch in two launches", loop_steps=kernel.loops(48) - 1
            )


def _packed() -> Iterator[Work]:
    """What is copied for the kernels of `_planned_products`, alone; then a product of two such copies."""
    kernel = blocked_family.SMALLEST
    for kind, along_k in product((F32, F16), (True, False)):
        x = _uniform(2, 37, 41, seed=10).astype(kind.numpy)

        def compute(
            device: Device, launch: Launch, x: np.ndarray = x, kind: Dtype = kind, along_k: bool = along_k
        ) -> np.ndarray:
            signature = Signature(along_k, a_vec4=False, c_vec4=False, stored=kind, result=kind)
            held = device.upload(np.ascontiguousarray(x if along_k else x.swapaxes(1, 2)))
            layout = MatrixLayout(0, 37 * 41, 41, 1) if along_k else MatrixLayout(0, 37 * 41, 1, 37)
            operands = Operands(
                held, held, held, layout, MatrixLayout(0, 0, 5, 1), MatrixLayout(0, 37 * 5, 5, 1)
            )
            packing = next(
                dispatches(
                    device, GemmPlan(GemmProblem(37, 41, 5, 2, signature), kernel, packs="a"), operands
                )
            )
            launch(device, **packing._asdict())
            copied = np.empty((2, 41, 40), kind.numpy)
            device.read(packing.outputs[0], copied)
            return copied[:, :, :37]

        def expected(x: np.ndarray = x) -> Expected:
            return Expected(x.swapaxes(1, 2), None)

        yield Work(f"pack {kind.name} {'along k' if along_k else 'across'}", compute, expected)
    rows, cols = kernel.block
    unpacked = Signature(b_along_k=True, a_vec4=False, b_vec4=False)
    yield _planned(
        GemmPlan(GemmProblem(rows + 4, 19, cols + 4, signature=unpacked), kernel, packs="ab"), "both packed"
    )
    for result, more, a_along_k in product((F16, F32), (3, 4), (True, False)):
        vec4 = more == 4
        signature = Signature(
            a_along_k, not a_along_k, vec4, vec4, vec4, stored=F16, result=result, accumulate_dtype=F16
        )
        for split_k in (1, 2):
            problem = GemmProblem(rows + more, 2 * kernel.block_k + more, cols + more, signature=signature)
            yield _planned(GemmPlan(problem, kernel, split_k, packs="ab"), f"half2, split-K {split_k}")
    fastest = blocked_family.FASTEST_HALF2
    rows, cols = fastest.block
    large = GemmProblem(
        rows + 4, 44, cols + 4, signature=Signature(stored=F16, result=F16, accumulate_dtype=F16)
    )
    yield _planned(GemmPlan(large, fastest, packs="ab"), "half2")


def _planned(chosen: GemmPlan, name: str, *, loop_steps: int = 1 << 30) -> Work:
    """One plan, carried out and compared: beside `bias` and the activation, it adds to what c holds."""
    problem, signature = chosen.problem, chosen.problem.signature
    m, k, n, products = problem.m, problem.k, problem.n, problem.products
    a, b, c, bias = (
        _uniform(*shape, seed=seed).astype(signature.stored.numpy)
        for seed, shape in enumerate([(products, m, k), (products, k, n), (products, m, n), (n,)], 6)
    )

    def compute(device: Device, launch: Launch) -> np.ndarray:
        held = device.upload(np.ascontiguousarray(a if signature.a_along_k else a.swapaxes(1, 2)))
        other = device.upload(np.ascontiguousarray(b.swapaxes(1, 2) if signature.b_along_k else b))
        out = device.upload(c.astype(signature.result.numpy))
        operands = Operands(
            held,
            other,
            out,
            MatrixLayout(0, m * k, k, 1) if signature.a_along_k else MatrixLayout(0, m * k, 1, m),
            MatrixLayout(0, k * n, 1, k) if signature.b_along_k else MatrixLayout(0, k * n, n, 1),
            MatrixLayout(0, m * n, n, 1),
            device.upload(bias) if signature.bias else None,
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(device, "limits", replace(device.limits, loop_steps=loop_steps))
            for request in dispatches(device, chosen, operands, accumulate=True):
                launch(device, **request._asdict())
        result = np.empty((products, m, n), signature.result.numpy)
        device.read(out, result)
        return result

    def expected() -> Expected:
        reference, bound = np.empty((2, products, m, n))
        for i in range(products):
            reference[i], bound[i] = (
                oracle.matmul_of_f16_sums(a[i], b[i], depth=SUM_DEPTH)
                if signature.accumulate_dtype is F16
                else oracle.matmul(a[i], b[i], dtype=F32)
            )
        terms = [c.astype(signature.result.numpy), *[bias] * signature.bias]
        reference, bound = oracle.finished(reference, bound, terms=terms, activation=signature.activation)
        if signature.result is F16:
            bound = bound + oracle.rounding(np.abs(reference) + bound, ulps=0.5, dtype=F16)
        return Expected(reference, bound)

    title = ", ".join(filter(None, [f"matmul {chosen.kernel.name}", str(problem), str(signature), name]))
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
    # Sums of small integers are exact. Of 2,000 elements, some threads read four at once, others one by one.
    whole = rng.integers(-8, 9, (2000, 4)).astype(np.float32)
    yield Work(
        "read",
        lambda device, launch: _launched(
            device, launch, kernels.READ, [whole], 2, (2000, 3, 512, 700), 2
        ).view(np.float32),
        lambda: Expected(_sums_of_groups(whole, passes=3, shift=700), None),
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
    uniforms: tuple[int, ...],
    groups: int,
) -> np.ndarray:
    """The words that a kernel wrote."""
    out = device.empty(4 * count)
    held = [device.upload(each) for each in inputs]
    launch(device, spec, inputs=held, outputs=[out], uniforms=uniforms, workgroups=(groups, 1, 1))
    words = np.empty(count, np.uint32)
    device.read(out, words)
    return words


def _sums_of_groups(source: np.ndarray, *, passes: int, shift: int) -> np.ndarray:
    """What each of two workgroups of 256 threads reads of `source`, added up."""
    turns = sum(np.roll(source, -shift * turn, axis=0) for turn in range(passes)).sum(axis=1)
    group = np.arange(len(source)) // 256 % 2
    return np.bincount(group, weights=turns).astype(np.float32)


def _churned(seeds: np.ndarray, steps: int) -> np.ndarray:
    state = seeds.astype(np.uint64)
    for _ in range(steps):
        state = (1664525 * state + 1013904223) % 2**32
    return state.astype(np.uint32)


def _uniform(*shape: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, np.float32) * 2 - 1
