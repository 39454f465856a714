"""A vector of three before a scalar, which naga packs: what a kernel does with one that it has by value."""

import numpy as np
import pytest

from rusty_py.checker import check

from .expressions import Numbers, rng

ROWS = 16
F32, F16, I32, U32 = (np.dtype(name) for name in ("float32", "float16", "int32", "uint32"))
SCALARS = {F32: "f32", F16: "f16", I32: "i32", U32: "u32"}
WAYS = {
    "by value": "{{ let p = rows[i]; let q = rows[(i + 1) % ROWS]; {use} }}",
    "by a function's result": "{{ let p = row(i); let q = row((i + 1) % ROWS); {use} }}",
    "by a parameter": "parameter_{number}(i, rows[i], rows[(i + 1) % ROWS]);",
    "in a uniform": "{{ let p = in_uniform[i]; let q = in_uniform[(i + 1) % ROWS]; {use} }}",
}
"""How a thread comes by its row p, and the next one, q."""


def ways(kind: np.dtype) -> list[str]:
    """All of them for one type: the others differ in their components only."""
    return list(WAYS) if kind == F32 else ["by value"]


KERNEL = """
{enables}
const ROWS = {rows}u;
alias T = {scalar};
struct Row {{ @align(16) v: vec3<T>, s: T }}
@group(0) @binding(0) var<storage> rows: array<Row>;
@group(0) @binding(1) var<uniform> in_uniform: array<Row, ROWS>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<T>>;

fn row(i: u32) -> Row {{ return rows[i]; }}
fn member(p: Row) -> vec3<T> {{ return p.v; }}
fn first_two(v: vec3<T>) -> vec2<T> {{ return v.xy; }}
fn one_of(p: Row, q: Row, i: u32) -> vec3<T> {{ var both = array(p.v, q.v); return both[i]; }}
fn changed(p: Row, q: Row, i: u32) -> Row {{
    var z = p;
    z.v += q.v;
    z.v.y *= T(2);
    z.v[i] = q.v[i];
    z.s = z.v.y;
    return z;
}}
{functions}
@compute @workgroup_size(ROWS)
fn main(@builtin(local_invocation_index) i: u32) {{
{calls}
}}
"""


def given(kind: np.dtype) -> Numbers:
    """Rows of v and s. Floats are quarters, so that sums and products of a few are exact; nothing is 0."""
    random = rng(kind.name)
    values = random.integers(1, 10, (ROWS, 4))
    if kind != U32:
        values *= random.choice([-1, 1], values.shape)
    return (values / 4 if kind.kind == "f" else values).astype(kind)


