"""The checker reads WGSL without compiling it: overrides, variables, statements, and whatever else comes."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rusty_py import DtypeError, LimitError, ShaderError, shaders
from rusty_py.checker.overrides import bake
from rusty_py.checker.translate import ask, translate
from rusty_py.checker.wgsl import (
    MARK,
    MAX_NESTED_BLOCKS,
    mark,
    names,
)
from rusty_py.gemm.simple import Tiled
from rusty_py.wgsl_text.tokens import MAX_CHARACTERS, MAX_NESTED, check_size

from .kernels import is_answered

MAIN = "@compute @workgroup_size(1) fn main() {}"
KERNELS = ["matmul/tiled", "reduce/rows", "elementwise/grid", "probe/subgroup_size", "creation/arange"]


def text_of(name: str) -> str:
    """A kernel's file; of the tiled product what is compiled."""
    return Tiled(8).spec().source if name == "matmul/tiled" else shaders.read(name)


def statements(wgsl: str) -> list[str]:
    return [wgsl[each.start : each.end] for each in mark(wgsl)[1]]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("let x = 1;", ["let x = 1;"]),
        ("x[f(1, 2)] = (3);", ["x[f(1, 2)] = (3);"]),
        ("if (a) { b(); }", ["if (a)", "b();"]),
        ("if a { b(); } else { c(); }", ["if a", "b();", "c();"]),
        ("if a {} else if b { c(); } else { d(); }", ["if a", "if b", "c();", "d();"]),
        ("for (var i = 0; i < 3; i++) { b(); }", ["for (var i = 0; i < 3; i++)", "b();"]),
        ("while a { break; }", ["while a", "break;"]),
        ("loop { a(); continuing { b(); break if c; } }", ["loop", "a();", "b();", "break if c;"]),
        (
            "switch x { case 1, 2: { a(); } default { b(); } }",
            ["switch x", "a();", "b();"],
        ),
        ("{ { return; } }", ["return;"]),
        (";;", []),
        ("@diagnostic(off, a.b) if a { b(); }", ["@diagnostic(off, a.b) if a", "b();"]),
        ("a(); // b(); {\n c();", ["a();", "c();"]),
        ("/* } /* { */ ; */ a();", ["a();"]),
        ("x = array<f32, 2>(1, 2)[0];", ["x = array<f32, 2>(1, 2)[0];"]),
        ("let é = 変数;", ["let é = 変数;"]),
    ],
)
def test_the_statements_of_a_body_are_found(body: str, expected: list[str]) -> None:
    assert statements(f"fn f() {{ {body} }}") == expected


def test_each_statement_gets_a_call_that_says_which_it_is() -> None:
    marked, found = mark("fn f() { a(); b(); }")
    assert marked.startswith(f"fn f() {{ {MARK}(0u); a(); {MARK}(1u); b(); }}")
    assert len(found) == 2


@pytest.mark.parametrize("name", KERNELS)
def test_a_marked_kernel_is_the_kernel_where_the_calls_are_taken_out(name: str) -> None:
    text = text_of(name)
    marked, found = mark(text)
    for i in range(len(found)):
        marked = marked.replace(f"{MARK}({i}u); ", "")
    assert marked.replace("{ if", "if").startswith(text)


@pytest.mark.parametrize("end", list("\n\v\f\r\x85\u2028\u2029"))
def test_a_comment_ends_with_its_line_whatever_ends_that(end: str) -> None:
    text = f"fn f() {{ var a = 1; // comment{end} a = 2; }} {MAIN}"
    assert statements(text) == ["var a = 1;", "a = 2;"]
    assert translate(text).wgsl == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("var<storage, read_write> a: array<f32>; var<private> b = 1;", ["a", "b"]),
        ("var a: texture_2d<f32>;", ["a"]),
        ("fn f() { var inner = 1; } var<private> outer: f32;", ["outer"]),
        ("// var<private> a: f32;\n/* var<private> b: f32; */", []),
        ("var<storage,read>変数: array<f32>;", ["変数"]),
        ("var<\u200eprivate> a: f32;", ["a"]),
        ("var", []),
        ("var<", []),
        ("var<private>", []),
    ],
)
def test_the_variables_of_a_module_are_found(text: str, expected: list[str]) -> None:
    assert names(text) == expected


@pytest.mark.parametrize(
    ("override", "baked"),
    [
        ("override A: u32 = 4;", "const A: u32 = 4;"),
        ("override A = 4;", "const A: i32 = 4;"),
        ("override A = -4;", "const A: i32 = -4;"),
        ("override A = 0x1fu;", "const A: u32 = 0x1fu;"),
        ("override A = 1.5;", "const A: f32 = 1.5;"),
        ("override A = 1e3;", "const A: f32 = 1e3;"),
        ("override A = 2f;", "const A: f32 = 2f;"),
        ("override A = 2h;", "const A: f16 = 2h;"),
        ("override A = true;", "const A: bool = true;"),
        ("override A = u32(3);", "const A: u32 = u32(3);"),
        ("override A = u32(3) < 4u;", "const A = u32(3) < 4u;"),
        ("override A: bool = 1 == 2;", "const A: bool = 1 == 2;"),
        ("@id(7) override A: u32 = 4;", "const A: u32 = 4;"),
        ("@id ( 7 ) override A = 4;", "const A: i32 = 4;"),
        ("override/**/A/* = 5; */:u32=4/**/;", "const A: u32 = 4;"),
        ("override A: u32 = // = 5;\n 2u +\n 3u;", "const A: u32 = 2u + 3u;\n\n"),
    ],
)
def test_an_override_becomes_a_constant_of_its_default(override: str, baked: str) -> None:
    assert bake(f"{override}\n{MAIN}", {}) == f"{baked}\n{MAIN}"


