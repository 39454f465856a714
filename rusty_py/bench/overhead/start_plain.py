"""Script: starts, computes once with plain wgpu-py, and prints the time of each stage.

Arguments: the adapter's name and backend, and the kernel file. The stages are those of start_ours.py.
"""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import wgpu


def main() -> None:
    """Start, compute y = 2 x, print."""
    stamps = [time.perf_counter_ns()]

    import numpy as np

    stamps += [time.perf_counter_ns()] * 2  # There is no rusty_py to import.

    import wgpu
    import wgpu.backends.wgpu_native

    stamps.append(time.perf_counter_ns())
    adapter = _adapter(*sys.argv[1:3])
    stamps.append(time.perf_counter_ns())
    device = adapter.request_device_sync()
    stamps.append(time.perf_counter_ns())
    module = device.create_shader_module(code=Path(sys.argv[3]).read_text(encoding="utf-8"))
    compute = {"module": module, "entry_point": "main", "constants": {"FACTOR": 2}}
    pipeline = device.create_compute_pipeline(layout="auto", compute=compute)
    stamps.append(time.perf_counter_ns())
    x = np.arange(1024, dtype=np.float32)
    usage = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC
    buffers = [
        device.create_buffer_with_data(data=x, usage=usage),
        device.create_buffer(size=4096, usage=usage),
    ]
    entries = [{"binding": i, "resource": {"buffer": buffer}} for i, buffer in enumerate(buffers)]
    bindings = device.create_bind_group(layout=pipeline.get_bind_group_layout(0), entries=entries)
    encoder = device.create_command_encoder()
    commands = encoder.begin_compute_pass()
    commands.set_pipeline(pipeline)
    commands.set_bind_group(0, bindings)
    commands.dispatch_workgroups(4)
    commands.end()
    device.queue.submit([encoder.finish()])
    device._poll_wait()
    stamps.append(time.perf_counter_ns())
    out = np.frombuffer(device.queue.read_buffer(buffers[1]), np.float32)
    stamps.append(time.perf_counter_ns())

    import json
    from itertools import pairwise

    stages = [after - before for before, after in pairwise(stamps)]
    print(json.dumps({"right": bool((out == 2 * x).all()), "stages_ns": stages}))


def _adapter(name: str, backend: str) -> "wgpu.GPUAdapter":
    """The default high-performance adapter; if that is another one, the adapter with this name."""
    import wgpu

    asked = wgpu.gpu.request_adapter_sync(power_preference="high-performance")
    if (asked.info["device"], asked.info["backend_type"]) == (name, backend):
        return asked
    for adapter in wgpu.gpu.enumerate_adapters_sync():
        if (adapter.info["device"], adapter.info["backend_type"]) == (name, backend):
            return adapter
    raise SystemExit(f"no adapter {name} of {backend}")


if __name__ == "__main__":
    main()
