"""Which lines of Metal are stores to a variable."""

import pytest

from rusty_py.checker.places import stores_to


@pytest.mark.parametrize(
    "line",
    [
        "    x = 1u;",
        "    x.inner[i] = 1u;",
        "x[(i == 0u) ? 9u : 8u] = 1.0;",
        "x[y[(i <= 0u)]].b[i != 1u].x = x[2];",
        "x={};",
    ],
)
def test_a_store_of_metal_is_one(line: str) -> None:
    assert stores_to(line, "x")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "    float _e1 = x[i];",
        "    x_1[i] = 1u;",
        "    y[x[i]] = 1u;",
        "    y.x = 1u;",
        "    x[i] == 1u;",
        "    x[i];",
        "    f = x[i] == 1u;",
        "    if (x[i] == 1u) {",
        "    x[(i = 1u)",
    ],
)
def test_another_line_of_metal_is_no_store(line: str) -> None:
    assert not stores_to(line, "x")
