"""The families of kernels, and which sizes each may have: what the tuner tries, and all its file may hold."""

from collections.abc import Iterator, Mapping

from rusty_py.gemm import blocked_family, direct
from rusty_py.gemm.family import SPLITS, Choice, Family
from rusty_py.gemm.kernel import Kernel
from rusty_py.gemm.problem import Problem
from rusty_py.gemm.simple import NAIVE_FAMILY, TILED_FAMILY
from rusty_py.gemm.thin import COLUMNS_FAMILY, DOTS_FAMILY, MOST_ROWS
from rusty_py.runtime.adapter import Limits

Data = dict[str, str | int]
"""A kernel as plain data: its family, and the fields of its dataclass."""

PACKS = ("", "a", "b", "ab")

FAMILIES: Mapping[str, Family] = {
    "naive": NAIVE_FAMILY,
    "tiled": TILED_FAMILY,
    "blocked": blocked_family.FAMILY,
    "columns": COLUMNS_FAMILY,
    "dots": DOTS_FAMILY,
    "direct": direct.FAMILY,
}
"""A new family is a new row. On CPU drivers an earlier row's candidates go first."""

_NAMES = {family.make: name for name, family in FAMILIES.items()}


def family_name(kernel: Kernel) -> str:
    """The name of a kernel's family. Raises KeyError for kernels of no family."""
    return _NAMES[type(kernel)]


def family_of(kernel: Kernel) -> Family:
    """A kernel's family. Raises KeyError for kernels of no family."""
    return FAMILIES[family_name(kernel)]


def as_data(kernel: Kernel) -> Data:
    """The kernel as plain data."""
    return {"family": family_name(kernel), **vars(kernel)}


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


def may_choose(choice: Choice, problem: Problem) -> bool:
    """Whether the tuner could try that for a problem of these sizes, in some form."""
    family = family_of(choice.kernel)
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
    family = family_of(choice.kernel)
    return (
        may_choose(choice, problem)
        and choice.packs in family.packings(problem.form, turned=choice.turned)
        and choice.kernel.suits(limits, seen)
    )


def space(limits: Limits, problem: Problem, *, cpu: bool) -> Iterator[Choice]:
    """Everything that fits the device, computes the problem, and is worth a thought there."""
    for family in FAMILIES.values():
        if not (family.cpu if cpu else family.gpu):
            continue
        for turned in (False, True) if family.thin else (False,):
            seen = problem.turned() if turned else problem
            packs = family.packings(problem.form, turned=turned)
            for kernel in family.kernels():
                if (family.thin and _idle(kernel, seen)) or not kernel.suits(limits, seen):
                    continue
                choices = (Choice(kernel, splits, each, turned) for each in packs for splits in SPLITS)
                yield from (choice for choice in choices if may_choose(choice, problem))


def _idle(kernel: Kernel, seen: Problem) -> bool:
    """Whether half a thin kernel's rows, or more, have nothing to do."""
    return kernel.block[0] >= 2 * seen.m
