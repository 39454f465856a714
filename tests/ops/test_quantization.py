"""Blocks of int8 and int4 become the floats that their bytes stand for."""

import struct

import numpy as np
import pytest

import rusty_py as rp
from rusty_py import Device, DtypeError, ShapeError
from rusty_py.dtypes import F32
from rusty_py.ops.quantization import FORMATS, packed, reference

from ..each import each_reported
from .operands import on


def test_a_block_is_what_ggml_documents() -> None:
    scale = struct.pack("<e", 0.5)
    q8 = scale + struct.pack("<32b", *range(-16, 16)) + b"\xff\xff"  # Padded to words.
    q4 = scale + bytes(i | (15 - i) << 4 for i in range(16)) + b"\xff\xff"
    with each_reported() as case:
        for name, text, expected in (
            ("q8_0", q8, [0.5 * i for i in range(-16, 16)]),
            ("q4_0", q4, [0.5 * (i - 8) for i in [*range(16), *reversed(range(16))]]),
        ):
            with case(name):
                words = np.frombuffer(text, "<u4")
                assert reference(words, format=name).tolist() == expected
                assert rp.dequantize(words, name).tolist() == expected


def test_rows_of_any_number_of_blocks_in_any_layout(unchecked: Device) -> None:
    with each_reported() as case:
        for name, form in FORMATS.items():
            for blocks in (1, 2, 7):
                x = packed(form, blocks, 3, 4, seed=blocks)
                for layout, seen in {
                    "rows": lambda x: x,
                    "every other row": lambda x: x[1:, ::2],
                    "axes exchanged": lambda x: x.transpose(1, 0, 2),
                    "no rows": lambda x: x[:0],
                }.items():
                    with case(f"{name}, {blocks} blocks, {layout}"):
                        result = rp.dequantize(seen(on(unchecked, x)), name)
                        expected = reference(np.ascontiguousarray(seen(x)), format=name)
                        assert result.shape == expected.shape
                        np.testing.assert_array_equal(result.numpy(), expected.astype(np.float32))


def test_scales_that_are_not_finite_are_kept(unchecked: Device) -> None:
    x = packed(FORMATS["q8_0"], 3)
    x.view(np.uint8)[: 3 * 34].reshape(3, 34)[:, :2] = (
        np.array([np.inf, np.nan, 2.0**-24], "<f2").view(np.uint8).reshape(3, 2)
    )
    with np.errstate(invalid="ignore"):
        expected = reference(x, format="q8_0").astype(np.float32)
    np.testing.assert_array_equal(rp.dequantize(on(unchecked, x), "q8_0").numpy(), expected)


def test_what_is_no_row_of_blocks_is_refused(unchecked: Device) -> None:
    words = on(unchecked, np.zeros((2, 12), np.uint32))
    with pytest.raises(ShapeError, match=r"^dequantize: .*: 12 words are 1 blocks of 34 bytes and 14 bytes;"):
        rp.dequantize(words, "q8_0")
    with pytest.raises(ShapeError, match=r"^dequantize: a row of words is needed: shape \(\)$"):
        rp.dequantize(words[0, 0], "q8_0")
    with pytest.raises(DtypeError, match=r"^dequantize: unknown format: 'q5_0'; choose one of q8_0, q4_0$"):
        rp.dequantize(words, "q5_0")  # type: ignore[arg-type]
    with pytest.raises(DtypeError, match=r"^dequantize: not for f32: packed blocks are uint32 words$"):
        rp.dequantize(words.astype(F32), "q8_0")
    with pytest.raises(DtypeError, match=r"^dequantize: to f32 or f16, not i32: convert with \.astype$"):
        rp.dequantize(words[:, :9], "q8_0", dtype="i32")
