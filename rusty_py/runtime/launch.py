"""Launching kernels: Spec -> pipeline -> EncodedDispatch -> submission.

`launch` validates, binds and records a dispatch into the device's open batch; all operations use it.
`prepare`, `record` and `run` give control over submissions, for benchmarks and long-running work.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import index
from typing import TYPE_CHECKING, Protocol

from rusty_py import shaders
from rusty_py.errors import LimitError, ShaderError
from rusty_py.runtime.buffer import Buffer, BufferBinding, CommandBuffer
from rusty_py.runtime.cache import Pipeline
from rusty_py.runtime.capi import EncodedDispatch, Handle, handle, unchecked_module
from rusty_py.runtime.device import Device
from rusty_py.runtime.uniforms import SLOT_BYTES, SLOT_WORDS, UniformSlot

if TYPE_CHECKING:
    import wgpu

    from rusty_py.runtime.pool import Allocation


RING = "uniform with a dynamic offset"


@dataclass(frozen=True)
class Spec:
    """Everything a pipeline is compiled from; the key of the pipeline cache.

    `name` is the file below wgsl/, without its extension. Bindings: inputs, outputs, uniforms. `threads` and
    `workgroup_bytes` are per workgroup, with the constants applied. The keys of `constants` are as in WebGPU:
    an override's @id number, or its name if it has none. `definitions` is WGSL appended to the file;
    `variant` describes it in messages.
    """

    name: str
    inputs: int
    outputs: int
    threads: int
    workgroup_bytes: int = 0
    constants: tuple[tuple[str, float], ...] = ()
    has_uniforms: bool = True
    definitions: str = ""
    variant: str = ""
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Computed once: hashing eight fields at every launch would take a microsecond.
        key = (self.name, self.constants, self.definitions, self.variant, self.inputs, self.outputs)
        object.__setattr__(self, "_hash", hash(key))

    def __hash__(self) -> int:
        return self._hash

    @property
    def text(self) -> str:
        """The compiled WGSL: the file and its definitions."""
        return shaders.assemble(self.name, self.definitions)

    @property
    def source(self) -> str:
        """The WGSL with the constants applied."""
        return shaders.bake(self.text, self.constants)

    @property
    def entry(self) -> str:
        """The entry point."""
        return "main"

    @property
    def checked(self) -> bool:
        """Whether it is compiled with wgpu's run-time checks on every device."""
        return False

    @property
    def bindings(self) -> tuple[tuple[int, str], ...]:
        """The numbers and WebGPU types of the bindings: inputs, outputs, and the uniforms of a launch."""
        kinds = ["read-only-storage"] * self.inputs + ["storage"] * self.outputs
        return tuple(enumerate(kinds + [RING] * self.has_uniforms))

    def refusal(self, message: str) -> str:
        """The error for a text that the compiler refuses with `message`."""
        return f"{self}: the compiler refuses it: {message}"

    def __str__(self) -> str:
        details = [self.variant] if self.variant else []
        details += [f"{name}={value}" for name, value in self.constants]
        return f"{self.name}[{','.join(details)}]" if details else self.name


@dataclass(frozen=True)
class Launch:
    """One dispatch, ready to be recorded any number of times. `flops` predicts its duration."""

    spec: Spec
    encoded: EncodedDispatch
    buffers: tuple[Buffer | BufferBinding, ...]
    flops: int


def launch(
    device: Device,
    spec: Spec,
    *,
    inputs: Sequence[Buffer | BufferBinding] = (),
    outputs: Sequence[Buffer | BufferBinding],
    uniforms: Sequence[int] = (),
    workgroups: tuple[int, int, int],
    flops: int = 0,
) -> None:
    """Records one dispatch into the open batch. Asynchronous; reading a result waits for it.

    Exception: the first two long dispatches of a kernel are timed synchronously to calibrate its throughput,
    which determines how long work is split into submissions. Parameters and errors are those of `prepare`.
    """
    queue = device.queue
    if not queue.usable:
        device.ensure_usable(spec.name)
    if device.recorders and (recorder := device.recorder) is not None:
        recorder.launch(spec, inputs, outputs, uniforms, workgroups, flops)
        return
    buffers = (*inputs, *outputs)
    with queue.lock:
        check(device, spec, buffers, uniforms, workgroups)
        seconds = flops / device.throughput.rate(spec)
        timed = device.throughput.worth_timing(spec, flops) and not queue.held
        if timed:
            queue.wait()
            start = time.perf_counter()
        encoded = bind(device, spec, buffers, uniforms=uniforms, workgroups=workgroups)
        memories = [buffer.memory for buffer in buffers]
        nbytes = sum([buffer.nbytes for buffer in buffers])
        queue.add([encoded], memories, seconds, nbytes)
        if timed:
            queue.wait()
            device.throughput.observe(spec, flops=flops, seconds=time.perf_counter() - start)


