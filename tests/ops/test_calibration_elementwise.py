"""How a calibration finds what the threads of elementwise kernels take."""

import pytest

from rusty_py import Device, DeviceError
from rusty_py.calibration.elementwise import best, item_bytes
from rusty_py.dtypes import F16, F32
from rusty_py.runtime.launch import Launch, run

pytestmark = pytest.mark.one_mode


@pytest.mark.parametrize(
    ("f32", "f16", "expected"),
    [
        ((1.0, 1.0), (1.0, 1.0), 16),
        ((1.0, 0.98), (1.0, 0.98), 32),
        ((1.0, 1.1), (1.0, 0.9), 16),
        ((1.0, 1.1), (0.9, 1.0), 8),
        ((1.0, 0.995), (0.995, 1.0), 16),
        ((1.0, 0.8), (1.0, 1.1), 32),
        ((1.0, 0.9), None, 32),
        ((0.9, 1.0), None, 16),
    ],
)
def test_the_fastest_choice_is_the_best_unless_the_usual_one_is_as_fast(
    f32: tuple[float, float], f16: tuple[float, float] | None, expected: int
) -> None:
    times = {F32: f32} | ({F16: f16} if f16 else {})
    assert (
        best({(dtype, 4 * i): time for dtype in times for i, time in enumerate(times[dtype], 1)}) == expected
    )


def test_kernels_of_both_widths_are_timed_and_right(unchecked: Device) -> None:
    timed: list[str] = []

    def seconds(launch: Launch) -> float:
        run(unchecked, [launch])
        timed.append(launch.spec.variant)
        return 2.0 if "8 wide" in launch.spec.variant else 1.0

    assert item_bytes(unchecked, 4 * 5003, seconds) == (
        8 if "shader-f16" in unchecked.adapter.features else 16
    )
    assert {"add f32, 4 wide: vec4 vec4", "add f32, 8 wide: vec4 vec4"} <= {*timed}


def test_wrong_sums_are_an_error(unchecked: Device) -> None:
    with pytest.raises(
        DeviceError, match=r"^calibrate: elementwise/flat\[add f32, 4 wide: vec4 vec4\]: wrong sums"
    ):
        item_bytes(unchecked, 4096, lambda launch: 1.0)
