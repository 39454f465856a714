"""The kernel families and their parameters: the tuner's search space, and the valid tuning file contents."""

from collections.abc import Iterator, Mapping

from rusty_py.gemm import blocked_family, register_tiled, register_tiled_cpu
from rusty_py.gemm.family import SPLIT_K, KernelFamily
from rusty_py.gemm.gemv import GEMV_N_FAMILY, GEMV_T_FAMILY, MAX_ROWS
from rusty_py.gemm.kernel import KernelConfig
from rusty_py.gemm.plan import Choice
from rusty_py.gemm.problem import GemmProblem
from rusty_py.gemm.simple import NAIVE_FAMILY, TILED_FAMILY
from rusty_py.runtime.adapter import Limits

Data = dict[str, str | int]
"""A kernel as plain data: its family, and the fields of its dataclass."""

PACKS = ("", "a", "b", "ab")

FAMILIES: Mapping[str, KernelFamily] = {
    "naive": NAIVE_FAMILY,
    "tiled": TILED_FAMILY,
    "blocked": blocked_family.FAMILY,
    "register_tiled": register_tiled.FAMILY,
    "gemv_n": GEMV_N_FAMILY,
    "gemv_t": GEMV_T_FAMILY,
    "register_tiled_cpu": register_tiled_cpu.FAMILY,
}
"""All families. Of equally fast candidates, those of earlier families take precedence."""

_NAMES = {family.make: name for name, family in FAMILIES.items()}


def family_name(kernel: KernelConfig) -> str:
    """The name of a kernel's family. Raises KeyError if it has none."""
    return _NAMES[type(kernel)]


def family_of(kernel: KernelConfig) -> KernelFamily:
    """A kernel's family. Raises KeyError if it has none."""
    return FAMILIES[family_name(kernel)]


def as_data(kernel: KernelConfig) -> Data:
    """The kernel as plain data."""
    return {"family": family_name(kernel), **vars(kernel)}


def from_data(data: object) -> KernelConfig:
    """The kernel from untrusted plain data. Raises ValueError unless it is in the search space."""
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
        if type(value) is not type(choices[0]) or value not in choices:  # True is not 1 here.
            raise ValueError(f"{name} is {value!r}")
    kernel = family.make(**values)
    if not family.whole(kernel):
        raise ValueError(f"the parts of {kernel.name} do not add up")
    return kernel


def may_choose(choice: Choice, problem: GemmProblem) -> bool:
    """Whether the search space has the choice for a problem of these sizes, with any signature."""
    family = family_of(choice.kernel)
    minimum = family.min_part(choice.kernel)
    rows = problem.n if choice.transposed else problem.m
    packs = ("b" if choice.transposed else "a",) if family.gemv else PACKS if family.packs else ()
    return (
        (
            choice.split_k == 1
            or (minimum > 0 and choice.split_k in SPLIT_K and problem.k >= choice.split_k * minimum)
        )
        and (not choice.packs or choice.packs in packs)
        and (rows <= MAX_ROWS if family.gemv else not choice.transposed)
    )


def supports(choice: Choice, limits: Limits, problem: GemmProblem) -> bool:
    """Whether the choice can compute the problem, with its signature, on a device with these limits."""
    seen = problem.transposed() if choice.transposed else problem
    family = family_of(choice.kernel)
    return (
        may_choose(choice, problem)
        and choice.packs in family.packings(problem.signature, transposed=choice.transposed)
        and choice.kernel.supports(limits, seen)
    )


def space(limits: Limits, problem: GemmProblem, *, cpu: bool) -> Iterator[Choice]:
    """All choices that can compute the problem on a device with these limits."""
    for family in FAMILIES.values():
        if not (family.cpu if cpu else family.gpu):
            continue
        for transposed in (False, True) if family.gemv else (False,):
            seen = problem.transposed() if transposed else problem
            packs = family.packings(problem.signature, transposed=transposed)
            for kernel in family.kernels():
                if (family.gemv and _idle(kernel, seen)) or not kernel.supports(limits, seen):
                    continue
                choices = (Choice(kernel, split_k, each, transposed) for each in packs for split_k in SPLIT_K)
                yield from (choice for choice in choices if may_choose(choice, problem))


def _idle(kernel: KernelConfig, seen: GemmProblem) -> bool:
    """Whether half of a GEMV kernel's rows, or more, would be idle."""
    return kernel.block[0] >= 2 * seen.m


def calibrated_kernels(*, cpu: bool) -> Iterator[KernelConfig]:
    """The kernels of products whose rates are measured by the calibration."""
    for family in FAMILIES.values():
        if family.cpu if cpu else family.gpu:
            yield from family.calibrated
