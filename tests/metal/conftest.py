import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rusty_py import ToolError
from rusty_py.checker import tools
from rusty_py.checker.node import Compiler

from . import compilers


@pytest.fixture(scope="session")
def naga() -> None:
    """Asks for naga; without it, or without clang, the tests that want it are skipped, but not in CI."""
    with _needed():
        tools.naga()


@pytest.fixture(scope="session")
def tint() -> Iterator[Compiler]:
    with _needed():
        compilers.install()
    compiler = compilers.tint()
    yield compiler
    compiler.close()


@contextmanager
def _needed() -> Iterator[None]:
    """In CI every compiler must be there; elsewhere its tests are skipped."""
    try:
        yield
    except (compilers.NotInstalled, ToolError) as error:
        if os.environ.get("CI"):
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    from .test_numbers import SUMMARY

    if summary := terminalreporter.config.stash.get(SUMMARY, ""):
        terminalreporter.write_line(summary)
