"""Small launches of our own kernels, of odd sizes, in which nothing is wrong."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rusty_py import shaders
from rusty_py.checker import Report, check
from rusty_py.dtypes import F32
from rusty_py.gemm import register_tiled, register_tiled_cpu, variants
from rusty_py.gemm.blocked_family import BLOCKED
from rusty_py.gemm.gemv import GEMV_N, GEMV_T
from rusty_py.gemm.helpers import Pack, SplitKReduce
from rusty_py.gemm.problem import GemmProblem, Signature
from rusty_py.gemm.simple import Tiled
from rusty_py.measure import kernels
from rusty_py.ops import creation, generator
from rusty_py.ops.all import ROWS, elementwise
from rusty_py.ops.generator import Body, Skeleton
from rusty_py.ops.reduce import operations as reduce
from rusty_py.runtime import probe
from rusty_py.runtime.launch import Spec
from rusty_py.shapes import ceil_div

Buffers = Mapping[str, ArrayLike | str]


@dataclass(frozen=True)
class Launch:
    """A WGSL text, and all that `check` wants to know beside it."""

    name: str
    wgsl: str
    workgroups: tuple[int, ...]
    buffers: Buffers
    constants: Mapping[str, int] = field(default_factory=dict)

    def with_buffers(self, buffers: Buffers) -> "Launch":
        return replace(self, buffers={**self.buffers, **buffers})

    def checked(self, wgsl: str | None = None, **options: float) -> Report:
        """The report, on this text or another one in its place."""
        return check(
            self.wgsl if wgsl is None else wgsl,
            workgroups=self.workgroups,
            buffers=self.buffers,
            constants=self.constants,
            name=self.name,
            **options,  # type: ignore[arg-type]
        )


def spec(name: str) -> Spec:
    """The kernel that we ship by this name."""
    modules = (creation, elementwise, variants, reduce)
    shipped = [*(each for module in modules for each in module.variants()), *kernels.all_specs()]
    return next(each for each in shipped if str(each) == name)


_TEXTS = Path(__file__).parent / "texts"


def _text(file: str, workgroups: Sequence[int], buffers: Buffers, definitions: str, why: str = "") -> Launch:
    """One of texts/: kernels written by hand, with loops and places that are worth breaking."""
    wgsl = (_TEXTS / f"{file}.wgsl").read_text("utf-8") + "\n" + definitions
    enable = "enable f16; " if re.search(r"\bf16\b", definitions) else ""
    return Launch(f"{file}, {why}" if why else file, enable + wgsl, tuple(workgroups), buffers)


def _of(kind: str, expression: str, *, result: str = "", unary: bool = False, helpers: str = "") -> str:
    """The types and the function that a text leaves open."""
    other = "word: u32" if unary else "y: elem"
    return (
        f"alias elem = {kind};\nalias result = {result or kind};\n{helpers}"
        f"fn apply(x: elem, {other}) -> result {{ return {expression}; }}\n"
    )


_ACC = "alias elem = {0};\nalias total = {1};\nalias result = {2};\n"


def words(*values: int) -> NDArray[np.uint32]:
    """Parameters, modulo 2^32."""
    return np.array([value % 2**32 for value in values], np.uint32)


def _reduced(inner: int, outer: int, reduced: int, step: int, *, number: int = 0) -> list[int]:
    """The rest of a reduction's uniforms: `inner` columns, and strides along three axes."""
    return [inner, 1, number, 0, 1, 1, *[0] * 6, 0, step, reduced, 0, outer, 0, 0, 0]


def _launch(name: str, workgroups: Sequence[int], buffers: Buffers, why: str = "") -> Launch:
    kernel = spec(name)
    title = f"{kernel}, {why}" if why else str(kernel)
    return Launch(title, kernel.text, tuple(workgroups), buffers, dict(kernel.constants))


def _product(
    m: int, k: int, n: int, *, accumulate: int = 0, batch: int = 1, b_along_k: bool = False
) -> Buffers:
    b = (0, k * n, 1, k) if b_along_k else (0, k * n, n, 1)
    places = ((0, m * k, k, 1), b, (0, m * n, n, 1))
    uniforms = words(
        m, n, k, 0, 0, 0, k, accumulate, 1, 1, k, *(word for place in places for word in place), *[0] * 41
    )  # The last 40 are for compound axes.
    shapes = {"a": f"f32[{batch},{m},{k}]", "b": f"f32[{batch},{k},{n}]", "c": f"f32[{batch},{m},{n}]"}
    return {**shapes, "uniforms": uniforms}


