"""Gradient rules of reductions; g and out have the reduced axes kept, of size 1."""

from math import inf, prod
from typing import Any

from rusty_py.arrays import Array
from rusty_py.operation import OPERATIONS, apply
from rusty_py.ops.views import broadcast_to
from rusty_py.ops.where import where
from rusty_py.views import Shape


def of_sum(g: Array, _out: Any, _x: Any, *, axes: Shape) -> Array:
    """A view that repeats g."""
    return broadcast_to(g, _x.shape)


def of_mean(g: Array, _out: Any, _x: Any, *, axes: Shape) -> Array:
    """Equal parts of g."""
    return broadcast_to(g / prod(_x.shape[axis] for axis in axes), _x.shape)


def of_extreme(g: Array, out: Array, x: Array, *, axes: Shape) -> Array:
    """The gradient to the elements that are the result, in equal parts."""
    wins = x == out
    share = apply(OPERATIONS["sum"], wins, axis=axes, dtype=x.kind, keepdims=True)
    return where(wins, g / share, 0.0)


def _reduced(name: str, x: Array, axes: Shape) -> Array:
    return apply(OPERATIONS[name], x, axis=axes, keepdims=True)


def of_prod(g: Array, out: Array, x: Array, *, axes: Shape) -> Array:
    """The product of the others: out / x without zeros; at a single zero, what is left; else zero."""
    zero = x == 0
    zeros = apply(OPERATIONS["sum"], zero, axis=axes, keepdims=True)
    others = _reduced("prod", where(zero, 1.0, x), axes)
    at_zero = where(zero, where(zeros == 1, g * others, 0.0), 0.0)
    return where(zeros == 0, g * others / where(zero, 1.0, x), at_zero)


def of_var(g: Array, _out: Any, x: Array, *, axes: Shape, correction: float = 0) -> Array:
    """2 (x - mean) / (n - correction)."""
    count = prod(x.shape[axis] for axis in axes)
    return g * (x - _reduced("mean", x, axes)) * (2 / _divisor(count, correction))


def of_std(g: Array, out: Array, x: Array, *, axes: Shape, correction: float = 0) -> Array:
    """(x - mean) / ((n - correction) std), and zero where that is zero."""
    count = prod(x.shape[axis] for axis in axes)
    scale = where(out == 0, 0.0, g / where(out == 0, 1.0, out))
    return scale * (x - _reduced("mean", x, axes)) * (1 / _divisor(count, correction))


def _divisor(count: int, correction: float) -> float:
    return count - correction if count > correction else float("nan")


def of_logsumexp(g: Array, out: Array, x: Array, *, axes: Shape) -> Array:
    """Softmax; zero where all elements are -inf."""
    nothing = out == -inf
    return where(nothing, 0.0, g * apply(OPERATIONS["exp"], x - where(nothing, 0.0, out)))


def of_vector_norm(g: Array, out: Array, x: Array, *, axes: Shape, ord: float = 2) -> Array | None:
    """x / norm, the sign, or that of the elements whose magnitude is the norm, shared evenly."""
    if ord == 0:
        return None
    if ord == 2:
        return where(out == 0, 0.0, g / where(out == 0, 1.0, out)) * x
    positive, negative = where(x > 0, g, 0.0), where(x < 0, g, 0.0)
    signed = positive - negative
    if ord == 1:
        return signed
    return of_extreme(signed, out, abs(x), axes=axes)