@pytest.mark.parametrize(
    ("override", "value", "baked"),
    [
        ("override A: u32;", 4, "const A: u32 = 4;"),
        ("override A: u32;", 4.0, "const A: u32 = 4;"),
        ("override A: u32;", True, "const A: u32 = 1;"),
        ("override A: u32;", np.uint32(4), "const A: u32 = 4;"),
        ("override A: i32;", -(1 << 31), "const A: i32 = -2147483648;"),
        ("override A: f32;", 4, "const A: f32 = 4.0;"),
        ("override A: f32;", np.float32(0.5), "const A: f32 = 0.5;"),
        ("override A: f32 = 1.0;", 1e30, "const A: f32 = 1e+30;"),
        ("override A: bool;", True, "const A: bool = true;"),
        ("override A: bool;", np.bool_(False), "const A: bool = false;"),
        ("override A: bool = true;", 0, "const A: bool = false;"),
        ("override A = 2 * 3;", 7, "const A = 7;"),
        ("override A = B < 3;", True, "const A = true;"),
        ("alias T = u32; override A: T;", 7, "alias T = u32; const A: T = 7;"),
    ],
)
def test_an_override_becomes_a_constant_of_the_value_given(
    override: str, value: int | float | bool, baked: str
) -> None:
    assert bake(override, {"A": value}) == baked


@pytest.mark.usefixtures("checker")
@pytest.mark.parametrize("kind", ["u32", "i32", "f32", "f16", "bool"])
@pytest.mark.parametrize("value", [0, 1, 1.0, True])
def test_naga_takes_what_an_override_becomes(kind: str, value: int | float | bool) -> None:
    text = f"enable f16;\noverride A: {kind};\n@id(3) override B = A;\n{MAIN}"
    assert "kernel void" in ask(bake(text, {"A": value}))["msl"]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("u32", -1),
        ("u32", 1 << 32),
        ("u32", 2.5),
        ("i32", 1 << 31),
        ("f32", 1e39),
        ("f32", 10**400),
        ("f32", float("nan")),
        ("f32", float("inf")),
        ("f16", 65505),
        ("bool", 2),
        ("u32", "4"),
        ("u32", None),
        ("u32", np.ones(2)),
    ],
)
def test_a_constant_that_is_none_of_the_overrides_type_is_refused(kind: str, value: object) -> None:
    with pytest.raises(DtypeError, match=rf"^check: constant A: no {kind}: "):
        bake(f"override A: {kind};", {"A": value})  # type: ignore[dict-item]


def test_an_override_without_a_value_is_refused_with_the_way_to_give_it() -> None:
    with pytest.raises(
        ShaderError, match=r"without a value: A: give it by constants=\{'A': ...\} or --constant A="
    ):
        bake("override A: u32;", {})


def test_a_constant_that_the_text_does_not_declare_is_refused() -> None:
    with pytest.raises(ShaderError, match="declares no such override: B, C"):
        bake("override A = 1;", {"C": 1, "A": 1, "B": 1})


@pytest.mark.parametrize("number", ["7", "7u", "7i", "0x7", "0X07u", "007", "7,", " 7 /**/"])
def test_an_override_with_an_id_is_given_by_that_number(number: str) -> None:
    text = f"@id({number}) override A: u32 = 1; @id(70) override B = A;"
    assert bake(text, {"7": 2}) == "const A: u32 = 2; const B = A;"
    assert bake(text, {7: 2}) == bake(text, {"7": 2})  # type: ignore[dict-item]


@pytest.mark.parametrize("default", ["", " = 1"])
def test_the_name_of_an_override_with_an_id_is_refused_with_its_number(default: str) -> None:
    text = f"override A = 1; @id(7) override B: u32{default};"
    with pytest.raises(ShaderError) as caught:
        bake(text, {"B": 2})
    assert str(caught.value) == (
        "check: the key of an override with @id is that number: B has 7:"
        " give it by constants={'7': ...} or --constant 7=..."
    )


def test_an_override_with_an_id_and_without_a_value_is_refused_with_its_number() -> None:
    with pytest.raises(ShaderError, match=r"a value: B: give it by constants=\{'7': ...\} or --constant 7="):
        bake("@id(7) override B: u32;", {})


