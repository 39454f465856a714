"""WGSL buffer declarations and load/store functions of the GEMM kernels."""

from rusty_py.dtypes import F16
from rusty_py.gemm.problem import Signature

# With CLAMP_LOADS, an index beyond the end of a buffer is clamped to its last element.
_WITHIN = """
fn clamp_index(index: u32, size: u32) -> u32 {
    return select(index, min(index, size - 1u), CLAMP_LOADS);
}
"""

# Stored as vec4. load_a_vec4 takes a multiple of 4 as index, load_a any index.
_VEC4 = """
@group(0) @binding({binding}) var<storage, read> {x}: array<vec4<Stored>>;

fn load_{x}_vec4(index: u32) -> vec4<Loaded> {{
    return vec4<Loaded>({x}[clamp_index(index / 4u, arrayLength(&{x}))]);
}}

fn load_{x}(index: u32) -> Loaded {{
    return Loaded({x}[clamp_index(index / 4u, arrayLength(&{x}))][index % 4u]);
}}
"""

# f16 stored as vec4, loaded packed as two half2 in u32.
_PACKED = """
@group(0) @binding({binding}) var<storage, read> {x}: array<vec2<u32>>;

fn load_{x}_vec4(index: u32) -> vec2<u32> {{
    return {x}[clamp_index(index / 4u, arrayLength(&{x}))];
}}
"""

# Stored as scalars; load_a_vec4 gathers four neighbors.
_ONES = """
@group(0) @binding({binding}) var<storage, read> {x}: array<Stored>;

fn load_{x}(index: u32) -> Loaded {{
    return Loaded({x}[clamp_index(index, arrayLength(&{x}))]);
}}

fn load_{x}_vec4(index: u32) -> vec4<Loaded> {{
    return vec4<Loaded>(load_{x}(index), load_{x}(index + 1u), load_{x}(index + 2u), load_{x}(index + 3u));
}}
"""

# The epilogue and the store of c at `index`. store_c_vec4 stores four adjacent columns starting at `col`;
# store_c_vec4_from only those from `first_col`; store_c one element, with the bias at `bias_index`.
# Every variant defines all three: kernels refer to them in branches disabled by constants, too.
_RESULT_VEC4 = """
@group(0) @binding(3) var<storage, read_write> c: array<vec4<Result>>;

fn store_c_vec4_from(first_col: u32, index: u32, col: u32, acc: vec4<f32>) {
    store_c_vec4(index, col, acc);
}

fn store_c_vec4(index: u32, col: u32, acc: vec4<f32>) {
    var x = acc;
    if (uniforms.accumulate == 1u) {
        x += vec4<f32>(c[index / 4u]);
    }
    if (HAS_EPILOGUE && uniforms.apply_epilogue == 1u) {
        x = epilogue(x + load_bias_vec4(col));
    }
    c[index / 4u] = vec4<Result>(x);
}

fn store_c(index: u32, bias_index: u32, acc: f32) {
    var x = acc;
    if (uniforms.accumulate == 1u) {
        x += f32(c[index / 4u][index % 4u]);
    }
    if (HAS_EPILOGUE && uniforms.apply_epilogue == 1u) {
        x = epilogue(vec4(x + load_bias(bias_index))).x;
    }
    c[index / 4u][index % 4u] = Result(x);
}
"""

_RESULT_ONES = """
@group(0) @binding(3) var<storage, read_write> c: array<Result>;

fn store_c_vec4(index: u32, col: u32, acc: vec4<f32>) {
    store_c_vec4_from(0u, index, col, acc);
}

fn store_c_vec4_from(first_col: u32, index: u32, col: u32, acc: vec4<f32>) {
    for (var i = 0u; i < 4u; i++) { // unroll
        if (!EDGES || (col + i >= first_col && col + i < uniforms.n)) {
            store_c(index + i, col + i, acc[i]);
        }
    }
}

fn store_c(index: u32, bias_index: u32, acc: f32) {
    var x = acc;
    if (uniforms.accumulate == 1u) {
        x += f32(c[index]);
    }
    if (HAS_EPILOGUE && uniforms.apply_epilogue == 1u) {
        x = epilogue(vec4(x + load_bias(bias_index))).x;
    }
    c[index] = Result(x);
}
"""

# `col` is the column, or `bias_start + col` where each product has a bias of its own.
_BIAS_VEC4 = """
@group(0) @binding(2) var<storage, read> bias: array<vec4<Bias>>;

fn load_bias_vec4(col: u32) -> vec4<f32> {{
    return vec4<f32>(bias[({col}) / 4u]);
}}

fn load_bias(col: u32) -> f32 {{
    return f32(bias[({col}) / 4u][({col}) % 4u]);
}}
"""

_BIAS_ONES = """
@group(0) @binding(2) var<storage, read> bias: array<Bias>;

fn load_bias(col: u32) -> f32 {{
    return f32(bias[{col}]);
}}
"""

_NO_BIAS = """
fn load_bias_vec4(col: u32) -> vec4<f32> {
    return vec4<f32>();
}

fn load_bias(col: u32) -> f32 {
    return 0.0;
}
"""

# The bias of a row, to be added before the stores above; 0 if this dispatch does not complete the sum.
_ROW_BIAS = """
@group(0) @binding(2) var<storage, read> bias: array<Bias>;

fn row_bias(row: u32) -> f32 {
    return select(0.0, f32(bias[bias_start + row]), uniforms.apply_epilogue == 1u);
}
"""

_NO_ROW_BIAS = """
fn row_bias(row: u32) -> f32 {
    return 0.0;
}
"""


def access(signature: Signature, *, packed_loads: bool = False) -> str:
    """Buffer bindings and load/store functions, vectorized (vec4) where the signature allows it.

    With `packed_loads`, vectorized f16 loads return packed f16 (half2 in u32), which the kernel converts.
    """
    vectors = _PACKED if packed_loads and signature.stored is F16 and not signature.half2 else _VEC4
    reads = zip("ab", (signature.a_vec4, signature.b_vec4), (0, 1), strict=True)
    return "".join(
        [
            _WITHIN,
            *((vectors if vec4 else _ONES).format(x=x, binding=binding) for x, vec4, binding in reads),
            _RESULT_VEC4 if signature.c_vec4 else _RESULT_ONES,
            *_bias(signature),
        ]
    )


def _bias(signature: Signature) -> list[str]:
    """The functions that load the bias, of a column or of a row."""
    start = "var<private> bias_start: u32;\n"
    if not signature.bias:
        return [start, _NO_BIAS, _NO_ROW_BIAS]
    if signature.bias_by_row:
        return [start, _NO_BIAS, _ROW_BIAS]
    column = _BIAS_VEC4 if signature.c_vec4 else _BIAS_ONES
    return [start, column.format(col="bias_start + col" if signature.bias_batched else "col"), _NO_ROW_BIAS]
