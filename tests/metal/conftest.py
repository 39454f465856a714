import os
from collections.abc import Iterator

import pytest

from .compilers import Compiler, NotInstalled, install


@pytest.fixture(scope="session")
def _installed() -> None:
    """In CI every compiler must be there; elsewhere its tests are skipped."""
    try:
        install()
    except NotInstalled as error:
        if os.environ.get("CI"):
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def naga(_installed: None) -> Iterator[Compiler]:
    compiler = Compiler("naga.mjs")
    yield compiler
    compiler.close()


@pytest.fixture(scope="session")
def tint(_installed: None) -> Iterator[Compiler]:
    compiler = Compiler("tint.mjs")
    yield compiler
    compiler.close()
