"""Subgroup functions compared with NumPy's, for several sizes; the last subgroup of a workgroup is not full.

The numbers are such that sums and products are exact in any order. A lane that is not there gives zero.
"""

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import pytest

from rusty_py.checker import check

from ..each import each_reported
from .expressions import Numbers, rng

THREADS = 8 * 5 + 3
GROUPS = 2
SIZES = (16, 32, 64)
KINDS = {
    "i32": (np.dtype(np.int32), 1),
    "u32": (np.dtype(np.uint32), 1),
    "f32": (np.dtype(np.float32), 1),
    "f16": (np.dtype(np.float16), 1),
    "vec4<f32>": (np.dtype(np.float32), 4),
    "vec4<i64>": (np.dtype(np.int64), 4),
}

Reference = Callable[[Numbers], Numbers]


def spread(reduced: Callable[[Numbers], Numbers]) -> Reference:
    """The same for all lanes."""
    return lambda lanes: np.broadcast_to(reduced(lanes), lanes.shape)


def taken_from(lane_of: Callable[[Numbers], Numbers]) -> Reference:
    """The value of another lane, which a lane's own number tells."""

    def reference(lanes: Numbers) -> Numbers:
        other = lane_of(np.arange(len(lanes)))
        there = (other >= 0) & (other < len(lanes))
        values = lanes[np.where(there, other, 0)]
        return np.where(there[:, None], values, lanes.dtype.type(0))

    return reference


def exclusive(scan: Callable[..., Numbers], first: int) -> Reference:
    def reference(lanes: Numbers) -> Numbers:
        before = np.concatenate([np.full_like(lanes[:1], first), lanes[:-1]])
        return scan(before, axis=0, dtype=lanes.dtype)

    return reference


FUNCTIONS: dict[str, Reference] = {
    "subgroupAdd(v)": spread(lambda x: x.sum(axis=0, dtype=x.dtype)),
    "subgroupMul(v)": spread(lambda x: x.prod(axis=0, dtype=x.dtype)),
    "subgroupMin(v)": spread(lambda x: x.min(axis=0)),
    "subgroupMax(v)": spread(lambda x: x.max(axis=0)),
    "subgroupInclusiveAdd(v)": lambda x: np.cumsum(x, axis=0, dtype=x.dtype),
    "subgroupInclusiveMul(v)": lambda x: np.cumprod(x, axis=0, dtype=x.dtype),
    "subgroupExclusiveAdd(v)": exclusive(np.cumsum, 0),
    "subgroupExclusiveMul(v)": exclusive(np.cumprod, 1),
    "subgroupBroadcast(v, 9u)": taken_from(lambda lane: 0 * lane + 9),
    "subgroupBroadcastFirst(v)": taken_from(lambda lane: 0 * lane),
    "subgroupShuffle(v, (lane * 7u + 3u) % 16u)": taken_from(lambda lane: (lane * 7 + 3) % 16),
    "subgroupShuffleUp(v, 3u)": taken_from(lambda lane: lane - 3),
    "subgroupShuffleDown(v, 3u)": taken_from(lambda lane: lane + 3),
    "subgroupShuffleXor(v, 5u)": taken_from(lambda lane: lane ^ 5),
    "quadBroadcast(v, 2u)": taken_from(lambda lane: lane // 4 * 4 + 2),
    "quadSwapX(v)": taken_from(lambda lane: lane ^ 1),
    "quadSwapY(v)": taken_from(lambda lane: lane ^ 2),
    "quadSwapDiagonal(v)": taken_from(lambda lane: lane ^ 3),
}
BITS: dict[str, Reference] = {
    "subgroupAnd(v)": spread(lambda x: np.bitwise_and.reduce(x, axis=0)),
    "subgroupOr(v)": spread(lambda x: np.bitwise_or.reduce(x, axis=0)),
    "subgroupXor(v)": spread(lambda x: np.bitwise_xor.reduce(x, axis=0)),
}


def functions_of(kind: str) -> dict[str, Reference]:
    return FUNCTIONS if KINDS[kind][0].kind == "f" else FUNCTIONS | BITS


def text(kind: str) -> str:
    lines = "\n".join(
        f"    found[{at} * {GROUPS * THREADS} + i] = {wgsl};" for at, wgsl in enumerate(functions_of(kind))
    )
    return f"""
{"enable f16;" if kind == "f16" else ""}
@group(0) @binding(0) var<storage> values: array<{kind}>;
@group(0) @binding(1) var<storage, read_write> found: array<{kind}>;
@compute @workgroup_size({THREADS})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(subgroup_invocation_id) lane: u32) {{
    let i = id.x;
    let v = values[i];
{lines}
}}
"""


VOTES = f"""
@group(0) @binding(0) var<storage> votes: array<vec2u>;
@group(0) @binding(1) var<storage, read_write> found: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> ballots: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> present: array<vec4u>;
@group(0) @binding(4) var<storage, read_write> ids: array<vec4u>;
@compute @workgroup_size({THREADS})
fn main(
    @builtin(global_invocation_id) id: vec3u,
    @builtin(subgroup_size) size: u32,
    @builtin(num_subgroups) count: u32,
    @builtin(subgroup_id) number: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {{
    let i = id.x;
    let one = votes[i].x == 1;
    let other = votes[i].y == 1;
    let every = subgroupAll(one);
    let some = subgroupAny(other);
    found[i] = vec4u(u32(every), u32(some), u32(subgroupAny(one)), u32(subgroupAll(other)));
    ballots[i] = subgroupBallot(one);
    present[i] = subgroupBallot();
    subgroupBarrier();
    ids[i] = vec4u(size, count, number, lane);
}}
"""
KERNELS = [*map(text, KINDS), VOTES]


def subgroups(size: int) -> list[slice]:
    """The threads of each, workgroup by workgroup."""
    return [
        slice(group * THREADS + first, group * THREADS + min(first + size, THREADS))
        for group in range(GROUPS)
        for first in range(0, THREADS, size)
    ]


def values_of(kind: str) -> Numbers:
    dtype, width = KINDS[kind]
    random = rng(kind)
    shape = (GROUPS * THREADS, width)
    if dtype.kind == "f":
        return random.choice([-1.0, 1.0, 1.0, 2.0, 0.5], shape).astype(dtype)
    return random.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, shape, dtype)


