"""Convolutions by every algorithm, over shapes, options and layouts, against sums in float64."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

import rusty_py as rp
from rusty_py import Array, Device, DeviceError, LimitError, ShapeError, UnsupportedError
from rusty_py.dtypes import F16, F32
from rusty_py.ops.conv import problems, reference
from rusty_py.ops.conv.geometry import Geometry
from rusty_py.ops.conv.select import ALGORITHMS, WEIGHT_ALGORITHMS
from rusty_py.runtime.throughput import Throughput

from ..each import each_reported
from .convolutions import LAYOUTS, assert_computed, drawn, geometries
from .operands import needs, on
from .placed import limited

pytestmark = pytest.mark.usefixtures("short_kernels")


def in_modes(names: Iterable[str]) -> list[Any]:
    """Parameters: `make test` tries the algorithms that compute everything both checked and unchecked."""
    own = ("basic", "optimized")
    return [pytest.param(each, marks=[] if each in own else [pytest.mark.one_mode]) for each in names]


IN_MODES, WEIGHTS_IN_MODES = in_modes(ALGORITHMS), in_modes(WEIGHT_ALGORITHMS)


@pytest.mark.parametrize("algorithm", IN_MODES)
@settings(max_examples=30)
@given(
    shapes=geometries(),
    finished=st.booleans(),
    layouts=st.tuples(st.sampled_from(list(LAYOUTS)), st.sampled_from(list(LAYOUTS))),
    seed=st.integers(0, 1000),
)
def test_convolutions_of_any_geometry_in_any_layout(
    device: Device, algorithm: str, shapes: Any, finished: bool, layouts: Any, seed: int
) -> None:
    """Some with bias and activation."""
    geometry, x, w = shapes
    operands = drawn(F32, x, w, *[(w[0],)] * finished, seed=seed)
    options = {"geometry": geometry, "activation": "silu" * finished, "algorithm": algorithm}
    with suppress(UnsupportedError):  # Not for these sizes.
        assert_computed(device, "conv2d", operands, layouts, **options)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@settings(max_examples=25)
@given(
    shapes=geometries(),
    more=st.integers(0, 3),
    layouts=st.tuples(st.sampled_from(list(LAYOUTS)), st.sampled_from(list(LAYOUTS))),
    seed=st.integers(0, 1000),
)
def test_transposed_convolutions_of_any_geometry_in_any_layout(
    unchecked: Device, algorithm: str, shapes: Any, more: int, layouts: Any, seed: int
) -> None:
    geometry, x, w = shapes
    size = geometry.out_size(geometry.size(x), w[2:])
    x = geometry.shape(x[0], w[0], size)
    output_padding = tuple(min(more, limit - 1) for limit in geometry.stride)
    if min(geometry.transposed_size(size, w[2:])) < 1:
        return
    operands = drawn(F32, x, w, seed=seed)
    options = {"geometry": geometry, "output_padding": output_padding, "algorithm": algorithm}
    with suppress(UnsupportedError):
        assert_computed(unchecked, "conv_transpose2d", operands, layouts, **options)


@pytest.mark.parametrize("algorithm", WEIGHTS_IN_MODES)
@settings(max_examples=30)
@given(
    shapes=geometries(),
    layouts=st.tuples(st.sampled_from(list(LAYOUTS)), st.sampled_from(list(LAYOUTS))),
    loop_steps=st.sampled_from([2**32 - 1, 200]),
    seed=st.integers(0, 1000),
)
def test_gradients_of_weights_of_any_geometry_in_any_layout(
    device: Device, algorithm: str, shapes: Any, layouts: Any, loop_steps: int, seed: int
) -> None:
    geometry, x, w = shapes
    size = geometry.out_size(geometry.size(x), w[2:])
    operands = drawn(F32, x, geometry.shape(x[0], w[0], size), seed=seed)
    options = {"geometry": geometry, "kernel": w[2:], "algorithm": algorithm}
    device.cache.forget_plans()
    if not device.adapter.is_cpu:  # Where our sums count on loops of any length.
        loop_steps = device.limits.loop_steps
    with suppress(UnsupportedError), limited(device, {"loop_steps": loop_steps}):
        assert_computed(device, "conv2d_weight_gradient", operands, layouts, **options)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_algorithms_in_f16(unchecked: Device, algorithm: str) -> None:
    needs(unchecked, F16)
    with each_reported() as case:
        for sample in [*reference.convolution_samples(), *reference.transposed_samples()]:
            with case(sample.name):
                name = sample.name.partition(" ")[0]
                operands = [x.astype(np.float16) for x in sample.operands]
                with suppress(UnsupportedError):
                    assert_computed(unchecked, name, operands, **sample.options, algorithm=algorithm)


@pytest.mark.parametrize("limit", ["workgroups", "flops"])
def test_grids_and_submissions_of_any_size(
    unchecked: Device, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a device with few workgroups per dimension, and on one that is slow."""
    few = 12 if limit == "workgroups" else unchecked.limits.groups
    if limit == "flops":
        monkeypatch.setattr(Throughput, "flops", lambda *_, **__: 5000)
    grouped, plain = Geometry((1, 1), (1, 1), groups=2), Geometry((1, 1), (1, 1))
    x, w, kernel = (2, 4, 9, 90), (14, 2, 3, 2), (13, 4, 3, 3)
    g = (2, 14, *grouped.out_size((9, 90), (3, 2)))
    cases: list[tuple[str, str, Any, Any]] = [
        *(("conv2d", each, (x, w), {"geometry": grouped}) for each in ALGORITHMS),
        *(("conv2d", each, (x, kernel), {"geometry": plain}) for each in ALGORITHMS),
        *(
            ("conv2d_weight_gradient", each, (x, g), {"geometry": grouped, "kernel": (3, 2)})
            for each in WEIGHT_ALGORITHMS
        ),
    ]
    with each_reported() as case:
        for name, algorithm, shapes, options in cases:
            # Some spread a long axis over two dimensions, which need more.
            groups = 2 if limit == "workgroups" and algorithm in ("basic", "optimized") else few
            with case(f"{name} {algorithm}, {shapes}"), limited(unchecked, {"groups": groups}):
                unchecked.cache.forget_plans()
                with suppress(UnsupportedError):
                    operands = drawn(F32, *shapes, seed=1)
                    assert_computed(unchecked, name, operands, **options, algorithm=algorithm)
    unchecked.cache.forget_plans()


