"""The kernels that share blocks of the operands in workgroup memory: for GPUs."""

from dataclasses import dataclass, replace
from functools import cache

from rusty_py.adapter import Limits
from rusty_py.dtypes import F16, F32
from rusty_py.gemm.kernel import Kernel, definitions, has_room
from rusty_py.gemm.problem import Form, Problem
from rusty_py.kernel import Spec
from rusty_py.shapes import ceil_div

SUM_DEPTH = 64
"""How many products are added up in f16, where that is asked for, before f32 takes their sum."""

# What numbers are loaded as, by fours or `apart` from each other; how; and what is made of them.
_FOUR = "vec4<Loaded>", "{x}_four(at)", "vec4<Held>(four)"
_WORDS = "vec2<u32>", "{x}_four(at)", "vec4(unpack2x16float(four.x), unpack2x16float(four.y))"
_SINGLE = (
    "vec4<Loaded>",
    "vec4({x}_one(at), {x}_one(at + apart), {x}_one(at + 2u * apart), {x}_one(at + 3u * apart))",
    "vec4<Held>(four)",
)
_LOADS = """
alias {X}Four = {four};

fn {x}_load(at: u32, apart: u32) -> {X}Four {{
    return {loaded};
}}

fn {x}_held(four: {X}Four) -> vec4<Held> {{
    return {held};
}}
"""

_SUMS = """
alias Sums = vec4<f32>;

fn multiply_add(a: f32, b: vec4<f32>, sums: Sums) -> Sums {
    return fma(vec4(a), b, sums);
}

fn added_up(sums: Sums) -> vec4<f32> {
    return sums;
}

fn as_held(sums: vec4<f32>) -> vec4<f32> {
    return sums;
}

fn as_sums(held: vec4<f32>) -> vec4<f32> {
    return held;
}

fn as_sum(held: f32) -> f32 {
    return held;
}
"""

# Compilers take the way to f32 and back out.
_SUMS_OF_PAIRS = """
alias Sums = array<vec2<f16>, 4>;

fn pair(word: u32) -> vec2<f16> {
    return vec2<f16>(unpack2x16float(word));
}

fn multiply_add(a: u32, b: vec4<u32>, sums: Sums) -> Sums {
    let x = pair(a);
    return Sums(
        fma(x, pair(b.x), sums[0]),
        fma(x, pair(b.y), sums[1]),
        fma(x, pair(b.z), sums[2]),
        fma(x, pair(b.w), sums[3]),
    );
}

fn added_up(sums: Sums) -> vec4<f32> {
    let even = vec4<f32>(vec4(sums[0].x, sums[1].x, sums[2].x, sums[3].x));
    return even + vec4<f32>(vec4(sums[0].y, sums[1].y, sums[2].y, sums[3].y));
}

fn as_held(sums: vec4<f32>) -> vec4<u32> {
    return bitcast<vec4<u32>>(sums);
}

fn as_sums(held: vec4<u32>) -> vec4<f32> {
    return bitcast<vec4<f32>>(held);
}

fn as_sum(held: u32) -> f32 {
    return bitcast<f32>(held);
}
"""


@dataclass(frozen=True)
class Blocked(Kernel):
    """How a product is cut: see wgsl/matmul/blocked.wgsl, which says the same in capitals."""

    block_m: int
    block_n: int
    block_k: int
    thread_m: int
    thread_n: int
    lanes_m: int
    stages: int
    slices: int = 1
    accumulates_f16 = True

    @property
    def name(self) -> str:
        name = f"blocked {self.block_m}x{self.block_n}x{self.block_k}"
        return f"{name} in {self.slices} slices" if self.slices > 1 else name

    @property
    def block(self) -> tuple[int, int]:
        return self.block_m, self.block_n

    @property
    def threads(self) -> int:
        return self.block_m * self.block_n // (self.thread_m * self.thread_n) * self.slices

    def whole(self) -> bool:
        """Whether the parts add up: whole subgroups, each of whose threads loads as much as the others."""
        lanes_n, threads = 32 // self.lanes_m, self.threads
        subgroups = self.block_m % (self.lanes_m * self.thread_m) or self.block_n % (lanes_n * self.thread_n)
        if self.block_m * self.block_n % (self.thread_m * self.thread_n) or threads % 32 or subgroups:
            return False
        lines = {self.block_k, self.block_m // 4, self.block_n // 4}
        shared = (self.block_k * self.block_m // 4, self.block_k * self.block_n // 4)
        loads = all(threads % line == 0 for line in lines) and all(part % threads == 0 for part in shared)
        return loads and (self.slices == 1 or self._may_slice())

    def _may_slice(self) -> bool:
        """Whether slices read where they can, and have room to add each other's sums."""
        rows = self.slices * self.block_m // self.thread_m
        return self.block_k >= 16 and self.lanes_m in (4, 8) and rows <= self.stages * self.block_k

    def suits(self, limits: Limits, problem: Problem) -> bool:
        return has_room(limits, self.spec(problem))

    def spec(self, problem: Problem) -> Spec:
        edges = bool(problem.m % self.block_m or problem.n % self.block_n)
        small = problem.m < self.block_m or problem.n < self.block_n
        form = problem.form
        # Only pairs are added up in f16: single numbers are no faster than f32.
        sums = F16 if form.pairs else F32
        return self._spec(replace(form, sums=sums, clamps=False), edges or form.clamps, small or form.clamps)

    @cache  # noqa: B019  There are few, and they are constants.
    def _spec(self, form: Form, edges: bool, clamps: bool) -> Spec:
        constants = {
            "BLOCK_M": self.block_m,
            "BLOCK_N": self.block_n,
            "BLOCK_K": self.block_k,
            "THREAD_M": self.thread_m,
            "THREAD_N": self.thread_n,
            "LANES_M": self.lanes_m,
            "LANES_N": 32 // self.lanes_m,
            "STAGES": self.stages,
            "SLICES": self.slices,
            "THREADS": self.threads,
            "SUM_TILES": ceil_div(SUM_DEPTH, self.block_k) if form.pairs else 0,
        }
        word = "u32" if form.pairs else ""
        text = definitions(
            constants,
            form,
            edges=edges,
            clamps=clamps,
            terms=word,
            loaded=word or form.stored.wgsl,
            held=word,
            words=True,
        )
        return Spec(
            "matmul/blocked",
            inputs=3,
            outputs=1,
            threads=self.threads,
            workgroup_bytes=4 * self.stages * self.block_k * (self.block_m + self.block_n),
            definitions=text + _loads(form) + (_SUMS_OF_PAIRS if form.pairs else _SUMS),
            variant=f"{self.name.removeprefix('blocked ')}, {form}"
            + (", small" if clamps else ", edges" * edges),
        )

    def loops(self, k: int) -> int:
        return ceil_div(k, self.block_k)


def _loads(form: Form) -> str:
    """The functions of blocked.wgsl that load a and b."""
    fours = _WORDS if form.stored is F16 and not form.pairs else _FOUR
    text = ""
    for x, by_fours in (("a", form.a_fours), ("b", form.b_fours)):
        four, loaded, held = fours if by_fours else _SINGLE
        text += _LOADS.format(x=x, X=x.upper(), four=four, loaded=loaded.format(x=x), held=held)
    return text