def of_all(kind: np.dtype, rows: Numbers) -> dict[str, Numbers]:
    """Uses of p and q in WGSL, and their results."""
    following = np.roll(rows, -1, axis=0)
    v, w, s = rows[:, :3], following[:, :3], rows[:, 3:]
    at, threads = np.arange(ROWS) % 3, np.arange(ROWS)
    changed = v + w
    changed[:, 1] *= 2
    changed[threads, at] = w[threads, at]
    seven, positive = np.full_like(v, 7), s > 0
    with np.errstate(over="ignore"):
        product = np.multiply.reduce(v, axis=0, dtype=kind)
    integers = kind.kind != "f"
    return {
        "p.v + q.v": v + w,
        "p.v - min(p.v, q.v)": v - np.minimum(v, w),
        "p.v * q.v": v * w,
        "p.v / q.v": np.trunc(v / w).astype(kind) if integers else v / w,
        "p.v % q.v": np.fmod(v, w),
        "p.v * p.s": v * s,
        "p.s + p.v": s + v,
        "p.v + vec3<T>(7)": v + seven,
        "vec3<T>(7) * p.v": seven * v,
        "p.v == q.v": v == w,
        "p.v != q.v": v != w,
        "p.v < q.v": v < w,
        "p.v <= q.v": v <= w,
        "p.v > q.v": v > w,
        "p.v >= vec3<T>(2)": v >= 2,
        "all(p.v == p.v)": np.ones(ROWS, bool),
        "any(p.v == q.v)": (v == w).any(axis=1),
        "p.v": v,
        "p.v.y": v[:, 1],
        "p.v[i % 3]": v[threads, at],
        "p.v.xy": v[:, :2],
        "p.v.zyx + q.v.yyx": v[:, ::-1] + w[:, [1, 1, 0]],
        "p.v.xyzx": v[:, [0, 1, 2, 0]],
        "vec4(p.v, p.s)": rows,
        "vec4(p.s, p.v)": np.roll(rows, 1, axis=1),
        "vec3(p.v)": v,
        "vec3<T>(vec3<f32>(p.v))": v,
        "vec3<T>(vec3<i32>(p.v))": v.astype(np.int32).astype(kind),
        "vec3<bool>(p.v)": v != 0,
        "min(p.v, q.v)": np.minimum(v, w),
        "max(p.v, q.v)": np.maximum(v, w),
        "clamp(p.v, vec3<T>(2), vec3<T>(6))": np.clip(v, 2, 6),
        "clamp(vec3<T>(2), min(p.v, q.v), max(p.v, q.v))": np.clip(2, np.minimum(v, w), np.maximum(v, w)),
        "dot(p.v, q.v)": (v * w).sum(axis=1, dtype=kind),
        "abs(p.v)": np.abs(v),
        "select(p.v, q.v, p.v < q.v)": np.where(v < w, w, v),
        "select(p.v, q.v, p.s > T(0))": np.where(positive, w, v),
        "select(p.v, vec3<T>(7), p.s > T(0))": np.where(positive, seven, v),
        "select(vec3<T>(7), p.v, p.s > T(0))": np.where(positive, v, seven),
        "select(p.v + p.v, q.v, p.s > T(0))": np.where(positive, w, v + v),
        "member(p)": v,
        "first_two(p.v)": v[:, :2],
        "one_of(p, q, i % 2)": np.where(threads[:, None] % 2, w, v),
        "changed(p, q, i % 3).v": changed,
        "vec4(changed(p, q, 0).v.yz, changed(p, q, 0).s, p.s)": np.hstack(
            [(v + w)[:, 1:] * np.array([2, 1], kind), (v + w)[:, 1:2] * kind.type(2), s]
        ),
        "subgroupAdd(p.v)": np.tile(v.sum(axis=0, dtype=kind), (ROWS, 1)),
        "subgroupInclusiveAdd(p.v)": np.cumsum(v, axis=0, dtype=kind),
        "subgroupExclusiveAdd(p.v)": np.cumsum(v, axis=0, dtype=kind) - v,
        "subgroupMin(p.v)": np.tile(v.min(axis=0), (ROWS, 1)),
        "subgroupMax(p.v)": np.tile(v.max(axis=0), (ROWS, 1)),
        "subgroupBroadcastFirst(p.v)": np.tile(v[0], (ROWS, 1)),
        "subgroupShuffle(p.v, 3u)": np.tile(v[3], (ROWS, 1)),
        # Products of integers wrap around; those of so many floats are rounded.
        **({"subgroupMul(p.v)": np.tile(product, (ROWS, 1))} if integers else {}),
    }


def of_signed(kind: np.dtype, rows: Numbers) -> dict[str, Numbers]:
    v, w = rows[:, :3], np.roll(rows, -1, axis=0)[:, :3]
    return {"-p.v": -v, "-(p.v + q.v)": -(v + w), "p.v - q.v": v - w, "sign(p.v)": np.sign(v)}