def scipys(x: np.ndarray, w: np.ndarray, stride: int, padding: int, dilation: int) -> np.ndarray:
    """conv2d by scipy.ndimage.correlate, of whose results those with whole windows count."""
    wide = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    taps = np.zeros((*w.shape[:2], *[(size - 1) * dilation + 1 for size in w.shape[2:]]))
    taps[:, :, ::dilation, ::dilation] = w
    found = np.array([[ndimage.correlate(image, each, mode="constant") for each in taps] for image in wide])
    channel, top, left = (size // 2 for size in taps.shape[1:])
    height, width = np.subtract(wide.shape[2:], taps.shape[2:]) + 1
    return found[:, :, channel, top : top + height : stride, left : left + width : stride]


def test_scipy_computes_the_same(unchecked: Device) -> None:
    x, w = drawn(F32, (2, 3, 13, 11), (4, 3, 3, 2), seed=5)
    for stride, padding, dilation in ((1, 0, 1), (2, 1, 1), (3, 2, 2)):
        options = {"stride": stride, "padding": padding, "dilation": dilation}
        found = rp.conv2d(on(unchecked, x), w, **options).numpy()
        np.testing.assert_allclose(found, scipys(x, w, *options.values()), atol=1e-5)


@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d", "conv1d"])
def test_pytorch_computes_the_same(unchecked: Device, name: str) -> None:
    torch = pytest.importorskip("torch")
    x, w, bias = drawn(F32, (2, 4, 9, 11), (4, 2, 3, 2), (4,), seed=5)
    options: dict[str, Any] = {"stride": 2, "padding": 1, "dilation": 2, "groups": 2}
    if name == "conv1d":
        x, w = x[:, :, 0], w[:, :, 0]
    if name == "conv_transpose2d":
        options["output_padding"] = 1
    expected = getattr(torch.nn.functional, name)(*map(torch.tensor, (x, w, bias)), **options)
    found = getattr(rp, name)(on(unchecked, x), w, bias=bias, **options)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-5)


