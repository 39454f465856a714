import json
import subprocess
import sys

import pytest

HEAVY = ["wgpu", "cffi", "typer", "tabulate", "rich", "pydantic", "psutil"]


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after `statement`."""
    script = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("statement", ["import rusty_py", "from rusty_py import matmul, default_device"])
def test_importing_the_package_loads_neither_drivers_nor_the_benchmark(statement: str) -> None:
    loaded = loaded_by(statement)
    assert "rusty_py.ops.matmul" in loaded
    assert loaded.isdisjoint(HEAVY)
    assert not any(name.startswith("rusty_py.bench") for name in loaded)


def test_the_command_line_loads_no_drivers_before_it_is_asked_to_run() -> None:
    loaded = loaded_by("import rusty_py.bench.cli")
    assert "typer" in loaded
    assert loaded.isdisjoint({"wgpu", "cffi", "tabulate", "psutil"})


def test_the_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    import rusty_py

    assert rusty_py.__version__ == version("rusty_py")
