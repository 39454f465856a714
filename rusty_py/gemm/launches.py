"""From a plan to launches: which dispatches, over which part of the product, and what each is told."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from rusty_py.dtypes import F32
from rusty_py.errors import LimitError
from rusty_py.gemm.helpers import Join, Pack
from rusty_py.gemm.plan import Plan
from rusty_py.gemm.problem import Form, Place, Problem
from rusty_py.gemm.windows import Spans, largest, window
from rusty_py.runtime.adapter import Limits
from rusty_py.runtime.buffer import Buffer, Window
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec
from rusty_py.shapes import Block, ceil_div, split


@dataclass(frozen=True)
class Operands:
    """The buffers of a product, and where its matrices lie in them. c's columns are neighbours."""

    a: Buffer | Window
    b: Buffer | Window
    c: Buffer | Window
    a_place: Place
    b_place: Place
    c_place: Place
    bias: Buffer | Window | None = None

    def turned(self) -> "Operands":
        """Those of c^T = b^T a^T."""
        places = self.b_place.turned(), self.a_place.turned(), self.c_place.turned()
        return Operands(self.b, self.a, self.c, *places, self.bias)


class Request(NamedTuple):
    """One dispatch: what `kernel.launch` and `kernel.prepare` take."""

    spec: Spec
    inputs: list[Buffer | Window]
    outputs: list[Buffer | Window]
    dims: tuple[int, ...]
    workgroups: tuple[int, int, int]
    flops: int