def test_a_transposed_convolution_computes_only_phases_that_have_taps(unchecked: Device) -> None:
    """One of stride s has s * s phases, most of them without taps where the kernel is small."""
    x, w, b = drawn(F32, (1, 2, 2, 3), (2, 3, 2, 1), (3,), seed=4)
    a, kernel = on(unchecked, x), on(unchecked, w)
    geometry = Geometry((200, 300), (2, 0), (3, 1))
    out = rp.zeros((1, 3, 200, 601), device=unchecked)
    assert len(list(problems.transposed(geometry, a, kernel, out, None, ""))) == 2
    options = {"stride": geometry.stride, "padding": geometry.padding, "dilation": geometry.dilation}
    found = rp.conv_transpose2d(a, kernel, bias=b, activation="relu", **options).numpy()
    expected = reference.conv_transpose2d(x, w, b, geometry=geometry, activation="relu")
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_positions_far_outside_and_steps_of_no_consequence(unchecked: Device) -> None:
    """Taps up to 2^30 pixels apart, and strides of results of one pixel, of any size."""
    x, w, g = drawn(F32, (2, 4, 6, 7), (6, 4, 3, 3), (2, 6, 6, 7), seed=4)
    center = np.einsum("nchw,oc->nohw", x, w[:, :, 1, 1])
    corner = np.einsum("ncij,ocij->no", x[:, :, :3, :3], w)[:, :, None, None]
    with each_reported() as case:
        for size in (2**16 + 1, 2**29 + 1, 2**30 - 8):
            with case(size):
                a, b = on(unchecked, x), on(unchecked, w)
                a.requires_grad = b.requires_grad = True
                result = rp.conv2d(a, b, padding="same", dilation=size)
                np.testing.assert_allclose(result.numpy(), center, atol=1e-5)
                result.backward(on(unchecked, g))
                assert a.grad is not None
                assert b.grad is not None
                dx = np.einsum("nohw,oc->nchw", g, w[:, :, 1, 1])
                np.testing.assert_allclose(a.grad.numpy(), dx, atol=1e-5)
                dw = np.zeros_like(w)
                dw[:, :, 1, 1] = np.einsum("nohw,nchw->oc", g, x)
                np.testing.assert_allclose(b.grad.numpy(), dw, atol=1e-5)
        for size in (2**31, 2**40):
            with case(f"stride {size}"):
                found = rp.conv2d(on(unchecked, x), w, stride=size).numpy()
                np.testing.assert_allclose(found, corner, atol=1e-5)


def test_views_of_buffers_larger_than_a_binding(unchecked: Device) -> None:
    x, w = drawn(F32, (2, 3, 6, 5), (4, 3, 3, 3), seed=4)
    many = on(unchecked, np.concatenate([np.full((40, *x.shape[1:]), np.nan, np.float32), x]))
    limits = {"binding_bytes": 4096}
    expected = reference.conv2d(x, w, geometry=Geometry())
    with each_reported() as case:
        for name in ALGORITHMS:
            with case(name), limited(unchecked, limits), suppress(UnsupportedError):
                found = rp.conv2d(many[40:], w, algorithm=name).numpy()
                np.testing.assert_allclose(found, expected, atol=1e-5)
    for name, function in (("conv2d", rp.conv2d), ("conv_transpose2d", rp.conv_transpose2d)):
        own = w if name == "conv2d" else w[:3]
        with limited(unchecked, limits), pytest.raises(LimitError) as refused:
            function(many, own)
        assert str(refused.value).startswith(f"{name}: an array is larger than one binding on ")
        assert str(refused.value).endswith(
            "15120 > 4096 bytes for shape (42, 3, 6, 5); compute parts of the batch"
        )


def test_all_operands_go_to_the_device_of_the_first_array(unchecked: Device) -> None:
    x, w, b = drawn(F32, (1, 2, 4, 5), (3, 2, 2, 2), (3,), seed=1)
    with Device(unchecked.adapter) as other:
        assert rp.conv2d(x, w, bias=on(other, b)).device is other
        for given in ((on(unchecked, x), on(other, w), b), (x, on(other, w), on(unchecked, b))):
            with pytest.raises(DeviceError, match=r"^conv2d: an array of another device: "):
                rp.conv2d(*given[:2], bias=given[2])


