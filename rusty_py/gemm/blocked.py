"""GPU kernels with block tiles in workgroup memory and register tiles per thread."""

from dataclasses import dataclass, replace
from functools import cache

from rusty_py import shaders
from rusty_py.dtypes import F16, F32
from rusty_py.gemm.kernel import KernelConfig, definitions, has_room
from rusty_py.gemm.problem import GemmProblem, Signature
from rusty_py.runtime.adapter import Limits
from rusty_py.runtime.launch import Spec
from rusty_py.shapes import ceil_div

SUM_DEPTH = 64
"""Terms accumulated in f16 before the partial sum is added to the f32 accumulator (accumulate_dtype f16)."""

# The type of four loaded elements, the load expression (vec4, or scalars `stride` apart) and the conversion.
_VEC4_LOAD = "vec4<Loaded>", "load_{x}_vec4(index)", "vec4<TileElement>(fetched)"
_PACKED = "vec2<u32>", "load_{x}_vec4(index)", "vec4(unpack2x16float(fetched.x), unpack2x16float(fetched.y))"
_SINGLE = (
    "vec4<Loaded>",
    "vec4(load_{x}(index), load_{x}(index + stride), load_{x}(index + 2u * stride),"
    " load_{x}(index + 3u * stride))",
    "vec4<TileElement>(fetched)",
)
_LOADS = """
alias {X}Fetch = {four};

fn fetch_{x}(index: u32, stride: u32) -> {X}Fetch {{
    return {loaded};
}}

fn gather_{x}(at: vec4<u32>) -> {X}Fetch {{
    return {gathered};
}}

fn convert_{x}(fetched: {X}Fetch) -> vec4<TileElement> {{
    return {held};
}}
"""
_GATHERED = "vec4(load_{x}(at.x), load_{x}(at.y), load_{x}(at.z), load_{x}(at.w))"

_ACC = """
alias Acc = vec4<f32>;

fn multiply_add(a: f32, b: vec4<f32>, acc: Acc) -> Acc {
    return fma(vec4(a), b, acc);
}

fn acc_to_f32(acc: Acc) -> vec4<f32> {
    return acc;
}

fn f32_to_tile(x: vec4<f32>) -> vec4<f32> {
    return x;
}

fn tile_to_f32(x: vec4<f32>) -> vec4<f32> {
    return x;
}

fn tile_scalar_to_f32(x: f32) -> f32 {
    return x;
}
"""

# Compilers optimize the conversion to f32 and back away.
_HALF2_ACC = """
alias Acc = array<vec2<f16>, 4>;

fn unpack_half2(packed: u32) -> vec2<f16> {
    return vec2<f16>(unpack2x16float(packed));
}

fn multiply_add(a: u32, b: vec4<u32>, acc: Acc) -> Acc {
    let x = unpack_half2(a);
    return Acc(
        fma(x, unpack_half2(b.x), acc[0]),
        fma(x, unpack_half2(b.y), acc[1]),
        fma(x, unpack_half2(b.z), acc[2]),
        fma(x, unpack_half2(b.w), acc[3]),
    );
}

fn acc_to_f32(acc: Acc) -> vec4<f32> {
    let even = vec4<f32>(vec4(acc[0].x, acc[1].x, acc[2].x, acc[3].x));
    return even + vec4<f32>(vec4(acc[0].y, acc[1].y, acc[2].y, acc[3].y));
}

fn f32_to_tile(x: vec4<f32>) -> vec4<u32> {
    return bitcast<vec4<u32>>(x);
}

fn tile_to_f32(x: vec4<u32>) -> vec4<f32> {
    return bitcast<vec4<f32>>(x);
}

fn tile_scalar_to_f32(x: u32) -> f32 {
    return bitcast<f32>(x);
}
"""


