"""Suites of operations: each is one file of a folder, from which its command follows."""

from inspect import signature
from pathlib import Path

import pytest
import typer

from rusty_py.bench import suites as folder
from rusty_py.bench.operations import able_of, tasks_of
from rusty_py.bench.suites.description import Task, parse_shape, parse_sizes, suites
from rusty_py.dtypes import ELEMENTS
from rusty_py.operation import OPERATIONS

from ...each import each_reported

NEW = """
from rusty_py.bench.suites.description import SuiteDescription, without_axes

SUITE = SuiteDescription(
    "comparisons", "Times comparisons.", ("less",), without_axes, {"CPU": ((64,),)}
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


def test_the_operations_of_each_suite_exist_and_every_size_has_a_task() -> None:
    for suite in suites():
        for shapes in (*suite.sizes.values(), *suite.presets.values()):
            tasks = tasks_of(suite, (), shapes)
            assert {task.operation for task in tasks} == set(suite.operations)
            assert len({task.name for task in tasks}) == len(tasks)


def test_each_task_of_a_suite_has_operands_and_the_options_of_its_operation() -> None:
    with each_reported() as case:
        for suite in (each for each in suites() if each.family != "functions"):
            for name in able_of(suite):
                shape = (6,) if suite.family == "elementwise" else (6, 4)
                for task in suite.tasks(name, shape, ()):
                    with case(task.name):
                        operation = OPERATIONS[name]
                        assert operation.operands is not None
                        kind = next(each for each in ELEMENTS.values() if each.kind in operation.kinds)
                        given = operation.operands(kind, shape, seed=1)
                        assert given[-1].shape in (shape, shape[-1:])
                        assert task.options.keys() <= signature(operation.function).parameters.keys()


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("4096", (4096,)),
        ("64Ki", (65536,)),
        ("1Mi", (1 << 20,)),
        ("1M", (10**6,)),
        ("1024x1Ki", (1024, 1024)),
        ("2", (2,)),
    ],
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
    assert [task.name for task in reduce.tasks("sum", (8, 4), ())] == [
        "sum 8×4",
        "sum 8×4 axis 0",
        "sum 8×4 axis 1",
    ]
    assert reduce.tasks("sum", (8,), ()) == [Task("sum", (8,), {"axis": None})]
    assert [task.name for task in reduce.tasks("sum", (8, 4), (1,))] == ["sum 8×4 axis 1"]


def test_a_sweep_is_a_size_and_four_times_as_many_up_to_another() -> None:
    assert parse_sizes("4Ki..100Ki") == [(4096,), (16384,), (65536,), (102400,)]
    assert parse_sizes("4x8..16x8") == [(4, 8), (16, 8)]
    assert parse_sizes("4x8") == [(4, 8)]
    for text in ("4..2", "4x8..16x4", "4..4x4", "4.."):
        with pytest.raises(ValueError, match=r"is not a (sweep|size): "):
            parse_sizes(text)


def test_an_axis_that_a_shape_does_not_have_is_refused() -> None:
    reduce = next(each for each in suites() if each.command == "reduce")
    with pytest.raises(typer.BadParameter, match="8 has the axes 0 to 0"):
        tasks_of(reduce, ("sum",), [(8,)], (1,))
