"""What Metal leaves undefined beside memory, and what does not end.

WGSL defines casts, division and overflow, and packs its types, and naga 30 translates them so. There the
Metal text is edited, as a translator's mistake would.
"""

import numpy as np

from .grafts import UNIFORM_LOAD
from .launches import ADD, BINARY, CAST, CHURN, COPY, POWER, SCALE, SUM, words
from .mutant import Mutant

MAX_STEPS = {"step_limit": 1000}
_VECTOR = "device metal::float4 const"
_DOT = "u32(dot(vec4(i32(state), 7, 7, 7), vec4(1 << 20u)))"

IN_WGSL = [
    Mutant(
        "a dot product of integers that overflows",
        CHURN,
        (("1664525u * state + 1013904223u", _DOT),),
        "integer overflow",
        f"state = {_DOT}",
    ),
    Mutant(
        "a shift by 32 bits",
        CHURN,
        (("1664525u * state", "(state >> (27u + i + uniforms.steps / 5u))"),),
        "bad shift",
        "state = (state >>",
        buffers={"uniforms": words(9)},
    ),
    Mutant(
        "a shift by more bits than there are",
        SCALE,
        (("f32(FACTOR)", "f32(FACTOR << (id.x & 63u))"),),
        "bad shift",
        "scaled[id.x] = f32(FACTOR << (id.x & 63u))",
    ),
    Mutant(
        "a signed shift by a value from a buffer",
        POWER,
        (("rest >>= 1u", "rest >>= u32(y)"),),
        "bad shift",
        "for (var rest",
        buffers={"b": np.full(67, 40, np.int32)},
    ),
]

IN_METAL = [
    Mutant(
        "a sum of signed integers as Metal adds them",
        ADD,
        (),
        "integer overflow",
        "return x + y",
        metal=(("as_type<int>(as_type<uint>(x) + as_type<uint>(y))", "x + y"),),
    ),
    Mutant(
        "a negation of the smallest integer",
        ADD,
        (),
        "integer overflow",
        "return x + y",
        metal=(("as_type<int>(as_type<uint>(x) + as_type<uint>(y))", "-x"),),
        buffers={"a": np.full(67, -(2**31), np.int32)},
    ),
    Mutant(
        "a cast without its clamps",
        CAST,
        (),
        "bad cast",
        "return i32(",
        metal=(
            ("static_cast<int>(metal::clamp(value, -2147483600.0, 2147483500.0))", "static_cast<int>(value)"),
            ("metal::clamp(static_cast<float>(x), -2147483600.0, 2147483500.0)", "static_cast<float>(x)"),
        ),
    ),
    Mutant(
        "a cast of a negative number to an unsigned one",
        CAST,
        (),
        "bad cast",
        "return i32(",
        metal=(("return naga_f2i32(", "return static_cast<uint>("),),
    ),
    Mutant(
        "a division by zero",
        SUM,
        (),
        "bad division",
        "let j = row % uniforms.width",
        metal=(("lhs % metal::select(rhs, 1u, rhs == 0u)", "lhs % rhs"),),
        buffers={"uniforms": words(42, 13, 0, 7, 0)},
    ),
    Mutant(
        "a division of the smallest integer by -1",
        ADD,
        (),
        "bad division",
        "return x + y",
        metal=(("as_type<int>(as_type<uint>(x) + as_type<uint>(y))", "x / y"),),
        buffers={"a": np.full(67, -(2**31), np.int32), "b": np.full(67, -1, np.int32)},
    ),
    Mutant(
        "a vector at an address between two",
        COPY,
        (),
        "misaligned access",
        "copied[i] = source[at]",
        metal=(
            (
                "= source[_e35];",
                f"= *reinterpret_cast<{_VECTOR}*>(&reinterpret_cast<device float const&>(source) + 1u);",
            ),
        ),
    ),
    Mutant(
        "an address beside every variable",
        COPY,
        (),
        "wild access",
        "copied[i] = source[at]",
        metal=(("= source[_e35];", f"= *(&reinterpret_cast<{_VECTOR}&>(source) + 601u);"),),
    ),
]

ENDLESS = [
    Mutant(
        "a loop that does not count",
        CHURN,
        (("uniforms.steps; i++", "uniforms.steps; i += 0u"),),
        "endless loop",
        "for (var i",
        options=MAX_STEPS,
    ),
    Mutant(
        "a loop whose stride is zero",
        BINARY,
        (("groups.x * 256u", "(groups.x - 2u) * 256u"),),
        "endless loop",
        "for (var i",
        options=MAX_STEPS,
    ),
    Mutant(
        "a loop that waits for another thread",
        UNIFORM_LOAD,
        (
            (
                "    if (slot == 0u) {\n        first = x[0];\n    }\n",
                "    while (atomicLoad(&ready) != 7u) {}\n    atomicStore(&ready, 1u);\n",
            ),
            ("var<workgroup> first", "var<workgroup> ready: atomic<u32>;\nvar<workgroup> first"),
        ),
        "endless loop",
        "while (atomicLoad",
        options=MAX_STEPS,
        brings=("uninitialised read",),
    ),
    Mutant(
        "a kernel that takes too long",
        CHURN,
        (),
        "time limit",
        "",
        buffers={"uniforms": words(-1)},
        options={"step_limit": 10**15, "time_limit": 0.5},
    ),
]

UNDEFINED = [*IN_WGSL, *IN_METAL, *ENDLESS]
