"""layer_norm, rms_norm and group_norm: one launch each, and one for the gradient of x."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from numpy.typing import ArrayLike

from rusty_py.arrays import Array
from rusty_py.errors import DtypeError, ShapeError
from rusty_py.operation import OPERATIONS, Gradient, Operation, apply, public
from rusty_py.ops.creation import asarray, ones
from rusty_py.ops.joining import stack
from rusty_py.ops.rowwise import bounds
from rusty_py.ops.rowwise.kernel import RowFunction
from rusty_py.ops.rowwise.launches import launch_rows, launch_sums
from rusty_py.ops.rowwise.norm_rules import (
    group_gradient_rule,
    group_rule,
    norm_gradient_rule,
    norm_rule,
    sums_rule,
)
from rusty_py.ops.rowwise.norm_samples import (
    OF_GRADIENTS,
    OF_SUMS,
    by_reference,
    group_operands,
    group_reference,
    group_samples,
    norm_operands,
    norm_reference,
    norm_samples,
)
from rusty_py.ops.rowwise.norm_shapes import groups_of, normalized_axes, split_groups
from rusty_py.views import Shape, float_of, integer_of, shape_of

_MOMENTS = ("count", "mean", "squares")


def _gradient_function(name: str, fields: tuple[str, ...], text: str = "") -> RowFunction:
    """The gradient of x by that of the result, g, which is multiplied by the weight when it is loaded."""
    texts = (f"{text or name}_gradient",)
    return RowFunction(f"{name}_gradient", texts, ("x", "g"), fields, ("weight",), scaled="g")


_GROUP_NORM = RowFunction("group_norm", ("moments", "layer_norm"), ("x",), _MOMENTS, ("weight", "bias"))
_GROUP_GRADIENT = _gradient_function("group_norm", (*_MOMENTS, "mean_g", "products"), "layer_norm")


def layer_norm(
    x: Array | ArrayLike,
    weight: Array | ArrayLike | None = None,
    bias: Array | ArrayLike | None = None,
    *,
    normalized_shape: int | Sequence[int] | None = None,
    eps: float = 1e-5,
) -> Array:
    """(x - mean) / sqrt(variance + eps) * weight + bias, as torch.nn.functional.layer_norm.

    Mean and variance, with n in its denominator, are those of the last axes, whose sizes are
    `normalized_shape`: by default the shape of `weight` or `bias`, and the last axis without them. These are
    of that shape. x: float32 or float16, which is computed in f32; the result has its dtype.
    Raises ShapeError, DtypeError, LimitError, OutOfMemory.
    """
    x, affine = _arrays(x, weight, bias)
    return apply(
        LAYER_NORM,
        x,
        *affine,
        normalized_shape=_sizes(normalized_shape),
        eps=float_of(eps, "eps", operation="layer_norm"),
    )


def rms_norm(
    x: Array | ArrayLike,
    weight: Array | ArrayLike | None = None,
    *,
    normalized_shape: int | Sequence[int] | None = None,
    eps: float | None = None,
) -> Array:
    """x / sqrt(mean(x**2) + eps) * weight, as torch.nn.functional.rms_norm.

    The mean is that of the last axes, whose sizes are `normalized_shape`: by default the shape of `weight`,
    and the last axis without it. `eps` is the machine epsilon of x's dtype if None. x: float32 or float16,
    which is computed in f32; the result has its dtype.
    Raises ShapeError, DtypeError, LimitError, OutOfMemory.
    """
    x, affine = _arrays(x, weight, None)
    eps = None if eps is None else float_of(eps, "eps", operation="rms_norm")
    return apply(RMS_NORM, x, *affine, normalized_shape=_sizes(normalized_shape), eps=eps)


@public
def group_norm(
    x: Array | ArrayLike,
    num_groups: int,
    weight: Array | ArrayLike | None = None,
    bias: Array | ArrayLike | None = None,
    *,
    eps: float = 1e-5,
) -> Array:
    """(x - mean) / sqrt(variance + eps) * weight + bias, as torch.nn.functional.group_norm.

    x: (batch, channels, ...). Mean and variance are those of each of `num_groups` groups of consecutive
    channels; `weight` and `bias` have an element for each channel. x: float32 or float16, which is computed
    in f32; the result has its dtype. Raises ShapeError, DtypeError, LimitError, OutOfMemory.
    """
    x, affine = _arrays(x, weight, bias)
    count = integer_of(num_groups, "the number of groups", operation="group_norm")
    return apply(GROUP_NORM, x, *affine, num_groups=count, eps=float_of(eps, "eps", operation="group_norm"))


def _arrays(
    x: Array | ArrayLike, weight: Array | ArrayLike | None, bias: Array | ArrayLike | None
) -> tuple[Array | ArrayLike, list[Array | ArrayLike]]:
    """x, and weight and bias as far as they are given; a bias alone gets a weight of ones."""
    if bias is None:
        return x, [] if weight is None else [weight]
    if weight is None:
        x = asarray(x)
        bias = asarray(bias, device=x.device)
        weight = ones(bias.shape, dtype=bias.kind, device=x.device)
    return x, [weight, bias]


def _sizes(normalized_shape: int | Sequence[int] | None) -> Shape | None:
    if normalized_shape is None:
        return None
    return shape_of(normalized_shape, operation="normalized_shape")


# What is launched.


def _forward(
    function: RowFunction,
    x: Array,
    *affine: Array,
    normalized_shape: Shape | None = None,
    eps: float | None = 1e-5,
) -> Array:
    _check_dtypes(function.name, x, affine)
    axes = normalized_axes(function.name, x.shape, [each.shape for each in affine], normalized_shape)
    epsilon = x.kind.eps if eps is None else eps
    return launch_rows(function, (x,), axes, vectors=[_flat(each) for each in affine], epsilon=epsilon)


def _forward_group(x: Array, *affine: Array, num_groups: int, eps: float = 1e-5) -> Array:
    _check_dtypes("group_norm", x, affine)
    groups = groups_of(x.shape, num_groups)
    for each in affine:
        if each.shape != x.shape[1:2]:
            raise ShapeError(
                f"group_norm: weight and bias have an element for each channel: {each.shape} for {x.shape}"
            )
    split = split_groups(x, num_groups)
    out = launch_rows(_GROUP_NORM, (split,), (2,), vectors=affine, epsilon=eps, groups=groups)
    return out.reshape(x.shape)


def _forward_gradient(
    function: RowFunction, x: Array, g: Array, *weight: Array, normalized_shape: Shape, eps: float
) -> Array:
    axes = normalized_axes(function.name, x.shape, (), normalized_shape)
    return launch_rows(function, (x, g), axes, vectors=[_flat(each) for each in weight], epsilon=eps)


def _forward_sums(function: RowFunction, x: Array, g: Array, *, normalized_shape: Shape, eps: float) -> Array:
    name = function.name.removesuffix("_sums")
    axes = normalized_axes(name, x.shape, (), normalized_shape)
    found = launch_sums(function, x, g, axes, eps)
    if found is not None:
        return found.sum(axis=0)
    g = g.astype("f32", copy=False)
    normalized = apply(
        OPERATIONS[name], x.astype("f32", copy=False), normalized_shape=normalized_shape, eps=eps
    )
    terms = [g * normalized, g][: len(function.vectors)]
    return stack([_flat(each.sum(axis=tuple(range(axes[0])))) for each in terms])


def _forward_group_gradient(x: Array, g: Array, *weight: Array, num_groups: int, eps: float) -> Array:
    operands = [split_groups(each, num_groups) for each in (x, g)]
    groups = groups_of(x.shape, num_groups)
    out = launch_rows(_GROUP_GRADIENT, operands, (2,), vectors=weight, epsilon=eps, groups=groups)
    return out.reshape(x.shape)


def _flat(x: Array) -> Array:
    """The elements along one axis."""
    return x if x.ndim == 1 else x.reshape(-1)


def _check_dtypes(name: str, x: Array, affine: Sequence[Array]) -> None:
    for each in (x, *affine):
        if each.kind.kind != "f":
            raise DtypeError(f'{name}: not for {each.kind.name}: convert with .astype("f32")')


FUNCTIONS = {each.name: each for each in (_GROUP_NORM, _GROUP_GRADIENT)}
"""What is computed of rows, by the names of operations."""


def _operation(function: RowFunction, public: Callable[..., Array] | None) -> Operation:
    """The record of layer_norm or rms_norm, or of the gradient of its x."""
    FUNCTIONS[function.name] = function
    gradient, name = public is None, function.name.removesuffix("_gradient")
    reference, expected = OF_GRADIENTS if gradient else (bounds.affine_norm, bounds.expected_norm)
    rule = partial(norm_gradient_rule, name) if gradient else partial(norm_rule, name)
    eps = None if name == "rms_norm" else 1e-5  # The default.
    return OPERATIONS.add(
        Operation(
            function.name,
            partial(_forward_gradient if gradient else _forward, function),
            function=public,
            kinds="f",
            samples=partial(norm_samples, function.name, len(function.vectors), g=gradient),
            operands=partial(norm_operands, len(function.vectors), gradient),
            expected=partial(by_reference, partial(norm_reference, expected, name, eps=eps)),
            reference=partial(norm_reference, reference, name, eps=eps),
            gradient=Gradient(joint=rule),
        )
    )


def _sums_of(norm: RowFunction) -> Operation:
    """The record of the sums over rows that are the gradients of a norm's weight and bias."""
    name = f"{norm.name}_sums"
    function = FUNCTIONS[name] = replace(norm, name=name, operands=("x", "g"))
    reference, expected = (partial(norm_reference, each, norm.name) for each in OF_SUMS)
    return OPERATIONS.add(
        Operation(
            name,
            partial(_forward_sums, function),
            kinds="f",
            samples=partial(norm_samples, name, 0, g=True),
            operands=partial(norm_operands, 0, True),
            expected=partial(by_reference, expected),
            reference=reference,
            gradient=Gradient(joint=partial(sums_rule, norm.name)),
        )
    )


