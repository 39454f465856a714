"""WGSL as people and programs write it: comments, attributes, control flow, minified, and odd names."""

import re
from collections.abc import Sequence

import numpy as np
import pytest

from rusty_py import ShaderError
from rusty_py.checker import check

OUT = "@group(0) @binding(0) var<storage, read_write> out: array<i32>;\n"
MAIN = "@compute @workgroup_size(8)\nfn main(@builtin(local_invocation_index) i: u32)"
SWITCHES = """
fn kind(n: i32) -> i32 {
    switch n { case 0 { return 10; } case 1, 2: { return 20; } case 3, default: { return 30; } }
}
fn leaves(n: i32) -> i32 {
    var r = 0;
    switch n { default: { r = 1; } case -1: { r = 2; } case 7: { if n > 0 { break; } r = 9; } }
    return r;
}
"""
LOOPS = """
fn looped(n: i32) -> i32 {
    var sum = 0;
    var i = 0;
    loop {
        if i == 3 { i++; continue; }
        sum += i;
        continuing { i++; break if i >= n; }
    }
    for (var j = 0; j < n; j++) { if j % 2 == 0 { continue; } for (;;) { sum += 100; break; } }
    return sum;
}
fn counted_down(n: i32) -> i32 { var k = n; while k > 0 { k -= 2; if k == 4 { break; } } return k; }
fn nested(n: i32) -> i32 {
    var r = 0;
    for (var i = 0; i < 3; i += 1) { switch i { case 1: { continue; } default: { r += n; } } r += 1; }
    return r;
}
"""
CHAIN = """
fn chain(n: i32) -> i32 {
    if n < 2 { return -1; } else if n == 2 { return 0; } else if (n < 5) { var r = 1; r = r + n; return r; }
    else { return 99; }
}
"""
COMMENTS = """
/* a /* nested */ fn no() { */ // fn x(
@compute/**/@workgroup_size(8/*,2*/)fn/*c*/main(/**/@builtin(local_invocation_index)/**/i/**/:/**/u32/**/)/**/{
 if/**/i/* } */==/**/1u{out[i]/**/=/**/5;/* ; */}else/**/if i==2u/* { */{out[i]=6;}else{// }
 out[i]=7/**/;}
 for/**/(/*;*/var j=0;/*;*/j<2;/*;*/j++/*)*/){out[i]+=1;// ;
 }; ;{ { out[i]++; } }}
// end"""
MINIFIED = (
    "override a:u32=3;override b=2i;@id(7) override c:f32=1.5;const d=4;const_assert d==4;alias q=vec2<u32>;"
    "var<private>z:i32;fn f(x:i32)->i32{return x+d;}@compute @workgroup_size(8)"
    "fn m(@builtin(local_invocation_index)i:u32){var t=q(i,a);if(i<4){z=1;}else if(i<6){z=2;}else{z=3;}"
    "for(var k=0;k<b;k++){z+=k;}out[i]=f(z)+i32(t.y)+i32(c*2);}"
)
RESULTS = """
@must_use fn same(x: i32) -> i32 { return x; }
fn count() -> i32 { out[8] += 1; return 3; }
@compute @workgroup_size(1) fn main() {
    _ = same(3);
    count();
    for (var i = 0; i < 8; i++) { out[i] = same(count()); }
}
"""
DIAGNOSTICS = f"""
diagnostic(off, derivative_uniformity);
{OUT}@diagnostic(off, derivative_uniformity) @compute @workgroup_size(8)
fn main(@builtin(local_invocation_index) i: u32) {{ out[i] = 4; }}
"""


def outputs(wgsl: str, *, entry: str | None = None) -> list[int]:
    buffers = {"out": np.zeros(9, np.int32)}
    report = check(wgsl, workgroups=1, buffers=buffers, entry=entry, seeds=1)
    assert report.clean, str(report)
    return report.outputs["out"].tolist()[:8]


