"""The context of a benchmark: machine, software and options, to reproduce it.

It identifies no person or machine: no host name, and the home directory is written as "~".
"""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rusty_py import __version__
from rusty_py.runtime import native, probe
from rusty_py.runtime.adapter import Adapter
from rusty_py.runtime.device import Device

_PACKAGES = ("wgpu", "numpy", "typer", "tabulate", "rich", "psutil")
_ENVIRONMENT = ("WGPU", "VK_", "METAL_", "MTL_", "MESA_", "LP_", "RUSTY_PY_", "OMP_", "OPENBLAS_", "VECLIB_")

Facts = dict[str, object]


def context(device: Device, *, options: Mapping[str, object], checked: bool | None = None) -> Facts:
    """The context of one run. `checked`: whether kernels have bounds checks, if not as on the device."""
    return {
        **invocation(),
        "options": dict(options),
        "device": {
            "checked": device.checked if checked is None else checked,
            "subgroup_size": probe.subgroup_size(device),
        },
        "adapter": adapter_facts(device.adapter),
        **system(),
    }


def invocation() -> Facts:
    """Date, command line and version: what is known without a device."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": homeless(" ".join(["rusty-bench", *sys.argv[1:]])),
        "rusty_py": {"version": __version__, "commit": commit()},
    }


def adapter_facts(adapter: Adapter) -> Facts:
    """An adapter as plain data."""
    return {
        "index": adapter.index,
        "name": adapter.name,
        "vendor": adapter.vendor,
        "backend": adapter.backend,
        "type": adapter.type,
        "driver": adapter.driver,
        "limits": asdict(adapter.limits),
        "features": sorted(adapter.features),
    }


def system() -> Facts:
    """The host: operating system, CPU, memory, Python, packages, BLAS and environment variables."""
    import psutil

    return {
        "system": {
            "os": operating_system(),
            "machine": platform.machine(),
            "cpu": cpu_name(),
            "cores": psutil.cpu_count(logical=False) or os.cpu_count(),
            "threads": os.cpu_count(),
            "ram_bytes": psutil.virtual_memory().total,
        },
        "python": {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "virtual_environment": sys.prefix != sys.base_prefix,
        },
        "packages": {
            **{name: _version(name) for name in _PACKAGES},
            "wgpu-native": native.library_version(),
        },
        "blas": blas(),
        "environment": {
            name: homeless(value)
            for name, value in sorted(os.environ.items())
            if name.startswith(_ENVIRONMENT)
        },
    }


def blas() -> Facts:
    """The BLAS library of np.matmul and its threads, None if unknown."""
    import numpy as np
    from threadpoolctl import threadpool_info

    for pool in threadpool_info():
        if pool["user_api"] == "blas":
            return {"name": f"{pool['internal_api']} {pool['version']}", "threads": pool["num_threads"]}
    built = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {"name": str(built.get("name", "unknown")), "threads": None}


def operating_system() -> str:
    """The name and version of the system, without the kernel build, which may name a machine."""
    if sys.platform == "darwin":
        return f"macOS {platform.mac_ver()[0]}"
    kernel = f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}"
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {kernel}"
    except (OSError, KeyError):
        return kernel


def cpu_name() -> str:
    """The vendor's name of the processor."""
    if sys.platform == "darwin":
        done = subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False
        )
        return done.stdout.strip() or platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def commit() -> str | None:
    """The commit of the checkout, with "+" if it has changes; None for an installed package.

    RUSTY_PY_COMMIT overrides it, for copies without history.
    """
    if env := os.environ.get("RUSTY_PY_COMMIT"):
        return env
    checkout = Path(__file__).parents[2]
    if not (checkout / ".git").exists():
        return None
    try:
        revision = _git(checkout, "rev-parse", "--short=12", "HEAD")
        changed = _git(checkout, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return revision + "+" if changed else revision


def homeless(text: str) -> str:
    """`text` with the home directory written as "~" and invalid UTF-8 escaped."""
    home = os.path.expanduser("~")  # noqa: PTH111 - Path.home() raises for a user without one.
    text = text.replace(home, "~") if home != "/" else text
    return text.encode("utf-8", "backslashreplace").decode()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()