def of_integers(kind: np.dtype, rows: Numbers) -> dict[str, Numbers]:
    v, w = rows[:, :3], np.roll(rows, -1, axis=0)[:, :3]
    bits = v.view(np.uint32)
    lowest = np.array([f"{each:032b}"[::-1].index("1") for each in bits.flat]).reshape(v.shape).astype(kind)
    ones = np.array([f"{each:b}".count("1") for each in bits.flat]).reshape(v.shape).astype(kind)
    reverse = np.array([int(f"{each:032b}"[::-1], 2) for each in bits.flat], np.uint32).reshape(v.shape)
    extracted = (v >> 1) & 7 if kind == U32 else (v << 28) >> 29
    return {
        "p.v & q.v": v & w,
        "p.v | q.v": v | w,
        "p.v ^ q.v": v ^ w,
        "~p.v": ~v,
        "p.v >> vec3(1u)": v >> 1,
        "abs(p.v) << vec3<u32>(abs(q.v))": np.abs(v) << np.abs(w),
        "bitcast<vec3<T>>(bitcast<vec3<u32>>(p.v) ^ bitcast<vec3<u32>>(q.v))": v ^ w,
        "countOneBits(p.v)": ones,
        "countTrailingZeros(p.v)": lowest,
        "reverseBits(p.v)": reverse.view(kind),
        "extractBits(p.v, 1u, 3u)": extracted,
        "insertBits(p.v, q.v, 1u, 3u)": (v & ~kind.type(14)) | ((w << 1) & kind.type(14)),
        "subgroupXor(p.v)": np.tile(np.bitwise_xor.reduce(v, axis=0), (ROWS, 1)),
    }


def of_floats(kind: np.dtype, rows: Numbers) -> dict[str, Numbers]:
    rows = rows.astype(np.float64)
    v, w = rows[:, :3], np.roll(rows, -1, axis=0)[:, :3]
    dot, length = (v * w).sum(axis=1, keepdims=True), np.sqrt((v * v).sum(axis=1, keepdims=True))
    columns = np.stack([v, w, v + w], axis=-1)
    uses = {
        "length(p.v)": length[:, 0],
        "distance(p.v, q.v)": np.sqrt(((v - w) ** 2).sum(axis=1)),
        "normalize(p.v)": v / length,
        "cross(p.v, q.v)": np.cross(v, w),
        "reflect(p.v, q.v)": v - 2 * dot * w,
        "faceForward(p.v, q.v, p.v)": np.where(dot < 0, v, -v),
        "mix(p.v, q.v, T(0.25))": v + (w - v) * 0.25,
        "mix(p.v, q.v, p.v)": v + (w - v) * v,
        "fma(p.v, q.v, p.v)": v * w + v,
        "step(p.v, q.v)": (w >= v).astype(np.float64),
        "smoothstep(vec3<T>(-4), vec3<T>(4), p.v)": (v / 8 + 0.5) ** 2 * (3 - 2 * (v / 8 + 0.5)),
        "floor(p.v)": np.floor(v),
        "ceil(p.v)": np.ceil(v),
        "trunc(p.v)": np.trunc(v),
        "round(p.v)": np.rint(v),
        "fract(p.v)": v - np.floor(v),
        "saturate(p.v)": np.clip(v, 0, 1),
        "sqrt(abs(p.v))": np.sqrt(np.abs(v)),
        "exp(p.v)": np.exp(v),
        "atan2(p.v, q.v)": np.arctan2(v, w),
        "ldexp(p.v, vec3<i32>(p.v))": v * 2 ** np.trunc(v),
        "mat3x3<T>(p.v, q.v, p.v + q.v) * p.v": (columns @ v[..., None])[..., 0],
        "p.v * mat3x3<T>(p.v, q.v, p.v + q.v)": (v[:, None] @ columns)[:, 0],
        "mat3x3<T>(q.v, p.v, q.v)[1]": v,
    }
    if kind == F32:
        mantissas, exponents = np.frexp(v)
        uses |= {
            "bitcast<vec3<f32>>(bitcast<vec3<u32>>(p.v) ^ vec3(0x80000000u))": -v,
            "modf(p.v).fract + modf(p.v).whole": v,
            "modf(p.v).whole": np.trunc(v),
            "frexp(p.v).fract": mantissas,
            "vec3<f32>(frexp(p.v).exp)": exponents.astype(np.float64),
        }
    return uses


