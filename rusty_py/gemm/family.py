"""What there is to know of a family of kernels: what it computes, when it is chosen, and how it is tuned."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

from rusty_py.dtypes import F16, F32
from rusty_py.gemm.kernel import Kernel
from rusty_py.gemm.plan import Machine, Plan
from rusty_py.gemm.problem import Form, Problem
from rusty_py.runtime.adapter import Limits
from rusty_py.runtime.launch import Spec

SPLITS = (1, 2, 4, 8, 16, 32, 64)


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


def _no_candidates(limits: Limits, problem: Problem) -> Iterator[Plan]:
    return iter(())


def _no_key(kernel: Any) -> object:
    return ()


def _no_oddity(plan: Plan) -> float:
    return 0.0


@dataclass(frozen=True)
class Family:
    """Kernels of one text. `choices` are the values of each field, of which only `whole` combinations work.

    `cost` is the model's time of a plan in seconds, without packing, joining and launching. `candidates` are
    plans for untuned problems on a GPU, where the cheapest is taken; of `cpu_candidates` the first is.
    `variants` are the Specs to compile or check ahead, enough for every line of the text.

    For the tuner: `cpu` and `gpu` say where the kernels are worth a try. A first look takes one kernel for
    each block and `search_key`, and of equal cost those of the least `oddity`.

    `least_part`: the shortest part of k that a split sum may have; 0 where sums cannot be split. `packs`:
    whether copied operands may help. `thin`: only for few rows, or, turned, for few columns.
    """

    make: Callable[..., Kernel]
    choices: Mapping[str, tuple[int, ...]]
    cost: Callable[[Plan, Machine], float]
    variants: Callable[[], Iterator[Spec]]
    candidates: Callable[[Limits, Problem], Iterator[Plan]] = _no_candidates
    cpu_candidates: Callable[[Limits, Problem], Iterator[Plan]] = _no_candidates
    whole: Callable[[Any], bool] = _any
    least_part: Callable[[Any], int] = _never
    search_key: Callable[[Any], object] = _no_key
    oddity: Callable[[Plan], float] = _no_oddity
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

    def packings(self, form: Form, *, turned: bool = False) -> list[str]:
        """Which operands may be copied first: those that kernels would put together from single numbers.

        For thin products that is the one of few rows, which they read again and again.
        """
        a, b = "a" * (form.a_along_k or not form.a_fours), "b" * (form.b_along_k or not form.b_fours)
        if self.thin:
            a, b = "a" * (not turned and not form.a_along_k), "b" * (turned and not form.b_along_k)
        elif not self.packs:
            a, b = "", ""
        pairs = "ab" if self.packs and form.sums is F16 else ""
        return list(dict.fromkeys(("", a, b, a + b, pairs)))


def splits_of(k: int, least_part: int) -> Iterator[int]:
    """The numbers of parts worth a thought: those that leave no part shorter than `least_part`."""
    return (splits for splits in SPLITS if splits == 1 or k >= splits * least_part)


def forms() -> Iterator[Form]:
    """Enough for each line of the texts: the layouts, by fours and not, the types, what follows."""
    for a_along_k, b_along_k, fours in product((True, False), repeat=3):
        yield Form(a_along_k, b_along_k, a_fours=fours, b_fours=fours, c_fours=fours)
    for fours in (True, False):
        given = {"a_fours": fours, "b_fours": fours, "c_fours": fours, "stored": F16, "result": F16}
        yield Form(**given)  # type: ignore[arg-type]
        # What splits a sum leaves the parts in f32.
        yield Form(**(given | {"result": F32}))  # type: ignore[arg-type]
        yield Form(a_fours=fours, b_fours=fours, c_fours=fours, bias=True, activation="gelu")
