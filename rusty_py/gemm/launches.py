"""From a plan to launches: which dispatches, over which part of the product, and what each is told."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from rusty_py.adapter import Limits
from rusty_py.buffer import Buffer
from rusty_py.device import Device
from rusty_py.dtypes import F32
from rusty_py.errors import LimitError
from rusty_py.gemm.join import Join
from rusty_py.gemm.plan import Plan
from rusty_py.gemm.problem import Place
from rusty_py.kernel import Spec
from rusty_py.shapes import Block, ceil_div, split


@dataclass(frozen=True)
class Operands:
    """The buffers of a product, and where its matrices lie in them. c's columns are neighbours."""

    a: Buffer
    b: Buffer
    c: Buffer
    a_place: Place
    b_place: Place
    c_place: Place
    bias: Buffer | None = None


class Request(NamedTuple):
    """One dispatch: what `kernel.launch` and `kernel.prepare` take."""

    spec: Spec
    inputs: list[Buffer]
    outputs: list[Buffer]
    dims: tuple[int, ...]
    workgroups: tuple[int, int, int]
    flops: int


def requests(device: Device, plan: Plan, x: Operands, *, accumulate: bool = False) -> Iterator[Request]:
    """The dispatches that compute c = a @ b, or c += a @ b with `accumulate`, in order.

    More than one where a sum is split, and where a dispatch would have too many groups, take too long for one
    submission, or loop further than the driver can.
    """
    problem = plan.problem
    blocks = list(_blocks(device, plan))
    most_flops = device.pace.flops(plan.kernel.spec(problem))
    at_once = len(blocks) == 1 and problem.flops <= most_flops
    if plan.splits > 1 and at_once and _parts_fit(device.limits, plan):
        yield from _split(device, plan, x, accumulate=accumulate)
        return
    # The first block is the largest: what fits of it fits of all.
    most = max(1, min(device.limits.groups, most_flops // blocks[0].flops))
    for first in range(0, problem.products, most):
        for block in blocks:
            yield _request(
                plan, x, block, (first, min(most, problem.products - first)), accumulate=accumulate
            )


def _parts_fit(limits: Limits, plan: Plan) -> bool:
    """Whether the parts of split sums fit a buffer, and the launches that make and join them a dispatch."""
    problem = plan.problem
    parts = problem.products * plan.splits
    room = min(limits.binding_bytes, limits.buffer_bytes)
    nbytes = parts * problem.m * problem.n * F32.itemsize
    return max(parts, problem.m) <= limits.groups and nbytes <= room


def _blocks(device: Device, plan: Plan) -> Iterator[Block]:
    problem, kernel = plan.problem, plan.kernel
    rows, cols = kernel.block
    groups = device.limits.groups
    most_flops = device.pace.flops(kernel.spec(problem))
    # What is stored in f16 is stored once: in parts it would be rounded as often.
    unit_k = 16 if problem.form.result is F32 else problem.k
    return split(
        (problem.m, problem.n, problem.k),
        most=(groups * rows, groups * cols, _deepest(device, plan)),
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


def _request(
    plan: Plan, x: Operands, block: Block, products: tuple[int, int], *, accumulate: bool, splits: int = 1
) -> Request:
    """One dispatch over `block` of some products: the first of them, and how many."""
    problem, kernel = plan.problem, plan.kernel
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
        int(block.k1 == problem.k),
        splits,
        _depth(plan, splits) if splits > 1 else block.depth,
        *_words(x.a_place, first),
        *_words(x.b_place, first),
        *_words(x.c_place, first)[:3],
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


def _split(device: Device, plan: Plan, x: Operands, *, accumulate: bool) -> Iterator[Request]:
    """Parts of the sums into memory of their own, and their sum into c."""
    problem = plan.problem
    m, n = problem.m, problem.n
    splits = ceil_div(problem.k, _depth(plan, plan.splits))  # No part is empty.
    parts = device.empty(splits * problem.products * m * n * F32.itemsize, label="parts of a product")
    form = replace(problem.form, result=F32, bias=False, activation="")
    inner = replace(plan, problem=replace(problem, form=form))
    y = replace(x, c=parts, c_place=Place(0, m * n, n, 1), bias=None)
    whole = Block(0, m, 0, n, 0, problem.k)
    yield _request(inner, y, whole, (0, problem.products), accumulate=False, splits=splits)
    join = Plan(replace(problem, k=splits), Join())
    z = replace(x, a=parts, b=parts, a_place=Place(0, m * n, n, 1), b_place=Place(0, 0, 1, 1))
    end = Block(0, m, 0, n, 0, splits)
    request = _request(join, z, end, (0, problem.products), accumulate=accumulate, splits=splits)
    yield request._replace(workgroups=(*request.workgroups[:2], problem.products))
