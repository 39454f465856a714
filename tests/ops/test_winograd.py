"""Winograd's algorithm: its matrices, chunks, layouts and errors, and what it refuses."""

import re
from fractions import Fraction

import numpy as np
import pytest

import rusty_py as rp
from rusty_py import Device, UnsupportedError, oracle
from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.operation import apply
from rusty_py.ops.conv import reference
from rusty_py.ops.conv.correlation import Correlation, Taps
from rusty_py.ops.conv.geometry import Geometry
from rusty_py.ops.conv.operations import CONV2D, CONV2D_WEIGHT_GRADIENT, CONV_TRANSPOSE2D
from rusty_py.ops.conv.select import ALGORITHMS
from rusty_py.ops.conv.winograd import tiling
from rusty_py.ops.conv.winograd.forms import F2, F4, GRADIENT, Matrix
from rusty_py.ops.conv.winograd.kernels import stores_rows
from rusty_py.ops.conv.winograd.tiling import Tiling
from rusty_py.samples import Sample

from ..each import each_reported
from .operands import on

pytestmark = pytest.mark.usefixtures("short_kernels")

FORMS = {"winograd": F2, "winograd4": F4}
ONES = Geometry((1, 1), (1, 1))


def _drawn(kind: Dtype, *shapes: tuple[int, ...], seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(kind.numpy) for shape in shapes]


def test_the_matrices_compute_correlations_exactly() -> None:
    def applied(matrix: Matrix, x: list[Fraction]) -> list[Fraction]:
        return [sum((a * b for a, b in zip(row, x, strict=True)), Fraction(0)) for row in matrix]

    for form in (*FORMS.values(), GRADIENT):
        d = [Fraction(i * i - 7 * i + 3, 5) for i in range(form.size)]
        g = [Fraction(2), Fraction(-3, 7), Fraction(5)][: form.taps]
        products = [a * b for a, b in zip(applied(form.input, d), applied(form.weights, g), strict=True)]
        direct = [sum(d[i + j] * g[j] for j in range(form.taps)) for i in range(form.outputs)]
        assert applied(form.output, products) == direct


def test_convolutions_of_many_sizes_and_layouts(unchecked: Device) -> None:
    sizes = [(1, 1, 1, 1, 1), (2, 5, 6, 9, 11), (1, 8, 7, 8, 8), (3, 4, 4, 7, 7), (1, 3, 9, 2, 33)]
    with each_reported() as case:
        for name in FORMS:
            for i, (batch, channels, outputs, height, width) in enumerate(sizes):
                for layout in ("NCHW", "NHWC"):
                    for kind in (F32, F16)[: 2 if name == "winograd" and i in (1, 2) else 1]:
                        with case(f"{name} {sizes[i]} {layout} {kind.name}"):
                            geometry = Geometry((1, 1), (1 + i % 3, 2 - i % 3), layout=layout)
                            x = geometry.shape(batch, channels, (height, width))
                            operands = _drawn(kind, x, (outputs, channels, 3, 3), (outputs,), seed=i)
                            _check(unchecked, operands, geometry=geometry, algorithm=name, activation="relu")


def _check(device: Device, operands: list[np.ndarray], **options: object) -> None:
    expected = reference.expected("conv2d", Sample("", tuple(operands), options))
    kind = F16 if operands[0].dtype == np.float16 else F32
    rp.full(expected.reference.shape, np.nan, dtype=kind, device=device)
    result = apply(CONV2D, *(on(device, x) for x in operands), **options)
    assert expected.error(result.numpy()) <= 1


def test_tiles_in_several_chunks(unchecked: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiling, "CHUNK_BYTES", 1 << 15)
    monkeypatch.setattr(tiling, "MIN_TILES", 8)
    with each_reported() as case:
        for name, layout in (("winograd", "NCHW"), ("winograd", "NHWC"), ("winograd4", "NCHW")):
            with case(f"{name} {layout}"):
                geometry = ONES._replace(layout=layout)
                operands = _drawn(F32, geometry.shape(3, 8, (19, 13)), (12, 8, 3, 3))
                _check(unchecked, operands, geometry=geometry, algorithm=name)
                x = on(unchecked, operands[0])
                plan = rp.conv2d.plan(x, on(unchecked, operands[1]), padding=1, layout=layout, algorithm=name)
                assert int(plan.how.split(" chunks")[0].split(" ")[-1]) > 1


