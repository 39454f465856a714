"""Verification of convolutions against float64.

Up to `FULL_FLOPS`, every element is compared. Of larger ones, random elements and those at the corners of
images are compared; and of all elements, sums over the output channels with random signs: such a sum is a
convolution with a single output channel, which is cheap in float64. It detects a single wrong element that is
off by more than the rounding errors of a pixel's channels together.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rusty_py import oracle
from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.measure.document import Verification
from rusty_py.measure.references.convolution import conv2d, patches_of, planes
from rusty_py.measure.verification import FULL_FLOPS, compared, unwritten
from rusty_py.oracle import Expected

_ELEMENTS = 2048
_SIGNS = 2
_LARGEST = 6
"""No sum of products of random signs is larger than so many of its standard deviations."""

Floats = NDArray[np.floating]
Float64 = NDArray[np.float64]


class ConvVerifier:
    """Uniform random operands, and the reference of their convolution, shared by all algorithms.

    `shapes` are those of the images, in `layout`, of the weights and of the result. `options` are stride,
    padding, dilation and groups.
    """

    def __init__(
        self,
        shapes: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]],
        options: Mapping[str, int],
        *,
        rng: np.random.Generator,
        layout: str = "NCHW",
        dtype: Dtype = F32,
        full_flops: int = FULL_FLOPS,
    ) -> None:
        self._options: dict[str, Any] = {**options}
        self.layout, self.dtype, self._rng = layout, dtype, rng
        self.x, self.w = (
            rng.uniform(-1, 1, shape).astype(np.float32).astype(dtype.numpy) for shape in shapes[:2]
        )
        self.shape = shapes[2]
        self.depth = self.w[0].size
        self.full = 2 * int(np.prod(self.shape)) * self.depth <= full_flops
        self.method = "every element against float64"
        if not self.full:
            self.method = (
                f"{_ELEMENTS:,} random elements and the corners against float64, and all elements by"
                f" {_SIGNS} sums over the output channels with random signs"
            )

    def compare(self, out: Floats, *, room: float = 1.0) -> Verification:
        """Compares a result with float64, within `room` times the bound."""
        if out.shape != self.shape:
            return Verification("shape", fault=f"the shape is {out.shape}, not {self.shape}")
        if fault := unwritten(out):
            return Verification(self.method, fault=fault)
        if self.full:
            return compared(_widened(self._expected, room), out)
        found = compared(_widened(self._sampled, room), planes(out, self.layout)[self._places])
        fault = found.fault or self._channel_fault(out, room)
        return Verification(self.method, found.error, found.relative_error, fault)

    @cached_property
    def _expected(self) -> Expected:
        x, w = self.x.astype(np.float64), self.w.astype(np.float64)
        reference = conv2d(x, w, layout=self.layout, **self._options)
        axis = (slice(None), None, None) if self.layout == "NCHW" else (slice(None),)
        return Expected(reference, self._bound[axis] + self._rounding(reference))

    @cached_property
    def _norms(self) -> Float64:
        """The standard deviation of each output channel, for images of this mean square."""
        mean_square = np.mean(np.square(self.x, dtype=np.float64))
        norms: Float64 = np.sqrt(mean_square * np.square(self.w, dtype=np.float64).sum(axis=(1, 2, 3)))
        return norms

    @property
    def _bound(self) -> Float64:
        """The error bound of sums in float32, by output channel."""
        return oracle.centred_factor(self.depth, F32) * self._norms + 1e-37

    def _rounding(self, reference: Float64) -> Float64 | float:
        """The error of the final rounding to a narrower result."""
        return 0.0 if self.dtype is F32 else oracle.rounding(reference, ulps=0.5, dtype=self.dtype)

    @cached_property
    def _places(self) -> tuple[NDArray[np.intp], ...]:
        """Indices of elements in images, channels, rows and columns."""
        batch, outputs, height, width = planes(np.empty(self.shape, np.bool_), self.layout).shape
        random = [self._rng.integers(size, size=_ELEMENTS) for size in (batch, outputs, height, width)]
        ends = np.array(np.meshgrid([0, batch - 1], [0, outputs - 1], [0, height - 1], [0, width - 1]))
        return tuple(np.concatenate([a, b]) for a, b in zip(random, ends.reshape(4, -1), strict=True))

    @cached_property
    def _sampled(self) -> Expected:
        """The elements at `_places` in float64."""
        image, output, row, column = self._places
        given = {name: self._options[name] for name in ("stride", "padding", "dilation")}
        patches = patches_of(planes(self.x, self.layout), self.w.shape[2:], **given)
        inputs = self.w.shape[1]
        group = output // (len(self.w) // self._options["groups"])
        channels = group[:, None] * inputs + np.arange(inputs)
        taken = patches[image[:, None], channels, row[:, None], column[:, None]].astype(np.float64)
        reference = np.einsum("ecij,ecij->e", taken, self.w[output].astype(np.float64))
        return Expected(reference, self._bound[output] + self._rounding(reference))

    def compare_large_tiles(self, out: Floats) -> Verification:
        """Compares the result of an algorithm that may be Winograd's with tiles larger than 2x2.

        In float32, F(4x4, 3x3) of a single channel, and F(6x6, 3x3), which other libraries use, lose up to
        2.5 times the bound of a sum of products.
        """
        return self.compare(out, room=4.0)

    def _channel_fault(self, out: Floats, room: float) -> str:
        """Which of the signed sums over the channels are wrong; "" if none is."""
        signs, reference = self._signed
        images = planes(out, self.layout)
        batch, outputs, height, width = images.shape
        # The sums are of float32, and so are their errors, as of a result in float16.
        roundings = outputs * F32.eps / 2 + (F16.eps / 2 if self.dtype is F16 else 0)
        bound = room * self._bound.sum() + roundings * _LARGEST * self._norms.sum()
        for image in range(batch):
            flat = images[image].reshape(outputs, -1).astype(np.float32, copy=False)
            off = np.abs(signs.astype(np.float32) @ flat - reference[image].reshape(_SIGNS, -1))
            wrong = ~(off <= bound)  # So that NaN is wrong.
            if wrong.any():
                at = divmod(int(np.argmax(wrong.any(axis=0))), width)
                return (
                    f"the channels of {wrong.any(axis=0).sum():,} of {height * width:,} pixels of image"
                    f" {image} are wrong, first at {at}"
                )
        return ""

    @cached_property
    def _signed(self) -> tuple[NDArray[np.integer[Any]], Float64]:
        """Random signs of the output channels, and the signed sums of every pixel in float64.

        Taps are multiplied with all channels at once, and their products shifted and added.
        """
        signs = self._rng.choice([-1, 1], (_SIGNS, len(self.w)))
        outputs, inputs, rows, columns = self.w.shape
        groups = self._options["groups"]
        grouped = self.w.astype(np.float64).reshape(groups, outputs // groups, inputs, rows, columns)
        weights = np.einsum("sgo,gocij->ijsgc", signs.reshape(_SIGNS, groups, -1), grouped)
        given = {name: self._options[name] for name in ("stride", "padding", "dilation")}
        images = planes(self.x, self.layout)
        sums = []
        for image in images:
            flat = image.reshape(len(image), -1).astype(np.float64)
            products = weights.reshape(-1, len(image)) @ flat
            shaped = products.reshape(rows * columns, _SIGNS, *image.shape[1:])
            patches = patches_of(shaped, (rows, columns), **given)
            sums.append(sum(patches[i * columns + j, ..., i, j] for i in range(rows) for j in range(columns)))
        return signs, np.array(sums)


def _widened(expected: Expected, room: float) -> Expected:
    assert expected.bound is not None
    return Expected(expected.reference, room * expected.bound)
