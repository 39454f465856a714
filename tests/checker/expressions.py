"""Many expressions in one kernel: what the checker computes for each of them, beside what NumPy says."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rusty_py.checker import check

from ..each import each_reported

Numbers = NDArray[np.generic]

ROWS = 64
"""The values an expression is computed for, a thread each."""

_SCALARS = {
    "float32": "f32",
    "float16": "f16",
    "int32": "i32",
    "uint32": "u32",
    "int64": "i64",
    "uint64": "u64",
    "bool": "bool",
}


@dataclass(frozen=True, eq=False)
class Case:
    """An expression in WGSL of `a`, `b` and `c`, the rows of `given`; without a `bound` it is exact.

    A row is a scalar, a vector or a matrix, column by column. `expected` has the result's shape; it is
    float64 where the result is a float, of the type `kind`.
    """

    name: str
    wgsl: str
    given: tuple[Numbers, ...]
    expected: Numbers
    kind: np.dtype[np.generic]
    bound: NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False)
class Sheet:
    """Cases of one kernel, after some WGSL of their own."""

    cases: tuple[Case, ...]
    preamble: str = ""

    @property
    def wgsl(self) -> str:
        return _Kernel(self).wgsl()


def shapes(kind: np.dtype[np.generic]) -> list[tuple[int, ...]]:
    """Those of a scalar and of vectors; of the types in less use only one of vectors, the odd one."""
    widths = (2, 3, 4) if kind.name in ("float32", "int32", "bool") else (3,)
    return [(ROWS,), *((ROWS, width) for width in widths)]


def rng(name: str) -> np.random.Generator:
    """The same numbers for the same name."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def exact(name: str, wgsl: str, given: Sequence[Numbers], expected: object) -> Case:
    """A case whose result is `expected`, in its dtype."""
    values = np.asarray(expected)
    return Case(name, wgsl, tuple(given), values, values.dtype)


