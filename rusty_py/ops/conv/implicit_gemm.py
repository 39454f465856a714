"""Implicit GEMM: correlations as products of matrices with compound axes, by the blocked GEMM kernels.

The image matrix has a row for each pixel of the result and a column for each tap and channel. It is a view of
the image, or of a copy that has zeros around and contiguous channels (pack.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from rusty_py.arrays import Array
from rusty_py.dtypes import Dtype
from rusty_py.gemm import select
from rusty_py.gemm.compound import Contraction, Side, Triple
from rusty_py.gemm.dispatch import Operands, dispatches
from rusty_py.gemm.plan import GemmPlan, machine_of
from rusty_py.gemm.problem import GemmProblem
from rusty_py.ops.conv import pack
from rusty_py.ops.conv.algorithm import Algorithm
from rusty_py.ops.conv.correlation import Correlation, Taps, WeightCorrelation
from rusty_py.ops.conv.sources import Source, in_place, padded, weights
from rusty_py.runtime.buffer import Buffer
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec, launch

# Results in planes of at least so many pixels are a product each, where that leaves plain matrices.
_MIN_PLANE = 1024

_CPU_RATES = {True: 1e9, False: 1e10}
"""Flops per second on CPU drivers: of products that are for blocked kernels only, and of others."""


@dataclass(frozen=True, eq=False)
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


def form_of(correlation: Correlation, *, bounded: bool = True) -> Form:
    """The product of a correlation: the image is read in place where all loads are vec4s.

    Without `bounded`, only if no tap reaches beyond the image.
    """
    x, taps, kernel, size = correlation.x, correlation.taps, correlation.kernel, correlation.out_size
    source = in_place(x, taps, kernel, size)
    if source is not None and (source.bounds is None or bounded):
        form = _form(correlation, source)
        signature = form.problem.signature
        vec4, along_k = (
            (signature.a_vec4, signature.a_along_k)
            if form.x_is_a
            else (signature.b_vec4, signature.b_along_k)
        )
        if vec4 and (along_k or source.bounds is None):
            return form
    return _form(correlation, padded(x, taps, kernel, size))


def _form(problem: Correlation, x: Source) -> Form:
    batch, groups, outputs = problem.batch, problem.groups, problem.outputs
    planes = problem.out.strides[2] != 1
    apart = (
        planes
        and x.packing is None
        and x.bounds is None
        and groups == 1
        and problem.kernel == (1, 1)
        and _plane(problem)
    )
    taps, channels = Triple(*problem.kernel, x.channels), Triple(1, 1, outputs)
    pixels = Triple(1 if apart else batch, *problem.out_size)
    w = weights(problem.w, x.channels)
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
        contraction = Contraction(channels, pixels, taps, *sides, x.bounded("b", pixels=True))
    else:
        bounds = x.bounded("a", pixels=True)
        contraction = Contraction(pixels, channels, taps, from_image, from_weights, result, bounds)
    gemm = _with_epilogue(contraction.problem(problem.dtype, batch if apart else groups), problem, planes)
    return Form(contraction, x, w, gemm, not planes, outputs if groups > 1 else 0)


def _with_epilogue(gemm: GemmProblem, problem: Correlation, planes: bool) -> GemmProblem:
    """The problem with the bias, along the rows of a result in planes, and the activation."""
    has_bias = problem.bias is not None
    signature = replace(
        gemm.signature,
        bias=has_bias,
        activation=problem.activation,
        bias_by_row=planes and has_bias,
        bias_batched=problem.groups > 1 and has_bias,
    )
    return replace(gemm, signature=signature)


def _plane(problem: Correlation) -> bool:
    height, width = problem.out_size
    return problem.batch > 1 and height * width >= _MIN_PLANE


def weights_form_of(problem: WeightCorrelation, *, bounded: bool = True) -> Form:
    """The product of a gradient of weights: the sum is over all pixels of all images."""
    x, dw, dout = problem.x, problem.dw, problem.dout
    kernel, size = (dw.shape[3], dw.shape[4]), (dout.shape[3], dout.shape[4])
    forms = (
        _weights_form(problem, image, other)
        for image in (in_place(x, problem.taps, kernel, size), padded(x, problem.taps, kernel, size))
        for other in (in_place(dout, Taps(), (1, 1), size), padded(dout, Taps(), (1, 1), size))
        if image is not None and other is not None and (image.bounds is None or bounded)
    )
    by_vec4s: dict[tuple[bool, bool], Form] = {}
    for form in forms:
        signature = form.problem.signature
        if form.x.bounds is None or (signature.b_vec4 and not signature.b_along_k):
            by_vec4s.setdefault((signature.a_vec4, signature.b_vec4), form)
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
        x.bounded("b", pixels=False),
    )
    return Form(
        contraction, x, dout, contraction.problem(problem.dtype, dw.shape[0]), False, names=("x", "dout")
    )


def _turned(side: Side) -> Side:
    return side._replace(rows=side.cols, cols=side.rows)


# Launches.


def plan_of(device: Device, form: Form) -> GemmPlan:
    """The kernel of a product, and its split-K."""
    return select.plan(device, form.problem)


def run_form(device: Device, form: Form, plan: GemmPlan, out: Array, bias: Array | None = None) -> None:
    """Launches a product, and the copies that it reads."""
    image, other = packed(form.x), packed(form.other)
    a, b = (image, other) if form.x_is_a else (other, image)
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


def packed(source: Source) -> Buffer:
    """What the product reads: a new copy, or the array itself."""
    if source.packing is None:
        return source.array.buffer
    nbytes = source.elements * source.array.kind.itemsize
    return pack.pack(source.array, source.packing, nbytes, operation="packed for implicit GEMM")


def _run(device: Device, problem: Correlation) -> None:
    form = form_of(problem)
    run_form(device, form, plan_of(device, form), problem.out, problem.bias)


def _run_weights(device: Device, problem: WeightCorrelation) -> None:
    form = weights_form_of(problem)
    run_form(device, form, plan_of(device, form), problem.dw)


def refusal_of(device: Device, form: Form, dtype: Dtype) -> str | None:
    """Why the device cannot hold the packed copies, if it cannot."""
    limit = min(device.limits.binding_bytes, device.limits.buffer_bytes)
    nbytes = max(form.x.elements, form.other.elements) * dtype.itemsize
    return None if nbytes <= limit else f"a packed copy of {nbytes} bytes exceeds {limit} bytes, a binding"


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
    lambda device, problem: refusal_of(device, form_of(problem), problem.dtype),
    lambda device, problem: seconds_of(device, form_of(problem), problem.dtype),
    _run,
    lambda device, problem: described(device, form_of(problem)),
    _variants,
)
WEIGHT_ALGORITHM = Algorithm[WeightCorrelation](
    "implicit_gemm",
    lambda device, problem: refusal_of(device, weights_form_of(problem), problem.dtype),
    lambda device, problem: seconds_of(device, weights_form_of(problem), problem.dtype),
    _run_weights,
    lambda device, problem: described(device, weights_form_of(problem)),
    _variants,
)
