"""Products of host arrays in blocks: right for any size and option, in the memory and copies promised."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rusty_py as rp
from rusty_py import (
    Device,
    DeviceError,
    DtypeError,
    LimitError,
    Limits,
    OutOfMemory,
    ShapeError,
    matmul,
)
from rusty_py.dtypes import F32
from rusty_py.gemm import host, stream
from rusty_py.gemm.blocked_family import BLOCKED
from rusty_py.gemm.large_bindings import Spans
from rusty_py.gemm.plan import GemmPlan
from rusty_py.runtime import transfer
from rusty_py.runtime.pool import Allocation, Pool

from .operands import needs
from .products import assert_product, uniform

pytestmark = [pytest.mark.one_mode, pytest.mark.usefixtures("short_kernels")]
BLOCKED_KERNEL = min(BLOCKED, key=lambda kernel: kernel.block_m * kernel.block_n)
SIZES = st.one_of(st.sampled_from([1, 2, 15, 16, 17, 31, 33, 64]), st.integers(1, 90))


def small(device: Device, *, memory_limit: int | None = None, staged: bool = False, **changes: int) -> Device:
    """A device like another, but for its limits."""
    limits = Limits(**(vars(device.adapter.limits) | changes))
    kwargs: dict[str, Any] = {"memory_limit": memory_limit, "staged": staged, "limits": limits}
    return Device(device.adapter, checked=device.checked, **kwargs)


NARROW = {
    "bindings": {"binding_bytes": 2048},
    "buffers": {"buffer_bytes": 2048},
    "memory": {"memory_limit": 12_000},
    "staged": {"memory_limit": 12_000, "staged": True},
    "both": {"memory_limit": 12_000, "binding_bytes": 1024},
}


@pytest.fixture(scope="module", params=NARROW)
def narrow(request: pytest.FixtureRequest, device: Device) -> Iterator[Device]:
    """Devices on which products of a few thousand numbers are too large."""
    with small(device, **NARROW[request.param]) as narrow:
        yield narrow


@contextmanager
def streaming(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[stream.StreamJob]]:
    """The jobs that are streamed meanwhile."""
    jobs: list[stream.StreamJob] = []
    with monkeypatch.context() as patch:
        original = host.stream
        patch.setattr(
            host, "stream", lambda device, job, **kwargs: jobs.append(job) or original(device, job, **kwargs)
        )
        yield jobs


@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(m=SIZES, k=SIZES, n=SIZES, transposed=st.tuples(st.booleans(), st.booleans()))
def test_products_of_any_size(narrow: Device, m: int, k: int, n: int, transposed: tuple[bool, bool]) -> None:
    a, b = uniform(m, k, seed=1), uniform(k, n, seed=2)
    x, y = (z.T.copy().T if turn else z for z, turn in zip((a, b), transposed, strict=True))
    assert_product(matmul(x, y, device=narrow), a, b)
    if narrow.pool.memory_limit is not None:
        assert narrow.pool_stats().peak_bytes <= narrow.pool.memory_limit


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3000,), (3000,)),
        ((3000,), (3000, 4)),
        ((700, 17), (17,)),
        ((5, 40, 17), (17, 40)),
        ((3, 1, 33, 17), (4, 17, 21)),
        ((2, 3, 8, 9), (1, 3, 9, 60)),
        ((60, 5, 6), (60, 6, 7)),
        ((60, 5, 6), (6, 7)),
        ((5, 6), (60, 6, 7)),
        ((70, 0), (0, 80)),
        ((1, 1), (1, 5000)),
    ],
    ids=str,
)
def test_shapes_follow_numpy(narrow: Device, a: tuple[int, ...], b: tuple[int, ...]) -> None:
    left, right = uniform(*a, seed=1), uniform(*b, seed=2)
    assert_product(matmul(left, right, device=narrow), left, right)
    broadcast = np.broadcast_to(left, (2, *a)) if len(a) > 2 else left
    assert_product(matmul(broadcast, right, device=narrow), broadcast, right)


@pytest.mark.parametrize("tile", ["naive", 8, 16])
def test_tiles_are_taken(narrow: Device, tile: int | str) -> None:
    a, b = uniform(60, 70, seed=1), uniform(70, 50, seed=2)
    assert_product(matmul(a, b, tile=tile, device=narrow), a, b)


@pytest.mark.parametrize(("k", "transposed"), [(0, False), (7, True), (90, False)])
def test_bias_activation_and_what_is_there_come_once(narrow: Device, k: int, transposed: bool) -> None:
    a, b, bias = uniform(45, k, seed=1), uniform(k, 61, seed=2), uniform(61, seed=3)
    before = uniform(45, 61, seed=4)
    out = np.asfortranarray(before) if transposed else before.copy()
    c = matmul(a, b, out=out, accumulate=True, bias=bias, activation="relu", device=narrow)
    assert c is out
    expected = np.maximum(a.astype(float) @ b + before + bias, 0)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-6 * (k + 4))


def test_halves_are_rounded_once(narrow: Device) -> None:
    needs(narrow, rp.dtypes.F16)
    a, b = (uniform(*shape, seed=1).astype(np.float16) for shape in ((40, 401), (401, 30)))
    before, bias = (uniform(*shape, seed=2).astype(np.float16) for shape in ((40, 30), (30,)))
    out = before.copy()
    matmul(a, b, out=out, accumulate=True, bias=bias, device=narrow)
    expected = a.astype(float) @ b.astype(float) + before + bias
    # Half a unit in the last place for the one rounding, and the sums' own.
    bound = np.abs(expected) * 2**-11 + 401 * 2**-24 * (np.abs(a).astype(float) @ np.abs(b).astype(float))
    assert (np.abs(out - expected) <= bound + 2**-24).all()
    assert matmul(a, b, device=narrow).dtype == np.float16


def test_other_dtypes_are_cast_block_by_block(narrow: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = uniform(70, 41, seed=1).astype(np.float64), uniform(41, 50, seed=2).astype(">f4")
    with streaming(monkeypatch) as jobs:
        assert_product(matmul(a, b, dtype="f32", device=narrow), a, b)
    assert np.shares_memory(jobs[0].a, a)
    assert np.shares_memory(jobs[0].b, b)
    with pytest.raises(DtypeError):
        matmul(a, b, device=narrow)
    with pytest.raises(ShapeError, match="a bias has a number for each column"):
        matmul(a, b, dtype="f32", bias=np.zeros(3, np.float32), device=narrow)


def test_large_blocks_are_copied_by_several_threads(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "THREADS", 3)
    monkeypatch.setattr(transfer, "_THREAD_BYTES", 256)
    monkeypatch.setattr(transfer, "_MIN_CHUNK_BYTES", 64)
    a, b = uniform(101, 90, seed=1), uniform(90, 113, seed=2)
    with small(unchecked, memory_limit=40_000) as narrow:
        assert_product(matmul(a, b, device=narrow), a, b)
        assert_product(matmul(a.T[:, :90], b, device=narrow), a.T[:, :90], b)


def test_what_fits_is_not_streamed(unchecked: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    a = uniform(32, 32)
    with streaming(monkeypatch) as jobs, small(unchecked, memory_limit=3 * 4096) as fits:
        matmul(a, a, device=fits)
        assert not jobs
        held = rp.zeros((32, 32), device=fits)
        assert_product(matmul(a, a, device=fits), a, a)
        assert len(jobs) == 1
        del held
        matmul(a, a, device=fits)
        assert len(jobs) == 1


def sent_and_held(order: Iterator[stream.BlockStep]) -> tuple[Counter[object], Counter[object]]:
    """How often each block of a and of b is sent, if two of each stay where they are."""
    sent: tuple[Counter[object], Counter[object]] = (Counter(), Counter())
    held: tuple[list[object], list[object]] = ([], [])
    for step in order:
        where = (*step.outer, *step.products)
        block = step.block
        for i, key in enumerate(((*where, block[:2], block[4:]), (*where, block[2:4], block[4:]))):
            if key in held[i]:
                held[i].remove(key)
            else:
                sent[i][key] += 1
            held[i].append(key)
            del held[i][:-2]
    return sent


@pytest.mark.parametrize("size", [(64, 32, 96), (128, 512, 64), (16, 16, 2000)], ids=str)
def test_blocks_are_sent_as_often_as_the_order_says(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int, int]
) -> None:
    m, k, n = size
    a, b = uniform(m, k, seed=1), uniform(k, n, seed=2)
    with small(unchecked, memory_limit=16_000) as narrow:
        steps = stream._Steps(stream.StreamJob(a, b, np.empty((m, n), np.float32), F32))
        spans = stream.choose(narrow, steps, 16_000)
        uploads, write = [], narrow.write
        monkeypatch.setattr(narrow, "write", lambda x, y: uploads.append(y.nbytes) or write(x, y))
        assert_product(matmul(a, b, device=narrow), a, b)
    assert len(uploads) == sum(map(Counter.total, sent_and_held(steps.order(spans))))
    assert max(uploads) <= 16_000 / 3


def test_a_row_of_blocks_stays_while_columns_pass() -> None:
    a, b = np.empty((64, 32)), np.empty((32, 96))
    steps = stream._Steps(stream.StreamJob(a, b, np.empty((64, 96)), F32))
    order = list(steps.order(Spans(1, 32, 32, 32)))
    assert [(step.block.row0, step.block.col0) for step in order] == [
        (0, 0),
        (0, 32),
        (0, 64),
        (32, 64),
        (32, 32),
        (32, 0),
    ]
    sent_a, sent_b = sent_and_held(iter(order))
    assert set(sent_a.values()) == {1}
    assert sorted(sent_b.values()) == [1, 1, 2]


@pytest.mark.parametrize("spans", [Spans(1, 32, 32, 16), Spans(2, 64, 96, 40), Spans(1, 48, 96, 40)], ids=str)
def test_blocks_cover_each_product_once(spans: Spans) -> None:
    a, b = np.empty((3, 64, 40)), np.empty((40, 96))
    steps = stream._Steps(stream.StreamJob(a, b, np.empty((3, 64, 96)), F32))
    seen = np.zeros((3, 64, 96, 40), int)
    for step in steps.order(spans):
        row0, row1, col0, col1, k0, k1 = step.block
        cube = seen[slice(*step.products), row0:row1, col0:col1]
        assert step.first == (not cube.any())
        cube[..., k0:k1] += 1
        assert step.last == cube.all()
    assert (seen == 1).all()


def test_while_one_block_computes_its_neighbours_are_moved(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    cls = stream._Pipeline

    def noting(name: str, call: Callable[..., object]) -> Callable[..., object]:
        def noted(self: object, *kwargs: Any) -> object:
            if name != "_collect" or kwargs[0]:
                events.append(name)
            return call(self, *kwargs)

        return noted

    for name in ("_send", "_launch", "_start", "_collect"):
        monkeypatch.setattr(cls, name, noting(name, getattr(cls, name)))
    a, b = uniform(64, 16, seed=1), uniform(16, 16, seed=2)
    with small(unchecked, memory_limit=5200) as narrow:
        assert_product(matmul(a, b, device=narrow), a, b)
    middle = ["_launch", "_collect", "_start", "_send"]
    assert events[:6] == ["_send", "_launch", "_start", "_send", *middle[:2]]
    assert events[4:8] == middle
    assert events[-1] == "_collect"


def test_a_device_with_less_memory_than_it_says_gets_smaller_blocks(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = uniform(100, 90, seed=1), uniform(90, 110, seed=2)
    before = uniform(100, 110, seed=3)
    with small(unchecked) as narrow:
        take, held = narrow.pool._create, []

        def create(nbytes: int) -> object:
            held.append(nbytes)
            if nbytes > 9000:
                raise OutOfMemory("buffer: no room")
            return take(nbytes)

        monkeypatch.setattr(narrow.pool, "_create", create)
        out = before.copy()
        matmul(a, b, out=out, accumulate=True, device=narrow)
        assert max(held) > 9000
        monkeypatch.setattr(narrow.pool, "_create", take)
    np.testing.assert_allclose(out, a @ b + before, atol=1e-4)


def test_no_room_for_the_smallest_blocks_is_said(unchecked: Device) -> None:
    a = uniform(64, 64)
    with small(unchecked, memory_limit=2000) as narrow, pytest.raises(OutOfMemory, match="smallest blocks"):
        matmul(a, a, device=narrow)
    with small(unchecked, binding_bytes=512) as narrow, pytest.raises(LimitError, match="one binding"):
        matmul(a, a, device=narrow)


@pytest.mark.parametrize(
    ("moment", "staged"), [("_send", True), ("_launch", False), ("_start", True), ("_collect", False)]
)
def test_ctrl_c_leaves_nothing_behind(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch, moment: str, staged: bool
) -> None:
    a, b = uniform(100, 90, seed=1), uniform(90, 110, seed=2)
    out = np.full((100, 110), 7, np.float32)
    with small(unchecked, memory_limit=12_000, staged=staged) as narrow:
        calls, original = [], getattr(stream._Pipeline, moment)

        def interrupted(self: object, *kwargs: object) -> object:
            calls.append(1)
            if len(calls) == 5:
                raise KeyboardInterrupt
            return original(self, *kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(stream._Pipeline, moment, interrupted)
            with pytest.raises(KeyboardInterrupt):
                matmul(a, b, out=out, device=narrow)
        assert (out == 7).all()
        assert narrow.pool_stats().live_bytes == 0
        assert narrow.transfer.reading.stats().live_bytes == 0
        matmul(a, b, out=out, device=narrow)
        assert_product(out, a, b)


def test_ctrl_c_after_memory_went_back_to_its_pool_leaves_it_usable(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = uniform(100, 90, seed=1), uniform(90, 110, seed=2)
    with small(unchecked, memory_limit=12_000, staged=True) as narrow:
        reading = narrow.transfer.reading

        def interrupted(memory: Allocation, *, destroyed: bool = False) -> None:
            Pool.give(reading, memory, destroyed=destroyed)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(reading, "give", interrupted)
            with pytest.raises(KeyboardInterrupt):
                matmul(a, b, device=narrow)
        assert_product(matmul(a, b, device=narrow), a, b)


def test_blocks_are_packed_where_memory_is_left(unchecked: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        stream,
        "plan",
        lambda device, problem, **kwargs: GemmPlan(problem, BLOCKED_KERNEL, packs="ab"),
    )
    packed, original = [], stream.dispatches
    monkeypatch.setattr(
        stream, "dispatches", lambda *one, **kwargs: packed.append(one[1].packs) or original(*one, **kwargs)
    )
    a, b = uniform(100, 90, seed=1), uniform(90, 110, seed=2)
    for kwargs in ({"memory_limit": 40_000}, {"binding_bytes": 20_000}):
        with small(unchecked, **kwargs) as narrow:
            assert_product(matmul(a, b, device=narrow), a, b)
            if narrow.pool.memory_limit:
                assert narrow.pool_stats().peak_bytes <= narrow.pool.memory_limit
    assert set(packed) == {"", "ab"}


def test_not_in_a_capture(unchecked: Device) -> None:
    a = uniform(64, 64)
    with (
        small(unchecked, memory_limit=12_000) as narrow,
        narrow.capture(),
        pytest.raises(DeviceError, match="capture"),
    ):
        matmul(a, a, device=narrow)
