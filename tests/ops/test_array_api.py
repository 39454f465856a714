"""Our functions against those of array-api-strict: names, dtypes, shapes and values."""

import inspect
from collections.abc import Callable
from typing import Any

import array_api_strict as strict
import numpy as np
import pytest

import rusty_py as rp
from rusty_py import Array, Device
from rusty_py.dtypes import BOOL, F32, I32, U32, Dtype

from ..each import each_reported
from . import array_api_page
from .operands import on, values

pytestmark = [pytest.mark.one_mode, pytest.mark.usefixtures("short_kernels")]

ELEMENTWISE = [
    name
    for name, section in array_api_page.names().items()
    if section == "Elementwise functions" and hasattr(rp, name)
]
NARROWED = {"int64": "int32", "uint64": "uint32", "float64": "float32"}


def test_the_page_lists_what_is_there() -> None:
    """If it does not: `python -m tests.ops.array_api_page`."""
    assert array_api_page.DOCUMENT.read_text(encoding="utf-8") == array_api_page.text()
    assert set(array_api_page.REMARKS) <= set(array_api_page.names())


def operands(name: str, kind: Dtype, count: int) -> list[np.ndarray]:
    """Of both signs, but for what is defined within or from 1, and for shifts and powers."""
    given = [values(kind, 6, 10, seed=i) for i in range(1, count + 1)]
    if kind.kind == "f":
        given = [x / 4 if name.startswith(("a", "log")) and name != "abs" else x for x in given]
        if name in ("acosh", "log", "log2", "log10", "sqrt", "pow"):
            given[0] = np.abs(given[0]) + (name == "acosh")
    elif kind.kind in "iu":
        small = name.startswith("bitwise") or name == "pow"
        given[1:] = [np.abs(x % 31).astype(kind.numpy) if small else x | 1 for x in given[1:]]
    return given


