"""What our kernels hardly do yet, grafted onto them, and done right: the checker may not accuse these either.

Shared memory, barriers, subgroups and atomics, for the mutants to break; and what is easily mistaken for a
fault: neighbours in one word, padding that nobody writes, barriers inside of loops and calls.
"""

from collections.abc import Mapping
from dataclasses import replace

from .edits import Edit, edited
from .launches import CHURN, SCALE, Launch

_MAIN = "fn main(@builtin(global_invocation_id) id: vec3<u32>) {"
_BODY = """    if (id.x < arrayLength(&scaled)) {
        scaled[id.x] = f32(FACTOR) * x[id.x];
    }
"""
_IDS = "@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) slot: u32"


def grafted(launch: Launch, name: str, *edits: Edit, buffers: Mapping[str, str] | None = None) -> Launch:
    """The launch of an edited text."""
    return replace(
        launch,
        name=f"{launch.name}, {name}",
        wgsl=edited(launch.wgsl, *edits),
        buffers={**launch.buffers, **(buffers or {})},
    )


def _scale(name: str, body: str, declared: str = "", ids: str = _IDS, **buffers: str) -> Launch:
    """bench/scale with another body."""
    main = f"fn main({ids}) {{"
    one_group = {"x": "f32[256]", "scaled": "f32[256]"}
    edits = [(_BODY, body), (_MAIN, main), ("override FACTOR: u32;", f"override FACTOR: u32;\n{declared}")]
    return replace(grafted(SCALE, name, *edits, buffers={**one_group, **buffers}), workgroups=(1,))


