"""How values lie in memory, and that what a kernel reads and writes there is what NumPy says."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from rusty_py.checker import check

from .expressions import Numbers, rng

LAYOUT = """
enable f16;
struct Inner { a: vec3f, b: f32, c: array<vec2u, 3>, }
struct Outer {
    tag: u32,
    @align(16) inner: Inner,
    m: mat3x2f,
    h: vec3h,
    k: f16,
    @size(32) t: i32,
    last: array<Inner, 2>,
}
struct Tail { count: u32, rows: array<Inner> }
@group(0) @binding(0) var<storage> given: Outer;
@group(0) @binding(1) var<storage, read_write> taken: Outer;
@group(0) @binding(2) var<storage, read_write> tail: Tail;
@group(0) @binding(3) var<uniform> in_uniform: Outer2;
@group(0) @binding(4) var<storage, read_write> lengths: array<u32>;
@group(0) @binding(5) var<storage, read_write> pairs: array<array<vec3f, 2>>;
struct Outer2 { m: mat4x3f, v: vec3u, s: f32, a: array<vec4i, 2> }
@compute @workgroup_size(1)
fn main() {
    var copy = given;
    copy.tag += 1;
    copy.inner.a = copy.inner.a.zyx;
    copy.inner.b *= 2;
    copy.inner.c[1].y = copy.inner.c[2].x;
    copy.m[2] = copy.m * vec3f(1, 2, 4);
    copy.h.y = copy.k;
    copy.k = copy.h.z;
    copy.last[1] = copy.last[0];
    taken = copy;
    taken.t = -given.t;
    tail.rows[arrayLength(&tail.rows) - 1] = given.last[1];
    tail.rows[0].a.y = f32(tail.count);
    tail.rows[1].b = in_uniform.s + in_uniform.m[3].z + f32(in_uniform.v.z);
    tail.rows[1].c[2] = vec2u(in_uniform.a[1].zw);
    lengths[0] = arrayLength(&tail.rows);
    lengths[1] = arrayLength(&lengths);
    lengths[2] = arrayLength(&pairs);
    lengths[3] = u32(in_uniform.a[1][lengths[3]]);
    pairs[1][0] = pairs[2][1] + pairs[0][0];
}
"""
INNER = np.dtype([("a", "f4", 3), ("b", "f4"), ("c", "u4", (3, 2)), ("pad", "u4", 2)])
OUTER = np.dtype(
    {
        "names": ["tag", "inner", "m", "h", "k", "t", "last"],
        "formats": ["u4", INNER, ("f4", (3, 2)), ("f2", 3), "f2", "i4", (INNER, 2)],
        "offsets": [0, 16, 64, 88, 94, 96, 128],
        "itemsize": 224,
    }
)
UNIFORM = np.dtype([("m", "f4", (4, 4)), ("v", "u4", 3), ("s", "f4"), ("a", "i4", (2, 4))])
TAIL = np.dtype([("count", "u4"), ("pad", "u4", 3), ("rows", INNER, 3)])

POINTERS = """
struct Pair { a: i32, b: vec2i }
alias Triple = array<i32, 3>;
const TABLE = array(2, 3, 5, 7, 11);
var<private> calls: i32 = 3;
var<private> kept: array<i32, 4>;
var<workgroup> shared_triple: Triple;
@group(0) @binding(0) var<storage, read_write> out: array<i32>;

fn bump(p: ptr<function, i32>, by: i32) -> i32 { let old = *p; *p += by; calls++; return old; }
fn set_pair(p: ptr<function, Pair>) { (*p).b.y = 9; p.a = -1; }
fn fill(p: ptr<function, array<i32, 3>>) { for (var i = 0; i < 3; i++) { (*p)[i] = TABLE[i + 1]; } }
fn remember(at: u32) { let p = &kept[at]; *p = i32(at) * 10; }
fn from_private(p: ptr<private, i32>) { *p -= 1; }
fn of_array(values: array<i32, 3>) -> array<i32, 3> { var v = values; v[0] = v[2]; return v; }

