"""How many bytes of f16 the threads of elementwise kernels load best: by sums of two large arrays."""

from collections.abc import Callable, Mapping

import numpy as np

from rusty_py.dtypes import F16
from rusty_py.errors import DeviceError
from rusty_py.ops.compute import groups_of
from rusty_py.ops.generator import Body, Skeleton, spec, uniforms
from rusty_py.profile.record import ITEM_BYTES
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Launch, prepare

USUAL = 16
_CLEAR_GAIN = 0.01
"""By how much the other choice must be faster than the usual one."""
_PERIOD = 1_048_573  # Of the elements: a prime, so that no two blocks are equal.


def item_bytes(device: Device, nbytes: int, seconds: Callable[[Launch], float]) -> int:
    """The best of `ITEM_BYTES` by `seconds`, with arrays of `nbytes`; `USUAL` of devices without f16.

    Raises DeviceError if a kernel's result is wrong.
    """
    if "shader-f16" not in device.adapter.features:
        return USUAL
    return best({each: _time(device, each // F16.itemsize, nbytes, seconds) for each in ITEM_BYTES})


def best(seconds: Mapping[int, float]) -> int:
    """The choice of the least time; the usual one if that is as fast."""
    return min(seconds, key=lambda each: seconds[each] * (1 - _CLEAR_GAIN * (each == USUAL)))


def _time(device: Device, width: int, nbytes: int, seconds: Callable[[Launch], float]) -> float:
    """The time of a sum of f16, computed `width` elements a thread, and verified."""
    dtype, count = F16, nbytes // F16.itemsize
    rng = np.random.default_rng()
    x, y = (np.resize(rng.random(_PERIOD, np.float32).astype(dtype.numpy), count) for _ in range(2))
    out = device.upload(np.full(count, np.nan, dtype.numpy), label="out")
    skeleton = Skeleton("flat", width, ("vec4", "vec4"))
    launch = prepare(
        device,
        spec(Body(f"add {dtype.wgsl}", (dtype.wgsl,) * 2, dtype.wgsl, "x + y"), skeleton),
        inputs=[device.upload(each, label="in") for each in (x, y)],
        outputs=[out],
        uniforms=uniforms(skeleton, (count,), [0] * 3, [(1,)] * 3, (), operation="calibrate"),
        workgroups=groups_of(device, skeleton, (count,), operation="calibrate"),
        flops=count,
    )
    found = seconds(launch)
    result = np.empty_like(x)
    device.read(out, result)
    if not np.array_equal(result, x + y):
        raise DeviceError(f"calibrate: {launch.spec}: wrong sums")
    return found