def prepare(
    device: Device,
    spec: Spec,
    *,
    inputs: Sequence[Buffer | BufferBinding] = (),
    outputs: Sequence[Buffer | BufferBinding],
    uniforms: Sequence[int] = (),
    workgroups: tuple[int, int, int],
    flops: int = 0,
) -> Launch:
    """Validates one dispatch against the device's limits and binds its buffers and `uniforms` (u32 words).

    Raises LimitError, DeviceError for unusable buffers, ShaderError if the kernel doesn't compile or a buffer
    is both input and output.
    """
    buffers = (*inputs, *outputs)
    device.ensure_usable(str(spec))
    with device.lock:
        check(device, spec, buffers, uniforms, workgroups)
        return Launch(
            spec, bind(device, spec, buffers, uniforms=uniforms, workgroups=workgroups), buffers, flops
        )


def record(
    device: Device, launches: Iterable[Launch], *, timestamps: tuple["wgpu.GPUQuerySet", int] | None = None
) -> CommandBuffer:
    """A command buffer of `launches` in order. `timestamps`: (query set, index) of its start and end."""
    import wgpu

    device.ensure_usable("record")
    launches = tuple(launches)
    commands = device.queue.commands
    stamped = commands.pass_with_timestamps(*timestamps) if timestamps else None
    try:
        dispatches = [launch.encoded for launch in launches]
        encoded = commands.encode(device.queue.device, dispatches, timestamps=stamped)
    except wgpu.GPUError as error:
        device.queue.refuse_lost("record")
        names = dict.fromkeys(str(launch.spec) for launch in launches)
        raise ShaderError(f"{', '.join(names)}: refused: {error}") from error
    buffers: dict[Buffer | BufferBinding, None] = {}
    for launch in launches:
        buffers.update(dict.fromkeys(launch.buffers))
    return CommandBuffer(device, encoded, buffers)


def run(device: Device, launches: Iterable[Launch]) -> None:
    """Runs `launches` in order, in submissions of about `SUBMISSION_SECONDS` each, and waits for them."""
    for part in submissions(device, launches):
        start = time.perf_counter()
        device.submit(record(device, part))
        device.wait()
        flops = sum(launch.flops for launch in part)
        largest = max(part, key=lambda each: each.flops)
        device.throughput.observe(largest.spec, flops=flops, seconds=time.perf_counter() - start)


def submissions(device: Device, launches: Iterable[Launch]) -> Iterator[list[Launch]]:
    """Groups launches into submissions of limited duration, by the throughput measured so far."""
    part: list[Launch] = []
    seconds = 0.0
    for launch in launches:
        cost = launch.flops / device.throughput.flops(launch.spec)
        if part and seconds + cost > 1.0:
            yield part
            part, seconds = [], 0.0
        part.append(launch)
        seconds += cost
    if part:
        yield part


def warm_up(device: Device, specs: Iterable[Spec]) -> None:
    """Compiles kernels ahead of their first launch. Raises ShaderError and LimitError."""
    device.ensure_usable("warm-up")
    for spec in specs:
        with device.lock:
            _pipeline(device, spec)


def compile_ahead(device: Device, spec: Spec) -> None:
    """Compiles a kernel without the device's lock, so that several threads may do so at a time.

    Raises ShaderError and LimitError.
    """
    device.ensure_usable("warm-up")
    with device.lock:
        if device.cache.pipeline(spec) is not None:
            return
        device.cache.layout(spec.bindings, lambda: _layout(device, spec))
    made = _compile(device, spec)
    with device.lock:
        device.cache.add_pipeline(spec, made)


def check_workgroup(device: Device, spec: Spec) -> None:
    """Raises LimitError if a workgroup of `spec` exceeds the device's limits."""
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


