"""Fused kernels, which are written at run time: their Metal text under the checker, and for Tint."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest

import rusty_py as rp
from rusty_py import Adapter
from rusty_py.checker.node import Compiler
from rusty_py.checker.translate import ask
from rusty_py.dtypes import F16, F32, I32
from rusty_py.ops.rowwise.bounds import softmax
from rusty_py.runtime.launch import Spec
from rusty_py.samples import values

from ..each import each_reported
from .execution import MetalText
from .registry import source_of
from .test_msl import VERSIONS
from .test_tint import unusable_reason


@dataclass(frozen=True)
class Case:
    """A function, and its operands as NumPy's arrays, views and numbers."""

    function: Callable[..., Any]
    operands: tuple[Any, ...]
    expected: Callable[..., Any] | None = None
    """The result in float64, where that is not exact."""


def _many_numbers(_: Any, x: Any) -> Any:
    for i in range(6):
        x = x * (i + 2) - i
    return x


X, N = values(F32, 6, 16, seed=1), values(I32, 6, 16, seed=2) % 1000
HALF = values(F16, 3, 8, seed=1), values(F16, 3, 8, seed=3)
BOX = np.arange(3 * 4 * 2 * 4 * 2 * 4, dtype=np.int32).reshape(3, 4, 2, 4, 2, 4)
TALL = values(I32, 300, 36, seed=3) % 1000

# Functions of the library, rusty_py or NumPy, and of the operands. Their results are exact.
CASES = {
    "flat": Case(lambda lib, x, y, s: abs(x - y) * s + lib.maximum(x, y), (X, X[::-1], 2.0)),
    "flat, 1 wide": Case(lambda _, x, y: x[0, 1:14:3] * 2 - y[1, 2:15:3], (N, N)),
    "scalars and one": Case(lambda _, x, y: x * y[:, 3:9].T - x[:, 2:3], (N, BOX.reshape(16, 48))),
    "general, 1 wide": Case(lambda _, x, y: (x - y).T + x[0, 0] * x.T, (N[:5, :5], N[1:, 4:9])),
    "more axes": Case(
        lambda _, x, y: x[:, ::2, :, ::2, :, 1:] * 3 - y[..., None, :, :3], (BOX, N[:2, :8].reshape(2, 2, 4))
    ),
    "many numbers": Case(_many_numbers, (N,)),
    "f16": Case(lambda lib, x, y: lib.where(x > y, x, y * 2) - x.astype(np.float32).astype(np.float16), HALF),
    "helpers": Case(
        lambda lib, x, n: lib.maximum(x, 0) * (x**3) + (n**2).astype(np.float32), (np.rint(X), N % 7)
    ),
    "sum of rows": Case(lambda lib, x, y: lib.sum((x - y) * 2 + x, axis=1), (TALL.T, TALL.T[:, :1])),
    "sum of columns": Case(lambda lib, x, y: lib.sum(x * y, axis=0), (TALL, TALL[:1])),
    "largest of rows": Case(lambda lib, x: lib.max(_many_numbers(lib, x) % 97, axis=1), (TALL.T,)),
    "smallest of columns": Case(lambda lib, x, y: lib.min((x - y)[:, 1:], axis=0), (TALL, TALL[::-1])),
    "softmax": Case(lambda lib, x, y: lib.softmax(x * 2 + y), (X, X[:1]), lambda x, y: softmax(x * 2.0 + y)),
    "softmax of columns": Case(
        lambda lib, x: lib.softmax(_many_numbers(lib, x) * 0.001, axis=0),
        (X[:, :5],),
        lambda x: softmax(_many_numbers(np, x.astype(np.float64)) * 0.001, axis=0),
    ),
    "constants": Case(
        lambda lib, x: lib.where(x > 0, 1, x) + lib.full((16,), 2.0, np.float32), (np.rint(X),)
    ),
}


@dataclass(frozen=True)
class Done:
    """The result of a case on the checker, what NumPy gives, and the kernels that were launched."""

    result: np.ndarray
    expected: np.ndarray
    specs: list[Spec]


@pytest.fixture(scope="module")
def done(checker: None, adapter: Adapter) -> dict[str, Done]:
    metal, found = MetalText(), {}
    with metal.device(adapter) as device:
        for name, case in CASES.items():
            before = len(metal.reports)
            arrays = [
                rp.array(np.ascontiguousarray(each), device=device) if isinstance(each, np.ndarray) else each
                for each in case.operands
            ]
            result = rp.fuse(partial(case.function, rp))(*arrays).numpy()
            specs = [spec for spec, _ in metal.reports[before:]]
            expected = (
                case.function(np, *case.operands) if case.expected is None else case.expected(*case.operands)
            )
            found[name] = Done(result, expected, specs)
    return found


def test_metal_computes_fused_kernels(done: dict[str, Done]) -> None:
    with each_reported() as case:
        for name, each in done.items():
            with case(name):
                assert len(each.specs) == 1
                exact = CASES[name].expected is None
                np.testing.assert_allclose(each.result, each.expected, rtol=0 if exact else 1e-5)


def test_fused_kernels_translate_and_tint_takes_them(done: dict[str, Done], tint: Compiler) -> None:
    with each_reported() as case:
        for name, each in done.items():
            for spec in each.specs:
                with case(name):
                    for version in VERSIONS:
                        assert "kernel void main_" in ask(source_of(spec), version, write=["msl"])["msl"]
                    assert unusable_reason(tint, source_of(spec)) is None
