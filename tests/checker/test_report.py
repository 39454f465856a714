"""What people read of a report, and what programs do."""

import copy
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from rusty_py.checker import CheckRun, Finding, Report, SourceSpan, Thread
from rusty_py.checker.findings import _SENTENCES, LATE

from .kernels import kernel, run

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "docs" / "schema" / "check-1.json").read_text(encoding="utf-8")
)
FIRST = Thread((0, 0, 0), (3, 0, 0))
SECOND = Thread((0, 0, 0), (4, 0, 0))


def report(*findings: Finding, wgsl: str = "abc\n", **options: Any) -> Report:
    facts: dict[str, Any] = {
        "entry": "main",
        "workgroups": (2, 1, 1),
        "threads": (8, 1, 1),
        "runs": (CheckRun(16, 0),),
        "outputs": {},
        **options,
    }
    return Report(wgsl=wgsl, findings=findings, **facts)


def carets(text: str) -> list[tuple[str, str]]:
    """Each line of source in a report, and the line below it, without the gutter."""
    lines = text.split("\n")
    return [(line[10:], below[10:]) for line, below in pairwise(lines) if re.match(r" *\d+ \| ", line)]


def test_a_clean_report_is_one_line() -> None:
    assert str(report()) == "wgsl: main: clean (2x1x1 workgroups of 8x1x1 threads, 1 run)"


def test_a_report_of_several_subgroup_sizes_names_them() -> None:
    runs = (CheckRun(16, 0), CheckRun(16, 1), CheckRun(32, 0))
    assert str(report(runs=runs)).endswith("(2x1x1 workgroups of 8x1x1 threads, 3 runs, subgroups of 16, 32)")


def test_a_finding_has_its_place_its_source_and_a_caret() -> None:
    finding = Finding("race", "x[1] of 2: why", SourceSpan(2, 5, 4))
    assert str(report(finding, wgsl="one\n    x[1] = 2;\n", name="my.wgsl")).split("\n") == [
        "my.wgsl:2:5: race: x[1] of 2: why",
        "      2 |     x[1] = 2;",
        "        |     ^^^^",
        "",
        "my.wgsl: main: 1 finding (2x1x1 workgroups of 8x1x1 threads, 1 run)",
    ]


def test_the_other_place_is_shown_where_it_is_another_line() -> None:
    there = Finding("race", "why", SourceSpan(1, 1, 1), other_place=SourceSpan(2, 1, 2))
    here = Finding("race", "why", SourceSpan(1, 1, 1), other_place=SourceSpan(1, 2, 2))
    assert "and there:\n      2 | def\n        | ^^\n" in str(report(there, wgsl="abc\ndef"))
    assert "and there" not in str(report(here, wgsl="abc\ndef"))


@pytest.mark.parametrize(
    ("line", "place", "other", "below"),
    [
        ("x = y", (1, 1), (5, 1), "^   ^"),
        ("x = y", (5, 1), (1, 1), "^   ^"),
        ("x = y", (1, 5), (5, 1), "^^^^^"),
        ("x = y", (1, 1), (1, 1), "^"),
        ("\tx =\ty", (2, 1), (6, 1), "\t^  \t^"),
        ("\tx =\ty", (2, 5), (6, 1), "\t^^^\t^"),
        ("変数 = y", (1, 2), (6, 1), "^^^^   ^"),
        ("y = 変数", (5, 2), (1, 1), "^   ^^^^"),
        ("x = y", (1, 1), (6, 0), "^    ^"),
    ],
)
def test_two_places_of_a_line_are_underlined_in_one_excerpt(
    line: str, place: tuple[int, int], other: tuple[int, int], below: str
) -> None:
    finding = Finding("race", "why", SourceSpan(1, *place), other_place=SourceSpan(1, *other))
    text = str(report(finding, wgsl=line))
    assert carets(text) == [(line, below)]
    assert "and there" not in text


def test_a_finding_without_a_place_is_a_line() -> None:
    finding = Finding("time limit", "not at its end after 1 s")
    assert str(report(finding)).startswith("wgsl: time limit: not at its end after 1 s\n\n")
    assert str(finding) == "time limit: not at its end after 1 s"


def test_several_findings_are_counted_and_parted_by_blank_lines() -> None:
    finding = Finding("race", "why", SourceSpan(1, 1, 3))
    text = str(report(finding, finding))
    assert text.count("\n\n") == 2
    assert text.endswith("main: 2 findings (2x1x1 workgroups of 8x1x1 threads, 1 run)")