def test_sequences_are_images_of_one_row(unchecked: Device) -> None:
    x, w, b = drawn(F32, (2, 4, 11), (6, 2, 3), (6,), seed=1)
    geometry = Geometry((1, 2), (0, 1), (1, 2), 2)
    expected = reference.conv2d(x[:, :, None], w[:, :, None], b, geometry=geometry)[:, :, 0]
    options: dict[str, Any] = {"bias": b, "stride": 2, "padding": 1, "dilation": 2, "groups": 2}
    array = on(unchecked, x)
    np.testing.assert_allclose(rp.conv1d(array, w, **options).numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(rp.conv1d(array[0], w, **options).numpy(), expected[0], atol=1e-5)
    last = rp.conv1d(array.mT, w, **options, layout="NLC")
    np.testing.assert_allclose(last.mT.numpy(), expected, atol=1e-5)
    one = rp.conv1d(array[0].mT, w, **options, layout="NLC")
    np.testing.assert_allclose(one.mT.numpy(), expected[0], atol=1e-5)
    assert rp.conv1d(array, w, groups=2, padding="same").shape == (2, 6, 11)


def test_one_image_needs_no_batch_and_same_padding_keeps_the_size(unchecked: Device) -> None:
    x, w = drawn(F32, (3, 6, 5), (2, 3, 4, 2), seed=1)
    for layout, image in (("NCHW", x), ("NHWC", x.transpose(1, 2, 0))):
        whole = rp.conv2d(on(unchecked, image[None]), w, padding="same", layout=layout)
        one = rp.conv2d(on(unchecked, image), w, padding="same", layout=layout)
        assert one.shape == ((2, 6, 5) if layout == "NCHW" else (6, 5, 2))
        np.testing.assert_array_equal(one.numpy(), whole.numpy()[0])
    zeros = np.pad(x[None], ((0, 0), (0, 0), (1, 2), (0, 1)))  # The larger half comes last.
    same = rp.conv2d(on(unchecked, x), w, padding="same").numpy()
    np.testing.assert_allclose(same, rp.conv2d(on(unchecked, zeros), w).numpy()[0], atol=1e-5)


def test_sums_of_no_terms_are_the_bias(unchecked: Device) -> None:
    b = on(unchecked, np.float32([1, -2]))
    nothing = rp.zeros((1, 0, 3, 3), device=unchecked), rp.zeros((2, 0, 2, 2), device=unchecked)
    found = rp.conv2d(*nothing, bias=b, activation="relu").numpy()
    np.testing.assert_array_equal(found, np.broadcast_to(np.float32([1, 0])[:, None, None], (1, 2, 2, 2)))
    x, w = rp.zeros((0, 3, 4, 4), device=unchecked), rp.ones((2, 3, 3, 3), device=unchecked)
    w.requires_grad = True
    result = rp.conv2d(x, w, padding=1)
    assert result.shape == (0, 2, 4, 4)
    result.sum().backward()
    assert w.grad is not None
    np.testing.assert_array_equal(w.grad.numpy(), np.zeros((2, 3, 3, 3)))
    assert rp.conv2d(rp.zeros((1, 3, 4, 4), device=unchecked), w[:0]).shape == (1, 0, 2, 2)


def test_nan_reaches_the_results_whose_windows_have_it(unchecked: Device) -> None:
    x, w = drawn(F32, (1, 2, 21, 19), (3, 2, 3, 3), seed=1)
    x[0, 1, 9, 17] = np.nan
    expected = np.zeros((21, 19), bool)
    expected[8:11, 16:19] = True
    with each_reported() as case:
        for name in ALGORITHMS:
            if name.startswith("winograd"):  # It reaches the tile of pixels that are computed together.
                continue
            with case(name), suppress(UnsupportedError):
                found = rp.conv2d(on(unchecked, x), w, padding=1, algorithm=name).numpy()
                np.testing.assert_array_equal(np.isnan(found[0]), np.broadcast_to(expected, (3, 21, 19)))


def test_operands_of_two_dtypes_are_computed_in_f32(unchecked: Device) -> None:
    needs(unchecked, F16)
    x, w = drawn(F16, (1, 2, 5, 4), (3, 2, 2, 2), seed=1)
    result = rp.conv2d(on(unchecked, x), w.astype(np.float32))
    assert result.kind is F32
    np.testing.assert_allclose(result.numpy(), reference.conv2d(x, w, geometry=Geometry()), atol=1e-6)


def test_a_call_of_known_layouts_runs_its_plan(unchecked: Device) -> None:
    x, w = (on(unchecked, each) for each in drawn(F32, (1, 2, 5, 4), (3, 2, 2, 2), seed=1))
    rp.conv2d(x, w, stride=[1, 2], padding=(1, 1))
    hits = unchecked.cache.plan_hits
    rp.conv2d(x, w, stride=(1, 2), padding=1)
    assert unchecked.cache.plan_hits == hits + 1


def test_sums_beyond_the_loops_of_a_driver_are_refused(unchecked: Device) -> None:
    x, w = rp.ones((1, 9, 4, 4), device=unchecked), rp.ones((1, 9, 3, 3), device=unchecked)
    with limited(unchecked, {"loop_steps": 90}), pytest.raises(UnsupportedError) as refused:
        rp.conv2d(x, w, algorithm="basic")
    assert str(refused.value).startswith("conv2d: algorithm 'basic': 99 loop iterations exceed the 90 of ")
    assert rp.conv2d(x, w, algorithm="basic").numpy().ravel().tolist() == [81] * 4


def test_a_fused_function_and_a_graph_compute_convolutions(unchecked: Device) -> None:
    x, w = (on(unchecked, each) for each in drawn(F32, (1, 2, 6, 5), (4, 1, 3, 3), seed=1))

    def loss(x: Array, w: Array) -> Array:
        return rp.exp(rp.conv2d(x * 2.0, w, activation="silu", groups=2, stride=2, padding=1)).sum()

    expected = [each.numpy() for each in rp.grad(loss, (0, 1))(x, w)]
    fused = [each.numpy() for each in rp.grad(rp.fuse(loss), (0, 1))(x, w)]
    with unchecked.capture() as graph:
        replayed = rp.grad(loss, (0, 1))(x, w)
    graph.replay()
    for own, each, other in zip(expected, fused, replayed, strict=True):
        np.testing.assert_allclose(each, own, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(other.numpy(), own)


def test_the_plan_says_what_and_why(unchecked: Device) -> None:
    x, w = np.zeros((1, 3, 40, 30), np.float32), np.zeros((8, 3, 3, 3), np.float32)
    plan = rp.conv2d.plan(on(unchecked, x), w, algorithm="basic", stride=2)
    assert str(plan).startswith(
        "1x3x40x30 * 8x3x3x3 -> 1x8x19x14, f32 NCHW, stride (2, 2): basic, a thread per element; predicted "
    )
    assert str(plan).endswith(" ms: requested")
    assert rp.conv2d.plan(x[0], w).why.startswith("the lowest prediction (")
    wide = rp.conv2d.plan(x, w, stride=4, algorithm="optimized")
    assert wide.how == "by basic: a tile with halo, 63x63, exceeds 2560 pixels"
    large = rp.conv2d.plan(np.zeros((1, 1, 40, 40)), np.zeros((1, 1, 10, 10)), algorithm="optimized")
    assert large.how == "by basic: 100 taps exceed 96"
    with pytest.raises(ShapeError, match="nothing to plan"):
        rp.conv2d.plan(x[:, :0], w[:, :0])


def test_on_gpus_basic_takes_over_where_tiles_share_little(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = {
        "tiles of 1x1 kernels have no halo to share": ((1, 16, 56, 56), (64, 16, 1, 1), 1),
        "tiles of 16x16 pixels for 16 outputs would be 19% full": ((2, 4, 7, 7), (16, 4, 3, 3), 1),
        "tiles of 16x16 pixels for 16 outputs would be 6% full": ((1, 8, 16, 16), (8, 1, 3, 3), 8),
        "": ((1, 4, 56, 56), (16, 4, 3, 3), 1),
    }
    for kind in ("CPU", "DiscreteGPU"):
        monkeypatch.setattr(unchecked, "adapter", replace(unchecked.adapter, type=kind))
        for why, (x_shape, w_shape, groups) in shapes.items():
            x, w = (np.zeros(shape, np.float32) for shape in (x_shape, w_shape))
            plan = rp.conv2d.plan(
                on(unchecked, x), w, padding=w_shape[2] // 2, groups=groups, algorithm="optimized"
            )
            taken_over = f"by basic: {why}" if why and kind != "CPU" else "tiles of 16x16 pixels ("
            assert plan.how.startswith(taken_over), (kind, shapes[why])
