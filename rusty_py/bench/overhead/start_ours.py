"""Script: starts, computes once with rusty_py, and prints the time of each stage.

Argument: the adapter's index. Nothing else is imported before the clock starts.
"""

import sys
import time


def main() -> None:
    """Start, compute y = 2 x, print."""
    stamps = [time.perf_counter_ns()]

    import numpy as np

    stamps.append(time.perf_counter_ns())

    from rusty_py.measure.kernels import DOUBLE
    from rusty_py.runtime.adapter import choose
    from rusty_py.runtime.device import Device
    from rusty_py.runtime.launch import launch, warm_up

    stamps.append(time.perf_counter_ns())

    from rusty_py.runtime.native import library_version

    library_version()  # Imports wgpu and its backend.
    stamps.append(time.perf_counter_ns())
    adapter = choose(int(sys.argv[1]))
    stamps.append(time.perf_counter_ns())
    device = Device(adapter)
    stamps.append(time.perf_counter_ns())
    warm_up(device, [DOUBLE])
    stamps.append(time.perf_counter_ns())
    x = np.arange(1024, dtype=np.float32)
    buffer = device.upload(x)
    y = device.empty(x.nbytes)
    launch(device, DOUBLE, inputs=[buffer], outputs=[y], workgroups=(4, 1, 1))
    device.wait()
    stamps.append(time.perf_counter_ns())
    out = np.empty_like(x)
    device.read(y, out)
    stamps.append(time.perf_counter_ns())

    import json
    from itertools import pairwise

    stages = [after - before for before, after in pairwise(stamps)]
    print(json.dumps({"right": bool((out == 2 * x).all()), "stages_ns": stages}))


if __name__ == "__main__":
    main()
