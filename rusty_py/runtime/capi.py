"""Direct calls to wgpu-native's C API, for launches, transfers and what wgpu-py 0.32 does not wrap.

C handles are only used here: elsewhere they are opaque.

A launch costs about 25 us of Python through wgpu-py and about 2 us here. Objects are released when the last
reference to their handle is dropped. An invalid command raises an exception when its encoder is finished; an
invalid submission would abort the process, so queue.py validates before it submits.
"""

import itertools
import re
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache, partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from rusty_py.errors import DeviceError
from rusty_py.runtime import native

if TYPE_CHECKING:
    import wgpu

Handle = Any
"""A cffi pointer that owns a reference to its object."""


# The C types used here and by wgpu-py 0.32 up to a first launch.
_TYPES = (
    "char *",
    "char[]",
    "char []",
    "uint32_t[1]",
    "uintptr_t",
    "void *",
    "WGPUAdapterInfo *",
    "WGPUAdapter[]",
    "WGPUBindGroupDescriptor *",
    "WGPUBindGroupEntry[]",
    "WGPUBindGroupLayoutDescriptor *",
    "WGPUBindGroupLayoutEntry *",
    "WGPUBindGroupLayoutEntry[]",
    "WGPUBindGroupLayout[]",
    "WGPUBufferBindingLayout *",
    "WGPUBufferDescriptor *",
    "WGPUBufferMapCallbackInfo *",
    "WGPUChainedStruct *",
    "WGPUChainedStruct * ",
    "WGPUComputePassDescriptor *",
    "WGPUComputePipelineDescriptor *",
    "WGPUComputeState *",
    "WGPUConstantEntry *",
    "WGPUConstantEntry[]",
    "WGPUDeviceDescriptor *",
    "WGPUDeviceExtras *",
    "WGPUDeviceLostCallbackInfo *",
    "WGPUFeatureName[]",
    "WGPUInstanceDescriptor *",
    "WGPUInstanceExtras *",
    "WGPULimits *",
    "WGPUNativeLimits *",
    "WGPUPassTimestampWrites *",
    "WGPUPipelineLayoutDescriptor *",
    "WGPUQuerySetDescriptor *",
    "WGPUQueueDescriptor *",
    "WGPUQueueWorkDoneCallbackInfo *",
    "WGPURequestDeviceCallbackInfo *",
    "WGPUShaderModuleDescriptor *",
    "WGPUShaderSourceWGSL *",
    "WGPUUncapturedErrorCallbackInfo *",
)
# And the functions that wgpu-py makes into callbacks up to a first launch.
_FUNCTIONS = (
    "void(WGPURequestDeviceStatus, WGPUDevice, WGPUStringView, void *, void *)",
    "void(WGPUDevice const *, WGPUDeviceLostReason, WGPUStringView, void *, void *)",
    "void(WGPUDevice const *, WGPUErrorType, WGPUStringView, void *, void *)",
)


@cache
def types() -> dict[str, Any]:
    """The C types by name. Parsing them at once halves the time to a first launch.

    cffi parses all of wgpu's header again for every new type name, 10 ms each; here all names are in one
    declaration, with arrays as pointers to arrays.
    """
    from wgpu.backends.wgpu_native import ffi

    pointers = [re.sub(r"\s*(\[.*])", r" (*)\1", name) for name in _TYPES]
    pointers += [name.replace("(", "(*)(", 1) for name in _FUNCTIONS]
    declaration = f"void (*)({', '.join(pointers)})"
    function = ffi.typeof(declaration)
    named = {
        name: ctype.item if name.endswith("]") else ctype
        for name, ctype in zip(_TYPES, function.args[: len(_TYPES)], strict=True)
    }
    known = getattr(ffi, "_parsed_types", {})  # Not public in cffi: only used if it has the expected form.
    if known.get(declaration) == (function, False):
        functions = zip(_FUNCTIONS, function.args[len(_TYPES) :], strict=True)
        # A function is known as the pointer to it, and as no pointer.
        parsed = {name: (ctype, False) for name, ctype in named.items()}
        parsed |= {name: (ctype, True) for name, ctype in functions}
        known.update({name: each for name, each in parsed.items() if name not in known})
    return named


def handle(raw: Any) -> Handle:
    """The C handle of an object of wgpu-py, which must stay alive as long as it is used."""
    return raw._internal


class EncodedDispatch(NamedTuple):
    """One dispatch with its bind group, ready for `CApi.encode`."""

    pipeline: Handle
    bindings: Handle
    offset_count: int
    offsets: Handle
    x: int
    y: int
    z: int


