"""Values that naga's Metal text computes later than WGSL does: in `continuing` and in `break if`."""

from dataclasses import dataclass

import pytest

from rusty_py import ShaderError
from rusty_py.checker import Finding, Report
from rusty_py.checker.findings import findings_of
from rusty_py.checker.translate import translate

from .edits import Edit, edited
from .kernels import kernel, run

pytestmark = pytest.mark.usefixtures("checker")

HEAD = """@group(0) @binding(1) var<storage, read> given: array<u32, 4>;
struct Pair { a: u32, b: u32 }
var<private> count: u32;
var<workgroup> tile: array<u32, 8>;
var<workgroup> flag: atomic<u32>;
fn twice(x: u32) -> u32 { return 2u * x; }
fn step(p: ptr<function, u32>) -> u32 { *p += 1u; return *p; }
fn next() -> u32 { count += 1u; return count; }
fn advance() { _ = next(); }
fn meet() { workgroupBarrier(); }
"""
UNTIL = """fn until(p: ptr<function, u32>) -> u32 {
    var turns = 0u;
    loop { let was = *p;
    *p += 1u; turns += 1u; continuing { break if was > 4u; } }
    return turns;
}
"""
START = "var n = 0u; var sum = 0u; atomicStore(&flag, 0u); tile[0] = 0u; count = 0u;"


@dataclass(frozen=True)
class Loop:
    """A loop that computes `name` late, when `changed` may have changed; edited, it sums up to `meant`."""

    name: str
    changed: str
    meant: int
    edit: Edit
    body: str
    head: str = ""

    @property
    def text(self) -> str:
        return text_of(self.function(0), calls=1)

    def function(self, number: int) -> str:
        return f"{self.head}{function(number, self.body)}"


def of_let(name: str, changed: str, meant: int, body: str, head: str = "") -> Loop:
    """One that a `var` in place of the `let` mends."""
    return Loop(name, changed, meant, (f"let {name} ", f"var {name} "), body, head)


def function(number: int, body: str) -> str:
    return f"fn sum_{number}(i: u32) -> u32 {{ {START}\n{body}\nreturn sum; }}\n"


def text_of(functions: str, *, calls: int) -> str:
    called = " ".join(f"out[{number}] = sum_{number}(i);" for number in range(calls))
    return kernel(called, head=HEAD + functions, threads=1)


def checked(text: str) -> Report:
    return run(text, buffers={"out": "u32[64]", "given": "u32:3,1,4,1"}, step_limit=1000)


def found_in(text: str) -> list[Finding]:
    """The findings that need no run."""
    return list(findings_of([], translate(text)))


def line_of(text: str, words: str) -> int:
    return next(i for i, line in enumerate(text.split("\n"), 1) if words in line)


