"""Dequantization of blocks of int8 and int4, as ggml packs them, to floats: one launch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from rusty_py import oracle
from rusty_py.arrays import Array, allocate
from rusty_py.dtypes import F16, F32, U32, Dtype, DtypeLike, element
from rusty_py.errors import DtypeError, ShapeError
from rusty_py.operation import OPERATIONS, Operation, apply
from rusty_py.ops.grid import THREADS, groups_of_items
from rusty_py.oracle import Expected
from rusty_py.runtime.launch import Spec, launch
from rusty_py.samples import Sample, Values

BLOCK = 32
"""Elements of a block."""


@dataclass(frozen=True)
class BlockFormat:
    """A packed block: an f16 scale, then BLOCK integers of `bits`; `bias` is subtracted from each."""

    name: str
    bits: int
    bias: int
    wgsl: str

    @property
    def nbytes(self) -> int:
        return 2 + BLOCK * self.bits // 8

    def blocks(self, words: int) -> int:
        """The blocks in a row of so many words. Raises ShapeError if they don't fill it but for 3 bytes."""
        blocks, rest = divmod(4 * words, self.nbytes)
        if rest > 3:
            raise ShapeError(
                f"dequantize: a row is no whole number of blocks: {words} words are {blocks} blocks of"
                f" {self.nbytes} bytes and {rest} bytes; rows are padded to words, 3 bytes at most"
            )
        return blocks

    def words(self, blocks: int) -> int:
        """The words of a row of so many blocks."""
        return -(-blocks * self.nbytes // 4)

    def integers(self, packed: Values) -> Values:
        """Those of blocks: (..., nbytes) bytes to (..., BLOCK) int32."""
        stored = packed[..., 2:]
        if self.bits == 8:
            return stored.view(np.int8).astype(np.int32)
        halves = np.concatenate([stored & 15, stored >> 4], axis=-1)
        return halves.astype(np.int32) - self.bias


_Q8_0 = """
fn integers_at(part: u32) -> u32 {
    return 4u * part;
}
fn integers(word: u32, part: u32) -> vec4<i32> {
    return (vec4<i32>(bitcast<i32>(word)) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u);
}
"""
# A byte holds the elements i and i + 16.
_Q4_0 = """
fn integers_at(part: u32) -> u32 {
    return 4u * (part % 4u);
}
fn integers(word: u32, part: u32) -> vec4<i32> {
    let nibbles = (vec4<u32>(word >> (4u * (part / 4u))) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(15u);
    return vec4<i32>(nibbles) - vec4<i32>(8);
}
"""

FORMATS = {each.name: each for each in (BlockFormat("q8_0", 8, 0, _Q8_0), BlockFormat("q4_0", 4, 8, _Q4_0))}

FormatName = Literal["q8_0", "q4_0"]


def dequantize(x: Array | ArrayLike, /, format: FormatName, *, dtype: DtypeLike = "f32") -> Array:
    """The floats of quantized blocks: a block is 32 integers with one f16 scale, as ggml's Q8_0 and Q4_0.

    x: uint32 (..., words), the packed bytes of rows of blocks, little-endian; the last word of a row may be
    padded. The result is (..., 32 * blocks) f32 or f16. A block of "q8_0" has 34 bytes: the scale d, and
    q_0 to q_31 as int8; elements are d * q_i. A block of "q4_0" has 18: the scale d, and 16 bytes, of which
    byte i has q_i in its lower half and q_(i + 16) in its upper half; elements are d * (q_i - 8). In f32 the
    result is exact, in f16 rounded once. Raises DtypeError, ShapeError, LimitError, OutOfMemory.
    """
    if format not in FORMATS:
        raise DtypeError(f"dequantize: unknown format: {format!r}; choose one of {', '.join(FORMATS)}")
    return apply(DEQUANTIZE, x, format=format, dtype=element(dtype, operation="dequantize"))


def _forward(x: Array, *, format: str = "q8_0", dtype: Dtype = F32) -> Array:
    if x.kind is not U32:
        raise DtypeError(f"dequantize: not for {x.kind.name}: packed blocks are uint32 words")
    if dtype.kind != "f":
        raise DtypeError(f"dequantize: to f32 or f16, not {dtype.name}: convert with .astype")
    if x.ndim < 1:
        raise ShapeError("dequantize: a row of words is needed: shape ()")
    form = FORMATS[format]
    blocks = form.blocks(x.shape[-1])
    out = allocate(x.device, (*x.shape[:-1], BLOCK * blocks), dtype, operation="dequantize")
    x = x if x.contiguous else x.copy()
    count = prod(x.shape[:-1]) * blocks * BLOCK // 4
    if count:
        launch(
            x.device,
            spec(form, dtype),
            inputs=[x.buffer],
            outputs=[out.buffer],
            uniforms=(count, blocks, x.shape[-1], x.offset),
            workgroups=groups_of_items(x.device, count, operation="dequantize"),
            flops=4 * count,
        )
    return out


@cache
def spec(form: BlockFormat, dtype: Dtype) -> Spec:
    """The kernel for a format and the dtype of the result."""
    text = f"alias elem = {dtype.wgsl};\nconst BLOCK_BYTES: u32 = {form.nbytes}u;{form.wgsl}"
    variant = f"{form.name} to {dtype.name}"
    return Spec("quantization/dequantize", 1, 1, THREADS, definitions=text, variant=variant)


def variants() -> list[Spec]:
    """Every kernel that can be launched here."""
    return [spec(form, dtype) for form in FORMATS.values() for dtype in (F32, F16)]


# What to try it with, and what comes of it.


def packed(form: BlockFormat, blocks: int, *shape: int, seed: int = 0) -> Values:
    """Rows of random blocks as words; scales of any size, subnormal ones too."""
    rng = np.random.default_rng(seed)
    stored = rng.integers(0, 256, (*shape, blocks, form.nbytes), dtype=np.uint8)
    scales = (rng.standard_normal((*shape, blocks)) * 2.0 ** rng.integers(-20, 4, (*shape, blocks))).astype(
        "f2"
    )
    stored[..., :2] = scales[..., None].view(np.uint8)
    rows = stored.reshape(*shape, blocks * form.nbytes)
    padding = [*[(0, 0)] * len(shape), (0, 4 * form.words(blocks) - rows.shape[-1])]
    return np.ascontiguousarray(np.pad(rows, padding, constant_values=255)).view("<u4").astype(np.uint32)


def reference(x: Values, *, format: str, dtype: Dtype = F32) -> Values:
    """The elements in float64, which holds them exactly."""
    form = FORMATS[format]
    blocks = form.blocks(x.shape[-1])
    rows = np.ascontiguousarray(x, "<u4").view(np.uint8)[..., : blocks * form.nbytes]
    stored = np.ascontiguousarray(rows).reshape(*x.shape[:-1], blocks, form.nbytes)
    scales = np.ascontiguousarray(stored[..., :2]).view("<f2").astype(np.float64)
    elements: Values = scales * form.integers(stored)
    return elements.reshape(*x.shape[:-1], BLOCK * blocks)


def _expected(sample: Sample) -> Expected:
    (x,) = sample.operands
    exact, dtype = reference(x, **sample.options), sample.options["dtype"]
    if dtype is F16:
        return Expected(exact, oracle.rounding(exact, ulps=0.5, dtype=F16))
    return Expected(exact.astype(np.float32), None)


def _samples() -> Iterator[Sample]:
    for form in FORMATS.values():
        for dtype in (F32, F16):
            options = {"format": form.name, "dtype": dtype}
            yield Sample(f"dequantize {form.name} to {dtype.name}", (packed(form, 5, 3),), options)


DEQUANTIZE = OPERATIONS.add(
    Operation(
        "dequantize",
        _forward,
        function=dequantize,
        kinds="u",
        samples=_samples,
        expected=_expected,
        gradient="its operand is packed integers",
        reference=reference,
    )
)