class Copy(NamedTuple):
    """`size` bytes, a multiple of 4, from one buffer to another."""

    source: Handle
    source_start: int
    target: Handle
    target_start: int
    size: int


class CApi:
    """wgpu-native's functions and callbacks. A singleton, returned by `commands()`.

    `instrument` wraps the library, so that a benchmark can time the calls.
    """

    def __init__(self, instrument: Callable[[Any], Any] | None = None) -> None:
        import wgpu
        from wgpu.backends.wgpu_native import _api, ffi, lib

        self.Error = wgpu.GPUError
        """The exception of calls that wgpu rejects."""
        self.ffi, self.lib, self.raising = ffi, lib, _api.libf
        if instrument is not None:
            self.lib = lib = instrument(lib)
            self.raising = _api.SafeLibCalls(lib, _api.error_handler)
        self.null, self.types = ffi.NULL, types()
        self._empty_layout = ffi.new(self.types["WGPUBindGroupLayoutDescriptor *"])
        self._tokens = itertools.count(1)
        self._answers: dict[int, int] = {}
        self._interrupted: dict[int, BaseException] = {}
        self._free_pipeline = _unless_forked(lib.wgpuComputePipelineRelease)
        self._free_bindings = _unless_forked(lib.wgpuBindGroupRelease)
        self._free_commands = _unless_forked(lib.wgpuCommandBufferRelease)

        def answer(status: int, message: object, token: Handle, unused: object) -> None:
            self._answers[int(ffi.cast(self.types["uintptr_t"], token))] = status

        def interrupted(kind: type, error: BaseException, trace: TracebackType) -> None:
            """Ctrl-C inside `answer`: cffi would drop both, so `idle` re-raises it outside of C."""
            called_with = trace.tb_frame.f_locals
            answer(called_with["status"], None, called_with["token"], None)
            self._interrupted[threading.get_ident()] = error

        # cffi frees a callback with its object, so keep references.
        self._map_done, self._work_done = (
            ffi.callback(dict(self.types[info].item.fields)["callback"].type, answer, onerror=interrupted)
            for info in ("WGPUBufferMapCallbackInfo *", "WGPUQueueWorkDoneCallbackInfo *")
        )
        polled = lib.WGPUCallbackMode_AllowProcessEvents
        self._map_answer = {"mode": polled, "callback": self._map_done}
        self._work_answer = {"mode": polled, "callback": self._work_done}
        self._map_modes = lib.WGPUMapMode_Read, lib.WGPUMapMode_Write

    def handle_of(self, pipeline: "wgpu.GPUComputePipeline") -> Handle:
        """The pipeline's handle, with a reference of its own."""
        borrowed = handle(pipeline)
        self.lib.wgpuComputePipelineAddRef(borrowed)
        return self.ffi.gc(borrowed, self._free_pipeline)

    def bind(
        self,
        device: Handle,
        layout: Handle,
        ranges: Sequence[tuple[Handle, int, int]],
        numbers: Sequence[int],
    ) -> Handle:
        """A bind group of (buffer, start, size) ranges with these binding numbers."""
        entries = self.ffi.new(self.types["WGPUBindGroupEntry[]"], len(ranges))
        for i, (buffer, start, size) in enumerate(ranges):
            entry = entries[i]
            entry.binding, entry.buffer, entry.offset, entry.size = numbers[i], buffer, start, size
        descriptor = self.ffi.new(self.types["WGPUBindGroupDescriptor *"])
        descriptor.layout, descriptor.entryCount, descriptor.entries = layout, len(ranges), entries
        group = self.raising.wgpuDeviceCreateBindGroup(device, descriptor)
        return self.ffi.gc(group, self._free_bindings)

    def bytes_of(self, data: Any) -> Handle:
        """A pointer to the memory of a buffer of Python's, which must stay alive as long as it is used."""
        return self.ffi.from_buffer(data)

    def offsets(self, offset: int) -> Handle:
        """A dynamic offset for `EncodedDispatch.offsets`."""
        return self.ffi.new(self.types["uint32_t[1]"], [offset])

    def encode(
        self,
        device: Handle,
        dispatches: Sequence[EncodedDispatch],
        copies: Sequence[Copy] = (),
        *,
        timestamps: Handle | None = None,
    ) -> Handle:
        """A command buffer of `dispatches` in one compute pass, followed by `copies`.

        `timestamps`: from `pass_with_timestamps`. Raises `Error` if wgpu rejects a command or the device is
        lost.
        """
        encoder = self.lib.wgpuDeviceCreateCommandEncoder(device, self.null)
        try:
            if dispatches or timestamps:
                self._encode_pass(encoder, dispatches, timestamps or self.null)
            for copy in copies:
                self.lib.wgpuCommandEncoderCopyBufferToBuffer(encoder, *copy)
        finally:
            finished = self._finish(encoder)
        return finished

    def _encode_pass(
        self, encoder: Handle, dispatches: Sequence[EncodedDispatch], timestamps: Handle
    ) -> None:
        lib = self.lib
        set_pipeline = lib.wgpuComputePassEncoderSetPipeline
        set_bindings = lib.wgpuComputePassEncoderSetBindGroup
        dispatch = lib.wgpuComputePassEncoderDispatchWorkgroups
        compute = lib.wgpuCommandEncoderBeginComputePass(encoder, timestamps)
        last_pipeline = last_bindings = last_offsets = None
        try:
            for pipeline, bindings, offset_count, offsets, x, y, z in dispatches:
                if pipeline is not last_pipeline:
                    set_pipeline(compute, pipeline)
                    last_pipeline = pipeline
                # A bind group belongs to one pipeline, so it stays valid while set.
                if bindings is not last_bindings or offsets is not last_offsets:
                    set_bindings(compute, 0, bindings, offset_count, offsets)
                    last_bindings, last_offsets = bindings, offsets
                dispatch(compute, x, y, z)
        finally:
            lib.wgpuComputePassEncoderEnd(compute)
            lib.wgpuComputePassEncoderRelease(compute)

    def pass_with_timestamps(self, queries: "wgpu.GPUQuerySet", first: int) -> Handle:
        """A pass descriptor that writes the start time to query `first` and the end time to the next."""
        writes = self.ffi.new(self.types["WGPUPassTimestampWrites *"])
        writes.querySet = handle(queries)
        writes.beginningOfPassWriteIndex, writes.endOfPassWriteIndex = first, first + 1
        descriptor = self.ffi.new(self.types["WGPUComputePassDescriptor *"])
        descriptor.timestampWrites = writes
        # The descriptor points to `writes`, so it keeps it alive.
        return self.ffi.gc(descriptor, lambda _, kept=writes: None)

    def clear(self, device: Handle, buffer: Handle, size: int) -> Handle:
        """A command buffer that zeroes the first `size` bytes, a multiple of 4."""
        encoder = self.lib.wgpuDeviceCreateCommandEncoder(device, self.null)
        self.lib.wgpuCommandEncoderClearBuffer(encoder, buffer, 0, size)
        return self._finish(encoder)

    def resolve(self, device: Handle, queries: "wgpu.GPUQuerySet", count: int, target: Handle) -> Handle:
        """A command buffer that writes the first `count` timestamps, 8 bytes each, to `target`."""
        encoder = self.lib.wgpuDeviceCreateCommandEncoder(device, self.null)
        self.lib.wgpuCommandEncoderResolveQuerySet(encoder, handle(queries), 0, count, target, 0)
        return self._finish(encoder)

    def submission(self, queue: Handle, commands: list[Handle]) -> Callable[[], object]:
        """A callable that submits the command buffers. An invalid submission aborts the process.

        It runs no Python code, so Ctrl-C cannot interrupt it.
        """
        return partial(self.lib.wgpuQueueSubmit, queue, len(commands), commands)

    def write(self, queue: Handle, buffer: Handle, start: int, data: Handle, size: int) -> None:
        """Copies host memory to a buffer after earlier submissions; `data` may change after the call."""
        self.raising.wgpuQueueWriteBuffer(queue, buffer, start, data, size)

    def idle(self, device: Handle) -> bool:
        """Whether all submitted work has finished. Runs callbacks; never blocks."""
        # The C bool is one byte; the upper bytes of the returned word are undefined.
        idle = bool(self.lib.wgpuDevicePoll(device, False, self.null) & 0xFF)
        if self._interrupted and (error := self._interrupted.pop(threading.get_ident(), None)):
            raise error
        return idle

    def lost(self, device: Handle) -> bool:
        """Whether the device is lost, tested by creating an empty layout.

        wgpu-py 0.32 offers no other way to detect this in time: its callback only logs, and late.
        """
        try:
            layout = self.raising.wgpuDeviceCreateBindGroupLayout(device, self._empty_layout)
        except self.Error:
            return True
        self.lib.wgpuBindGroupLayoutRelease(layout)
        return False

    def ask_work_done(self, queue: Handle) -> int:
        """A token for `answer`, signaled when all work submitted so far is done."""
        token = next(self._tokens)
        info = self.ffi.new(self.types["WGPUQueueWorkDoneCallbackInfo *"], self._work_answer)
        info.userdata1 = self.ffi.cast(self.types["void *"], token)
        self.lib.wgpuQueueOnSubmittedWorkDone(queue, info[0])
        return token

    def ask_map(self, buffer: Handle, size: int, *, write: bool) -> int:
        """A token for `answer`, signaled when the first `size` bytes are mapped or the mapping failed."""
        token = next(self._tokens)
        info = self.ffi.new(self.types["WGPUBufferMapCallbackInfo *"], self._map_answer)
        info.userdata1 = self.ffi.cast(self.types["void *"], token)
        self.raising.wgpuBufferMapAsync(buffer, self._map_modes[write], 0, size, info[0])
        return token

    def answered(self, token: int) -> bool:
        """Whether `answer` would return True, or raise."""
        return token in self._answers

    def answer(self, token: int) -> bool:
        """Whether the call of `token` has completed. Raises DeviceError if it failed."""
        status = self._answers.pop(token, None)
        if status is None:
            return False
        if status != self.lib.WGPUMapAsyncStatus_Success:  # Success is 1 for work-done callbacks, too.
            raise DeviceError(f"wait: the device refused to map or to finish: status {status}")
        return True

    def mapped(self, buffer: Handle, size: int, *, write: bool) -> Handle:
        """The first `size` bytes of a mapped buffer, for np.frombuffer; valid until it is unmapped."""
        get = self.lib.wgpuBufferGetMappedRange if write else self.lib.wgpuBufferGetConstMappedRange
        return self.ffi.buffer(self.ffi.cast(self.types["char *"], get(buffer, 0, size)), size)

    def unmap(self, buffer: Handle) -> None:
        """Unmaps a buffer or cancels a pending mapping; does nothing if there is none."""
        with suppress(self.Error):
            self.raising.wgpuBufferUnmap(buffer)

    def _finish(self, encoder: Handle) -> Handle:
        try:
            commands = self.raising.wgpuCommandEncoderFinish(encoder, self.null)
        finally:
            self.lib.wgpuCommandEncoderRelease(encoder)
        return self.ffi.gc(commands, self._free_commands)


