"""Arrays: what they say of themselves, views, ways in and out, and what they refuse."""

import copy
import gc
import operator
import pickle
import weakref

import numpy as np
import pytest

import rusty_py as rp
from rusty_py import Array, Device, DtypeError, ShapeError, UnsupportedError, array
from rusty_py.dtypes import BOOL, F16, F32, I32, Dtype

from ..each import each_reported
from .operands import KINDS, LAYOUTS, needs, on, values

pytestmark = [pytest.mark.one_mode, pytest.mark.usefixtures("short_kernels")]
EVERY_KIND = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@EVERY_KIND
def test_what_goes_in_comes_out(device: Device, kind: Dtype) -> None:
    needs(device, kind)
    with each_reported() as case:
        for shape in [(), (0,), (1,), (13,), (3, 0, 2), (5, 7), (2, 3, 4, 5)]:
            sent = np.asarray(values(kind, *shape))
            with case(shape):
                x = array(sent, device=device)
                assert (x.shape, x.dtype, x.ndim, x.size) == (sent.shape, sent.dtype, sent.ndim, sent.size)
                assert x.nbytes == sent.size * (4 if kind is BOOL else sent.itemsize)
                assert x.device is device
                received = x.numpy()
                assert received.dtype == sent.dtype
                assert received.shape == sent.shape
                np.testing.assert_array_equal(received, sent)


@EVERY_KIND
def test_views_are_numpys(device: Device, kind: Dtype) -> None:
    needs(device, kind)
    a = values(kind, 6, 10)
    with each_reported() as case:
        for layout, view in LAYOUTS.items():
            with case(layout):
                x = view(on(device, a))
                assert x.buffer is not None
                np.testing.assert_array_equal(x.numpy(), view(a))
                np.testing.assert_array_equal(x.copy().numpy(), view(a))
                np.testing.assert_array_equal(x.T.numpy(), view(a).T)
                np.testing.assert_array_equal(x.reshape(-1).numpy(), view(a).reshape(x.size))
                assert x.tolist() == view(a).tolist()


def test_a_view_shares_memory_and_a_copy_does_not(device: Device) -> None:
    x = on(device, values(F32, 4, 6))
    for view in (x[1], x.T, x.reshape(3, 8), x.reshape((2, -1)), x[::-1, 2:], x.mT, x.transpose(1, 0)):
        assert view.buffer is x.buffer
    assert x.T.reshape(24).buffer is not x.buffer
    assert x.copy().buffer is not x.buffer
    assert x.astype("f32").buffer is not x.buffer
    assert x.astype("f32", copy=False) is x


def test_axes_are_put_in_order(device: Device) -> None:
    a = values(F32, 2, 3, 4)
    x = on(device, a)
    np.testing.assert_array_equal(x.transpose(2, 0, 1).numpy(), a.transpose(2, 0, 1))
    np.testing.assert_array_equal(x.transpose((0, -1, 1)).numpy(), a.transpose(0, -1, 1))
    np.testing.assert_array_equal(x.mT.numpy(), a.swapaxes(1, 2))
    for wrong in [(0, 1), (0, 0, 1), (0, 1, 3)]:
        with pytest.raises(ShapeError, match=r"^transpose: "):
            x.transpose(*wrong)
    with pytest.raises(ShapeError, match=r"^mT: needs 2 axes or more: shape \(4,\)$"):
        _ = x[0, 0].mT


def test_a_whole_array_is_read_without_a_copy_and_once(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = on(unchecked, values(F32, 100, 3))
    reads, read = [], unchecked.read
    monkeypatch.setattr(unchecked, "read", lambda buffer, out: reads.append(buffer) or read(buffer, out))
    x.numpy()
    assert reads == [x.buffer]
    list(x)
    repr(x)
    x._repr_html_()
    assert len(reads) == 4


def test_a_description_reads_a_corner(unchecked: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    x = on(unchecked, np.arange(1_000_000, dtype=np.int32).reshape(1000, 1000))
    read_bytes, read = [], unchecked.read
    monkeypatch.setattr(
        unchecked, "read", lambda buffer, out: read_bytes.append(out.nbytes) or read(buffer, out)
    )
    said = repr(x)
    assert read_bytes == [256]
    assert "[7000, 7001," in said
    assert "..." in said
    assert "shape=(1000, 1000), dtype=int32, device='" in said
    assert "nbytes=4,000,000)" in said
    assert "1000 × 1000, int32, 4,000,000 bytes on " in x._repr_html_()


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3, 4, 5, 6)], ids=str)
def test_every_shape_has_a_description(unchecked: Device, shape: tuple[int, ...]) -> None:
    x = on(unchecked, np.asarray(values(I32, *shape)))
    assert f"shape={shape}, dtype=int32" in repr(x)
    assert "int32" in x._repr_html_()


