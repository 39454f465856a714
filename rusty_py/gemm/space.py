"""The families of kernels, and which sizes each may have: what the tuner tries, and all its file may hold."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

from rusty_py.adapter import Limits
from rusty_py.dtypes import F16
from rusty_py.gemm.blocked import Blocked
from rusty_py.gemm.direct import Direct
from rusty_py.gemm.kernel import Kernel
from rusty_py.gemm.problem import Form, Problem
from rusty_py.gemm.simple import TILES, Naive, Tiled
from rusty_py.gemm.thin import MOST_ROWS, Columns, Dots

Data = dict[str, str | int]
"""A kernel as plain data: its family, and the fields of its dataclass."""

SPLITS = (1, 2, 4, 8, 16, 32, 64)
PACKS = ("", "a", "b", "ab")
_MOST_NUMBERS = 128
"""How many numbers a thread of a thin kernel may hold: more leave its registers."""


class Choice(NamedTuple):
    """How a problem may be computed: what a `Plan` says beside the problem and the reason."""

    kernel: Kernel
    splits: int = 1
    packs: str = ""
    turned: bool = False


def _any(kernel: Any) -> bool:
    return True


def _never(kernel: Any) -> int:
    return 0


@dataclass(frozen=True)
class Family:
    """Kernels of one text. `choices` are the values of each field, of which only `whole` combinations work.

    `cpu` and `gpu`: where they are worth a try. `least_part`: the shortest part of k that a split sum may
    have; 0 where sums cannot be split. `packs`: whether copied operands may help. `thin`: only for few rows,
    or, turned, for few columns.
    """

    make: Callable[..., Kernel]
    choices: Mapping[str, tuple[int, ...]]
    whole: Callable[[Any], bool] = _any
    least_part: Callable[[Any], int] = _never
    cpu: bool = True
    gpu: bool = True
    packs: bool = False
    thin: bool = False

    def kernels(self) -> Iterator[Kernel]:
        """All of them, small numbers first."""
        for values in product(*self.choices.values()):
            kernel = self.make(**dict(zip(self.choices, values, strict=True)))
            if self.whole(kernel):
                yield kernel


def _direct_whole(kernel: Direct) -> bool:
    """Eight threads, as llvmpipe runs in step, few enough sums, and as many rows for each to load."""
    shared = not kernel.sharing or kernel.thread_m % kernel.lanes_n == 0
    sums = kernel.thread_m * kernel.thread_n
    return kernel.threads == 8 and sums <= 256 and kernel.thread_m % kernel.rows == 0 and shared


def _columns_whole(kernel: Columns) -> bool:
    numbers = 4 * kernel.rows + 16 * kernel.steps
    return 64 <= kernel.threads <= 512 and numbers <= _MOST_NUMBERS


def _dots_whole(kernel: Dots) -> bool:
    numbers = kernel.rows * kernel.cols + 4 * kernel.steps * kernel.cols
    return 64 <= kernel.threads <= 512 and numbers <= _MOST_NUMBERS


FAMILIES: Mapping[str, Family] = {
    "naive": Family(Naive, {}),
    "tiled": Family(Tiled, {"edge": TILES}),
    "direct": Family(
        Direct,
        {
            "thread_m": (8, 16, 32),
            "thread_n": (4, 8, 16),
            "lanes_m": (1, 2),
            "lanes_n": (4, 8),
            "step": (4, 8),
            "rows": (4, 8),
            "sharing": (False, True),
        },
        whole=_direct_whole,
        least_part=lambda kernel: 256,
        gpu=False,
    ),
    "blocked": Family(
        Blocked,
        # Powers of two: the text turns vectors by exclusive or.
        {
            "block_m": (32, 64, 128, 256),
            "block_n": (32, 64, 128, 256),
            "block_k": (8, 16, 32),
            "thread_m": (4, 8, 16),
            "thread_n": (4, 8, 16),
            "lanes_m": (2, 4, 8, 16),
            "stages": (1, 2),
            "slices": (1, 2),
        },
        whole=Blocked.whole,
        least_part=lambda kernel: int(kernel.block_k),
        cpu=False,  # The text is long, too long for the compilers of CPU drivers.
        packs=True,
    ),
    # Powers of two, so that what is shared at a time divides the sums.
    "columns": Family(
        Columns,
        {
            "rows": (1, 2, 4, 8, 16),
            "lanes_n": (8, 16, 32, 64),
            "lanes_k": (2, 4, 8, 16, 32),
            "steps": (1, 2, 4),
        },
        whole=_columns_whole,
        least_part=lambda kernel: int(kernel.chunk),
        thin=True,
    ),
    "dots": Family(
        Dots,
        {
            "rows": (1, 2, 4, 8, 16),
            "cols": (1, 2, 4, 8),
            "lanes_n": (2, 4, 8, 16, 32),
            "lanes_k": (8, 16, 32, 64, 128),
            "steps": (1, 2, 4, 8),
        },
        whole=_dots_whole,
        least_part=lambda kernel: int(kernel.chunk),
        thin=True,
    ),
}
"""A new family is a new row."""


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
        choices = family.choices[name]
        if type(value) is not type(choices[0]) or value not in choices:  # True is no 1 here.
            raise ValueError(f"{name} is {value!r}")
    kernel = family.make(**values)
    if not family.whole(kernel):
        raise ValueError(f"the parts of {kernel.name} do not add up")
    return kernel


def packings(family: Family, form: Form, *, turned: bool = False) -> list[str]:
    """Which operands may be copied first: those that kernels would put together from single numbers.

    For thin products that is the one of few rows, which they read again and again.
    """
    a, b = "a" * (form.a_along_k or not form.a_fours), "b" * (form.b_along_k or not form.b_fours)
    if family.thin:
        a, b = "a" * (not turned and not form.a_along_k), "b" * (turned and not form.b_along_k)
    elif not family.packs:
        a, b = "", ""
    pairs = "ab" if family.packs and form.sums is F16 else ""
    return list(dict.fromkeys(("", a, b, a + b, pairs)))


def may_choose(choice: Choice, problem: Problem) -> bool:
    """Whether the tuner could try that for a problem of these sizes, in some form."""
    family = FAMILIES[family_of(choice.kernel)]
    least = family.least_part(choice.kernel)
    rows = problem.n if choice.turned else problem.m
    packs = ("b" if choice.turned else "a",) if family.thin else PACKS if family.packs else ()
    return (
        (choice.splits == 1 or (least > 0 and choice.splits in SPLITS and problem.k >= choice.splits * least))
        and (not choice.packs or choice.packs in packs)
        and (rows <= MOST_ROWS if family.thin else not choice.turned)
    )


def suits(choice: Choice, limits: Limits, problem: Problem) -> bool:
    """Whether the choice computes the problem, in its form, on such a device."""
    seen = problem.turned() if choice.turned else problem
    family = FAMILIES[family_of(choice.kernel)]
    return (
        may_choose(choice, problem)
        and choice.packs in packings(family, problem.form, turned=choice.turned)
        and choice.kernel.suits(limits, seen)
    )


def space(limits: Limits, problem: Problem, *, cpu: bool) -> Iterator[Choice]:
    """Everything that fits the device, computes the problem, and is worth a thought there."""
    for family in FAMILIES.values():
        if not (family.cpu if cpu else family.gpu):
            continue
        for turned in (False, True) if family.thin else (False,):
            seen = problem.turned() if turned else problem
            packs = packings(family, problem.form, turned=turned)
            for kernel in family.kernels():
                if (family.thin and _idle(kernel, seen)) or not kernel.suits(limits, seen):
                    continue
                choices = (Choice(kernel, splits, each, turned) for each in packs for splits in SPLITS)
                yield from (choice for choice in choices if may_choose(choice, problem))


def _idle(kernel: Kernel, seen: Problem) -> bool:
    """Whether half a thin kernel's rows, or more, have nothing to do."""
    return kernel.block[0] >= 2 * seen.m
