"""Gradients of convolutions: by differences, only those that are wanted, and of higher order."""

from contextlib import AbstractContextManager, nullcontext
from itertools import product
from typing import Any

import numpy as np
import pytest

import rusty_py as rp
from rusty_py import Array, Device
from rusty_py.dtypes import F32
from rusty_py.operation import HOOKS
from rusty_py.ops.conv import reference
from rusty_py.ops.conv.geometry import Geometry, geometry_of

from ..each import each_reported
from .convolutions import LAYOUTS, drawn
from .operands import on

pytestmark = pytest.mark.usefixtures("short_kernels")


def test_gradients_over_groups_strides_dilations_and_paddings(unchecked: Device) -> None:
    with each_reported() as case:
        for groups, stride, dilation, padding, layout in product(
            (1, 2, 4), (1, (2, 3)), (1, (2, 1)), (0, (2, 1)), ("NCHW", "NHWC")
        ):
            options: dict[str, Any] = {"stride": stride, "dilation": dilation, "padding": padding}
            options |= {"groups": groups, "layout": layout}
            with case(options):
                geometry = geometry_of("conv2d", stride, padding, dilation, groups, layout)
                shape = geometry.shape(2, 4, (7, 6))
                given = drawn(F32, shape, (8, 4 // groups, 3, 2), (8,), seed=groups)

                def convolved(x: Array, w: Array, b: Array, options: Any = options) -> Array:
                    return rp.conv2d(x, w, bias=b, activation="tanh", **options)

                def exact(*operands: np.ndarray, geometry: Geometry = geometry) -> np.ndarray:
                    return reference.conv2d(*operands, geometry=geometry, activation="tanh")

                rp.gradcheck(convolved, [on(unchecked, each) for each in given], reference=exact, pairs=1)


def test_gradients_of_operands_in_any_layout(unchecked: Device) -> None:
    """Also where the gradient of the result is repeated, as that of a sum, or in another order."""
    x, w, g = drawn(F32, (2, 4, 6, 5), (6, 2, 3, 2), (2, 6, 3, 3), seed=3)
    geometry = Geometry((2, 2), (1, 1), groups=2)
    with each_reported() as case:
        for name, laid in LAYOUTS.items():
            for what in ("one", "others"):
                with case(f"{name}, gradient of the result like {what}"):
                    a, b = laid(unchecked, x), laid(unchecked, w)
                    a.requires_grad = b.requires_grad = True
                    u = np.ones_like(g) if what == "one" else g
                    result = rp.conv2d(a, b, stride=2, padding=1, groups=2)
                    if what == "one":
                        result.sum().backward()
                    else:
                        result.backward(laid(unchecked, g))
                    assert a.grad is not None
                    assert b.grad is not None
                    dx = reference.conv_transpose2d(u, w, geometry=geometry, output_padding=(1, 1))
                    dw = reference.weight_gradient(x, u, geometry=geometry, kernel=(3, 2))
                    np.testing.assert_allclose(a.grad.numpy(), dx, atol=1e-5)
                    np.testing.assert_allclose(b.grad.numpy(), dw, atol=1e-5)


def test_a_backward_pass_computes_only_gradients_that_are_wanted(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, w, bias = (on(unchecked, each) for each in drawn(F32, (1, 2, 6, 5), (4, 2, 3, 3), (4,), seed=1))
    g = on(unchecked, drawn(F32, (1, 4, 4, 3), seed=2)[0])
    applied: list[str] = []

    def profile(name: str) -> AbstractContextManager[None]:
        applied.append(name)
        return nullcontext()

    for wanted, alone in (((x, w), ["conv_transpose2d", "conv2d_weight_gradient"]), ((bias,), ["sum"])):
        for each in (x, w, bias):
            each.requires_grad = any(each is one for one in wanted)
        out = rp.conv2d(x, w, bias=bias)
        with monkeypatch.context() as patch:
            patch.setattr(HOOKS, "profile", profile)
            out.backward(g)
        assert applied == alone
        applied.clear()


def test_second_derivatives(unchecked: Device) -> None:
    x, w = drawn(F32, (1, 2, 5, 4), (4, 1, 2, 3), seed=2)

    def penalty(x: Array, w: Array) -> Array:
        def loss(x: Array, w: Array) -> Array:
            y = rp.conv2d(x, w, groups=2, stride=(2, 1), padding=1)
            return (y * y * y).sum()

        dx, dw = rp.grad(loss, (0, 1))(x, w)
        return (dx * dx).sum() + (dw * dw * dw).sum()

    rp.gradcheck(penalty, [on(unchecked, each) for each in (x, w)], tolerance=5e-3)


def test_the_gradient_of_a_transposed_convolution_with_much_output_padding(unchecked: Device) -> None:
    x, w = drawn(F32, (1, 2, 3, 4), (2, 3, 2, 2), seed=4)
    geometry = Geometry((1, 2), dilation=(3, 4))

    def function(x: Array, w: Array) -> Array:
        return rp.conv_transpose2d(x, w, stride=(1, 2), dilation=(3, 4), output_padding=(2, 3))

    def exact(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        return reference.conv_transpose2d(x, w, geometry=geometry, output_padding=(2, 3))

    rp.gradcheck(function, [on(unchecked, each) for each in (x, w)], reference=exact)
