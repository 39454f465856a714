"""How kernels of the product read and write their buffers: WGSL that is appended to them."""

from rusty_py.dtypes import F16
from rusty_py.gemm.problem import Form

# With CLAMPS, what lies beyond a buffer is its last element.
_WITHIN = """
fn within(at: u32, size: u32) -> u32 {
    return select(at, min(at, size - 1u), CLAMPS);
}
"""

# Vectors of four neighbours, at multiples of 4; also one of them.
_FOURS = """
@group(0) @binding({binding}) var<storage, read> {x}: array<vec4<Stored>>;

fn {x}_four(at: u32) -> vec4<Loaded> {{
    return vec4<Loaded>({x}[within(at / 4u, arrayLength(&{x}))]);
}}

fn {x}_one(at: u32) -> Loaded {{
    return Loaded({x}[within(at / 4u, arrayLength(&{x}))][at % 4u]);
}}
"""

# Vectors of four neighbours of f16, as words of two.
_WORDS = """
@group(0) @binding({binding}) var<storage, read> {x}: array<vec2<u32>>;

fn {x}_four(at: u32) -> vec2<u32> {{
    return {x}[within(at / 4u, arrayLength(&{x}))];
}}
"""

# Single numbers, wherever they lie; also four neighbours.
_ONES = """
@group(0) @binding({binding}) var<storage, read> {x}: array<Stored>;

fn {x}_one(at: u32) -> Loaded {{
    return Loaded({x}[within(at, arrayLength(&{x}))]);
}}

fn {x}_four(at: u32) -> vec4<Loaded> {{
    return vec4<Loaded>({x}_one(at), {x}_one(at + 1u), {x}_one(at + 2u), {x}_one(at + 3u));
}}
"""

# c_four stores four neighbours that begin at `at`, in column `col`, as dims and FINISHES say; c_from of them
# those of column `first` and further; c_one a single number, whose bias is `of_bias`. Every form has each:
# texts name them in branches, too, that it does not take.
_RESULT_FOURS = """
@group(0) @binding(3) var<storage, read_write> c: array<vec4<Result>>;

fn c_from(first: u32, at: u32, col: u32, sum: vec4<f32>) {
    c_four(at, col, sum);
}

fn c_four(at: u32, col: u32, sum: vec4<f32>) {
    var x = sum;
    if (dims.accumulate == 1u) {
        x += vec4<f32>(c[at / 4u]);
    }
    if (FINISHES && dims.finishes == 1u) {
        x = finish(x + bias_four(col));
    }
    c[at / 4u] = vec4<Result>(x);
}

fn c_one(at: u32, of_bias: u32, sum: f32) {
    var x = sum;
    if (dims.accumulate == 1u) {
        x += f32(c[at / 4u][at % 4u]);
    }
    if (FINISHES && dims.finishes == 1u) {
        x = finish(vec4(x + bias_one(of_bias))).x;
    }
    c[at / 4u][at % 4u] = Result(x);
}
"""

_RESULT_ONES = """
@group(0) @binding(3) var<storage, read_write> c: array<Result>;

fn c_four(at: u32, col: u32, sum: vec4<f32>) {
    c_from(0u, at, col, sum);
}

fn c_from(first: u32, at: u32, col: u32, sum: vec4<f32>) {
    for (var i = 0u; i < 4u; i++) { // unroll
        if (!EDGES || (col + i >= first && col + i < dims.n)) {
            c_one(at + i, col + i, sum[i]);
        }
    }
}

fn c_one(at: u32, of_bias: u32, sum: f32) {
    var x = sum;
    if (dims.accumulate == 1u) {
        x += f32(c[at]);
    }
    if (FINISHES && dims.finishes == 1u) {
        x = finish(vec4(x + bias_one(of_bias))).x;
    }
    c[at] = Result(x);
}
"""

_BIAS_FOURS = """
@group(0) @binding(2) var<storage, read> bias: array<vec4<Bias>>;

fn bias_four(col: u32) -> vec4<f32> {
    return vec4<f32>(bias[col / 4u]);
}

fn bias_one(col: u32) -> f32 {
    return f32(bias[col / 4u][col % 4u]);
}
"""

_BIAS_ONES = """
@group(0) @binding(2) var<storage, read> bias: array<Bias>;

fn bias_one(col: u32) -> f32 {
    return f32(bias[col]);
}
"""

_NO_BIAS = """
fn bias_four(col: u32) -> vec4<f32> {
    return vec4<f32>();
}

fn bias_one(col: u32) -> f32 {
    return 0.0;
}
"""


def access(form: Form, *, words: bool = False) -> str:
    """The buffers and the functions that read and write them, by fours where the form says so.

    With `words`, f16 that is loaded by fours comes as words of two, for the kernel to widen when it needs it.
    """
    fours = _WORDS if words and form.stored is F16 and not form.pairs else _FOURS
    reads = zip("ab", (form.a_fours, form.b_fours), (0, 1), strict=True)
    return "".join(
        [
            _WITHIN,
            *((fours if by_fours else _ONES).format(x=x, binding=binding) for x, by_fours, binding in reads),
            _RESULT_FOURS if form.c_fours else _RESULT_ONES,
            (_BIAS_FOURS if form.c_fours else _BIAS_ONES) if form.bias else _NO_BIAS,
        ]
    )