def _groups(block: tuple[int, int], m: int, n: int) -> tuple[int, int]:
    return ceil_div(n, block[1]), ceil_div(m, block[0])


def _box(starts: Sequence[int], *axes: Sequence[int]) -> NDArray[np.uint32]:
    """The uniforms of a strided kernel: `axes` are its shape, then the strides of each operand."""
    padded = [words(*axis, *[0] * (8 - len(axis))) for axis in axes]
    count = int(np.prod(axes[0]))
    return np.concatenate([words(count, len(axes[0]), 0, 0, *starts, *[0] * (4 - len(starts))), *padded])


TILED = Launch("matmul/tiled[TILE=4]", Tiled(4).spec().text, (2, 2), _product(5, 9, 7), {"TILE": 4})
NARROW = Launch("matmul/tiled[TILE=4], k below the tile", TILED.wgsl, (2, 2), _product(5, 3, 7), {"TILE": 4})
NAIVE = _launch("matmul/naive", (1, 2), _product(17, 3, 5))
FILL = _launch("creation/fill", (2,), {"out": "u32[2000]", "uniforms": words(500, 7)})
ARANGE = _launch("creation/arange[i32]", (2,), {"out": "i32[259]", "uniforms": words(259, -5, 3)})
SUM = _text(
    "sum",
    (1,),
    {"values": "f32[3,13,7]", "out": "f32[3,2,7]", "uniforms": words(42, 13, 2, 7, 0)},
    _ACC.format("f32", "f32", "f32"),
)
BINARY = _text(
    "binary",
    (2,),
    {"a": "f32[301]", "b": "f32[1]", "out": "f32[301]", "uniforms": words(301, 0, 1, 0, 0)},
    _of("f32", "x + y"),
)
POWER = _text(
    "binary",
    (1,),
    {"a": "i32[67]", "b": "i32[67]", "out": "i32[67]", "uniforms": words(67, 0, 1, 0, 1)},
    _of("i32", "power_i32(x, y)", helpers=shaders.read("lib/power_i32")),
)
ADD = _text(
    "binary",
    (1,),
    {"a": "i32[67]", "b": "i32[67]", "out": "i32[67]", "uniforms": words(67, 0, 1, 0, 1)},
    _of("i32", "x + y"),
)
CAST = _text(
    "unary",
    (1,),
    {"values": "f32:1e30,-1e30,nan,inf,0.5", "out": "i32[5]", "uniforms": words(5, 0, 1, 0, 1, 0)},
    _of("f32", "i32(clamp(f32(x), -2147483648.0, 2147483520.0))", result="i32", unary=True),
)
BINARY_STRIDED = _text(
    "binary_strided",
    (1,),
    {
        "a": "f32[5,3,7]",
        "b": "f32[7]",
        "out": "f32[3,5,7]",
        "uniforms": _box((0, 0), (3, 5, 7), (7, 21, 1), (0, 0, 1)),
    },
    _of("f32", "x * y"),
)
DEEP = _text(
    "binary_strided",
    (1,),
    {
        "a": "i32[96]",
        "b": "i32[96]",
        "out": "i32[96]",
        "uniforms": _box((0, 0), (2, 1, 4, 3, 4), (48, 48, 12, 4, 1), (1, 1, 2, 8, 24)),
    },
    _of("i32", "x - y"),
    "of five axes",
)
UNARY = _text(
    "unary",
    (1,),
    {"values": "f32[257]", "out": "f32[257]", "uniforms": words(257, 256, -1, 0, 1, 0)},
    _of("f32", "-x", unary=True),
    "backwards",
)
UNARY_STRIDED = _text(
    "unary_strided",
    (1,),
    {"values": "f16[4,9]", "out": "f32[9,4]", "uniforms": _box((0, 0), (9, 4), (1, 9), (4, 1))},
    _of("f16", "f32(x)", result="f32", unary=True),
)
HALVES = _text(
    "unary",
    (1,),
    {"values": "f16[259]", "out": "f16[259]", "uniforms": words(259, 0, 1, 0, 1, 0)},
    _of("f16", "x", unary=True),
    "two to a word",
)
WHERE = _text(
    "where",
    (1,),
    {
        "condition": "u32:0,1,0,2,0,3,0",
        "x": "u32[7]",
        "y": "u32[7]",
        "out": "u32[7]",
        "uniforms": words(7, 0, 1, 0, 1, 0, 1),
    },
    "alias elem = u32;\n",
)
WHERE_STRIDED = _text(
    "where_strided",
    (1,),
    {
        "condition": "u32:0,1,0",
        "x": "u32[15]",
        "y": "u32[5]",
        "out": "u32[15]",
        "uniforms": _box((0, 0, 0), (3, 5), (1, 0), (5, 1), (0, 1)),
    },
    "alias elem = u32;\n",
)
SCALE = _launch("bench/scale[FACTOR=2]", (2,), {"x": "f32[300]", "scaled": "f32[300]"})
CHURN = _launch("bench/churn", (2,), {"seeds": "u32[300]", "states": "u32[300]", "uniforms": words(5)})
COPY = _launch(
    "bench/copy", (2,), {"source": "f32[601,4]", "copied": "f32[601,4]", "uniforms": words(601, 1, 512, 0)}
)
READ = _launch(
    "bench/read", (2,), {"source": "f32[601,4]", "sums": "f32[2]", "uniforms": words(601, 2, 512, 256)}
)
FMA = _launch("bench/fma", (2,), {"seeds": "f32:0.5,0.25", "sums": "f32[256]", "uniforms": words(3)})
POISON = _launch("bench/fill", (2,), {"words": "u32[600]", "uniforms": words(600, 7, 512)})
PROBE = Launch("probe/subgroup_size", probe.SUBGROUP_SIZE.text, (1,), {"size": "u32[1]"})


