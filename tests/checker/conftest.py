import os

import pytest

from rusty_py import ToolError
from rusty_py.checker import tools


@pytest.fixture(scope="session")
def checker() -> None:
    """Asks for clang, Node and naga; without them the tests that want it are skipped, but not in CI."""
    try:
        tools.clang()
        tools.naga()
        tools.node()
    except ToolError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))
