"""How many bytes of an array the threads of elementwise kernels take best: by sums of two large arrays."""

from collections.abc import Callable, Mapping
from math import log

import numpy as np

from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.errors import DeviceError
from rusty_py.ops.compute import groups_of, item_width
from rusty_py.ops.generator import Body, Skeleton, spec, uniforms
from rusty_py.profile.record import ITEM_BYTES
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Launch, prepare

USUAL = 16
_CLEAR_GAIN = 0.01
"""By how much another choice must be faster than the usual one."""
_PERIOD = 1_048_573  # Of the elements: a prime, so that no two blocks are equal.

Key = tuple[Dtype, int]


def item_bytes(device: Device, nbytes: int, seconds: Callable[[Launch], float]) -> int:
    """The best of `ITEM_BYTES` by `seconds`, with arrays of `nbytes`.

    Raises DeviceError if a kernel's result is wrong.
    """
    dtypes = [F32, F16] if "shader-f16" in device.adapter.features else [F32]
    return best(
        {(dtype, width): _time(device, dtype, width, nbytes, seconds) for dtype in dtypes for width in (4, 8)}
    )


def best(seconds: Mapping[Key, float]) -> int:
    """The choice whose kernels, by dtype and width, take the least time; the usual one if all are as fast."""

    def expense(choice: int) -> float:
        times = [
            log(seconds[dtype, item_width(dtype.itemsize, choice)]) for dtype in {each for each, _ in seconds}
        ]
        return sum(times) / len(times) - (_CLEAR_GAIN if choice == USUAL else 0)

    return min(ITEM_BYTES, key=expense)


def _time(device: Device, dtype: Dtype, width: int, nbytes: int, seconds: Callable[[Launch], float]) -> float:
    """The time of a sum, computed `width` elements a thread, and verified."""
    count = nbytes // dtype.itemsize
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
