"""Gradients of functions: `grad` and `value_and_grad`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from rusty_py.arrays import Array
from rusty_py.autograd.nodes import Leaf, leaf_of
from rusty_py.autograd.propagation import graph_of, propagated, seed_of
from rusty_py.autograd.recording import recording, recording_again
from rusty_py.errors import DtypeError, ShapeError, UnsupportedError
from rusty_py.ops.creation import asarray, zeros
from rusty_py.views import integers_of

_OF_A_TREE = (Array, np.ndarray, dict, list, tuple)
"""What makes a list or tuple a structure of arrays; one of numbers is an array-like."""


def value_and_grad(
    function: Callable[..., Any], argnums: int | Sequence[int] = 0, *, has_aux: bool = False
) -> Callable[..., tuple[Any, Any]]:
    """A function that returns `function(*args)`, a number, and its gradients for the arguments `argnums`.

    Arguments at `argnums` are float arrays or array-likes, or lists, tuples and dicts of them; the gradients
    have the same structure, one for an int and a tuple for several. With `has_aux`, `function` returns
    (number, more), and so does the value. May be nested for higher derivatives. Raises ShapeError where the
    result is no single number, DtypeError for integers, UnsupportedError for what has no gradient.
    """
    several = isinstance(argnums, Iterable)
    positions = integers_of(argnums, "an argument's position", operation="grad")

    def differentiated(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        arguments: list[Any] = list(args)
        leaves: list[Array] = []
        for position in positions:
            if not -len(args) <= position < len(args):
                raise ShapeError(f"grad: no argument {position} to differentiate for: {len(args)} are given")
            arguments[position] = _mapped(arguments[position], lambda x: _new_leaf(x, leaves))
        differentiable = recording()
        with recording_again():
            result = function(*arguments, **kwargs)
        value, more = _with_more(result) if has_aux else (result, None)
        value, gradients = _gradients_of(value, leaves, differentiable=differentiable)
        remaining = iter(gradients)
        found = [_mapped(arguments[position], lambda _: next(remaining)) for position in positions]
        return (value, more) if has_aux else value, tuple(found) if several else found[0]

    return differentiated


def grad(function: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """A function that returns the gradients of `function` for its arguments `argnums`: `value_and_grad`."""
    both = value_and_grad(function, argnums)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        return both(*args, **kwargs)[1]

    return gradient


def _mapped(tree: Any, function: Callable[[Any], Any]) -> Any:
    """`tree` with the function of each array in it, also in lists, tuples and dicts of arrays."""
    if isinstance(tree, dict):
        return {key: _mapped(each, function) for key, each in tree.items()}
    if isinstance(tree, list | tuple) and any(isinstance(each, _OF_A_TREE) for each in tree):
        mapped = [_mapped(each, function) for each in tree]
        return type(tree)(*mapped) if hasattr(tree, "_fields") else type(tree)(mapped)  # A named tuple.
    return function(tree)


def _with_more(result: Any) -> tuple[Any, Any]:
    """What a function returned with `has_aux`: the value and more."""
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise UnsupportedError(
            f"grad: with has_aux, the function returns (number, more): got {type(result).__name__}"
            + (f" of {len(result)}" if isinstance(result, tuple | list) else "")
        )
    value, more = result
    return value, more


def _new_leaf(x: Any, leaves: list[Array]) -> Array:
    """`x` as the start of a graph of its own, added to `leaves`; it shares memory with `x`."""
    array = asarray(x)
    if array.kind.kind != "f":
        raise DtypeError(f"grad: only floats have gradients: an argument is {array.kind.name}")
    leaf = array.detach()
    leaf.node = Leaf(array.layout, array.node)
    leaves.append(leaf)
    return leaf


def _gradients_of(value: Any, leaves: Sequence[Array], *, differentiable: bool) -> tuple[Array, list[Array]]:
    """The value and its gradients for the leaves. Both can be differentiated if other leaves are involved."""
    if not isinstance(value, Array):
        raise UnsupportedError(f"grad: the function returns {type(value).__name__}, not an array")
    seed, found = seed_of(value, None), {}
    if value.node is not None:
        nodes, wanted = graph_of(value, "grad"), [leaf_of(each) for each in leaves]
        differentiable &= any(isinstance(each, Leaf) and each not in wanted for each in nodes)
        found = propagated(value, seed, nodes, wanted, retain=differentiable, differentiable=differentiable)
    gradients = [
        found[leaf] if (leaf := leaf_of(x)) in found else zeros(x.shape, dtype=x.kind, device=x.device)
        for x in leaves
    ]
    return value if differentiable else value.detach(), gradients
