"""What NumPy's functions do with arrays: ours on the device, others on the host."""

import numpy as np
import pytest

from rusty_py import Array, Device, UnsupportedError
from rusty_py.dtypes import F32, I32

from .operands import on, values

pytestmark = pytest.mark.usefixtures("short_kernels")

A = values(F32, 6, 10, seed=1)

ON_THE_DEVICE = {
    "add": lambda x: np.add(x, 1.5),
    "subtract": lambda x: np.subtract(A, x),
    "multiply": lambda x: np.multiply(x, x),
    "divide": lambda x: np.divide(1.0, x),
    "power": lambda x: np.power(x, 2),
    "negative": lambda x: np.negative(x),
    "positive": lambda x: np.positive(x),
    "absolute": lambda x: np.abs(x),
    "floor_divide": lambda x: np.floor_divide(x, 2),
    "divmod": lambda x: np.divmod(x, 2)[1] if isinstance(x, np.ndarray) else divmod(x, 2)[1],
    "clip": lambda x: np.clip(x, -1, 1),
    "round": lambda x: np.round(x),
    "less": lambda x: np.less(x, 0),
    "greater": lambda x: np.greater(A, x),
    "matmul": lambda x: np.matmul(A.T, x),
    "reflected @": lambda x: A.T @ x,
    "sum": lambda x: np.sum(x, axis=0, keepdims=True),
    "mean": lambda x: np.mean(x, 1),
    "where": lambda x: np.where(x > 0, x, 0.5),
    "transpose": lambda x: np.transpose(x, (1, 0)),
    "reshape": lambda x: np.reshape(x, (10, -1)),
    "copy": lambda x: np.copy(x),
    "concatenate": lambda x: np.concatenate([x, A, x]),
    "concatenate along columns": lambda x: np.concatenate([A, x], 1),
    "stack": lambda x: np.stack((x, x)),
    "split": lambda x: np.split(x, 2)[1],
    "roll": lambda x: np.roll(x, 3, axis=1),
    "pad": lambda x: np.pad(x, ((1, 2), (0, 3)), constant_values=5),
    "tril": lambda x: np.tril(x, -1),
    "triu": lambda x: np.triu(x, k=2),
    "moveaxis": lambda x: np.moveaxis(x, 0, 1),
    "flip": lambda x: np.flip(x, 1),
    "ravel": lambda x: np.ravel(x),
    "squeeze": lambda x: np.squeeze(x[:1], axis=0),
    "expand_dims": lambda x: np.expand_dims(x, (0, 2)),
    "swapaxes": lambda x: np.swapaxes(x, 0, 1),
    "broadcast_arrays": lambda x: np.broadcast_arrays(x, A[0])[1],
    "meshgrid": lambda x: np.meshgrid(x[0], A[1], indexing="ij")[0],
    "tile": lambda x: np.tile(x, (2, 1)),
    "repeat": lambda x: np.repeat(x, 2, axis=1),
    "einsum": lambda x: np.einsum("ij,ij->i", x, x),
    "tensordot": lambda x: np.tensordot(x, A, axes=((0, 1), (0, 1))),
    "take": lambda x: np.take(x, [2, 0], axis=1),
    "take_along_axis": lambda x: np.take_along_axis(x, np.int32([[2], [0]] * 3), 1),
    "zeros_like": lambda x: np.zeros_like(x),
    "full_like": lambda x: np.full_like(x, 2.5),
}

ON_THE_HOST = {
    "degrees": lambda x: np.degrees(x),
    "round to two decimals": lambda x: np.round(x, 2),
    "reduce": lambda x: np.add.reduce(x),
    "where=": lambda x: np.add(x, x, where=A > 0, out=np.zeros_like(A)),
    "pad by reflection": lambda x: np.pad(x, 1, mode="reflect"),
    "float64 zeros": lambda x: np.zeros_like(x, dtype=np.float64),
    "ptp": lambda x: np.ptp(x, axis=0),
    "max into": lambda x: np.max(x, axis=0, out=np.zeros(10, np.float32)),
    "sum in float64": lambda x: np.sum(x, dtype=np.float64),
    "sum with an initial": lambda x: np.sum(x, initial=3.0),
    "mean into": lambda x: np.mean(x, axis=0, out=np.zeros(10, np.float32)),
    "where of one": lambda x: np.where(x)[0],
    "norm": lambda x: np.linalg.norm(x),
    "einsum with out": lambda x: np.einsum("ij->i", x, out=np.zeros(6, np.float32)),
    "allclose": lambda x: np.allclose(x, A),
    "histogram": lambda x: np.histogram(x, bins=3)[0],
}


@pytest.mark.parametrize("case", ON_THE_DEVICE)
def test_what_we_have_runs_on_the_device(unchecked: Device, case: str) -> None:
    result, expected = (ON_THE_DEVICE[case](x) for x in (on(unchecked, A), A))
    assert isinstance(result, Array)
    assert result.dtype == expected.dtype
    np.testing.assert_allclose(result, expected, rtol=1e-5)


def test_a_dtype_that_ours_is_not_for_runs_on_the_host(unchecked: Device) -> None:
    i = on(unchecked, np.array([1, 2, 3], np.int32))
    for function, x in ((np.exp, i), (np.signbit, i), (np.tanh, i > 1), (np.negative, i), (np.mean, i)):
        result, expected = function(x), function(x.numpy())
        assert isinstance(result, Array) == (function is np.negative), function
        np.testing.assert_array_equal(np.asarray(result), expected)
    np.testing.assert_array_equal(np.divide(i, i), np.ones(3))


@pytest.mark.parametrize("case", ON_THE_HOST)
def test_anything_else_runs_on_the_host(unchecked: Device, case: str) -> None:
    result, expected = (ON_THE_HOST[case](x) for x in (on(unchecked, A), A))
    assert not isinstance(result, Array)
    assert type(result) is type(expected)
    np.testing.assert_array_equal(result, expected)


def test_a_shape_is_no_reason_to_read(unchecked: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    x = on(unchecked, A)
    monkeypatch.setattr(unchecked, "read", lambda *_: pytest.fail("read for a shape"))
    assert (np.shape(x), np.ndim(x), np.size(x)) == ((6, 10), 2, 60)


def test_means_of_integers_are_numpys(unchecked: Device) -> None:
    a = values(I32, 7)
    assert np.mean(on(unchecked, a)) == a.mean()


def test_numpy_writes_into_its_own_arrays_only(unchecked: Device) -> None:
    x, sums = on(unchecked, A), A.copy()
    sums += x
    np.testing.assert_array_equal(sums, A + A)
    with pytest.raises(UnsupportedError, match=r"^add: writes into NumPy arrays only: use x\.assign"):
        np.add(A, A, out=x)


def test_numpy_saves_arrays(unchecked: Device, tmp_path: object) -> None:
    np.save(tmp_path / "x.npy", on(unchecked, A))
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), A)


def test_matplotlib_plots_arrays(unchecked: Device) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="matplotlib is in the extra 'plot'")
    pyplot.switch_backend("Agg")
    figure, axes = pyplot.subplots(3)
    (line,) = axes[0].plot(on(unchecked, A[0]), on(unchecked, A[1]))
    image = axes[1].imshow(on(unchecked, A))
    axes[2].hist(on(unchecked, A[2]))
    figure.canvas.draw()
    np.testing.assert_array_equal(line.get_xdata(), A[0])
    np.testing.assert_array_equal(image.get_array(), A)
    pyplot.close(figure)