def results(kind: np.dtype) -> dict[str, Numbers]:
    rows = given(kind)
    found = of_all(kind, rows)
    found |= of_floats(kind, rows) if kind.kind == "f" else of_integers(kind, rows)
    return found if kind == U32 else found | of_signed(kind, rows)


def stored(wgsl: str, expected: Numbers) -> str:
    """The use as a vector of four: its components, and zeros."""
    width = 1 if expected.ndim == 1 else expected.shape[1]
    value = f"{'T' if width == 1 else f'vec{width}<T>'}({wgsl})" if expected.dtype == bool else wgsl
    return f"vec4<T>({', '.join([value, *['T(0)'] * (4 - width)])})"


def kernel(kind: np.dtype, way: str, uses: dict[str, Numbers]) -> str:
    functions, calls = [], []
    for number, (wgsl, expected) in enumerate(uses.items()):
        use = f"out[{number * ROWS}u + i] = {stored(wgsl, expected)};"
        calls.append(WAYS[way].format(use=use, number=number))
        if way == "by a parameter":
            functions.append(f"fn parameter_{number}(i: u32, p: Row, q: Row) {{ {use} }}")
    return KERNEL.format(
        enables="enable f16;" if kind == F16 else "",
        rows=ROWS,
        scalar=SCALARS[kind],
        functions="\n".join(functions),
        calls="\n".join(calls),
    )


def laid_out(rows: Numbers) -> Numbers:
    """Rows of 16 bytes."""
    room = np.full((ROWS, 16 // rows.itemsize), 99, rows.dtype)
    room[:, :4] = rows
    return room


# A kernel for each way: for one text of all of them clang takes twice as long.
@pytest.mark.parametrize(("kind", "way"), [(kind, way) for kind in SCALARS for way in ways(kind)], ids=str)
def test_a_packed_vector_is_used_as_a_vector(kind: np.dtype, way: str) -> None:
    uses, rows = results(kind), laid_out(given(kind))
    out = np.zeros((len(uses), ROWS, 4), kind)
    buffers = {"rows": rows, "in_uniform": rows, "out": out}
    report = check(kernel(kind, way, uses), workgroups=1, buffers=buffers, seeds=1)
    assert report.clean, str(report)
    found = report.outputs["out"].astype(np.float64)
    # A few roundings, of numbers and of what is left where they cancel.
    bound = 16 * float(np.finfo(kind).eps) if kind.kind == "f" else 0.0
    for (wgsl, expected), actual in zip(uses.items(), found, strict=True):
        padded = np.zeros((ROWS, 4))
        padded[:, : expected[0].size] = expected.reshape(ROWS, -1)
        np.testing.assert_allclose(actual, padded, bound, bound, err_msg=wgsl)


NEIGHBOURS = """
struct Row { v: vec3f, s: f32 }
@group(0) @binding(0) var<storage, read_write> rows: array<Row>;
@compute @workgroup_size(8)
fn main(@builtin(local_invocation_index) i: u32) {
    if (i % 2 == 0) { rows[i / 2].v = rows[i / 2].v + vec3f(1); } else { rows[i / 2].s *= 2; }
}
"""


def test_the_scalar_behind_a_packed_vector_stays_its_own() -> None:
    """Two threads, each with one of the two."""
    rows = np.arange(16, dtype=np.float32).reshape(4, 4)
    report = check(NEIGHBOURS, workgroups=1, buffers={"rows": rows})
    assert report.clean, str(report)
    np.testing.assert_array_equal(report.outputs["rows"], np.hstack([rows[:, :3] + 1, rows[:, 3:] * 2]))