@dataclass(frozen=True)
class Blocked(KernelConfig):
    """Tile sizes of wgsl/matmul/blocked.wgsl; the fields are its constants of the same names."""

    block_m: int
    block_n: int
    block_k: int
    thread_m: int
    thread_n: int
    lanes_m: int
    stages: int
    slice_k: int = 1
    accumulates_f16 = True
    compound = True

    @property
    def name(self) -> str:
        name = f"blocked {self.block_m}x{self.block_n}x{self.block_k}"
        return f"{name}, slice-K {self.slice_k}" if self.slice_k > 1 else name

    @property
    def block(self) -> tuple[int, int]:
        return self.block_m, self.block_n

    @property
    def threads(self) -> int:
        return self.block_m * self.block_n // (self.thread_m * self.thread_n) * self.slice_k

    def whole(self) -> bool:
        """Whether the sizes are consistent: whole subgroups, and equal loads for all threads."""
        lanes_n, threads = 32 // self.lanes_m, self.threads
        subgroups = self.block_m % (self.lanes_m * self.thread_m) or self.block_n % (lanes_n * self.thread_n)
        if self.block_m * self.block_n % (self.thread_m * self.thread_n) or threads % 32 or subgroups:
            return False
        lines = {self.block_k, self.block_m // 4, self.block_n // 4}
        shared = (self.block_k * self.block_m // 4, self.block_k * self.block_n // 4)
        loads = all(threads % line == 0 for line in lines) and all(part % threads == 0 for part in shared)
        return loads and (self.slice_k == 1 or self._may_slice())

    def _may_slice(self) -> bool:
        """Whether slice-K supports these sizes and workgroup memory has room for its reduction."""
        rows = self.slice_k * self.block_m // self.thread_m
        return self.block_k >= 16 and self.lanes_m in (4, 8) and rows <= self.stages * self.block_k

    def supports(self, limits: Limits, problem: GemmProblem) -> bool:
        scattered = problem.signature.c_compound and not problem.signature.c_vec4
        return not (scattered and not self._coalesces) and has_room(limits, self.spec(problem))

    @property
    def _coalesces(self) -> bool:
        """Whether scalar stores go through workgroup memory: COALESCE in blocked.wgsl."""
        return self.stages * self.block_k >= self.slice_k * self.block_m // self.thread_m

    def spec(self, problem: GemmProblem) -> Spec:
        edges = bool(problem.m % self.block_m or problem.n % self.block_n)
        small = problem.m < self.block_m or problem.n < self.block_n
        signature = problem.signature
        # f16 accumulation requires half2: scalar f16 is no faster than f32.
        accumulate_dtype = F16 if signature.half2 else F32
        return self._spec(
            replace(signature, accumulate_dtype=accumulate_dtype, clamps=False),
            edges or signature.clamps,
            small or signature.clamps,
        )

    @cache  # noqa: B019  There are few, and they are constants.
    def _spec(self, signature: Signature, edges: bool, clamps: bool) -> Spec:
        constants = {
            "BLOCK_M": self.block_m,
            "BLOCK_N": self.block_n,
            "BLOCK_K": self.block_k,
            "THREAD_M": self.thread_m,
            "THREAD_N": self.thread_n,
            "LANES_M": self.lanes_m,
            "LANES_N": 32 // self.lanes_m,
            "STAGES": self.stages,
            "SLICE_K": self.slice_k,
            "THREADS": self.threads,
            "FLUSH_TILES": ceil_div(SUM_DEPTH, self.block_k) if signature.half2 else 0,
        }
        word = "u32" if signature.half2 else ""
        text = definitions(
            constants,
            signature,
            edges=edges,
            clamps=clamps,
            terms=word,
            loaded=word or signature.stored.wgsl,
            held=word,
            packed_loads=True,
            compound=True,
        )
        return Spec(
            "matmul/blocked",
            inputs=3,
            outputs=1,
            threads=self.threads,
            workgroup_bytes=4 * self.stages * self.block_k * (self.block_m + self.block_n),
            definitions=text
            + shaders.read("matmul/compound")
            + (shaders.read("matmul/compound_c") if signature.c_compound else _PLAIN_C)
            + _loads(signature)
            + (_HALF2_ACC if signature.half2 else _ACC),
            variant=f"{self.name.removeprefix('blocked ')}, {signature}"
            + (", small" if clamps else ", edges" * edges),
        )

    def loops(self, k: int) -> int:
        return ceil_div(k, self.block_k)


_PLAIN_C = """
// Nothing calls it where c has no compound axes, and yet NVIDIA's driver schedules the kernel by its text.
fn c_distance(row: u32, col: u32) -> u32 {
    return along(row, uniforms.m_sizes, uniforms.c_m) + along(col, uniforms.n_sizes, uniforms.c_n);
}
"""
"""With the text of compound_c.wgsl, 128x256x16 took 5 % longer for nn, 7 % with packed operands (H200)."""


def _loads(signature: Signature) -> str:
    """The functions with which blocked.wgsl loads a and b."""
    vectors = _PACKED if signature.stored is F16 and not signature.half2 else _VEC4_LOAD
    text = ""
    for x, vec4 in (("a", signature.a_vec4), ("b", signature.b_vec4)):
        four, loaded, held = vectors if vec4 else _SINGLE
        gathered = f"fetch_{x}(at.x, 0u)" if vec4 else _GATHERED.format(x=x)
        text += _LOADS.format(
            x=x, X=x.upper(), four=four, loaded=loaded.format(x=x), gathered=gathered, held=held
        )
    return text
