"""Kernel families: the parameters, candidates, cost model and search space of one WGSL kernel."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from rusty_py.dtypes import F16, F32
from rusty_py.gemm.kernel import KernelConfig
from rusty_py.gemm.plan import CostModel, GemmPlan
from rusty_py.gemm.problem import GemmProblem, Signature
from rusty_py.runtime.adapter import Limits
from rusty_py.runtime.launch import Spec

SPLIT_K = (1, 2, 4, 8, 16, 32, 64)
# Of products with compound axes, whose sums are long and whose results are small.
COMPOUND_SPLIT_K = (*range(1, 9), *range(10, 33, 2), 36, *range(40, 65, 8), 80, 96, 112, 128)


# Typical rates of the classes of operands, as fractions of "tn", both contiguous across k: see `CostModel`.
USUAL = {
    "nn": 0.97,
    "tn": 1.0,
    "nt": 0.93,
    "tt": 0.96,
    "scalar": 0.85,
    "packed": 1.0,
    "f16": 0.97,
    "half2": 1.4,
}


def _any(kernel: Any) -> bool:
    return True


def _never(kernel: Any) -> int:
    return 0


def _no_candidates(limits: Limits, problem: GemmProblem) -> Iterator[GemmPlan]:
    return iter(())


def _no_key(kernel: Any) -> object:
    return ()


def _constant(kernel: Any) -> tuple[float, ...]:
    return (1.0,)


def _no_atypicality(plan: GemmPlan) -> float:
    return 0.0


@dataclass(frozen=True)
class KernelFamily:
    """The kernel configurations of one WGSL file.

    `choices` are the values of each field; `whole` tells whether a combination is consistent. `cost` predicts
    the seconds of a plan, without packing, split-K reduction and launch overhead. `candidates` are the plans
    for untuned problems on GPUs, `cpu_candidates` those on CPU drivers, of which the cheapest is selected.
    `variants` are Specs to compile or check ahead that cover every line of the kernel.

    `calibrated` are the kernels whose rates are measured on each device. The rate of any other is estimated:
    the time of a multiplication is the sum of its `terms`, multiplied by coefficients that are fitted to the
    measured kernels of the family. `coefficients` are those where none was measured, relative to the time of
    the fastest kernel. `usual` are the rates of its kernels for the classes of operands, as fractions of one
    another, where they were not measured.

    For the tuner: `cpu` and `gpu` enable the family on such adapters. The first pass tries one kernel per
    block and `search_key`; equal costs are ordered by `atypicality`.

    `min_part`: the minimum extent along k of a split-K part; 0 if split-K is not supported. `packs`: whether
    packing operands may help. `gemv`: supports only few rows, or, transposed, few columns. `compound`:
    supports compound axes, and any bias.
    """

    make: Callable[..., KernelConfig]
    choices: Mapping[str, tuple[int, ...]]
    cost: Callable[[GemmPlan, CostModel], float]
    variants: Callable[[], Iterator[Spec]]
    candidates: Callable[[Limits, GemmProblem], Iterator[GemmPlan]] = _no_candidates
    cpu_candidates: Callable[[Limits, GemmProblem], Iterator[GemmPlan]] = _no_candidates
    whole: Callable[[Any], bool] = _any
    min_part: Callable[[Any], int] = _never
    search_key: Callable[[Any], object] = _no_key
    atypicality: Callable[[GemmPlan], float] = _no_atypicality
    calibrated: tuple[KernelConfig, ...] = ()
    terms: Callable[[Any], tuple[float, ...]] = _constant
    coefficients: tuple[float, ...] = (1.0,)
    usual: Mapping[str, float] = field(default_factory=lambda: USUAL)
    cpu: bool = True
    gpu: bool = True
    packs: bool = False
    gemv: bool = False
    compound: bool = False

    def kernels(self) -> Iterator[KernelConfig]:
        """All consistent configurations, small sizes first."""
        for values in product(*self.choices.values()):
            kernel = self.make(**dict(zip(self.choices, values, strict=True)))
            if self.whole(kernel):
                yield kernel

    def packings(self, signature: Signature, *, transposed: bool = False) -> list[str]:
        """The choices of operands to pack: those that cannot be loaded as vec4 across k.

        For GEMV kernels it is the skinny operand, which is read repeatedly.
        """
        a, b = (
            "a" * (signature.a_along_k or not signature.a_vec4),
            "b" * (signature.b_along_k or not signature.b_vec4),
        )
        if signature.compound:
            return [""]
        if self.gemv:
            a, b = (
                "a" * (not transposed and not signature.a_along_k),
                "b" * (transposed and not signature.b_along_k),
            )
        elif not self.packs:
            a, b = "", ""
        half2 = "ab" if self.packs and signature.accumulate_dtype is F16 else ""
        return list(dict.fromkeys(("", a, b, a + b, half2)))


def split_k_choices(problem: GemmProblem, min_part: int) -> Iterator[int]:
    """The values of split_k whose parts are not shorter than `min_part`."""
    choices = COMPOUND_SPLIT_K if problem.signature.compound else SPLIT_K
    return (split_k for split_k in choices if split_k == 1 or problem.k >= split_k * min_part)


def signatures() -> Iterator[Signature]:
    """Signatures that cover every line of the kernels: layouts, vec4 and scalar, dtypes, epilogue."""
    for a_along_k, b_along_k, vec4 in product((True, False), repeat=3):
        yield Signature(a_along_k, b_along_k, a_vec4=vec4, b_vec4=vec4, c_vec4=vec4)
    for vec4 in (True, False):
        given = {"a_vec4": vec4, "b_vec4": vec4, "c_vec4": vec4, "stored": F16, "result": F16}
        yield Signature(**given)  # type: ignore[arg-type]
        # Split-K partial sums are f32.
        yield Signature(**(given | {"result": F32}))  # type: ignore[arg-type]
        yield Signature(a_vec4=vec4, b_vec4=vec4, c_vec4=vec4, bias=True, activation="gelu")
