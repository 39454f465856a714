"""Implicit GEMM: correlations as products of matrices with compound axes, by the blocked GEMM kernels.

The image matrix has a row for each pixel of the result and a column for each tap and channel. It is a view of
the image, or of a copy that has zeros around and contiguous channels (pack.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from rusty_py.arrays import Array
from rusty_py.dtypes import Dtype
from rusty_py.gemm import select
from rusty_py.gemm.compound import Contraction, Side, Triple
from rusty_py.gemm.dispatch import Operands, dispatches
from rusty_py.gemm.plan import GemmPlan, machine_of
from rusty_py.gemm.problem import GemmProblem
from rusty_py.ops.conv import pack
from rusty_py.ops.conv.algorithm import Algorithm, any_problem
from rusty_py.ops.conv.correlation import Correlation, Pair, Taps, WeightCorrelation, permuted
from rusty_py.ops.conv.pack import Packing
from rusty_py.runtime.buffer import Buffer
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec, launch
from rusty_py.shapes import ceil_div

# Results in planes of at least so many pixels are a product each, where that leaves plain matrices.
_MIN_PLANE = 1024

_CPU_RATES = {True: 1e9, False: 1e10}
"""Flops per second on CPU drivers: of products that are for blocked kernels only, and of others."""


@dataclass(frozen=True)
class Source:
    """An operand as the product reads it: in place, or a packed copy of so many elements.

    Strides of batch, group, channel, row and column, and where the first element is. `order`: the axes of the
    operand as those of the image to pack.
    """

    strides: tuple[int, ...]
    start: Any
    channels: int
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    packing: Packing | None = None
    elements: int = 0
    order: tuple[int, ...] = (0, 1, 2, 3, 4)

    @property
    def group(self) -> int:
        return self.strides[1]

    @property
    def pixels(self) -> Triple:
        """The strides from pixel to pixel of the result: image, row, column."""
        return Triple(self.strides[0], self.strides[3] * self.stride[0], self.strides[4] * self.stride[1])

    @property
    def taps(self) -> Triple:
        """The strides from tap to tap: row, column, channel."""
        y, x = self.dilation
        return Triple(self.strides[3] * y, self.strides[4] * x, self.strides[2])


@dataclass(frozen=True)
class Form:
    """A correlation as a product: the sources of a and b, and what is added to its problem.

    `x_is_a`: the image is a, so that the rows are pixels. `names`: of the two operands.
    """

    contraction: Contraction
    x: Source
    other: Source
    problem: GemmProblem
    x_is_a: bool
    bias_stride: int = 0
    names: tuple[str, str] = ("x", "w")


def form_of(correlation: Correlation) -> Form:
    """The product of a correlation: the image is read in place where all loads are vec4s."""
    x, taps, kernel, size = correlation.x, correlation.taps, correlation.kernel, correlation.out_size
    source = in_place(x, taps, kernel, size)
    if source is not None:
        form = _form(correlation, source)
        signature = form.problem.signature
        if signature.a_vec4 if form.x_is_a else signature.b_vec4:
            return form
    return _form(correlation, padded(x, taps, kernel, size))


def _form(problem: Correlation, x: Source) -> Form:
    batch, groups, outputs = problem.batch, problem.groups, problem.outputs
    planes = problem.out.strides[2] != 1
    apart = planes and x.packing is None and groups == 1 and problem.kernel == (1, 1) and _plane(problem)
    taps, weights = Triple(*problem.kernel, x.channels), Triple(1, 1, outputs)
    pixels = Triple(1 if apart else batch, *problem.out_size)
    w = _weights(problem.w, x.channels)
    out = problem.out.strides
    of_pixels, of_outputs = Triple(out[0], out[3], out[4]), Triple(0, 0, out[2])
    from_image = Side(x.pixels, x.taps, x.start, x.strides[0] if apart else x.group)
    from_weights = Side(
        Triple(w.strides[3], w.strides[4], w.strides[2]),
        Triple(0, 0, w.strides[0]),
        w.start,
        0 if apart else w.group,
        padded=w.packing is not None,
    )
    result = Side(of_pixels, of_outputs, problem.out.offset, out[0] if apart else out[1])
    if planes:
        sides = _turned(from_weights), _turned(from_image), _turned(result)
        contraction = Contraction(weights, pixels, taps, *sides)
    else:
        contraction = Contraction(pixels, weights, taps, from_image, from_weights, result)
    gemm = contraction.problem(problem.dtype, batch if apart else groups)
    signature = replace(
        gemm.signature,
        bias=problem.bias is not None,
        activation=problem.activation,
        bias_by_row=planes and problem.bias is not None,
        bias_batched=groups > 1 and problem.bias is not None,
    )
    gemm = replace(gemm, signature=signature)
    return Form(contraction, x, w, gemm, not planes, outputs if groups > 1 else 0)


def _plane(problem: Correlation) -> bool:
    height, width = problem.out_size
    return problem.batch > 1 and height * width >= _MIN_PLANE


def weights_form_of(problem: WeightCorrelation) -> Form:
    """The product of a gradient of weights: the sum is over all pixels of all images."""
    x, dw, dout = problem.x, problem.dw, problem.dout
    kernel, size = (dw.shape[3], dw.shape[4]), (dout.shape[3], dout.shape[4])
    forms = (
        _weights_form(problem, image, other)
        for image in (in_place(x, problem.taps, kernel, size), padded(x, problem.taps, kernel, size))
        for other in (in_place(dout, Taps(), (1, 1), size), padded(dout, Taps(), (1, 1), size))
        if image is not None and other is not None
    )
    by_vec4s: dict[tuple[bool, bool], Form] = {}
    for form in forms:
        by_vec4s.setdefault((form.problem.signature.a_vec4, form.problem.signature.b_vec4), form)
    return by_vec4s[max(by_vec4s)]


def _weights_form(problem: WeightCorrelation, x: Source, dout: Source) -> Form:
    dw = problem.dw
    outputs, pixels = Triple(1, 1, dw.shape[1]), Triple(problem.dout.shape[0], *problem.dout.shape[3:])
    taps = Triple(dw.shape[3], dw.shape[4], dw.shape[2])
    contraction = Contraction(
        outputs,
        taps,
        pixels,
        Side(
            Triple(0, 0, dout.strides[2]),
            dout.pixels,
            dout.start,
            dout.group,
            padded=dout.packing is not None,
        ),
        Side(x.pixels, x.taps, x.start, x.group),
        Side(
            Triple(0, 0, dw.strides[1]),
            Triple(dw.strides[3], dw.strides[4], dw.strides[2]),
            dw.offset,
            dw.strides[0],
        ),
    )
    return Form(
        contraction, x, dout, contraction.problem(problem.dtype, dw.shape[0]), False, names=("x", "dout")
    )


def _turned(side: Side) -> Side:
    return side._replace(rows=side.cols, cols=side.rows)


# Sources.


def in_place(x: Array, taps: Taps, kernel: Pair, size: Pair) -> Source | None:
    """The image itself; None if a tap lies outside."""
    ends = zip(taps.start, reach(taps, kernel, size), x.shape[3:], strict=True)
    if any(start < 0 or start + length > whole for start, length, whole in ends):
        return None
    start = x.offset + taps.start[0] * x.strides[3] + taps.start[1] * x.strides[4]
    return Source(x.strides, start, x.shape[2], taps.stride, taps.dilation)


def padded(x: Array, taps: Taps, kernel: Pair, size: Pair) -> Source:
    """A copy of what the taps reach, zero outside. An axis with one tap keeps every `stride`th pixel only."""
    steps = [stride if taps_of == 1 else 1 for stride, taps_of in zip(taps.stride, kernel, strict=True)]
    strides = [stride // step for stride, step in zip(taps.stride, steps, strict=True)]
    lengths = [ceil_div(each, step) for each, step in zip(reach(taps, kernel, size), steps, strict=True)]
    height, width = lengths
    batch, groups, channels = x.shape[0], x.shape[1], ceil_div(x.shape[2], 4) * 4
    pixel = groups * channels
    packing = Packing(
        taps.start, (steps[0], steps[1]), (height, width), channels, height * width * pixel, channels, pixel
    )
    return Source(
        (height * width * pixel, channels, 1, width * pixel, pixel),
        0,
        channels,
        (strides[0], strides[1]),
        taps.dilation,
        packing,
        batch * height * width * pixel,
    )


def reach(taps: Taps, kernel: Pair, size: Pair) -> tuple[int, int]:
    """The rows and the columns of an image from the first tap to the last."""
    y, x = (
        (pixels - 1) * stride + (count - 1) * dilation + 1
        for pixels, stride, count, dilation in zip(size, taps.stride, kernel, taps.dilation, strict=True)
    )
    return y, x


def _weights(w: Array, channels: int) -> Source:
    """Weights as a source with (output, group, channel, tap row, tap column): in place for vec4s of 1 x 1."""
    order = permuted(w, (1, 0, 2, 3, 4))
    aligned = not (w.offset % 4 or channels % 4 or w.strides[0] % 4 or w.strides[1] % 4)
    if w.shape[3:] == (1, 1) and w.strides[2] == 1 and channels == w.shape[2] and aligned:
        return Source(order.strides, w.offset, channels)
    groups, outputs, _, height, width = w.shape
    line = ceil_div(outputs, 4) * 4
    tap = channels * line
    # As an image: the input channels are columns, the columns of taps are rows, their rows are groups.
    packing = Packing((0, 0), (1, 1), (width, channels), line, height * width * tap, width * tap, line)
    strides = (1, height * width * tap, line, width * tap, tap)
    elements = groups * height * width * tap
    return Source(strides, 0, channels, packing=packing, elements=elements, order=(0, 3, 1, 4, 2))


# Launches.


def plan_of(device: Device, form: Form) -> GemmPlan:
    """The kernel of a product, and its split-K."""
    return select.plan(device, form.problem)


def run_form(
    device: Device,
    form: Form,
    plan: GemmPlan,
    arrays: tuple[Array, Array, Array],
    *,
    bias: Array | None = None,
) -> None:
    """Launches a product. arrays: the image, the other operand, and the result."""
    x, other, out = arrays
    image, second = _packed(x, form.x), _packed(other, form.other)
    a, b = (image, second) if form.x_is_a else (second, image)
    operands = Operands(
        a,
        b,
        out.buffer,
        *form.contraction.layouts(),
        bias=None if bias is None else bias.buffer,
        axes=form.contraction.axes if form.problem.signature.compound else None,
        bias_stride=form.bias_stride,
    )
    for each in dispatches(device, plan, operands):
        launch(device, **each._asdict())


def _packed(x: Array, source: Source) -> Buffer:
    if source.packing is None:
        return x.buffer
    nbytes = source.elements * x.kind.itemsize
    return pack.pack(permuted(x, source.order), source.packing, nbytes, operation="packed for implicit GEMM")


def _run(device: Device, problem: Correlation) -> None:
    form = form_of(problem)
    arrays = problem.x, problem.w, problem.out
    run_form(device, form, plan_of(device, form), arrays, bias=problem.bias)


def _run_weights(device: Device, problem: WeightCorrelation) -> None:
    form = weights_form_of(problem)
    arrays = problem.x, problem.dout, problem.dw
    run_form(device, form, plan_of(device, form), arrays)


def seconds_of(device: Device, form: Form, dtype: Dtype) -> float:
    """The predicted time, with packing: each element is read and written."""
    plan = plan_of(device, form)
    if device.adapter.is_cpu:
        return form.problem.flops / _CPU_RATES[form.problem.signature.blocked_only]
    machine = machine_of(device.adapter.type)
    seconds = select.cost(plan, machine)
    for source in (form.x, form.other):
        if source.packing is not None:
            seconds += machine.launch + 2 * source.elements * dtype.itemsize / machine.bandwidth
    return seconds


def described(device: Device, form: Form) -> str:
    """The kernel, its tiles, and what is packed."""
    plan = plan_of(device, form)
    names = zip(form.names, (form.x, form.other), strict=True)
    packs = [name for name, source in names if source.packing is not None]
    parts = [plan.kernel.name, *[f"split-K {plan.split_k}"] * (plan.split_k > 1)]
    return ", ".join([*parts, *[f"{' and '.join(packs)} packed"] * bool(packs)])


def _variants() -> Iterator[Spec]:
    yield from pack.variants()


ALGORITHM = Algorithm[Correlation](
    "implicit_gemm",
    any_problem,
    lambda device, problem: seconds_of(device, form_of(problem), problem.dtype),
    _run,
    lambda device, problem: described(device, form_of(problem)),
    _variants,
)
WEIGHT_ALGORITHM = Algorithm[WeightCorrelation](
    "implicit_gemm",
    any_problem,
    lambda device, problem: seconds_of(device, weights_form_of(problem), problem.dtype),
    _run_weights,
    lambda device, problem: described(device, weights_form_of(problem)),
    _variants,
)
