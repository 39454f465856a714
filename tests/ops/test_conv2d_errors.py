"""What convolutions refuse, and how they say so."""

import re
from collections.abc import Callable

import numpy as np
import pytest

import rusty_py as rp
from rusty_py import Array, Device, DtypeError, LimitError, ShapeError, UnsupportedError

from ..each import each_reported

pytestmark = pytest.mark.usefixtures("short_kernels")
ERRORS: dict[str, tuple[type[Exception], Callable[[Array, Array], object]]] = {
    "conv2d: w is (outputs, channels / groups, height, width): (6, 4, 3, 3) for 4 channels": (
        ShapeError,
        lambda x, w: rp.conv2d(x, w, groups=2),
    ),
    "conv2d: groups divide the outputs: 6 in 4 groups": (
        ShapeError,
        lambda x, w: rp.conv2d(x, w[:, :1], groups=4),
    ),
    "conv2d: groups is an integer: 2.0": (ShapeError, lambda x, w: rp.conv2d(x, w, groups=2.0)),  # type: ignore[arg-type]
    "conv2d: stride is a number or a pair of numbers: (1, 2, 3)": (
        ShapeError,
        lambda x, w: rp.conv2d(x, w, stride=(1, 2, 3)),
    ),
    "conv2d: stride is 1 or more: (0, 0)": (ShapeError, lambda x, w: rp.conv2d(x, w, stride=0)),
    "conv2d: dilation is 1 or more: (1, 0)": (ShapeError, lambda x, w: rp.conv2d(x, w, dilation=[1, 0])),
    "conv2d: padding is not negative: (-1, -1)": (ShapeError, lambda x, w: rp.conv2d(x, w, padding=-1)),
    'conv2d: padding is numbers, "same" or "valid": \'full\'': (
        ShapeError,
        lambda x, w: rp.conv2d(x, w, padding="full"),
    ),
    'conv2d: padding "same" needs a stride of 1: (2, 2)': (
        ShapeError,
        lambda x, w: rp.conv2d(x, w, padding="same", stride=2),
    ),
    "conv2d: the kernel exceeds the padded input: (9, 3) with dilation, the input is (8, 9)": (
        ShapeError,
        lambda x, w: rp.conv2d(x, w, padding=(1, 2), dilation=(4, 1)),
    ),
    "conv2d: x has the axes (N, H, W, C), or no N": (
        ShapeError,
        lambda x, w: rp.conv2d(x[0, 0], w, layout="NHWC"),
    ),
    "conv2d: w has 4 axes, and a kernel of 1 x 1 or more": (ShapeError, lambda x, w: rp.conv2d(x, w[0])),
    "conv2d: the bias has an element for each output, (6,)": (
        ShapeError,
        lambda x, w: rp.conv2d(x, w, bias=[1.0]),
    ),
    "conv2d: no such layout: 'CHWN'; choose NCHW or NHWC": (
        LimitError,
        lambda x, w: rp.conv2d(x, w, layout="CHWN"),
    ),
    "conv2d: no such algorithm: 'fast'; choose one of auto, basic, optimized": (
        LimitError,
        lambda x, w: rp.conv2d(x, w, algorithm="fast"),
    ),
    "conv2d: no such activation: 'swish'; choose one of none, relu": (
        LimitError,
        lambda x, w: rp.conv2d(x, w, activation="swish"),
    ),
    "conv2d: not for i32: convert": (DtypeError, lambda x, w: rp.conv2d(x.astype("i32"), w)),
    "conv1d: no such layout: 'NCHW'; choose NCL or NLC": (
        LimitError,
        lambda x, w: rp.conv1d(x, w, layout="NCHW"),
    ),
    "conv1d: x and w have 3 axes, x 2 for one sequence": (ShapeError, lambda x, w: rp.conv1d(x, w)),
    "conv1d: w is (outputs, channels / groups, height, width): (6, 4, 1, 3) for 4 channels": (
        ShapeError,
        lambda x, w: rp.conv1d(x[:, :, 0], w[:, :, 0], groups=2),
    ),
    "conv1d: not for i32: convert": (
        DtypeError,
        lambda x, w: rp.conv1d(x[0, :, 0].astype("i32"), w[:, :, 0]),
    ),
    "conv1d: stride is an integer: (1,)": (
        ShapeError,
        lambda x, w: rp.conv1d(x[0, :, 0], w[:, :, 0], stride=(1,)),  # type: ignore[arg-type]
    ),
    "conv1d: algorithm 'winograd': ": (
        UnsupportedError,
        lambda x, w: rp.conv1d(x[0, :, 0], w[:, :, 0], algorithm="winograd"),
    ),
    "conv2d: groups is an integer: array([1, 2])": (
        ShapeError,
        lambda x, w: rp.conv2d(x, w, groups=np.array([1, 2])),  # type: ignore[arg-type]
    ),
    "conv2d: no such layout: ['NCHW']": (LimitError, lambda x, w: rp.conv2d(x, w, layout=["NCHW"])),  # type: ignore[arg-type]
    "conv2d: no such algorithm: ['auto']": (
        LimitError,
        lambda x, w: rp.conv2d(x, w, algorithm=["auto"]),  # type: ignore[arg-type]
    ),
    "conv2d: no such activation: array(['relu']": (
        LimitError,
        lambda x, w: rp.conv2d(x, w, activation=np.array(["relu"])),  # type: ignore[arg-type]
    ),
    "conv2d: stride is a number or a pair of numbers: (1.0, True)": (  # Equal to (1, 1), which is cached.
        ShapeError,
        lambda x, w: [rp.conv2d(x, w, stride=each) for each in ((1, 1), (1.0, True))],  # type: ignore[arg-type]
    ),
    "conv2d: the padded input is (4294967300, 7) pixels; each is below 2147483648": (
        LimitError,
        lambda x, w: rp.conv2d(x, w, padding=(2**31 - 1, 1), dilation=(2**31 - 1, 1)),
    ),
    "conv_transpose2d: the result is (4294967298, 7) pixels without padding; each is below 2147483648": (
        LimitError,
        lambda x, w: rp.conv_transpose2d(x, w[:4], padding=(2**31 - 1, 0), dilation=(2**31 - 2, 1)),
    ),
    "conv_transpose2d: padding is a number or a pair of numbers: 'same'": (
        ShapeError,
        lambda x, w: rp.conv_transpose2d(x, w, padding="same"),  # type: ignore[arg-type]
    ),
    "conv_transpose2d: w is (channels, outputs / groups, height, width): (6, 4, 3, 3) for 4 channels of x": (
        ShapeError,
        rp.conv_transpose2d,
    ),
    "conv_transpose2d: output_padding is less than the stride or the dilation: (2, 2) for (2, 2)": (
        ShapeError,
        lambda x, w: rp.conv_transpose2d(x, w[:4], stride=2, output_padding=2),
    ),
    "conv_transpose2d: padding leaves no pixels: the result is (0, -1)": (
        ShapeError,
        lambda x, w: rp.conv_transpose2d(x, w[:4], padding=4),
    ),
}


def test_what_cannot_be_computed_is_refused_with_a_way_out(unchecked: Device) -> None:
    x, w = rp.ones((1, 4, 6, 5), device=unchecked), rp.ones((6, 4, 3, 3), device=unchecked)
    with each_reported() as case:
        for message, (kind, call) in ERRORS.items():
            with case(message), pytest.raises(kind, match=f"^{re.escape(message)}"):
                call(x, w)
