"""Access to wgpu-native beyond wgpu-py, and workarounds for drivers.

wgpu-py 0.32 wraps neither shader modules without run-time checks nor the timestamp period. The calls of
launches are in capi.py. wgpu is imported inside the functions to keep `import rusty_py` fast.
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

# The C types used here, in capi.py, and by wgpu-py 0.32 up to a first launch.
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
    """The C types by name. Parsing them at once halves the time to a first launch.

    cffi parses all of wgpu's header again for every new type name, 10 ms each; here all names are in one
    declaration, with arrays as pointers to arrays.
    """
    from wgpu.backends.wgpu_native import ffi

    pointers = [re.sub(r"\s*(\[.*])", r" (*)\1", name) for name in _TYPES]
    declaration = f"void (*)({', '.join(pointers)})"
    function = ffi.typeof(declaration)
    named = {
        name: ctype.item if name.endswith("]") else ctype
        for name, ctype in zip(_TYPES, function.args, strict=True)
    }
    known = getattr(ffi, "_parsed_types", {})  # Not public in cffi: only used if it has the expected form.
    if known.get(declaration) == (function, False):
        known.update({name: (ctype, False) for name, ctype in named.items() if name not in known})
    return named


@contextmanager
def quiet_driver() -> Iterator[None]:
    """Avoids Mesa's warning about an unset XDG_RUNTIME_DIR, which compute does not need."""
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
    """Sets the drivers' shader cache directory to ours, unless the user has set one.

    wgpu-native 29 has no pipeline cache. Mesa and NVIDIA read these variables when they are loaded; Metal has
    its own cache, which cannot be configured.
    """
    with suppress(CacheError):  # Without a cache every process compiles again.
        folder = user_cache.folder("shaders")
        for variable in ("MESA_SHADER_CACHE_DIR", "__GL_SHADER_DISK_CACHE_PATH"):
            os.environ.setdefault(variable, str(folder))


def enumerate_adapters() -> "list[wgpu.GPUAdapter]":
    """All Metal, Vulkan and DirectX 12 adapters. OpenGL would list the same GPUs again."""
    import wgpu
    from wgpu.backends.wgpu_native import extras

    keep_compiled_shaders()
    types()
    with quiet_driver():
        with suppress(RuntimeError):  # The instance exists already; then the filter below suffices.
            extras.set_instance_extras(backends=["Metal", "Vulkan", "DX12"])
        try:
            found = wgpu.gpu.enumerate_adapters_sync()
        except RuntimeError:
            return []  # wgpu-native could not load any driver.
    return [adapter for adapter in found if adapter.info["backend_type"] != "OpenGL"]


def forget_after_fork() -> None:
    """Makes forked children leave their parent's objects alone: releasing them hangs in the driver."""
    from wgpu.backends.wgpu_native import _api

    def forget() -> None:
        global _is_fork
        _is_fork = True
        _api.libf = None  # wgpu-py releases nothing when this is None, as at interpreter exit.
        _skip_library_destructors()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forget)


def _skip_library_destructors() -> None:
    """Makes this process end by `_exit`, with its exit status, after the interpreter is finalized.

    At `exit` NVIDIA's driver closes the connection that a forked child shares with its parent, which then
    hangs at its next launch. glibc runs exit handlers in reverse order, so these run before the driver's.
    """
    import ctypes

    libc = ctypes.CDLL(None)
    if hasattr(libc, "on_exit"):  # glibc only; other systems don't have this driver.
        libc.on_exit(libc._exit, None)  # Called with the exit status.
        libc.on_exit(libc.fcloseall, None)  # Flushes C's streams, which `_exit` does not.


def forked() -> bool:
    """Whether this process is a fork of one with a device: all wgpu objects then belong to its parent."""
    return _is_fork


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
    module = _api.libf.wgpuDeviceCreateShaderModuleTrusted(device._internal, descriptor, no_checks)
    return _api.GPUShaderModule(label, module, device)


def timestamp_period_ns(device: "wgpu.GPUDevice") -> float:
    """Nanoseconds per tick of the GPU's timestamps."""
    from wgpu.backends.wgpu_native import lib

    return float(lib.wgpuQueueGetTimestampPeriod(device.queue._internal))


def library_version() -> str:
    """The version of the wgpu-native library, such as 29.0.1.1."""
    from wgpu.backends.wgpu_native import lib_version_info

    return ".".join(str(part) for part in lib_version_info)
