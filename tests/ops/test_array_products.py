"""Products of arrays: what test_matmul.py holds NumPy's to, and what is different on the device."""

import numpy as np
import pytest

import rusty_py as rp
from rusty_py import Array, Device, DeviceError, DtypeError, ShapeError, matmul
from rusty_py.ops import matmul as ops
from rusty_py.runtime.adapter import Adapter

from .operands import on
from .products import assert_product, uniform
from .test_matmul import small

pytestmark = [pytest.mark.one_mode, pytest.mark.usefixtures("short_kernels")]
SHAPES = [
    ((17,), (17,)),
    ((17,), (17, 40)),
    ((33, 17), (17,)),
    ((17,), (3, 17, 5)),
    ((3, 5, 17), (17,)),
    ((3, 5, 17), (17, 4)),
    ((5, 17), (3, 17, 4)),
    ((3, 5, 17), (3, 17, 4)),
    ((2, 1, 5, 17), (3, 17, 4)),
    ((2, 1, 5, 17), (1, 3, 17, 4)),
    ((2, 3, 1, 5, 17), (1, 3, 2, 17, 4)),
    ((0, 5, 17), (1, 17, 4)),
    ((2, 5, 0), (0, 4)),
    ((2, 0, 3), (3, 4)),
    ((33, 31), (31, 67)),
]


def assert_is_product(c: Array, a: np.ndarray, b: np.ndarray) -> None:
    assert isinstance(c, Array)
    host = c.numpy()
    assert_product(host if host.ndim else host[()], a, b)


@pytest.mark.parametrize(("a", "b"), SHAPES, ids=str)
def test_shapes_follow_numpy(device: Device, tile: int | str, a: tuple[int, ...], b: tuple[int, ...]) -> None:
    left, right = uniform(*a, seed=1), uniform(*b, seed=2)
    assert_is_product(matmul(on(device, left), on(device, right), tile=tile), left, right)


def test_one_operand_may_be_numpys(device: Device) -> None:
    a, b = uniform(33, 17, seed=1), uniform(17, 40, seed=2)
    for c in (matmul(on(device, a), b), matmul(a, on(device, b)), on(device, a) @ b, a @ on(device, b)):
        assert_is_product(c, a, b)
    assert_is_product(matmul(on(device, a), b.astype(float), dtype="f32"), a, b)


def test_views_are_multiplied(device: Device, tile: int | str) -> None:
    a, b = uniform(4, 33, 34, seed=1), uniform(4, 40, 17, seed=2)
    x, y = on(device, a), on(device, b)
    assert_is_product(matmul(x[:, ::-1, ::2], y.mT, tile=tile), a[:, ::-1, ::2], b.swapaxes(1, 2))
    assert_is_product(
        matmul(x[::-1, 3:, :17], y[1::2, :17][:1], tile=tile), a[::-1, 3:, :17], b[1::2, :17][:1]
    )
    assert_is_product(matmul(x[::-2, 3:30], y[1::2, :34], tile=tile), a[::-2, 3:30], b[1::2, :34])
    assert_is_product(matmul(x[2], x[2].T, tile=tile), a[2], a[2].T)


