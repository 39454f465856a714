"""Copies by tiles, which GPUs take: the same elements as by strides, in any layout."""

import numpy as np
import pytest

import rusty_py as rp
from rusty_py import Device
from rusty_py.dtypes import BOOL, F16, F32, I32
from rusty_py.ops import transposing

from ..each import each_reported
from .operands import needs, on, values
from .test_joining import assert_equal


@pytest.fixture(autouse=True)
def tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU."""
    monkeypatch.setattr(transposing, "uses_tiles", lambda _: True)


def launched(device: Device) -> set[str]:
    return {each.spec.name for plan in device.cache.plans.values() for each in plan.dispatches}


VIEWS = {
    "transposed": lambda x: x.T,
    "matrices transposed": lambda x: x.mT,
    "axes rotated": lambda x: x.transpose(1, 2, 0),
    "with offset": lambda x: x[1:, 1:, 1:].mT,
    "with steps": lambda x: x[::-1, ::2, :].mT,
    "in batches of batches": lambda x: x.reshape(3, 12, 80, 72).transpose(0, 1, 3, 2)[:2, ::3, 4:],
}


def test_a_transposed_copy_has_the_same_elements(device: Device) -> None:
    with each_reported() as case:
        for kind in (F32, I32):
            a = values(kind, 36, 80, 72)
            x = on(device, a)
            for name, view in VIEWS.items():
                with case(f"{kind.name}, {name}"):
                    device.cache.forget_plans()
                    assert_equal(view(x).copy(), view(a))
                    assert launched(device) & {"copy/transpose", "copy/transpose_blocks"}


def test_conversions_and_functions_take_tiles_too(unchecked: Device) -> None:
    a = values(F32, 68, 67)
    x = on(unchecked, a)
    assert_equal(x.T.astype("i32"), a.T.astype(np.int32))
    assert_equal(on(unchecked, a > 0).T.astype("f32"), (a > 0).T.astype(np.float32))
    np.testing.assert_allclose(rp.exp(x.T).numpy(), np.exp(a.T), rtol=1e-5)
    assert_equal(x.T.reshape(-1), a.T.reshape(-1))
    assert_equal(on(unchecked, values(BOOL, 40, 50)).T.copy(), values(BOOL, 40, 50).T)
    if "shader-f16" in unchecked.adapter.features:
        needs(unchecked, F16)
        half = values(F16, 68, 67)
        assert_equal(on(unchecked, half).T.copy(), half.T)
        assert_equal(on(unchecked, half).T.astype("f32"), half.T.astype(np.float32))


def test_assigning_to_a_transposed_view_takes_tiles(unchecked: Device) -> None:
    a = values(F32, 67, 68)
    x = rp.zeros((100, 100), device=unchecked)
    x[3:71, 1:68].T.assign(on(unchecked, a))
    expected = np.zeros((100, 100), np.float32)
    expected[3:71, 1:68] = a.T
    assert_equal(x, expected)
    assert "copy/transpose" in launched(unchecked)


def test_what_is_no_transposition_takes_no_tiles(unchecked: Device) -> None:
    x = on(unchecked, values(F32, 64, 64))
    unchecked.cache.forget_plans()
    for view in (x[::2, ::2], x[:, :8].T, x[:8].T, x[::-1], rp.broadcast_to(x[0], (64, 64)).T, x[:, None, 0]):
        assert_equal(view.copy(), view.numpy())
    assert "copy/transpose" not in launched(unchecked)
