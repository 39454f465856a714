"""Converts a plan to dispatches: blocks, bindings and uniforms."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from rusty_py.dtypes import F32
from rusty_py.errors import LimitError
from rusty_py.gemm.compound import CompoundAxes
from rusty_py.gemm.helpers import Pack, SplitKReduce
from rusty_py.gemm.large_bindings import Spans, bind_part, largest
from rusty_py.gemm.plan import GemmPlan
from rusty_py.gemm.problem import GemmProblem, MatrixLayout, Signature
from rusty_py.runtime.adapter import Limits
from rusty_py.runtime.buffer import Buffer, BufferBinding
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec
from rusty_py.shapes import Block, ceil_div, split


@dataclass(frozen=True)
class Operands:
    """The buffers of a product and the layouts of its matrices. c has a column stride of 1.

    `axes`: those of the matrices that the signature calls compound. `bias_stride`: from the bias of a
    product to that of the next.
    """

    a: Buffer | BufferBinding
    b: Buffer | BufferBinding
    c: Buffer | BufferBinding
    a_layout: MatrixLayout
    b_layout: MatrixLayout
    c_layout: MatrixLayout
    bias: Buffer | BufferBinding | None = None
    axes: CompoundAxes | None = None
    bias_stride: int = 0

    def transposed(self) -> "Operands":
        """The operands of c^T = b^T a^T."""
        layouts = self.b_layout.transposed(), self.a_layout.transposed(), self.c_layout.transposed()
        return Operands(self.b, self.a, self.c, *layouts, self.bias)


class Dispatch(NamedTuple):
    """The arguments of one `launch`."""

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

    There is more than one for packing, for split-K, and where a single dispatch would exceed a limit: the
    number of workgroups, the time of a submission, the driver's loop length or the size of a binding.
    Without `has_epilogue`, c holds partial sums: bias and activation are left to a later dispatch.
    """
    if _oversized(device, x):  # A binding ends with its block, so loads must be clamped.
        signature = replace(plan.problem.signature, clamps=True)
        plan = replace(plan, problem=replace(plan.problem, signature=signature), packs="")
    half2 = plan.half2
    for which in plan.packs:
        dispatch, plan, x = _pack(device, plan, x, which, half2=half2)
        yield dispatch
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
        yield from _split_k(device, plan, x, accumulate=accumulate)
        return
    # The first block is the largest, so its batch size is valid for all.
    step = max(1, min(device.limits.groups, limit.products, max_flops // blocks[0].flops))
    for first in range(0, problem.products, step):
        products = first, min(step, problem.products - first)
        for block in blocks:
            dispatch = _dispatch(plan, x, block, products, accumulate=accumulate, has_epilogue=has_epilogue)
            yield _with_bindings(device, plan, x, dispatch, block, products)


def _oversized(device: Device, x: Operands) -> bool:
    """Whether an operand exceeds the binding size limit. Compound matrices are not divided for it."""
    return x.axes is None and max(x.a.nbytes, x.b.nbytes, x.c.nbytes) > device.limits.binding_bytes


def _limit(device: Device, plan: GemmPlan, x: Operands) -> Spans:
    """The largest block whose operands each fit a binding."""
    problem, max_bytes = plan.seen, device.limits.binding_bytes
    whole = Spans(problem.products, problem.m, problem.n, problem.k)
    if not _oversized(device, x):
        return whole
    x = x.transposed() if plan.transposed else x
    signature = problem.signature
    # An f16 result must be computed in one dispatch: each partial sum would be rounded to f16.
    unit_k = 16 if signature.result is F32 else problem.k
    layouts = (x.a_layout, signature.stored), (x.b_layout, signature.stored), (x.c_layout, signature.result)
    name = f"matmul: {plan.kernel.name}"
    try:
        return largest(whole, Spans(1, *plan.kernel.block, unit_k), layouts, max_bytes, operation=name)
    except LimitError:  # Smaller than a workgroup's block: slow, but possible.
        return largest(whole, Spans(1, 4, 4, unit_k), layouts, max_bytes, operation=name)


def _with_bindings(
    device: Device, plan: GemmPlan, x: Operands, dispatch: Dispatch, block: Block, products: tuple[int, int]
) -> Dispatch:
    """The dispatch with buffers that exceed a binding replaced by the part that the block needs."""
    if not _oversized(device, x):
        return dispatch
    x = x.transposed() if plan.transposed else x
    max_bytes, signature = device.limits.binding_bytes, plan.problem.signature
    a, a_layout = bind_part(x.a, x.a_layout, products, block[:2], block[4:], signature.stored, max_bytes)
    b, b_layout = bind_part(x.b, x.b_layout, products, block[4:], block[2:4], signature.stored, max_bytes)
    c, c_layout = bind_part(x.c, x.c_layout, products, block[:2], block[2:4], signature.result, max_bytes)
    first = products[0]
    inputs = [a, b, x.bias or b][: dispatch.spec.inputs]
    uniforms = (
        block.row1,  # m and n end with the block: the binding holds nothing beyond.
        block.col1,
        *dispatch.uniforms[2:_LAYOUTS_AT],
        *_layout_uniforms(a_layout, first),
        *_layout_uniforms(b_layout, first),
        *_layout_uniforms(c_layout, first),
    )
    uniforms = (*uniforms, *dispatch.uniforms[len(uniforms) :])
    return dispatch._replace(inputs=inputs, outputs=[c], uniforms=uniforms)


def _parts_fit(limits: Limits, plan: GemmPlan) -> bool:
    """Whether the split-K partial sums fit a buffer, and their dispatches the workgroup limit."""
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
    # An f16 result must be computed in one dispatch: each partial sum would be rounded to f16.
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
    """The largest extent along k of one dispatch, given the driver's loop limit."""
    k, steps = plan.problem.k, device.limits.loop_steps
    while plan.kernel.loops(k) > steps:
        if k <= 16:
            raise LimitError(
                f"{plan.kernel.name}: needs longer loops than {device.adapter} supports: {steps} iterations;"
                " try a smaller tile"
            )
        k = ceil_div(k, 32) * 16
    return k


_COMPOUND_WORDS = 40
"""The uniforms after bias_by_row."""
_LAYOUTS_AT = 11
"""The number of uniforms before those of the layouts."""


def _dispatch(
    plan: GemmPlan,
    x: Operands,
    block: Block,
    products: tuple[int, int],
    *,
    accumulate: bool,
    has_epilogue: bool = True,
    split_k: int = 1,
) -> Dispatch:
    """One dispatch over `block`. products: (first, count)."""
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
        *_layout_uniforms(x.a_layout, first),
        *_layout_uniforms(x.b_layout, first),
        *_layout_uniforms(x.c_layout, first),
        int(plan.transposed),
        *_compound_uniforms(plan, x, first),
    )
    workgroups = (ceil_div(block.cols, cols), ceil_div(block.rows, rows), count * split_k)
    inputs = [x.a, x.b, x.bias or x.b][: spec.inputs]
    return Dispatch(spec, inputs, [x.c], uniforms, workgroups, count * block.flops)


def _compound_uniforms(plan: GemmPlan, x: Operands, product: int) -> tuple[int, ...]:
    """The words after bias_by_row, where a kernel has them."""
    if not plan.kernel.compound:
        return ()
    sizes = x.axes.sizes if x.axes else (1,) * 6
    words = (*sizes, product * x.bias_stride, x.bias_stride, *(x.axes.uniforms if x.axes else ()))
    return (*words, *(0,) * (_COMPOUND_WORDS - len(words)))


def _layout_uniforms(layout: MatrixLayout, product: int) -> tuple[int, ...]:
    at = layout.offset + product * layout.batch_stride
    return tuple(word & 0xFFFFFFFF for word in (at, *layout[1:]))


def _depth(plan: GemmPlan, split_k: int) -> int:
    """The extent along k of one split-K part, a multiple of 4 for vec4 loads."""
    return ceil_div(plan.problem.k, 4 * split_k) * 4


def _pack(
    device: Device, plan: GemmPlan, x: Operands, which: str, *, half2: bool
) -> tuple[Dispatch, GemmPlan, Operands]:
    """The dispatch that packs operand "a" or "b", and the plan and operands that use the copy.

    The copy is contiguous across k, or along k for GEMV kernels. Lines are padded to multiples of 4; with
    `half2`, a line holds two steps of k.
    """
    problem = plan.problem
    k, size = problem.k, problem.m if which == "a" else problem.n
    source, layout = (x.a, x.a_layout) if which == "a" else (x.b, x.b_layout.transposed())  # Of size x k.
    products = problem.products if layout.batch_stride else 1
    along_k = plan.kernel.packs_along_k
    lines, dense = (size, k) if along_k else (ceil_div(k, 2) if half2 else k, size)
    wide = ceil_div(dense, 4) * 4
    if along_k:
        layout = layout.transposed()
    signature = Signature(layout.col_stride == 1, stored=problem.signature.stored, half2=half2)
    itemsize = 4 if half2 else signature.stored.itemsize
    copied = GemmProblem(dense, lines, 1, products, signature)
    packed = device.empty(products * lines * wide * itemsize, label=f"packed {which}")
    inner = Operands(
        source, source, packed, layout, MatrixLayout(0, 0, 1, 1), MatrixLayout(0, lines * wide, wide, 1)
    )
    spec, inputs, outputs, uniforms, _, _ = _dispatch(
        GemmPlan(copied, Pack()), inner, Block(0, dense, 0, 1, 0, k), (0, products), accumulate=False
    )
    workgroups = (ceil_div(lines, 32), ceil_div(dense, 32), products)
    dispatch = Dispatch(spec, inputs, outputs, uniforms, workgroups, products * size * k)
    there = MatrixLayout(
        0, lines * wide if layout.batch_stride else 0, *((wide, 1) if along_k else (1, wide))
    )
    vec4 = k % 4 == 0 or not along_k
    if which == "a":
        signature = replace(problem.signature, a_along_k=along_k, a_vec4=vec4)
        x = replace(x, a=packed, a_layout=there)
    else:
        signature = replace(problem.signature, b_along_k=along_k, b_vec4=vec4)
        x = replace(x, b=packed, b_layout=there.transposed())
    return (
        dispatch,
        replace(plan, problem=replace(problem, signature=signature), packs=plan.packs.replace(which, "")),
        x,
    )


def _split_k(device: Device, plan: GemmPlan, x: Operands, *, accumulate: bool) -> Iterator[Dispatch]:
    """Split-K: the partial sums into a temporary buffer, then their reduction into c."""
    problem = plan.problem
    m, n = problem.m, problem.n
    split_k = ceil_div(problem.k, _depth(plan, plan.split_k))  # So that no part is empty.
    parts = device.empty(split_k * problem.products * m * n * F32.itemsize, label="parts of a product")
    inner = replace(plan, problem=of_parts(problem))
    y = replace(x, c=parts, c_layout=MatrixLayout(0, m * n, n, 1), bias=None)
    whole = Block(0, plan.seen.m, 0, plan.seen.n, 0, problem.k)
    products = 0, problem.products
    dispatch = _dispatch(inner, y, whole, products, accumulate=False, split_k=split_k)
    yield _with_bindings(device, inner, y, dispatch, whole, products)
    dispatch = reduction(plan, x, parts, accumulate=accumulate, split_k=split_k)
    reduce_plan, z = replace(plan, transposed=False), _of_parts(x, parts, m, n)
    yield _with_bindings(device, reduce_plan, z, dispatch, Block(0, m, 0, n, 0, split_k), products)


def of_parts(problem: GemmProblem) -> GemmProblem:
    """The problem whose results are the partial sums of this one."""
    signature = replace(problem.signature, result=F32, bias=False, activation="")
    if signature.c_compound:
        compound = "".join(each for each in signature.compound if each in "ab")
        signature = replace(signature, compound=compound, c_vec4=problem.n % 4 == 0)
    return replace(problem, signature=signature)


def _of_parts(x: Operands, parts: Buffer | BufferBinding, m: int, n: int) -> Operands:
    """The operands of the split-K reduction."""
    return replace(
        x, a=parts, b=parts, a_layout=MatrixLayout(0, m * n, n, 1), b_layout=MatrixLayout(0, 0, 1, 1)
    )


def reduction(
    plan: GemmPlan, x: Operands, parts: Buffer | BufferBinding, *, accumulate: bool = False, split_k: int = 1
) -> Dispatch:
    """The split-K reduction: adds the f32 partial sums of each product and applies the epilogue to c."""
    problem = plan.problem
    m, n = problem.m, problem.n
    reduce_plan = GemmPlan(replace(problem, k=split_k), SplitKReduce())
    z = _of_parts(x, parts, m, n)
    end = Block(0, m, 0, n, 0, split_k)
    dispatch = _dispatch(reduce_plan, z, end, (0, problem.products), accumulate=accumulate, split_k=split_k)
    return dispatch._replace(workgroups=(*dispatch.workgroups[:2], problem.products))