LOOPS = [
    of_let(
        *("stop", "n", 309),
        "loop { let stop = n >= 3u;\n n += 2u; sum += 102u; continuing { sum += 1u; break if stop; } }",
    ),
    of_let(  # In a statement of `continuing`.
        *("was", "n", 10),
        "loop { let was = n;\n n += 1u; if n > 5u { break; } continuing { sum += was; } }",
    ),
    of_let(  # In a block within it.
        *("was", "n", 9),
        "loop { let was = n;\n n += 1u; if n > 5u { break; } continuing { if n > 2u { sum += was; } } }",
    ),
    of_let(  # In a loop within it, that changes what it loads.
        *("was", "n", 6),
        "loop { let was = n + 2u;\n continuing { for (var i = 0u; i < was; i++) { n += 1u; sum += 1u; }"
        " break if n > 3u; } }",
    ),
    of_let(  # In the condition of such a loop.
        *("was", "n", 6),
        "loop { let was = n;\n"
        " continuing { loop { n += 1u; sum += 1u; continuing { break if n > was + 2u; } }"
        " break if n > 5u; } }",
    ),
    of_let(  # Of `continuing`, in its `break if`.
        *("was", "n", 6),
        "loop { continuing { let was = n;\n n += 1u; sum += 1u; break if was > 4u; } }",
    ),
    of_let(  # By another let.
        *("more", "n", 5),
        "loop { let was = n; let more = was + 1u;\n n += 1u; sum += 1u; continuing { break if more > 4u; } }",
    ),
    of_let(  # A member.
        *("was", "p", 6),
        "var p = Pair(0u, 1u);"
        "loop { let was = p;\n p.a += 1u; sum += 1u; continuing { break if was.a > 4u; } }",
    ),
    of_let(  # A component.
        *("was", "v", 5),
        "var v = vec2(0u, 1u);"
        "loop { let was = v.yx;\n v.y += 1u; sum += 1u; continuing { break if was.x > 4u; } }",
    ),
    of_let(  # An element.
        *("was", "a", 6),
        "var a = array<u32, 4>();"
        "loop { let was = a[1];\n a[1] += 1u; sum += 1u; continuing { break if was > 4u; } }",
    ),
    of_let(  # An element of what does not change, by an index that does.
        *("was", "n", 3),
        "loop { let was = given[n];\n n += 1u; sum += 1u; continuing { break if was == 4u || n > 3u; } }",
    ),
    of_let(  # A private variable, that a call changes.
        *("was", "count", 6),
        "loop { let was = count;\n advance(); sum += 1u; continuing { break if was > 4u; } }",
    ),
    of_let(  # A variable, that a call changes by a pointer.
        *("was", "n", 6),
        "loop { let was = n;\n _ = step(&n); sum += 1u; continuing { break if was > 4u; } }",
    ),
    of_let(  # A variable, that a pointer changes.
        *("was", "n", 6),
        "let p = &n; loop { let was = n;\n *p += 1u; sum += 1u; continuing { break if was > 4u; } }",
    ),
    of_let("was", "p", 6, "sum = until(&n);", UNTIL),
    of_let(  # Storage.
        *("was", "out", 6),
        "out[63] = 0u;"
        "loop { let was = out[63];\n out[63] += 1u; sum += 1u; continuing { break if was > 4u; } }",
    ),
    of_let(  # Workgroup memory, that this thread changes.
        *("was", "tile", 6),
        "loop { let was = tile[0];\n tile[0] += 1u; sum += 1u; continuing { break if was > 4u; } }",
    ),
    of_let(  # Workgroup memory, that others may change.
        *("was", "tile", 1),
        "loop { let was = tile[0];\n meet(); sum += 1u; continuing { break if was == 0u; } }",
    ),
    of_let(  # An atomic, that this thread changes.
        *("was", "flag", 6),
        "loop { let was = atomicLoad(&flag);\n atomicAdd(&flag, 1u); sum += 1u;"
        " continuing { break if was > 4u; } }",
    ),
    of_let(  # An atomic, that others may change.
        *("was", "flag", 1),
        "loop { let was = atomicLoad(&flag);\n sum += 1u; continuing { break if was == 0u; } }",
    ),
    of_let(  # Where a turn ends early.
        *("was", "n", 5),
        "loop { let was = n;\n sum += 1u; switch n { case 1u: { n += 2u; continue; } default: { n += 1u; } }"
        " continuing { break if was > 4u; } }",
    ),
    Loop(
        *("p", "n", 321, ("let p = &a[n];", "var at = n; let p = &a[at];")),
        "var a = array<u32, 4>(); loop { let p = &a[n];\n n += 1u; continuing { *p += n; break if n > 2u; } }"
        " sum = a[0] + 10u * a[1] + 100u * a[2];",
    ),
    Loop(
        *("n", "n", 3, ("break if n +", "var was = n; break if was +")),
        "loop { sum += 1u; continuing { break if n + step(&n) > 4u; } }",
    ),
    Loop(
        *("count", "count", 3, ("break if count +", "var was = count; break if was +")),
        "loop { sum += 1u; continuing { break if count + next() > 4u; } }",
    ),
    Loop(
        *("flag", "flag", 4, ("break if atomicLoad(&flag)", "var was = atomicLoad(&flag); break if was")),
        "loop { sum += 1u; continuing { break if atomicLoad(&flag) + atomicAdd(&flag, 1u) > 5u; } }",
    ),
]