def check(
    device: Device,
    spec: Spec,
    buffers: Sequence[Buffer | BufferBinding],
    uniforms: Sequence[int],
    workgroups: tuple[int, int, int],
    *,
    made: Callable[[Buffer | BufferBinding], bool] | None = None,
) -> None:
    """Validates a dispatch. wgpu misses these errors or aborts the process on them.

    `made`: whether a buffer belongs to the current capture or plan and needs no memory yet.
    """
    if len(buffers) != spec.inputs + spec.outputs:
        raise ShaderError(
            f"{spec}: takes {spec.inputs} inputs and {spec.outputs} outputs, got {len(buffers)} buffers"
        )
    if len(uniforms) > SLOT_WORDS:
        raise LimitError(
            f"{spec}: more uniforms than a launch has room for: {len(uniforms)}, {SLOT_WORDS} words"
        )
    limits = device.limits
    x, y, z = workgroups
    if not (0 <= x <= limits.groups and 0 <= y <= limits.groups and 0 <= z <= limits.groups):
        raise LimitError(
            f"{spec}: more workgroups in one dimension than {device.adapter} allows, or fewer than none:"
            f" {workgroups}, {limits.groups} each"
        )
    read = [buffer.memory for buffer in buffers[: spec.inputs]]
    for i, buffer in enumerate(buffers):
        planned = made is not None and made(buffer)
        if buffer.destroyed or buffer.device is not device or (buffer.memory.unusable_reason and not planned):
            buffer.ensure_usable(str(spec), device)
        if buffer.nbytes > limits.binding_bytes:
            raise LimitError(
                f"{spec}: buffer {buffer.label!r} is larger than one binding on {device.adapter}:"
                f" {buffer.nbytes} > {limits.binding_bytes} bytes"
            )
        if i >= spec.inputs and buffer.memory in read:
            raise ShaderError(f"{spec}: buffer {buffer.label!r} is both input and output")


class Bound(Protocol):
    """A binding: `bound_bytes` of an allocation from byte `start`; `extent` is the key of both."""

    @property
    def memory(self) -> "Allocation": ...

    @property
    def start(self) -> int: ...

    @property
    def extent(self) -> int: ...

    @property
    def bound_bytes(self) -> int: ...


def bind(
    device: Device,
    spec: Spec,
    operands: Sequence[Bound],
    *,
    uniforms: Sequence[int],
    workgroups: tuple[int, int, int],
) -> EncodedDispatch:
    """Encodes a dispatch for the C API. The caller holds the device's lock."""
    pipeline = _pipeline(device, spec)
    queue = device.queue
    slot = queue.uniforms.slot(tuple(uniforms)) if spec.has_uniforms else None
    key = [pipeline.serial, slot.page.serial if slot else 0]
    for operand in operands:
        key.append(operand.memory.serial)
        key.append(operand.extent)
    bound = tuple(key)
    bindings = device.cache.bindings(bound)
    if bindings is None:
        ranges = [(operand.memory.handle, operand.start, operand.bound_bytes) for operand in operands]
        bindings = _bindings(device, spec, pipeline, ranges, slot)
        device.cache.add_bindings(bound, bindings)
    x, y, z = workgroups
    offset_count, offsets = (1, slot.offsets) if slot else (0, queue.commands.null)
    return EncodedDispatch(pipeline.handle, bindings, offset_count, offsets, index(x), index(y), index(z))


def _bindings(
    device: Device,
    spec: Spec,
    pipeline: Pipeline,
    ranges: list[tuple[Handle, int, int]],
    slot: UniformSlot | None,
) -> Handle:
    import wgpu

    if slot is not None:
        ranges.append((handle(slot.page.raw), 0, SLOT_BYTES))
    try:
        numbers = [number for number, _ in spec.bindings]
        return device.queue.commands.bind(device.queue.device, handle(pipeline.layout), ranges, numbers)
    except wgpu.GPUError as error:
        device.queue.refuse_lost(str(spec))
        raise ShaderError(f"{spec}: the buffers do not fit the shader's bindings: {error}") from error


def _pipeline(device: Device, spec: Spec) -> Pipeline:
    """The pipeline of a Spec, compiled once. The caller holds the device's lock."""
    found = device.cache.pipeline(spec)
    if found is None:
        found = _compile(device, spec)
        device.cache.add_pipeline(spec, found)
    return found


def _compile(device: Device, spec: Spec) -> Pipeline:
    import wgpu

    check_workgroup(device, spec)
    try:
        layout = device.cache.layout(spec.bindings, lambda: _layout(device, spec))
        if device.checked or spec.checked:
            module = device.raw.create_shader_module(code=spec.text, label=str(spec))
        else:
            module = unchecked_module(device.raw, spec.text, label=str(spec))
        pipeline = device.raw.create_compute_pipeline(
            label=str(spec),
            layout=device.raw.create_pipeline_layout(bind_group_layouts=[layout]),
            compute={"module": module, "entry_point": spec.entry, "constants": dict(spec.constants)},
        )
    except wgpu.GPUError as error:
        device.queue.refuse_lost(str(spec))
        raise ShaderError(spec.refusal(str(error))) from error
    return Pipeline(device.queue.commands.handle_of(pipeline), layout)


def _layout(device: Device, spec: Spec) -> "wgpu.GPUBindGroupLayout":
    """The bind group layout of `spec.bindings`."""
    ring = {"type": "uniform", "has_dynamic_offset": True}
    entries = [
        {"binding": number, "visibility": "COMPUTE", "buffer": ring if kind == RING else {"type": kind}}
        for number, kind in spec.bindings
    ]
    return device.raw.create_bind_group_layout(entries=entries)
