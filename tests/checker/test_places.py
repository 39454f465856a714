"""Where a finding's caret stands, and what its sentence says was done there."""

import pytest

from rusty_py.checker import Finding, Report, check

pytestmark = pytest.mark.usefixtures("checker")

HEAD = """
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> c: array<atomic<u32>>;
struct Inner { x: array<f32, 2>, v: vec4<f32> }
var<private> s: array<Inner, 8>;
@compute @workgroup_size(8) fn main(@builtin(local_invocation_index) i: u32) {
"""


def ran(body: str, *, step_limit: int = 1000, time_limit: float = 60.0) -> Report:
    return check(
        f"{HEAD}{body}\n}}\n",
        workgroups=1,
        buffers={"x": "f32[8]", "y": "f32[8]", "c": "u32[8]"},
        seeds=1,
        step_limit=step_limit,
        time_limit=time_limit,
    )


def out_of_bounds(body: str) -> Finding:
    return next(each for each in ran(body).findings if each.kind == "out of bounds")


def assert_at(finding: Finding, marked: str) -> None:
    """That its caret is where the sign is in the text."""
    assert finding.place is not None
    lines = marked.split("\n")
    row = next(i for i, line in enumerate(lines) if "^" in line)
    assert finding.place.line == HEAD.count("\n") + 1 + row
    assert (finding.place.column - 1, finding.place.length) == (lines[row].index("^"), 1)


@pytest.mark.parametrize(
    "marked",
    [
        "let x = ^x[i + 1u]; y[i] = x;",
        "var x = ^x[i + 1u]; y[i] = x;",
        "var<function> x = ^x[i + 1u]; y[i] = x;",
        "var < function > x : f32 = ^x[i + 1u]; y[i] = x;",
        "for (var x = ^x[i + 1u]; x < -1.0; x += 1.0) { y[i] = 1.0; }",
    ],
)
def test_a_declaration_of_the_same_name_is_no_access(marked: str) -> None:
    assert_at(out_of_bounds(marked.replace("^", "")), marked)


@pytest.mark.parametrize("length", ["&x", " &x ", "& x", " & /* x */ x", "\t&\tx", "(&x)", "&(x)"])
def test_arraylength_is_no_access(length: str) -> None:
    marked = f"y[i] = f32(arrayLength({length})) * ^x[i + 1u];"
    assert_at(out_of_bounds(marked.replace("^", "")), marked)


@pytest.mark.parametrize(
    "marked",
    [
        "x[i] = 2.0 /* x is fine */ * ^x[i + 1u];",
        "x[i] = 2.0 // x[i] and x\n * ^x[i + 1u];",
        "x /* x */ [i] = /* ; x[i] = /* x */ */ 2.0 * ^x /* [i] */ [i + 1u];",
        "for (/* ; x ; */ var n = 0u; n < u32(^x[n + i + 1u]); n++) { y[i] = 1.0; }",
    ],
)
def test_a_comment_is_no_access(marked: str) -> None:
    assert_at(out_of_bounds(marked.replace("^", "")), marked)


@pytest.mark.parametrize(
    "marked",
    [
        "y[i] = s[i].x[0] + ^x[i + 1u];",
        "y[i] = s[i] . x[0] + ^x[i + 1u];",
        "y[i] = s[i]. /* of */ x[0] + ^x[i + 1u];",
    ],
)
def test_a_member_is_no_access(marked: str) -> None:
    assert_at(out_of_bounds(marked.replace("^", "")), marked)


