"""The measurements of a calibration as a GPU has them, which take other ways than those of CPU drivers."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from rusty_py import Adapter, Device
from rusty_py.calibration import measuring
from rusty_py.calibration.measuring import CLASSES, RARE_CLASSES, Calibration
from rusty_py.gemm.search_space import as_data

Events = list[dict[str, Any]]
*_, KERNEL = measuring.calibrated_kernels(cpu=False)


@pytest.fixture
def calibrate(adapter: Adapter, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Events]:
    """Measures the adapter as if it was a GPU, but with small operands and one kernel."""
    for name, value in {
        "WORKING_SETS": (1 << 20,),
        "SKINNY_ROWS": (1,),
        "SKINNY_SIZE": 256,
        "_ELEMENTWISE_BYTES": 1 << 20,
        "_FAR": 200,
        "_SAMPLES": 1,
        "_AWAKE_S": 0.0,
        "calibrated_kernels": lambda cpu: [KERNEL],
    }.items():
        monkeypatch.setattr(measuring, name, value)
    monkeypatch.setattr(Calibration, "_size", lambda self: 64)

    def calibrated(**options: Any) -> Events:
        events: Events = []
        simulated = replace(adapter, type="IntegratedGPU")
        with Device(simulated, checked=False) as device:
            deadline = time.monotonic() + 100
            given = {"refused": [], "ahead": True, **options}
            Calibration(device, deadline=deadline, report=events.append, **given).run()
        return events

    return calibrated


def has_f16(adapter: Adapter) -> bool:
    return "shader-f16" in adapter.features


def is_thin(rate: dict[str, Any]) -> bool:
    """Whether it is that of a matrix-vector kernel."""
    return str(rate["kernel"]["family"]).startswith("gemv")


def of(events: Events, event: str) -> Events:
    return [each for each in events if each["event"] == event]


def test_a_gpu_has_all_figures_and_the_rates_that_decide_most_come_first(
    calibrate: Callable[..., Events], adapter: Adapter
) -> None:
    events = calibrate()
    names = [each["name"] for each in of(events, "figure")]
    assert names[:5] == ["fma_gflops", "cores", "launch_us", "copy_gbps", "read_gbps"]
    assert names[5:] == ["fill_groups", "item_bytes", "scattered"]
    assert of(events, "out") == of(events, "note") == []
    classes = [name for name in CLASSES if name not in ("f16", "half2") or has_f16(adapter)]
    products, thin = (
        [each for each in of(events, "rate") if is_thin(each) == which] for which in (False, True)
    )
    assert [each["class"] for each in products] == classes
    assert [each["class"] for each in thin] == ["nn", "nt"]
    usual = [name for name in classes if name not in RARE_CLASSES]
    assert is_thin(of(events, "rate")[len(usual)])


@pytest.mark.slow
def test_a_kernel_that_ended_an_earlier_process_is_left_out_and_others_compile_one_at_a_time(
    calibrate: Callable[..., Events],
) -> None:
    events = calibrate(refused=[as_data(KERNEL)], ahead=False)
    tried = of(events, "trying")
    assert as_data(KERNEL) not in [each["kernel"] for each in tried]
    assert {each["beside"] for each in tried} == {False}
    assert of(events, "rate")
