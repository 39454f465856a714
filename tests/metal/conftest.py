import os
from collections.abc import Iterator

import pytest

from rusty_py import ToolError
from rusty_py.checker.node import Compiler

from . import compilers


@pytest.fixture(scope="session")
def tint() -> Iterator[Compiler]:
    """In CI it must be there; elsewhere its tests are skipped without it."""
    try:
        compilers.install()
    except (compilers.NotInstalled, ToolError) as error:
        if os.environ.get("CI"):
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))
    compiler = compilers.tint()
    yield compiler
    compiler.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    from .test_numbers import SUMMARY

    if summary := terminalreporter.config.stash.get(SUMMARY, ""):
        terminalreporter.write_line(summary)
