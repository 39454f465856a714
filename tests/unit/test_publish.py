"""The tables of README.md and RESULTS.md: which rows a mark selects, and what a comparison's ratios are."""

import pytest

from benchmarks.peers.records import Comparison, Record
from benchmarks.publish import filled, ratios


def record(peer: str, gflops: float, *, n: int = 64, dtype: str = "f32") -> Record:
    seconds = (2 * n**3 / gflops / 1e9,) if gflops else ()
    return Record(peer, f"{n}×{n}×{n}", dtype, 2 * n**3, (1,), samples_s=seconds)


def test_a_mark_with_a_problem_shows_the_rows_of_that_problem() -> None:
    mark = "<!-- from results/nvidia-h200/matmul.json, 4096×4096×4096 -->\n\n```text\nold\n```\n"
    lines = filled(mark).splitlines()
    table = lines[3 : lines.index("```", 3)]
    assert len(table) == 7
    assert [line.split()[0] for line in table[2:]] == ["4096×4096×4096"] * 5


def test_a_mark_with_a_problem_that_the_file_lacks_is_an_error() -> None:
    with pytest.raises(ValueError, match="7×7×7"):
        filled("<!-- from results/nvidia-h200/matmul.json, 7×7×7 -->\n\n```text\nold\n```\n")


def test_a_wide_mark_shows_all_columns_and_findings_in_one_line() -> None:
    def lines(mark: str) -> list[str]:
        return filled(
            f"<!-- from results/nvidia-h200/transfer.json{mark} -->\n\n```text\nold\n```\n"
        ).splitlines()

    assert "torch, pinned" in lines(", wide")[3]
    assert "torch, pinned" not in lines("")[3]
    assert max(map(len, lines(""))) <= 80 < max(map(len, lines(", wide")))


def test_filling_is_repeatable() -> None:
    mark = "<!-- ratios from results/nvidia-h200/peers/squares.json -->\n\nold\n\n<!-- end -->\n"
    assert filled(filled(mark)) == filled(mark) != mark


def test_ratios_divide_our_f32_rate_by_that_of_each_peer_measured_in_f32() -> None:
    found = ratios(
        Comparison(
            ("cublas", "rusty_py", "ort", "rusty_py-f16"),
            (
                record("cublas", 20.0),
                record("rusty_py", 10.0),
                record("rusty_py", 500.0, dtype="f16"),
                record("rusty_py-f16", 900.0, dtype="f16"),
                record("rusty_py", 12.0, n=128),
                record("ort", 4.0, n=128),
            ),
        )
    )
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in found.splitlines()]
    assert rows[0] == ["M×K×N", "rusty_py, GFLOPS", "/ cuBLAS", "/ ONNX Runtime WebGPU"]
    assert rows[2] == ["64×64×64", "10", "0.50", "not measured"]
    assert rows[3] == ["128×128×128", "12", "not measured", "3.00"]
