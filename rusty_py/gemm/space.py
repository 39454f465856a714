"""The families of kernels, and which sizes each may have: what the tuner tries, and all its file may hold."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import product
from typing import Any

from rusty_py.adapter import Limits
from rusty_py.gemm.blocked import Blocked
from rusty_py.gemm.direct import DIRECT, Direct
from rusty_py.gemm.kernel import Kernel
from rusty_py.gemm.problem import Problem
from rusty_py.gemm.simple import TILES, Naive, Tiled
from rusty_py.gemm.thin import COLUMNS, DOTS, MOST_ROWS, Columns, Dots

Data = dict[str, str | int]
"""A kernel as plain data: its family, and the fields of its dataclass."""


def _any(kernel: Any) -> bool:
    return True


@dataclass(frozen=True)
class Family:
    """Kernels of one text. `choices` are the values of each field, of which only `whole` combinations work.

    `unrolled`: the text is long, too long for the compilers of CPU drivers; `for_cpu`: of no use to others.
    `least_part`: the shortest part of k that a split sum may have; 0 where sums cannot be split.
    `most_rows`: a product of more rows has no use for it.
    """

    make: Callable[..., Kernel]
    choices: Mapping[str, tuple[int, ...]]
    whole: Callable[[Any], bool] = _any
    unrolled: bool = False
    for_cpu: bool = False
    least_part: int = 0
    most_rows: int | None = None

    def kernels(self) -> Iterator[Kernel]:
        """All of them, small numbers first."""
        for values in product(*self.choices.values()):
            kernel = self.make(**dict(zip(self.choices, values, strict=True)))
            if self.whole(kernel):
                yield kernel


def _listed(make: Callable[..., Kernel], kernels: Collection[Kernel], **about: Any) -> Family:
    """A family of which only the `kernels` are known to be good."""
    choices = {
        each.name: tuple(sorted({vars(kernel)[each.name] for kernel in kernels}))
        for each in fields(make)  # type: ignore[arg-type]
    }
    return Family(make, choices, whole=frozenset(kernels).__contains__, **about)


FAMILIES: Mapping[str, Family] = {
    "naive": Family(Naive, {}),
    "tiled": Family(Tiled, {"edge": TILES}),
    "blocked": Family(
        Blocked,
        # Powers of two: the text turns vectors by exclusive or.
        {
            "block_m": (32, 64, 128, 256),
            "block_n": (32, 64, 128, 256),
            "block_k": (8, 16, 32),
            "thread_m": (4, 8, 16),
            "thread_n": (4, 8, 16),
            "lanes_m": (4, 8, 16),
            "stages": (1, 2),
        },
        whole=Blocked.whole,
        unrolled=True,
        least_part=16,
    ),
    "direct": _listed(Direct, DIRECT, for_cpu=True),
    "columns": _listed(Columns, COLUMNS.values(), least_part=64, most_rows=MOST_ROWS),
    "dots": _listed(Dots, DOTS.values(), least_part=512, most_rows=MOST_ROWS),
}
"""A new family is a new row."""

SPLITS = (1, 2, 4, 8, 16, 32, 64)


def family_of(kernel: Kernel) -> str:
    """The name of a kernel's family. Raises KeyError for kernels of no family."""
    return {family.make: name for name, family in FAMILIES.items()}[type(kernel)]


def as_data(kernel: Kernel) -> Data:
    """The kernel as plain data."""
    return {"family": family_of(kernel), **vars(kernel)}


def from_data(data: object) -> Kernel:
    """The kernel of plain data from anywhere: one that the tuner could have tried. Raises ValueError."""
    if not isinstance(data, dict) or not isinstance(data.get("family"), str):
        raise ValueError("no kernel")
    values = {name: value for name, value in data.items() if name != "family"}
    family = FAMILIES.get(data["family"])
    if family is None:
        raise ValueError(f"no such family: {data['family']!r}")
    if values.keys() != family.choices.keys():
        raise ValueError(f"other fields than {data['family']} has: {', '.join(map(str, values))}")
    for name, value in values.items():
        if (type(value), value) not in [(type(each), each) for each in family.choices[name]]:
            raise ValueError(f"{name} is {value!r}")
    kernel = family.make(**values)
    if not family.whole(kernel):
        raise ValueError(f"the parts of {kernel.name} do not add up")
    return kernel


def may_split(kernel: Kernel, k: int, splits: int) -> bool:
    """Whether a sum of k may be computed in so many parts."""
    least = FAMILIES[family_of(kernel)].least_part
    return splits == 1 or (least > 0 and splits in SPLITS and k >= splits * least)


def space(limits: Limits, problem: Problem, *, cpu: bool) -> Iterator[tuple[Kernel, int]]:
    """Every kernel that fits the device and computes the problem, in every number of parts along k."""
    for family in FAMILIES.values():
        if family.unrolled if cpu else family.for_cpu:
            continue
        if family.most_rows and problem.m > family.most_rows:
            continue
        for kernel in family.kernels():
            if kernel.suits(limits, problem):
                yield from ((kernel, splits) for splits in SPLITS if may_split(kernel, problem.k, splits))
