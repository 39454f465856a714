"""What models compute of indices and positions: `one_hot`, `embedding` and rotary embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike

from rusty_py import dtypes, oracle, samples
from rusty_py.arrays import Array, allocate
from rusty_py.dtypes import BOOL, ELEMENTS, F16, F32, I32, U32, Dtype, DtypeLike
from rusty_py.errors import DtypeError, ShapeError
from rusty_py.layout import Layout
from rusty_py.operation import OPERATIONS, Gradient, Operation, apply, public
from rusty_py.ops import generator
from rusty_py.ops.choosing import take
from rusty_py.ops.compute import compute
from rusty_py.ops.creation import ARANGE, asarray
from rusty_py.ops.generator import Body, Skeleton
from rusty_py.ops.indices import index_array
from rusty_py.oracle import Expected
from rusty_py.runtime.device import default_device
from rusty_py.runtime.launch import Spec
from rusty_py.samples import Sample, Values
from rusty_py.views import View, broadcast, broadcast_strides, integer_of


@public
def one_hot(indices: Array | ArrayLike, /, num_classes: int, *, dtype: DtypeLike = F32) -> Array:
    """Ones where the place along a new last axis of `num_classes` is the index, and zeros.

    indices: integers of any shape; one that is no class, also a negative one, gives zeros.
    Raises DtypeError, ShapeError for a negative number of classes.
    """
    device = indices.device if isinstance(indices, Array) else default_device()
    index = index_array(indices, device, operation="one_hot")
    count = integer_of(num_classes, "the number of classes", operation="one_hot")
    kind = dtypes.element(dtype, operation="one_hot")
    if count < 0:
        raise ShapeError(f"one_hot: the number of classes is not negative: {count}")
    return apply(ONE_HOT, index, count=count, dtype=kind)


@public
def embedding(indices: Array | ArrayLike, weight: Array | ArrayLike, /) -> Array:
    """The rows of `weight` at `indices`, as torch.nn.functional.embedding: (..., dim) for (...).

    indices: integers of any shape; weight: (rows, dim). An index that is out of bounds is treated as by
    `take`. Raises DtypeError, ShapeError.
    """
    table = asarray(weight, device=indices.device if isinstance(indices, Array) else None)
    if table.ndim != 2:
        raise ShapeError(f"embedding: weight has 2 axes, rows and dim: shape {table.shape}")
    return take(table, indices, axis=0)


@public
def rotary_tables(positions: Array | ArrayLike, dim: int, /, *, base: float = 10000.0) -> tuple[Array, Array]:
    """The cosines and sines for `rotary_embedding`: of positions * base ** (-2 i / dim), for i < dim / 2.

    positions: integers or f32, (...). Both results are f32, (..., dim / 2). Angles are rounded to f32, so the
    error of a result is up to position * 1e-7. Raises ShapeError for an odd `dim`, DtypeError.
    """
    size = integer_of(dim, "dim", operation="rotary_tables")
    if size < 0 or size % 2:
        raise ShapeError(f"rotary_tables: dim is even: {size}")
    array = asarray(positions).astype(F32, copy=False)
    rates = base ** (-np.arange(0, size, 2) / max(size, 1))
    angles = array.reshape((*array.shape, 1)) * asarray(rates, dtype=F32, device=array.device)
    return apply(OPERATIONS["cos"], angles), apply(OPERATIONS["sin"], angles)


@public
def rotary_embedding(
    x: Array | ArrayLike, cos: Array | ArrayLike, sin: Array | ArrayLike, /, *, interleaved: bool = False
) -> Array:
    """`x` with pairs of elements along its last axis rotated: (a cos - b sin, b cos + a sin).

    x: (..., dim), f32 or f16; cos and sin: f32, of a shape that broadcasts to (..., dim / 2), such as the
    (tokens, dim / 2) of `rotary_tables`. Pairs are elements i and i + dim / 2, as in Llama and GPT-NeoX;
    with `interleaved`, elements 2 i and 2 i + 1, as in GPT-J. Computed in f32. One launch.
    Raises ShapeError, DtypeError.
    """
    array = asarray(x)
    tables = [asarray(each, device=array.device) for each in (cos, sin)]
    return apply(ROTARY, array, *tables, interleaved=bool(interleaved))


_ONE = {"f32": "1.0", "f16": "1.0h", "i32": "1", "u32": "1u"}
_ZERO = {"f32": "0.0", "f16": "0.0h", "i32": "0", "u32": "0u"}


def _forward_one_hot(index: Array, *, count: int, dtype: Dtype) -> Array:
    out = allocate(index.device, (*index.shape, count), dtype, operation="one_hot")
    classes = ARANGE.forward(0, 1, device=index.device, size=count, dtype=index.kind)
    compute(_is_class(index.kind, dtype), (index.reshape((*index.shape, 1)), classes), out)
    return out


def _is_class(index: Dtype, kind: Dtype) -> Body:
    word = kind.wgsl
    expression = f"select({_ZERO[word]}, {_ONE[word]}, x == y)"
    return Body(f"one_hot {index.name} {word}", (index.wgsl,) * 2, word, expression)


def _forward_rotary(x: Array, cos: Array, sin: Array, *, interleaved: bool) -> Array:
    if not x.ndim or x.shape[-1] % 2:
        raise ShapeError(f"rotary_embedding: the last axis has an even size: shape {x.shape}")
    if x.kind.kind != "f":
        raise DtypeError(f'rotary_embedding: not for {x.kind.name}: convert with .astype("f32")')
    *outer, dim = x.shape
    half = (*outer, dim // 2)
    tables = [each.astype(F32, copy=False) for each in (cos, sin)]
    for each in tables:
        if each.ndim > len(half) or broadcast(each.shape, half, operation="rotary_embedding") != half:
            raise ShapeError(f"rotary_embedding: cos and sin broadcast to {half}: {each.shape}")
    out = allocate(x.device, x.shape, x.kind, operation="rotary_embedding")
    pairs, others = (_paired(x, interleaved=interleaved, swapped=swapped) for swapped in (False, True))
    axis = -1 if interleaved else -2
    angles = []
    for each in tables:
        strides = [*broadcast_strides(each.shape, each.strides, half)]
        strides.insert(len(strides) + axis + 1, 0)
        angles.append(each.view(View(each.offset, pairs.shape, tuple(strides))))
    second = ARANGE.forward(0, 1, device=x.device, size=2, dtype=U32)
    second = second if interleaved else second.reshape((2, 1))
    result = _paired(out, interleaved=interleaved, swapped=False)
    compute(_rotation(x.kind), (pairs, others, *angles, second), result)
    return out


def _paired(x: Array, *, interleaved: bool, swapped: bool) -> Array:
    """`x` with an axis for the two of a pair, which are exchanged if `swapped`."""
    *outer, dim = x.shape
    *steps, step = x.strides
    half, offset, axis = dim // 2, x.offset, int(interleaved)
    sizes, strides = ([half, 2], [2 * step, step]) if interleaved else ([2, half], [step * half, step])
    if swapped:
        offset, strides[axis] = offset + strides[axis], -strides[axis]
    return x.view(View(offset, (*outer, *sizes), (*steps, *strides)))


def _rotation(kind: Dtype) -> Body:
    """x is rotated with y by an angle of cosine z and sine u; v is 1 for the second of a pair."""
    word = kind.wgsl
    types = (word, word, "f32", "f32", "u32")
    return Body(f"rotary {word}", types, word, f"{word}(f32(x) * z + f32(y) * select(-u, u, v != 0u))")


def _grad_rotary(
    g: Array, _out: Layout, x: Array, cos: Array, sin: Array, *, wanted: Sequence[bool], interleaved: bool
) -> Sequence[Array | None]:
    of_x = rotary_embedding(g, cos, -sin, interleaved=interleaved) if wanted[0] else None
    if not (wanted[1] or wanted[2]):
        return of_x, None, None
    (a, b), (ga, gb) = (_halves(each.astype(F32, copy=False), interleaved=interleaved) for each in (x, g))
    return of_x, ga * a + gb * b if wanted[1] else None, gb * a - ga * b if wanted[2] else None


def _halves(x: Array, *, interleaved: bool) -> tuple[Array, Array]:
    if interleaved:
        return x[..., 0::2], x[..., 1::2]
    half = x.shape[-1] // 2
    return x[..., :half], x[..., half:]


def _numpy_one_hot(index: Values, *, count: int, dtype: Dtype) -> Values:
    return np.equal(index[..., None], np.arange(count)).astype(dtype.numpy)


def _numpy_rotary(x: Values, cos: Values, sin: Values, *, interleaved: bool) -> Values:
    half = x.shape[-1] // 2
    a, b = (x[..., 0::2], x[..., 1::2]) if interleaved else (x[..., :half], x[..., half:])
    first, second = a * cos - b * sin, b * cos + a * sin
    if interleaved:
        return np.stack([first, second], axis=-1).reshape((*first.shape[:-1], 2 * half))
    return np.concatenate([first, second], axis=-1)


def _samples_of_one_hot() -> Iterator[Sample]:
    for kind in samples.KINDS:
        index = np.array([[3, 0, 7], [-1, 8, 3]], np.int32)
        yield Sample(f"one_hot {kind.name}", (index,), {"count": 8, "dtype": kind})
    yield Sample("one_hot of u32", (np.array([3, 0, 9], np.uint32),), {"count": 8, "dtype": F32})


def _samples_of_rotary() -> Iterator[Sample]:
    for kind in (F32, F16):
        for interleaved in (False, True):
            x = samples.values(kind, 2, 5, 8)
            tables = [samples.values(F32, 5, 4, seed=i) for i in (1, 2)]
            name = f"rotary_embedding {kind.name}{' interleaved' if interleaved else ''}"
            yield Sample(name, (x, *tables), {"interleaved": interleaved})


def _expected_of_one_hot(sample: Sample) -> Expected:
    return Expected(_numpy_one_hot(*sample.operands, **sample.options), None)


def _expected_of_rotary(sample: Sample) -> Expected:
    """Two products and their sum, each rounded to f32, then to the dtype of x."""
    x, cos, sin = (each.astype(np.float64) for each in sample.operands)
    exact = _numpy_rotary(x, cos, sin, **sample.options)
    size = _numpy_rotary(np.abs(x), np.abs(cos), np.abs(sin), **sample.options)
    both = np.maximum(size, _numpy_rotary(np.abs(x), np.abs(cos), -np.abs(sin), **sample.options))
    kind = F16 if sample.operands[0].dtype == F16.numpy else F32
    return Expected(exact, F32.eps * both + oracle.rounding(exact, ulps=0.5, dtype=kind))


ONE_HOT = OPERATIONS.add(
    Operation(
        "one_hot",
        _forward_one_hot,
        samples=_samples_of_one_hot,
        expected=_expected_of_one_hot,
        gradient="its operand is indices",
    )
)
ROTARY = OPERATIONS.add(
    Operation(
        "rotary_embedding",
        _forward_rotary,
        samples=_samples_of_rotary,
        expected=_expected_of_rotary,
        gradient=Gradient(joint=_grad_rotary),
        reference=_numpy_rotary,
    )
)


def variants() -> list[Spec]:
    """The kernels for every dtype, in one way to find the elements, and rotations in both."""
    one = Skeleton("general", 4, ("one", "vec4"))
    found = [generator.spec(_is_class(I32, kind), one) for kind in ELEMENTS.values() if kind is not BOOL]
    found.append(generator.spec(_is_class(U32, F32), one))
    for kind in (F32, F16):
        access = ("vec4", "vec4", "vec4", "vec4", "one")
        found.append(generator.spec(_rotation(kind), Skeleton("general", 4, access)))
        found.append(generator.spec(_rotation(kind), Skeleton("general", 1, ("scalar",) * 5)))
    return found
