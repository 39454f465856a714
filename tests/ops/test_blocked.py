"""The blocked kernels, in small blockings: a CPU driver compiles those of GPUs for long."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rusty_py import Array, Device, array, matmul, oracle
from rusty_py.activations import ACTIVATIONS
from rusty_py.dtypes import F16, F32
from rusty_py.gemm import select
from rusty_py.gemm.blocked import SUM_DEPTH, Blocked
from rusty_py.gemm.plan import GemmPlan
from rusty_py.gemm.problem import GemmProblem
from rusty_py.views import View

from ..day import DAY
from ..each import each_reported
from .operands import needs
from .products import assert_within, poison

SMALL = [
    Blocked(32, 32, 8, thread_m=4, thread_n=4, lanes_m=8, stages=1),
    Blocked(32, 64, 8, thread_m=8, thread_n=4, lanes_m=4, stages=2),
    # Too little workgroup memory to exchange what is stored.
    Blocked(64, 32, 8, thread_m=4, thread_n=8, lanes_m=16, stages=1),
    # Half the steps of a tile a thread.
    Blocked(32, 32, 16, thread_m=4, thread_n=8, lanes_m=8, stages=1, slice_k=2),
    Blocked(32, 32, 16, thread_m=4, thread_n=4, lanes_m=8, stages=2, slice_k=2),
    # Room to exchange half of its rows at a time.
    Blocked(32, 32, 16, thread_m=8, thread_n=4, lanes_m=4, stages=1, slice_k=2),
]
# Both sides of a vector, a stage and a block, and what is drawn between.
SIZES = st.one_of(
    st.sampled_from([1, 2, 3, 4, 5, 8, 15, 16, 17, 31, 32, 33, 64, 96, 128]), st.integers(1, 140)
)
MULTIPLES_OF_4 = st.sampled_from([4, 16, 20, 32, 64, 128])
# Several shapes that one kernel computes: to compile it takes far longer than to run it.
SHAPES = st.tuples(*[st.sampled_from([MULTIPLES_OF_4, SIZES.filter(lambda size: size % 4 > 0)])] * 3).flatmap(
    lambda kinds: st.lists(st.tuples(*kinds), min_size=3, max_size=4)
)
LAYOUTS = ["nn", "nt", "tn", "tt"]

Force = Callable[..., None]


@pytest.fixture
def force(monkeypatch: pytest.MonkeyPatch) -> Force:
    """`force(kernel, split_k, packs)` makes it the choice for every problem."""

    def force(kernel: Blocked, split_k: int = 1, packs: str = "") -> None:
        def chosen(machine: object, problem: GemmProblem) -> GemmPlan:
            return GemmPlan(problem, kernel, split_k, packs, why="forced")

        monkeypatch.setattr(select, "_chosen", chosen)

    return force


# The code of their indices is the same: one of them shows what run-time checks make of it. Two of the others
# have their turn each day; `make test-all` tries all.
ONE, *OTHERS = SMALL
TODAY = [(DAY + i) % len(OTHERS) for i in range(2)]
# Each kernel is compiled for about a second: what is drawn has a few forms each day, and many sizes in each.
EPILOGUES = random.Random(DAY).sample(
    list(product(SMALL, (1, 2, 3), (False, True), [None, *ACTIVATIONS], (False, True))), 3
)


@pytest.fixture(
    params=[
        ONE,
        *(
            pytest.param(each, marks=[pytest.mark.one_mode] + [pytest.mark.slow] * (i not in TODAY))
            for i, each in enumerate(OTHERS)
        ),
    ],
    ids=lambda each: each.name,
)
def blocked(request: pytest.FixtureRequest) -> Blocked:
    return request.param


def test_the_small_blockings_are_whole() -> None:
    assert all(each.whole() for each in SMALL)


@dataclass(frozen=True)
class Laid:
    """How a matrix lies in a poisoned buffer: after `offset` rows, its lines longer by `gap`."""

    transposed: bool = False
    offset: int = 0
    gap: int = 0
    backwards: bool = False

    def array(self, device: Device, x: np.ndarray) -> Array:
        """`x` as such a view; all around it is NaN."""
        inner = x.swapaxes(-1, -2) if self.transposed else x
        inner = inner[..., ::-1, :] if self.backwards else inner
        *lead, rows, cols = inner.shape
        wide = np.full((*lead, rows + self.offset, cols + self.gap), np.nan, x.dtype)
        at = self.gap // 2
        wide[..., self.offset :, at : at + cols] = inner
        view = array(wide, device=device)[..., self.offset :, at : at + cols]
        view = view[..., ::-1, :] if self.backwards else view
        return view.mT if self.transposed else view


def laid(device: Device, layout: str, a: np.ndarray, b: np.ndarray) -> tuple[Array, Array]:
    """The operands of a product, "t" for transposed."""
    return tuple(Laid(transposed=t == "t").array(device, x) for t, x in zip(layout, (a, b), strict=True))


def layouts_of(blocked: Blocked) -> list[str]:
    """All for one of the small kernels, one in turn for the others."""
    return LAYOUTS if blocked is ONE else [LAYOUTS[SMALL.index(blocked) % len(LAYOUTS)]]


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape, np.float32)


def of_batch(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The oracle's reference and bound of products that broadcast."""
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    x, y = (np.broadcast_to(each, (*lead, *each.shape[-2:])) for each in (a, b))
    found = np.empty((2, *lead, a.shape[-2], b.shape[-1]))
    for i in np.ndindex(lead):
        found[(0, *i)], found[(1, *i)] = oracle.matmul(x[i], y[i], dtype=F32)
    return found[0], found[1]


