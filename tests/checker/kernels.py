"""Small kernels that the tests check, and the call that checks them."""

from collections.abc import Callable
from typing import Any

from rusty_py import RustyError
from rusty_py.checker import Report, check

OUT = "@group(0) @binding(0) var<storage, read_write> out: array<u32>;\n"

SCALE = """
override FACTOR: f32 = 2.0;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < arrayLength(&out)) {
        out[id.x] = FACTOR * x[id.x];
    }
}
"""


def kernel(body: str, *, head: str = "", threads: str | int = 8) -> str:
    """A text that runs `body` with the thread's index `i` and the array of u32 `out`."""
    return (
        f"{OUT}{head}@compute @workgroup_size({threads})\n"
        f"fn main(@builtin(local_invocation_index) i: u32) {{\n    {body}\n}}\n"
    )


def run(wgsl: str, **options: Any) -> Report:
    """Checks it in one workgroup with 64 elements of `out`; `options` are those of `check`."""
    return check(wgsl, **{"workgroups": 1, "buffers": {"out": "u32[64]"}, **options})


def is_answered(call: Callable[[], object]) -> bool:
    """Whether it returns, or raises an error of ours that says who refuses; other errors pass through."""
    try:
        call()
    except RustyError as error:
        return str(error).startswith("check: ")
    return True
