"""How the time of eager calls is divided among Python, wgpu-native, waiting and timing."""

from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rusty_py.bench.overhead.parts import (
    NATIVE,
    NATIVE_CALLS,
    PARTS,
    PYTHON,
    TIMING,
    WAITING,
    CallCost,
    TimedLibrary,
    Watch,
    cost_of_timing,
    divided,
)
from rusty_py.measure.document import Figure

COST = CallCost(inside=50.0, total=80.0)


def by_name(figures: Sequence[Figure]) -> dict[str, float]:
    return {each.name: each.value for each in figures}


def test_the_cost_of_timing_is_a_part_of_its_own_and_not_native() -> None:
    parts = by_name(divided(100_000, 20_000, 30_000, 100, COST, runs=10))
    assert parts[WAITING] == 3000.0
    assert parts[TIMING] == 800.0
    assert parts[NATIVE] == 1500.0
    assert parts[PYTHON] == 10_000 - 3000 - 800 - 1500
    assert parts[NATIVE_CALLS] == 10.0
    units = {each.name: each.unit for each in divided(1.0, 0.5, 0.1, 1, COST, runs=1)}
    assert units == {**dict.fromkeys(PARTS, "ns"), NATIVE_CALLS: ""}


@given(
    took=st.floats(0, 1e9),
    native=st.floats(0, 1),
    waited=st.floats(0, 1),
    calls=st.integers(0, 10_000),
    runs=st.integers(1, 1000),
)
def test_parts_add_up_and_none_is_negative(
    took: float, native: float, waited: float, calls: int, runs: int
) -> None:
    waited_ns = waited * took
    parts = by_name(divided(took, native * (took - waited_ns), waited_ns, calls, COST, runs=runs))
    assert sum(parts[name] for name in PARTS) == pytest.approx(took / runs)
    assert all(parts[name] >= 0 for name in PARTS)


def test_functions_of_a_timed_library_are_timed_and_constants_are_as_they_are() -> None:
    watch = Watch()
    library = TimedLibrary(SimpleNamespace(wgpuAdd=lambda x, y: x + y, WGPUStatus_Success=1), watch)
    assert (library.wgpuAdd(1, 2), library.wgpuAdd(3, 4), library.WGPUStatus_Success) == (3, 7, 1)
    assert watch.calls == 2
    assert watch.ns > 0
    assert {"wgpuAdd", "WGPUStatus_Success"} <= set(dir(library))
    with pytest.raises(AttributeError):
        library.wgpuSubtract  # noqa: B018


def test_timing_a_call_costs_something() -> None:
    cost = cost_of_timing(lambda: None)
    assert cost.inside > 0
    assert cost.total >= 0