def _unless_forked(release: Callable[[Handle], None]) -> Callable[[Handle], None]:
    """`release`, but not in a forked child: the objects are its parent's, and the driver would hang."""

    def free(handle: Handle) -> None:
        if not native.forked():
            release(handle)

    return free


@cache
def commands() -> CApi:
    """The `CApi` singleton; imports wgpu on the first call."""
    return CApi()


def has_unchecked_modules() -> bool:
    """Whether this wgpu-native can compile shaders without run-time checks (29 and newer)."""
    from wgpu.backends.wgpu_native import lib

    return hasattr(lib, "wgpuDeviceCreateShaderModuleTrusted")


def unchecked_module(device: "wgpu.GPUDevice", code: str, *, label: str) -> "wgpu.GPUShaderModule":
    """A shader module without bounds checks and loop bounding; the WGSL must guard its accesses."""
    from wgpu.backends.wgpu_native import _api, ffi, lib

    data = ffi.new(types()["char[]"], code.encode())
    source = ffi.new(types()["WGPUShaderSourceWGSL *"])
    source.chain.sType = lib.WGPUSType_ShaderSourceWGSL
    source.code.data, source.code.length = data, len(data) - 1
    name = ffi.new(types()["char[]"], label.encode())
    descriptor = ffi.new(types()["WGPUShaderModuleDescriptor *"])
    descriptor.nextInChain = ffi.cast(types()["WGPUChainedStruct *"], source)
    descriptor.label.data, descriptor.label.length = name, len(name) - 1
    no_checks = 0
    module = _api.libf.wgpuDeviceCreateShaderModuleTrusted(handle(device), descriptor, no_checks)
    return _api.GPUShaderModule(label, module, device)


def timestamp_period_ns(device: "wgpu.GPUDevice") -> float:
    """Nanoseconds per tick of the GPU's timestamps."""
    from wgpu.backends.wgpu_native import lib

    return float(lib.wgpuQueueGetTimestampPeriod(handle(device.queue)))