def signature_of(function: Callable[..., Any]) -> list[str]:
    """The names of the parameters that may be given by name."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [each.name for each in inspect.signature(function).parameters.values() if each.kind in kinds]


def assert_same(result: Any, expected: Any) -> None:
    """Of the dtype that 64 bits are narrowed to, and equal but for rounding."""
    if isinstance(expected, tuple | list):
        assert len(result) == len(expected)
        for one, other in zip(result, expected, strict=True):
            assert_same(one, other)
        return
    if not hasattr(expected, "__array_namespace__"):
        assert result == expected
        return
    assert isinstance(result, Array)
    host = np.asarray(expected)
    assert result.dtype.name == NARROWED.get(host.dtype.name, host.dtype.name)
    assert result.shape == host.shape
    if host.dtype.kind == "f":
        np.testing.assert_allclose(result, host, rtol=2e-5, atol=1e-6)
    else:
        np.testing.assert_array_equal(result, host)


def test_elementwise_functions_are_those_of_the_standard(unchecked: Device) -> None:
    """In every dtype that the standard has them for."""
    with each_reported() as case:
        for name in ELEMENTWISE:
            theirs = getattr(strict, name)
            parameters = inspect.signature(theirs).parameters.values()
            count = sum(each.default is inspect.Parameter.empty for each in parameters)
            for kind in (F32, I32, U32, BOOL):
                given = operands(name, kind, count)
                try:
                    with np.errstate(all="ignore"):
                        expected = theirs(*map(strict.asarray, given))
                except (TypeError, ValueError):
                    continue  # The standard has it for other dtypes.
                with case(f"{name} {kind.name}"):
                    assert_same(getattr(rp, name)(*(on(unchecked, x) for x in given)), expected)


X = np.array([[3, 1, 2], [-1, 5, 0]])
CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "all": lambda xp, x: xp.all(x, axis=0),
    "any": lambda xp, x: xp.any(x, axis=1, keepdims=True),
    "argmax": lambda xp, x: xp.argmax(x, axis=1),
    "argmin": lambda xp, x: xp.argmin(x),
    "argsort": lambda xp, x: xp.argsort(x, axis=1, descending=True),
    "astype": lambda xp, x: xp.astype(x, xp.float32),
    "broadcast_arrays": lambda xp, x: xp.broadcast_arrays(x, x[:, :1]),
    "broadcast_to": lambda xp, x: xp.broadcast_to(x, (2, 2, 3)),
    "clip": lambda xp, x: xp.clip(x, 0, 3),
    "concat": lambda xp, x: xp.concat([x, x], axis=1),
    "count_nonzero": lambda xp, x: xp.count_nonzero(x, axis=0),
    "cumulative_prod": lambda xp, x: xp.cumulative_prod(x, axis=1),
    "cumulative_sum": lambda xp, x: xp.cumulative_sum(x, axis=0, include_initial=True),
    "diff": lambda xp, x: xp.diff(x, axis=1, prepend=x[:, :1], append=x),
    "empty_like": lambda xp, x: xp.empty_like(x).shape,
    "expand_dims": lambda xp, x: xp.expand_dims(x, axis=1),
    "eye": lambda xp, x: xp.eye(3, 4, k=1, dtype=xp.float32),
    "flip": lambda xp, x: xp.flip(x, axis=0),
    "full": lambda xp, x: xp.full((2, 3), 7),
    "full_like": lambda xp, x: xp.full_like(x, 7),
    "isdtype": lambda xp, x: [xp.isdtype(x.dtype, each) for each in ("numeric", "integral", "bool")],
    "linspace": lambda xp, x: xp.linspace(0.0, 1.0, 5, endpoint=False),
    "matmul": lambda xp, x: xp.matmul(xp.astype(x, xp.float32), xp.astype(x.mT, xp.float32)),
    "matrix_transpose": lambda xp, x: xp.matrix_transpose(x),
    "max": lambda xp, x: xp.max(x, axis=(0, 1)),
    "mean": lambda xp, x: xp.mean(xp.astype(x, xp.float32), axis=1),
    "meshgrid": lambda xp, x: list(xp.meshgrid(x[0, :], x[1, :], indexing="ij")),
    "min": lambda xp, x: xp.min(x, axis=0, keepdims=True),
    "moveaxis": lambda xp, x: xp.moveaxis(x, 0, 1),
    "nonzero": lambda xp, x: xp.nonzero(x),
    "ones": lambda xp, x: xp.ones((2, 3), dtype=xp.bool),
    "ones_like": lambda xp, x: xp.ones_like(x),
    "permute_dims": lambda xp, x: xp.permute_dims(x, (1, 0)),
    "prod": lambda xp, x: xp.prod(x, axis=1),
    "repeat": lambda xp, x: xp.repeat(x, 2, axis=1),
    "reshape": lambda xp, x: xp.reshape(x, (3, -1)),
    "result_type": lambda xp, x: xp.result_type(x, xp.int32) == xp.int32,
    "roll": lambda xp, x: xp.roll(x, 1, axis=1),
    "searchsorted": lambda xp, x: xp.searchsorted(xp.sort(x[1, :]), x[0, :]),
    "sort": lambda xp, x: xp.sort(x, axis=0),
    "squeeze": lambda xp, x: xp.squeeze(x[:, :1], axis=1),
    "stack": lambda xp, x: xp.stack([x, x], axis=-1),
    "std": lambda xp, x: xp.std(xp.astype(x, xp.float32), correction=1),
    "sum": lambda xp, x: xp.sum(x, axis=0),
    "take": lambda xp, x: xp.take(x, xp.argsort(x[0, :]), axis=1),
    "take_along_axis": lambda xp, x: xp.take_along_axis(x, xp.argsort(x, axis=1), axis=1),
    "tensordot": lambda xp, x: xp.tensordot(xp.astype(x, xp.float32), xp.astype(x, xp.float32), axes=2),
    "tile": lambda xp, x: xp.tile(x, (2, 1)),
    "tril": lambda xp, x: xp.tril(x, k=-1),
    "triu": lambda xp, x: xp.triu(x, k=1),
    "unstack": lambda xp, x: xp.unstack(x, axis=1),
    "var": lambda xp, x: xp.var(xp.astype(x, xp.float32), axis=0),
    "vecdot": lambda xp, x: xp.vecdot(xp.astype(x, xp.float32), xp.astype(x, xp.float32)),
    "where": lambda xp, x: xp.where(x > 1, x, xp.zeros_like(x)),
    "zeros": lambda xp, x: xp.zeros((2, 3), dtype=xp.int32),
    "zeros_like": lambda xp, x: xp.zeros_like(x),
}


def test_other_functions_are_those_of_the_standard(unchecked: Device) -> None:
    """Those that are there: the page says which are not."""
    x = X.astype(np.int32)
    with each_reported() as case:
        for name, call in CALLS.items():
            if hasattr(rp, name):
                with case(name):
                    assert_same(call(rp, on(unchecked, x)), call(strict, strict.asarray(x)))


def test_parameters_have_the_names_of_the_standard() -> None:
    """Those that may be given by name; ours may have more."""
    with each_reported() as case:
        for name, section in array_api_page.names().items():
            theirs, ours = getattr(strict, name), getattr(rp, name, None)
            if callable(ours) and inspect.isfunction(theirs) and "functions" in section:
                with case(name):
                    assert set(signature_of(theirs)) <= set(signature_of(ours))


def test_arrays_have_the_members_of_the_standard() -> None:
    assert [each for each in array_api_page.members() if not array_api_page.is_member(each)] == []


def test_arrays_go_to_other_devices(device: Device, unchecked: Device) -> None:
    x = on(unchecked, np.arange(3, dtype=np.float32))
    assert x.to_device(unchecked) is x
    moved = rp.astype(x, rp.int32, device=device)
    assert (moved.device, moved.tolist()) == (device, [0, 1, 2])


def test_an_array_knows_its_namespace(unchecked: Device) -> None:
    x = on(unchecked, np.ones(3, np.float32))
    xp = x.__array_namespace__()
    assert xp is rp
    assert xp.__array_api_version__ == strict.__array_api_version__
    info = xp.__array_namespace_info__()
    assert info.dtypes(kind=("bool", "real floating")).keys() == {"bool", "float32", "float16"}
    assert info.dtypes().keys() == {"bool", "float32", "float16", "int32", "uint32"}
    assert info.default_dtypes()["indexing"] == xp.int32 == rp.array([1]).dtype
    assert set(info.capabilities()) == set(strict.__array_namespace_info__().capabilities())
    assert info.devices()


def test_functions_of_dtypes(unchecked: Device) -> None:
    x = on(unchecked, np.ones(3, np.float32))
    assert rp.finfo(x).eps == rp.finfo("f32").eps == np.finfo(np.float32).eps
    assert rp.iinfo(rp.uint32).max == 2**32 - 1
    assert rp.result_type(x, "f16", 1) == rp.float32
    assert rp.can_cast("f16", x.dtype)
    assert not rp.can_cast(x, "f16")
    assert not rp.can_cast("i32", "f32")
    assert rp.isdtype("u32", ("bool", "unsigned integer"))
    assert not rp.isdtype("u32", rp.int32)
    assert rp.astype(x, rp.int32).dtype == rp.int32
    for call, said in (
        (lambda: rp.finfo("i32"), r"^finfo: not for i32: integers have an iinfo"),
        (lambda: rp.iinfo(x), r"^iinfo: not for f32: floats have a finfo"),
        (lambda: rp.result_type(1), r"^result_type: needs an array or a dtype"),
        (lambda: rp.result_type(x, "i32"), r"^result_type: dtypes do not mix: f32 and i32"),
        (lambda: rp.isdtype("f32", "float"), r"^isdtype: arrays do not hold float64"),
    ):
        with pytest.raises(rp.DtypeError, match=said):
            call()
