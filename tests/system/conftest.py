import os
from pathlib import Path
from typing import Any

import pytest

from .program import SCRIPT, Done, Measured, Sabotaged, driver, python, run, rusty_bench


@pytest.fixture(scope="session", autouse=True)
def _script() -> None:
    assert SCRIPT.exists(), f"{SCRIPT} is missing: install the project, for example with pip install -e ."


@pytest.fixture(scope="session")
def adapter() -> None:
    """A machine without an adapter skips the test; in CI it fails."""
    done = python("import rusty_py; print(len(rusty_py.list_adapters()))")
    assert done.code == 0, done
    if done.out.strip() == "0":
        reason = "no adapter: install a Vulkan driver, such as Mesa's"
        if os.environ.get("CI") or os.environ.get("RUSTY_EXPECT_ADAPTER") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def measured(adapter: None, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """Run once for all tests that only read its outputs. Home is a folder of its own, all files in it."""
    home = tmp_path_factory.mktemp("somebodys_home")
    (home / "out").mkdir()
    target = home / "run.json"
    sizes = ("--size", "64", "--size", "31x77x45")
    files = ("--json", str(target), "--out", str(home / "out"))
    arguments = ("matmul", *sizes, "--tile", "8", "--tile", "naive", "--runs", "3", "--seed", "7", *files)
    done = rusty_bench(
        *arguments, env={"HOME": str(home), "MESA_SHADER_CACHE_DIR": str(home / "cache"), "TZ": "UTC"}
    )
    done.succeeds()
    return Measured(arguments, done, home, target.read_text(encoding="utf-8"))


@pytest.fixture
def sabotaged(tmp_path: Path) -> Sabotaged:
    """Runs `rusty-bench` after some Python code that breaks it: sabotaged(code, *arguments, **options)."""

    def go(sabotage: str, *arguments: str | Path, **options: Any) -> Done:
        return run([*driver(tmp_path / "driver.py", sabotage), *arguments], **options)

    return go
