"""What a notebook meets at the edges: NaN, NumPy's writing functions, lists, small devices, closing."""

import operator
import threading
from collections.abc import Callable

import numpy as np
import pytest

import rusty_py as rp
from rusty_py import Adapter, Device, DeviceError, LimitError, Limits, UnsupportedError
from rusty_py.errors import ShapeError

COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]


@pytest.mark.parametrize("compare", COMPARISONS)
@pytest.mark.parametrize("dtype", ["f32", "f16"])
def test_nan_compares_as_in_numpy(
    device: Device, compare: Callable[[object, object], object], dtype: str
) -> None:
    x = rp.array([np.nan, 1.0, 2.0, np.inf, -0.0], dtype=dtype, device=device)
    y = rp.array([np.nan, 1.0, 3.0, np.inf, 0.0], dtype=dtype, device=device)
    np.testing.assert_array_equal(compare(x, y), compare(x.numpy(), y.numpy()))
    np.testing.assert_array_equal(compare(x, 1.0), compare(x.numpy(), 1.0))


@pytest.mark.parametrize("dtype", ["f32", "f16"])
def test_nan_is_true(device: Device, dtype: str) -> None:
    assert rp.array([np.nan, 0.0], dtype=dtype, device=device).astype("bool").numpy().tolist() == [
        True,
        False,
    ]


def test_a_power_with_nan_is_nan_but_for_one(device: Device) -> None:
    power = rp.array([2.0, 0.0, 1.0], device=device) ** rp.array([np.nan] * 3, device=device)
    np.testing.assert_array_equal(power, [np.nan, np.nan, 1.0])


WRITING = {
    "copyto": lambda x, h: np.copyto(x, h),
    "put": lambda x, h: np.put(x, 0, 9),
    "putmask": lambda x, h: np.putmask(x, h > 0, 9),
    "add.at": lambda x, h: np.add.at(x, [0], 5),
    "sum": lambda x, h: np.sum(h.reshape(1, 3), axis=0, out=x),
    "clip": lambda x, h: np.clip(h, 0, 1, out=x),
    "add": lambda x, h: np.add(h, h, out=x),
}


@pytest.mark.parametrize("name", WRITING)
def test_numpys_functions_that_write_are_refused_instead_of_writing_into_a_copy(
    unchecked: Device, name: str
) -> None:
    x, h = rp.zeros(3, device=unchecked), np.ones(3, np.float32)
    with pytest.raises(UnsupportedError, match=r"writes into NumPy arrays only: use x\.assign\(\.\.\.\)$"):
        WRITING[name](x, h)
    assert not x.numpy().any()


def test_lists_are_operands(unchecked: Device) -> None:
    x = rp.array([1, 2, 3], device=unchecked)
    assert (x == [1, 2, 4]).numpy().tolist() == [True, True, False]
    assert (x - [1, 1, 1]).numpy().tolist() == [0, 1, 2]


def test_numpys_numbers_count_as_pythons_in_arange(unchecked: Device) -> None:
    assert rp.arange(np.int64(3), device=unchecked).dtype == np.int32
    with pytest.raises(ShapeError, match=r"^arange: .* all are finite"):
        rp.arange(float("nan"), device=unchecked)


def test_the_shape_of_an_array_is_not_set(unchecked: Device) -> None:
    with pytest.raises(AttributeError):
        rp.zeros(3, device=unchecked).shape = (3, 1)  # type: ignore[misc]


def test_more_loop_steps_than_the_driver_takes_are_refused(adapter: Adapter) -> None:
    limits = Limits(**(vars(adapter.limits) | {"groups": 1, "loop_steps": 1000}))
    with Device(adapter, limits=limits) as small:
        assert rp.ones(1000, device=small).sum().item() == 1000
        with pytest.raises(LimitError, match=r"compute in parts$"):
            rp.ones(10_000, device=small)


def test_reading_in_a_capture_is_refused_and_captures_nothing(unchecked: Device) -> None:
    x = rp.ones((3, 2), device=unchecked)
    with unchecked.capture() as graph:
        with pytest.raises(DeviceError, match=r"^numpy: not in a capture"):
            x.T.numpy()
        assert "not in a capture" in repr(x)
    assert graph.stats().launches == 0


@pytest.mark.parametrize("staged", [False, True], ids=["mapped", "staged"])
def test_closing_while_threads_read_ends_them_with_an_error(adapter: Adapter, staged: bool) -> None:
    device = Device(adapter, staged=staged)
    buffer = device.upload(np.ones(1 << 20, np.float32))
    reading = threading.Barrier(4)
    ends: list[type] = []

    def read() -> None:
        out = np.empty(1 << 20, np.float32)
        device.read(buffer, out)
        reading.wait()
        try:
            while True:
                device.read(buffer, out)
        except Exception as error:
            ends.append(type(error))

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    reading.wait(timeout=30)
    device.close()
    for thread in threads:
        thread.join(timeout=30)
    assert ends == [DeviceError] * 3


def test_the_host_runs_ahead_of_the_device_by_a_bounded_number_of_submissions(adapter: Adapter) -> None:
    with Device(adapter) as device:
        x = rp.ones(4, device=device)
        for _ in range(1000):
            x = x + 1.0
            device.queue.flush()
        assert device.queue.number - 1 - device.queue.done <= 32 * 10
        assert x.numpy().tolist() == [1001.0] * 4
