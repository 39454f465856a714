"""Adapters: enumeration, selection, limits and features."""

import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rusty_py.errors import LimitError, NoAdapter
from rusty_py.runtime import native
from rusty_py.runtime.capi import types

if TYPE_CHECKING:
    import wgpu

ENVIRONMENT = "RUSTY_PY_ADAPTER"
LIMITS_ENVIRONMENT = "RUSTY_PY_LIMITS"
"""Lowers the limits of all adapters, to see what another GPU would get: see `lowered`."""

# The order of preference when the user names no adapter.
_RANK = {"DiscreteGPU": 0, "IntegratedGPU": 1, "Unknown": 2, "CPU": 3}


@dataclass(frozen=True)
class Limits:
    """The limits of an adapter that compute kernels can reach."""

    threads: int
    """Threads in a workgroup."""
    workgroup_bytes: int
    """Workgroup memory, in bytes."""
    groups: int
    """Workgroups in one dimension of a dispatch."""
    binding_bytes: int
    """Bytes of one storage binding."""
    buffer_bytes: int
    """Bytes of one buffer."""
    loop_steps: int = 2**32 - 1
    """Loop iterations of one invocation, in total."""
    subgroup: int = 1
    """The guaranteed subgroup size; 1 if unknown."""


@dataclass(frozen=True)
class Adapter:
    """A GPU, or a CPU driver."""

    index: int
    name: str
    vendor: str
    backend: str
    type: str
    driver: str
    limits: Limits
    features: frozenset[str]
    raw: "wgpu.GPUAdapter" = field(repr=False, compare=False)

    @property
    def is_cpu(self) -> bool:
        """Whether this driver computes on the CPU: correct, but slow."""
        return self.type == "CPU"

    def __str__(self) -> str:
        return f"{self.name} ({self.backend}, {self.type})"


def list_adapters() -> list[Adapter]:
    """All adapters of this machine, the preferred one first."""
    types()  # Before wgpu-py asks cffi for them one by one.
    found = sorted(native.enumerate_adapters(), key=lambda raw: _RANK.get(raw.info["adapter_type"], 2))
    adapters = [_describe(index, raw) for index, raw in enumerate(found)]
    text = os.environ.get(LIMITS_ENVIRONMENT, "")
    return [lowered(adapter, text) for adapter in adapters] if text else adapters


METAL = "threads=1024,workgroup_bytes=32768,subgroup=1"
"""The limits that Apple's GPUs have in common."""


def lowered(adapter: Adapter, text: str) -> Adapter:
    """The adapter with lower limits: "metal", or such as "threads=256,workgroup_bytes=16384,subgroup=1".

    Limits are those of `Limits`; a subgroup of 1 hides that there are subgroups. None is raised. Raises
    LimitError for other texts.
    """
    changes: dict[str, int] = {}
    for part in (METAL if text == "metal" else text).split(","):
        name, _, value = part.strip().partition("=")
        if name not in Limits.__dataclass_fields__ or not re.fullmatch(r"[1-9][0-9]{0,18}", value):
            names = ", ".join(Limits.__dataclass_fields__)
            raise LimitError(
                f"adapter: {LIMITS_ENVIRONMENT}={text!r}: no limit: {part!r}; metal, or NAME=N of {names}"
            )
        changes[name] = min(int(value), getattr(adapter.limits, name))
    features = adapter.features - ({"subgroup"} if changes.get("subgroup") == 1 else set())
    return replace(adapter, limits=replace(adapter.limits, **changes), features=features)


def choose(which: int | str | None = None) -> Adapter:
    """The adapter with this index or backend, or with this text in its name or driver.

    None selects the one named by RUSTY_PY_ADAPTER, or the first. Raises NoAdapter.
    """
    adapters = list_adapters()
    if not adapters:
        raise NoAdapter(f"adapter: none found: {remedy()}")
    source = ""
    if which is None:
        which = os.environ.get(ENVIRONMENT, "") or 0
        source = f" of {ENVIRONMENT}"
    wanted = str(which).strip().casefold()
    for adapter in adapters:
        if wanted in (str(adapter.index), adapter.backend.casefold()):
            return adapter
    # One or two digits are an index, and it doesn't exist; more may be part of a name, such as "4090".
    if isinstance(which, str) and not re.fullmatch(r"\d{1,2}", wanted):
        for adapter in adapters:
            if wanted in f"{adapter.name} {adapter.driver}".casefold():
                return adapter
    names = "; ".join(f"{adapter.index}: {adapter}" for adapter in adapters)
    raise NoAdapter(f"adapter: none matches {which!r}{source}: there is {names}")


def remedy() -> str:
    """What to install on this system to get an adapter, in one line."""
    if sys.platform == "darwin":
        return "Metal comes with macOS: is this a virtual machine without a GPU?"
    if sys.platform == "win32":
        return "install your graphics card's driver"
    return (
        "install your GPU's Vulkan driver, or Mesa's CPU driver:"
        " apt-get install mesa-vulkan-drivers libvulkan1"
    )


def _describe(index: int, raw: "wgpu.GPUAdapter") -> Adapter:
    info, limits = raw.info, raw.limits
    driver = str(info["description"])
    return Adapter(
        index=index,
        name=str(info["device"]),
        vendor=str(info["vendor"]),
        backend=str(info["backend_type"]),
        type=str(info["adapter_type"]),
        driver=driver,
        features=frozenset(map(str, raw.features)),
        raw=raw,
        limits=Limits(
            threads=limits["max-compute-invocations-per-workgroup"],
            workgroup_bytes=limits["max-compute-workgroup-storage-size"],
            groups=limits["max-compute-workgroups-per-dimension"],
            # Whole vec4s, as bindings are: see `Buffer.bound_bytes`. Drivers say 2^32 - 4, or - 1.
            binding_bytes=limits["max-storage-buffer-binding-size"] // 16 * 16,
            buffer_bytes=limits["max-buffer-size"],
            loop_steps=_loop_steps(str(info["device"]), driver),
            subgroup=_subgroup(str(info["device"]), raw.features),
        ),
    )


def _loop_steps(name: str, driver: str) -> int:
    """The loop limit: llvmpipe before Mesa 23 silently exits loops after 65,535 iterations per invocation."""
    version = re.search(r"Mesa (\d+)\.", driver)
    if "llvmpipe" in name and (version is None or int(version[1]) < 23):
        return 65_535
    return Limits.loop_steps


def _subgroup(name: str, features: Iterable[str]) -> int:
    """The subgroup size: llvmpipe's name has its vector width; wgpu only reports the API's bounds."""
    bits = re.search(r"llvmpipe .*\b(\d+) bits", name)
    return int(bits[1]) // 32 if bits and "subgroup" in features else Limits.subgroup
