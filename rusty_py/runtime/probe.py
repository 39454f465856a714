"""What an adapter does not tell and a small kernel finds out."""

import numpy as np

from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec, launch

SUBGROUP_SIZE = Spec("probe/subgroup_size", inputs=0, outputs=1, threads=64, has_uniforms=False)


def subgroup_size(device: Device) -> int | None:
    """Threads that run in step on this device; None where the adapter has no subgroups."""
    if "subgroup" not in device.adapter.features:
        return None
    size = np.zeros(1, np.uint32)
    buffer = device.upload(size, label="size")
    launch(device, SUBGROUP_SIZE, outputs=[buffer], workgroups=(1, 1, 1))
    device.read(buffer, size)
    return int(size[0])
