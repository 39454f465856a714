"""Adapters, forks and workarounds for drivers.

wgpu is imported inside the functions to keep `import rusty_py` fast.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

from rusty_py import user_cache
from rusty_py.errors import CacheError

if TYPE_CHECKING:
    import wgpu


_environment = threading.Lock()
_is_fork = False
_locks: "WeakSet[Any]" = WeakSet()

_Lock = TypeVar("_Lock")


def free_in_forks(lock: _Lock) -> _Lock:
    """`lock`, which is free in a forked child, too, if another thread holds it at the fork.

    What it protects is as that thread left it, but the child only clears it away.
    """
    _locks.add(lock)
    return lock


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
        for lock in list(_locks):
            lock._at_fork_reinit()  # As the modules of the standard library do.
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


def library_version() -> str:
    """The version of the wgpu-native library, such as 29.0.1.1."""
    from wgpu.backends.wgpu_native import lib_version_info

    return ".".join(str(part) for part in lib_version_info)
