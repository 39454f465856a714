"""No name in our kernels means something else in Metal."""

import pytest

from rusty_py.runtime.launch import Spec

from ..each import each_reported
from .registry import all_specs, each_file, source_of
from .reserved import reserved_names

SOME_WORDS = """
    half kernel thread device constant threadgroup uint float4 half2x2 long short xor size_t uint8_t metal
    packed_float3 atomic_uint texture2d NAN INFINITY M_PI_F FLT_MAX INT_MIN _Bool a__b
"""

# One a text: what differs in its constants alone has the same names.
ONE_OF_EACH = list({(spec.name, spec.definitions): spec for spec in all_specs()}.values())


@each_file(ONE_OF_EACH)
def test_a_kernel_names_nothing_by_a_word_of_metal(specs: list[Spec]) -> None:
    with each_reported() as case:
        for spec in specs:
            with case(spec):
                assert reserved_names(source_of(spec)) == []


def test_a_word_of_metal_is_caught() -> None:
    with each_reported() as case:
        for word in SOME_WORDS.split():
            with case(word):
                assert reserved_names(f"fn f() {{ let {word} = 1u; }}") == [word]


@pytest.mark.parametrize(
    "text",
    [
        "fn f() { var half = 1.0; }",
        "fn f() { var half: f32; }",
        "fn f() { var<function> half = 1.0; }",
        "fn f() { for (var half = 0u; half < 4u; half++) {} }",
        "var<workgroup> half: array<f32, 4>;",
        "@group(0) @binding(0) var<storage, read_write>half: array<f32>;",
        "const half = 1.0;",
        "override half: u32;",
        "fn half() {}",
        "fn f(@builtin(local_invocation_index) half: u32) {}",
        "struct half { x: f32 }",
        "struct Uniforms { m: u32, half : u32 }",
        "alias half = f32;",
    ],
)
def test_a_word_of_metal_is_caught_wherever_it_is_declared(text: str) -> None:
    assert reserved_names(text) == ["half"]


@pytest.mark.parametrize(
    "text",
    [
        "// let half = 1.0;",
        "/* let half =\n 1.0; */",
        "fn f(x: u32) { switch (x) { case 1u: { return; } default: { return; } } }",
        "fn f() { let halves = 1.0; let thread_index = 2u; let k0 = 3u; }",
    ],
)
def test_other_words_are_not(text: str) -> None:
    assert reserved_names(text) == []
