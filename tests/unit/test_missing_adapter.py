"""A missing adapter skips what needs one; where one is expected it fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
NEEDS_ADAPTER = "tests/ops/test_device.py::test_a_device_may_be_closed_twice"


def run_without(**environment: str) -> tuple[int, str]:
    """Exit code and words of a test run in which no adapter has the name asked for."""
    clean = {name: value for name, value in os.environ.items() if name not in ("CI", "RUSTY_EXPECT_ADAPTER")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", NEEDS_ADAPTER],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        env={**clean, "RUSTY_PY_ADAPTER": "no adapter is called this", **environment},
    )
    return done.returncode, done.stdout


def test_a_missing_adapter_skips_and_says_why() -> None:
    code, words = run_without()
    assert code == 0
    assert "1 skipped" in words
    assert "adapter: " in words


@pytest.mark.parametrize("environment", [{"CI": "true"}, {"RUSTY_EXPECT_ADAPTER": "1"}], ids=str)
def test_a_missing_adapter_fails_where_one_is_expected(environment: dict[str, str]) -> None:
    code, words = run_without(**environment)
    assert code == 1
    assert "adapter: " in words
