"""Copies of images for implicit GEMM, by each of their kernels: zeros around, cropped, with steps."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from rusty_py import Device, array
from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.ops.conv.correlation import permuted
from rusty_py.ops.conv.implicit_gemm import pack
from rusty_py.ops.conv.implicit_gemm.pack import Packing
from rusty_py.oracle import Expected
from rusty_py.samples import values

BATCH, GROUPS, HEIGHT, WIDTH = 2, 2, 17, 13
PLACES = (
    ((-2, -1), (1, 1), (20, 16)),
    ((1, 2), (2, 3), (9, 4)),
)
"""Starts, steps and sizes."""


@dataclass(frozen=True)
class PackWork:
    """A copy to make and to compare."""

    dtype: Dtype
    channels: int
    order: tuple[int, ...]
    place: int

    @property
    def name(self) -> str:
        rows = "planes" if self.order[-1] == 4 else "contiguous channels"
        return f"pack {self.channels} channels of {self.dtype.name}, {rows}, {PLACES[self.place]}"

    @property
    def packing(self) -> Packing:
        start, step, (height, width) = PLACES[self.place]
        channels = -(-self.channels // 4) * 4
        pixel = GROUPS * channels
        return Packing(
            start, step, (height, width), channels, height * width * pixel, channels, width * pixel, pixel
        )

    def image(self) -> np.ndarray:
        return values(self.dtype, BATCH, GROUPS, self.channels, HEIGHT, WIDTH, seed=self.place)

    def compute(self, device: Device, _: Callable[..., None]) -> np.ndarray:
        held = array(np.ascontiguousarray(self.image().transpose(self.order)), device=device)
        back = [self.order.index(axis) for axis in range(5)]
        packing = self.packing
        height, width = packing.size
        out = np.empty((BATCH, height, width, GROUPS, packing.channels), self.dtype.numpy)
        device.read(pack.pack(permuted(held, tuple(back)), packing, out.nbytes, operation="test"), out)
        return out

    def expected(self) -> Expected:
        start, step, size = PLACES[self.place]
        whole = np.zeros((BATCH, GROUPS, self.packing.channels, 64, 64), self.dtype.numpy)
        whole[:, :, : self.channels, 8 : 8 + HEIGHT, 8 : 8 + WIDTH] = self.image()
        rows, columns = (
            8 + first + each * np.arange(count) for first, each, count in zip(start, step, size, strict=True)
        )
        return Expected(whole[:, :, :, rows[:, None], columns].transpose(0, 3, 4, 1, 2), None)


def pack_works() -> Iterator[PackWork]:
    """Each kernel, in one of the places."""
    for i, (dtype, channels) in enumerate(product((F32, F16), (5, 8, 41, 36))):
        for order in ((0, 1, 2, 3, 4), (0, 3, 4, 1, 2)):
            yield PackWork(dtype, channels, order, i % 2)