@pytest.mark.parametrize(
    ("marked", "deed"),
    [
        ("^x[select(8u, 9u, i == 0u)] = 1.0;", "written"),
        ("^x[select(8u, 9u, i <= 3u)] = 1.0;", "written"),
        ("^x[select(8u, 9u, i >= 3u)] = 1.0;", "written"),
        ("^x[select(8u, 9u, i != 3u)] = 1.0;", "written"),
        ("^x[select(8u, 9u, x[i] == 0.0)] = x[i];", "written"),
        ("^x[select(8u, 9u, x[i] <= 0.0)] = x[i];", "written"),
        ("x[i] = ^x[select(8u, 9u, x[i] != 7.0)];", "read"),
        ("y[i] = ^x[select(8u, 9u, i == 0u)];", "read"),
        ("y[i] = f32(^x[select(8u, 9u, i == 0u)] == 1.0);", "read"),
        ("y[i] = select(1.0, 2.0, x[i] <= ^x[i + 8u]);", "read"),
        ("y[i] = x[i] - -^x[i + 8u];", "read"),
        ("if ^x[i + 8u] == 1.0 { y[i] = 1.0; }", "read"),
        ("x[i] += ^x[i + 8u];", "read"),
        ("x[select(0u, 1u, x[i] > 1.0)] *= ^x[i + 8u];", "read"),
        ("y[i] = 1.0; ^y[i + 8u] = x[i];", "written"),
        ("s[i].v.x = 1.0; s[i].v[1] = 2.0; ^x[i + 8u] = s[i].v.x;", "written"),
        ("atomicStore(&^c[i + 8u], atomicLoad(&c[i]));", "written"),
        ("atomicStore(&c[i], atomicLoad(&^c[i + 8u]));", "read"),
        ("let n = atomicAdd(&^c[select(8u, 9u, i == 0u)], 1u);", "written"),
        ("let n = atomicAdd(&c[i], atomicAdd(&^c[i + 8u], 1u));", "written"),
        ("let n = atomicLoad(&^c[select(8u, 9u, i == 0u)]);", "read"),
    ],
)
def test_what_is_done_there_is_said(marked: str, deed: str) -> None:
    finding = out_of_bounds(marked.replace("^", ""))
    assert_at(finding, marked)
    assert f"is {deed} by thread" in finding.message


@pytest.mark.parametrize(
    "body", ["*p = x[i];", "*p = 1.0;", "(x[i + 8u]) = x[i];", "x[i] = *p;"], ids=lambda body: body
)
def test_an_access_that_no_name_spells_is_marked_as_a_statement(body: str) -> None:
    place = out_of_bounds(f"let p = &x[i + 8u];\n{body}").place
    assert place is not None
    assert (place.column, place.length) == (1, len(body))


WITHIN_A_LINE = [
    ("x[i] = x[(i + 1u) % 8u];", "^      ^"),
    ("x[i / 2u] = 1.0;", "^"),
    ("y[0] = x[0]; x[0] = 2.0;", "       ^     ^"),
]


@pytest.mark.parametrize(("body", "below"), WITHIN_A_LINE)
def test_both_places_of_a_race_in_one_line_are_underlined(body: str, below: str) -> None:
    report = ran(body)
    finding = next(each for each in report.findings if each.kind == "race" and each.variable == "x")
    assert "in this line, and no barrier" in finding.message
    number = HEAD.count("\n") + 1
    assert f"{number:7} | {body}\n{'':7} | {below}\n" in str(report)


def test_a_place_in_another_line_is_named() -> None:
    (finding,) = ran("x[i] = 1.0;\ny[i] = x[i ^ 1u];").findings
    assert f"in line {HEAD.count(chr(10)) + 2}, and no barrier" in finding.message


def test_what_diverges_in_one_line_is_underlined_twice() -> None:
    body = "if i < 4u { workgroupBarrier(); } else { workgroupBarrier(); }"
    report = ran(body)
    assert "waits in this line" in report.findings[0].message
    below = " " * 12 + "^" * 19 + " " * 10 + "^" * 19
    assert f"{body}\n{'':7} | {below}\n" in str(report)


@pytest.mark.parametrize(
    ("body", "kind", "way_out"),
    [
        ("y[i] = f32(1u << (31u + i));", "bad shift", "write `& 31u`"),
        ("while y[i] < 1.0 { y[i] = 0.0; }", "endless loop", "step_limit, --step-limit"),
    ],
)
def test_the_way_out_is_told(body: str, kind: str, way_out: str) -> None:
    (finding,) = ran(body).findings
    assert finding.kind == kind
    assert way_out in finding.message


def test_the_options_that_give_more_time_are_told() -> None:
    (finding,) = ran("while y[i] < 1.0 { y[i] = 0.0; }", step_limit=1 << 60, time_limit=0.2).findings
    assert finding.message == "not at its end after 0.2 s: give more by time_limit, --time-limit"


def test_the_way_out_of_a_shift_is_one() -> None:
    assert ran("y[i] = f32(1u << ((31u + i) & 31u));").clean