def requests(
    device: Device, plan: Plan, x: Operands, *, accumulate: bool = False, finishes: bool = True
) -> Iterator[Request]:
    """The dispatches that compute c = a @ b, or c += a @ b with `accumulate`, in order.

    More than one where a sum is split, and where a dispatch would have too many groups, take too long for one
    submission, or loop further than the driver can; or would bind more of a buffer than a binding takes.
    Without `finishes`, more of the sum is to come, and bias and activation after that.
    """
    if _oversized(device, x):  # A window ends where its block does: nothing can be read beyond.
        form = replace(plan.problem.form, clamps=True)
        plan = replace(plan, problem=replace(plan.problem, form=form), packs="")
    pairs = plan.pairs
    for which in plan.packs:
        request, plan, x = _pack(device, plan, x, which, pairs=pairs)
        yield request
    if pairs:
        problem = plan.problem
        plan = replace(
            plan, problem=replace(problem, k=ceil_div(problem.k, 2), form=replace(problem.form, pairs=True))
        )
    problem = plan.seen
    most = _most(device, plan, x)
    blocks = list(_blocks(device, plan, most))
    most_flops = device.pace.flops(plan.kernel.spec(problem))
    at_once = len(blocks) == 1 and most.products == problem.products and problem.flops <= most_flops
    if plan.splits > 1 and at_once and finishes and _parts_fit(device.limits, plan):
        yield from _split(device, plan, x, accumulate=accumulate)
        return
    # The first block is the largest: what fits of it fits of all.
    step = max(1, min(device.limits.groups, most.products, most_flops // blocks[0].flops))
    for first in range(0, problem.products, step):
        products = first, min(step, problem.products - first)
        for block in blocks:
            request = _request(plan, x, block, products, accumulate=accumulate, finishes=finishes)
            yield _windowed(device, plan, x, request, block, products)


def _oversized(device: Device, x: Operands) -> bool:
    """Whether an operand is larger than a binding."""
    return max(x.a.nbytes, x.b.nbytes, x.c.nbytes) > device.limits.binding_bytes


def _most(device: Device, plan: Plan, x: Operands) -> Spans:
    """The largest part of a product all of whose operands fit a binding each."""
    problem, most_bytes = plan.seen, device.limits.binding_bytes
    whole = Spans(problem.products, problem.m, problem.n, problem.k)
    if not _oversized(device, x):
        return whole
    x = x.turned() if plan.turned else x
    form = problem.form
    # What is stored in f16 is stored once: in parts it would be rounded as often.
    unit_k = 16 if form.result is F32 else problem.k
    places = (x.a_place, form.stored), (x.b_place, form.stored), (x.c_place, form.result)
    name = f"matmul: {plan.kernel.name}"
    try:
        return largest(whole, Spans(1, *plan.kernel.block, unit_k), places, most_bytes, operation=name)
    except LimitError:  # Less than a workgroup's block: slow, but it can be done.
        return largest(whole, Spans(1, 4, 4, unit_k), places, most_bytes, operation=name)


def _windowed(
    device: Device, plan: Plan, x: Operands, request: Request, block: Block, products: tuple[int, int]
) -> Request:
    """The request with windows in place of the buffers that are larger than a binding."""
    if not _oversized(device, x):
        return request
    x = x.turned() if plan.turned else x
    most_bytes, form = device.limits.binding_bytes, plan.problem.form
    a, a_place = window(x.a, x.a_place, products, block[:2], block[4:], form.stored, most_bytes)
    b, b_place = window(x.b, x.b_place, products, block[4:], block[2:4], form.stored, most_bytes)
    c, c_place = window(x.c, x.c_place, products, block[:2], block[2:4], form.result, most_bytes)
    first = products[0]
    inputs = [a, b, x.bias or b][: request.spec.inputs]
    dims = (
        block.row1,  # Where its block ends, so does what a workgroup may read and write.
        block.col1,
        *request.dims[2:_PLACES],
        *_words(a_place, first),
        *_words(b_place, first),
        *_words(c_place, first),
    )
    dims = (*dims, *request.dims[len(dims) :])
    return request._replace(inputs=inputs, outputs=[c], dims=dims)


def _parts_fit(limits: Limits, plan: Plan) -> bool:
    """Whether the parts of split sums fit a buffer, and the launches that make and join them a dispatch."""
    problem = plan.problem
    parts = problem.products * plan.splits
    room = min(limits.binding_bytes, limits.buffer_bytes)
    nbytes = parts * problem.m * problem.n * F32.itemsize
    return max(parts, problem.m) <= limits.groups and nbytes <= room


def _blocks(device: Device, plan: Plan, most: Spans) -> Iterator[Block]:
    problem, kernel = plan.seen, plan.kernel
    rows, cols = kernel.block
    groups = device.limits.groups
    most_flops = device.pace.flops(kernel.spec(problem))
    # What is stored in f16 is stored once: in parts it would be rounded as often.
    unit_k = 16 if problem.form.result is F32 else problem.k
    return split(
        (problem.m, problem.n, problem.k),
        most=(
            min(groups * rows, most.rows),
            min(groups * cols, most.cols),
            min(_deepest(device, plan), most.depth),
        ),
        multiple=(rows, cols, unit_k),
        fits=lambda block: block.flops <= most_flops,
    )


def _deepest(device: Device, plan: Plan) -> int:
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
"""The words of dims before those of the places."""


def _request(
    plan: Plan,
    x: Operands,
    block: Block,
    products: tuple[int, int],
    *,
    accumulate: bool,
    finishes: bool = True,
    splits: int = 1,
) -> Request:
    """One dispatch over `block` of some products: the first of them, and how many."""
    problem, kernel = plan.seen, plan.kernel
    x = x.turned() if plan.turned else x
    first, count = products
    rows, cols = kernel.block
    spec = kernel.spec(problem)
    dims = (
        problem.m,
        problem.n,
        problem.k,
        block.row0,
        block.col0,
        block.k0,
        block.k1,
        int(accumulate or block.k0 > 0),
        int(finishes and block.k1 == problem.k),
        splits,
        _depth(plan, splits) if splits > 1 else block.depth,
        *_words(x.a_place, first),
        *_words(x.b_place, first),
        *_words(x.c_place, first),
        int(plan.turned),
    )
    workgroups = (ceil_div(block.cols, cols), ceil_div(block.rows, rows), count * splits)
    inputs = [x.a, x.b, x.bias or x.b][: spec.inputs]
    return Request(spec, inputs, [x.c], dims, workgroups, count * block.flops)


def _words(place: Place, product: int) -> tuple[int, ...]:
    at = place.at + product * place.step
    return tuple(word & 0xFFFFFFFF for word in (at, *place[1:]))


def _depth(plan: Plan, splits: int) -> int:
    """How much of k a part has: fours, so that vectors stay whole."""
    return ceil_div(plan.problem.k, 4 * splits) * 4


def _pack(
    device: Device, plan: Plan, x: Operands, which: str, *, pairs: bool
) -> tuple[Request, Plan, Operands]:
    """A copy of operand "a" or "b" that lies as the kernel reads it best; the plan and operands with it.

    That is across k, or along it for the kernels of few rows. Lines begin at multiples of four; with `pairs`
    there is one for two of k.
    """
    problem = plan.problem
    k, size = problem.k, problem.m if which == "a" else problem.n
    source, place = (x.a, x.a_place) if which == "a" else (x.b, x.b_place.turned())  # Of size x k.
    products = problem.products if place.step else 1
    along_k = plan.kernel.packs_along_k
    lines, dense = (size, k) if along_k else (ceil_div(k, 2) if pairs else k, size)
    wide = ceil_div(dense, 4) * 4
    if along_k:
        place = place.turned()
    form = Form(place.col == 1, stored=problem.form.stored, pairs=pairs)
    itemsize = 4 if pairs else form.stored.itemsize
    copied = Problem(dense, lines, 1, products, form)
    packed = device.empty(products * lines * wide * itemsize, label=f"packed {which}")
    inner = Operands(source, source, packed, place, Place(0, 0, 1, 1), Place(0, lines * wide, wide, 1))
    spec, inputs, outputs, dims, _, _ = _request(
        Plan(copied, Pack()), inner, Block(0, dense, 0, 1, 0, k), (0, products), accumulate=False
    )
    workgroups = (ceil_div(lines, 32), ceil_div(dense, 32), products)
    request = Request(spec, inputs, outputs, dims, workgroups, products * size * k)
    there = Place(0, lines * wide if place.step else 0, *((wide, 1) if along_k else (1, wide)))
    fours = k % 4 == 0 or not along_k
    if which == "a":
        form = replace(problem.form, a_along_k=along_k, a_fours=fours)
        x = replace(x, a=packed, a_place=there)
    else:
        form = replace(problem.form, b_along_k=along_k, b_fours=fours)
        x = replace(x, b=packed, b_place=there.turned())
    return request, replace(plan, problem=replace(problem, form=form), packs=plan.packs.replace(which, "")), x


def _split(device: Device, plan: Plan, x: Operands, *, accumulate: bool) -> Iterator[Request]:
    """Parts of the sums into memory of their own, and their sum into c."""
    problem = plan.problem
    m, n = problem.m, problem.n
    splits = ceil_div(problem.k, _depth(plan, plan.splits))  # No part is empty.
    parts = device.empty(splits * problem.products * m * n * F32.itemsize, label="parts of a product")
    form = replace(problem.form, result=F32, bias=False, activation="")
    inner = replace(plan, problem=replace(problem, form=form))
    y = replace(x, c=parts, c_place=Place(0, m * n, n, 1), bias=None)
    whole = Block(0, plan.seen.m, 0, plan.seen.n, 0, problem.k)
    products = 0, problem.products
    request = _request(inner, y, whole, products, accumulate=False, splits=splits)
    yield _windowed(device, inner, y, request, whole, products)
    request = joining(plan, x, parts, accumulate=accumulate, splits=splits)
    join, z = replace(plan, turned=False), _of_parts(x, parts, m, n)
    yield _windowed(device, join, z, request, Block(0, m, 0, n, 0, splits), products)


def _of_parts(x: Operands, parts: Buffer | Window, m: int, n: int) -> Operands:
    """What the kernel that adds up the parts reads and writes."""
    return replace(x, a=parts, b=parts, a_place=Place(0, m * n, n, 1), b_place=Place(0, 0, 1, 1))


def joining(
    plan: Plan, x: Operands, parts: Buffer | Window, *, accumulate: bool = False, splits: int = 1
) -> Request:
    """The dispatch that adds up sums in f32, the parts of a product side by side, and finishes c."""
    problem = plan.problem
    m, n = problem.m, problem.n
    join = Plan(replace(problem, k=splits), Join())
    z = _of_parts(x, parts, m, n)
    end = Block(0, m, 0, n, 0, splits)
    request = _request(join, z, end, (0, problem.products), accumulate=accumulate, splits=splits)
    return request._replace(workgroups=(*request.workgroups[:2], problem.products))