def each_thread(functions: str, value: str) -> str:
    return f"{OUT}{functions}{MAIN} {{ let n = i32(i); out[i] = {value}; }}"


@pytest.mark.parametrize(
    ("wgsl", "expected"),
    [
        pytest.param(each_thread(SWITCHES, "kind(n)"), [10, 20, 20, *[30] * 5], id="switch"),
        pytest.param(each_thread(SWITCHES, "leaves(n - 1)"), [2, *[1] * 7], id="default first"),
        pytest.param(each_thread(SWITCHES, "leaves(n + 7)"), [0, *[1] * 7], id="break of a switch"),
        pytest.param(
            each_thread(LOOPS, "looped(n)"), [0, 0, 101, 103, 203, 203, 308, 314], id="loops and continuing"
        ),
        pytest.param(each_thread(LOOPS, "counted_down(n)"), [0, -1, 0, -1, 0, -1, 4, -1], id="while"),
        pytest.param(
            each_thread(LOOPS, "nested(n)"), [2 * n + 2 for n in range(8)], id="continue in a switch"
        ),
        pytest.param(each_thread(CHAIN, "chain(n)"), [-1, -1, 0, 4, 5, 99, 99, 99], id="else if"),
        pytest.param(OUT + COMMENTS, [10, 8, 9, *[10] * 5], id="comments"),
        pytest.param(OUT.strip() + MINIFIED, [12] * 4 + [13] * 2 + [14] * 2, id="minified"),
        pytest.param(OUT + RESULTS, [3] * 8, id="results left"),
        pytest.param(DIAGNOSTICS, [4] * 8, id="diagnostics"),
        pytest.param((OUT + CHAIN + MAIN + "{ out[i] = 1; }").replace("\n", "\r\n"), [1] * 8, id="CRLF"),
    ],
)
def test_kernels_in_this_style_give_what_they_say(wgsl: str, expected: Sequence[int]) -> None:
    assert outputs(wgsl) == list(expected)


@pytest.mark.parametrize("entry", ["one", "two_", "half"])
def test_the_entry_point_of_several_that_is_named_runs(entry: str) -> None:
    text = "".join(
        f"@compute @workgroup_size({n}) fn {name}(@builtin(local_invocation_index) i: u32)"
        f" {{ out[i] = {n}; }}\n"
        for n, name in enumerate(("one", "two_", "half"), 1)
    )
    threads = ["one", "two_", "half"].index(entry) + 1
    assert outputs(OUT + text, entry=entry) == [threads] * threads + [0] * (8 - threads)


METAL = (
    "half thread device kernel constant threadgroup metal uint ulong uchar float4 packed_float3 simd as_type"
)
C = "int float double unsigned long short char signed UINT32_MAX INT8_C SIZE_MAX NAN INFINITY"
C += " M_PI M_PI_F offsetof errno stdin signgam size_t uint32_t exp2f gamma y1 j0 linux index time"
C += " read close isnan lgamma assert main0"
OURS = (
    "checker lanes map vec fold atomic runtime_array Variable Space ThreadIds variables ids checker_step Cell"
)
OURS += " kernel_entry kernel_variables kernel_text SWIZZLES_OF_2 NAMED T N elements first columns inner"
NAGA = "type_1 loop_bound unnamed naga_div value_0 x1y a1b2 f2_ min_ clamp_ sum_2 i_1 _naga _naga_x"
NAGA += " clamped_lod_e _group_0_binding_0 _e4 mainInput main_Input gen_ size0 _pad1"
NAMES = f"{METAL} {C} {OURS} {NAGA}".split()


def numbered(line: str) -> str:
    """The line for each of the names, as NAME, and its number, as 0x0."""
    return "\n".join(line.replace("NAME", name).replace("0x0", str(at)) for at, name in enumerate(NAMES))


