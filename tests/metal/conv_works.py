"""Convolutions by each algorithm, in each of its kernels that the samples of the records do not launch."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest

from rusty_py import Device, array
from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.operation import OPERATIONS, apply
from rusty_py.ops.conv import reference
from rusty_py.ops.conv.geometry import Geometry
from rusty_py.ops.conv.winograd import algorithm as winograd
from rusty_py.oracle import Expected
from rusty_py.samples import Sample, values

from ..ops.placed import limited
from .direct_works import direct_works
from .pack_works import pack_works

Compute = Callable[[Device, Callable[..., None]], np.ndarray]
ConvWork = tuple[str, Compute, Callable[[], Expected]]


def conv_works() -> Iterator[ConvWork]:
    """The works of all algorithms."""
    yield from basic_works()
    yield from optimized_works()
    yield from direct_works()
    yield from winograd_works()
    yield from ((each.name, each.compute, each.expected) for each in pack_works())


def basic_works() -> Iterator[ConvWork]:
    """With bias and without; gradients of weights as one sum, and as sums of parts."""
    for kind, bias in product((F32, F16), (False, True)):
        yield convolution("basic", kind, (2, 2, 5, 4), (3, 2, 2, 2), Geometry(), bias=bias)
    parts = (2, 3, 7, 9), (2, 4, 5, 4)
    options = {"geometry": Geometry((1, 2), (1, 0), (2, 1)), "kernel": (3, 2), "algorithm": "basic"}
    row = (1, 3, 1, 9), (1, 4, 1, 8)
    of_row = {"geometry": Geometry(), "kernel": (1, 2), "algorithm": "basic"}
    for kind in (F32, F16):
        yield work("conv2d_weight_gradient", kind, row, of_row, "basic, one row")
        yield work("conv2d_weight_gradient", kind, parts, options, "basic, in parts", {"loop_steps": 40})


def optimized_works() -> Iterator[ConvWork]:
    """Two steps of channels, and edges of tiles that are more than a third full."""
    for kind, bias in product((F32, F16), (False, True)):
        geometry = Geometry((1, 1), (1, 2), (2, 1))
        yield convolution("optimized", kind, (1, 9, 18, 16), (20, 9, 3, 3), geometry, bias=bias)


def winograd_works() -> Iterator[ConvWork]:
    """Each order of temporaries, each way to store; the matrix products by a kernel that compiles fast."""
    for name, kind in (("winograd", F32), ("winograd", F16), ("winograd4", F32)):
        # Rows of a tile are vectors where the width is a multiple of 4.
        for layout, channels, width in (("NCHW", 3, 8), ("NCHW", 3, 7), ("NHWC", 4, 7)):
            geometry, bias = Geometry((1, 1), (1, 1), layout=layout), width == 7 and layout == "NCHW"
            shapes = geometry.shape(2, channels, (6, width)), (5, channels, 3, 3)
            title, compute, expected = convolution(
                name, kind, *shapes, geometry, bias=bias, activation="relu"
            )
            yield f"{title} {layout}", _with_naive_products(compute), expected
            if name == "winograd":
                gradients = shapes[0], geometry.shape(2, 5, (6, width))
                options = {"geometry": geometry, "kernel": (3, 3), "algorithm": name}
                title, compute, expected = work("conv2d_weight_gradient", kind, gradients, options, name)
                yield f"{title} {layout} {width}", _with_naive_products(compute), expected


def _with_naive_products(compute: Compute) -> Compute:
    def computed(device: Device, launch: Callable[..., None]) -> np.ndarray:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(winograd, "plan", partial(winograd.plan, tile="naive"))
            return compute(device, launch)

    return computed


def convolution(
    algorithm: str,
    kind: Dtype,
    x: tuple[int, ...],
    w: tuple[int, ...],
    geometry: Geometry,
    *,
    bias: bool = False,
    activation: str = "silu",
) -> ConvWork:
    """A convolution by an algorithm; the activation follows a bias only."""
    options: dict[str, Any] = {"geometry": geometry, "algorithm": algorithm}
    if bias:
        options["activation"] = activation
    shapes = (x, w, *[(w[0],)] * bias)
    return work("conv2d", kind, shapes, options, f"{algorithm}{' with bias' * bias}, {x} * {w}")


def work(
    operation: str,
    kind: Dtype,
    shapes: tuple[tuple[int, ...], ...],
    options: dict[str, Any],
    name: str,
    limits: dict[str, int] | None = None,
) -> ConvWork:
    """An operation on random operands, under lowered limits of the device."""
    operands = tuple(values(kind, *shape, seed=i) for i, shape in enumerate(shapes))

    def compute(device: Device, _: Callable[..., None]) -> np.ndarray:
        device.cache.forget_plans()  # Which were made under other limits.
        with limited(device, limits or {}):
            given = [array(x, device=device) for x in operands]
            return apply(OPERATIONS[operation], *given, **options).numpy()

    expected = partial(reference.expected, operation, Sample("", operands, options))
    return f"{operation} {kind.name} {name}", compute, expected
