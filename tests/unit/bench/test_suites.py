"""Suites of operations: each is one file of a folder, from which its command follows."""

from pathlib import Path

import pytest

from rusty_py.bench import suites as folder
from rusty_py.bench.operations import tasks_of
from rusty_py.bench.suites.description import Task, parse_shape, suites

NEW = """
from rusty_py.bench.suites.description import SuiteDescription, Task

SUITE = SuiteDescription(
    "comparisons", "Times comparisons.", ("less",), lambda name, shape: [Task(name, shape)], {"CPU": ((64,),)}
)
"""


def test_a_file_in_the_folder_is_a_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "comparisons.py").write_text(NEW, encoding="utf-8")
    before = {each.command for each in suites()}
    monkeypatch.setattr(folder, "__path__", [*folder.__path__, str(tmp_path)])
    (added,) = [each for each in suites() if each.command not in before]
    assert added.command == "comparisons"
    assert [task.name for task in tasks_of(added, added.operations, [(64,), (8, 8)])] == [
        "less 64",
        "less 8×8",
    ]


def test_the_operations_of_each_suite_exist_and_every_default_size_has_a_task() -> None:
    for suite in suites():
        for shapes in suite.sizes.values():
            tasks = tasks_of(suite, suite.operations, shapes)
            assert {task.operation for task in tasks} == set(suite.operations)
            assert len({task.name for task in tasks}) == len(tasks)


@pytest.mark.parametrize(
    ("text", "shape"),
    [("4096", (4096,)), ("64Ki", (65536,)), ("1Mi", (1 << 20,)), ("1024x1Ki", (1024, 1024)), ("2", (2,))],
)
def test_a_size_is_a_number_of_elements_or_a_shape(text: str, shape: tuple[int, ...]) -> None:
    assert parse_shape(text) == shape


@pytest.mark.parametrize(
    "text", ["", "0", "1", "4x", "x4", "4k", "1x1", "-4", "2x2x2x2x2", "1e3", "4 Ki", "٤"]
)
def test_anything_else_is_not_a_size(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size: elements, as in 4096"):
        parse_shape(text)


def test_a_matrix_is_reduced_along_each_axis_and_a_vector_once() -> None:
    reduce = next(each for each in suites() if each.command == "reduce")
    assert [task.name for task in reduce.tasks("sum", (8, 4))] == [
        "sum 8×4",
        "sum 8×4 axis 0",
        "sum 8×4 axis 1",
    ]
    assert reduce.tasks("sum", (8,)) == [Task("sum", (8,), {"axis": None})]
