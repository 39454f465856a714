"""Atomics in storage and in workgroup memory, compared with NumPy's, whatever the order of the threads."""

from collections.abc import Callable, Mapping
from functools import cache, reduce

import numpy as np
import pytest

from rusty_py.checker import check

from ..each import each_reported
from .expressions import Numbers, rng

THREADS = 48
KINDS = {"i32": np.dtype(np.int32), "u32": np.dtype(np.uint32)}
SPACES = ("storage", "workgroup")
OPERATIONS: dict[str, Callable[[Numbers, Numbers], Numbers]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Min": np.minimum,
    "Max": np.maximum,
    "And": np.bitwise_and,
    "Or": np.bitwise_or,
    "Xor": np.bitwise_xor,
    "Exchange": lambda old, new: new,
}
STORED = 41

# The cells: one for each operation; one that counts; and one for each thread.
CELLS = len(OPERATIONS) + 1
TEXT = """
struct Cells { shared_ones: array<atomic<T>, CELLS>, own: array<atomic<T>, THREADS> }
@group(0) @binding(0) var<storage, read_write> stored: Cells;
@group(0) @binding(1) var<storage> values: array<T>;
@group(0) @binding(2) var<storage, read_write> old: array<array<T, THREADS>, CELLS>;
@group(0) @binding(3) var<storage, read_write> swapped: array<vec2u>;
@group(0) @binding(4) var<storage, read_write> final_values: array<T>;
var<workgroup> local: Cells;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) i: u32) {
    if i < CELLS { atomicStore(&CELL.shared_ones[i], atomicLoad(&stored.shared_ones[i])); }
    atomicStore(&CELL.own[i], T(i));
    workgroupBarrier();
    storageBarrier();
CHANGES
    old[CELLS - 1][i] = atomicAdd(&CELL.shared_ones[CELLS - 1], 1);
    // An even thread expects what its cell holds.
    let swap = atomicCompareExchangeWeak(&CELL.own[i], T(i + i % 2), T(STORED));
    swapped[i] = vec2u(u32(swap.old_value), u32(swap.exchanged));
    workgroupBarrier();
    storageBarrier();
    final_values[CELLS + i] = atomicLoad(&CELL.own[i]);
    if i < CELLS { final_values[i] = atomicLoad(&CELL.shared_ones[i]); }
}
"""
FLOATS = f"""
@group(0) @binding(0) var<storage, read_write> cells: array<atomic<f32>, 4>;
@group(0) @binding(1) var<storage, read_write> wide: array<atomic<u64>, 2>;
@group(0) @binding(2) var<storage> values: array<u64>;
@compute @workgroup_size({THREADS})
fn main(@builtin(local_invocation_index) i: u32) {{
    atomicAdd(&cells[0], f32(i));
    atomicSub(&cells[1], f32(i));
    if i == 3 {{ atomicStore(&cells[2], atomicExchange(&cells[3], 8.5) + atomicLoad(&cells[2])); }}
    atomicMin(&wide[0], values[i]);
    atomicMax(&wide[1], values[i]);
}}
"""


def text(kind: str, space: str) -> str:
    changes = "\n".join(
        f"    old[{at}][i] = atomic{name}(&CELL.shared_ones[{at}], values[i]);"
        for at, name in enumerate(OPERATIONS)
    )
    words = {
        "CHANGES": changes,
        "CELLS": f"{CELLS}",
        "CELL": {"storage": "stored", "workgroup": "local"}[space],
        "THREADS": f"{THREADS}",
        "STORED": f"{STORED}",
        "<T>": f"<{kind}>",
        "T(": f"{kind}(",
        "<T,": f"<{kind},",
    }
    return reduce(lambda wgsl, word: wgsl.replace(*word), words.items(), TEXT)


KERNELS = [text(kind, space) for kind in KINDS for space in SPACES] + [FLOATS]


def given(kind: np.dtype) -> tuple[Numbers, Numbers]:
    """The shared cells at first, and each thread's value: sums wrap around."""
    limits = np.iinfo(kind)
    values = rng(kind.name).integers(limits.min, limits.max, CELLS + THREADS, kind)
    values[CELLS - 1] = 0
    return values[:CELLS], values[CELLS:]


@cache
def outputs(kind: str, space: str) -> Mapping[str, Numbers]:
    dtype = KINDS[kind]
    initial, values = given(dtype)
    report = check(
        text(kind, space),
        workgroups=1,
        buffers={
            "stored": np.concatenate([initial, np.zeros(THREADS, dtype)]),
            "values": values,
            "old": np.full((CELLS, THREADS), 0x5A5A5A5A, dtype),
            "swapped": np.full((THREADS, 2), 0x5A5A5A5A, np.uint32),
            "final_values": np.full(CELLS + THREADS, 0x5A5A5A5A, dtype),
        },
    )
    assert report.clean, str(report)
    return report.outputs


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("space", SPACES)
class TestAtomics:
    def test_all_threads_change_the_cell(self, kind: str, space: str) -> None:
        initial, values = given(KINDS[kind])
        final = outputs(kind, space)["final_values"]
        with each_reported() as case:
            for at, (name, operation) in enumerate(OPERATIONS.items()):
                if name == "Exchange":  # Which thread's value stays depends on their order.
                    continue
                with case(name), np.errstate(over="ignore"):
                    assert final[at] == reduce(operation, values, initial[at])

    def test_the_old_values_are_those_before_each_change(self, kind: str, space: str) -> None:
        initial, values = given(KINDS[kind])
        left = outputs(kind, space)
        with each_reported() as case:
            for at, (name, operation) in enumerate(OPERATIONS.items()):
                with case(name), np.errstate(over="ignore"):
                    # Without a seed the threads run in their own order.
                    history = [initial[at]]
                    for value in values:
                        history.append(operation(history[-1], value))
                    np.testing.assert_array_equal(left["old"][at], history[:-1])
                    assert left["final_values"][at] == history[-1]

    def test_a_counter_gives_each_thread_a_number(self, kind: str, space: str) -> None:
        assert sorted(outputs(kind, space)["old"][CELLS - 1]) == list(range(THREADS))

    def test_compare_and_exchange_stores_where_the_old_value_is_as_expected(
        self, kind: str, space: str
    ) -> None:
        threads = np.arange(THREADS)
        expected = np.stack([threads, threads % 2 == 0], axis=1)
        np.testing.assert_array_equal(outputs(kind, space)["swapped"], expected)
        left = np.where(threads % 2 == 0, STORED, threads)
        np.testing.assert_array_equal(outputs(kind, space)["final_values"][CELLS:], left)


def test_atomics_of_floats_and_of_64_bits() -> None:
    values = rng("wide").integers(0, 2**64, THREADS, np.uint64)
    cells = np.array([0.5, 0.25, 3, 4], np.float32)
    wide = np.array([2**64 - 1, 0], np.uint64)
    report = check(FLOATS, workgroups=1, buffers={"cells": cells, "wide": wide, "values": values})
    assert report.clean, str(report)
    total = sum(range(THREADS))
    np.testing.assert_array_equal(report.outputs["cells"], [total + 0.5, 0.25 - total, 7, 8.5])
    np.testing.assert_array_equal(report.outputs["wide"], [values.min(), values.max()])
