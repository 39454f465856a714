"""Verification of convolutions: what passes, and what is found."""

from itertools import product
from typing import Any

import numpy as np
import pytest

from rusty_py.bench.conv_suite import shapes_of
from rusty_py.bench.convolutions import Convolution
from rusty_py.dtypes import F16, F32
from rusty_py.measure.conv_verification import ConvVerifier
from rusty_py.measure.references.convolution import conv2d

PLAIN = Convolution(9, 8, 4, 6, batch=2)
FULL = {"every element": 1 << 40, "samples": 0}


def verifier(each: Convolution = PLAIN, layout: str = "NCHW", **options: Any) -> ConvVerifier:
    rng = np.random.default_rng()
    return ConvVerifier(shapes_of(each, layout), each.options, rng=rng, layout=layout, **options)


def direct(each: Convolution, x: Any, w: Any) -> Any:
    """The definition, product by product, in NCHW."""
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), *[(each.pad, each.pad)] * 2))
    out = np.zeros((each.batch, each.outputs, each.out_height, each.out_width))
    inputs, outputs = each.channels // each.groups, each.outputs // each.groups
    for output, i, j in np.ndindex(each.outputs, each.kernel, each.kernel):
        first = output // outputs * inputs
        for c in range(inputs):
            rows = slice(i * each.dilation, None, each.stride)
            plane = padded[:, first + c, rows, j * each.dilation :: each.stride]
            out[:, output] += w[output, c, i, j] * plane[:, : each.out_height, : each.out_width]
    return out


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_the_definition_passes_for_all_parameters_and_so_does_numpy(layout: str) -> None:
    for kernel, stride, padding, dilation, groups in product((1, 3), (1, 2), (0, 1), (1, 2), (1, 2)):
        each = Convolution(9, 8, 4, 6, 2, kernel, stride, padding, dilation, groups)
        for full_flops in FULL.values():
            checked = verifier(each, layout, full_flops=full_flops)
            x = checked.x if layout == "NCHW" else checked.x.transpose(0, 3, 1, 2)
            out = direct(each, x, checked.w)
            out = out if layout == "NCHW" else out.transpose(0, 2, 3, 1)
            for result in (out, conv2d(checked.x, checked.w, layout=layout, **each.options)):
                assert checked.compare(np.ascontiguousarray(result.astype(np.float32))).ok, each.name


@pytest.mark.parametrize("full", FULL)
def test_a_single_wrong_element_is_found(full: str) -> None:
    for dtype, off in ((F32, 1e-3), (F16, 1.0)):
        checked = verifier(dtype=dtype, full_flops=FULL[full])
        good = conv2d(checked.x.astype(np.float32), checked.w.astype(np.float32), **PLAIN.options)
        result = good.astype(dtype.numpy)
        assert checked.compare(result).ok
        result.reshape(-1)[result.size // 3] += off
        assert checked.compare(result).fault


def test_of_many_elements_those_that_are_not_sampled_are_found_by_signed_sums() -> None:
    large = Convolution(64, 64, 2, 4)
    checked = verifier(large, full_flops=0)
    result = conv2d(checked.x, checked.w, **large.options)
    *_, rows, columns = checked._places
    taken = {*zip(rows.tolist(), columns.tolist(), strict=True)}
    free = next(each for each in product(range(64), range(64)) if each not in taken)
    result[0, 3, *free] += 0.1
    assert "the channels of 1 of 4,096 pixels of image 0 are wrong" in checked.compare(result).fault


def test_reduced_precision_unwritten_elements_and_other_shapes_are_found() -> None:
    for full_flops in FULL.values():
        large = Convolution(16, 16, 64, 8)
        checked, options = verifier(large, full_flops=full_flops), large.options
        rounded = [each.astype(np.float16).astype(np.float32) for each in (checked.x, checked.w)]
        assert checked.compare(conv2d(*rounded, **options)).fault
        result = conv2d(checked.x, checked.w, **options)
        result.view(np.uint32)[0, 0, 0, 0] = 0xFFE5_FFE5
        assert "never written" in checked.compare(result).fault
        assert checked.compare(result[0]).method == "shape"
