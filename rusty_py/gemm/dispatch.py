"""From a plan to launches: which dispatches, over which part of the product, and what each is told."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from rusty_py.dtypes import F32
from rusty_py.errors import LimitError
from rusty_py.gemm.helpers import Pack, SplitKReduce
from rusty_py.gemm.large_bindings import Spans, largest, window
from rusty_py.gemm.plan import GemmPlan
from rusty_py.gemm.problem import GemmProblem, MatrixLayout, Signature
from rusty_py.runtime.adapter import Limits
from rusty_py.runtime.buffer import Buffer, BufferBinding
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec
from rusty_py.shapes import Block, ceil_div, split


@dataclass(frozen=True)
class Operands:
    """The buffers of a product, and where its matrices lie in them. c's columns are neighbours."""

    a: Buffer | BufferBinding
    b: Buffer | BufferBinding
    c: Buffer | BufferBinding
    a_place: MatrixLayout
    b_place: MatrixLayout
    c_place: MatrixLayout
    bias: Buffer | BufferBinding | None = None

    def transposed(self) -> "Operands":
        """Those of c^T = b^T a^T."""
        places = self.b_place.transposed(), self.a_place.transposed(), self.c_place.transposed()
        return Operands(self.b, self.a, self.c, *places, self.bias)


class Dispatch(NamedTuple):
    """One dispatch: what `kernel.launch` and `kernel.prepare` take."""

    spec: Spec
    inputs: list[Buffer | BufferBinding]
    outputs: list[Buffer | BufferBinding]
    uniforms: tuple[int, ...]
    workgroups: tuple[int, int, int]
    flops: int


