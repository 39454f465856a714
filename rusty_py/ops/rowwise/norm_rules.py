"""The gradient rules of norms: that of x is one launch, those of weight and bias are sums over rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rusty_py.arrays import Array
from rusty_py.layout import Layout
from rusty_py.operation import OPERATIONS, apply
from rusty_py.ops.rowwise.norm_shapes import normalized_axes, split_groups
from rusty_py.views import Shape


def norm_rule(
    name: str,
    g: Array,
    _out: Layout,
    x: Array,
    *affine: Array,
    wanted: Sequence[bool],
    normalized_shape: Shape | None = None,
    eps: float | None = 1e-5,
) -> Sequence[Array | None]:
    """The gradients of x, weight and bias of layer_norm or rms_norm."""
    axes = normalized_axes(name, x.shape, [each.shape for each in affine], normalized_shape)
    options: dict[str, Any] = {
        "normalized_shape": x.shape[axes[0] :],
        "eps": x.kind.eps if eps is None else eps,
    }
    found: list[Array | None] = [None] * (1 + len(affine))
    if wanted[0]:
        found[0] = apply(OPERATIONS[f"{name}_gradient"], x, g, *affine[:1], **options)
    if any(wanted[1:2]):
        sums = apply(OPERATIONS[f"{name}_sums"], x, g, **options)
        found[1:] = [sums[i].reshape(affine[0].shape) for i in range(len(affine))]
    elif any(wanted[1:]):
        found[2] = g.astype("f32", copy=False).sum(axis=tuple(range(axes[0])))
    return found


def sums_rule(
    name: str,
    u: Array,
    _out: Layout,
    x: Array,
    g: Array,
    *,
    wanted: Sequence[bool],
    normalized_shape: Shape,
    eps: float,
) -> Sequence[Array | None]:
    """The gradients of the sums over rows of g * z and of g, where z is the normalized x."""
    weight = u[0].reshape(normalized_shape)
    options: dict[str, Any] = {"normalized_shape": normalized_shape, "eps": eps}
    found: list[Array | None] = [None, None]
    if wanted[0]:
        found[0] = apply(OPERATIONS[f"{name}_gradient"], x, g, weight, **options)
    if wanted[1]:
        found[1] = apply(OPERATIONS[name], x.astype("f32", copy=False), **options) * weight
        if u.shape[0] > 1:
            found[1] = found[1] + u[1].reshape(normalized_shape)
    return found


def group_rule(
    g: Array,
    _out: Layout,
    x: Array,
    *affine: Array,
    wanted: Sequence[bool],
    num_groups: int,
    eps: float = 1e-5,
) -> Sequence[Array | None]:
    """The gradients of x, weight and bias of group_norm."""
    found: list[Array | None] = [None] * (1 + len(affine))
    if wanted[0]:
        found[0] = apply(OPERATIONS["group_norm_gradient"], x, g, *affine[:1], num_groups=num_groups, eps=eps)
    if any(wanted[1:]):
        rows, wide = (0, *range(2, x.ndim)), g.astype("f32", copy=False)
        normalized = apply(
            OPERATIONS["group_norm"], x.astype("f32", copy=False), num_groups=num_groups, eps=eps
        )
        found[1:] = [(wide * normalized).sum(axis=rows), wide.sum(axis=rows)][: len(affine)]
    return found


def norm_gradient_rule(
    name: str,
    u: Array,
    out: Array,
    x: Array,
    g: Array,
    *weight: Array,
    wanted: Sequence[bool],
    normalized_shape: Shape,
    eps: float,
) -> Sequence[Array | None]:
    """The gradients of A(x) h, where h = g * weight, and A is the symmetric matrix of the gradient of x.

    With z the normalized x, r = 1 / sqrt(variance + eps) and n elements of a row, the gradient of x is
    -r / n * (z <u, A h> + <h, z> A u + <u, z> A h): z changes by A times the change of x, r by -r^2 z / n.
    """
    x, u, g, out = (each.astype("f32", copy=False) for each in (x, u, g, out))
    options: dict[str, Any] = {"normalized_shape": normalized_shape, "eps": eps}
    axes = normalized_axes(name, x.shape, (), normalized_shape)
    of_u = apply(OPERATIONS[f"{name}_gradient"], x, u, **options)
    scaled = g * weight[0] if weight else g
    found: list[Array | None] = [None, of_u * weight[0] if weight else of_u]
    if wanted[0]:
        z = apply(OPERATIONS[name], x, **options)
        centred = x - x.mean(axis=axes, keepdims=True) if name == "layer_norm" else x
        r = ((centred * centred).mean(axis=axes, keepdims=True) + eps) ** -0.5
        terms = z * _mean(u * out, axes) + of_u * _mean(scaled * z, axes) + out * _mean(u * z, axes)
        found[0] = -r * terms
    return [*found, *[(g * of_u).sum(axis=tuple(range(axes[0]))) for _ in weight]]


def group_gradient_rule(
    u: Array,
    out: Array,
    x: Array,
    g: Array,
    *weight: Array,
    wanted: Sequence[bool],
    num_groups: int,
    eps: float,
) -> Sequence[Array | None]:
    """By that of layer_norm, of groups as rows."""
    u, g = (each.astype("f32", copy=False) for each in (u, g))
    channels = [each.reshape(-1, *[1] * (x.ndim - 2)) for each in weight]
    scaled = g * channels[0] if channels else g
    rows = [split_groups(each, num_groups) for each in (u, out, x, scaled)]
    of_x, of_scaled = norm_gradient_rule(
        "layer_norm", *rows, wanted=wanted, normalized_shape=rows[2].shape[2:], eps=eps
    )
    assert of_scaled is not None
    of_u = of_scaled.reshape(x.shape)
    found = [of_x if of_x is None else of_x.reshape(x.shape), of_u * channels[0] if channels else of_u]
    return [*found, *[(g * of_u).sum(axis=(0, *range(2, x.ndim))) for _ in weight]]


def _mean(x: Array, axes: Shape) -> Array:
    return x.mean(axis=axes, keepdims=True)