def found(kind: str, size: int) -> Numbers:
    values, count = values_of(kind), len(functions_of(kind))
    poison = np.full((count, *values.shape), 0x5A, values.dtype)
    buffers = {"values": values, "found": poison}
    report = check(text(kind), workgroups=GROUPS, buffers=buffers, subgroup_sizes=(size,), seeds=2)
    assert report.clean, str(report)
    return report.outputs["found"]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_subgroup_functions(kind: str, size: int) -> None:
    values, results = values_of(kind), found(kind, size)
    with each_reported() as case:
        for at, (wgsl, reference) in enumerate(functions_of(kind).items()):
            with case(wgsl), np.errstate(over="ignore"):
                expected = np.concatenate([reference(values[lanes]) for lanes in subgroups(size)])
                np.testing.assert_array_equal(results[at], expected)


@cache
def voted(size: int) -> tuple[Numbers, Mapping[str, Numbers]]:
    votes = (rng("votes").random((GROUPS * THREADS, 2)) < [0.8, 0.2]).astype(np.uint32)
    # Some are unanimous.
    votes[:16], votes[THREADS : THREADS + 32] = [1, 0], [0, 1]
    poison = np.full((GROUPS * THREADS, 4), 0x5A, np.uint32)
    outputs = dict.fromkeys(("found", "ballots", "present", "ids"), poison)
    buffers = {"votes": votes, **outputs}
    report = check(VOTES, workgroups=GROUPS, buffers=buffers, subgroup_sizes=(size,))
    assert report.clean, str(report)
    return votes, report.outputs


@pytest.mark.parametrize("size", SIZES)
def test_subgroups_vote(size: int) -> None:
    votes, outputs = voted(size)
    for lanes in subgroups(size):
        one, other = votes[lanes].T.astype(bool)
        expected = [one.all(), other.any(), one.any(), other.all()]
        np.testing.assert_array_equal(outputs["found"][lanes], [expected] * len(one))


@pytest.mark.parametrize("size", SIZES)
def test_a_ballot_has_a_bit_for_each_lane_of_the_first_32(size: int) -> None:
    # naga takes 32 bits of it: Apple's subgroups have no more lanes.
    votes, outputs = voted(size)
    for lanes in subgroups(size):
        bits = votes[lanes][:32, 0].astype(bool)
        for name, there in (("ballots", bits), ("present", np.ones_like(bits))):
            word = sum(1 << lane for lane in np.flatnonzero(there).tolist())
            assert (outputs[name][lanes] == [word, 0, 0, 0]).all()


@pytest.mark.parametrize("size", SIZES)
def test_threads_know_their_subgroup(size: int) -> None:
    _, outputs = voted(size)
    local = np.arange(GROUPS * THREADS) % THREADS
    count = -(-THREADS // size)
    expected = np.stack([0 * local + size, 0 * local + count, local // size, local % size], axis=1)
    np.testing.assert_array_equal(outputs["ids"], expected)
