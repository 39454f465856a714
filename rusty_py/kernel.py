"""From a shader to work on the GPU: Spec -> pipeline -> Launch -> submission.

`prepare` checks what wgpu does not, and binds; `record` makes launches into one submission; `run` sends
any number of launches in submissions of bounded length; `launch` is one of each.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rusty_py import native, shaders
from rusty_py.device import Buffer, Device, Recording
from rusty_py.errors import LimitError, ShaderError

if TYPE_CHECKING:
    import wgpu


@dataclass(frozen=True)
class Spec:
    """What is compiled, and so the key of the pipeline cache. What only changes data is not in it.

    `name` is the file below wgsl/, without its ending. Bindings: the inputs, the outputs, then the dims.
    `threads` and `workgroup_bytes` are those of one workgroup, with the constants put in. `definitions` is
    WGSL that the file asks for and that is appended to it; `variant` is what to call it.
    """

    name: str
    inputs: int
    outputs: int
    threads: int
    workgroup_bytes: int = 0
    constants: tuple[tuple[str, int], ...] = ()
    has_dims: bool = True
    definitions: str = ""
    variant: str = ""

    @property
    def text(self) -> str:
        """The WGSL text as it is compiled: the file and its definitions."""
        return shaders.assemble(self.name, self.definitions)

    @property
    def source(self) -> str:
        """The WGSL text with the constants put in."""
        return shaders.bake(self.text, self.constants)

    def __str__(self) -> str:
        details = [self.variant] if self.variant else []
        details += [f"{name}={value}" for name, value in self.constants]
        return f"{self.name}[{','.join(details)}]" if details else self.name


@dataclass(frozen=True)
class Launch:
    """One dispatch, ready to be recorded any number of times. `flops` is its work, for pacing."""

    spec: Spec
    pipeline: "wgpu.GPUComputePipeline"
    bindings: "wgpu.GPUBindGroup"
    buffers: tuple[Buffer, ...]
    workgroups: tuple[int, int, int]
    flops: int


def prepare(
    device: Device,
    spec: Spec,
    *,
    inputs: Sequence[Buffer] = (),
    outputs: Sequence[Buffer],
    dims: Sequence[int] = (),
    workgroups: tuple[int, int, int],
    flops: int = 0,
) -> Launch:
    """Checks one dispatch against the device's limits and binds its buffers and `dims`, u32 each.

    Raises LimitError, DeviceError for unusable buffers, ShaderError where the compiler refuses.
    """
    import wgpu

    device.ensure_usable(str(spec))
    buffers = (*inputs, *outputs)
    _check_limits(device, spec, buffers, workgroups)
    for buffer in buffers:
        buffer.ensure_usable(str(spec), device)
    pipeline = _pipeline(device, spec)
    entries = [
        {"binding": i, "resource": {"buffer": buffer.raw, "offset": 0, "size": buffer.nbytes}}
        for i, buffer in enumerate(buffers)
    ]
    if spec.has_dims:
        words = np.zeros((len(dims) + 3) // 4 * 4, np.uint32)
        words[: len(dims)] = dims
        uniform = device.raw.create_buffer_with_data(data=words, usage=wgpu.BufferUsage.UNIFORM)
        entries.append(
            {"binding": len(buffers), "resource": {"buffer": uniform, "offset": 0, "size": words.nbytes}}
        )
    try:
        layout = pipeline.get_bind_group_layout(0)
        bindings = device.raw.create_bind_group(label=str(spec), layout=layout, entries=entries)
    except wgpu.GPUValidationError as error:
        raise ShaderError(f"{spec}: the buffers do not fit the shader's bindings: {error}") from error
    return Launch(spec, pipeline, bindings, buffers, workgroups, flops)


def record(
    device: Device, launches: Iterable[Launch], *, timestamps: tuple["wgpu.GPUQuerySet", int] | None = None
) -> Recording:
    """One submission of `launches` in order. `timestamps`: where in a query set its start and end go."""
    import wgpu

    device.ensure_usable("record")
    encoder = device.raw.create_command_encoder()
    if timestamps is None:
        compute = encoder.begin_compute_pass()
    else:
        queries, first = timestamps
        compute = encoder.begin_compute_pass(
            timestamp_writes={
                "query_set": queries,
                "beginning_of_pass_write_index": first,
                "end_of_pass_write_index": first + 1,
            }
        )
    buffers: dict[Buffer, None] = {}
    names: dict[Spec, None] = {}
    bound: Launch | None = None
    for launch in launches:
        if bound is None or launch.pipeline is not bound.pipeline:
            compute.set_pipeline(launch.pipeline)
        compute.set_bind_group(0, launch.bindings)
        compute.dispatch_workgroups(*launch.workgroups)
        buffers.update(dict.fromkeys(launch.buffers))
        names[launch.spec] = None
        bound = launch
    try:
        compute.end()
        commands = encoder.finish()
    except wgpu.GPUValidationError as error:
        raise ShaderError(f"{', '.join(map(str, names))}: refused: {error}") from error
    return Recording(device, commands, tuple(buffers))


def run(device: Device, launches: Iterable[Launch]) -> None:
    """Runs `launches` in order, in submissions of about `SUBMISSION_SECONDS`, and waits for them."""
    for part in submissions(device, launches):
        start = time.perf_counter()
        device.submit(record(device, part))
        device.wait()
        flops = sum(launch.flops for launch in part)
        device.pace.observe(part[0].spec, flops=flops, seconds=time.perf_counter() - start)


def submissions(device: Device, launches: Iterable[Launch]) -> Iterator[list[Launch]]:
    """Groups launches so that each group's work fits one submission, at the pace seen so far."""
    part: list[Launch] = []
    seconds = 0.0
    for launch in launches:
        cost = launch.flops / device.pace.flops(launch.spec)
        if part and seconds + cost > 1.0:
            yield part
            part, seconds = [], 0.0
        part.append(launch)
        seconds += cost
    if part:
        yield part