FORMS = {
    "local": (
        "",
        numbered("{ var NAME = i32(i); NAME += 2; sum += NAME; }"),
    ),
    "parameter": (
        numbered("fn of_0x0_q(NAME: i32) -> i32 { return NAME + 2; }"),
        numbered("sum += of_0x0_q(i32(i));"),
    ),
    "function": (
        numbered("fn NAME(a: i32, v: vec3f) -> i32 { return a + i32(v.x); }"),
        numbered("sum += NAME(i32(i), two);"),
    ),
    "member": (
        f"struct Members {{ {', '.join(f'{name}: i32' for name in NAMES)} }}",
        "var s: Members; " + numbered("s.NAME = i32(i); sum += s.NAME + 2;"),
    ),
    "structure": (
        numbered("struct NAME { a: i32, b: vec3f } var<private> of_0x0_q: array<NAME, 2>;"),
        numbered("of_0x0_q[1].a = i32(i) + 2; sum += of_0x0_q[1].a;"),
    ),
    "workgroup variable": (
        numbered("var<workgroup> NAME: array<i32, 8>;"),
        numbered("NAME[i] = i32(i) + 2; sum += NAME[i];"),
    ),
    "constant": (
        numbered("const NAME = 2; var<private> of_0x0_q: array<i32, NAME>;"),
        numbered("of_0x0_q[1] = i32(i); sum += of_0x0_q[1] + NAME;"),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_names_of_metal_and_of_c_and_of_ours_are_free(form: str) -> None:
    declared, used = FORMS[form]
    wgsl = f"{OUT}{declared}\n{MAIN} {{ let two = vec3f(2); var sum = 0; {used} out[i] = sum; }}"
    assert outputs(wgsl) == [(i + 2) * len(NAMES) for i in range(8)]


def test_buffers_may_have_such_names() -> None:
    declared = numbered("@group(0) @binding(0x0) var<storage, read_write> NAME: array<i32>;")
    used = numbered("NAME[0] = i32(arrayLength(&NAME)) * 100 + 0x0;")
    report = check(
        f"{declared} @compute @workgroup_size(1) fn main() {{ {used} }}",
        workgroups=1,
        buffers={name: np.zeros(3, np.int32) for name in NAMES},
        seeds=1,
    )
    assert report.clean, str(report)
    assert [report.outputs[name][0] for name in NAMES] == [300 + at for at in range(len(NAMES))]


def test_a_name_that_naga_leaves_and_metal_has_for_something_else_is_refused_with_its_line() -> None:
    failures = []
    forms = ("var<private> NAME: i32;", "fn NAME() {}", "struct NAME { a: i32 }", "const NAME = 2;")
    for name in ("_buffer_sizes", "_mslBufferSizes", "checker_mark", "_Static_assert", "_Complex", "_Pragma"):
        for form in (*forms, OUT.replace("out", name), "fn f(NAME: i32) {}", "fn f() { let NAME = 2; }"):
            try:
                check(f"\n{form.replace('NAME', name)}\n{OUT}{MAIN} {{ }}", workgroups=1, buffers={})
                failures.append((name, form))
            except ShaderError as error:
                if not re.fullmatch(rf"check: line 2: a (name|keyword) .*: {name}: rename it", str(error)):
                    failures.append((name, form, str(error)))
    assert failures == []


def test_a_finding_names_a_variable_as_the_text_does() -> None:
    for name in ("_naga", "clamped_lod_e", "a1", "min"):
        own = f"var {name} = array<i32, 4>(); {name}[i] = 1;"
        (found,) = check(
            f"{OUT}{MAIN} {{ {own} out[i] = {name}[0]; }}", workgroups=1, buffers={"out": "i32[8]"}
        ).findings
        assert (found.kind, found.variable) == ("out of bounds", name)


@pytest.mark.parametrize("name", ["half", "ids", "kernel_entry"])
def test_an_entry_point_may_have_such_a_name(name: str) -> None:
    assert outputs(OUT + MAIN.replace("main", name) + "{ out[i] = 3; }") == [3] * 8
