"""The comparison of operations with PyTorch, without PyTorch."""

import numpy as np
import pytest

from benchmarks import operations_beside_torch
from benchmarks.beside_torch.cases import FLAT, MATRIX, groups
from benchmarks.operations_beside_torch import calls_table, kernels_table


def row(case: str, gbps: float, **more: object) -> dict[str, object]:
    ours = {"median_ns": 1e6, "gbps": gbps}
    given = {"case": case, "shape": [1 << 20], "label": "4 MiB", "dtype": "float32", "difference": 0.5}
    return {
        **given,
        "by": ["rusty_py", "torch"],
        "rusty_py": ours,
        "torch": ours | {"gbps": 2 * gbps},
        **more,
    }


def test_groups_have_operands_of_the_bytes_asked_for() -> None:
    found = groups(512 << 20, 4 << 20, ["float32", "float16"])
    assert [(each.label, each.dtype) for each in found if each.small] == [
        ("4 MiB", "float32"),
        ("4 MiB", "float16"),
        ("1024×1024", "float32"),
    ]
    assert {each.label for each in found} >= {"512 MiB", "16384×8192", "131072×1024"}
    assert {each.nbytes for each in found} == {512 << 20, 4 << 20}


def test_operands_repeat_random_numbers() -> None:
    (group,) = [each for each in groups(1 << 20, 1 << 14, ["float16"]) if each.label == "64×64"]
    host = group.host()
    assert host["x"].shape == host["y"].shape == (64, 64)
    assert (host["row"].shape, host["column"].shape) == ((1, 64), (64, 1))
    assert not np.array_equal(host["x"], host["y"])


def test_names_of_cases_are_unique() -> None:
    for cases in (FLAT, MATRIX):
        assert len({each.name for each in cases}) == len(cases)


def test_rates_are_compared_with_pytorch_and_with_the_higher_rate_of_a_copy_of_that_size() -> None:
    rows = [row("copy", 100.0), row("exp", 50.0, difference=2.0), row("sum", 50.0, shape=[1 << 27])]
    lines = kernels_table(rows).split("\n")
    assert lines[3].split()[-3:] == ["0.50", "0.25", "DIFFERS"]
    assert lines[4].split()[-1] == "0.50"  # No copy of that size.


def test_wall_times_are_shown_where_they_were_measured() -> None:
    wall = {"eager": {"rusty_py": 12e3, "torch": 8e3}, "replay": {"rusty_py": 6e3}}
    lines = calls_table([row("copy", 1.0), row("add", 1.0, wall_ns=wall)]).split("\n")
    assert lines[2].split() == ["add", "4", "MiB", "f32", "12.0", "8.0", "1.50", "6.0"]


@pytest.mark.slow
def test_it_measures_without_pytorch(capsys: pytest.CaptureFixture[str]) -> None:
    options = [
        "--only",
        "add",
        "--large",
        "1Mi",
        "--small",
        "64Ki",
        "--samples",
        "2",
        "--torch-device",
        "none",
    ]
    assert operations_beside_torch.main(options) == 0
    out = capsys.readouterr().out
    assert "add a row" in out
    assert "copy" in out