def test_an_array_of_a_closed_device_still_has_a_description(unchecked: Device) -> None:
    with Device(unchecked.adapter) as device:
        x = on(device, values(F32, 3))
    assert "the device is closed" in repr(x)


def test_reading_fills_the_array_it_is_given(device: Device) -> None:
    for kind in (F32, BOOL):
        a = values(kind, 6, 10)
        x, out = on(device, a), np.empty((10, 6), kind.numpy)
        assert x.T.numpy(out=out) is out
        np.testing.assert_array_equal(out, a.T)
        assert x.get().tolist() == a.tolist()
    with pytest.raises(DtypeError, match=r"^numpy: out is of another dtype: float64, the array bool$"):
        x.numpy(out=np.empty((6, 10)))
    with pytest.raises(ShapeError, match=r"^numpy: out is of another shape: \(6, 10\), the array \(10, 6\)$"):
        x.T.numpy(out=np.empty((6, 10), bool))
    with pytest.raises(ShapeError, match="C-contiguous"):
        on(device, values(F32, 6, 10)).numpy(out=np.empty((10, 6), np.float32).T)


def test_an_array_without_axes_is_a_number(device: Device) -> None:
    assert float(array(1.5, device=device)) == 1.5
    assert int(array(7, device=device)) == 7
    assert complex(array(1.5, device=device)) == 1.5
    assert operator.index(array(7, device=device)) == 7
    assert [10, 20, 30][array(2, device=device)] == 30
    assert bool(array(True, device=device)) is True
    assert not array(0.0, device=device)
    assert array([[2.5]], device=device).item() == 2.5
    assert type(array(True, device=device).item()) is bool


def test_an_array_with_axes_is_no_number(unchecked: Device) -> None:
    x = on(unchecked, values(F32, 2))
    for action in (bool, float, int):
        with pytest.raises(ShapeError, match=r"^array: only arrays without axes are a number: shape \(2,\);"):
            action(x)
    with pytest.raises(ShapeError, match=r"^item: only arrays of one element"):
        x.item()
    with pytest.raises(DtypeError, match=r"^index: only integers are an index: f32$"):
        operator.index(array(1.0, device=unchecked))


def test_rows_are_iterated_as_numpy_arrays(device: Device) -> None:
    a = values(F32, 3, 4)
    x = on(device, a)
    assert len(x) == 3
    rows = list(x)
    assert all(isinstance(row, np.ndarray) for row in rows)
    np.testing.assert_array_equal(rows, a)
    for action in (len, iter):
        with pytest.raises(UnsupportedError):
            action(x[0, 0])


@EVERY_KIND
def test_assigning_writes_what_a_view_shows(device: Device, kind: Dtype) -> None:
    needs(device, kind)
    a, b = values(kind, 6, 10, seed=1), values(kind, 6, 10, seed=2)
    with each_reported() as case:
        for layout, view in LAYOUTS.items():
            with case(layout):
                x, changed = on(device, a), a.copy()
                view(x).assign(view(b))
                view(x).assign(view(on(device, b)))
                np.copyto(view(changed), view(b)) if view(b).ndim else changed.__setitem__((2, 7), b[2, 7])
                np.testing.assert_array_equal(x.numpy(), changed)


def test_assigning_an_array_to_a_view_of_itself(device: Device) -> None:
    a = values(F32, 7, 7)
    x = on(device, a)
    x.assign(x.T)
    np.testing.assert_array_equal(x.numpy(), a.T)
    x[1:].assign(x[:-1])
    np.testing.assert_array_equal(x.numpy(), np.concatenate([a.T[:1], a.T[:-1]]))