def test_a_batch_is_one_launch(unchecked: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    launched, launch = [], ops.launch
    monkeypatch.setattr(
        ops, "launch", lambda *one, **kwargs: launched.append(kwargs["workgroups"]) or launch(*one, **kwargs)
    )
    a, b = uniform(2, 7, 5, 6, seed=1), uniform(2, 7, 6, 4, seed=2)
    assert_is_product(on(unchecked, a) @ on(unchecked, b), a, b)
    assert_is_product(on(unchecked, a) @ on(unchecked, b[0, 0]), a, b[0, 0])
    assert launched == [(1, 1, 14), (1, 1, 14)]


def test_a_batch_is_split_for_a_small_or_slow_device(
    device: Device, tile: int | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = uniform(7, 40, 30, seed=1), uniform(7, 30, 35, seed=2)
    with small(device, groups=3, loop_steps=40) as narrow:
        assert_is_product(matmul(on(narrow, a), on(narrow, b), tile=tile), a, b)
        assert_product(matmul(a, b, tile=tile, device=narrow), a, b)
    monkeypatch.setattr(device.throughput, "flops", lambda kernel, **kwargs: 200_000)
    assert_is_product(matmul(on(device, a), on(device, b), tile=tile), a, b)


def test_numpys_operands_are_sent_once(unchecked: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    sent, upload = [], unchecked.upload
    monkeypatch.setattr(unchecked, "upload", lambda x, **kwargs: sent.append(x.shape) or upload(x, **kwargs))
    a, b = uniform(5, 1, 8, 9, seed=1), uniform(3, 9, 4, seed=2)
    assert_product(matmul(a, b, device=unchecked), a, b)
    assert sent == [(5, 1, 8, 9), (3, 9, 4)]


def test_other_dtypes_are_refused(unchecked: Device) -> None:
    x = rp.ones((2, 2), dtype="i32", device=unchecked)
    with pytest.raises(
        DtypeError, match=r'^matmul: computes in float32, got int32: convert with \.astype\("f32"\)$'
    ):
        x @ x
    with pytest.raises(DtypeError, match=r"^matmul: computes in float32, got float64: pass dtype='f32'"):
        rp.ones((2, 2), device=unchecked) @ np.ones((2, 2))
    assert matmul(x, x, dtype="f32").tolist() == [[2.0, 2.0], [2.0, 2.0]]


def test_lists_are_operands_as_arrays_of_their_numbers_are(unchecked: Device) -> None:
    x = rp.ones((1, 2), device=unchecked)
    assert (x @ [[3.0], [4.0]]).tolist() == [[7]]
    assert ([[3.0], [4.0]] @ x).tolist() == [[3, 3], [4, 4]]
    assert (x @ [3.0, 4.0]).tolist() == matmul(x, (3.0, 4.0)).tolist() == [7]
    assert matmul([[1.0, 2.0]], [[3.0], [4.0]], device=unchecked).tolist() == [[11]]
    with pytest.raises(DtypeError, match=r"^matmul: computes in float32, got int32"):
        x @ [[1], [2]]
    with pytest.raises(ShapeError, match=r"^matmul: not the values of an array"):
        matmul(x, [[1.0], [2.0, 3.0]])


def test_shapes_that_do_not_fit_are_refused(unchecked: Device) -> None:
    x = rp.ones((2, 3), device=unchecked)
    with pytest.raises(ShapeError, match=r"^matmul: inner sizes differ: a is \(2, 3\), b is \(2, 3\)$"):
        x @ x
    with pytest.raises(ShapeError, match=r"^matmul: needs 1 dimension or more"):
        x @ x.sum()
    with pytest.raises(TypeError):
        x @ 2


def test_arrays_of_two_devices_are_refused(unchecked: Device) -> None:
    with Device(unchecked.adapter) as other, pytest.raises(DeviceError, match="another device"):
        rp.ones((2, 2), device=unchecked) @ rp.ones((2, 2), device=other)


def test_arrays_a_little_larger_than_a_binding_are_multiplied(device: Device) -> None:
    a = uniform(33, 33)
    with small(device, binding_bytes=4096) as narrow:
        x = on(narrow, a)
        assert x.nbytes > narrow.limits.binding_bytes
        assert_product(np.asarray(x @ x), a, a)


def test_a_product_that_a_guess_cut_is_planned_anew_once_its_kernel_is_measured(adapter: Adapter) -> None:
    dispatches = []
    with Device(adapter) as device:
        device.throughput._unseen = 2e7  # Even a busy machine turns out to be faster.
        x = rp.array(np.random.default_rng(0).random((512, 512), np.float32), device=device)
        for _ in range(4):
            product = x @ x
            device.wait()
            (plan,) = device.cache.plans.values()
            dispatches.append(len(plan.dispatches))
        assert dispatches[0] > dispatches[-1], dispatches
        np.testing.assert_allclose(product.numpy(), x.numpy() @ x.numpy(), rtol=1e-5)
