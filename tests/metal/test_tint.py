"""Tint, Chrome's compiler, takes every kernel. It refuses what naga lets through and a GPU may hang on."""

import pytest

from rusty_py.checker.node import Compiler
from rusty_py.checker.translate import ask
from rusty_py.gemm.simple import Tiled
from rusty_py.runtime.launch import Spec

from ..each import each_reported
from .registry import all_specs, each_file, source_of, text_of

# What WebGPU promises everywhere, and all that Tint's device without a driver has.
MAX_THREADS = 256
MAX_WORKGROUP_BYTES = 16384
SMALL_SPECS = [
    spec
    for spec in all_specs()
    if spec.threads <= MAX_THREADS and spec.workgroup_bytes <= MAX_WORKGROUP_BYTES
]

REVERSE = """
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@group(0) @binding(1) var<uniform> count: vec4<u32>;
var<workgroup> tile: array<u32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) i: u32) {
    tile[i] = x[i];
    workgroupBarrier();
    x[i] = tile[63u - i];
}
"""
BARRIER = "workgroupBarrier();"


def unusable_reason(tint: Compiler, wgsl: str, *, constants: dict[str, int] | None = None) -> str | None:
    """What Tint has against the module, and with `constants` against its pipeline."""
    # Tint needs this line, and naga refuses it.
    enable = "enable subgroups;\n" if "subgroup" in wgsl else ""
    error: str | None = tint.ask({"wgsl": enable + wgsl, "constants": constants})["error"]
    return error


@each_file(all_specs())
def test_tint_takes_the_module(tint: Compiler, specs: list[Spec]) -> None:
    with each_reported() as case:
        for spec in specs:
            with case(spec):
                assert unusable_reason(tint, source_of(spec)) is None


@each_file(SMALL_SPECS)
def test_tint_creates_the_pipeline(tint: Compiler, specs: list[Spec]) -> None:
    with each_reported() as case:
        for spec in specs:
            with case(spec):
                assert unusable_reason(tint, text_of(spec), constants=dict(spec.constants)) is None


def test_every_kernel_has_a_variant_small_enough_for_a_pipeline() -> None:
    assert {spec.name for spec in SMALL_SPECS} == {spec.name for spec in all_specs()}


@pytest.mark.parametrize(
    "barrier",
    [BARRIER, "for (var n = 0u; n < count.x; n++) { workgroupBarrier(); }"],
    ids=["plain", "in a loop with a uniform bound"],
)
def test_tint_takes_a_barrier_in_uniform_flow(tint: Compiler, barrier: str) -> None:
    assert unusable_reason(tint, REVERSE.replace(BARRIER, barrier), constants={}) is None


@pytest.mark.parametrize(
    "barrier",
    [
        "if (i >= count.x) { return; } workgroupBarrier();",
        "if (i < count.x) { workgroupBarrier(); }",
        "for (var n = 0u; n < x[0]; n++) { workgroupBarrier(); }",
    ],
    ids=["after some threads returned", "in an if of some threads", "in a loop bounded by a storage value"],
)
def test_tint_refuses_a_barrier_that_naga_lets_diverge(tint: Compiler, naga: None, barrier: str) -> None:
    mutant = REVERSE.replace(BARRIER, barrier)
    assert "must only be called from uniform control flow" in str(unusable_reason(tint, mutant))
    assert "threadgroup_barrier" in ask(mutant)["msl"]


def test_tint_refuses_a_workgroup_of_too_many_threads(tint: Compiler) -> None:
    text = "override EDGE: u32; @compute @workgroup_size(EDGE, EDGE) fn main() {}"
    assert unusable_reason(tint, text, constants={"EDGE": 16}) is None
    assert "exceeds the maximum" in str(unusable_reason(tint, text, constants={"EDGE": 17}))


def test_tint_refuses_too_much_workgroup_memory(tint: Compiler) -> None:
    text = """
        override WORDS: u32;
        var<workgroup> words: array<u32, WORDS>;
        @compute @workgroup_size(1) fn main() { words[0] = 1u; }
    """
    assert unusable_reason(tint, text, constants={"WORDS": MAX_WORKGROUP_BYTES // 4}) is None
    one_too_many = {"WORDS": MAX_WORKGROUP_BYTES // 4 + 1}
    assert "larger than the maximum" in str(unusable_reason(tint, text, constants=one_too_many))


def test_tint_refuses_an_override_without_a_value(tint: Compiler) -> None:
    assert "uninitialized" in str(unusable_reason(tint, Tiled(8).spec().text, constants={}))


def test_tint_refuses_broken_wgsl(tint: Compiler) -> None:
    assert "error" in str(unusable_reason(tint, REVERSE.replace("}", "", 1)))


def test_tint_takes_the_next_kernel_after_a_refusal(tint: Compiler) -> None:
    assert unusable_reason(tint, "broken", constants={}) is not None
    assert unusable_reason(tint, REVERSE, constants={}) is None
