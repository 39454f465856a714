"""The examples run, and the published tables are those of their files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rusty_py.bench.report.json import parse

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "examples").glob("*.py"))
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*/*.json"))


def run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.usefixtures("adapter")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_an_example_runs(script: Path) -> None:
    assert "largest difference from NumPy" in run(str(script))


@pytest.mark.usefixtures("adapter")
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_the_code_of_a_notebook_runs_and_no_output_is_kept(notebook: Path) -> None:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert "M×K×N" in run("-c", "\n".join("".join(cell["source"]) for cell in code))


def test_published_tables_are_made_from_their_files() -> None:
    run("-m", "benchmarks.publish", "--check")


def test_the_chart_is_made_from_its_file() -> None:
    run("-m", "benchmarks.chart", "--check")


@pytest.mark.parametrize("result", RESULTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_published_result_names_adapter_date_and_commit_and_has_no_faults(result: Path) -> None:
    published = parse(result.read_text(encoding="utf-8"))
    verdicts = {each.verdict for _, each in published.results()}
    assert {"adapter", "date", "rusty_py"} <= published.context.keys()
    assert published.context["rusty_py"]["commit"]
    assert verdicts == {"ok"}
