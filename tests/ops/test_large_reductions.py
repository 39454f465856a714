"""Reductions of arrays larger than one binding, of parts that fit and of their accumulators."""

from collections.abc import Iterator

import numpy as np
import pytest

import rusty_py as rp
from rusty_py import Array, Device, LimitError, samples
from rusty_py.dtypes import BOOL, F16, F32, I32
from rusty_py.operation import OPERATIONS
from rusty_py.ops.all import REDUCTIONS
from rusty_py.samples import Sample

from ..each import each_reported
from .operands import LAYOUTS, needs, on
from .test_stream import small

pytestmark = pytest.mark.one_mode
LIMIT = 4096


@pytest.fixture(scope="module")
def narrow(device: Device) -> Iterator[Device]:
    """A device on which arrays of a few thousand elements are larger than a binding."""
    with small(device, binding_bytes=LIMIT) as narrow:
        yield narrow


def assert_reduced(name: str, x: Array, host: np.ndarray, axis: int | tuple[int, ...] | None) -> None:
    function = OPERATIONS[name].function
    assert function is not None
    expected = REDUCTIONS[name].expected(Sample(name, (host,), {"axis": axis}))
    assert expected.error(function(x, axis=axis).numpy()) <= 1


# Of an array of 120 rows, the parts are rows, or also parts of rows.
@pytest.mark.parametrize("columns", [45, 1201])
def test_every_reduction_of_large_arrays(narrow: Device, columns: int) -> None:
    with each_reported() as case:
        for name, row in REDUCTIONS.items():
            (host,) = row.operands(F32, 1, 120 if columns < 100 else 4, columns, seed=3)
            x = on(narrow, host)
            for axis in (0, 1, -1) if row.ordered else (0, 1, (0, 1)):
                with case(f"{name} over {axis}"):
                    assert_reduced(name, x, host, axis)


@pytest.mark.parametrize("name", ["sum", "argmax", "var", "any"])
def test_large_operands_of_any_layout(narrow: Device, name: str) -> None:
    (host,) = REDUCTIONS[name].operands(F32, 1, 60, 100, seed=4)
    x = on(narrow, host)
    with each_reported() as case:
        for layout, view in LAYOUTS.items():
            seen = view(host)
            if seen.size:
                for axis in (None, *range(seen.ndim)):
                    with case(f"{layout} over {axis}"):
                        assert_reduced(name, view(x), seen, axis)


def test_indices_of_equal_elements_in_all_parts(narrow: Device) -> None:
    for place in (0, 1023, 1024, 5000, 7000):
        host = np.zeros(7001, np.float32)
        host[place:] = 1
        x = on(narrow, host)
        assert int(rp.argmax(x)) == place
        assert int(rp.argmin(-x)) == place
        assert int(rp.argmax(x[::-1])) == 0
        assert int(rp.argmin(x[::-1])) == 7001 - place if place else True


def test_f16_and_integers(narrow: Device) -> None:
    needs(narrow, F16)
    with each_reported() as case:
        for kind in (F16, I32, BOOL):
            for name in ("sum", "max", "argmin", "count_nonzero"):
                (host,) = REDUCTIONS[name].operands(kind, 1, 51, 101, seed=5)
                for axis in (0, 1):
                    with case(f"{name} {kind.name} over {axis}"):
                        assert_reduced(name, on(narrow, host), host, axis)


def test_results_larger_than_a_binding(narrow: Device) -> None:
    host = samples.values(F32, 3, 1, 1700, seed=6)
    x = on(narrow, host)
    for name in ("sum", "argmax", "logsumexp"):
        for axis in (0, 1):
            assert_reduced(name, x, host, axis)


def test_a_small_view_of_a_large_array_is_reduced_at_once(narrow: Device) -> None:
    host = samples.values(F32, 60, 100)
    assert_reduced("sum", on(narrow, host)[57, 3:40], host[57, 3:40], 0)
    assert_reduced("argmax", on(narrow, host)[30:33], host[30:33], 1)


def test_fused_operands_larger_than_a_binding(narrow: Device) -> None:
    column, row = samples.values(F32, 70, 1), samples.values(F32, 1, 90, seed=2)
    x, y = on(narrow, column), on(narrow, row)

    def outer(x: Array, y: Array) -> Array:
        return rp.max(x * y, axis=0)

    np.testing.assert_array_equal(rp.fuse(outer)(x, y).numpy(), (column * row).max(axis=0))


def test_gradients_of_large_arrays(narrow: Device) -> None:
    host = samples.values(F32, 60, 100)
    x = on(narrow, host)
    x.requires_grad = True
    rp.sum(x * x).backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), 2 * host)


def test_a_binding_without_room_for_any_part_is_refused(unchecked: Device) -> None:
    with (
        small(unchecked, binding_bytes=272) as narrow,
        pytest.raises(LimitError, match=r"^sum: no part of shape \(90,\) fits a binding on .*: 272 bytes$"),
    ):
        rp.sum(on(narrow, samples.values(F32, 90)))
