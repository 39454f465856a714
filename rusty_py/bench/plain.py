"""The same work in plain wgpu-py, as the baseline of `overhead` and `transfer`.

Pipelines and bind groups are created once, as its documentation advises. Only the public API is used, except
for waiting, which has only a private name.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rusty_py.runtime.adapter import Adapter
from rusty_py.runtime.launch import Spec

if TYPE_CHECKING:
    import wgpu

Array = NDArray[np.generic]


class Plain:
    """A separate wgpu-py device on `adapter`."""

    def __init__(self, adapter: Adapter) -> None:
        self.device: wgpu.GPUDevice = adapter.raw.request_device_sync(label="plain wgpu-py")
        self.queue = self.device.queue

    def close(self) -> None:
        """Frees the device and its buffers."""
        self.device.destroy()

    def buffer(self, nbytes: int) -> "wgpu.GPUBuffer":
        """A storage buffer."""
        return self.device.create_buffer(size=nbytes, usage=_storage())

    def buffer_with(self, array: Array) -> "wgpu.GPUBuffer":
        """A storage buffer that holds `array`."""
        return self.device.create_buffer_with_data(data=array, usage=_storage())

    def pipeline(self, spec: Spec) -> "wgpu.GPUComputePipeline":
        """`spec` compiled, its layout derived."""
        module = self.device.create_shader_module(code=spec.text)
        compute = {"module": module, "entry_point": "main", "constants": dict(spec.constants)}
        return self.device.create_compute_pipeline(layout="auto", compute=compute)

    def bindings(
        self, pipeline: "wgpu.GPUComputePipeline", buffers: Sequence["wgpu.GPUBuffer"]
    ) -> "wgpu.GPUBindGroup":
        """The buffers in the order of their bindings."""
        entries = [
            {"binding": i, "resource": {"buffer": buffer, "offset": 0, "size": buffer.size}}
            for i, buffer in enumerate(buffers)
        ]
        return self.device.create_bind_group(layout=pipeline.get_bind_group_layout(0), entries=entries)

    def record(
        self,
        pipeline: "wgpu.GPUComputePipeline",
        bindings: Sequence["wgpu.GPUBindGroup"],
        groups: int,
        encoder: "wgpu.GPUCommandEncoder | None" = None,
    ) -> "wgpu.GPUCommandBuffer":
        """One pass with a dispatch for each of `bindings`."""
        encoder = encoder or self.device.create_command_encoder()
        compute = encoder.begin_compute_pass()
        for group in bindings:
            compute.set_pipeline(pipeline)
            compute.set_bind_group(0, group)
            compute.dispatch_workgroups(groups)
        compute.end()
        return encoder.finish()

    def wait(self) -> None:
        """Waits for all submitted work."""
        self.device._poll_wait()

    def fill(self, buffer: "wgpu.GPUBuffer", array: Array) -> None:
        """Copies `array` into the start of `buffer`."""
        self.queue.write_buffer(buffer, 0, array)

    def read(self, buffer: "wgpu.GPUBuffer", nbytes: int | None = None) -> NDArray[np.uint8]:
        """The bytes of `buffer`, after all submitted work."""
        return np.frombuffer(self.queue.read_buffer(buffer, size=nbytes), np.uint8)


def use_for_helper(adapter: Adapter) -> None:
    """Makes `compute_with_buffers` use `adapter`; it keeps the first device it creates."""
    from wgpu.utils import device

    with suppress(RuntimeError):  # There is one already.
        device.preconfigure_default_device("rusty-bench", adapter=adapter.raw)


def compute_with_buffers(spec: Spec, x: Array, groups: int) -> NDArray[np.uint8]:
    """Runs `spec`, with one input and one output of the same size, by wgpu-py's helper, without caching."""
    from wgpu.utils.compute import compute_with_buffers

    constants = dict(spec.constants)
    outputs = compute_with_buffers({0: x}, {1: x.nbytes}, spec.text, constants=constants, n=groups)
    return np.frombuffer(outputs[1], np.uint8)


def _storage() -> int:
    import wgpu

    flags = wgpu.BufferUsage
    return int(flags.STORAGE | flags.COPY_SRC | flags.COPY_DST)
