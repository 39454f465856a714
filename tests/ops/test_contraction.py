"""`vecdot`, `tensordot` and `einsum`: NumPy's results, and gradients by differences."""

import numpy as np
import pytest

import rusty_py as rp
from rusty_py import Device, DtypeError, ShapeError, UnsupportedError
from rusty_py.dtypes import F32

from ..each import each_reported
from .operands import on, values

pytestmark = pytest.mark.usefixtures("short_kernels")

SUBSCRIPTS = {
    "ij,jk->ik": ((3, 4), (4, 5)),
    "ij,kj->ki": ((3, 4), (5, 4)),
    "bij,bjk->bik": ((2, 3, 4), (2, 4, 5)),
    "bhqd,bhkd->bhqk": ((2, 3, 4, 5), (2, 3, 6, 5)),
    "i,j->ij": ((3,), (4,)),
    "i,i": ((5,), (5,)),
    "ij,ij->i": ((3, 4), (3, 4)),
    "ij->ji": ((3, 4),),
    "ij->": ((3, 4),),
    "ji": ((3, 4),),
    "ij,j": ((3, 4), (4,)),
    "ijk,l,kmj->lim": ((2, 3, 4), (2,), (4, 3, 3)),
    "ab,bc,cd,de->ae": ((2, 3), (3, 4), (4, 5), (5, 2)),
    "...ij,...jk->...ik": ((2, 1, 3, 4), (3, 4, 5)),
    "...i,i": ((2, 3, 4), (4,)),
    "i...->...": ((3, 2, 4),),
    "ij,kl->": ((3, 4), (2, 3)),
    "a,b,c->cab": ((2,), (3,), (4,)),
    ",ij": ((), (3, 4)),
    "ij,jk->ik ": ((0, 4), (4, 5)),
}


def operands(shapes: tuple[tuple[int, ...], ...]) -> list[np.ndarray]:
    return [values(F32, *shape, seed=i) for i, shape in enumerate(shapes)]


def assert_close(result: rp.Array, reference: np.ndarray, size: np.ndarray, count: int) -> None:
    assert result.shape == reference.shape
    assert (np.abs(result.numpy() - reference) <= (count + 4) * F32.eps * size + 1e-30).all()


def test_einsum_gives_what_numpy_gives(unchecked: Device) -> None:
    with each_reported() as case:
        for subscripts, shapes in SUBSCRIPTS.items():
            with case(subscripts):
                given = operands(shapes)
                exact = [each.astype(np.float64) for each in given]
                result = rp.einsum(subscripts, *[on(unchecked, each) for each in given])
                size = np.einsum(subscripts, *map(np.abs, exact))
                count = sum(sum(shape) for shape in shapes)
                assert_close(result, np.einsum(subscripts, *exact), size, count)


def test_einsum_has_gradients(unchecked: Device) -> None:
    with each_reported() as case:
        for subscripts in ("ij,kj->ki", "bhqd,bhkd->bhqk", "ijk,l,kmj->lim", "...ij,...jk->...ik", "ij,j"):
            with case(subscripts):
                given = [on(unchecked, each) for each in operands(SUBSCRIPTS[subscripts])]
                rp.gradcheck(
                    lambda *x, subscripts=subscripts: rp.einsum(subscripts, *x),
                    given,
                    reference=lambda *x, subscripts=subscripts: np.einsum(subscripts, *x),
                )


def test_vecdot_and_tensordot_give_what_numpy_gives(unchecked: Device) -> None:
    a, b = operands(((2, 3, 4), (3, 4, 5)))
    x, y = on(unchecked, a), on(unchecked, b)
    with each_reported() as case:
        for axes in (0, 1, 2, ((1, 2), (0, 1)), ((2, 1), (1, 0)), (1, 0), ([2], [1])):
            with case(axes):
                if axes == 1:
                    left, right = (x, y.transpose(1, 0, 2)), (a, b.transpose(1, 0, 2))
                    result = rp.tensordot(*left, axes=1)
                    expected = np.tensordot(*(each.astype(np.float64) for each in right), axes=1)
                    size = np.tensordot(*map(np.abs, right), axes=1)
                else:
                    result = rp.tensordot(x, y, axes=axes)
                    expected = np.tensordot(a.astype(np.float64), b.astype(np.float64), axes=axes)
                    size = np.tensordot(np.abs(a), np.abs(b), axes=axes)
                assert_close(result, expected, size, 12)
        for axis in (-1, -2, 1):
            with case(f"vecdot {axis}"):
                result = rp.vecdot(x, on(unchecked, a[:1]), axis=axis)
                product = a.astype(np.float64) * a[:1]
                assert_close(result, product.sum(axis=axis), np.abs(product).sum(axis=axis), 4)
    rp.gradcheck(lambda x, y: rp.tensordot(x, y, axes=2), [x, y], reference=np.tensordot)


def test_what_cannot_be_contracted_is_refused(unchecked: Device) -> None:
    x, i = rp.ones((2, 3), device=unchecked), rp.ones((3, 2), dtype="i32", device=unchecked)
    for call, said in (
        (lambda: rp.vecdot(x, x.T), "vecdot: sizes differ along axis -1: 3 and 2"),
        (lambda: rp.tensordot(x, x, axes=1), "tensordot: axes differ"),
        (lambda: rp.tensordot(x, x, axes=3), "tensordot: 3 axes of arrays with 2 and 2"),
        (lambda: rp.einsum("ij,jk->ik", x), "einsum: 2 terms in .* for 1 operands"),
        (lambda: rp.einsum("i->i", x), "einsum: 'i' does not name the axes of shape"),
        (lambda: rp.einsum("ij,jk", x, x), "einsum: sizes of 'j' differ"),
        (lambda: rp.einsum("ij->ik", x), "einsum: not subscripts"),
        (lambda: rp.einsum("i1->i", x), "einsum: not subscripts"),
        (lambda: rp.einsum("ij->ii", x), "einsum: not subscripts"),
    ):
        with pytest.raises(ShapeError, match=f"^{said}"):
            call()
    with pytest.raises(UnsupportedError, match=r"^einsum: an operand has a letter twice: 'ii'"):
        rp.einsum("ii", rp.ones((2, 2), device=unchecked))
    with pytest.raises(DtypeError):
        rp.einsum("ij,jk", i.T, i)
