"""softmax and log_softmax: one launch each, and one for the gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from rusty_py import samples
from rusty_py.arrays import Array
from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.errors import DtypeError
from rusty_py.layout import Layout
from rusty_py.operation import OPERATIONS, Gradient, Operation, apply
from rusty_py.ops.rowwise import bounds
from rusty_py.ops.rowwise.kernel import RowFunction
from rusty_py.ops.rowwise.launches import launch_rows
from rusty_py.oracle import Expected
from rusty_py.samples import Sample, Values
from rusty_py.views import Shape, axis_key, axis_of


def softmax(x: Array | ArrayLike, /, axis: int = -1) -> Array:
    """exp(x) / sum(exp(x)) along `axis`, without overflow: the largest element is subtracted first.

    x: float32 or float16, which is computed in f32. A row of -infinity gives 0; a row with NaN or infinity
    gives NaN. Raises DtypeError, ShapeError, LimitError, OutOfMemory.
    """
    return apply(SOFTMAX, x, axis=axis_key(axis, operation="softmax"))


def log_softmax(x: Array | ArrayLike, /, axis: int = -1) -> Array:
    """log(softmax(x)) along `axis`, without the rounding and underflow of softmax.

    x: float32 or float16, which is computed in f32. A row of -infinity stays as it is; a row with NaN or
    infinity gives NaN. Raises DtypeError, ShapeError, LimitError, OutOfMemory.
    """
    return apply(LOG_SOFTMAX, x, axis=axis_key(axis, operation="log_softmax"))


def _along(function: RowFunction, *operands: Array, axis: int = -1) -> Array:
    first = operands[0]
    if first.kind.kind != "f":
        raise DtypeError(f'{function.name}: not for {first.kind.name}: convert with .astype("f32")')
    return launch_rows(function, operands, (axis_of(axis, first.ndim, operation=function.name),))


# Gradients: one launch each. Their own gradients are composed, in f32.


def _rule_of_softmax(g: Array, y: Array, _x: Layout, *, axis: int = -1) -> Array:
    return apply(SOFTMAX_GRADIENT, y, g, axis=axis)


def _rule_of_log_softmax(g: Array, y: Array, _x: Layout, *, axis: int = -1) -> Array:
    return apply(LOG_SOFTMAX_GRADIENT, y, g, axis=axis)


def _softmax_gradient_by_y(u: Array, _out: Layout, y: Array, g: Array, *, axis: int = -1) -> Array:
    u, y, g = (each.astype("f32", copy=False) for each in (u, y, g))
    return u * (g - _total(g * y, axis)) - g * _total(u * y, axis)


def _softmax_gradient_by_g(u: Array, _out: Layout, y: Array, _g: Layout, *, axis: int = -1) -> Array:
    return apply(SOFTMAX_GRADIENT, y, u, axis=axis)


def _log_softmax_gradient_by_y(u: Array, _out: Layout, y: Array, g: Array, *, axis: int = -1) -> Array:
    u, y, g = (each.astype("f32", copy=False) for each in (u, y, g))
    return -u * apply(OPERATIONS["exp"], y) * _total(g, axis)


def _log_softmax_gradient_by_g(u: Array, _out: Layout, y: Array, _g: Layout, *, axis: int = -1) -> Array:
    u, y = (each.astype("f32", copy=False) for each in (u, y))
    return u - _total(u * apply(OPERATIONS["exp"], y), axis)


def _total(x: Array, axis: int) -> Array:
    return x.sum(axis=axis, keepdims=True)


# What to try them with, and what comes of it.


def _samples(name: str, arity: int) -> Iterator[Sample]:
    cases = [(F32, (3, 132), -1), (F16, (9, 13), -1), *[(F32, (13, 30), 0)] * (name == "softmax")]
    for kind, shape, axis in cases:
        operands = (_logits if arity == 1 else _results)(name, kind, shape, axis=axis)
        yield Sample(f"{name} {kind.name} of {shape} over {axis}", operands, {"axis": axis})


def _logits(_: str, kind: Dtype, shape: Shape, *, axis: int) -> tuple[Values, ...]:
    """Some as large as in trained networks, some -infinity, as of a mask, and a row of these."""
    x = samples.values(kind, *shape)
    rows = np.moveaxis(x, axis, -1)
    rows[0] *= 80
    rows[1, ::3] = -np.inf
    rows[2] = -np.inf
    return (x,)


def _results(name: str, kind: Dtype, shape: Shape, *, axis: int, seed: int = 0) -> tuple[Values, ...]:
    """A result of softmax or log_softmax, and a gradient of it."""
    function = bounds.softmax if name == "softmax_gradient" else bounds.log_softmax
    y = function(samples.values(kind, *shape, seed=seed), axis=axis).astype(kind.numpy)
    return y, samples.values(kind, *shape, seed=seed + 1)


def _operands(kind: Dtype, shape: Shape, *, seed: int) -> tuple[Values, ...]:
    return (samples.values(kind, *shape, seed=seed),)


FUNCTIONS: dict[str, RowFunction] = {}
"""What is computed of rows, by the names of operations."""


def _operation(
    function: RowFunction,
    public: Callable[..., Array] | None,
    reference: Callable[..., Values],
    expected: Callable[..., Expected],
    gradient: Gradient,
) -> Operation:
    FUNCTIONS[function.name], arity = function, len(function.operands)
    return OPERATIONS.add(
        Operation(
            function.name,
            partial(_along, function),
            function=public,
            kinds="f",
            samples=partial(_samples, function.name, arity),
            operands=_operands if arity == 1 else partial(_results, function.name, axis=-1),
            expected=lambda sample: expected(*sample.operands, **sample.options),
            reference=reference,
            gradient=gradient,
            smooth=_operands if arity == 1 else None,
        )
    )


SOFTMAX = _operation(
    RowFunction("softmax", ("exponentials", "softmax"), ("x",), ("largest", "sum")),
    softmax,
    bounds.softmax,
    bounds.expected_softmax,
    Gradient(_rule_of_softmax),
)
LOG_SOFTMAX = _operation(
    RowFunction("log_softmax", ("exponentials", "log_softmax"), ("x",), ("largest", "sum")),
    log_softmax,
    bounds.log_softmax,
    bounds.expected_log_softmax,
    Gradient(_rule_of_log_softmax),
)
SOFTMAX_GRADIENT = _operation(
    RowFunction("softmax_gradient", ("softmax_gradient",), ("y", "g"), ("sum",)),
    None,
    bounds.softmax_gradient,
    bounds.expected_softmax_gradient,
    Gradient(_softmax_gradient_by_y, _softmax_gradient_by_g),
)
LOG_SOFTMAX_GRADIENT = _operation(
    RowFunction("log_softmax_gradient", ("log_softmax_gradient",), ("y", "g"), ("sum",)),
    None,
    bounds.log_softmax_gradient,
    bounds.expected_log_softmax_gradient,
    Gradient(_log_softmax_gradient_by_y, _log_softmax_gradient_by_g),
)
