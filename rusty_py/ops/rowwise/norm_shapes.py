"""Which axes norms are over: the last ones, or groups of channels."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from rusty_py.arrays import Array
from rusty_py.errors import ShapeError
from rusty_py.ops.rowwise.kernel import Groups
from rusty_py.views import Shape


def split_groups(x: Array, num_groups: int) -> Array:
    """(batch, groups, elements of a group)."""
    return x.reshape(x.shape[0], num_groups, prod(x.shape[1:]) // num_groups)


def groups_of(shape: Shape, num_groups: int) -> Groups:
    """How channels are divided. Raises ShapeError where they are not."""
    if len(shape) < 2:
        raise ShapeError(f"group_norm: needs 2 axes or more, (batch, channels, ...): shape {shape}")
    if num_groups < 1 or shape[1] % num_groups:
        raise ShapeError(f"group_norm: channels are not divisible: {shape[1]} by {num_groups} groups")
    return Groups(num_groups, max(1, prod(shape[2:])))


def normalized_axes(name: str, shape: Shape, affine: Sequence[Shape], sizes: Shape | None) -> Shape:
    """The last axes, those of `sizes`. Raises ShapeError where the shapes end in others."""
    if sizes is None:
        sizes = affine[0] if affine else shape[-1:]
    count = len(sizes)
    if not count or shape[-count:] != sizes:
        raise ShapeError(
            f"{name}: the last axes are not the normalized ones: {shape} does not end in {sizes}"
        )
    for each in affine:
        if each != sizes:
            raise ShapeError(f"{name}: weight and bias have the normalized shape: {each}, not {sizes}")
    return tuple(range(len(shape) - count, len(shape)))
