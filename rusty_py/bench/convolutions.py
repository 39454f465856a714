"""Convolutions to measure: their sizes and parameters, presets, and the notation of the command line.

Imports no NumPy, so that `rusty-bench --help` is fast.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

DEFAULTS = ("basic", "optimized", "auto")
"""The algorithms that are compared unless --algorithm names others."""


@dataclass(frozen=True)
class Convolution:
    """A convolution of a batch of images of `channels` planes of `height` by `width`, with square kernels.

    Weights are (outputs, channels / groups, kernel, kernel). `padding` None is half the kernel, which keeps
    the size of the image at stride 1.
    """

    width: int
    height: int
    channels: int = 3
    outputs: int = 64
    batch: int = 1
    kernel: int = 3
    stride: int = 1
    padding: int | None = None
    dilation: int = 1
    groups: int = 1

    @property
    def pad(self) -> int:
        """The padding in pixels."""
        return self._half if self.padding is None else self.padding

    @property
    def out_height(self) -> int:
        return self._along(self.height)

    @property
    def out_width(self) -> int:
        return self._along(self.width)

    @property
    def pixels(self) -> int:
        """Pixels of the result, of all images."""
        return self.batch * self.out_height * self.out_width

    @property
    def depth(self) -> int:
        """The products in one sum."""
        return self.channels // self.groups * self.kernel**2

    @property
    def flops(self) -> int:
        """Of the sum of products, whatever the algorithm."""
        return 2 * self.pixels * self.outputs * self.depth

    @property
    def options(self) -> dict[str, int]:
        """The options of `rusty_py.conv2d`."""
        return {
            "stride": self.stride,
            "padding": self.pad,
            "dilation": self.dilation,
            "groups": self.groups,
        }

    @property
    def axes(self) -> dict[str, int]:
        """Every parameter, for result files."""
        return {
            **{name: getattr(self, name) for name in ("batch", "channels", "outputs", "height", "width")},
            **{"kernel": self.kernel, **self.options},
        }

    @property
    def name(self) -> str:
        """Such as "800×600 3:64 n32 k7 s2", without what a 3×3 convolution of the same size has."""
        usual = {
            "n": (self.batch, 1),
            "k": (self.kernel, 3),
            "s": (self.stride, 1),
            "p": (self.pad, self._half),
            "d": (self.dilation, 1),
            "g": (self.groups, 1),
        }
        differing = [f"{key}{value}" for key, (value, default) in usual.items() if value != default]
        return " ".join([f"{self.width}×{self.height} {self.channels}:{self.outputs}", *differing])

    def fault(self) -> str:
        """Why there is no such convolution; "" if there is."""
        if self.channels % self.groups or self.outputs % self.groups:
            return f"{self.groups} groups do not divide {self.channels} and {self.outputs} channels"
        if min(self.out_height, self.out_width) < 1:
            return f"{self.name}: the kernel is larger than the padded image"
        return ""

    @property
    def _half(self) -> int:
        return self.dilation * (self.kernel - 1) // 2

    def _along(self, size: int) -> int:
        return (size + 2 * self.pad - self.dilation * (self.kernel - 1) - 1) // self.stride + 1


def parse_image(text: str) -> tuple[int, int]:
    """The width and the height of "800x600". Raises ValueError."""
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text, re.ASCII)
    if not found:
        raise ValueError(f"{text!r} is not an image size: width and height, as in 800x600")
    return int(found[1]), int(found[2])


def parse_channels(text: str) -> tuple[int, int]:
    """Input and output channels of "3:64"; "64" is 64:64. Raises ValueError."""
    found = re.fullmatch(r"([1-9]\d{0,4})(?::([1-9]\d{0,4}))?", text, re.ASCII)
    if not found:
        raise ValueError(f"{text!r} is not a number of channels: input and output, as in 3:64")
    return int(found[1]), int(found[2] or found[1])


@dataclass(frozen=True)
class Sweep:
    """Values of each parameter; every combination is a convolution."""

    images: Sequence[tuple[int, int]]
    channels: Sequence[tuple[int, int]] = ((3, 64),)
    batch: Sequence[int] = (1,)
    kernel: Sequence[int] = (3,)
    stride: int = 1
    padding: int | None = None
    dilation: int = 1
    groups: int = 1

    def convolutions(self) -> list[Convolution]:
        """All combinations, without repetition; the images of one combination of the others together."""
        combinations = product(self.batch, self.channels, self.kernel, self.images)
        return list(
            dict.fromkeys(
                Convolution(
                    *image,
                    *channels,
                    batch=batch,
                    kernel=kernel,
                    stride=self.stride,
                    padding=self.padding,
                    dilation=self.dilation,
                    groups=self.groups,
                )
                for batch, channels, kernel, image in combinations
            )
        )


RESOLUTIONS = ((800, 600), (1024, 768), (1920, 1080))
SMALL = ((64, 48), (96, 72), (160, 90))
"""For CPU drivers: the same shapes, with less than a hundredth of the pixels."""

_LAYERS = (
    *(Convolution(*image) for image in RESOLUTIONS),
    Convolution(224, 224, 64, 64),
    Convolution(56, 56, 64, 64, batch=32),
    Convolution(56, 56, 256, 256),
    Convolution(56, 56, 256, 256, batch=32),
    Convolution(56, 56, 256, 64, batch=32, kernel=1),
    Convolution(224, 224, 3, 64, batch=32, kernel=7, stride=2),
    Convolution(7, 7, 512, 512, batch=32),
    Convolution(56, 56, 96, 96, batch=32, groups=96),
    Convolution(32, 32, 3, 16, batch=32),
    Convolution(32, 32, 16, 32, batch=32),
)
"""Layers of networks: first ones, of residual blocks, bottlenecks, depthwise, and of a small network."""

PRESETS: Mapping[str, Sequence[Convolution]] = {
    "resolutions": Sweep(RESOLUTIONS).convolutions(),
    "layers": _LAYERS,
    "small": Sweep(SMALL).convolutions(),
}