UNCHANGED = [
    "loop { n += 1u; continuing { break if n > 4u; } }",
    "loop { n += 1u; continuing { break if step(&n) + n > 4u; } }",
    "loop { n += 1u; continuing { break if n > 4u && given[n & 3u] > 0u; } }",
    "loop { atomicAdd(&flag, 1u); continuing { break if atomicLoad(&flag) > 4u; } }",
    "loop { var was = n; n += 1u; continuing { break if was > 4u; } }",
    "loop { const last = 4u; n += 1u; continuing { break if n > last; } }",
    "loop { let last = arrayLength(&out); n += 1u; continuing { break if n > last; } }",
    "loop { let last = i + 4u; n += 1u; continuing { break if n > last; } }",
    "loop { let last = given[i] + 4u; n += 1u; continuing { break if n > last; } }",
    "loop { let p = &n; *p += 1u; continuing { *p += 1u; break if *p > 4u; } }",
    "var m = 4u; loop { let last = m; n += twice(n) + 1u; continuing { break if n > last; } }",
    "count = 4u; loop { let last = count; n += twice(n) + 1u; continuing { break if n > last; } }",
    "let last = n + 4u; loop { n += 1u; continuing { n += last; break if n > last; } }",
    "loop { let was = n; loop { n += 1u; continuing { break if n > was + 3u; } } if n > 9u { break; } }",
    "loop { let was = n; n += 1u; if was > 4u { break; } continuing { sum += n; } }",
    "for (var j = 0u; j < 4u; j += n) { let was = j; n += was + 1u; }",
    "while n < 4u { let was = n; n += 1u; sum += was; }",
]
"""Loops in which nothing is computed later than in WGSL, or nothing changes in between."""

CALLS = [
    "twice(n)",
    "n + twice(n)",
    "atomicAdd(&flag, 1u)",
    "workgroupUniformLoad(&tile)[0]",
    "subgroupAdd(n)",
]
REFUSED = (
    "check: line {}: naga cannot translate was to Metal here: line {} gives it the result of a call,"
    " in front of the loop's `continuing`: write `var was` instead of `let was`"
)


def test_a_value_that_metal_computes_later_than_wgsl_is_found() -> None:
    failures = []
    for loop in LOOPS:
        found = found_in(loop.text)
        says = f"{loop.changed} may have changed" if loop.edit[0].startswith("let") else "may change it"
        if not found or any(each.variable != loop.name or says not in each.message for each in found):
            failures.append((loop.body, found))
    assert failures == []


def test_what_the_finding_says_mends_it() -> None:
    functions = [edited(loop.function(number), loop.edit) for number, loop in enumerate(LOOPS)]
    report = checked(text_of("".join(functions), calls=len(LOOPS)))
    assert report.clean, str(report)
    sums = zip(LOOPS, report.outputs["out"].tolist(), strict=False)
    assert [(loop.body, found, loop.meant) for loop, found in sums if found != loop.meant] == []


def test_a_value_that_does_not_change_in_between_is_not_accused() -> None:
    texts = [text_of(function(0, body), calls=1) for body in UNCHANGED]
    assert [found for text in texts if (found := found_in(text))] == []


def test_the_finding_shows_the_use_and_the_declaration_and_comes_first() -> None:
    text = edited(LOOPS[0].text, ("return sum;", "out[sum] = 0u; return sum;"))
    report = checked(text)
    use = line_of(text, "break if stop")
    assert str(report).startswith(
        f"wgsl:{use}:57: late evaluation: naga's Metal text computes stop anew, and n may have changed"
        f" since line {use - 1}: write `var stop`, not `let stop`\n"
        f"     {use} | {text.split(chr(10))[use - 1]}\n"
        f"        | {' ' * 56}^^^^\n"
        "         and there:\n"
        f"     {use - 1} | {text.split(chr(10))[use - 2]}\n"
        f"        | {' ' * 11}^^^^\n"
    )
    # Metal's number is 206, WGSL's 309.
    assert [(each.kind, each.index) for each in report.findings] == [
        ("late evaluation", None),
        ("out of bounds", 206),
    ]


def test_the_result_of_a_call_that_naga_cannot_translate_there_is_refused_with_its_line() -> None:
    failures = []
    for call in CALLS:
        body = f"loop {{ let was = {call};\n n += 1u; continuing {{ sum += n;\n break if was + n > 4u; }} }}"
        text = text_of(function(0, body), calls=1)
        line = line_of(text, "let was")
        try:
            failures.append((call, found_in(text)))
        except ShaderError as error:
            if str(error) != REFUSED.format(line + 2, line):
                failures.append((call, str(error)))
        if found := found_in(edited(text, ("let was", "var was"))):
            failures.append((call, found))
    assert failures == []
