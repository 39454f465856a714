"""Every kernel's Metal text, run on the CPU under the checker: no fault, and the right numbers."""

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
        yield results
        request.config.stash[SUMMARY] = results.summary()


SUMMARY = pytest.StashKey[str]()


def by_operation(works: list[Work]) -> dict[str, list[Work]]:
    """Works by the first word of their names, those of products by the kernel's name, too."""
    operations: dict[str, list[Work]] = {}
    for work in works:
        operations.setdefault(re.match(r"(matmul )?\S+", work.name)[0], []).append(work)  # type: ignore[index]
    return operations


@pytest.mark.parametrize("works", by_operation(WORKS).values(), ids=by_operation(WORKS))
def test_metal_computes(results: Checked, works: list[Work]) -> None:
    with each_reported() as case:
        for work in works:
            with case(work.name):
                assert results.error(work) <= 1


def test_every_kernel_is_checked(results: Checked) -> None:
    for work in WORKS:
        results.error(work)
    assert set(results.kernels()) == set(all_specs())


def test_the_document_lists_every_file() -> None:
    listed = documented(DOCUMENT.read_text(encoding="utf-8"))
    assert set(listed) == {spec.name for spec in all_specs()}
    assert all(error <= 1 for error in listed.values())
