"""Convolutions by each algorithm, in each of its kernels that the samples of the records do not launch."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from rusty_py import Device, array
from rusty_py.dtypes import F16
from rusty_py.operation import apply
from rusty_py.ops.conv import reference
from rusty_py.ops.conv.geometry import Geometry
from rusty_py.ops.conv.operations import CONV2D_WEIGHT_GRADIENT
from rusty_py.oracle import Expected
from rusty_py.samples import Sample, values

from ..ops.placed import limited

ConvWork = tuple[str, Callable[[Device, Callable[..., None]], np.ndarray], Callable[[], Expected]]


def conv_works() -> Iterator[ConvWork]:
    """The works of all algorithms."""
    yield from basic_weights_works()


def basic_weights_works() -> Iterator[ConvWork]:
    """Gradients of weights as sums of parts."""
    geometry = Geometry((1, 2), (1, 0), (2, 1))
    operands = values(F16, 2, 3, 7, 9), values(F16, 2, 4, 5, 4, seed=1)
    sample = Sample("", operands, {"geometry": geometry, "kernel": (3, 2), "algorithm": "basic"})

    def compute(device: Device, _: Callable[..., None]) -> np.ndarray:
        with limited(device, {"loop_steps": 40}):
            given = [array(x, device=device) for x in operands]
            return apply(CONV2D_WEIGHT_GRADIENT, *given, **sample.options).numpy()

    name = CONV2D_WEIGHT_GRADIENT.name
    yield f"{name} f16, in parts", compute, partial(reference.expected, name, sample)
