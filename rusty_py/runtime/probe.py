"""Device properties that the adapter does not report, measured by a small kernel."""

import numpy as np

from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec, launch

SUBGROUP_SIZE = Spec("probe/subgroup_size", inputs=0, outputs=1, threads=64, has_uniforms=False)


def subgroup_size(device: Device) -> int | None:
    """The subgroup size of this device; None if it has no subgroups."""
    if "subgroup" not in device.adapter.features:
        return None
    size = np.zeros(1, np.uint32)
    buffer = device.upload(size, label="size")
    launch(device, SUBGROUP_SIZE, outputs=[buffer], workgroups=(1, 1, 1))
    device.read(buffer, size)
    return int(size[0])
