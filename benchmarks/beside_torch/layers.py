"""Layers of networks by rusty_py and by PyTorch: operands, calls, graphs, and errors against float64."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import rusty_py as rp
from rusty_py.bench.conv_suite import shapes_of
from rusty_py.bench.convolutions import PRESETS, Convolution

Tensors = tuple[Any, ...]
"""PyTorch's tensors, with the axes of NCHW."""


@dataclass(frozen=True)
class Layer:
    """A convolution of images in a layout."""

    convolution: Convolution
    layout: str = "NCHW"

    @property
    def name(self) -> str:
        return self.convolution.name + (" NHWC" if self.layout == "NHWC" else "")

    @property
    def terms(self) -> tuple[int, int, int]:
        """The products in one sum: of the result, of the input's gradient, of the weights' gradient."""
        each = self.convolution
        return each.depth, each.outputs // each.groups * each.kernel**2, each.pixels

    def host(self) -> list[np.ndarray]:
        """Images, weights and a gradient of the result: uniform around zero."""
        rng = np.random.default_rng()
        return [rng.random(shape, np.float32) * 2 - 1 for shape in shapes_of(self.convolution, self.layout)]

    def ours(self, x: rp.Array, w: rp.Array, *, algorithm: str = "auto") -> rp.Array:
        """The convolution by rusty_py."""
        options = self.convolution.options
        return rp.conv2d(x, w, layout=self.layout, algorithm=algorithm, **options)

    def theirs(self, torch: Any, x: Any, w: Any) -> Any:
        """The convolution by PyTorch."""
        return torch.nn.functional.conv2d(x, w, None, **self.convolution.options)

    def moved(self, torch: Any, host: Sequence[np.ndarray], device: str) -> Tensors:
        """The operands as tensors; those of NHWC are channels last, weights as well."""
        x, w, g = (torch.from_numpy(each).to(device) for each in host)
        if self.layout == "NCHW":
            return x, w, g
        return x.permute(0, 3, 1, 2), w.contiguous(memory_format=torch.channels_last), g.permute(0, 3, 1, 2)

    def tensor(self, torch: Any, result: rp.Array, device: str) -> Any:
        """A result of ours as a tensor."""
        made = torch.from_numpy(result.numpy()).to(device)
        return made if self.layout == "NCHW" else made.permute(0, 3, 1, 2)


LAYERS = (
    *(Layer(each) for each in PRESETS["layers"]),
    Layer(Convolution(56, 56, 256, 256, batch=32), "NHWC"),
)


SMALL_LAYERS = (Layer(Convolution(12, 10, 3, 8)), Layer(Convolution(9, 8, 8, 8, 2, stride=2), "NHWC"))
"""To try the comparison without a GPU."""


def error_of(result: Any, exact: Any, terms: int) -> float:
    """The largest error, as a fraction of the rounding bound of centred sums of so many products."""
    bound = 16 * math.sqrt(terms) * 2.0**-24 * exact.square().mean().sqrt()
    return float(((result - exact).abs().max() / bound).item())


def in_float64(torch: Any, call: Callable[..., Any], tensors: Tensors) -> Tensors:
    """The result of a layer in float64, and the gradients of images and weights."""
    exactly = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=False, allow_tf32=False)
    with exactly, torch.enable_grad():
        x, w, g = (each.double() for each in tensors)
        x.requires_grad_()
        w.requires_grad_()
        out = call(x, w)
        return (out.detach(), *torch.autograd.grad(out, (x, w), g))


@dataclass(frozen=True)
class Pool:
    """A pooling of images by both, of a batch of 32."""

    name: str
    shape: tuple[int, int, int, int]
    ours: Callable[[rp.Array], rp.Array]
    theirs: Callable[[Any, Any], Any]


def _functional(torch: Any) -> Any:
    return torch.nn.functional


POOLS = (
    Pool(
        "max 3×3 s2 p1, 112×112 64",
        (32, 64, 112, 112),
        lambda x: rp.max_pool2d(x, 3, stride=2, padding=1),
        lambda torch, x: _functional(torch).max_pool2d(x, 3, stride=2, padding=1),
    ),
    Pool(
        "max 2×2, 112×112 64",
        (32, 64, 112, 112),
        lambda x: rp.max_pool2d(x, 2),
        lambda torch, x: _functional(torch).max_pool2d(x, 2),
    ),
    Pool(
        "average 2×2, 112×112 64",
        (32, 64, 112, 112),
        lambda x: rp.avg_pool2d(x, 2),
        lambda torch, x: _functional(torch).avg_pool2d(x, 2),
    ),
    Pool(
        "average to 1×1, 14×14 2048",
        (32, 2048, 14, 14),
        lambda x: rp.adaptive_avg_pool2d(x, 1),
        lambda torch, x: _functional(torch).adaptive_avg_pool2d(x, 1),
    ),
)
SMALL_POOLS = tuple(replace(each, shape=(2, 3, 14, 14)) for each in POOLS)
