"""How a calibration finds what the threads of elementwise kernels take."""

import pytest

from rusty_py import Device, DeviceError
from rusty_py.calibration.elementwise import best, item_bytes
from rusty_py.runtime.launch import Launch, run

pytestmark = pytest.mark.one_mode


@pytest.mark.parametrize(
    ("eight", "sixteen", "expected"), [(1.0, 1.0, 16), (1.0, 1.1, 8), (0.995, 1.0, 16), (1.1, 1.0, 16)]
)
def test_the_fastest_choice_is_the_best_unless_the_usual_one_is_as_fast(
    eight: float, sixteen: float, expected: int
) -> None:
    assert best({8: eight, 16: sixteen}) == expected


def test_kernels_of_both_widths_are_timed_and_right(unchecked: Device) -> None:
    timed: list[str] = []

    def seconds(launch: Launch) -> float:
        run(unchecked, [launch])
        timed.append(launch.spec.variant)
        return 2.0 if "8 wide" in launch.spec.variant else 1.0

    has_f16 = "shader-f16" in unchecked.adapter.features
    assert item_bytes(unchecked, 4 * 5003, seconds) == (8 if has_f16 else 16)
    assert timed == ["add f16, 4 wide: vec4 vec4", "add f16, 8 wide: vec4 vec4"] * has_f16


def test_wrong_sums_are_an_error(unchecked: Device) -> None:
    if "shader-f16" not in unchecked.adapter.features:
        pytest.skip("no f16")
    with pytest.raises(
        DeviceError, match=r"^calibrate: elementwise/flat\[add f16, 4 wide: vec4 vec4\]: wrong sums"
    ):
        item_bytes(unchecked, 4096, lambda launch: 1.0)
