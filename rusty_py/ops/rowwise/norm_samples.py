"""What norms are tried with, and what comes of it in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from rusty_py import samples
from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.ops.rowwise import bounds
from rusty_py.ops.rowwise.norm_shapes import normalized_axes
from rusty_py.oracle import Expected
from rusty_py.samples import Sample, Values
from rusty_py.views import Shape


def norm_samples(name: str, vectors: int, *, g: bool) -> Iterator[Sample]:
    """Rows of layer_norm or rms_norm, with a gradient `g` of their results or without."""
    for kind, shape in ((F32, (3, 132)), (F16, (9, 13))):
        operands = norm_operands(vectors, g, kind, shape)
        options = {"normalized_shape": shape[1:], "eps": 1e-3}
        yield Sample(f"{name} {kind.name} of {shape}", operands, options)


def group_samples(name: str, *, gradient: bool) -> Iterator[Sample]:
    """Groups of group_norm, or of its gradient."""
    for kind, shape, groups in ((F32, (2, 6, 5, 4), 2), (F16, (2, 6, 5), 3)):
        operands = group_operands(gradient, kind, shape)
        options = {"num_groups": groups, "eps": 1e-3}
        yield Sample(f"{name} {kind.name} of {shape}, {groups} groups", operands, options)


def norm_operands(vectors: int, g: bool, kind: Dtype, shape: Shape, *, seed: int = 0) -> tuple[Values, ...]:
    """x, the gradient `g` of its result, and the vectors."""
    shapes = [shape, *[shape] * g, *[shape[-1:]] * vectors]
    return tuple(samples.values(kind, *each, seed=seed + i) for i, each in enumerate(shapes))


def group_operands(gradient: bool, kind: Dtype, shape: Shape, *, seed: int = 0) -> tuple[Values, ...]:
    """x, with g if it is for a gradient, and an element for each channel of each vector."""
    shapes = [shape, *[shape] * gradient, *[shape[1:2]] * (1 if gradient else 2)]
    return tuple(samples.values(kind, *each, seed=seed + i) for i, each in enumerate(shapes))


def norm_reference(
    compute: Callable[..., Any],
    name: str,
    x: Values,
    *affine: Values,
    normalized_shape: Shape | None = None,
    eps: float | None = 1e-5,
) -> Any:
    """`compute`, of bounds.py, for the options of layer_norm and rms_norm, and their gradients."""
    shapes = [] if compute in OF_GRADIENTS + OF_SUMS else [each.shape for each in affine]
    axes = normalized_axes(name, x.shape, shapes, normalized_shape)
    epsilon = float(np.finfo(x.dtype).eps) if eps is None else eps
    return compute(x, *affine, axes=axes, eps=epsilon, centred=name != "rms_norm")


def group_reference(
    compute: Callable[..., Any], x: Values, *others: Values, num_groups: int, eps: float = 1e-5
) -> Any:
    """`compute`, of bounds.py, for the options of group_norm and its gradient."""
    split = (x.shape[0], num_groups, x.shape[1] // num_groups, *x.shape[2:])
    channels = (num_groups, split[2], *[1] * (x.ndim - 2))
    arrays = [each.reshape(split if each.shape == x.shape else channels) for each in (x, *others)]
    found = compute(*arrays, axes=tuple(range(2, len(split))), eps=eps, centred=True)
    if isinstance(found, Expected):
        assert found.bound is not None
        return Expected(found.reference.reshape(x.shape), found.bound.reshape(x.shape))
    return found.reshape(x.shape)


OF_GRADIENTS = (bounds.scaled_norm_gradient, bounds.expected_norm_gradient)
OF_SUMS = (bounds.norm_sums, bounds.expected_norm_sums)


def by_reference(function: Callable[..., Expected], sample: Sample) -> Expected:
    """What `function` says of a sample."""
    return function(*sample.operands, **sample.options)
