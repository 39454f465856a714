"""Every kernel's Metal text, run on the CPU under the checker: no fault, and the right numbers."""

import random
import re
from collections.abc import Iterator

import pytest

from rusty_py import Adapter

from ..each import each_reported
from .checked_list import DOCUMENT, WORKS, Checked, checked, documented
from .registry import all_specs
from .works import Work

# Kernels that take clang a second or more each: `make test` draws a third of their works.
LONG = ("matmul blocked", "matmul register-tiled", "matmul GEMV-N", "matmul GEMV-T")
LONG_FILES = ("matmul/blocked", "matmul/register_tiled_cpu", "matmul/gemv_n", "matmul/gemv_t")
AROUND = ("matmul/pack", "matmul/splitk_reduce")
"""What these works launch besides."""


@pytest.fixture(scope="module")
def whole(request: pytest.FixtureRequest) -> bool:
    """Whether this run has the tests that take long, too."""
    return "not slow" not in request.config.getoption("markexpr")


@pytest.fixture(scope="module")
def results(
    checker: None, adapter: Adapter, whole: bool, request: pytest.FixtureRequest
) -> Iterator[Checked]:
    ahead = [spec for spec in all_specs() if whole or spec.name not in LONG_FILES]
    with checked(adapter, ahead) as results:
        yield results
        request.config.stash[SUMMARY] = results.summary()


SUMMARY = pytest.StashKey[str]()


def by_operation(works: list[Work]) -> dict[str, list[Work]]:
    """Works by the first word of their names, those of products by the kernel's name, too."""
    operations: dict[str, list[Work]] = {}
    for work in works:
        operations.setdefault(re.match(r"(matmul )?\S+", work.name)[0], []).append(work)  # type: ignore[index]
    return operations


BY_OPERATION = by_operation(WORKS)


@pytest.mark.parametrize("operation", BY_OPERATION)
def test_metal_computes(results: Checked, whole: bool, operation: str) -> None:
    works = BY_OPERATION[operation]
    if operation in LONG and not whole:
        works = random.Random().sample(works, len(works) // 3)
    with each_reported() as case:
        for work in works:
            with case(work.name):
                assert results.error(work) <= 1


def test_every_kernel_of_the_short_ones_is_checked(results: Checked) -> None:
    for operation, works in BY_OPERATION.items():
        if operation not in LONG:
            for work in works:
                results.error(work)
    short = {spec for spec in all_specs() if spec.name not in (*LONG_FILES, *AROUND)}
    assert short <= set(results.kernels()) <= set(all_specs())


@pytest.mark.slow
def test_every_kernel_is_checked(results: Checked) -> None:
    for work in WORKS:
        results.error(work)
    assert set(results.kernels()) == set(all_specs())


def test_the_document_lists_every_file() -> None:
    listed = documented(DOCUMENT.read_text(encoding="utf-8"))
    assert set(listed) == {spec.name for spec in all_specs()}
    assert all(error <= 1 for error in listed.values())