LAYER_NORM = _operation(
    RowFunction("layer_norm", ("moments", "layer_norm"), ("x",), _MOMENTS, ("weight", "bias")), layer_norm
)
RMS_NORM = _operation(RowFunction("rms_norm", ("rms_norm",), ("x",), ("squares",), ("weight",)), rms_norm)
LAYER_NORM_GRADIENT = _operation(_gradient_function("layer_norm", (*_MOMENTS, "mean_g", "products")), None)
LAYER_NORM_SUMS, RMS_NORM_SUMS = map(_sums_of, (FUNCTIONS["layer_norm"], FUNCTIONS["rms_norm"]))
RMS_NORM_GRADIENT = _operation(_gradient_function("rms_norm", ("squares", "products")), None)
GROUP_NORM = OPERATIONS.add(
    Operation(
        "group_norm",
        _forward_group,
        kinds="f",
        samples=partial(group_samples, "group_norm", gradient=False),
        operands=partial(group_operands, False),
        expected=partial(by_reference, partial(group_reference, bounds.expected_norm)),
        reference=partial(group_reference, bounds.affine_norm),
        gradient=Gradient(joint=group_rule),
    )
)
GROUP_NORM_GRADIENT = OPERATIONS.add(
    Operation(
        "group_norm_gradient",
        _forward_group_gradient,
        kinds="f",
        samples=partial(group_samples, "group_norm_gradient", gradient=True),
        operands=partial(group_operands, True),
        expected=partial(by_reference, partial(group_reference, bounds.expected_norm_gradient)),
        reference=partial(group_reference, bounds.scaled_norm_gradient),
        gradient=Gradient(joint=group_gradient_rule),
    )
)
