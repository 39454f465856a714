"""Small launches with an exact answer, for the tests of batches, graphs and threads."""

import numpy as np
from numpy.typing import NDArray

from rusty_py import Device
from rusty_py.measure.kernels import FILL
from rusty_py.ops import generator
from rusty_py.ops.generator import Body, Skeleton
from rusty_py.runtime.buffer import Buffer
from rusty_py.runtime.launch import Launch, launch, prepare
from rusty_py.shapes import ceil_div

Words = NDArray[np.uint32]

_RNG = np.random.default_rng()

# Neither commutative nor associative, so that a wrong order shows.
_MIX = Body("mix", ("u32", "u32"), "u32", "3u * x + (y ^ (y >> 7u))")
_FLAT = Skeleton("flat", 1, ("scalar", "scalar"))
MIX = generator.spec(_MIX, _FLAT)


def mix_uniforms(count: int) -> list[int]:
    """The uniforms of MIX for `count` words."""
    return generator.uniforms(_FLAT, (count,), (0, 0, 0), [(1,)] * 3, (), operation="mix")


def random_words(count: int) -> Words:
    return _RNG.integers(1, 1 << 32, count, np.uint32)


def words(device: Device, buffer: Buffer) -> Words:
    """All of a buffer."""
    out = np.zeros(buffer.nbytes // 4, np.uint32)
    device.read(buffer, out)
    return out


def fill(device: Device, buffer: Buffer, value: int, *, count: int | None = None, flops: int = 0) -> None:
    """The first `count` words of the buffer, or all, become `value`."""
    count = buffer.nbytes // 4 if count is None else count
    launch(device, FILL, outputs=[buffer], uniforms=(count, value, 256), workgroups=(1, 1, 1), flops=flops)


def prepared_fill(device: Device, buffer: Buffer, value: int) -> Launch:
    uniforms = (buffer.nbytes // 4, value, 256)
    return prepare(device, FILL, outputs=[buffer], uniforms=uniforms, workgroups=(1, 1, 1))


def mix(device: Device, x: Buffer, y: Buffer, out: Buffer) -> None:
    """All words of `out` become those of `mixed`."""
    count = out.nbytes // 4
    groups = ceil_div(count, MIX.threads), 1, 1
    launch(device, MIX, inputs=[x, y], outputs=[out], uniforms=mix_uniforms(count), workgroups=groups)


def mixed(x: Words, y: Words) -> Words:
    return np.uint32(3) * x + (y ^ (y >> np.uint32(7)))
