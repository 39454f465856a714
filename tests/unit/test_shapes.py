import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rusty_py import ShapeError
from rusty_py.shapes import Block, ceil_div, matmul_shapes, split

SIZES = st.tuples(*[st.integers(1, 40)] * 3)


def always(block: Block) -> bool:
    return True


def volume(block: Block) -> int:
    return block.rows * block.cols * block.depth


@given(st.integers(0, 10**12), st.integers(1, 10**6))
def test_ceil_div_is_the_smallest_integer_not_under_the_quotient(a: int, b: int) -> None:
    q = ceil_div(a, b)
    assert (q - 1) * b < a <= q * b


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((2, 3), (3, 5), (2, 3, 5, ())),
        ((3,), (3,), (1, 3, 1, ())),
        ((3,), (3, 5), (1, 3, 5, ())),
        ((2, 3), (3,), (2, 3, 1, ())),
        ((7, 2, 3), (3, 5), (2, 3, 5, (7,))),
        ((7, 1, 2, 3), (4, 3, 5), (2, 3, 5, (7, 4))),
        ((4, 2, 3), (3,), (2, 3, 1, (4,))),
        ((0, 3), (3, 0), (0, 3, 0, ())),
        ((0, 2, 3), (1, 3, 5), (2, 3, 5, (0,))),
    ],
)
def test_matmul_shapes_follow_numpy(
    a: tuple[int, ...], b: tuple[int, ...], expected: tuple[int, int, int, tuple[int, ...]]
) -> None:
    m, _, n, batch = matmul_shapes(a, b)
    assert matmul_shapes(a, b) == expected
    rows, cols = () if len(a) == 1 else (m,), () if len(b) == 1 else (n,)
    assert np.matmul(np.zeros(a), np.zeros(b)).shape == (*batch, *rows, *cols)


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ((2, 3), (4, 5), r"inner sizes differ: a is \(2, 3\), b is \(4, 5\)"),
        ((3,), (4,), r"inner sizes differ: a is \(3,\), b is \(4,\)"),
        ((2, 2, 3), (3, 3, 5), r"leading axes do not broadcast: a is \(2, 2, 3\), b is \(3, 3, 5\)"),
        ((), (3, 3), r"a is a scalar; use a \* b"),
        ((3, 3), (), r"b is a scalar; use a \* b"),
    ],
)
def test_shapes_that_numpy_refuses_are_refused_with_both_shapes(
    a: tuple[int, ...], b: tuple[int, ...], said: str
) -> None:
    with pytest.raises(ValueError, match=r"."):
        np.matmul(np.zeros(a), np.zeros(b))
    with pytest.raises(ShapeError, match=f"^matmul: .*{said}$"):
        matmul_shapes(a, b)


@given(size=SIZES, limit=SIZES, multiple=st.integers(1, 9), room=st.integers(1, 70_000))
def test_split_covers_every_point_exactly_once(
    size: tuple[int, int, int], limit: tuple[int, int, int], multiple: int, room: int
) -> None:
    times = np.zeros(size, int)
    for block in split(size, limit=limit, multiple=multiple, fits=lambda block: volume(block) <= room):
        times[block.row0 : block.row1, block.col0 : block.col1, block.k0 : block.k1] += 1
    assert (times == 1).all()


@given(size=SIZES, limit=SIZES, room=st.integers(1, 70_000))
def test_no_block_is_larger_than_allowed(
    size: tuple[int, int, int], limit: tuple[int, int, int], room: int
) -> None:
    for block in split(size, limit=limit, multiple=1, fits=lambda block: volume(block) <= room):
        assert (block.rows, block.cols, block.depth) <= tuple(map(min, size, limit))
        assert volume(block) <= room


@given(size=SIZES, limit=SIZES, multiple=st.integers(1, 9), room=st.integers(1, 70_000))
def test_every_block_but_the_last_on_an_axis_is_a_multiple(
    size: tuple[int, int, int], limit: tuple[int, int, int], multiple: int, room: int
) -> None:
    whole = tuple(part * multiple for part in limit)
    for block in split(size, limit=whole, multiple=multiple, fits=lambda block: volume(block) <= room):
        ends = (block.row1, block.col1, block.k1)
        for length, end, last in zip((block.rows, block.cols, block.depth), ends, size, strict=True):
            assert end == last or length % multiple == 0


MULTIPLES = st.tuples(*[st.integers(1, 9)] * 3)


@given(size=SIZES, limit=SIZES, multiples=MULTIPLES, room=st.integers(1, 70_000))
def test_each_axis_may_have_a_multiple_of_its_own(
    size: tuple[int, int, int], limit: tuple[int, int, int], multiples: tuple[int, int, int], room: int
) -> None:
    whole = tuple(part * multiple for part, multiple in zip(limit, multiples, strict=True))
    times = np.zeros(size, int)
    for block in split(size, limit=whole, multiple=multiples, fits=lambda block: volume(block) <= room):
        times[block.row0 : block.row1, block.col0 : block.col1, block.k0 : block.k1] += 1
        ends = (block.row1, block.col1, block.k1)
        lengths = (block.rows, block.cols, block.depth)
        for length, end, last, multiple in zip(lengths, ends, size, multiples, strict=True):
            assert end == last or length % multiple == 0
        over = any(
            length > multiple and multiple < last
            for length, last, multiple in zip(lengths, size, multiples, strict=True)
        )
        assert volume(block) <= room or not over
    assert (times == 1).all()


@given(size=SIZES, limit=SIZES, multiple=st.integers(1, 9), room=st.integers(1, 70_000))
def test_one_multiple_is_that_of_each_axis(
    size: tuple[int, int, int], limit: tuple[int, int, int], multiple: int, room: int
) -> None:
    def blocks(multiple: int | tuple[int, int, int]) -> list[Block]:
        return list(split(size, limit=limit, multiple=multiple, fits=lambda block: volume(block) <= room))

    assert blocks(multiple) == blocks((multiple,) * 3)


def test_an_axis_no_longer_than_its_multiple_stays_whole() -> None:
    blocks = list(split((64, 64, 64), limit=(64, 64, 64), multiple=(16, 32, 64), fits=lambda block: False))
    assert {(block.rows, block.cols, block.depth) for block in blocks} == {(16, 32, 64)}


def test_blocks_come_in_the_order_of_rows_columns_depth() -> None:
    blocks = list(split((5, 4, 3), limit=(2, 2, 2), multiple=1, fits=always))
    assert blocks == sorted(blocks)
    assert blocks[:2] == [Block(0, 2, 0, 2, 0, 2), Block(0, 2, 0, 2, 2, 3)]


def test_the_longest_axis_is_halved_first() -> None:
    (first, *_) = split((8, 64, 8), limit=(8, 64, 8), multiple=8, fits=lambda block: volume(block) <= 2048)
    assert first == Block(0, 8, 0, 32, 0, 8)


def test_what_no_halving_makes_fit_comes_in_the_smallest_blocks() -> None:
    blocks = list(split((64, 64, 64), limit=(64, 64, 64), multiple=32, fits=lambda block: False))
    assert {(block.rows, block.cols, block.depth) for block in blocks} == {(32, 32, 32)}


@pytest.mark.parametrize("size", [(0, 4, 4), (4, 0, 4), (4, 4, 0)])
def test_nothing_is_split_into_no_blocks(size: tuple[int, int, int]) -> None:
    assert list(split(size, limit=(4, 4, 4), multiple=1, fits=always)) == []


def test_a_block_counts_a_multiplication_and_an_addition_a_point() -> None:
    assert Block(1, 3, 4, 9, 2, 9).flops == 2 * 2 * 5 * 7