@pytest.mark.parametrize(
    ("line", "word", "below"),
    [
        ("\tx = 1;", "x", "\t^"),
        ("a\tb x = 1;", "x", " \t  ^"),
        ("/* é */ x = 1;", "x", "        ^"),
        ("/* 変数 */ x = 1;", "x", "           ^"),
        ("変数 = 1;", "変数", "^^^^"),
        ("/* e\u0301 */ x = 1;", "x", "        ^"),
        ("x = 1;\r", "x = 1;", "^^^^^^"),
        ("x =\t1;", "x =\t1;", "^^^\t^^"),
    ],
)
def test_the_caret_stands_under_the_place_as_a_terminal_shows_it(line: str, word: str, below: str) -> None:
    finding = Finding("race", "why", SourceSpan(2, line.index(word) + 1, len(word)))
    assert carets(str(report(finding, wgsl=f"// first\n{line}\n// last"))) == [(line.rstrip("\r"), below)]


def test_an_empty_place_still_has_a_caret() -> None:
    assert carets(str(report(Finding("race", "why", SourceSpan(1, 2, 0))))) == [("abc", " ^")]


def test_the_source_cannot_steer_the_terminal() -> None:
    finding = Finding("race", "why", SourceSpan(1, 13, 1))
    text = str(report(finding, wgsl="/* \x1b[2J\x07 */ x"))
    assert carets(text) == [("/* \ufffd[2J\ufffd */ x", "            ^")]


@pytest.mark.usefixtures("checker")
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "indent", ["    ", "\t", "/* 変数 */ ", "/* é\n*/"], ids=["blanks", "tab", "wide", "comment"]
)
def test_a_kernels_finding_points_at_the_variable(newline: str, indent: str) -> None:
    text = kernel(f"let é = i;\n{indent}out[é + 60u] = 1u;").replace("\n", newline)
    (finding,) = run(text).findings
    assert finding.place is not None
    line = text.split("\n")[finding.place.line - 1]
    start = finding.place.column - 1
    assert line[start : start + finding.place.length] == "out"
    source, below = carets(str(run(text)))[0]
    assert source == line.rstrip("\r")
    assert below.endswith("^^^")


@pytest.mark.usefixtures("checker")
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_statement_of_several_lines_is_marked_to_the_end_of_its_first(newline: str) -> None:
    text = kernel("let j = 31u + i;\n    let n = 1  \n        << j;\n    out[i] = u32(n);").replace(
        "\n", newline
    )
    (finding,) = run(text).findings
    assert finding.kind == "bad shift"
    assert carets(str(run(text))) == [("    let n = 1  ", "    ^^^^^^^^^")]


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_knows_every_kind_of_finding() -> None:
    assert set(SCHEMA["$defs"]["Finding"]["properties"]["kind"]["enum"]) == {LATE, *_SENTENCES}


FULL = Finding("race", "why", SourceSpan(1, 1, 3), "out", 3, 64, FIRST, SECOND, SourceSpan(1, 2, 1))


@pytest.mark.parametrize(
    "findings", [(), (FULL,), (FULL, Finding("time limit", "why"))], ids=["clean", "one", "two"]
)
def test_the_json_of_a_report_fits_the_schema(findings: tuple[Finding, ...]) -> None:
    document = json.loads(json.dumps(report(*findings).as_json(), allow_nan=False))
    Draft202012Validator(SCHEMA).validate(document)
    assert document["clean"] is not bool(findings)


def test_the_json_holds_what_was_found() -> None:
    document = json.loads(json.dumps(report(FULL).as_json()))
    assert document["findings"] == [
        {
            "kind": "race",
            "message": "why",
            "place": {"line": 1, "column": 1, "length": 3},
            "variable": "out",
            "index": 3,
            "size": 64,
            "thread": {"workgroup": [0, 0, 0], "local": [3, 0, 0]},
            "other": {"workgroup": [0, 0, 0], "local": [4, 0, 0]},
            "other_place": {"line": 1, "column": 2, "length": 1},
        }
    ]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["format"], "rusty_py.check/2"),
        (["more"], 1),
        (["workgroups"], [1, 1]),
        (["findings", 0, "kind"], "sunburn"),
        (["findings", 0, "place"], [1, 1, 3]),
        (["runs", 0, "subgroup_size"], 0),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, list) else "",
)
def test_the_schema_refuses_a_wrong(path: list[str | int], value: object) -> None:
    document = inner = copy.deepcopy(report(FULL).as_json())
    for key in path[:-1]:
        inner = inner[key]  # type: ignore[index]
    inner[path[-1]] = value  # type: ignore[index]
    assert not Draft202012Validator(SCHEMA).is_valid(json.loads(json.dumps(document)))


@pytest.mark.usefixtures("checker")
def test_the_json_of_a_check_fits_the_schema() -> None:
    document = json.loads(json.dumps(run(kernel("out[i / 2u] = i; out[i + 60u] = i;")).as_json()))
    Draft202012Validator(SCHEMA).validate(document)
    assert {each["kind"] for each in document["findings"]} == {"race", "out of bounds"}
