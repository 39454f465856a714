"""What NumPy's functions do with arrays: ours where there is one, else NumPy's on the host."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rusty_py.arrays import Array
from rusty_py.dtypes import ELEMENTS
from rusty_py.errors import UnsupportedError
from rusty_py.operation import OPERATIONS, apply
from rusty_py.ops import elementwise, matmul, reduce
from rusty_py.ops.table import BINARY, UNARY

_BINARY = {row.oracle: row.name for row in BINARY.values()}
_HELD = {each.numpy for each in ELEMENTS.values()}
_UNARY = {row.oracle: row.name for row in UNARY.values()}


def _sum(x: Array, axis: Any = None, dtype: Any = None, *, keepdims: bool = False) -> object:
    if dtype is not None and np.dtype(dtype) not in _HELD:
        return NotImplemented
    return reduce.sum(x, axis=axis, dtype=dtype, keepdims=keepdims)


def _mean(x: Array, axis: Any = None, *, keepdims: bool = False) -> object:
    return reduce.mean(x, axis=axis, keepdims=keepdims) if x.kind.kind == "f" else NotImplemented


def _where(condition: Any, *choices: Any) -> object:
    return elementwise.where(condition, *choices) if choices else NotImplemented


def _reshape(x: Array, shape: Any) -> object:
    return x.reshape(shape)


def _transpose(x: Array, axes: Any = None) -> object:
    return x.transpose(*(axes or ()))


# NumPy's function, ours, and the arguments that ours takes: how many by position, and which by name. Ours
# returns NotImplemented for what NumPy's must do.
_FUNCTIONS: dict[Callable[..., object], tuple[Callable[..., object], int, set[str]]] = {
    np.sum: (_sum, 3, {"axis", "dtype", "keepdims"}),
    np.mean: (_mean, 2, {"axis", "keepdims"}),
    np.where: (_where, 3, set()),
    np.transpose: (_transpose, 2, {"axes"}),
    np.reshape: (_reshape, 2, {"shape"}),
    np.copy: (Array.copy, 1, set()),
    np.shape: (lambda x: x.shape, 1, set()),
    np.ndim: (lambda x: x.ndim, 1, set()),
    np.size: (lambda x: x.size, 1, set()),
}


def ufunc(ufunc: np.ufunc, method: str, inputs: tuple[object, ...], about: Mapping[str, object]) -> object:
    """Called by NumPy for `ufunc`, of which one operand is an Array."""
    if method == "__call__" and not about:
        result = _on_device(ufunc, inputs)
        if result is not NotImplemented:
            return result
    outs = (inputs[0],) if method == "at" else about.get("out", ())
    if isinstance(outs, tuple) and any(isinstance(out, Array) for out in outs):
        raise UnsupportedError(f"{ufunc.__name__}: writes into NumPy arrays only: use x.assign(...)")
    return _on_host(getattr(ufunc, method), inputs, about)


def _on_device(ufunc: np.ufunc, inputs: tuple[object, ...]) -> object:
    if ufunc is np.matmul:
        return matmul.operator(*inputs)
    if ufunc is np.positive and isinstance(inputs[0], Array):
        return inputs[0].copy()
    if ufunc in _UNARY and isinstance(inputs[0], Array):
        return apply(OPERATIONS[_UNARY[ufunc]], inputs[0])
    if ufunc in _BINARY:
        a, b = inputs
        if isinstance(a, Array):
            return elementwise.binary(_BINARY[ufunc], a, b)
        if isinstance(b, Array):
            return elementwise.binary(_BINARY[ufunc], b, a, reflected=True)
    return NotImplemented


def function(
    function: Callable[..., Any], arguments: tuple[object, ...], about: Mapping[str, object]
) -> object:
    """Called by NumPy for any other of its functions, of which one argument is or holds an Array."""
    ours, positional, named = _FUNCTIONS.get(function, (None, 0, set()))
    fits = len(arguments) <= positional and about.keys() <= named
    if ours is not None and fits and (isinstance(arguments[0], Array) or function is np.where):
        result = ours(*arguments, **about)
        if result is not NotImplemented:
            return result
    return _on_host(function, arguments, about)


def _on_host(
    function: Callable[..., Any], arguments: tuple[object, ...], about: Mapping[str, object]
) -> object:
    """NumPy's function of the values, which are read-only: it shall not write into what is a copy."""
    try:
        return function(*map(_host, arguments), **{name: _host(each) for name, each in about.items()})
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
