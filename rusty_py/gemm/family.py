"""What there is to know of a family of kernels: what it computes, when it is chosen, and how it is tuned."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

from rusty_py.dtypes import F16, F32
from rusty_py.gemm.kernel import KernelConfig
from rusty_py.gemm.plan import CostModel, GemmPlan
from rusty_py.gemm.problem import GemmProblem, Signature
from rusty_py.runtime.adapter import Limits
from rusty_py.runtime.launch import Spec

SPLIT_K = (1, 2, 4, 8, 16, 32, 64)


class Choice(NamedTuple):
    """How a problem may be computed: what a `GemmPlan` says beside the problem and the reason."""

    kernel: KernelConfig
    split_k: int = 1
    packs: str = ""
    transposed: bool = False


def _any(kernel: Any) -> bool:
    return True


def _never(kernel: Any) -> int:
    return 0


def _no_candidates(limits: Limits, problem: GemmProblem) -> Iterator[GemmPlan]:
    return iter(())


def _no_key(kernel: Any) -> object:
    return ()


def _no_atypicality(plan: GemmPlan) -> float:
    return 0.0


@dataclass(frozen=True)
class KernelFamily:
    """Kernels of one text. `choices` are the values of each field, of which only `whole` combinations work.

    `cost` is the model's time of a plan in seconds, without packing, joining and launching. `candidates` are
    plans for untuned problems on a GPU, where the cheapest is taken; of `cpu_candidates` the first is.
    `variants` are the Specs to compile or check ahead, enough for every line of the text.

    For the tuner: `cpu` and `gpu` say where the kernels are worth a try. A first look takes one kernel for
    each block and `search_key`, and of equal cost those of the least `atypicality`.

    `min_part`: the shortest part of k that a split sum may have; 0 where sums cannot be split. `packs`:
    whether copied operands may help. `gemv`: only for few rows, or, turned, for few columns.
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
    cpu: bool = True
    gpu: bool = True
    packs: bool = False
    gemv: bool = False

    def kernels(self) -> Iterator[KernelConfig]:
        """All of them, small numbers first."""
        for values in product(*self.choices.values()):
            kernel = self.make(**dict(zip(self.choices, values, strict=True)))
            if self.whole(kernel):
                yield kernel

    def packings(self, signature: Signature, *, transposed: bool = False) -> list[str]:
        """Which operands may be copied first: those that kernels would put together from single numbers.

        For thin products that is the one of few rows, which they read again and again.
        """
        a, b = (
            "a" * (signature.a_along_k or not signature.a_vec4),
            "b" * (signature.b_along_k or not signature.b_vec4),
        )
        if self.gemv:
            a, b = (
                "a" * (not transposed and not signature.a_along_k),
                "b" * (transposed and not signature.b_along_k),
            )
        elif not self.packs:
            a, b = "", ""
        half2 = "ab" if self.packs and signature.accumulate_dtype is F16 else ""
        return list(dict.fromkeys(("", a, b, a + b, half2)))


def split_k_choices(k: int, min_part: int) -> Iterator[int]:
    """The numbers of parts worth a thought: those that leave no part shorter than `min_part`."""
    return (split_k for split_k in SPLIT_K if split_k == 1 or k >= split_k * min_part)


def signatures() -> Iterator[Signature]:
    """Enough for each line of the texts: the layouts, by fours and not, the types, what follows."""
    for a_along_k, b_along_k, vec4 in product((True, False), repeat=3):
        yield Signature(a_along_k, b_along_k, a_vec4=vec4, b_vec4=vec4, c_vec4=vec4)
    for vec4 in (True, False):
        given = {"a_vec4": vec4, "b_vec4": vec4, "c_vec4": vec4, "stored": F16, "result": F16}
        yield Signature(**given)  # type: ignore[arg-type]
        # What splits a sum leaves the parts in f32.
        yield Signature(**(given | {"result": F32}))  # type: ignore[arg-type]
        yield Signature(a_vec4=vec4, b_vec4=vec4, c_vec4=vec4, bias=True, activation="gelu")
