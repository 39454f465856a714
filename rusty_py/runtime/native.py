"""What reaches past wgpu-py into wgpu-native's C API, and past both into the driver's habits.

wgpu-py 0.32 wraps neither modules without run-time checks nor the timestamp period. The calls that launches
make are in capi.py. wgpu is imported inside the functions, so that importing rusty_py stays cheap.
"""

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from rusty_py import user_cache
from rusty_py.errors import CacheError

if TYPE_CHECKING:
    import wgpu


_environment = threading.Lock()
_is_fork = False

# The C types made from Python: here and in capi.py, and by wgpu-py 0.32 on the way to a first launch.
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


@cache
def types() -> dict[str, Any]:
    """The C types by name. Also tells them to cffi, which halves the time to a first launch.

    cffi reads all of wgpu's header again for every type that it is asked for by a new name, 10 ms each: so
    it gets these names in one declaration, arrays as pointers to them.
    """
    from wgpu.backends.wgpu_native import ffi

    pointers = [re.sub(r"\s*(\[.*])", r" (*)\1", name) for name in _TYPES]
    declaration = f"void (*)({', '.join(pointers)})"
    function = ffi.typeof(declaration)
    named = {
        name: ctype.item if name.endswith("]") else ctype
        for name, ctype in zip(_TYPES, function.args, strict=True)
    }
    known = getattr(ffi, "_parsed_types", {})  # No public name of cffi: only where it is what we know.
    if known.get(declaration) == (function, False):
        known.update({name: (ctype, False) for name, ctype in named.items() if name not in known})
    return named


@contextmanager
def quiet_driver() -> Iterator[None]:
    """Mesa complains on stderr where XDG_RUNTIME_DIR is unset, and needs it for windows only."""
    import tempfile

    with _environment:
        if "XDG_RUNTIME_DIR" in os.environ:
            yield
            return
        os.environ["XDG_RUNTIME_DIR"] = tempfile.gettempdir()
        try:
            yield
        finally:
            del os.environ["XDG_RUNTIME_DIR"]


def keep_compiled_shaders() -> None:
    """Points the drivers that keep compiled shaders on disk at our cache folder, unless the user chose one.

    wgpu-native 29 has no pipeline cache of its own. Mesa and NVIDIA read these variables when they are
    loaded; Metal keeps its own cache and asks nobody.
    """
    with suppress(CacheError):  # Without a cache every process compiles afresh.
        folder = user_cache.folder("shaders")
        for variable in ("MESA_SHADER_CACHE_DIR", "__GL_SHADER_DISK_CACHE_PATH"):
            os.environ.setdefault(variable, str(folder))


def enumerate_adapters() -> "list[wgpu.GPUAdapter]":
    """All adapters of Metal, Vulkan and DirectX 12; never OpenGL, which shows the same ones again."""
    import wgpu
    from wgpu.backends.wgpu_native import extras

    keep_compiled_shaders()
    types()
    with quiet_driver():
        with suppress(RuntimeError):  # The instance was made before, by us or another: the filter below does.
            extras.set_instance_extras(backends=["Metal", "Vulkan", "DX12"])
        try:
            found = wgpu.gpu.enumerate_adapters_sync()
        except RuntimeError:
            return []  # So wgpu-native reports that no driver could be loaded.
    return [adapter for adapter in found if adapter.info["backend_type"] != "OpenGL"]


def forget_after_fork() -> None:
    """Has a forked child leave its parent's objects alone: releasing them there hangs in the driver."""
    from wgpu.backends.wgpu_native import _api

    def forget() -> None:
        global _is_fork
        _is_fork = True
        _api.libf = None  # What wgpu-py asks before it releases an object, for the end of the interpreter.
        _skip_library_destructors()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forget)


def _skip_library_destructors() -> None:
    """Has this process end by `_exit`, with its exit status, once the interpreter is finalized.

    At `exit` NVIDIA's driver closes the connection that a forked child shares with its parent, which then
    hangs at its next launch. glibc's handlers run last in, first out: these before the driver's.
    """
    import ctypes

    libc = ctypes.CDLL(None)
    if hasattr(libc, "on_exit"):  # glibc alone; elsewhere no such driver.
        libc.on_exit(libc._exit, None)  # Called with the exit status.
        libc.on_exit(libc.fcloseall, None)  # Flushes C's streams, which `_exit` does not.


def forked() -> bool:
    """Whether this process was forked off one with a device: then everything of wgpu's is its parent's."""
    return _is_fork


def has_unchecked_modules() -> bool:
    """Whether this wgpu-native compiles shaders without run-time checks (29 and newer)."""
    from wgpu.backends.wgpu_native import lib

    return hasattr(lib, "wgpuDeviceCreateShaderModuleTrusted")


def unchecked_module(device: "wgpu.GPUDevice", code: str, *, label: str) -> "wgpu.GPUShaderModule":
    """A shader module without bounds checks and loop bounding. Its own guards must be right."""
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
    module = _api.libf.wgpuDeviceCreateShaderModuleTrusted(device._internal, descriptor, no_checks)
    return _api.GPUShaderModule(label, module, device)


def timestamp_period_ns(device: "wgpu.GPUDevice") -> float:
    """Nanoseconds a tick of the GPU's timestamps."""
    from wgpu.backends.wgpu_native import lib

    return float(lib.wgpuQueueGetTimestampPeriod(device.queue._internal))


def library_version() -> str:
    """The version of the wgpu-native library in use, like 29.0.1.1."""
    from wgpu.backends.wgpu_native import lib_version_info

    return ".".join(str(part) for part in lib_version_info)