NEIGHBOUR = _scale(
    "through workgroup memory",
    """    held[slot] = x[id.x];
    workgroupBarrier();
    scaled[id.x] = f32(FACTOR) * held[slot ^ 1u];
""",
    "var<workgroup> held: array<f32, 256>;",
)
STORED = _scale(
    "through storage memory",
    """    scaled[id.x] = x[id.x];
    storageBarrier();
    let neighbour = scaled[id.x ^ 1u];
    storageBarrier();
    scaled[id.x] = f32(FACTOR) * neighbour;
""",
)
TREE = _scale(
    "summed in a tree",
    """    held[slot] = x[id.x];
    workgroupBarrier();
    for (var width = 128u; width > 0u; width /= 2u) {
        if (slot < width) {
            held[slot] += held[slot + width];
        }
        workgroupBarrier();
    }
    if (slot == 0u) {
        scaled[0] = held[0];
    }
""",
    "var<workgroup> held: array<f32, 256>;",
    scaled="f32[1]",
)
ROUNDS = _scale(
    "in rounds with a barrier each, and loops that differ between them",
    """    for (var turn = 0u; turn < 3u; turn++) {
        for (var i = 0u; i < slot % 7u; i++) {
            if (i == 4u) {
                break;
            }
            held[slot] = x[id.x];
        }
        settle();
        scaled[id.x] = f32(FACTOR);
        settle();
    }
""",
    "var<workgroup> held: array<f32, 256>;\nfn settle() {\n    workgroupBarrier();\n}",
)
UNIFORM_LOAD = _scale(
    "with a uniform load",
    """    if (slot == 0u) {
        first = x[0];
    }
    scaled[id.x] = f32(FACTOR) * workgroupUniformLoad(&first);
""",
    "var<workgroup> first: f32;",
)
SUBGROUPS = _scale(
    "summed in subgroups",
    """    let value = x[id.x];
    let total = subgroupAdd(value);
    scaled[id.x] = f32(FACTOR) * total;
""",
)
WHOLE_SUBGROUPS = _scale(
    "with sums in whole subgroups, as many as each likes",
    """    if (slot >= 192u) {
        return;
    }
    var total = 0.0;
    for (var i = 0u; i < slot / 64u; i++) {
        total += subgroupAdd(x[id.x]);
    }
    if (slot < 64u) {
        total = subgroupMax(x[id.x]);
    }
    scaled[id.x] = f32(FACTOR) * total;
""",
)
COUNTED = _scale(
    "with a count in workgroup memory",
    """    if (slot == 0u) {
        atomicStore(&count, 0u);
    }
    workgroupBarrier();
    atomicAdd(&count, 1u);
    _ = atomicCompareExchangeWeak(&count, 7u, 8u);
    workgroupBarrier();
    scaled[id.x] = f32(FACTOR * atomicLoad(&count));
""",
    "var<workgroup> count: atomic<u32>;",
)
LANES = _scale(
    "through a subgroup's part of workgroup memory",
    """    held[slot] = x[id.x];
    subgroupBarrier();
    scaled[id.x] = f32(FACTOR) * held[slot ^ 1u];
""",
    "var<workgroup> held: array<f32, 256>;",
)
SIGNED = _scale(
    "with signed vectors, whose arithmetic wraps",
    """    let value = vec3<i32>(vec3(x[id.x] * 1e9)) << vec3(3u);
    let changed = abs(value) / (value - value) % vec3(-1) * 0x7fffffff - (-value);
    scaled[id.x] = f32(FACTOR) * f32(changed.x + changed.y + Variable(changed.z).space);
""",
    "struct Variable { space: i32 }",
)
FLAGS = _scale(
    "with neighbouring booleans",
    """    above[slot] = x[id.x] > 0.0;
    workgroupBarrier();
    scaled[id.x] = select(0.0, f32(FACTOR), above[255u - slot]);
""",
    "var<workgroup> above: array<bool, 256>;",
)
VECTORS = _scale(
    "with vectors of three",
    """    held[slot] = vec3(x[id.x], 1.0, 2.0);
    workgroupBarrier();
    let other = held[255u - slot];
    scaled[id.x] = f32(FACTOR) * (other.x + other.y + other.z);
""",
    "var<workgroup> held: array<vec3<f32>, 256>;",
)
PADDED = _scale(
    "with padded structures",
    """    held[slot].weight = 1.0;
    held[slot].at = vec3(x[id.x]);
    held[slot].size = vec2(2.0);
    workgroupBarrier();
    let other = held[255u - slot];
    scaled[id.x] = f32(FACTOR) * (other.weight + other.at.x + other.size.y);
""",
    "struct Point { weight: f32, at: vec3<f32>, size: vec2<f32> }\nvar<workgroup> held: array<Point, 256>;",
)
MEMBERS = _scale(
    "with members of one structure by two threads",
    """    if (slot % 2u == 0u) {
        pairs[slot / 2u].left = x[id.x];
    } else {
        pairs[slot / 2u].right = vec3(x[id.x]);
    }
    workgroupBarrier();
    scaled[id.x] = f32(FACTOR) * pairs[slot / 2u].left;
""",
    "struct Pair { right: vec3<f32>, left: f32 }\nvar<workgroup> pairs: array<Pair, 128>;",
)
CASES = _scale(
    "by cases",
    """    switch (slot % 3u) {
        case 0u: {
            scaled[id.x] = 1.0;
        }
        case 1u, default: {
            scaled[id.x] = 2.0;
        }
    }
    for (var i = 0u; i < 2u; i++) {
        const unused = 3;
    }
""",
)
CALLED = _scale(
    "by a function called from two places",
    """    scaled[id.x] = fetch(id.x);
    scaled[id.x] += fetch(id.x ^ 1u);
""",
    "fn fetch(at: u32) -> f32 {\n    return f32(FACTOR) * x[at];\n}",
)
HISTOGRAM = grafted(
    CHURN,
    "counted with atomics",
    ("states: array<u32>", "states: array<atomic<u32>>"),
    ("        states[id.x] = state;", "        atomicAdd(&states[state % 16u], 1u);"),
)

GRAFTS = [
    NEIGHBOUR,
    STORED,
    TREE,
    ROUNDS,
    UNIFORM_LOAD,
    SUBGROUPS,
    WHOLE_SUBGROUPS,
    COUNTED,
    LANES,
    SIGNED,
    FLAGS,
    VECTORS,
    PADDED,
    MEMBERS,
    CASES,
    CALLED,
    HISTOGRAM,
]
