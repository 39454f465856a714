"""What is measured: operations on operands of a shape, and the ways to compute each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.variants import forced
from benchmarks.variants.forced import Way
from rusty_py.arrays import Array
from rusty_py.operation import OPERATIONS, apply
from rusty_py.samples import Sample, Values
from rusty_py.views import Shape

CALLS: dict[str, Callable[[Array], Array]] = {
    "copy of x.T": lambda x: x.transpose().copy(),
    "copy of axes 0 2 1": lambda x: x.transpose([0, 2, 1]).copy(),
    "exp of x.T": lambda x: apply(OPERATIONS["exp"], x.transpose()),
}
"""Functions of one array that are no single operation of it."""


@dataclass(frozen=True, eq=False)
class Case:
    """An operation, or one of `CALLS`, and the ways to compute it beside the automatic one."""

    family: str
    operation: str
    sample: Sample
    ways: tuple[Way, ...]

    @property
    def name(self) -> str:
        """What the tables call it."""
        shapes = " ".join("x".join(map(str, each.shape)) for each in self.sample.operands)
        options = ", ".join(f"{key} {value}" for key, value in self.sample.options.items() if key in _SHOWN)
        dtype = " f16" if self.sample.needs_f16 else ""
        return f"{self.operation}{dtype} {shapes}{', ' * bool(options)}{options}"

    def is_meant(self, word: str) -> bool:
        """Whether a word is its family or begins its name."""
        return word == self.family or self.name.startswith(word)

    def call(self, *arrays: Array) -> Array:
        """Applies it."""
        if self.operation in CALLS:
            return CALLS[self.operation](*arrays)
        return apply(OPERATIONS[self.operation], *arrays, **self.sample.options)

    def error(self, result: Array) -> float:
        """The largest error, as a fraction of its bound."""
        operands = self.sample.operands
        if self.operation == "exp of x.T":
            turned = Sample("", tuple(np.ascontiguousarray(each.T) for each in operands))
            return _expected("exp")(turned).error(result.numpy())
        if self.operation in CALLS:
            (x,) = operands
            exact = x.T if x.ndim == 2 else x.transpose(0, 2, 1)
            return 0.0 if np.array_equal(result.numpy(), exact) else np.inf
        return _expected(self.operation)(self.sample).error(result.numpy())


_SHOWN = ("axis", "k", "axes")


def _expected(operation: str) -> Callable[[Sample], Any]:
    found = OPERATIONS[operation].expected
    assert found is not None
    return found


def _random(*shape: int, seed: int = 0) -> Values:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def cases() -> Iterator[Case]:
    """All of them, a family after the other."""
    for made in (_reductions, _row_operations, _scans, _sorts, _elementwise, _indexing):
        yield from made()


def _case(family: str, ways: Iterator[Way], operation: str, *operands: Values, **options: Any) -> Case:
    return Case(family, operation, Sample(operation, operands, options), tuple(ways))


def _reductions() -> Iterator[Case]:
    shapes: list[tuple[Shape, int | None]] = [((n,), None) for n in (300, 4096, 1 << 16, 1 << 20, 1 << 22)]
    shapes += [((m, n), 1) for m, n in ((4, 4096), (8, 65536), (256, 256), (4096, 64), (65536, 8))]
    shapes += [((m, n), 0) for m, n in ((16384, 4), (65536, 8), (256, 256), (64, 4096), (1024, 1024))]
    for name in ("sum", "max", "argmax", "var", "logsumexp"):
        some = shapes if name in ("sum", "argmax") else shapes[1::2]
        for shape, axis in some:
            yield _case("reduction", forced.reductions(), name, _random(*shape), axis=axis)


def _row_operations() -> Iterator[Case]:
    shapes = [(1, 1 << 20), (16, 65536), (256, 512), (256, 2048), (4096, 64), (65536, 8), (255, 333)]
    for rows, n in shapes:
        x, g = _random(rows, n), _random(rows, n, seed=1)
        yield _case("row operation", forced.row_operations(), "softmax", x, axis=1)
        weights = (_random(n, seed=2), _random(n, seed=3))
        norm = {"normalized_shape": (n,), "eps": 1e-5}
        yield _case("row operation", forced.row_operations(), "layer_norm", x, *weights, **norm)
        yield _case("row operation", forced.row_operations(), "layer_norm_gradient", x, g, weights[0], **norm)
    for shape in ((512, 256), (64, 4096), (8, 65536)):
        yield _case("row operation", forced.row_operations(), "softmax", _random(*shape), axis=0)


def _scans() -> Iterator[Case]:
    vectors: list[tuple[Shape, int]] = [((n,), 0) for n in (300, 4096, 1 << 16, 1 << 20, 1 << 22)]
    rows: list[tuple[Shape, int]] = [((m, n), 1) for m, n in ((8, 65536), (256, 1024), (16384, 32))]
    columns: list[tuple[Shape, int]] = [
        ((m, n), 0) for m, n in ((1024, 4), (65536, 4), (1024, 256), (64, 4096))
    ]
    for shape, axis in vectors + rows + columns:
        yield _case("scan", forced.scans(), "cumulative_sum", _random(*shape), axis=axis)


def _sorts() -> Iterator[Case]:
    shapes = (
        (4096, 16),
        (1024, 64),
        (256, 256),
        (64, 1024),
        (1, 4096),
        (16, 16384),
        (1, 1 << 17),
        (1, 1 << 20),
    )
    for shape in shapes:
        for name in ("sort", "argsort"):
            yield _case("sort", forced.sorting_ways(), name, _random(*shape), axis=1)
    for shape, k in (
        ((1024, 64), 5),
        ((256, 256), 10),
        ((64, 1024), 10),
        ((16, 16384), 10),
        ((1, 1 << 20), 100),
    ):
        yield _case("sort", forced.selections(), "top_k_indices", _random(*shape), k=k, axis=1)


def _elementwise() -> Iterator[Case]:
    for n in (4096, 1 << 16, 1 << 20):
        x, y = _random(n), _random(n, seed=1)
        half = [each.astype(np.float16) for each in (x, y)]
        for operands in ([x, y], half):
            yield _case("elementwise", forced.elementwise(), "add", *operands)
            yield _case("elementwise", forced.elementwise(), "gelu", operands[0])
    for shape, other in (
        ((1024, 1024), (1024,)),
        ((1024, 1024), (1024, 1)),
        ((65536, 16), (16,)),
        ((16, 65536), (16, 1)),
        ((64, 64, 64), (64, 1, 64)),
    ):
        yield _case("elementwise", forced.elementwise(), "add", _random(*shape), _random(*other, seed=1))
    for call, shape in (
        ("copy of x.T", (1024, 1024)),
        ("copy of x.T", (4096, 64)),
        ("copy of x.T", (64, 4096)),
        ("exp of x.T", (1024, 1024)),
        ("copy of axes 0 2 1", (64, 128, 64)),
    ):
        yield _case("elementwise", forced.transposed_copies(), call, _random(*shape))


def _indexing() -> Iterator[Case]:
    for (rows, n), count, axis in (((1000, 64), 4096, 0), ((1000, 512), 512, 0), ((512, 1000), 512, 1)):
        index = np.random.default_rng(0).integers(0, (rows, n)[axis], count).astype(np.int32)
        options = {"axes": (axis,), "at": axis}
        yield _case("indexing", forced.gathers(), "take", _random(rows, n), index, **options)
    x = _random(512, 512)
    yield _case("indexing", forced.gathers(), "take_along_axis", x, np.argsort(x).astype(np.int32), axis=1)
    for count, rows, inner in (
        (4096, 1000, 64),
        (65536, 16, 1),
        (65536, 60000, 1),
        (512, 16, 512),
        (100000, 10, 8),
    ):
        index = np.random.default_rng(0).integers(0, rows, count).astype(np.int32)
        options = {"shape": (rows, inner), "axes": (0,), "at": 0}
        yield _case("indexing", forced.scatters(), "scatter_add", _random(count, inner), index, **options)