def ulps_of(expected: Numbers, kind: np.dtype[np.generic]) -> NDArray[np.float64]:
    """A unit in the last place of each number, were it of type `kind`; none of what is not finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.nan_to_num(np.spacing(np.abs(expected.astype(kind))).astype(np.float64))


def compare(sheet: Sheet) -> None:
    """Fails with the names of all cases whose results are not those expected."""
    results = _results(sheet)
    with each_reported() as reported:
        for case in sheet.cases:
            with reported(case.name):
                _compare(results[case.name], case)


def _compare(actual: Numbers, case: Case) -> None:
    assert actual.shape == case.expected.shape
    if case.kind.kind != "f":
        np.testing.assert_array_equal(actual, case.expected)
        return
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = case.expected.astype(case.kind)
        error = np.abs(actual.astype(np.float64) - case.expected)
        bound = np.zeros(error.shape) if case.bound is None else case.bound
        good = (error <= bound) | (actual == rounded) | (np.isnan(actual) & np.isnan(rounded))
    assert good.all(), "\n".join(
        f"{[values[tuple(at)[: values.ndim]] for values in case.given]}: {actual[tuple(at)]},"
        f" NumPy has {case.expected[tuple(at)]} +- {bound[tuple(at)]}"
        for at in np.argwhere(~good)[:5]
    )


def _results(sheet: Sheet) -> dict[str, Numbers]:
    kernel = _Kernel(sheet)
    report = check(kernel.wgsl(), workgroups=1, buffers=kernel.buffers(), seeds=1)
    assert report.clean, str(report)
    return kernel.results(report.outputs.__getitem__)


class _Kernel:
    """Buffers `in_TYPE` and `out_TYPE`, ROWS rows for each argument and each result of that type."""

    def __init__(self, sheet: Sheet) -> None:
        assert len({case.name for case in sheet.cases}) == len(sheet.cases), "two cases have one name"
        self.sheet = sheet
        self.given: dict[str, list[Numbers]] = {}
        self.results_of: dict[str, list[Case]] = {}
        self.functions = [self._function(number, case) for number, case in enumerate(sheet.cases)]

    def wgsl(self) -> str:
        buffers = [
            f"@group(0) @binding({number}) var<storage, {access}> {name}: array<{kind}>;"
            for number, (name, kind, access) in enumerate(
                [(f"in_{key}", _stored(rows[0]), "read") for key, rows in self.given.items()]
                + [(f"out_{key}", _stored(_like(cs[0])), "read_write") for key, cs in self.results_of.items()]
            )
        ]
        calls = " ".join(f"case_{number}(i);" for number in range(len(self.functions)))
        main = (
            f"@compute @workgroup_size({ROWS}) fn main(@builtin(local_invocation_index) i: u32) {{ {calls} }}"
        )
        half = "enable f16;" if any("f16" in line for line in (*self.functions, *buffers)) else ""
        return "\n".join([half, *buffers, self.sheet.preamble, *self.functions, main])

    def buffers(self) -> dict[str, Numbers]:
        given = {f"in_{key}": np.concatenate([_padded(r) for r in rows]) for key, rows in self.given.items()}
        return given | {
            f"out_{key}": np.concatenate([_poison(_padded(_like(case))) for case in cases])
            for key, cases in self.results_of.items()
        }

    def results(self, output: Callable[[str], Numbers]) -> dict[str, Numbers]:
        found = {}
        for key, cases in self.results_of.items():
            rows = output(f"out_{key}")
            for at, case in enumerate(cases):
                mine = rows[at * ROWS : (at + 1) * ROWS]
                width = case.expected.shape[-1] if case.expected.ndim > 1 else None
                found[case.name] = mine if width is None else mine[..., :width]
                if case.kind.kind == "b":
                    found[case.name] = found[case.name].astype(bool)
        return found

    def _function(self, number: int, case: Case) -> str:
        lines = []
        for name, values in zip("abc", case.given, strict=False):
            kind = _type(values)
            rows = self.given.setdefault(_key(kind), [])
            lines.append(f"let {name} = {_loaded(kind, f'in_{_key(kind)}[{len(rows) * ROWS}u + i]')};")
            rows.append(values)
        kind = _type(_like(case))
        cases = self.results_of.setdefault(_key(kind), [])
        lines.append(f"out_{_key(kind)}[{len(cases) * ROWS}u + i] = {_kept(kind, case.wgsl)};")
        cases.append(case)
        return f"fn case_{number}(i: u32) {{ {' '.join(lines)} }}"


def _like(case: Case) -> Numbers:
    return np.zeros(case.expected.shape, case.kind)


def _type(values: Numbers) -> str:
    """The WGSL type of a row."""
    scalar = _SCALARS[values.dtype.name]
    match values.shape[1:]:
        case ():
            return scalar
        case (width,):
            return f"vec{width}<{scalar}>"
        case (columns, rows):
            return f"mat{columns}x{rows}<{scalar}>"
    raise AssertionError(values.shape)


def _key(kind: str) -> str:
    return kind.replace("<", "_").replace(">", "")


def _stored(values: Numbers) -> str:
    """In a buffer there is no bool."""
    return _type(values).replace("bool", "u32")


def _loaded(kind: str, place: str) -> str:
    return f"{place} != {kind.replace('bool', 'u32')}()" if "bool" in kind else place


def _kept(kind: str, value: str) -> str:
    if "bool" not in kind:
        return value
    stored = kind.replace("bool", "u32")
    return f"select({stored}(0), {stored}(1), {value})"


def _padded(values: Numbers) -> Numbers:
    """As they lie in a buffer: what is three wide takes the room of four."""
    stored = values.astype(np.uint32) if values.dtype == bool else values
    if stored.ndim == 1 or stored.shape[-1] != 3:
        return stored
    return np.concatenate([stored, _poison(stored[..., :1])], axis=-1)


def _poison(values: Numbers) -> Numbers:
    """What no expression gives: NaN, or an odd pattern of bits."""
    if values.dtype.kind == "f":
        return np.full(values.shape, np.nan, values.dtype)
    return (
        np.full(values.shape, 0x5A, np.uint8).repeat(values.itemsize).view(values.dtype).reshape(values.shape)
    )
