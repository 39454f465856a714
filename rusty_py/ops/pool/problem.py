"""A pooling problem as the kernels see it: images and their windows, sizes and strides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rusty_py import shaders
from rusty_py.arrays import Array, allocate
from rusty_py.dtypes import Dtype
from rusty_py.ops.pool.window import Pair, PoolWindow, has_channels_last
from rusty_py.ops.windows import in_one_binding
from rusty_py.runtime.device import Device

Kind = Literal["max", "avg"]

_WORD = 0xFFFFFFFF


@dataclass(frozen=True)
class Pooling:
    """Windows over images (batch, channels, height, width); none of the sizes is 0.

    With `channels_last`, results are (batch, height, width, channels) in memory.
    """

    kind: Kind
    dtype: Dtype
    window: PoolWindow
    shape: tuple[int, int, int, int]
    out: Pair
    channels_last: bool = False

    @classmethod
    def of(cls, kind: Kind, x: Array, window: PoolWindow, *, operation: str) -> Pooling:
        """The pooling of x, (batch, channels, height, width). Raises ShapeError if there is no window."""
        batch, channels, height, width = x.shape
        out = window.out_size((height, width), operation=operation)
        shape = (batch, channels, height, width)
        return cls(kind, x.kind, window, shape, out, has_channels_last(x))

    @property
    def size(self) -> Pair:
        return self.shape[2], self.shape[3]

    @property
    def windows(self) -> int:
        return self.shape[0] * self.shape[1] * self.out[0] * self.out[1]

    @property
    def equal_divisors(self) -> bool:
        return self.window.has_equal_divisors(self.size, self.out)

    def images(self, device: Device, *, operation: str) -> Array:
        """A new array for images, as (batch, channels, height, width)."""
        return self._new(device, self.size, self.dtype, operation)

    def of_windows(self, device: Device, *, dtype: Dtype | None = None, operation: str) -> Array:
        """A new array with an element for each window, as (batch, channels, height, width)."""
        return self._new(device, self.out, dtype or self.dtype, operation)

    def _new(self, device: Device, size: Pair, dtype: Dtype, operation: str) -> Array:
        batch, channels = self.shape[:2]
        if self.channels_last:
            new = allocate(device, (batch, *size, channels), dtype, operation=operation)
            return in_one_binding(new, operation=operation).transpose(0, 3, 1, 2)
        new = allocate(device, (batch, channels, *size), dtype, operation=operation)
        return in_one_binding(new, operation=operation)

    def uniforms(
        self,
        *,
        x: Array | None = None,
        g: Array | None = None,
        v: Array | None = None,
        tasks: tuple[int, int, int] = (0, 0, 0),
    ) -> tuple[int, ...]:
        """The words of `Uniforms` in wgsl/pool2d/uniforms.wgsl; arrays that are not read are omitted."""
        window = self.window
        parameters = (*window.kernel, *window.stride, *window.padding, *window.dilation)
        layouts = [(0,) * 5 if each is None else (each.offset, *each.strides) for each in (x, g, v)]
        words = (*self.shape, *self.out, *parameters, *(word for each in layouts for word in each), *tasks)
        return tuple(word & _WORD for word in words)


def inputs_text(names: tuple[tuple[str, str], ...], out: str) -> str:
    """The bindings of inputs, (name, element type) each, of `out` and of the uniforms, and their block."""
    declared = [
        f"@group(0) @binding({i}) var<storage, read> {name}: array<{held}>;\n"
        for i, (name, held) in enumerate(names)
    ]
    count = len(names)
    declared.append(f"@group(0) @binding({count}) var<storage, read_write> out: array<{out}>;\n")
    declared.append(f"@group(0) @binding({count + 1}) var<uniform> uniforms: Uniforms;\n")
    return "".join(declared) + shaders.read("pool2d/uniforms")
