import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import rusty_py
from rusty_py.operation import OPERATIONS

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
    assert ("rusty_py.ops.matmul" in loaded) == ("matmul" in statement)
    assert loaded.isdisjoint(HEAVY)
    assert not any(name.startswith("rusty_py.bench") for name in loaded)


def test_the_command_line_loads_no_drivers_before_it_is_asked_to_run() -> None:
    loaded = loaded_by("import rusty_py.bench.commands")
    assert "typer" in loaded
    assert loaded.isdisjoint({"wgpu", "cffi", "tabulate", "psutil"})


def test_the_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    import rusty_py

    assert rusty_py.__version__ == version("rusty_py")


def test_every_public_name_can_be_imported_and_listed() -> None:
    source = Path(rusty_py.__file__).read_text(encoding="utf-8")
    declared = set(re.findall(r"^    from \S+ import (\w+) as \1$", source, re.MULTILINE))
    assert declared
    modules = (Path(rusty_py.__file__).parent / "ops" / "rows").glob("*.py")
    text = "".join(each.read_text(encoding="utf-8") for each in modules)
    rows = set(re.findall(r"(?m)^(?:def )?([a-z]\w*)(?: = define_|\()", text))
    public = set(rusty_py.__all__) - {"__version__"}
    aliases = {alias for each in OPERATIONS.values() for alias in each.aliases}
    assert {"add", "exp", "max"} <= rows
    assert declared | rows | aliases == public
    for name in declared | rows:
        found = getattr(rusty_py, name)
        named = getattr(found, "__name__", name)
        assert named == name or getattr(rusty_py, named) is getattr(rusty_py, name)
        assert name in dir(rusty_py)


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'rusty_py' has no attribute 'matmull'"):
        rusty_py.matmull  # noqa: B018  The lookup is the test.
