"""Arrays in any layout, drawn by hypothesis: NumPy's and ours with the same elements."""

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from rusty_py import Array, Device, array
from rusty_py.dtypes import F32, I32, Dtype
from rusty_py.samples import values


class Drawn(NamedTuple):
    """A shape, and how the elements lie: how many steps, negative ones, an offset and an order of axes."""

    shape: tuple[int, ...]
    steps: tuple[int, ...]
    order: tuple[int, ...]
    offset: int
    kind: Dtype

    def on(self, device: Device, seed: int = 0) -> tuple[np.ndarray, Array]:
        """The elements as NumPy's and as ours."""
        held = values(self.kind, *self._held(), seed=seed)
        return self._view(held), self._view(array(held, device=device))

    def _held(self) -> tuple[int, ...]:
        sizes = [size * abs(step) + self.offset for size, step in zip(self.shape, self.steps, strict=True)]
        return tuple(sizes[axis] for axis in self.order)

    def _view(self, held):  # type: ignore[no-untyped-def]  # NumPy's or ours.
        back = tuple(self.order.index(axis) for axis in range(len(self.shape)))
        first = self.offset
        end = first - 1 if first else None  # Of a negative step.
        keys = tuple(slice(first, None, by) if by > 0 else slice(None, end, by) for by in self.steps)
        return held.transpose(back)[keys] if self.shape else held


@st.composite
def drawn(draw: st.DrawFn, min_ndim: int = 0, max_ndim: int = 3, max_size: int = 5) -> Drawn:
    """Shapes of few sizes, with zeros and ones among them, in layouts of any kind."""
    ndim = draw(st.integers(min_ndim, max_ndim))
    shape = tuple(draw(st.lists(st.integers(0, max_size), min_size=ndim, max_size=ndim)))
    steps = tuple(draw(st.lists(st.sampled_from([1, 1, 2, -1]), min_size=ndim, max_size=ndim)))
    order = tuple(draw(st.permutations(range(ndim))))
    return Drawn(shape, steps, order, draw(st.integers(0, 2)), draw(st.sampled_from([F32, I32])))
