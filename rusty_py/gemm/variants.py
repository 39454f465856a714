"""Kernels that a product may launch, every line of their texts, for who compiles or checks them ahead."""

from collections.abc import Iterator
from itertools import product

from rusty_py.dtypes import F16, F32
from rusty_py.gemm.blocked import Blocked
from rusty_py.gemm.direct import Direct
from rusty_py.gemm.join import Join
from rusty_py.gemm.kernel import Kernel
from rusty_py.gemm.pack import Pack
from rusty_py.gemm.plan import BLOCKED
from rusty_py.gemm.problem import Form, Problem
from rusty_py.gemm.rates import MEASURED
from rusty_py.gemm.simple import TILES, Naive, Tiled
from rusty_py.gemm.thin import COLUMNS, DOTS
from rusty_py.kernel import Spec


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


def forms_of_pairs() -> Iterator[Form]:
    """What the blocked kernels add up in f16: both operands are packed, so that there is one layout."""
    for result, fours in product((F16, F32), (True, False)):
        yield Form(a_along_k=False, c_fours=fours, stored=F16, result=result, sums=F16, pairs=True)


# The direct kernels with fewer sums a thread, so fewer turns of the same loops written out: the texts of
# those that products are given take the checker's compiler minutes.
SMALL_DIRECT = (
    Direct(8, 4, lanes_m=4, lanes_n=2, step=4, sharing=True),
    Direct(8, 8, lanes_m=1, lanes_n=8, step=4),
)


def direct_forms() -> Iterator[Form]:
    """For the direct kernels: each way to read, and to store."""
    yield Form()
    yield Form(a_along_k=False, b_along_k=True)
    yield Form(bias=True, activation="gelu")
    yield Form(a_fours=False, b_fours=False, c_fours=False, bias=True, activation="gelu")
    yield Form(stored=F16, result=F16)


def thin_forms(*, b_along_k: bool) -> Iterator[Form]:
    """For the kernels of few rows, which load by fours along their operands' lines only."""
    yield Form(b_along_k=b_along_k)
    yield Form(b_along_k=b_along_k, a_fours=False, b_fours=False, bias=True, activation="relu")
    yield Form(b_along_k=b_along_k, stored=F16, result=F16)


SMALLEST = min(BLOCKED, key=lambda each: each.block_m * each.block_n)
FASTEST_IN_PAIRS = max(BLOCKED, key=lambda each: MEASURED[each].pairs)


def blocked() -> Iterator[tuple[Blocked, Form]]:
    """The smallest kernel in each form; the others, which share its text and take compilers long, in turn.

    Every other one loads one by one along k, the rest by fours across.
    """
    for form in forms():
        yield SMALLEST, form
    one_by_one = Form(a_along_k=True, b_along_k=True, a_fours=False, b_fours=False, c_fours=False)
    by_fours = Form(a_along_k=False, b_along_k=False)
    for i, kernel in enumerate(kernel for kernel in BLOCKED if kernel != SMALLEST):
        yield kernel, (one_by_one, by_fours)[i % 2]


def without_edges() -> Iterator[tuple[Blocked, bool]]:
    """Each kernel for whole blocks, or for less than one (True), in turn; the smallest for both."""
    for i, kernel in enumerate(BLOCKED):
        if kernel == SMALLEST:
            yield kernel, False
            yield kernel, True
        else:
            yield kernel, i % 2 == 1


def pairs() -> Iterator[tuple[Blocked, Form]]:
    """The smallest kernel in each form whose sums are pairs, and the fastest of them in one."""
    for form in forms_of_pairs():
        yield SMALLEST, form
    yield FASTEST_IN_PAIRS, next(forms_of_pairs())


def variants() -> list[Spec]:
    """A Spec for each kernel and each form, with edges and without; smaller ones for the direct kernels."""
    specs = [Naive().spec(), *(Tiled(edge).spec() for edge in TILES)]
    for form in forms():
        specs.append(Join().spec(Problem(5, 3, 7, form=form)))
    for kernel, form in blocked():
        rows, cols = kernel.block
        specs.append(kernel.spec(Problem(rows + 4, 16, cols + 4, form=form)))
    for kernel, form in pairs():
        rows, cols = kernel.block
        specs.append(kernel.spec(Problem(rows + 4, 16, cols + 4, form=form)))
    for kernel, less in without_edges():
        rows, cols = kernel.block
        specs.append(kernel.spec(Problem(rows - 4 * less, 16, cols - 4 * less)))
    for kind, along_k in product((F32, F16), (True, False)):
        specs.append(Pack().spec(Problem(5, 3, 1, form=Form(along_k, stored=kind))))
    for along_k in (True, False):
        specs.append(Pack().spec(Problem(5, 3, 1, form=Form(along_k, stored=F16, pairs=True))))
    for direct in SMALL_DIRECT:
        specs += [direct.spec(Problem(5, 3, 7, form=form)) for form in direct_forms()]
    thin: list[tuple[Kernel, bool]] = [
        *((kernel, False) for kernel in COLUMNS.values()),
        *((kernel, True) for kernel in DOTS.values()),
    ]
    for few, b_along_k in thin:
        specs += [few.spec(Problem(1, 3, 7, form=form)) for form in thin_forms(b_along_k=b_along_k)]
    return list(dict.fromkeys(specs))