def test_views_with_negative_strides_offsets_and_gaps(unchecked: Device) -> None:
    """Results that are written in place: rows of tiles as vectors only where all of them are aligned."""
    x, w = _drawn(F32, (2, 1, 3, 8, 8), (1, 4, 3, 3, 3))
    expected = reference.expected(
        "conv2d", Sample("", (x[:, 0], w[0]), {"geometry": ONES, "algorithm": "winograd"})
    )
    # Of a larger array: its shape, and where the result is in it.
    inside = (slice(None), slice(None), slice(1, 5), slice(2, 10))
    places = {
        "aligned": ((2, 1, 6, 12, 16), (*inside, slice(4, 12)), True),
        "at an odd offset": ((2, 1, 6, 12, 16), (*inside, slice(3, 11)), False),
        "in odd rows": ((2, 1, 6, 12, 17), (*inside, slice(4, 12)), False),
        "every other": ((2, 1, 6, 12, 20), (*inside, slice(1, 17, 2)), False),
        "reversed": ((2, 1, 6, 12, 16), (*inside, slice(11, 3, -1)), False),
    }
    flipped = on(unchecked, np.ascontiguousarray(w[..., ::-1, ::-1]))[..., ::-1, ::-1]
    backwards = on(unchecked, np.ascontiguousarray(x[::-1, ..., ::-1]))[::-1, ..., ::-1]
    with each_reported() as case:
        for name, (shape, key, rows) in places.items():
            with case(name):
                out = rp.full(shape, np.nan, device=unchecked)
                problem = Correlation(backwards, flipped, out[key], Taps((-1, -1)))
                assert stores_rows(problem, Tiling.of(problem.x, problem.out, F2)) == rows
                ALGORITHMS["winograd"].run(unchecked, problem)
                assert expected.error(out[key].numpy()[:, 0]) <= 1
                assert np.isnan(out.numpy()).sum() == out.size - expected.reference.size


def test_the_gradient_of_the_input(unchecked: Device) -> None:
    with each_reported() as case:
        for padding in (0, 1, 2):
            with case(padding):
                geometry = Geometry((1, 1), (padding, padding))
                operands = _drawn(F32, (2, 5, 7, 6), (5, 8, 3, 3), seed=padding)
                options = {"geometry": geometry, "algorithm": "winograd"}
                expected = reference.expected("conv_transpose2d", Sample("", tuple(operands), options))
                result = apply(CONV_TRANSPOSE2D, *(on(unchecked, x) for x in operands), **options)
                assert expected.error(result.numpy()) <= 1


