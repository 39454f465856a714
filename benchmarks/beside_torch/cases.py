"""What is measured: the same computation by rusty_py and by PyTorch, and the bytes that it must move."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from types import SimpleNamespace
from typing import Any

import numpy as np

import rusty_py as rp

Shape = tuple[int, ...]
Operands = SimpleNamespace
"""x and y of the shape, a row and a column of x; PyTorch's have `z`, which `out=` may be."""


@dataclass(frozen=True)
class Case:
    """A computation. It moves `passes` times the bytes of x at least.

    `ours` gets operands; `theirs` PyTorch and operands, and may write to their `z`. `needs` are public names
    that may be missing. Results differ at most by `tolerance` times the largest of the compared part; of
    indices, the elements they point at are compared.
    """

    name: str
    passes: int
    ours: Callable[[Operands], Any]
    theirs: Callable[[Any, Operands], Any]
    needs: tuple[str, ...] = ()
    tolerance: float = 1e-3
    of_indices: bool = False


@dataclass(frozen=True)
class Group:
    """Cases on operands of one shape and dtype. Times of calls are measured where these are `small`."""

    label: str
    shape: Shape
    dtype: str
    cases: Sequence[Case] = field(repr=False, default=())
    small: bool = False

    @property
    def nbytes(self) -> int:
        """Of x."""
        return prod(self.shape) * np.dtype(self.dtype).itemsize

    def host(self, seed: int = 0) -> dict[str, np.ndarray]:
        """Normal random numbers: a few million, repeated."""
        drawn = np.random.default_rng(seed).standard_normal(min(prod(self.shape), 1 << 22) + 1, np.float32)
        drawn = drawn.astype(self.dtype)
        x = np.resize(drawn[1:], self.shape)
        operands = {"x": x, "y": np.resize(drawn[::-1], self.shape)}
        if len(self.shape) == 2:
            operands |= {"row": x[1:2].copy(), "column": x[:, 3:4].copy()}
        return operands


def _gelu_of_torch(torch: Any, o: Operands, approximate: str) -> Any:
    return torch.nn.functional.gelu(o.x, approximate=approximate)


FLAT = (
    Case("copy", 2, lambda o: o.x.copy(), lambda _, o: o.z.copy_(o.x)),
    Case("add", 3, lambda o: o.x + o.y, lambda torch, o: torch.add(o.x, o.y, out=o.z)),
    Case("multiply by a number", 2, lambda o: o.x * 2.0, lambda torch, o: torch.mul(o.x, 2.0, out=o.z)),
    Case("exp", 2, lambda o: rp.exp(o.x), lambda torch, o: torch.exp(o.x, out=o.z), ("exp",)),
    Case("gelu", 2, lambda o: rp.gelu(o.x), lambda torch, o: _gelu_of_torch(torch, o, "none"), ("gelu",)),
    Case(
        "gelu tanh",
        2,
        lambda o: rp.gelu(o.x, approximate="tanh"),
        lambda torch, o: _gelu_of_torch(torch, o, "tanh"),
        ("gelu",),
    ),
    Case("sum", 1, lambda o: rp.sum(o.x), lambda torch, o: torch.sum(o.x), tolerance=0.05),
    Case("max", 1, lambda o: rp.max(o.x), lambda torch, o: torch.max(o.x)),
    Case(
        "argmax",
        1,
        lambda o: rp.argmax(o.x),
        lambda torch, o: torch.argmax(o.x),
        ("argmax",),
        of_indices=True,
    ),
    Case(
        "cumulative_sum",
        2,
        lambda o: rp.cumulative_sum(o.x),
        lambda torch, o: torch.cumsum(o.x, 0),
        ("cumulative_sum",),
        tolerance=0.05,
    ),
)

NORMS = (
    Case("sum rows", 1, lambda o: rp.sum(o.x, axis=1), lambda torch, o: torch.sum(o.x, 1)),
    Case(
        "softmax",
        2,
        lambda o: rp.softmax(o.x, axis=-1),
        lambda torch, o: torch.softmax(o.x, -1),
        ("softmax",),
    ),
    Case(
        "layer_norm",
        2,
        lambda o: rp.layer_norm(o.x),
        lambda torch, o: torch.nn.functional.layer_norm(o.x, o.x.shape[-1:]),
        ("layer_norm",),
    ),
    Case(
        "rms_norm",
        2,
        lambda o: rp.rms_norm(o.x),
        lambda torch, o: torch.nn.functional.rms_norm(o.x, o.x.shape[-1:]),
        ("rms_norm",),
    ),
)

