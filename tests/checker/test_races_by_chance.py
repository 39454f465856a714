"""Races of random programs: what the checker says against all pairs of accesses.

One kernel reads its program from a table: in each phase each thread reads or writes, plainly or atomically,
some cells of workgroup memory or of a buffer, and between the phases stands a barrier of some kind, or none.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pytest

from rusty_py.checker import check

GROUPS, THREADS, PHASES, STEPS, CELLS = 2, 4, 4, 2, 3
NOTHING, READ, WRITE, COUNT, LOOK = range(5)
"""What a step does: the last two are atomic, and have cells of their own."""
WORKGROUP, STORAGE = 0, 1
NO_BARRIER, ORDERS_WORKGROUP, ORDERS_STORAGE = range(3)
PROGRAMS = 150

KERNEL = f"""
@group(0) @binding(0) var<storage, read> program: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> barriers: array<u32, {PHASES}>;
@group(0) @binding(2) var<storage, read_write> stored: array<u32, {CELLS}>;
@group(0) @binding(3) var<storage, read_write> stored_counts: array<atomic<u32>, {CELLS}>;
@group(0) @binding(4) var<storage, read_write> seen: array<u32>;
var<workgroup> shared_cells: array<u32, {CELLS}>;
var<workgroup> shared_counts: array<atomic<u32>, {CELLS}>;

@compute @workgroup_size({THREADS})
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) i: u32) {{
    if (i < {CELLS}u) {{
        shared_cells[i] = 0u;
        atomicStore(&shared_counts[i], 0u);
    }}
    workgroupBarrier();
    var sum = 0u;
    for (var phase = 0u; phase < {PHASES}u; phase++) {{
        for (var step = 0u; step < {STEPS}u; step++) {{
            let each = program[(id.x * {PHASES}u + phase) * {STEPS}u + step];
            if (each.y == {WORKGROUP}u) {{
                if (each.x == {READ}u) {{ sum += shared_cells[each.z]; }}
                if (each.x == {WRITE}u) {{ shared_cells[each.z] = id.x; }}
                if (each.x == {COUNT}u) {{ atomicAdd(&shared_counts[each.z], 1u); }}
                if (each.x == {LOOK}u) {{ sum += atomicLoad(&shared_counts[each.z]); }}
            }} else {{
                if (each.x == {READ}u) {{ sum += stored[each.z]; }}
                if (each.x == {WRITE}u) {{ stored[each.z] = id.x; }}
                if (each.x == {COUNT}u) {{ atomicAdd(&stored_counts[each.z], 1u); }}
                if (each.x == {LOOK}u) {{ sum += atomicLoad(&stored_counts[each.z]); }}
            }}
        }}
        if (barriers[phase] == {ORDERS_WORKGROUP}u) {{
            workgroupBarrier();
        }} else if (barriers[phase] == {ORDERS_STORAGE}u) {{
            storageBarrier();
        }}
    }}
    seen[id.x] = sum;
}}
"""


@dataclass(frozen=True)
class Access:
    """`epochs`: how many barriers its thread has passed that order workgroup memory, and storage."""

    group: int
    thread: int
    epochs: tuple[int, int]
    deed: int
    space: int
    cell: int


def accesses(program: np.ndarray, barriers: np.ndarray) -> list[Access]:
    found = []
    for group, thread, phase, step in np.ndindex(GROUPS, THREADS, PHASES, STEPS):
        deed, space, cell, _ = program[group * THREADS + thread, phase, step]
        before = barriers[:phase]
        epochs = (int(np.sum(before == ORDERS_WORKGROUP)), int(np.sum(before == ORDERS_STORAGE)))
        found.append(Access(group, thread, epochs, int(deed), int(space), int(cell)))
    return found


def race(one: Access, other: Access) -> bool:
    """Two plain accesses of one cell by two threads, one writing, and nothing orders them."""
    if (one.space, one.cell) != (other.space, other.cell) or {one.deed, other.deed} - {READ, WRITE}:
        return False
    if WRITE not in (one.deed, other.deed):
        return False
    if one.group != other.group:
        return one.space == STORAGE
    return one.thread != other.thread and one.epochs[one.space] == other.epochs[one.space]


@pytest.mark.usefixtures("checker")
def test_a_race_is_found_where_there_is_one_and_nowhere_else() -> None:
    rng = np.random.default_rng()
    verdicts = []
    for _ in range(PROGRAMS):
        program = np.zeros((GROUPS * THREADS, PHASES, STEPS, 4), np.uint32)
        # So sparse that about half of the programs are clean.
        busy = rng.random(program.shape[:3]) < rng.uniform(0.02, 0.3)
        program[..., 0] = np.where(busy, rng.integers(READ, LOOK + 1, program.shape[:3]), NOTHING)
        program[..., 1] = rng.integers(0, 2, program.shape[:3])
        program[..., 2] = rng.integers(0, CELLS, program.shape[:3])
        barriers = rng.integers(0, 3, PHASES).astype(np.uint32)
        expected = any(race(*pair) for pair in combinations(accesses(program, barriers), 2))
        report = check(
            KERNEL,
            workgroups=GROUPS,
            buffers={
                "program": program,
                "barriers": barriers,
                "stored": np.zeros(CELLS, np.uint32),
                "stored_counts": np.zeros(CELLS, np.uint32),
                "seen": np.zeros(GROUPS * THREADS, np.uint32),
            },
        )
        kinds = {finding.kind for finding in report.findings}
        assert kinds <= {"race", "wrong barrier"}, f"{report}\n{program!r}\n{barriers!r}"
        assert bool(kinds) == expected, f"{report}\n{program!r}\n{barriers!r}"
        verdicts.append(expected)
    assert 0.2 < np.mean(verdicts) < 0.8