def test_the_gradient_of_the_weights(unchecked: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one chunk and in several, whose products are added up; the last one may have any number of tiles."""
    sizes = [(1, 1, 1, 1, 1), (2, 5, 6, 9, 11), (1, 8, 7, 8, 8), (3, 8, 12, 19, 13), (1, 3, 9, 2, 33)]
    with each_reported() as case:
        for chunk_bytes in (tiling.CHUNK_BYTES, 1 << 14):
            monkeypatch.setattr(tiling, "CHUNK_BYTES", chunk_bytes)
            monkeypatch.setattr(tiling, "MIN_TILES", 8)
            unchecked.cache.forget_plans()
            for i, (batch, channels, outputs, height, width) in enumerate(sizes):
                for layout in ("NCHW", "NHWC"):
                    for kind in (F32, F16)[: 2 if i in (1, 2) else 1]:
                        with case(f"{sizes[i]} {layout} {kind.name}, chunks of {chunk_bytes} bytes"):
                            geometry = Geometry((1, 1), (1 + i % 3, 2 - i % 3), layout=layout)
                            x = geometry.shape(batch, channels, (height, width))
                            size = geometry.out_size((height, width), (3, 3))
                            g = geometry.shape(batch, outputs, size)
                            x, g = _drawn(kind, x, g, seed=i)
                            options = {"geometry": geometry, "kernel": (3, 3), "algorithm": "winograd"}
                            sample = Sample("", (x, g), options)
                            expected = reference.expected("conv2d_weight_gradient", sample)
                            rp.full(expected.reference.shape, np.nan, dtype=kind, device=unchecked)
                            operands = (on(unchecked, each) for each in (x, g))
                            result = apply(CONV2D_WEIGHT_GRADIENT, *operands, **options)
                            assert expected.error(result.numpy()) <= 1
    unchecked.cache.forget_plans()


def test_what_it_does_not_compute_is_refused_by_a_rule(unchecked: Device) -> None:
    x, w = _drawn(F32, (1, 4, 9, 9), (4, 4, 3, 3))
    cases = {
        "takes 3x3 kernels: got 2x3": (x, w[:, :, :2], {}),
        "takes stride 1: got (2, 1)": (x, w, {"stride": (2, 1)}),
        "takes dilation 1: got (1, 2)": (x, w, {"dilation": (1, 2)}),
        "takes one group: got 2": (x, w[:, :2], {"groups": 2}),
    }
    with each_reported() as case:
        for message, (given, weights, options) in cases.items():
            for name in FORMS:
                with case(f"{name} {message}"), pytest.raises(UnsupportedError, match=re.escape(message)):
                    rp.conv2d(on(unchecked, given), on(unchecked, weights), algorithm=name, **options)
        halves = (on(unchecked, each.astype(np.float16)) for each in (x, w))
        with case("f16"), pytest.raises(UnsupportedError, match="too inaccurate for f16"):
            rp.conv2d(*halves, algorithm="winograd4")


def test_auto_never_selects_the_less_accurate_form(unchecked: Device) -> None:
    x, w = (rp.full(shape, 1.0, device=unchecked) for shape in ((4, 64, 64, 64), (64, 64, 3, 3)))
    plan = rp.conv2d.plan(x, w, padding=1)
    assert plan.algorithm != "winograd4"
    assert rp.conv2d.plan(x, w, padding=1, algorithm="winograd4").algorithm == "winograd4"


def test_errors_of_independent_operands_are_those_of_a_direct_sum(unchecked: Device) -> None:
    """In units of the bound of a direct sum, as derived in bound.py."""
    for channels in (64, 256):
        x, w = _drawn(F32, (1, channels, 8, 8), (16, channels, 3, 3), seed=channels)
        geometry = Geometry()
        exact = reference.conv2d(x, w, geometry=geometry)
        deviation = np.sqrt(reference.conv2d(x**2, w**2, geometry=geometry))
        bound = oracle.centred_factor(9 * channels, F32) * deviation
        for name, times in (("winograd", 5 / 9), ("winograd4", 31 / 9)):
            options = {"geometry": geometry, "algorithm": name}
            result = apply(CONV2D, on(unchecked, x), on(unchecked, w), **options).numpy()
            assert np.max(np.abs(result - exact) / bound) <= times


def test_infinities_and_nans_stay_in_their_tiles(unchecked: Device) -> None:
    """In a tile of 2x2 outputs that reads one, none is finite; all others are as they would be without."""
    x, w = _drawn(F32, (1, 4, 12, 12), (4, 4, 3, 3))
    plain = rp.conv2d(on(unchecked, x), on(unchecked, w), algorithm="winograd").numpy()
    reached = np.zeros((10, 10), bool)
    reached[2:6, 4:8] = True  # Four tiles read the pixel.
    for value in (np.inf, np.nan):
        x[0, 1, 5, 7] = value
        result = rp.conv2d(on(unchecked, x), on(unchecked, w), algorithm="winograd").numpy()
        finite = np.isfinite(result)
        assert (finite | reached).all()
        assert not finite[..., 3:6, 5:8].any()
        assert (result == plain)[..., ~reached].all()
