"""Faults that the checker is known to miss. One that it finds one day must move to the mutants."""

from typing import NamedTuple

import pytest

from .edits import Edit, edited
from .grafts import MEMBERS, SUBGROUPS
from .launches import COPY, Launch


class Gap(NamedTuple):
    """A clean launch with an edit that breaks it, and why that is missed."""

    name: str
    launch: Launch
    edit: Edit
    why: str


GAPS = [
    Gap(
        "a neighbour's vector read whole, and one component used that nobody writes",
        COPY,
        ("copied[i] = source[at];", "copied[at].x = copied[(at + 1u) % uniforms.count].y;"),
        "clang reads only the component, as a GPU's compiler may or may not",
    ),
    Gap(
        "a value that is read and not used",
        MEMBERS,
        ("    workgroupBarrier();\n", "    _ = pairs[(slot / 2u) ^ 1u].left;\n    workgroupBarrier();\n"),
        "clang drops the read, as a GPU's compiler does",
    ),
    Gap(
        "the value of a lane that is not there",
        SUBGROUPS,
        ("subgroupAdd(value)", "subgroupShuffle(value, 64u)"),
        "it is zero here and anything on a GPU, and no kind of finding",
    ),
]


@pytest.mark.parametrize("gap", GAPS, ids=lambda gap: gap.name)
def test_a_fault_that_is_missed(gap: Gap, request: pytest.FixtureRequest) -> None:
    report = gap.launch.checked(edited(gap.launch.wgsl, gap.edit))
    # Only from here on: an edit that does not apply, and a text that is refused, are no known gaps.
    request.applymarker(pytest.mark.xfail(reason=gap.why, raises=AssertionError, strict=True))
    assert not report.clean
