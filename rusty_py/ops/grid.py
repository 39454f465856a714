"""How many workgroups a launch over elements has."""

from rusty_py.errors import LimitError
from rusty_py.runtime.device import Device
from rusty_py.shapes import ceil_div

THREADS = 256

# Loop steps of an element at most: its axes, or a power's bits.
_STEPS = 40


def groups_for(device: Device, count: int, *, operation: str, steps: int = _STEPS) -> int:
    """Workgroups for `count` results of `steps` loop steps each, of which a thread may have to do several.

    Raises LimitError where that is more than the device's loops can.
    """
    groups = min(ceil_div(count, THREADS), device.limits.groups)
    refuse_long(device, count, ceil_div(count, groups * THREADS) * steps, operation)
    return groups


def groups_of_items(device: Device, count: int, *, operation: str) -> tuple[int, int, int]:
    """Workgroups of which each thread computes one of `count` items: in two dimensions if they are many.

    Raises LimitError where these are more than the device takes.
    """
    groups, limit = ceil_div(count, THREADS), device.limits.groups
    rows = ceil_div(groups, limit)
    if rows > limit:
        raise LimitError(
            f"{operation}: {count} items are more than {device.adapter} computes at once: {groups}"
            f" workgroups, {limit} x {limit} at most; compute in parts"
        )
    return (ceil_div(groups, rows), rows, 1) if rows > 1 else (groups, 1, 1)


def groups_of_box(device: Device, x: int, y: int, z: int, *, operation: str) -> tuple[int, int, int]:
    """Workgroups for x by y by z results, a thread for each along x. Raises LimitError as `groups_for`."""
    limit = device.limits.groups
    groups = min(ceil_div(x, THREADS), limit), min(y, limit), min(z, limit)
    steps = ceil_div(x, groups[0] * THREADS) * ceil_div(y, groups[1]) * ceil_div(z, groups[2]) * _STEPS
    refuse_long(device, x * y * z, steps, operation)
    return groups


def refuse_long(device: Device, count: int, steps: int, operation: str) -> None:
    """Raises LimitError where a thread takes more loop steps than the device's loops can."""
    if steps > device.limits.loop_steps:
        raise LimitError(
            f"{operation}: {count} elements are more than {device.adapter} computes at once: {steps} steps of"
            f" a thread in {device.limits.groups} groups a dimension, {device.limits.loop_steps} at most;"
            " compute in parts"
        )
