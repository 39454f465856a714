"""Correlations, and gradients of weights, as products of matrices: their sizes, strides and sources."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rusty_py.arrays import Array
from rusty_py.gemm.compound import Contraction, Side, Triple
from rusty_py.gemm.problem import GemmProblem
from rusty_py.ops.conv.correlation import Correlation, Taps, WeightCorrelation
from rusty_py.ops.conv.implicit_gemm.sources import OperandSource, in_place, padded, weights

_MIN_PLANE = 1024
"""Results in planes of at least so many pixels are a product each, where that leaves plain matrices."""


@dataclass(frozen=True, eq=False)
class Product:
    """A correlation as a product of matrices: where it reads its operands, and where it writes.

    `x_is_a`: the image is a, so that the rows are pixels; else it is b. `other` is the other operand, whose
    name is `other_name`.
    """

    contraction: Contraction
    problem: GemmProblem
    x: OperandSource
    other: OperandSource
    other_name: str
    out: Array
    x_is_a: bool = False
    bias: Array | None = None
    bias_stride: int = 0

    @property
    def packed_sources(self) -> dict[str, OperandSource]:
        """Those that are copied first, by name."""
        sources = {"x": self.x, self.other_name: self.other}
        return {name: source for name, source in sources.items() if source.packing is not None}


def product_of(problem: Correlation) -> Product:
    """The product of a correlation: the image is read in place where all loads are vec4s."""
    taps, kernel, size = problem.taps, problem.kernel, problem.out_size
    source = in_place(problem.x, taps, kernel, size)
    if source is not None:
        product = _product(problem, source)
        signature = product.problem.signature
        vec4, along_k = (
            (signature.a_vec4, signature.a_along_k)
            if product.x_is_a
            else (signature.b_vec4, signature.b_along_k)
        )
        if vec4 and (along_k or source.bounds is None):
            return product
    return _product(problem, padded(problem.x, taps, kernel, size))


def _product(problem: Correlation, x: OperandSource) -> Product:
    batch, groups, outputs = problem.batch, problem.groups, problem.outputs
    planes = problem.out.strides[2] != 1
    # One product for each group, or for each image.
    by_image = planes and _has_large_planes(problem) and x.packing is None and x.bounds is None
    products = batch if by_image else groups

    # The axes of the matrices: pixels, outputs, and taps along k.
    pixels = Triple(1 if by_image else batch, *problem.out_size)
    channels = Triple(1, 1, outputs)
    taps = Triple(*problem.kernel, x.channels)
    w, out = weights(problem.w, x.channels), problem.out.strides
    image = Side(x.pixels, x.taps, x.start, x.strides[0] if by_image else x.group)
    kernels = Side(
        Triple(w.strides[3], w.strides[4], w.strides[2]),
        Triple(0, 0, w.strides[0]),
        w.start,
        0 if by_image else w.group,
        padded=w.packing is not None,
    )
    result = Side(
        Triple(out[0], out[3], out[4]),
        Triple(0, 0, out[2]),
        problem.out.offset,
        out[0] if by_image else out[1],
    )

    # Rows of c are contiguous: they are pixels of a plane, or outputs of a pixel.
    if planes:
        sides = _transposed(kernels), _transposed(image), _transposed(result)
        contraction = Contraction(channels, pixels, taps, *sides, x.bounded("b", pixels=True))
    else:
        bounds = x.bounded("a", pixels=True)
        contraction = Contraction(pixels, channels, taps, image, kernels, result, bounds)
    return Product(
        contraction,
        _with_epilogue(contraction.problem(problem.dtype, products), problem, planes),
        x,
        w,
        "w",
        problem.out,
        x_is_a=not planes,
        bias=problem.bias,
        bias_stride=outputs if groups > 1 else 0,
    )


def _has_large_planes(problem: Correlation) -> bool:
    """Whether the images of a 1x1 convolution without groups are large enough for a product each."""
    height, width = problem.out_size
    pointwise = problem.kernel == (1, 1) and problem.groups == 1
    return pointwise and problem.batch > 1 and height * width >= _MIN_PLANE


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


def _transposed(side: Side) -> Side:
    return side._replace(rows=side.cols, cols=side.rows)


def weights_product_of(problem: WeightCorrelation) -> Product:
    """The product of a gradient of weights: the sum is over all pixels of all images.

    Of the ways to read the operands, in place first, it is the one with the most vec4 loads.
    """
    x, dw, dout = problem.x, problem.dw, problem.dout
    kernel, size = (dw.shape[3], dw.shape[4]), (dout.shape[3], dout.shape[4])
    products = (
        _weights_product(problem, image, gradient)
        for image in (in_place(x, problem.taps, kernel, size), padded(x, problem.taps, kernel, size))
        for gradient in (in_place(dout, Taps(), (1, 1), size), padded(dout, Taps(), (1, 1), size))
        if image is not None and gradient is not None
    )
    by_vec4s: dict[tuple[bool, bool], Product] = {}
    for product in products:
        signature = product.problem.signature
        if product.x.bounds is None or (signature.b_vec4 and not signature.b_along_k):
            by_vec4s.setdefault((signature.a_vec4, signature.b_vec4), product)
    return by_vec4s[max(by_vec4s)]


def _weights_product(problem: WeightCorrelation, x: OperandSource, dout: OperandSource) -> Product:
    dw = problem.dw
    outputs, pixels = Triple(1, 1, dw.shape[1]), Triple(problem.dout.shape[0], *problem.dout.shape[3:])
    taps = Triple(dw.shape[3], dw.shape[4], dw.shape[2])
    gradient = Side(
        Triple(0, 0, dout.strides[2]), dout.pixels, dout.start, dout.group, padded=dout.packing is not None
    )
    image = Side(x.pixels, x.taps, x.start, x.group)
    result = Side(
        Triple(0, 0, dw.strides[1]),
        Triple(dw.strides[3], dw.strides[4], dw.strides[2]),
        dw.offset,
        dw.strides[0],
    )
    contraction = Contraction(outputs, taps, pixels, gradient, image, result, x.bounded("b", pixels=False))
    return Product(contraction, contraction.problem(problem.dtype, dw.shape[0]), x, dout, "dout", dw)