def launch(
    device: Device,
    spec: Spec,
    *,
    inputs: Sequence[Buffer] = (),
    outputs: Sequence[Buffer],
    dims: Sequence[int] = (),
    workgroups: tuple[int, int, int],
) -> None:
    """Runs one dispatch and waits for it. Raises as `prepare` and `Device.submit` do."""
    prepared = prepare(device, spec, inputs=inputs, outputs=outputs, dims=dims, workgroups=workgroups)
    device.submit(record(device, [prepared]))
    device.wait()


def check_workgroup(device: Device, spec: Spec) -> None:
    """Raises LimitError where a workgroup of `spec` is too large for the device."""
    limits = device.limits
    if spec.threads > limits.threads:
        raise LimitError(
            f"{spec}: needs {spec.threads} threads in a workgroup,"
            f" {device.adapter} allows {limits.threads}; try a smaller tile"
        )
    if spec.workgroup_bytes > limits.workgroup_bytes:
        raise LimitError(
            f"{spec}: needs {spec.workgroup_bytes} bytes of workgroup memory,"
            f" {device.adapter} allows {limits.workgroup_bytes}; try a smaller tile"
        )


def _check_limits(
    device: Device, spec: Spec, buffers: Sequence[Buffer], workgroups: tuple[int, int, int]
) -> None:
    check_workgroup(device, spec)
    if len(buffers) != spec.inputs + spec.outputs:
        raise ShaderError(
            f"{spec}: takes {spec.inputs} inputs and {spec.outputs} outputs, got {len(buffers)} buffers"
        )
    if max(workgroups) > device.limits.groups:
        raise LimitError(
            f"{spec}: more workgroups in one dimension than {device.adapter} allows:"
            f" {workgroups}, {device.limits.groups} each"
        )
    for buffer in buffers:
        if buffer.nbytes > device.limits.binding_bytes:
            raise LimitError(
                f"{spec}: buffer {buffer.label!r} is larger than one binding on {device.adapter}:"
                f" {buffer.nbytes} > {device.limits.binding_bytes} bytes"
            )


def _pipeline(device: Device, spec: Spec) -> "wgpu.GPUComputePipeline":
    import wgpu

    with device.lock:  # One compile for a Spec, however many threads ask.
        if spec in device.pipelines:
            return device.pipelines[spec]
        source = spec.text
        try:
            if device.checked:
                module = device.raw.create_shader_module(code=source, label=str(spec))
            else:
                module = native.unchecked_module(device.raw, source, label=str(spec))
            pipeline = device.raw.create_compute_pipeline(
                label=str(spec),
                layout="auto",
                compute={"module": module, "entry_point": "main", "constants": dict(spec.constants)},
            )
        except wgpu.GPUError as error:
            raise ShaderError(f"{spec}: the compiler refuses it: {error}") from error
        device.pipelines[spec] = pipeline
        return pipeline