@compute @workgroup_size(3)
fn main(@builtin(local_invocation_index) i: u32) {
    shared_triple[i] = i32(i) * 7;
    let all = workgroupUniformLoad(&shared_triple);
    let at = i * 10;
    var n = 5;
    out[at] = bump(&n, 2) + bump(&n, 3) * 100;
    out[at + 1] = n + calls * 1000;
    var pair = Pair(1, vec2i(2, 3));
    set_pair(&pair);
    out[at + 2] = pair.a + pair.b.x * 10 + pair.b.y * 100;
    var triple: array<i32, 3>;
    fill(&triple);
    out[at + 3] = of_array(triple)[0] + triple[0] * 100;
    remember(i);
    out[at + 4] = kept[i] + kept[3];
    from_private(&calls);
    out[at + 5] = calls;
    out[at + 6] = all[(i + 1) % 3];
    out[at + 7] = TABLE[i + 2];
}
"""


def outputs(wgsl: str, buffers: Mapping[str, ArrayLike]) -> Mapping[str, Numbers]:
    report = check(wgsl, workgroups=1, buffers=buffers)
    assert report.clean, str(report)
    return report.outputs


def inner(name: str, shape: tuple[int, ...] = ()) -> Numbers:
    random, rows = rng(name), np.zeros(shape, INNER)
    rows["a"], rows["b"] = random.random((*shape, 3)), random.random(shape)
    rows["c"] = random.integers(0, 100, (*shape, 3, 2))
    return rows


def test_structures_lie_in_memory_as_wgsl_has_it() -> None:
    given, random = np.zeros((), OUTER), rng("outer")
    given["tag"], given["t"], given["inner"], given["last"] = 7, 5, inner("inner"), inner("last", (2,))
    given["m"], given["h"], given["k"] = random.integers(0, 9, (3, 2)), random.random(3), 0.25
    tail = np.zeros((), TAIL)
    tail["count"], tail["rows"] = 3, inner("tail", (3,))
    uniform = np.zeros((), UNIFORM)
    uniform["m"], uniform["v"], uniform["s"] = random.integers(0, 9, (4, 4)), [1, 2, 3], 4
    uniform["a"] = random.integers(0, 9, (2, 4))
    pairs = random.integers(0, 9, (4, 2, 4)).astype(np.float32)

    expected = given.copy()
    expected["tag"] += 1
    expected["t"] = -5
    expected["inner"]["a"] = given["inner"]["a"][::-1]
    expected["inner"]["b"] *= 2
    expected["inner"]["c"][1, 1] = given["inner"]["c"][2, 0]
    expected["m"][2] = [1, 2, 4] @ given["m"]
    expected["h"][1], expected["k"] = given["k"], given["h"][2]
    expected["last"][1] = given["last"][0]
    expected_tail = tail.copy()
    expected_tail["rows"][2] = given["last"][1]
    expected_tail["rows"][0]["a"][1] = 3
    expected_tail["rows"][1]["b"] = 4 + uniform["m"][3, 2] + 3
    expected_tail["rows"][1]["c"][2] = uniform["a"][1, 2:]

    taken = np.full(OUTER.itemsize, 0x5A, np.uint8).view(OUTER)
    found = outputs(
        LAYOUT,
        {
            "given": given,
            "taken": taken,
            "tail": tail,
            "in_uniform": uniform,
            "lengths": np.array([0, 0, 0, 2], np.uint32),
            "pairs": pairs,
        },
    )
    assert_same(found["taken"][0], expected)
    assert found["tail"].shape == ()
    assert_same(found["tail"][()], expected_tail)
    assert found["lengths"].tolist() == [3, 4, 4, uniform["a"][1, 2]]
    np.testing.assert_array_equal(found["pairs"][1, 0, :3], pairs[2, 1, :3] + pairs[0, 0, :3])


def assert_same(found: Numbers, expected: Numbers) -> None:
    """Field by field, without what lies between them."""
    for name in set(expected.dtype.names or ()) - {"pad"}:
        if expected[name].dtype.names:
            assert_same(found[name], expected[name])
        else:
            np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def test_pointers_and_variables_of_all_spaces_hold_what_is_stored_in_them() -> None:
    found = outputs(POINTERS, {"out": np.full((3, 10), 0x5A5A5A5A, np.int32)})["out"]
    table = [2, 3, 5, 7, 11]
    for i in range(3):
        expected = [5 + 700, 10 + 5000, -1 + 20 + 900, 7 + 300, i * 10, 4, (i + 1) % 3 * 7, table[i + 2]]
        assert found[i].tolist() == [*expected, 0x5A5A5A5A, 0x5A5A5A5A]
