"""The tables and the page of convolutions compared with PyTorch's, of a made-up result file."""

import json
from typing import Any

import pytest

from benchmarks import publish
from benchmarks.beside_torch.conv_page import page
from benchmarks.beside_torch.conv_tables import all_tables, tables

CONTEXT = {"date": "2026-01-02T03:04:05+00:00", "adapter": "A GPU", "torch": "2.0 on A GPU"}


def times(**ms: float) -> dict[str, Any]:
    """Results in milliseconds; each algorithm needs 2 MB beyond a result of 1 MB."""
    memory = {"pool": 3e6, "workspace": 2e6}
    return {by: {"median_ns": 1e6 * value, "error": 0.25, **memory} for by, value in ms.items()}


def layer(name: str, auto: str, forward: dict[str, Any], **others: Any) -> dict[str, Any]:
    both = {"both": times(rusty_py=4.0, torch=6.0)}
    return {"name": name, "auto": auto, "flops": 2e9, "forward": forward, "on_request": [], **both, **others}


def document(**changes: Any) -> dict[str, Any]:
    large = layer("800×600 3:64", "direct", times(basic=10.0, optimized=4.0, direct=1.0, torch=2.0))
    short = layer(
        "32×32 3:16 n32",
        "optimized",
        times(basic=0.3, optimized=0.06, direct=0.05, torch=0.02),
        replay=times(rusty_py=0.05, torch=0.04),
    )
    pooling = {
        "name": "max 2×2",
        "nbytes": 4e9,
        "copied": 5e9,
        "forward": times(rusty_py=1.0, copy=1.0, torch=2.0),
        "both": times(rusty_py=3.0, torch=3.3),
    }
    host = {"name": "32×32 16:32", "rusty_py": {"issued_us": 5.0, "wall_us": 6.0, "cpu_us": 7.0}}
    made = {"context": CONTEXT, "layers": [large, short], "pooling": [pooling], "host": [host]}
    return {**made, **changes}


def cells(text: str, name: str, number: int = 0) -> list[str]:
    """The cells of a line that begins with a name, of those that do the n-th."""
    found = [line for line in text.splitlines() if line.startswith(name)]
    return found[number].removeprefix(name).split()


def test_layers_have_the_selected_algorithm_and_cudnn_with_and_without_gradients() -> None:
    text = all_tables(document())
    expected = ["direct", "1.0000", "2,000", "2.0000", "2.00", "4.0000", "6.0000", "1.50", "0.25"]
    assert cells(text, "800×600 3:64") == expected


def test_short_layers_are_compared_by_replays() -> None:
    assert cells(all_tables(document()), "32×32 3:16 n32")[4] == "0.80*"


def test_every_algorithm_has_its_time_and_memory() -> None:
    text = all_tables(document())
    assert cells(text, "800×600 3:64", 1) == ["10.0000", "4.0000", "1.0000", "2.0000"]
    assert cells(text, "800×600 3:64", 2) == ["1.0", "2.0", "2.0", "2.0"]


def test_wrong_results_have_no_time() -> None:
    wrong = times(basic=1.0, direct=1.0, torch=1.0)
    wrong["basic"]["error"] = 100.0
    text = all_tables(document(layers=[layer("8×8 3:64", "direct", wrong)]))
    assert cells(text, "8×8 3:64", 1)[0] == "WRONG"


def test_pooling_and_eager_calls_have_tables_and_what_was_not_measured_has_none() -> None:
    text = all_tables(document())
    assert cells(text, "max 2×2") == ["1.0000", "4,000", "0.80", "2.0000", "2.00", "3.0000", "1.10"]
    assert cells(text, "32×32 16:32, rusty_py") == ["5.0", "6.0", "7.0"]
    assert "pooling" not in all_tables(document(pooling=[]))
    assert all_tables(document(layers=[], pooling=[], host=[])) == ""


def test_rows_without_pytorch_are_shown() -> None:
    alone = layer("8×8 3:64", "basic", times(basic=1.0))
    del alone["both"]["torch"]
    made = document(layers=[alone], host=[])
    assert cells(all_tables(made), "8×8 3:64")[:3] == ["basic", "1.0000", "2,000"]
    assert "8×8 3:64" in page(json.dumps(made), "x.json")


def test_the_page_says_which_algorithm_wins_where_and_how_far_auto_is_from_it() -> None:
    text = page(json.dumps(document()), "results/x.json")
    assert "- `direct`: 800×600 3:64, 32×32 3:16 n32; 1.20 to 4.00 times as fast as the next." in text
    assert "Never the fastest here: `basic`, `optimized`." in text
    assert "at most 1.20 times the time of the fastest" in text
    assert "faster for 1 of 2 layers, and slower for: 32×32 3:16 n32 (0.80)" in text
    assert "`optimized` takes 70 % less time than `basic` (median of 2 layers)" in text
    assert "](../benchmarks/results/x.json): A GPU, PyTorch 2.0 on A GPU, 2026-01-02." in text


def test_what_auto_may_not_take_does_not_count_against_it() -> None:
    forward = times(direct=2.0, winograd4=1.0)
    text = page(json.dumps(document(layers=[layer("8×8", "direct", forward, on_request=["winograd4"])])), "x")
    assert "at most 1.00 times the time" in text
    assert "Only on request, because they lose more digits than a sum: `winograd4`." in text
    assert "- `winograd4`: 8×8; 2.00 times as fast as the next." in text


def test_publish_fills_marks_and_writes_the_page_once_there_are_results(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "HERE", tmp_path)
    target = tmp_path / "page.md"
    monkeypatch.setattr(publish, "PAGES", ())
    monkeypatch.setattr(publish, "CONVOLUTION_PAGE", target)
    assert publish.main(check=True) == 0
    source = tmp_path / publish.CONVOLUTIONS
    source.parent.mkdir(parents=True)
    source.write_text(json.dumps(document()), encoding="utf-8")
    assert publish.main(check=True) == 1
    assert publish.main(check=False) == 0
    assert publish.main(check=True) == 0
    assert target.read_text(encoding="utf-8").startswith("# Which convolution algorithm wins where\n")
    mark = f"<!-- convolutions from {publish.CONVOLUTIONS} -->\n\nold\n\n<!-- end -->\n"
    assert tables(json.dumps(document())) in publish.filled(mark)