LAID = st.builds(
    Laid,
    transposed=st.booleans(),
    offset=st.integers(0, 3),
    gap=st.sampled_from([0, 0, 1, 2, 3, 4, 8]),
    backwards=st.booleans(),
)


@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shapes=SHAPES,
    a_laid=LAID,
    b_laid=LAID,
    split_k=st.integers(1, 5),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_size_layout_and_number_of_parts(
    device: Device,
    force: Force,
    blocked: Blocked,
    shapes: list[tuple[int, int, int]],
    a_laid: Laid,
    b_laid: Laid,
    split_k: int,
    seed: int,
) -> None:
    force(blocked, split_k)
    rng = np.random.default_rng(seed)
    for m, k, n in shapes:
        a, b = normal(rng, m, k), normal(rng, k, n)
        with poison(device):
            c = matmul(a_laid.array(device, a), b_laid.array(device, b)).numpy()
        assert_within(c, *oracle.matmul(a, b, dtype=F32))


@pytest.mark.one_mode
@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shapes=st.lists(st.tuples(MULTIPLES_OF_4, MULTIPLES_OF_4, MULTIPLES_OF_4), min_size=3, max_size=4),
    split_k=st.integers(1, 5),
    seed=st.integers(0, 2**32 - 1),
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_sizes_that_fours_divide(
    device: Device, force: Force, layout: str, shapes: list[tuple[int, int, int]], split_k: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    force(SMALL[(DAY + LAYOUTS.index(layout)) % len(SMALL)], split_k)
    x, y = (Laid(transposed=each == "t") for each in layout)
    for m, k, n in shapes:
        a, b = normal(rng, m, k), normal(rng, k, n)
        with poison(device):
            c = matmul(x.array(device, a), y.array(device, b)).numpy()
        assert_within(c, *oracle.matmul(a, b, dtype=F32))


@pytest.mark.one_mode
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lead=st.sampled_from(
        [((3,), ()), ((), (2,)), ((2, 1), (3,)), ((2, 3), (2, 3)), ((2, 3), (1, 3)), ((4, 1, 2), (3, 1))]
    ),
    m=st.integers(1, 40),
    k=st.integers(1, 70),
    n=st.integers(1, 40),
    a_laid=LAID,
    b_laid=LAID,
    split_k=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_batches_broadcast(
    device: Device,
    force: Force,
    lead: tuple[tuple[int, ...], tuple[int, ...]],
    m: int,
    k: int,
    n: int,
    a_laid: Laid,
    b_laid: Laid,
    split_k: int,
    seed: int,
) -> None:
    force(SMALL[DAY % len(SMALL)], split_k)
    rng = np.random.default_rng(seed)
    a, b = normal(rng, *lead[0], m, k), normal(rng, *lead[1], k, n)
    with poison(device):
        c = matmul(a_laid.array(device, a), b_laid.array(device, b)).numpy()
    assert_within(c, *of_batch(a, b))


@pytest.mark.one_mode
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    form=st.sampled_from(EPILOGUES),
    sizes=st.tuples(*[st.integers(1, 35)] * 3),
    accumulate=st.booleans(),
    laid=LAID.filter(lambda each: not each.transposed and not each.backwards),
    seed=st.integers(0, 2**32 - 1),
)
def test_what_follows_a_product(
    device: Device,
    force: Force,
    form: tuple[Blocked, int, bool, str | None, bool],
    sizes: tuple[int, int, int],
    accumulate: bool,
    laid: Laid,
    seed: int,
) -> None:
    kernel, split_k, biased, activation, vec4 = form
    m, k, n = (4 * size if vec4 else 4 * size - 1 for size in sizes)
    force(kernel, split_k)
    rng = np.random.default_rng(seed)
    a, b, before, bias = normal(rng, m, k), normal(rng, k, n), normal(rng, m, n), normal(rng, n)
    out = laid.array(device, before if accumulate else np.full((m, n), np.nan, np.float32))
    around = out.view(View(0, (out.buffer.nbytes // 4,), (1,)))
    held = around.numpy()
    with poison(device):
        result = matmul(
            array(a, device=device),
            array(b, device=device),
            out=out,
            accumulate=accumulate,
            bias=array(bias, device=device) if biased else None,
            activation=activation,
        )
    assert result is out
    reference, bound = oracle.matmul(a, b, dtype=F32)
    terms = ([before] if accumulate else []) + ([bias] if biased else [])
    assert_within(out.numpy(), *oracle.finished(reference, bound, terms=terms, activation=activation or ""))
    after = around.numpy()
    outside = np.ones(around.shape, bool)
    outside[out.offset + np.add.outer(np.arange(m) * out.strides[0], np.arange(n) * out.strides[1])] = False
    assert held[outside].tobytes() == after[outside].tobytes()


HALVES = [("f32", ""), ("f32", "a"), ("f16", ""), ("f16", "ab")]
HALVES_SHAPES = [(33, 31, 35), (1, 1, 1), (40, 140, 37), (64, 148, 36), (32, 16, 64)]


def of_float16() -> Iterator[object]:
    """Two shapes for each way to add up today, and all by `make test-all`: each is a kernel of its own."""
    for i, ((accumulate_dtype, packs), split_k) in enumerate(product(HALVES, (1, 3))):
        for j, shape in enumerate(HALVES_SHAPES):
            today = (j + 2 * i + DAY) % len(HALVES_SHAPES) < 2
            name = f"{accumulate_dtype}-{packs}-{split_k}-{'x'.join(map(str, shape))}"
            marks = [] if today else [pytest.mark.slow]
            yield pytest.param(accumulate_dtype, packs, split_k, shape, id=name, marks=marks)


@pytest.mark.one_mode
@pytest.mark.parametrize(("accumulate_dtype", "packs", "split_k", "shape"), list(of_float16()))
def test_products_of_float16(
    device: Device, force: Force, accumulate_dtype: str, packs: str, split_k: int, shape: tuple[int, int, int]
) -> None:
    needs(device, F16)
    force(SMALL[0], split_k, packs)
    rng = np.random.default_rng()
    m, k, n = shape
    a, b, bias = (normal(rng, *each).astype(np.float16) for each in ((m, k), (k, n), (n,)))
    gap = 4 if n % 4 == 0 else 3
    x, y = Laid(offset=2, gap=gap).array(device, a), Laid(transposed=n % 4 > 0, gap=gap).array(device, b)
    with poison(device):
        c = matmul(x, y, accumulate_dtype=accumulate_dtype, bias=bias).numpy()
    assert c.dtype == np.float16
    reference, bound = (
        oracle.matmul_of_f16_sums(a, b, depth=SUM_DEPTH)
        if accumulate_dtype == "f16"
        else oracle.matmul(a, b, dtype=F32)
    )
    reference, bound = oracle.finished(reference, bound, terms=[bias])
    rounding = oracle.rounding(np.abs(reference) + bound, ulps=0.5, dtype=F16)
    assert_within(c.astype(np.float64), reference, bound + rounding)


def test_batches_of_float16_are_added_up_in_pairs(device: Device, force: Force, blocked: Blocked) -> None:
    needs(device, F16)
    force(blocked, packs="ab")
    rng = np.random.default_rng()
    a, b = (normal(rng, *shape).astype(np.float16) for shape in ((3, 1, 36, 77), (2, 77, 40)))
    x, y = array(a.swapaxes(-1, -2), device=device).mT, array(b, device=device)
    with poison(device):
        c = matmul(x, y, accumulate_dtype="f16").numpy()
    for i, j in np.ndindex(3, 2):
        reference, bound = oracle.matmul_of_f16_sums(a[i, 0], b[j], depth=SUM_DEPTH)
        bound += oracle.rounding(np.abs(reference) + bound, ulps=0.5, dtype=F16)
        assert_within(c[i, j].astype(np.float64), reference, bound)


@pytest.mark.one_mode  # What is added up in what changes no index.
def test_float16_is_added_up_in_float32_unless_asked(device: Device, force: Force) -> None:
    needs(device, F16)
    force(SMALL[0], packs="ab")
    rng = np.random.default_rng()
    a, b = rng.random((8, 400)).astype(np.float16), rng.random((400, 8)).astype(np.float16)
    reference, bound = oracle.matmul(a, b, dtype=F32)
    bound += oracle.rounding(reference + bound, ulps=0.5, dtype=F16)
    exact, fast = (
        matmul(a, b, accumulate_dtype=accumulate_dtype, device=device).astype(float)
        for accumulate_dtype in ("f32", "f16")
    )
    assert_within(exact, reference, bound)
    assert (np.abs(fast - reference) > bound).any()


@pytest.mark.parametrize("split_k", [1, 3])
def test_a_sum_longer_than_a_loop_takes_two_launches(
    device: Device, force: Force, blocked: Blocked, monkeypatch: pytest.MonkeyPatch, split_k: int
) -> None:
    k = 100
    force(blocked, split_k)
    monkeypatch.setattr(device, "limits", replace(device.limits, loop_steps=blocked.loops(k) - 1))
    rng = np.random.default_rng()
    a, b, bias = normal(rng, 40, k), normal(rng, k, 36), normal(rng, 36)
    reference, bound = oracle.matmul(a, b, dtype=F32)
    expected = oracle.finished(reference, bound, terms=[bias], activation="relu")
    layouts = layouts_of(blocked)
    if blocked is ONE:  # Each by day with one number of parts.
        layouts = layouts[(DAY + split_k) // 2 % 2 :: 2]
    with each_reported() as case:
        for layout in layouts:
            with case(layout), poison(device):
                c = matmul(*laid(device, layout, a, b), bias=bias, activation="relu").numpy()
                assert_within(c, *expected)


@pytest.mark.parametrize(
    "changes",
    [{"groups": 3}, {"groups": 32}, {"binding_bytes": 70 * 65 * 4}, {"buffer_bytes": 100 * 70 * 4}],
    ids=str,
)
def test_parts_that_have_no_room_are_not_made(
    device: Device, force: Force, monkeypatch: pytest.MonkeyPatch, changes: dict[str, int]
) -> None:
    force(SMALL[0], 4)
    monkeypatch.setattr(device, "limits", replace(device.limits, **changes))
    rng = np.random.default_rng()
    a, b = normal(rng, 70, 64), normal(rng, 64, 65)
    c = matmul(array(a, device=device), array(b, device=device)).numpy()
    assert_within(c, *oracle.matmul(a, b, dtype=F32))


def test_a_slow_device_is_given_a_block_at_a_time(
    device: Device, force: Force, blocked: Blocked, monkeypatch: pytest.MonkeyPatch
) -> None:
    force(blocked, 2)
    monkeypatch.setattr(device.throughput, "flops", lambda kernel, **kwargs: 60_000)
    rng = np.random.default_rng()
    a, b = normal(rng, 3, 70, 100), normal(rng, 3, 100, 66)
    with poison(device):
        c = matmul(array(a, device=device), array(b, device=device)).numpy()
    assert_within(c, *of_batch(a, b))


@pytest.mark.one_mode  # Any layout is tried in both, above.
def test_a_row_and_a_column_of_odd_numbers_stay_by_themselves(
    device: Device, force: Force, blocked: Blocked
) -> None:
    force(blocked, 2)
    rng = np.random.default_rng()
    a, b = normal(rng, 35, 19), normal(rng, 19, 37)
    reference, bound = oracle.matmul(a, b, dtype=F32)
    with each_reported() as case:
        for layout, value, at in product(layouts_of(blocked), (np.nan, np.inf, 3e38), (0, -1)):
            left, right = a.copy(), b.copy()
            left[at], right[:, at] = value, value
            inner = np.s_[:-1, :-1] if at else np.s_[1:, 1:]
            with case(f"{layout}, {value} at {at}"):
                c = matmul(*laid(device, layout, left, right)).numpy()
                assert_within(c[inner], reference[inner], bound[inner])


def test_the_same_inputs_give_the_same_bits(device: Device, force: Force, blocked: Blocked) -> None:
    force(blocked, 3)
    rng = np.random.default_rng()
    a, b = array(normal(rng, 65, 70), device=device), array(normal(rng, 70, 33), device=device)
    assert matmul(a, b).numpy().tobytes() == matmul(a, b).numpy().tobytes()
