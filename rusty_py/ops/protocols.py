"""What NumPy's functions do with arrays: ours where there is one, else NumPy's on the host."""

from collections.abc import Callable, Mapping
from functools import cache
from inspect import Signature, signature
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rusty_py.arrays import Array
from rusty_py.dtypes import ELEMENTS
from rusty_py.errors import UnsupportedError
from rusty_py.operation import OPERATIONS, Operation
from rusty_py.ops import all as every
from rusty_py.ops import arranging, choosing, contraction, creation, joining, masks, matmul, reshaping, views

assert every  # It registers what is looked up here.
_HELD = {each.numpy for each in ELEMENTS.values()}
_OURS = {each.numpy: each for each in OPERATIONS.values() if each.numpy and each.function}
_OURS[np.round] = OPERATIONS["round"]  # Without decimals, it is np.rint.

# What is no operation, but a view or a question. `axes` or `shape` by position or by name.
_VIEWS: dict[Callable[..., object], Callable[..., object]] = {
    np.transpose: lambda x, axes=None: reshaping.transpose(x, axes),
    np.reshape: lambda x, shape: x.reshape(shape),
    np.copy: lambda x: x.copy(),
    np.shape: lambda x: x.shape,
    np.ndim: lambda x: x.ndim,
    np.size: lambda x: x.size,
}

# Ours by NumPy's arguments, where they differ from ours; NotImplemented leaves a call to NumPy.
_ADAPTED: dict[Callable[..., object], Callable[..., object]] = {
    np.concatenate: lambda arrays, axis=0: joining.concat(arrays, axis=axis),
    np.stack: lambda arrays, axis=0: joining.stack(arrays, axis=axis),
    np.split: lambda ary, indices_or_sections, axis=0: joining.split(ary, indices_or_sections, axis=axis),
    np.roll: lambda a, shift, axis=None: arranging.roll(a, shift, axis),
    np.pad: lambda array, pad_width, mode="constant", *, constant_values=0: (
        arranging.pad(array, pad_width, constant_values=constant_values)
        if mode == "constant" and np.ndim(constant_values) == 0
        else NotImplemented
    ),
    np.moveaxis: lambda a, source, destination: reshaping.moveaxis(a, source, destination),
    np.flip: lambda m, axis=None: reshaping.flip(m, axis=axis),
    np.ravel: lambda a: reshaping.ravel(a),
    np.squeeze: lambda a, axis=None: views.squeeze(a, axis),
    np.expand_dims: lambda a, axis: views.expand_dims(a, axis=axis),
    np.swapaxes: lambda a, axis1, axis2: a.swapaxes(axis1, axis2),
    np.broadcast_arrays: lambda *args: reshaping.broadcast_arrays(*args),
    np.meshgrid: lambda *xi, indexing="xy": reshaping.meshgrid(*xi, indexing=indexing),
    np.tile: lambda A, reps: reshaping.tile(A, reps),  # noqa: N803  NumPy's name.
    np.repeat: lambda a, repeats, axis=None: reshaping.repeat(a, repeats, axis),
    np.tensordot: lambda a, b, axes=2: (
        contraction.tensordot(a, b, axes=axes) if _float(a, b) else NotImplemented
    ),
    np.einsum: lambda subscripts, *operands: (
        contraction.einsum(subscripts, *operands)
        if isinstance(subscripts, str) and _float(*operands)
        else NotImplemented
    ),
    np.take: lambda a, indices, axis=None: choosing.take(a, indices, axis),
    np.take_along_axis: lambda arr, indices, axis=-1: choosing.take_along_axis(arr, indices, axis),
    np.nonzero: lambda a: masks.nonzero(a),
    np.zeros_like: lambda a, dtype=None: creation.zeros_like(a, dtype) if _held(dtype) else NotImplemented,
    np.ones_like: lambda a, dtype=None: creation.ones_like(a, dtype) if _held(dtype) else NotImplemented,
    np.empty_like: lambda prototype, dtype=None: (
        creation.empty_like(prototype, dtype) if _held(dtype) else NotImplemented
    ),
    np.full_like: lambda a, fill_value, dtype=None: (
        creation.full_like(a, fill_value, dtype) if _held(dtype) else NotImplemented
    ),
}


def ufunc(ufunc: np.ufunc, method: str, inputs: tuple[object, ...], kwargs: Mapping[str, object]) -> object:
    """Called by NumPy for `ufunc`, of which one operand is an Array."""
    if method == "__call__" and not kwargs:
        result = _on_device(ufunc, inputs)
        if result is not NotImplemented:
            return result
    outs = (inputs[0],) if method == "at" else kwargs.get("out", ())
    if isinstance(outs, tuple) and any(isinstance(out, Array) for out in outs):
        raise UnsupportedError(f"{ufunc.__name__}: writes into NumPy arrays only: use x.assign(...)")
    return _on_host(getattr(ufunc, method), inputs, kwargs)


