"""Operands for operations on arrays: dtypes that an adapter may lack, layouts, values."""

import numpy as np
import pytest

from rusty_py import Adapter, Device, array
from rusty_py.arrays import Array
from rusty_py.dtypes import F16, Dtype
from rusty_py.samples import KINDS as KINDS
from rusty_py.samples import values as values


def needs(device: Device, *kinds: Dtype) -> None:
    """Skips a test of dtypes that the device does not compute in."""
    if F16 in kinds and "shader-f16" not in device.adapter.features:
        pytest.skip(f"{device.adapter} has no f16")


def needs_mapping(adapter: Adapter) -> None:
    """Skips a test of storage that the host maps, which discrete GPUs do not offer in their own memory."""
    mapped = adapter.type in ("CPU", "IntegratedGPU") and "mappable-primary-buffers" in adapter.features
    if not mapped:
        pytest.skip(f"{adapter} has no storage that the host maps")


def on(device: Device, x: np.ndarray) -> Array:
    return array(x, device=device)


# What to do with an array of shape (6, 10), NumPy's or ours alike.
LAYOUTS = {
    "rows": lambda x: x,
    "transposed": lambda x: x.T,
    "reversed": lambda x: x[::-1, ::-1],
    "every other": lambda x: x[1::2, ::3],
    "one row": lambda x: x[3],
    "one column": lambda x: x[:, 4],
    "new axes": lambda x: x[None, :, None, 2:7],
    "nothing": lambda x: x[4:4],
    "a number": lambda x: x[2, 7],
}