def dispatches(
    device: Device, plan: GemmPlan, x: Operands, *, accumulate: bool = False, has_epilogue: bool = True
) -> Iterator[Dispatch]:
    """The dispatches that compute c = a @ b, or c += a @ b with `accumulate`, in order.

    More than one where a sum is split, and where a dispatch would have too many groups, take too long for one
    submission, or loop further than the driver can; or would bind more of a buffer than a binding takes.
    Without `has_epilogue`, more of the sum is to come, and bias and activation after that.
    """
    if _oversized(device, x):  # A window ends where its block does: nothing can be read beyond.
        signature = replace(plan.problem.signature, clamps=True)
        plan = replace(plan, problem=replace(plan.problem, signature=signature), packs="")
    half2 = plan.half2
    for which in plan.packs:
        request, plan, x = _pack(device, plan, x, which, half2=half2)
        yield request
    if half2:
        problem = plan.problem
        plan = replace(
            plan,
            problem=replace(
                problem, k=ceil_div(problem.k, 2), signature=replace(problem.signature, half2=True)
            ),
        )
    problem = plan.seen
    limit = _limit(device, plan, x)
    blocks = list(_blocks(device, plan, limit))
    max_flops = device.throughput.flops(plan.kernel.spec(problem))
    at_once = len(blocks) == 1 and limit.products == problem.products and problem.flops <= max_flops
    if plan.split_k > 1 and at_once and has_epilogue and _parts_fit(device.limits, plan):
        yield from _split(device, plan, x, accumulate=accumulate)
        return
    # The first block is the largest: what fits of it fits of all.
    step = max(1, min(device.limits.groups, limit.products, max_flops // blocks[0].flops))
    for first in range(0, problem.products, step):
        products = first, min(step, problem.products - first)
        for block in blocks:
            request = _request(plan, x, block, products, accumulate=accumulate, has_epilogue=has_epilogue)
            yield _windowed(device, plan, x, request, block, products)


def _oversized(device: Device, x: Operands) -> bool:
    """Whether an operand is larger than a binding."""
    return max(x.a.nbytes, x.b.nbytes, x.c.nbytes) > device.limits.binding_bytes


def _limit(device: Device, plan: GemmPlan, x: Operands) -> Spans:
    """The largest part of a product all of whose operands fit a binding each."""
    problem, max_bytes = plan.seen, device.limits.binding_bytes
    whole = Spans(problem.products, problem.m, problem.n, problem.k)
    if not _oversized(device, x):
        return whole
    x = x.transposed() if plan.transposed else x
    signature = problem.signature
    # What is stored in f16 is stored once: in parts it would be rounded as often.
    unit_k = 16 if signature.result is F32 else problem.k
    places = (x.a_place, signature.stored), (x.b_place, signature.stored), (x.c_place, signature.result)
    name = f"matmul: {plan.kernel.name}"
    try:
        return largest(whole, Spans(1, *plan.kernel.block, unit_k), places, max_bytes, operation=name)
    except LimitError:  # Less than a workgroup's block: slow, but it can be done.
        return largest(whole, Spans(1, 4, 4, unit_k), places, max_bytes, operation=name)


def _windowed(
    device: Device, plan: GemmPlan, x: Operands, request: Dispatch, block: Block, products: tuple[int, int]
) -> Dispatch:
    """The request with windows in place of the buffers that are larger than a binding."""
    if not _oversized(device, x):
        return request
    x = x.transposed() if plan.transposed else x
    max_bytes, signature = device.limits.binding_bytes, plan.problem.signature
    a, a_place = window(x.a, x.a_place, products, block[:2], block[4:], signature.stored, max_bytes)
    b, b_place = window(x.b, x.b_place, products, block[4:], block[2:4], signature.stored, max_bytes)
    c, c_place = window(x.c, x.c_place, products, block[:2], block[2:4], signature.result, max_bytes)
    first = products[0]
    inputs = [a, b, x.bias or b][: request.spec.inputs]
    uniforms = (
        block.row1,  # Where its block ends, so does what a workgroup may read and write.
        block.col1,
        *request.uniforms[2:_PLACES],
        *_words(a_place, first),
        *_words(b_place, first),
        *_words(c_place, first),
    )
    uniforms = (*uniforms, *request.uniforms[len(uniforms) :])
    return request._replace(inputs=inputs, outputs=[c], uniforms=uniforms)


def _parts_fit(limits: Limits, plan: GemmPlan) -> bool:
    """Whether the parts of split sums fit a buffer, and the launches that make and join them a dispatch."""
    problem = plan.problem
    parts = problem.products * plan.split_k
    room = min(limits.binding_bytes, limits.buffer_bytes)
    nbytes = parts * problem.m * problem.n * F32.itemsize
    return max(parts, problem.m) <= limits.groups and nbytes <= room


def _blocks(device: Device, plan: GemmPlan, limit: Spans) -> Iterator[Block]:
    problem, kernel = plan.seen, plan.kernel
    rows, cols = kernel.block
    groups = device.limits.groups
    max_flops = device.throughput.flops(kernel.spec(problem))
    # What is stored in f16 is stored once: in parts it would be rounded as often.
    unit_k = 16 if problem.signature.result is F32 else problem.k
    return split(
        (problem.m, problem.n, problem.k),
        limit=(
            min(groups * rows, limit.rows),
            min(groups * cols, limit.cols),
            min(_deepest(device, plan), limit.depth),
        ),
        multiple=(rows, cols, unit_k),
        fits=lambda block: block.flops <= max_flops,
    )


def _deepest(device: Device, plan: GemmPlan) -> int:
    """The longest sum of one dispatch: of k, a multiple of what the kernel takes a turn."""
    k, steps = plan.problem.k, device.limits.loop_steps
    while plan.kernel.loops(k) > steps:
        if k <= 16:
            raise LimitError(
                f"{plan.kernel.name}: loops longer than {device.adapter} can: {steps} steps;"
                " try a smaller tile"
            )
        k = ceil_div(k, 32) * 16
    return k


_PLACES = 11
"""The words of uniforms before those of the places."""


def _request(
    plan: GemmPlan,
    x: Operands,
    block: Block,
    products: tuple[int, int],
    *,
    accumulate: bool,
    has_epilogue: bool = True,
    split_k: int = 1,
) -> Dispatch:
    """One dispatch over `block` of some products: the first of them, and how many."""
    problem, kernel = plan.seen, plan.kernel
    x = x.transposed() if plan.transposed else x
    first, count = products
    rows, cols = kernel.block
    spec = kernel.spec(problem)
    uniforms = (
        problem.m,
        problem.n,
        problem.k,
        block.row0,
        block.col0,
        block.k0,
        block.k1,
        int(accumulate or block.k0 > 0),
        int(has_epilogue and block.k1 == problem.k),
        split_k,
        _depth(plan, split_k) if split_k > 1 else block.depth,
        *_words(x.a_place, first),
        *_words(x.b_place, first),
        *_words(x.c_place, first),
        int(plan.transposed),
    )
    workgroups = (ceil_div(block.cols, cols), ceil_div(block.rows, rows), count * split_k)
    inputs = [x.a, x.b, x.bias or x.b][: spec.inputs]
    return Dispatch(spec, inputs, [x.c], uniforms, workgroups, count * block.flops)


def _words(place: MatrixLayout, product: int) -> tuple[int, ...]:
    at = place.at + product * place.step
    return tuple(word & 0xFFFFFFFF for word in (at, *place[1:]))


def _depth(plan: GemmPlan, split_k: int) -> int:
    """How much of k a part has: fours, so that vectors stay whole."""
    return ceil_div(plan.problem.k, 4 * split_k) * 4


def _pack(
    device: Device, plan: GemmPlan, x: Operands, which: str, *, half2: bool
) -> tuple[Dispatch, GemmPlan, Operands]:
    """A copy of operand "a" or "b" that lies as the kernel reads it best; the plan and operands with it.

    That is across k, or along it for the kernels of few rows. Lines begin at multiples of four; with `half2`
    there is one for two of k.
    """
    problem = plan.problem
    k, size = problem.k, problem.m if which == "a" else problem.n
    source, place = (x.a, x.a_place) if which == "a" else (x.b, x.b_place.transposed())  # Of size x k.
    products = problem.products if place.step else 1
    along_k = plan.kernel.packs_along_k
    lines, dense = (size, k) if along_k else (ceil_div(k, 2) if half2 else k, size)
    wide = ceil_div(dense, 4) * 4
    if along_k:
        place = place.transposed()
    signature = Signature(place.col == 1, stored=problem.signature.stored, half2=half2)
    itemsize = 4 if half2 else signature.stored.itemsize
    copied = GemmProblem(dense, lines, 1, products, signature)
    packed = device.empty(products * lines * wide * itemsize, label=f"packed {which}")
    inner = Operands(
        source, source, packed, place, MatrixLayout(0, 0, 1, 1), MatrixLayout(0, lines * wide, wide, 1)
    )
    spec, inputs, outputs, uniforms, _, _ = _request(
        GemmPlan(copied, Pack()), inner, Block(0, dense, 0, 1, 0, k), (0, products), accumulate=False
    )
    workgroups = (ceil_div(lines, 32), ceil_div(dense, 32), products)
    request = Dispatch(spec, inputs, outputs, uniforms, workgroups, products * size * k)
    there = MatrixLayout(0, lines * wide if place.step else 0, *((wide, 1) if along_k else (1, wide)))
    vec4 = k % 4 == 0 or not along_k
    if which == "a":
        signature = replace(problem.signature, a_along_k=along_k, a_vec4=vec4)
        x = replace(x, a=packed, a_place=there)
    else:
        signature = replace(problem.signature, b_along_k=along_k, b_vec4=vec4)
        x = replace(x, b=packed, b_place=there.transposed())
    return (
        request,
        replace(plan, problem=replace(problem, signature=signature), packs=plan.packs.replace(which, "")),
        x,
    )


def _split(device: Device, plan: GemmPlan, x: Operands, *, accumulate: bool) -> Iterator[Dispatch]:
    """Parts of the sums into memory of their own, and their sum into c."""
    problem = plan.problem
    m, n = problem.m, problem.n
    split_k = ceil_div(problem.k, _depth(plan, plan.split_k))  # No part is empty.
    parts = device.empty(split_k * problem.products * m * n * F32.itemsize, label="parts of a product")
    signature = replace(problem.signature, result=F32, bias=False, activation="")
    inner = replace(plan, problem=replace(problem, signature=signature))
    y = replace(x, c=parts, c_place=MatrixLayout(0, m * n, n, 1), bias=None)
    whole = Block(0, plan.seen.m, 0, plan.seen.n, 0, problem.k)
    products = 0, problem.products
    request = _request(inner, y, whole, products, accumulate=False, split_k=split_k)
    yield _windowed(device, inner, y, request, whole, products)
    request = joining(plan, x, parts, accumulate=accumulate, split_k=split_k)
    join, z = replace(plan, transposed=False), _of_parts(x, parts, m, n)
    yield _windowed(device, join, z, request, Block(0, m, 0, n, 0, split_k), products)


def _of_parts(x: Operands, parts: Buffer | BufferBinding, m: int, n: int) -> Operands:
    """What the kernel that adds up the parts reads and writes."""
    return replace(
        x, a=parts, b=parts, a_place=MatrixLayout(0, m * n, n, 1), b_place=MatrixLayout(0, 0, 1, 1)
    )


def joining(
    plan: GemmPlan, x: Operands, parts: Buffer | BufferBinding, *, accumulate: bool = False, split_k: int = 1
) -> Dispatch:
    """The dispatch that adds up sums in f32, the parts of a product side by side, and finishes c."""
    problem = plan.problem
    m, n = problem.m, problem.n
    join = GemmPlan(replace(problem, k=split_k), SplitKReduce())
    z = _of_parts(x, parts, m, n)
    end = Block(0, m, 0, n, 0, split_k)
    request = _request(join, z, end, (0, problem.products), accumulate=accumulate, split_k=split_k)
    return request._replace(workgroups=(*request.workgroups[:2], problem.products))