def _on_device(ufunc: np.ufunc, inputs: tuple[object, ...]) -> object:
    if ufunc is np.matmul:
        return matmul.operator(*inputs)
    ours = _OURS.get(ufunc)
    if ours is None or not _takes(ours, inputs):
        return NotImplemented
    if ours.mixed is None:
        assert ours.function is not None
        return ours.function(*inputs)
    a, b = inputs
    if isinstance(a, Array):
        return ours.mixed(a, b)
    assert isinstance(b, Array)
    return ours.mixed(b, a, reflected=True)


def function(
    function: Callable[..., Any], arguments: tuple[object, ...], kwargs: Mapping[str, object]
) -> object:
    """Called by NumPy for any other of its functions, of which one argument is or holds an Array."""
    if function in _VIEWS and arguments and isinstance(arguments[0], Array):
        if _binds(signature(_VIEWS[function]), arguments, kwargs):
            return _VIEWS[function](*arguments, **kwargs)
    elif function in _ADAPTED and _binds(signature(_ADAPTED[function]), arguments, kwargs):
        result = _ADAPTED[function](*arguments, **kwargs)
        if result is not NotImplemented:
            return result
    elif function in _OURS and (given := _given(_OURS[function], arguments, kwargs)) is not None:
        ours = _OURS[function].function
        assert ours is not None
        return ours(*given[0], **given[1])
    return _on_host(function, arguments, kwargs)


def _given(
    ours: Operation, arguments: tuple[object, ...], kwargs: Mapping[str, object]
) -> tuple[tuple[object, ...], dict[str, object]] | None:
    """NumPy's arguments as our function takes them; None for those that NumPy's must see to."""
    mine, numpys = _signatures(ours)
    named = dict(kwargs)
    if "ddof" in named and "correction" in mine.parameters:
        named["correction"] = named.pop("ddof")
    if not _binds(mine, arguments, named):  # What NumPy takes by position, ours may take by name.
        if numpys is None or not _binds(numpys, arguments, named):
            return None
        named = dict(numpys.bind(*arguments, **named).arguments)
        arguments = (named.pop(next(iter(numpys.parameters))),)
        if not _binds(mine, arguments, named):
            return None
    return (arguments, named) if _held(named.get("dtype")) and _takes(ours, arguments) else None


def _float(*operands: object) -> bool:
    """Whether all arrays are of floats, which products of matrices are for."""
    return all(each.kind.kind == "f" for each in operands if isinstance(each, Array))


def _held(dtype: object) -> bool:
    """Whether arrays hold a dtype that was asked for; None asks for none."""
    return dtype is None or np.dtype(dtype) in _HELD  # type: ignore[call-overload]  # It raises what NumPy's does.


def _takes(ours: Operation, arguments: tuple[object, ...]) -> bool:
    """Whether our function is for the dtypes of the arrays, of which there is one."""
    arrays = [each for each in arguments if isinstance(each, Array)]
    return bool(arrays) and all(each.kind.kind in ours.kinds for each in arrays)


def _binds(function: Signature, arguments: tuple[object, ...], named: Mapping[str, object]) -> bool:
    try:
        function.bind(*arguments, **named)
    except TypeError:
        return False
    return True


@cache
def _signatures(ours: Operation) -> tuple[Signature, Signature | None]:
    """Of our function, and of NumPy's where Python can tell it."""
    assert ours.function is not None
    assert ours.numpy is not None
    try:
        numpys = signature(ours.numpy)
    except ValueError:
        numpys = None
    return signature(ours.function), numpys


def _on_host(
    function: Callable[..., Any], arguments: tuple[object, ...], kwargs: Mapping[str, object]
) -> object:
    """NumPy's function of the values, which are read-only: it shall not write into what is a copy."""
    try:
        return function(*map(_host, arguments), **{name: _host(each) for name, each in kwargs.items()})
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        name = getattr(function, "__qualname__", "numpy")
        raise UnsupportedError(f"{name}: writes into NumPy arrays only: use x.assign(...)") from error


def _host(x: object) -> object:
    """`x` with every array in it, also in lists, as NumPy's."""
    if isinstance(x, Array):
        host: NDArray[Any] = x.numpy()
        host.flags.writeable = False
        return host
    if isinstance(x, list | tuple):
        return type(x)(map(_host, x)) if type(x) in (list, tuple) else x
    return {key: _host(each) for key, each in x.items()} if type(x) is dict else x
