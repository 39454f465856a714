"""What only another order of threads shows."""

import numpy as np

from rusty_py.checker import Report, check
from rusty_py.runtime.probe import SUBGROUP_SIZE

LIST = """
@group(0) @binding(0) var<storage, read_write> list: array<u32, 4>;
@group(0) @binding(1) var<storage, read_write> count: atomic<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    BODY
}
"""
APPEND = "let at = atomicAdd(&count, 1u); if (at < 4u) { list[at] = id.x; }"
ASKS_FIRST = "if (atomicLoad(&count) < 4u) { let at = atomicAdd(&count, 1u); list[at] = id.x; }"
TEST_AND_SET = "if (atomicLoad(&count) == 0u) { atomicStore(&count, 1u); list[0] = id.x; }"

HISTOGRAM = """
@group(0) @binding(0) var<storage, read_write> x: array<u32, 64>;
var<workgroup> bins: array<atomic<u32>, 8>;
@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) i: u32) {
    if (i < 8u) { atomicStore(&bins[i], 0u); }
    workgroupBarrier();
    atomicAdd(&bins[x[i] % 8u], 1u);
    BARRIER
    x[i] = atomicLoad(&bins[i % 8u]);
}
"""


def listed(body: str, *, seeds: int = 2) -> Report:
    buffers = {"list": np.zeros(4, np.uint32), "count": np.zeros(1, np.uint32)}
    return check(LIST.replace("BODY", body), workgroups=1, buffers=buffers, seeds=seeds)


def test_who_asks_first_and_counts_later_runs_out_of_the_list() -> None:
    report = listed(ASKS_FIRST)
    assert [finding.kind for finding in report.findings] == ["out of bounds"]
    assert report.findings[0].variable == "list"
    assert report.runs[-1].seed == 1


def test_a_flag_that_is_tested_and_then_set_guards_nothing() -> None:
    assert "race" in {finding.kind for finding in listed(TEST_AND_SET, seeds=20).findings}


def test_who_counts_first_is_clean_and_the_order_decides_what_is_listed() -> None:
    report = listed(APPEND)
    assert report.clean, report
    assert report.varies == ("list",)
    assert report.summary().endswith("; what is left in list depends on the order of threads")


def test_the_subgroup_size_decides_and_the_order_does_not() -> None:
    report = check(SUBGROUP_SIZE.text, workgroups=1, buffers={"size": "u32[1]"})
    assert {run.subgroup_size for run in report.runs} == {16, 32, 64}
    assert (report.clean, report.varies) == (True, ())


def test_the_order_decides_whatever_the_subgroup_size() -> None:
    report = listed(f"_ = subgroupAdd(1u); {APPEND}")
    assert {run.subgroup_size for run in report.runs} == {16, 32, 64}
    assert (report.clean, report.varies) == (True, ("list",))


def test_atomics_without_a_barrier_between_them_depend_on_the_order() -> None:
    buffers = {"x": np.arange(64, dtype=np.uint32)}
    with_barrier = check(HISTOGRAM.replace("BARRIER", "workgroupBarrier();"), workgroups=1, buffers=buffers)
    assert (with_barrier.clean, with_barrier.varies) == (True, ())
    np.testing.assert_array_equal(with_barrier.outputs["x"], 8)
    without = check(HISTOGRAM.replace("BARRIER", ""), workgroups=1, buffers=buffers)
    assert (without.clean, without.varies) == (True, ("x",))


def test_a_wait_for_a_later_thread_never_ends_in_the_threads_own_order() -> None:
    body = "loop { if (atomicLoad(&count) == 63u - id.x) { break; } } atomicAdd(&count, 1u); list[0] += 0u;"
    report = check(
        LIST.replace("BODY", body),
        workgroups=1,
        buffers={"list": np.zeros(4, np.uint32), "count": np.zeros(1, np.uint32)},
        step_limit=1000,
    )
    assert report.findings[0].kind == "endless loop"
