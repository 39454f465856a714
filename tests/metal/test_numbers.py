"""Every kernel's Metal text, run on the CPU under the checker: no fault, and the right numbers.

Works take turns by date, as rotation.py says; those with new kernels, and all in `make test-all`, are done.
"""

import re
from collections.abc import Iterator

import pytest

from rusty_py import Adapter

from ..each import each_reported
from .checked_list import DOCUMENT, WORKS, Checked, checked, documented
from .registry import all_specs
from .works import Work


@pytest.fixture(scope="module")
def results(checker: None, adapter: Adapter, request: pytest.FixtureRequest) -> Iterator[Checked]:
    with checked(adapter) as results:
        results.compile_ahead([work for work in WORKS if results.are_due(work)])
        yield results
        request.config.stash[SUMMARY] = results.summary()


SUMMARY = pytest.StashKey[str]()


def by_operation(works: list[Work]) -> dict[str, list[Work]]:
    """Works by the first word of their names, those of products by the kernel's name, too."""
    operations: dict[str, list[Work]] = {}
    for work in works:
        operations.setdefault(re.match(r"(matmul )?\S+", work.name)[0], []).append(work)  # type: ignore[index]
    return operations


EACH_OPERATION = pytest.mark.parametrize("works", by_operation(WORKS).values(), ids=by_operation(WORKS))


def assert_right(results: Checked, works: list[Work]) -> None:
    if works:
        with each_reported() as case:
            for work in works:
                with case(work.name):
                    assert results.error(work) <= 1


@EACH_OPERATION
def test_metal_computes(results: Checked, works: list[Work]) -> None:
    assert_right(results, [work for work in works if results.are_due(work)])


@pytest.fixture(scope="module")
def others(results: Checked) -> Checked:
    results.compile_ahead([work for work in WORKS if not results.are_due(work)])
    return results


@pytest.mark.slow
@EACH_OPERATION
def test_metal_computes_what_is_not_due(others: Checked, works: list[Work]) -> None:
    assert_right(others, [work for work in works if not others.are_due(work)])


def test_works_launch_every_kernel(results: Checked) -> None:
    launched, listed = set().union(*results.specs.values()), set(all_specs())
    assert listed <= launched
    # Where dtypes and sizes make many texts of a file, variants() lists those that cover its lines.
    assert {spec.name for spec in launched} == {spec.name for spec in listed}


def test_the_document_lists_every_file() -> None:
    listed = documented(DOCUMENT.read_text(encoding="utf-8"))
    assert set(listed) == {spec.name for spec in all_specs()}
    assert all(error <= 1 for error in listed.values())