ORDER = (
    Case(
        "cumulative_sum rows",
        2,
        lambda o: rp.cumulative_sum(o.x, axis=1),
        lambda torch, o: torch.cumsum(o.x, 1),
        tolerance=0.01,
    ),
    Case(
        "cumulative_sum columns",
        2,
        lambda o: rp.cumulative_sum(o.x, axis=0),
        lambda torch, o: torch.cumsum(o.x, 0),
        tolerance=0.01,
    ),
    Case("sort rows", 2, lambda o: rp.sort(o.x, axis=1), lambda torch, o: torch.sort(o.x, 1)[0]),
    Case(
        "argsort rows, and take",
        2,
        lambda o: rp.take_along_axis(o.x, rp.argsort(o.x, axis=1), 1),
        lambda torch, o: torch.sort(o.x, dim=1, stable=True)[0],
    ),
    Case(
        "ten largest of rows",
        1,
        lambda o: rp.top_k(o.x, 10, axis=1)[0],
        lambda torch, o: torch.topk(o.x, 10, 1)[0],
    ),
)


def _chain(x: Any) -> Any:
    """Five cheap unary operations."""
    return abs(-(((x * 0.5) + 1.0) * 0.25))


def _mean_of_gelu(x: Any, y: Any) -> Any:
    return rp.mean(rp.gelu((x + y) * 2.0), axis=1)


def _mean_of_gelu_by_torch(torch: Any, o: Operands) -> Any:
    return torch.nn.functional.gelu((o.x + o.y) * 2.0).mean(1)


def _fused(function: Callable[..., Any], *names: str) -> Callable[[Operands], Any]:
    """The function, fused on its first call."""
    made: list[Any] = []

    def call(o: Operands) -> Any:
        if not made:
            made.append(rp.fuse(function))
        return made[0](*(getattr(o, name) for name in names))

    return call


MATRIX = (
    Case("add a row", 2, lambda o: o.x + o.row, lambda torch, o: torch.add(o.x, o.row, out=o.z)),
    Case("add a column", 2, lambda o: o.x + o.column, lambda torch, o: torch.add(o.x, o.column, out=o.z)),
    *NORMS,
    Case("sum columns", 1, lambda o: rp.sum(o.x, axis=0), lambda torch, o: torch.sum(o.x, 0)),
    Case(
        "argmax rows",
        1,
        lambda o: rp.argmax(o.x, axis=1),
        lambda torch, o: torch.argmax(o.x, 1),
        ("argmax",),
        of_indices=True,
    ),
    Case(
        "var rows",
        1,
        lambda o: rp.var(o.x, axis=1),
        lambda torch, o: torch.var(o.x, 1, correction=0),
        ("var",),
    ),
    *ORDER,
    Case("transpose copy", 2, lambda o: o.x.T.copy(), lambda _, o: o.x.t().contiguous()),
    Case("chain of five", 2, lambda o: _chain(o.x), lambda _, o: _chain(o.x)),
    Case("chain of five, fused", 2, _fused(_chain, "x"), lambda _, o: _chain(o.x), ("fuse",)),
    Case(
        "mean(gelu((x + y) * 2), rows)",
        2,
        lambda o: _mean_of_gelu(o.x, o.y),
        _mean_of_gelu_by_torch,
        ("gelu",),
    ),
    Case(
        "mean(gelu((x + y) * 2), rows), fused",
        2,
        _fused(_mean_of_gelu, "x", "y"),
        _mean_of_gelu_by_torch,
        ("gelu", "fuse"),
    ),
)


def groups(large: int, small: int, dtypes: Sequence[str]) -> list[Group]:
    """All, on operands of so many bytes, large ones first."""
    found = []
    for nbytes in (large, small):
        is_small = nbytes == small
        for dtype in dtypes:
            size = nbytes // np.dtype(dtype).itemsize
            found.append(Group(_label(nbytes), (size,), dtype, FLAT, is_small))
        columns = min(8192, 1 << (nbytes // 4).bit_length() // 2)
        shape = (nbytes // 4 // columns, columns)
        found.append(Group("×".join(map(str, shape)), shape, "float32", MATRIX, is_small))
        if not is_small:
            shape = (nbytes // 4 // 1024, 1024)
            found.append(Group("×".join(map(str, shape)), shape, "float32", NORMS))
    return found


def _label(nbytes: int) -> str:
    return f"{nbytes >> 20} MiB" if nbytes >= 1 << 20 else f"{nbytes >> 10} KiB"
