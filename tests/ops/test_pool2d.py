"""Pooling: every window, layout and kernel against NumPy, and PyTorch where it is installed."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rusty_py as rp
from rusty_py import Array, Device, DtypeError, ShapeError, UnsupportedError
from rusty_py.dtypes import F16, F32
from rusty_py.errors import LimitError
from rusty_py.operation import OPERATIONS, apply
from rusty_py.ops.pool import reference
from rusty_py.ops.pool.tile_sizes import COMMON
from rusty_py.ops.pool.window import PoolWindow, window_of
from rusty_py.samples import Sample, values

from ..each import each_reported
from .operands import needs, on
from .placed import limited

pytestmark = pytest.mark.one_mode
_ACROSS = {"NCHW": (0, 1, 2, 3), "NHWC": (0, 2, 3, 1)}


@pytest.fixture
def gpu(unchecked: Device, monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    """A device for which the kernels of GPUs are chosen."""
    monkeypatch.setattr(unchecked, "adapter", replace(unchecked.adapter, type="DiscreteGPU"))
    unchecked.cache.forget_plans()
    yield unchecked
    unchecked.cache.forget_plans()


def launched(device: Device) -> set[str]:
    """The files of the kernels that plans launch."""
    return {each.spec.name for plan in device.cache.plans.values() for each in plan.dispatches}


def out_shape(shape: tuple[int, ...], window: PoolWindow, layout: str) -> tuple[int, ...]:
    """That of the result for images of `shape` in `layout`."""
    height, width = window.out_size(
        (shape[1], shape[2]) if layout == "NHWC" else shape[2:4], operation="pool"
    )
    if layout == "NHWC":
        return shape[0], height, width, shape[3]
    return (*shape[:2], height, width)


def assert_right(name: str, device: Device, arrays: list[Array], **options: Any) -> None:
    expected = OPERATIONS[name].expected
    assert expected is not None
    sample = Sample(name, tuple(each.numpy() for each in arrays), options)
    result = apply(OPERATIONS[name], *arrays, **options).numpy()
    assert expected(sample).error(result) <= 1, name


def assert_pooled(device: Device, x: Array, window: PoolWindow, layout: str = "NCHW") -> None:
    """Maxima and averages of x, which has no NaN, and their gradients."""
    g = on(device, values(F32, *out_shape(x.shape, window, layout), seed=3).astype(x.dtype))
    size = x.shape[1:3] if layout == "NHWC" else x.shape[2:]
    options = {"window": window, "layout": layout}
    assert_right("max_pool2d", device, [x], **options)
    assert_right("max_pool2d_gradient", device, [g, x], **options)
    assert_right("max_pool2d_selected", device, [x, x], **options)
    if window.dilation == (1, 1):
        assert_right("avg_pool2d", device, [x], **options)
        assert_right("avg_pool2d_gradient", device, [g], size=size, **options)


def ties(shape: tuple[int, ...], *, seed: int = 0) -> np.ndarray:
    """Few different numbers, so that windows have equal maxima."""
    return np.random.default_rng(seed).integers(-2, 3, shape).astype(np.float32)


windows = st.builds(
    lambda kernel, stride, dilation, parts, ceil, include: PoolWindow(
        kernel,
        stride,
        tuple(((k - 1) * d + 1) * part // 6 for k, d, part in zip(kernel, dilation, parts, strict=True)),
        dilation,
        ceil,
        include,
    ),
    *[st.tuples(st.integers(1, 4), st.integers(1, 4))] * 2,
    st.sampled_from([(1, 1), (1, 1), (2, 1), (1, 3)]),
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
    st.booleans(),
    st.booleans(),
)


@settings(max_examples=40)
@given(
    window=windows,
    shape=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(4, 12), st.integers(4, 12)),
    layout=st.sampled_from(["NCHW", "NHWC"]),
    seed=st.integers(0, 99),
)
def test_any_window_over_any_images(
    unchecked: Device, window: PoolWindow, shape: tuple[int, ...], layout: str, seed: int
) -> None:
    x = ties(tuple(shape[i] for i in _ACROSS[layout]), seed=seed)
    try:
        out_shape(x.shape, window, layout)
    except ShapeError:
        with pytest.raises(ShapeError, match=r"^max_pool2d: the window is larger than the image"):
            apply(OPERATIONS["max_pool2d"], on(unchecked, x), window=window, layout=layout)
        return
    assert_pooled(unchecked, on(unchecked, x), window, layout)


CASES = [
    ("2x2", (3, 2, 13, 16), window_of("pool", 2), "NCHW"),
    ("3x3 stride 2 of channels", (1, 13, 11, 8), window_of("pool", 3, 2, 1), "NHWC"),
    ("3x3 stride 2, ceil", (1, 2, 10, 9), window_of("pool", 3, 2, 0, ceil_mode=True), "NCHW"),
    ("3x3, inside", (2, 3, 7, 6), window_of("pool", 3, 1, 1, count_include_pad=False), "NCHW"),
]


def test_kernels_for_gpus_give_the_same(gpu: Device) -> None:
    with each_reported() as case:
        for title, shape, window, layout in CASES:
            with case(title):
                gpu.cache.forget_plans()
                assert_pooled(gpu, on(gpu, ties(shape)), window, layout)
                names = {"pool2d/tiles", "pool2d/tiles_max_gradient", "pool2d/tiles_avg_gradient"}
                assert names <= launched(gpu)


@pytest.mark.slow
def test_every_common_window_in_every_layout_on_gpus(gpu: Device) -> None:
    with each_reported() as case:
        for square in COMMON:
            for shape, layout in (((2, 3, 13, 16), "NCHW"), ((1, 2, 8, 7), "NCHW"), ((1, 13, 10, 4), "NHWC")):
                for ceil, include in ((False, True), (True, True), (True, False)):
                    window = window_of(
                        "pool",
                        square.kernel,
                        square.stride,
                        square.padding,
                        ceil_mode=ceil,
                        count_include_pad=include,
                    )
                    with case(f"{square}, {shape}, {layout}, {ceil}, {include}"):
                        assert_pooled(gpu, on(gpu, ties(shape)), window, layout)


VIEWS = {
    "every other column": lambda x: x[..., ::2],
    "backwards": lambda x: x[:, :, ::-1, ::-1],
    "from an odd column on": lambda x: x[:, :, :, 1:],
    "some channels": lambda x: x[:, 1:],
    "transposed": lambda x: x.swapaxes(2, 3),
    "one row": lambda x: x[:, :, 4:5],
}


@pytest.mark.parametrize("on_gpu", [False, True], ids=["loops", "tiles"])
def test_images_are_found_in_any_view(
    unchecked: Device, request: pytest.FixtureRequest, on_gpu: bool
) -> None:
    device = request.getfixturevalue("gpu") if on_gpu else unchecked
    x = on(device, ties((2, 3, 9, 12)))
    window = window_of("pool", 2, 2, 0, ceil_mode=True)
    with each_reported() as case:
        for title, view in VIEWS.items():
            with case(title):
                assert_pooled(device, view(x), window)
        with case("channels last in memory"):
            assert_pooled(device, on(device, ties((2, 6, 5, 8))).transpose(0, 3, 1, 2), window)
        with case("one value"):
            one = OPERATIONS["broadcast_to"].forward(on(device, ties((1, 1, 1, 1))), shape=(2, 3, 5, 4))
            assert_pooled(device, one, window)


def test_a_gradient_may_be_a_number_for_all(gpu: Device) -> None:
    for layout, shape in (("NCHW", (2, 3, 6, 8)), ("NHWC", (2, 6, 8, 4))):
        x = on(gpu, ties(shape))
        x.requires_grad = True
        window = window_of("pool", 2)
        rp.max_pool2d(x, 2, layout=layout).sum().backward()
        g = np.ones(out_shape(shape, window, layout))
        expected = reference.max_pool_gradient(g, ties(shape), window=window, layout=layout)
        assert x.grad is not None
        np.testing.assert_array_equal(x.grad.numpy(), expected)


@pytest.mark.parametrize("on_gpu", [False, True], ids=["loops", "tiles"])
def test_special_values(unchecked: Device, request: pytest.FixtureRequest, on_gpu: bool) -> None:
    device = request.getfixturevalue("gpu") if on_gpu else unchecked
    special = np.float32([np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-45, 3.4e38, -3.4e38, 1, 2])
    rng = np.random.default_rng(1)
    x = rng.choice(special, (2, 3, 9, 16), p=[0.02, 0.02, 0.05, *[0.91 / 9] * 9]).astype(np.float32)
    x[0, 0] = -np.inf
    x[0, 1, :2, :4] = -np.float32(np.nan)
    infinite = np.where(np.isnan(x), np.inf, x)
    for stride in (1, 2):
        window = window_of("pool", 3, stride, 1)
        assert_right("max_pool2d", device, [on(device, x)], window=window)
        g = np.ones(out_shape(x.shape, window, "NCHW"), np.float32)
        assert_right("max_pool2d_gradient", device, [on(device, g), on(device, infinite)], window=window)
        found = apply(OPERATIONS["max_pool2d_gradient"], on(device, g), on(device, x), window=window).numpy()
        assert found.sum() == g.size  # Each goes to one element.


def test_a_window_without_taps_is_minus_infinity_and_has_no_gradient(unchecked: Device) -> None:
    x = on(unchecked, np.ones((1, 1, 2, 2), np.float32))
    x.requires_grad = True
    y = rp.max_pool2d(x, 2, padding=1, dilation=3)  # Taps at -1 and 2.
    np.testing.assert_array_equal(y.numpy(), np.full((1, 1, 1, 1), -np.inf, np.float32))
    y.backward(on(unchecked, np.ones((1, 1, 1, 1), np.float32)))
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), np.zeros((1, 1, 2, 2), np.float32))


def test_an_image_needs_no_batch(unchecked: Device) -> None:
    a = ties((3, 6, 8))
    for function in (rp.max_pool2d, rp.avg_pool2d):
        whole = function(on(unchecked, a[None]), [2, 4], stride=[2, 1])
        np.testing.assert_array_equal(function(a, (2, 4), stride=(2, 1)).numpy(), whole[0].numpy())
    assert rp.adaptive_avg_pool2d(a, 2).shape == (3, 2, 2)


def test_no_images_give_no_windows(unchecked: Device) -> None:
    for shape, layout in (((0, 3, 5, 6), "NCHW"), ((2, 0, 5, 6), "NCHW"), ((0, 5, 6, 4), "NHWC")):
        x = on(unchecked, np.zeros(shape, np.float32))
        x.requires_grad = True
        for function in (rp.max_pool2d, rp.avg_pool2d):
            y = function(x, 2, layout=layout)
            assert y.shape == out_shape(shape, window_of("pool", 2), layout)
            y.backward(y.detach())
            assert x.grad is not None
            assert x.grad.shape == shape


def test_adaptive_averages_of_equal_parts(unchecked: Device) -> None:
    a = values(F32, 2, 3, 6, 8)
    x = on(unchecked, a)
    mean = a.astype(np.float64).mean((2, 3), keepdims=True)
    np.testing.assert_allclose(rp.adaptive_avg_pool2d(x, 1).numpy(), mean, rtol=1e-6, atol=1e-6)
    last = rp.adaptive_avg_pool2d(x.transpose(0, 2, 3, 1), 1, layout="NHWC")
    np.testing.assert_allclose(last.numpy(), mean.transpose(0, 2, 3, 1), rtol=1e-6, atol=1e-6)
    parts = a.astype(np.float64).reshape(2, 3, 2, 3, 4, 2).mean((3, 5))
    np.testing.assert_allclose(rp.adaptive_avg_pool2d(x, (2, 4)).numpy(), parts, rtol=1e-6, atol=1e-6)
    with pytest.raises(UnsupportedError, match=r"^adaptive_avg_pool2d: the output's size divides.*\(4, 4\)"):
        rp.adaptive_avg_pool2d(x, 4)
    with pytest.raises(DtypeError, match=r"^adaptive_avg_pool2d: not for i32"):
        rp.adaptive_avg_pool2d(np.ones((1, 1, 2, 2), np.int32), 1)


def test_arguments_out_of_range_are_refused(unchecked: Device) -> None:
    x = on(unchecked, np.ones((1, 2, 6, 6), np.float32))
    for call, message in (
        (lambda: rp.max_pool2d(x, 0), r"^max_pool2d: kernel_size is an integer of 1 or more, .*: 0$"),
        (lambda: rp.avg_pool2d(x, 2.0), r"^avg_pool2d: kernel_size is an integer"),
        (lambda: rp.max_pool2d(x, 2, stride=(1, 0)), r"^max_pool2d: stride is .*: \(1, 0\)$"),
        (lambda: rp.max_pool2d(x, 2, stride=(1, 2, 3)), r"^max_pool2d: stride is"),
        (lambda: rp.max_pool2d(x, 2, dilation=0), r"^max_pool2d: dilation is"),
        (lambda: rp.avg_pool2d(x, 3, padding=-1), r"^avg_pool2d: padding is an integer of 0 or more"),
        (lambda: rp.avg_pool2d(x, 3, padding=2), r"^avg_pool2d: padding is at most half of the window"),
        (lambda: rp.max_pool2d(x, 2, ceil_mode=1), r"^max_pool2d: ceil_mode is True or False: 1$"),
        (
            lambda: rp.avg_pool2d(x, 2, count_include_pad=np.ones(2)),
            r"^avg_pool2d: count_include_pad is True",
        ),
        # Equal to (2, 2), which is cached.
        (lambda: [rp.max_pool2d(x, each) for each in ((2, 2), (2.0, 2))], r"^max_pool2d: kernel_size is an"),
        (lambda: rp.max_pool2d(x, 7), r"^max_pool2d: the window is larger than the image"),
        (lambda: rp.max_pool2d(x[0, 0], 2), r"^max_pool2d: x has the axes \(N, C, H, W\), or no N: shape"),
    ):
        with pytest.raises(ShapeError, match=message):
            call()
    with pytest.raises(LimitError, match=r"^max_pool2d: no such layout: 'CHW'; choose NCHW or NHWC"):
        rp.max_pool2d(x, 2, layout="CHW")
    with pytest.raises(LimitError, match=r"^avg_pool2d: no such layout: \['NCHW'\]; choose"):
        rp.avg_pool2d(x, 2, layout=["NCHW"])  # type: ignore[arg-type]
    far = 2**31 - 1
    with pytest.raises(LimitError, match=r"^max_pool2d: image, padding and window are less than 2147483648"):
        rp.max_pool2d(x, 3, stride=1, padding=far, dilation=far)
    near = rp.max_pool2d(x, 3, stride=1, padding=2**29 - 8, dilation=2**29 - 8)
    np.testing.assert_array_equal(near.numpy(), x.numpy())
    with pytest.raises(DtypeError, match=r"^avg_pool2d: not for i32"):
        rp.avg_pool2d(np.ones((1, 1, 2, 2), np.int32), 2)


def test_windows_that_take_too_long_for_a_thread_are_refused(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unchecked, "limits", replace(unchecked.limits, loop_steps=100))
    x = on(unchecked, np.ones((1, 1, 12, 12), np.float32))
    with pytest.raises(LimitError, match=r"^avg_pool2d: "):
        rp.avg_pool2d(x, 11)


def test_views_of_buffers_larger_than_a_binding(unchecked: Device) -> None:
    a = ties((12, 2, 8, 8))
    for function in (rp.max_pool2d, rp.avg_pool2d):
        x = on(unchecked, a)
        whole = function(x, 2).numpy()
        with limited(unchecked, {"binding_bytes": 2048}):
            part = x[9:]
            part.requires_grad = True
            y = function(part, 2)
            np.testing.assert_array_equal(y.numpy(), whole[9:])
            y.backward(on(unchecked, np.ones(y.shape, np.float32)))
            assert part.grad is not None
            assert part.grad.numpy().sum() == y.size
            with pytest.raises(
                LimitError, match=r"_pool2d: an array is larger than one binding on .* 6144 > "
            ):
                function(x, 2)


def test_gradients_of_any_order(unchecked: Device) -> None:
    x = np.random.default_rng(0).permutation(120).reshape(1, 2, 6, 10).astype(np.float32) / 16
    for function in (rp.max_pool2d, rp.avg_pool2d):

        def squares(x: Any, function: Any = function) -> Array:
            return (function(x, 3, stride=2, padding=1) ** 3).sum()

        def slope(x: Any, squares: Any = squares) -> Array:
            return (rp.grad(squares)(x) * values(F32, 1, 2, 6, 10, seed=5)).sum()

        rp.gradcheck(squares, [on(unchecked, x)], tolerance=5e-3)
        rp.gradcheck(slope, [on(unchecked, x)], tolerance=5e-3)


def test_pooling_in_f16(device: Device) -> None:
    needs(device, F16)
    for _, shape, window, layout in CASES[:2]:
        assert_pooled(device, on(device, ties(shape).astype(np.float16)), window, layout)


def test_pytorch_gives_the_same(unchecked: Device) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    a = ties((2, 3, 9, 10))
    for kernel, stride, padding, ceil in (
        (2, 2, 0, False),
        (3, 2, 1, True),
        (3, 1, 1, False),
        (5, 3, 2, True),
    ):
        for kind in ("max", "avg"):
            x, t = on(unchecked, a), torch.from_numpy(a).requires_grad_()
            x.requires_grad = True
            pool = getattr(torch.nn.functional, f"{kind}_pool2d")
            y = getattr(rp, f"{kind}_pool2d")(x, kernel, stride=stride, padding=padding, ceil_mode=ceil)
            u = pool(t, kernel, stride, padding, ceil_mode=ceil)
            np.testing.assert_allclose(y.numpy(), u.detach().numpy(), rtol=1e-6, atol=1e-6)
            g = values(F32, *y.shape)
            y.backward(on(unchecked, g))
            u.backward(torch.from_numpy(g))
            assert x.grad is not None
            np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), rtol=1e-5, atol=1e-5)
