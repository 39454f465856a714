"""The chart of docs/matmul.svg: what it shows of a comparison, and where."""

import math
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import chart
from benchmarks.chart import Scale, lines_of, spread, svg
from benchmarks.peers.records import Comparison, Record, loads
from benchmarks.peers.roster import ROSTER

COMPARISON = loads(chart.SOURCE.read_text(encoding="utf-8"))
NAMESPACE = {"svg": "http://www.w3.org/2000/svg"}


def record(peer: str, n: int, gflops: float, *, dtype: str = "f32") -> Record:
    return Record(
        peer, f"{n}×{n}×{n}", dtype, 2 * n**3, (1,), samples_s=(2 * n**3 / gflops / 1e9,) if gflops else ()
    )


def test_a_line_holds_the_f32_rates_of_a_peer_by_size() -> None:
    records = (
        record("rusty_py", 1024, 40.0),
        record("rusty_py", 512, 20.0),
        record("ort", 512, 9.0, dtype="f16"),
    )
    (line,) = lines_of(Comparison(("rusty_py", "ort"), records))
    assert [n for n, _ in line.points] == [512, 1024]
    assert [rate for _, rate in line.points] == pytest.approx([20.0, 40.0])


def test_sizes_that_failed_are_left_out() -> None:
    failed = Record("ort", "512×512×512", "f32", 1, (1,), failure="no room")
    (line,) = lines_of(Comparison(("ort",), (failed, record("ort", 1024, 9.0))))
    assert [n for n, _ in line.points] == [1024]


def test_the_horizontal_axis_is_logarithmic_and_the_vertical_one_begins_at_0() -> None:
    scale = Scale(512, 8192, 60_000)
    assert scale.x(1024) - scale.x(512) == pytest.approx(scale.x(8192) - scale.x(4096))
    assert scale.y(0) - scale.y(30_000) == pytest.approx(scale.y(30_000) - scale.y(60_000))
    assert scale.y(0) > scale.y(60_000)


@pytest.mark.parametrize("wanted", [[10.0, 12.0, 100.0], [5.0, 5.0, 5.0], [30.0, 0.0, 14.0], [7.0], []])
def test_labels_keep_their_distance_and_their_order(wanted: list[float]) -> None:
    placed = spread(wanted, apart=18)
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    heights = [placed[i] for i in order]
    assert all(lower - upper >= 18 - 1e-9 for upper, lower in pairwise(heights))
    assert math.isclose(sum(placed), sum(wanted))


def test_labels_that_are_far_apart_stay_where_they_are() -> None:
    assert spread([0.0, 40.0], apart=18) == [0.0, 40.0]


def test_the_chart_names_peers_rates_units_and_machine_and_describes_itself() -> None:
    root = ElementTree.fromstring(svg(COMPARISON))
    texts = " | ".join(each.text or "" for each in root.iterfind("svg:text", NAMESPACE))
    for line in lines_of(COMPARISON):
        assert f"{line.label}" in texts
    for said in ("GFLOPS", "log scale", "NVIDIA H200", "580.159.04", "2026-11-21"):
        assert said in texts
    description = root.findtext("svg:desc", namespaces=NAMESPACE) or ""
    assert root.findtext("svg:title", namespaces=NAMESPACE)
    assert all(ROSTER[line.peer].label in description for line in lines_of(COMPARISON))


def test_every_measured_point_is_drawn_within_the_plot() -> None:
    root = ElementTree.fromstring(svg(COMPARISON))
    dots = [
        (float(each.attrib["cx"]), float(each.attrib["cy"]))
        for each in root.iterfind(".//svg:circle", NAMESPACE)
    ]
    assert len(dots) == sum(len(line.points) for line in lines_of(COMPARISON))
    left, right, top, bottom = (getattr(chart, f"_{edge}") for edge in ("LEFT", "RIGHT", "TOP", "BOTTOM"))
    assert all(left <= x <= right and top <= y <= bottom for x, y in dots)


def test_check_fails_on_a_stale_chart_and_leaves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = tmp_path / "matmul.svg"
    stale.write_text("<svg/>", encoding="utf-8")
    monkeypatch.setattr(chart, "TARGET", stale)
    assert chart.main(check=True) == 1
    assert stale.read_text(encoding="utf-8") == "<svg/>"
    assert chart.main(check=False) == 0
    assert chart.main(check=True) == 0