def test_assigning_takes_what_the_dtype_can_hold(device: Device) -> None:
    x = array([1.0, 2.0], device=device)
    x.assign(array([3, 4], device=device))
    assert x.tolist() == [3.0, 4.0]
    x.assign(np.array([0.1, 0.2]))
    assert x.tolist() == np.array([0.1, 0.2], np.float32).tolist()
    x.assign(7)
    assert x.tolist() == [7.0, 7.0]
    i = array([1, 2], device=device)
    for wrong in (x, array([1, 2], dtype="u32", device=device), [1.5, 2.5]):
        with pytest.raises(DtypeError, match=r"^assign: "):
            i.assign(wrong)
    with pytest.raises(ShapeError, match=r"^assign: shapes differ: \(2,\) takes \(3,\)$"):
        x.assign([1.0, 2.0, 3.0])
    assert i.tolist() == [1, 2]


def test_a_chain_of_operations_never_visits_the_host(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = values(F32, 20, 30)
    x = on(unchecked, a)

    def refuse(*_: object) -> None:
        pytest.fail("a chain of operations read")

    with monkeypatch.context() as patch:
        for name in ("read", "wait", "upload", "write"):
            patch.setattr(unchecked, name, refuse)
        y = rp.where(x[::-1] > 0, x @ x.T @ x, 2 * x**2 - x.reshape(30, 20).T / 3).sum(axis=0)
        y = (y - y.mean()).astype("i32").astype("f32") + rp.arange(30, dtype="f32", device=unchecked)
    assert y.shape == (30,)
    assert np.isfinite(y.numpy()).all()


def test_numpy_takes_arrays_for_its_own(device: Device) -> None:
    a = values(F32, 5, 7)
    x = on(device, a)
    np.testing.assert_array_equal(np.asarray(x), a)
    np.testing.assert_array_equal(np.array(x, dtype=np.float64), a.astype(np.float64))
    np.testing.assert_allclose(x, a)
    assert np.asarray(x).dtype == np.float32
    with pytest.raises(ValueError, match="copy=False"):
        np.asarray(x, copy=False)


def test_dlpack_hands_over_a_copy_on_the_host(device: Device) -> None:
    for kind in (F32, I32):
        a = values(kind, 5, 7)
        x = on(device, a)
        np.testing.assert_array_equal(np.from_dlpack(x), a)
        np.testing.assert_array_equal(np.from_dlpack(x.T), a.T)
        assert x.__dlpack_device__() == (1, 0)
    with pytest.raises(BufferError):
        x.__dlpack__(copy=False)
    with pytest.raises(BufferError):
        x.__dlpack__(dl_device=(2, 0))


@EVERY_KIND
def test_a_pickle_comes_back_on_the_default_device(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch, kind: Dtype
) -> None:
    needs(unchecked, kind)
    monkeypatch.setattr("rusty_py.ops.creation.default_device", lambda: unchecked)
    a = values(kind, 5, 7)
    again = pickle.loads(pickle.dumps(on(unchecked, a).T))
    assert isinstance(again, Array)
    assert again.device is unchecked
    np.testing.assert_array_equal(again.numpy(), a.T)


def test_copies_are_on_the_same_device_in_other_memory(device: Device) -> None:
    x = on(device, values(F32, 3, 4)).T
    for again in (copy.copy(x), copy.deepcopy(x), x.copy(), +x):
        assert again.device is device
        assert again.buffer is not x.buffer
        np.testing.assert_array_equal(again.numpy(), x.numpy())


def test_arrays_have_no_hash_as_in_numpy(unchecked: Device) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(on(unchecked, values(F32, 2)))


def test_the_memory_of_an_array_comes_back_with_its_last_reference(unchecked: Device) -> None:
    gc.disable()
    try:
        x = on(unchecked, values(F32, 3))
        gone = weakref.ref(x), weakref.ref(x.buffer)
        repr(x), x + x, x.sum(), x.T @ x, x.numpy(), list(x)
        del x
        assert [each() for each in gone] == [None, None]
    finally:
        gc.enable()


def test_an_array_in_another_dtype_needs_an_adapter_with_it(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = on(unchecked, values(F32, 3))
    adapter = copy.copy(unchecked.adapter)
    object.__setattr__(adapter, "features", frozenset())
    monkeypatch.setattr(unchecked, "adapter", adapter)
    for action in (
        lambda: x.astype(F16),
        lambda: rp.zeros(3, dtype="f16", device=unchecked),
        lambda: array(np.zeros(3, np.float16), device=unchecked),
    ):
        with pytest.raises(DtypeError, match=r"does not compute in f16: use dtype=\"f32\"$") as caught:
            action()
        assert adapter.name in str(caught.value)