def test_a_key_that_is_the_number_of_no_override_is_refused_with_those_there_are() -> None:
    with pytest.raises(ShaderError, match=r"declares no such override: 07, 8: it has 7, A$"):
        bake("override A = 1; @id(7) override B = 1;", {"8": 2, "07": 2, "A": 2})


def test_an_id_that_is_an_expression_is_refused() -> None:
    with pytest.raises(ShaderError, match=r"the @id of B is not a number: 'N\+1': write it in dig"):
        bake("const N = 1; @id(N + 1) override B = 1;", {})


def test_an_override_in_a_comment_is_none() -> None:
    text = "// override A: u32;\n/* override B: u32; */"
    assert bake(text, {}) == text


def test_a_text_of_the_most_characters_is_read_and_one_more_is_refused() -> None:
    check_size("/" * MAX_CHARACTERS)
    with pytest.raises(LimitError, match=rf"too long: {MAX_CHARACTERS + 1} > {MAX_CHARACTERS} characters"):
        check_size("/" * (MAX_CHARACTERS + 1))


def test_a_text_with_half_a_character_is_refused() -> None:
    with pytest.raises(ShaderError, match=r"^check: the text is not Unicode: '\\udcff' at character 3$"):
        check_size(b"// \xff".decode(errors="surrogateescape"))


@pytest.mark.parametrize("pair", ["()", "[]", "{}"])
def test_brackets_nested_too_deep_are_refused_with_their_line(pair: str) -> None:
    check_size(pair[0] * MAX_NESTED + pair[1] * MAX_NESTED)
    with pytest.raises(LimitError, match=rf"nested deeper than {MAX_NESTED}: line 3"):
        check_size("\n\n" + pair[0] * (MAX_NESTED + 1))


def test_brackets_in_comments_do_not_nest() -> None:
    check_size(f"// {'(' * 999}\n/* {'{' * 999} */")


@pytest.mark.parametrize("shape", ["else if", "block"])
def test_statements_nested_too_deep_are_refused_with_their_line(shape: str) -> None:
    n = 10 * MAX_NESTED_BLOCKS
    body = "if a {}" + "\nelse if a {}" * n if shape == "else if" else "{" * n + "}" * n
    line = MAX_NESTED_BLOCKS + 1 if shape == "else if" else 1
    with pytest.raises(LimitError, match=rf"nested deeper than {MAX_NESTED_BLOCKS}: line {line}$"):
        mark(f"fn f() {{ {body} }}")


@pytest.mark.usefixtures("checker")
def test_a_long_chain_of_else_if_keeps_its_places() -> None:
    chain = "if x == 0 { x = 1; } " + "else if x == 1 { x = 2; }\n" * (MAX_NESTED_BLOCKS - 3)
    text = f"@compute @workgroup_size(1) fn main() {{ var x = 1; {chain} }}"
    assert len({each for each in translate(text).lines if each}) > MAX_NESTED_BLOCKS


def test_a_function_that_does_not_end_is_refused() -> None:
    with pytest.raises(ShaderError, match="the text ends within a function"):
        mark("fn f() { let x = 1;")


def is_read(text: str) -> bool:
    """By all that reads a text before a compiler does, and after."""
    readers = (check_size, lambda text: bake(text, {}), names, mark)
    return all(is_answered(lambda reader=reader: reader(text)) for reader in readers)  # type: ignore[misc]


cuts = st.tuples(st.sampled_from(KERNELS), st.floats(0, 1), st.floats(0, 1))


@given(cuts)
def test_a_kernel_cut_off_anywhere_is_read_or_refused_by_our_errors(cut: tuple[str, float, float]) -> None:
    text = shaders.read(cut[0])
    assert is_read(text[: int(cut[1] * len(text))])


@given(cuts)
def test_a_kernel_with_a_hole_anywhere_is_read_or_refused_by_our_errors(
    cut: tuple[str, float, float],
) -> None:
    text = shaders.read(cut[0])
    start, end = sorted(int(at * len(text)) for at in cut[1:])
    assert is_read(text[:start] + text[end:])


SIGNS = "@ ( ) { } [ ] < > ; : = , - x 1 é // /* */"
WORDS = st.sampled_from(f"fn override var id if else switch case loop continuing {SIGNS}".split())


@given(st.lists(WORDS, max_size=30).map("\n".join) | st.text(max_size=50))
@example("@id(")
@example("override")
@example("override;")
@example("override A")
@example("override = 3;")
@example("@id(3) override")
@example("fn")
@example("fn f() { if")
@example("fn f() { @")
@example("fn f() { switch x { case")
@example("/* /* */")
@example("var<storage")
@example("²x = 1;")
def test_any_text_is_read_or_refused_by_our_errors(text: str) -> None:
    assert is_read(text)


@pytest.mark.usefixtures("checker")
@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_with_a_word_left_out_is_translated_or_refused_by_our_errors(name: str) -> None:
    text = text_of(name)
    words = [word for word in text.split() if len(word) < 12][:: max(1, len(text) // 200)]
    texts = [text.replace(f" {word} ", " ", 1) for word in words]
    assert texts
    assert all(is_answered(lambda text=text: translate(text)) for text in texts)  # type: ignore[misc]
