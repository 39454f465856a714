"""Result files that were edited: refused where no run can have such numbers, and never an internal error."""

import json as std_json
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rusty_py.bench.compare import ResultFileError, read
from rusty_py.bench.output import Format, Output, heading
from rusty_py.bench.report import json
from rusty_py.bench.report.compare import NamedComparison, NamedRuns
from rusty_py.bench.report.compare import render as render_comparison
from rusty_py.bench.report.facts import facts
from rusty_py.measure.compare import compare

from .test_convolutions import seed_run

RESULTS = Path(__file__).parents[3] / "benchmarks" / "results"
FILES = (
    *(RESULTS / "llvmpipe" / f"{name}.json" for name in ("overhead", "transfer")),
    *(RESULTS / "nvidia-h200" / f"{name}.json" for name in ("fused", "matmul", "sum")),
    *sorted((Path(__file__).parent / "version1").glob("*.json")),
)
ODD: tuple[object, ...] = (
    *(None, True, 0, -1, 1, 0.5, 1e308, -1e308, 5e-324, float("nan"), float("inf"), 10**400, 2**63),
    *("", "x", "1e5", [], {}, [1], {"a": 1}),
)
_ROWS = 2


@cache
def documents() -> list[Any]:
    """A run of convolutions, and the first rows of files."""
    found = [std_json.loads(json.render(seed_run()))]
    found += [std_json.loads(path.read_text(encoding="utf-8")) for path in FILES]
    for each in found:
        del each.get("rows", each.get("results"))[_ROWS:]
    return found


def places(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything in a document; of long lists the first items alone."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [before] if before else []
    for key, each in list(items)[:20] if isinstance(value, list) else items:
        found += places(each, (*before, key))
    return found


def report_all(path: Path, other: Path) -> None:
    """All that `report` and `compare` print of a file."""
    run, unchanged = read(path), read(other)
    if isinstance(adapter := facts(run, "adapter"), dict):
        heading(adapter, checked=False)
    for format in Format:
        Output(format, bars=True).render(run)
        Output(format, wide=True).render(run)
    for base, changed in ((run, unchanged), (unchanged, run)):
        named = (NamedRuns(("file",), (each,)) for each in (base, changed))
        comparison = NamedComparison(*named, compare((base,), (changed,)))
        for format in Format:
            render_comparison([comparison], format)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_an_edited_file_is_reported_and_compared_or_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    document = data.draw(st.sampled_from(documents()))
    edited = std_json.loads(std_json.dumps(document))
    *before, last = data.draw(st.sampled_from(places(document)))
    holder = edited
    for key in before:
        holder = holder[key]
    if data.draw(st.booleans()):
        holder[last] = data.draw(st.sampled_from(ODD))
    else:
        del holder[last]
    folder = tmp_path_factory.mktemp("edited")
    for name, each in (("edited.json", edited), ("unchanged.json", document)):
        (folder / name).write_text(std_json.dumps(each), encoding="utf-8")
    with suppress(ResultFileError):
        report_all(folder / "edited.json", folder / "unchanged.json")


def test_no_sample_takes_no_time_by_the_clock_of_its_result(tmp_path: Path) -> None:
    document = next(each for each in documents() if "figures" in each.get("rows", [{}])[0])
    document["rows"][0]["figures"][0]["samples_ns"][0] = 0
    path = tmp_path / "edited.json"
    path.write_text(std_json.dumps(document), encoding="utf-8")
    with pytest.raises(ResultFileError, match=r": 0\.0$"):
        read(path)


IMPOSSIBLE = (
    (("rows", 0, "results", 0, "stats", "median"), -1.0, "-1.0"),
    (("rows", 0, "results", 0, "stats", "median"), 5e-324, "5e-324"),
    (("rows", 0, "results", 0, "stats", "mad"), 1e300, "1e+300"),
    (("rows", 0, "results", 0, "stats", "n"), 10**30, "statistics of"),
    (("rows", 0, "results", 0, "samples", "gpu_ns"), [1.0], "columns of samples of different lengths"),
    (("rows", 0, "problem", "flops"), -1, "-1"),
    (("rows", 0, "problem", "axes", "stride"), 0, "no pixels"),
    (("rows", 0, "problem", "axes"), {"width": 1}, "no axis batch, channels"),
    (("drift_control_ns",), [0.0], "drift_control_ns: 0.0"),
    (("peak_gflops",), float("inf"), "peak_gflops: inf"),
)


@pytest.mark.parametrize(("place", "value", "says"), IMPOSSIBLE, ids=lambda each: str(each)[:40])
def test_a_number_that_no_run_can_have_is_named(
    place: tuple[Any, ...], value: object, says: str, tmp_path: Path
) -> None:
    edited = std_json.loads(json.render(seed_run()))
    holder = edited
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    path = tmp_path / "edited.json"
    path.write_text(std_json.dumps(edited), encoding="utf-8")
    with pytest.raises(ResultFileError, match=f"invalid results: .*{says.replace('+', '.')}"):
        read(path)


def test_a_file_without_facts_of_its_adapter_is_reported() -> None:
    assert "unknown" in heading({}, checked=False)