def _generated(body: Body, skeleton: Skeleton, shape: tuple[int, ...], groups: Sequence[int]) -> Launch:
    """A kernel of the elementwise generator on operands in rows, or read backwards where they are scalars."""
    rows = tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape)))
    size = int(np.prod(shape))
    ways = {
        "vec4": (0, rows),
        "scalar": (size - 1, tuple(-each for each in rows)),
        "one": (0, (*rows[:-1], 0)),
    }
    chosen = [ways[access] for access in skeleton.access] + [(0, rows)]
    uniforms = generator.uniforms(
        skeleton, shape, [each for each, _ in chosen], [each for _, each in chosen], (), operation=""
    )
    kernel = generator.spec(body, skeleton)
    held = {f"{name}_in": f"{kind}[{size}]" for name, kind in zip("xyz", body.types, strict=False)}
    return Launch(
        str(kernel),
        kernel.text,
        tuple(groups),
        {**held, "out": f"{body.result}[{size}]", "uniforms": words(*uniforms)},
    )


_VEC4 = Signature()
_ONES = Signature(a_vec4=False, b_vec4=False, c_vec4=False, bias=True, activation="gelu")
_BLOCKED = min(BLOCKED, key=lambda each: each.block_m * each.block_n)
_ROWS, _COLS = _BLOCKED.block
_F16_SUM = {"values": "f16[257]", "out": "f16[1]", "uniforms": words(1, 257, 1, 1, 0)}
CLEAN = [
    TILED,
    NARROW,
    Launch(
        "matmul/tiled[TILE=4], accumulating products",
        TILED.wgsl,
        (1, 2, 3),
        _product(5, 4, 3, accumulate=1, batch=3),
        {"TILE": 4},
    ),
    _launch("matmul/tiled[TILE=8]", (2, 1), _product(7, 17, 9)),
    _launch("matmul/tiled[TILE=16]", (1, 1), _product(15, 1, 16)),
    NAIVE,
    _launch(
        str(_BLOCKED.spec(GemmProblem(_ROWS + 4, 20, _COLS + 4, signature=_VEC4))),
        (2, 2),
        _product(_ROWS + 4, 20, _COLS + 4),
    ),
    *(
        _launch(
            str(kernel.spec(GemmProblem(m, 9, n, signature=_ONES))),
            _groups(kernel.block, m, n),
            _product(m, 9, n) | {"bias": f"f32[{n}]"},
        )
        for kernel, m, n in [
            *((each, 17, 19) for each in register_tiled_cpu.SMALL),
            (register_tiled.SMALLEST, 33, 35),
        ]
    ),
    _launch(
        str(GEMV_N[2].spec(GemmProblem(2, 68, 132))),
        _groups(GEMV_N[2].block, 2, 132),
        _product(2, 68, 132),
    ),
    _launch(
        str(GEMV_T[2].spec(GemmProblem(2, 68, 33, signature=Signature(b_along_k=True)))),
        _groups(GEMV_T[2].block, 2, 33),
        _product(2, 68, 33, b_along_k=True),
    ),
    _launch(
        str(Pack().spec(GemmProblem(37, 41, 1))),
        (2, 2, 2),
        {
            "a": "f32[2,37,41]",
            "b": "f32[1]",
            "c": "f32[2,41,40]",
            "uniforms": words(
                37, 1, 41, 0, 0, 0, 41, 0, 1, 1, 41, 0, 37 * 41, 41, 1, 0, 0, 1, 1, 0, 41 * 40, 40, 1, 0
            ),
        },
    ),
    _launch(
        str(SplitKReduce().spec(GemmProblem(5, 3, 8, signature=_VEC4))),
        (1, 5, 2),
        {
            "a": "f32[6,5,8]",
            "b": "f32[1]",
            "c": "f32[2,5,8]",
            "uniforms": words(
                5, 8, 3, 0, 0, 0, 3, 0, 1, 3, 4, 0, 40, 8, 1, 0, 0, 1, 1, 0, 40, 8, 1, *[0] * 41
            ),
        },
    ),
    _launch(
        "matmul/naive",
        (1, 1, 2),
        _product(3, 0, 5, accumulate=1, batch=2) | {"a": "f32[1]", "b": "f32[1]"},
        "an empty k",
    ),
    FILL,
    ARANGE,
    _launch("creation/arange[f16]", (1,), {"out": "f16[257]", "uniforms": words(257, 0, 0x3F800000)}),
    SUM,
    *(
        _generated(ROWS["add"].body(F32), Skeleton(index, width, access), shape, groups)
        for index, width, access, shape, groups in [
            ("flat", 1, ("scalar", "scalar"), (67,), (1,)),
            ("flat", 4, ("vec4", "one"), (1028,), (2,)),
            ("grid", 4, ("scalar", "vec4"), (3, 5, 12), (1, 2, 1)),
            ("general", 1, ("scalar", "one"), (2, 3, 7), (1,)),
        ]
    ),
    _launch(
        "reduce/threads[max of i32 to i32, scalar]",
        (1,),
        {
            "x_in": "i32[3,13,7]",
            "out": "i32[3,2,7]",
            "uniforms": words(42, 13, 2, 64, *_reduced(7, 91, 7, 1)),
        },
    ),
    _launch(
        "reduce/rows[var of f32 to f32, 4 wide: vec4, 32 of 256, subgroups]",
        (2, 1, 1),
        {
            "x_in": "f32[3,1300]",
            "out": "f32[3]",
            "uniforms": words(3, 1300, 1, 1300, *_reduced(1, 1300, 1, 0, number=0x44A28000)),
        },
    ),
    _launch(
        "reduce/columns[argmax of f32 to i32, scalar, 32 of 256, 3 by 2 axes]",
        (2, 1, 2),
        {
            "x_in": "f32[2,70,45]",
            "out": "i32[2,1,45]",
            "uniforms": words(2, 70, 1, 70, 45, 10, 0, 0, 1, 2, *[0] * 6, 0, 1, 450, 45, 0, 0, 3150, 0),
        },
    ),
    _text("sum", (1,), _F16_SUM, _ACC.format("f16", "f32", "f16")),
    _text(
        "sum",
        (1,),
        {"values": "u32[5,11]", "out": "i32[5,1]", "uniforms": words(5, 11, 1, 1, 0)},
        _ACC.format("u32", "i32", "i32"),
    ),
    BINARY,
    ADD,
    POWER,
    CAST,
    _text(
        "binary",
        (1,),
        {"a": "u32[67]", "b": "u32[67]", "out": "u32[67]", "uniforms": words(67, 0, 1, 66, -1)},
        _of("u32", "select(0u, 1u, x < y)"),
    ),
    BINARY_STRIDED,
    DEEP,
    UNARY,
    UNARY_STRIDED,
    HALVES,
    WHERE,
    _text(
        "where",
        (1,),
        {
            "condition": "u32:1",
            "x": "f16[9]",
            "y": "f16[1]",
            "out": "f16[9]",
            "uniforms": words(9, 0, 0, 0, 1, 0, 0),
        },
        "alias elem = f16;\n",
    ),
    WHERE_STRIDED,
    SCALE,
    CHURN,
    COPY,
    READ,
    FMA,
    POISON,
    PROBE,
]
