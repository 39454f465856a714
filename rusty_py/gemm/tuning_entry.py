"""Tuning results for one class of problems, and their validation when read from a file."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from math import inf
from typing import Any

from rusty_py.gemm.kernel import KernelConfig
from rusty_py.gemm.plan import Choice
from rusty_py.gemm.problem import GemmProblem
from rusty_py.gemm.search_space import as_data, from_data, may_choose
from rusty_py.runtime import native
from rusty_py.runtime.adapter import Adapter

_EXACT = 16


@dataclass(frozen=True)
class MachineKey:
    """The machine that a tuning result is valid for."""

    adapter: str
    backend: str
    type: str
    driver: str
    wgpu: str


@dataclass(frozen=True)
class TuningEntry:
    """The fastest kernel found for a class of problems, with its GFLOPS and those of the default.

    `machine`: the fields of `MachineKey`, which must all match. `signature` and `shape` are the key of the
    class (see `signature_key`, `shape_class`); `size` is the measured (m, k, n, products). `packs` and
    `transposed` are as in `GemmPlan`.
    """

    machine: Mapping[str, str]
    signature: str
    shape: tuple[int, int, int, int]
    size: tuple[int, int, int, int]
    kernel: KernelConfig
    split_k: int
    gflops: float
    default: str
    default_gflops: float
    date: str
    packs: str = ""
    transposed: bool = False

    @property
    def choice(self) -> Choice:
        """The choice for a plan."""
        return Choice(self.kernel, self.split_k, self.packs, self.transposed)

    @cached_property
    def why(self) -> str:
        """The reason shown in plans."""
        ratio = self.gflops / self.default_gflops
        size = str(GemmProblem(*self.size))
        return f"tuned {self.date}: {ratio:.2f} times the rate of {self.default} at {size}"

    def matches(self, machine: MachineKey) -> bool:
        """Whether the entry is for this machine."""
        return self.machine == asdict(machine)

    def distance(self, problem: GemmProblem) -> float:
        """The distance of a problem from the measured size: the ratios of m, k, n and products, multiplied.

        1 for the measured size. Infinite if a ratio exceeds sqrt(2), or if a value up to 16 differs.
        """
        asked = problem.m, problem.k, problem.n, problem.products
        distance = 1.0
        for one, other in zip(self.size, asked, strict=True):
            low, high = sorted((one, other))
            if high * high > 2 * low * low or (low <= _EXACT and low != high):
                return inf
            distance *= high / low
        return distance


def machine_of(adapter: Adapter) -> MachineKey:
    """The key of an adapter, with its driver and the version of wgpu."""
    return MachineKey(adapter.name, adapter.backend, adapter.type, adapter.driver, native.library_version())


def signature_key(problem: GemmProblem) -> str:
    """The signature as a key, without the epilogue, whose cost does not depend on the kernel."""
    return str(replace(problem.signature, bias=False, activation=""))


def shape_class(problem: GemmProblem) -> tuple[int, int, int, int]:
    """(m, k, n, products), each rounded to the nearest power of two; values up to 16 are exact.

    A file keeps only the latest entry of a class.
    """
    m, k, n, products = (_nearest(x) for x in (problem.m, problem.k, problem.n, problem.products))
    return m, k, n, products


def _nearest(x: int) -> int:
    if x <= _EXACT:
        return x
    below = 1 << (x.bit_length() - 1)
    return below if x * x <= 2 * below * below else 2 * below  # Nearest by ratio.


def as_json(entry: TuningEntry) -> dict[str, Any]:
    """An entry as plain data for the file."""
    return {
        "machine": dict(entry.machine),
        "signature": entry.signature,
        "shape": list(entry.shape),
        "size": list(entry.size),
        **choice_data(entry.choice),
        "gflops": round(entry.gflops, 3),
        "default": entry.default,
        "default_gflops": round(entry.default_gflops, 3),
        "date": entry.date,
    }


def from_json(item: object) -> TuningEntry:
    """An entry from untrusted plain data. Raises ValueError if any of it is invalid."""
    if not isinstance(item, dict):
        raise ValueError("not an object")
    shape, size = (_sizes(item.get(name), name) for name in ("shape", "size"))
    problem = GemmProblem(*size)
    choice = choice_from(item, problem)
    if shape_class(problem) != shape:
        raise ValueError(f"shape {shape} is not the class of size {size}")
    gflops, default_gflops = (_rate(item.get(name), name) for name in ("gflops", "default_gflops"))
    signature, default, date = (_text(item.get(name), name) for name in ("signature", "default", "date"))
    machine = _machine(item.get("machine"))
    kernel, split_k, packs, transposed = choice
    return TuningEntry(
        machine,
        signature,
        shape,
        size,
        kernel,
        split_k,
        gflops,
        default,
        default_gflops,
        date,
        packs,
        transposed,
    )


def choice_data(choice: Choice) -> dict[str, Any]:
    """A choice as plain data."""
    return {**choice._asdict(), "kernel": as_data(choice.kernel)}


def choice_from(item: Mapping[str, Any], problem: GemmProblem) -> Choice:
    """The choice from untrusted plain data. Raises ValueError unless it is in the search space.

    `packs` and `transposed` may be missing, as in the first files.
    """
    kernel = from_data(item.get("kernel"))
    split_k, packs, transposed = item.get("split_k"), item.get("packs", ""), item.get("transposed", False)
    if type(split_k) is not int or type(packs) is not str or type(transposed) is not bool:
        raise ValueError(f"split_k is {split_k!r}, packs {packs!r}, transposed {transposed!r}")
    choice = Choice(kernel, split_k, packs, transposed)
    if not may_choose(choice, problem):
        raise ValueError(
            f"{kernel.name} cannot compute {problem} with"
            f" split_k {split_k}, packs {packs!r}, transposed {transposed}"
        )
    return choice


def _machine(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise ValueError("machine is not an object of strings")
    if value.keys() != MachineKey.__dataclass_fields__.keys():
        raise ValueError(f"machine has other fields: {', '.join(map(str, value))}")
    return value


def _sizes(value: object, name: str) -> tuple[int, int, int, int]:
    if not isinstance(value, list) or len(value) != 4:
        raise ValueError(f"{name} is not a list of four")
    m, k, n, products = value
    if not all(type(x) is int and 0 < x < 2**32 for x in value):
        raise ValueError(f"{name} is {value}")
    return m, k, n, products


def _rate(value: object, name: str) -> float:
    if type(value) not in (int, float) or not 0 < value < 1e9:  # type: ignore[operator]
        raise ValueError(f"{name} is {value!r}")
    return float(value)  # type: ignore[arg-type]


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or len(value) > 200 or not value.isprintable():
        raise ValueError(f"{name} is not a line of text")
    return value
