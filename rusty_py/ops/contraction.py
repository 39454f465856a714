"""Sums of products over named axes: `vecdot`, `tensordot` and `einsum`, by products of matrices.

All are made of public functions, from which their gradients follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod

import numpy as np
from numpy.typing import ArrayLike

from rusty_py.arrays import Array
from rusty_py.errors import ShapeError, UnsupportedError
from rusty_py.operation import OPERATIONS, apply, public
from rusty_py.ops.creation import asarray
from rusty_py.ops.reshaping import moveaxis
from rusty_py.ops.views import broadcast_to
from rusty_py.views import Shape, axis_of, broadcast, integer_of, integers_of

Axes = int | tuple[int | Sequence[int], int | Sequence[int]]
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@public
def vecdot(x1: Array | ArrayLike, x2: Array | ArrayLike, /, *, axis: int = -1) -> Array:
    """The sum of x1 * x2 over `axis`, which has one size in both; the other axes broadcast.

    Raises ShapeError, DtypeError.
    """
    arrays = _arrays(x1, x2)
    a, b = (moveaxis(each, axis_of(axis, each.ndim, operation="vecdot"), -1) for each in arrays)
    if a.shape[-1] != b.shape[-1]:
        raise ShapeError(f"vecdot: sizes differ along axis {axis}: {a.shape[-1]} and {b.shape[-1]}")
    return (a * b).sum(axis=-1)


@public
def tensordot(x1: Array | ArrayLike, x2: Array | ArrayLike, /, *, axes: Axes = 2) -> Array:
    """The sums of products over axes of both, by one product of matrices: f32 and f16.

    axes: a number, of the last axes of x1 and the first of x2; or the axes of each, in the same order. The
    result has the other axes of x1, then those of x2. Raises ShapeError, DtypeError.
    """
    a, b = _arrays(x1, x2)
    if isinstance(axes, tuple | list) or getattr(axes, "shape", ()) != ():
        given = [integers_of(each, "an axis", operation="tensordot") for each in axes]  # type: ignore[union-attr]
        if len(given) != 2:
            raise ShapeError(f"tensordot: the axes of each of two arrays: {axes}")
        over_a, over_b = (
            [axis_of(axis, x.ndim, operation="tensordot") for axis in each]
            for each, x in zip(given, (a, b), strict=True)
        )
    else:
        count = integer_of(axes, "the number of axes", operation="tensordot")
        if not 0 <= count <= min(a.ndim, b.ndim):
            raise ShapeError(f"tensordot: {count} axes of arrays with {a.ndim} and {b.ndim}")
        over_a, over_b = [*range(a.ndim - count, a.ndim)], [*range(count)]
    sizes = [tuple(x.shape[axis] for axis in over) for x, over in ((a, over_a), (b, over_b))]
    if sizes[0] != sizes[1] or len({*over_a}) != len(over_a) or len({*over_b}) != len(over_b):
        raise ShapeError(f"tensordot: axes differ: {over_a} of {a.shape} and {over_b} of {b.shape}")
    rest_a, rest_b = ([i for i in range(x.ndim) if i not in over] for x, over in ((a, over_a), (b, over_b)))
    shape = (*(a.shape[i] for i in rest_a), *(b.shape[i] for i in rest_b))
    k = prod(sizes[0])
    left = a.transpose((*rest_a, *over_a)).reshape((prod(a.shape[i] for i in rest_a), k))
    right = b.transpose((*over_b, *rest_b)).reshape((k, prod(b.shape[i] for i in rest_b)))
    return apply(OPERATIONS["matmul"], left, right).reshape(shape)


@public
def einsum(subscripts: str, /, *operands: Array | ArrayLike) -> Array:
    """Sums of products over axes that are named by letters, as numpy.einsum: "bij,bjk->bik".

    Two operands at a time, in the order that numpy.einsum_path finds: by `matmul` where axes of both are
    summed, for f32 and f16; otherwise by multiplying. Ellipses broadcast. Raises ShapeError; UnsupportedError
    for a letter that an operand has twice, a diagonal.
    """
    if not isinstance(subscripts, str):
        raise UnsupportedError(f'einsum: subscripts are a string, such as "ij,jk->ik": got {subscripts!r}')
    arrays = _arrays(*operands)
    named, result = _named(subscripts, tuple(each.shape for each in arrays))
    left = [
        (broadcast_to(x, shape) if x.shape != shape else x, letters)
        for x, (letters, shape) in zip(arrays, named, strict=True)
    ]
    for pair in _path(tuple(named), result):
        taken = [left[i] for i in pair]
        left = [each for i, each in enumerate(left) if i not in pair]
        kept = {letter for _, letters in left for letter in letters} | {*result}
        left.append(_product(taken[0], taken[1], kept) if len(taken) == 2 else taken[0])
    ((x, letters),) = left
    x, letters = _summed(x, letters, {*result})
    return x.transpose(tuple(letters.index(each) for each in result)) if letters != result else x


def _arrays(*operands: Array | ArrayLike) -> list[Array]:
    device = next((each.device for each in operands if isinstance(each, Array)), None)
    return [each if isinstance(each, Array) else asarray(each, device=device) for each in operands]


Named = tuple[str, Shape]


@lru_cache(1024)
def _named(subscripts: str, shapes: tuple[Shape, ...]) -> tuple[tuple[Named, ...], str]:
    """The letters and the shape of each operand, and the letters of the result; axes of ellipses get some."""
    given, arrow, result = subscripts.replace(" ", "").partition("->")
    terms = given.split(",")
    if len(terms) != len(shapes):
        raise ShapeError(f"einsum: {len(terms)} terms in {subscripts!r} for {len(shapes)} operands")
    spare = [letter for letter in _LETTERS if letter not in subscripts]
    hidden, letters = "", []
    for term, shape in zip(terms, shapes, strict=True):
        count = len(shape) - len(term.replace("...", ""))
        if ("..." not in term and count) or count < 0:
            raise ShapeError(f"einsum: {term!r} does not name the axes of shape {shape}")
        axes = "".join(spare[:count][::-1])
        hidden = max(hidden, axes, key=len)
        letters.append(term.replace("...", axes))
    every = "".join(letters)
    if not arrow:
        once = {each for each in every if every.count(each) == 1 and each not in hidden}
        result = hidden + "".join(sorted(once))
    result = result.replace("...", hidden)
    _refuse(subscripts, letters, result)
    sizes: dict[str, int] = {}
    for term, shape in zip(letters, shapes, strict=True):
        for letter, size in zip(term, shape, strict=True):
            if letter in hidden:
                (sizes[letter],) = broadcast((sizes.get(letter, 1),), (size,), operation="einsum")
            elif sizes.setdefault(letter, size) != size:
                listed = ", ".join(map(str, shapes))
                raise ShapeError(f"einsum: sizes of {letter!r} differ in {subscripts!r}: {listed}")
    return tuple((term, tuple(sizes[letter] for letter in term)) for term in letters), result


def _refuse(subscripts: str, letters: Sequence[str], result: str) -> None:
    every = "".join(letters)
    known = all(each in _LETTERS for each in every) and set(result) <= set(every)
    if not known or len({*result}) < len(result):
        raise ShapeError(f"einsum: not subscripts: {subscripts!r}: letters, commas, ... and ->")
    for each in letters:
        if len({*each}) < len(each):
            raise UnsupportedError(
                f"einsum: an operand has a letter twice: {each!r}: take its diagonal first"
            )


@lru_cache(1024)
def _path(named: tuple[Named, ...], result: str) -> tuple[tuple[int, ...], ...]:
    """Which operands, by their places, become one; it comes last."""
    if len(named) < 3:
        return (tuple(range(len(named))),)
    shapes = [np.broadcast_to(np.float32(0), shape) for _, shape in named]
    subscripts = f"{','.join(letters for letters, _ in named)}->{result}"
    path, _ = np.einsum_path(subscripts, *shapes, optimize="greedy")
    pairs: list[tuple[int, ...]] = []
    count = len(named)
    for step in path[1:]:
        places = sorted(step)
        while len(places) > 2:  # NumPy may take more at once.
            pairs.append((places[0], places[1]))
            places = [i - 2 for i in places[2:]] + [count - 2]
            count -= 1
        pairs.append(tuple(places))
        count -= len(places) - 1
    return tuple(pairs)


def _summed(x: Array, letters: str, kept: set[str]) -> tuple[Array, str]:
    """Without the axes of letters that nothing else has."""
    axes = tuple(i for i, letter in enumerate(letters) if letter not in kept)
    return (x.sum(axis=axes), "".join(each for each in letters if each in kept)) if axes else (x, letters)


def _product(a: tuple[Array, str], b: tuple[Array, str], kept: set[str]) -> tuple[Array, str]:
    """The sum of products over the letters of both that are not kept."""
    x, left = _summed(*a, kept | {*b[1]})
    y, right = _summed(*b, kept | {*left})
    both = [each for each in left if each in right]
    batch, over = ("".join(each for each in both if (each in kept) is keep) for keep in (True, False))
    rows, cols = ("".join(each for each in letters if each not in both) for letters in (left, right))
    size = dict(zip(left + right, x.shape + y.shape, strict=True))
    shape = tuple(size[each] for each in batch + rows + cols)
    m, n, k = (prod(size[each] for each in letters) for letters in (rows, cols, over))
    outer = tuple(size[each] for each in batch)
    x = x.transpose(tuple(left.index(each) for each in batch + rows + over))
    y = y.transpose(tuple(right.index(each) for each in batch + over + cols))
    if over:
        product = apply(OPERATIONS["matmul"], x.reshape((*outer, m, k)), y.reshape((*outer, k, n)))
    else:
        product = x.reshape((*outer, m, 1)) * y.reshape((*outer, 1, n))
    return product.reshape(shape), batch + rows + cols
