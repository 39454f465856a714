"""The checker is itself tested: it finds what is broken, where it is broken, and nothing in what is whole."""

import re

import pytest

from rusty_py import shaders
from rusty_py.checker import Report

from ..metal.checked_list import DOCUMENT, documented
from .bounds import BOUNDS
from .bounds_of_storage import STORAGE_BOUNDS
from .counts import CLEAN as CLEAN_KERNEL
from .counts import MUTANT, summary
from .divergence import DIVERGENCE
from .edits import edited
from .grafts import GRAFTS
from .launches import CLEAN, Launch
from .mutant import Mutant
from .races import RACES
from .undefined import UNDEFINED
from .visibility import VISIBILITY

MUTANTS = [*STORAGE_BOUNDS, *BOUNDS, *RACES, *VISIBILITY, *DIVERGENCE, *UNDEFINED]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_caught(mutant: Mutant) -> None:
    report = mutant.checked()
    assert report.findings, report.summary()
    found = report.findings[0]
    assert found.kind == mutant.kind, str(report)
    assert_place(report, mutant.at, mutant.variable)
    for name in ("variable", "index", "size"):
        expected = getattr(mutant, name)
        assert expected is None or getattr(found, name) == expected, str(report)
    assert {each.kind for each in report.findings} == mutant.kinds, str(report)


@pytest.mark.parametrize("launch", [*CLEAN, *GRAFTS], ids=lambda launch: launch.name)
def test_a_clean_kernel_is_not_accused(launch: Launch) -> None:
    report = launch.checked()
    assert report.clean, str(report)


def test_every_wgsl_file_has_a_clean_launch_here_or_among_the_works() -> None:
    """tests/metal launches the works, and refuses findings; its list has the files that it launched."""
    launched = {re.match(r"[\w/]+", launch.name)[0] for launch in CLEAN}  # type: ignore[index]
    files = [path for path in shaders.root().rglob("*.wgsl") if "@compute" in path.read_text("utf-8")]
    names = {path.relative_to(shaders.root()).with_suffix("").as_posix() for path in files}
    assert names <= launched | documented(DOCUMENT.read_text("utf-8")).keys()


def test_the_names_of_mutants_differ() -> None:
    names = [mutant.name for mutant in MUTANTS]
    assert len(names) == len(set(names))


def test_an_edit_that_does_not_apply_is_an_error() -> None:
    with pytest.raises(AssertionError, match="applies to one place, this one to 0: 'z'"):
        edited("x = y;", ("z", "x"))


def test_an_edit_of_two_places_is_an_error() -> None:
    with pytest.raises(AssertionError, match="applies to one place, this one to 2: 'x'"):
        edited("x = x;", ("x", "y"))


def test_the_summary_counts_what_ran() -> None:
    counts = {
        ("passed", MUTANT): 5,
        ("failed", MUTANT): 1,
        ("passed", CLEAN_KERNEL): 3,
        ("failed", CLEAN_KERNEL): 0,
    }
    line = "checker: 5 of 6 mutants caught, 0 of 3 clean kernels accused"
    assert summary(lambda outcome, test: counts[outcome, test]) == line


def test_the_summary_is_silent_where_nothing_ran() -> None:
    assert summary(lambda outcome, test: 0) == ""


def assert_place(report: Report, at: str, variable: str | None) -> None:
    """That the first finding's caret is where `at` begins, and as long as the variable's name."""
    place = report.findings[0].place
    if not at:
        assert place is None
        return
    assert report.wgsl.count(at) == 1, f"not the text of one place: {at}"
    start = report.wgsl.index(at)
    column = start - report.wgsl.rfind("\n", 0, start)
    assert place is not None, str(report)
    assert (place.line, place.column) == (report.wgsl.count("\n", 0, start) + 1, column), str(report)
    if variable is not None:
        assert at.startswith(variable)
        assert place.length == len(variable), str(report)
