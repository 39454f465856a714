"""What tuning found for one class of products, and what of it may come from a file: nothing is believed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from math import inf
from typing import Any

from rusty_py.gemm.family import Choice
from rusty_py.gemm.kernel import Kernel
from rusty_py.gemm.problem import Problem
from rusty_py.gemm.space import as_data, from_data, may_choose
from rusty_py.runtime import native
from rusty_py.runtime.adapter import Adapter

_EXACT = 16


@dataclass(frozen=True)
class Machine:
    """What a measured time depends on beside the problem."""

    adapter: str
    backend: str
    type: str
    driver: str
    wgpu: str


@dataclass(frozen=True)
class Entry:
    """The fastest kernel found for a class of problems, with the rates of it and of the default, in GFLOPS.

    `machine`: the fields of `Machine`, all of which must be equal. `form` and `shape` are the key of the
    class (see `form_of`, `shape_class`), and `size` the (m, k, n, products) that was measured. `packs` and
    `turned` are those of the plan.
    """

    machine: Mapping[str, str]
    form: str
    shape: tuple[int, int, int, int]
    size: tuple[int, int, int, int]
    kernel: Kernel
    splits: int
    gflops: float
    default: str
    default_gflops: float
    date: str
    packs: str = ""
    turned: bool = False

    @property
    def choice(self) -> Choice:
        """What a plan takes of it."""
        return Choice(self.kernel, self.splits, self.packs, self.turned)

    @cached_property
    def why(self) -> str:
        """What a plan says of it."""
        ratio = self.gflops / self.default_gflops
        size = str(Problem(*self.size))
        return f"tuned {self.date}: {ratio:.2f} times the rate of {self.default} at {size}"

    def matches(self, machine: Machine) -> bool:
        """Whether it is for this machine."""
        return self.machine == asdict(machine)

    def distance(self, problem: Problem) -> float:
        """How far a problem is from the measured size: the ratios of m, k, n and products, multiplied.

        1 is that size itself. Infinite where one of the ratios is more than sqrt(2), or where a number up to
        16 is not the same.
        """
        asked = problem.m, problem.k, problem.n, problem.products
        distance = 1.0
        for one, other in zip(self.size, asked, strict=True):
            low, high = sorted((one, other))
            if high * high > 2 * low * low or (low <= _EXACT and low != high):
                return inf
            distance *= high / low
        return distance


def machine_of(adapter: Adapter) -> Machine:
    """The key of an adapter, its driver and wgpu."""
    return Machine(adapter.name, adapter.backend, adapter.type, adapter.driver, native.library_version())


def form_of(problem: Problem) -> str:
    """The key of a form: layouts, fours and dtypes. What follows a product costs the kernels alike."""
    return str(replace(problem.form, bias=False, activation=""))


def shape_class(problem: Problem) -> tuple[int, int, int, int]:
    """(m, k, n, products), each the nearest power of two, so that a power lies in the middle of its class.

    Up to 16 exact: there a kernel's waste changes with every row. A file keeps one entry a class, the last.
    """
    m, k, n, products = (_nearest(x) for x in (problem.m, problem.k, problem.n, problem.products))
    return m, k, n, products


def _nearest(x: int) -> int:
    if x <= _EXACT:
        return x
    below = 1 << (x.bit_length() - 1)
    return below if x * x <= 2 * below * below else 2 * below  # Nearest by ratio.


def as_json(entry: Entry) -> dict[str, Any]:
    """An entry as it stands in the file."""
    return {
        "machine": dict(entry.machine),
        "form": entry.form,
        "shape": list(entry.shape),
        "size": list(entry.size),
        **choice_data(entry.choice),
        "gflops": round(entry.gflops, 3),
        "default": entry.default,
        "default_gflops": round(entry.default_gflops, 3),
        "date": entry.date,
    }


def from_json(item: object) -> Entry:
    """An entry from anywhere. Raises ValueError where anything of it is not as it must be."""
    if not isinstance(item, dict):
        raise ValueError("no object")
    shape, size = (_sizes(item.get(name), name) for name in ("shape", "size"))
    problem = Problem(*size)
    choice = choice_from(item, problem)
    if shape_class(problem) != shape:
        raise ValueError(f"shape {shape} is not the class of size {size}")
    gflops, default_gflops = (_rate(item.get(name), name) for name in ("gflops", "default_gflops"))
    form, default, date = (_text(item.get(name), name) for name in ("form", "default", "date"))
    machine = _machine(item.get("machine"))
    kernel, splits, packs, turned = choice
    return Entry(
        machine, form, shape, size, kernel, splits, gflops, default, default_gflops, date, packs, turned
    )


def choice_data(choice: Choice) -> dict[str, Any]:
    """A choice as plain data."""
    return {**choice._asdict(), "kernel": as_data(choice.kernel)}


def choice_from(item: Mapping[str, Any], problem: Problem) -> Choice:
    """The choice of plain data from anywhere, where the tuner could have tried it. Raises ValueError.

    Files from before operands were packed and products turned say nothing of it.
    """
    kernel = from_data(item.get("kernel"))
    splits, packs, turned = item.get("splits"), item.get("packs", ""), item.get("turned", False)
    if type(splits) is not int or type(packs) is not str or type(turned) is not bool:
        raise ValueError(f"splits is {splits!r}, packs {packs!r}, turned {turned!r}")
    choice = Choice(kernel, splits, packs, turned)
    if not may_choose(choice, problem):
        raise ValueError(
            f"{kernel.name} does not compute {problem} so: splits {splits}, packs {packs!r}, turned {turned}"
        )
    return choice


def _machine(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise ValueError("machine is no object of strings")
    if value.keys() != Machine.__dataclass_fields__.keys():
        raise ValueError(f"machine has other fields: {', '.join(map(str, value))}")
    return value


def _sizes(value: object, name: str) -> tuple[int, int, int, int]:
    if not isinstance(value, list) or len(value) != 4:
        raise ValueError(f"{name} is no list of four")
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
        raise ValueError(f"{name} is no line")
    return value
