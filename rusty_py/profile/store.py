"""The calibrated profiles in the user's cache: JSON files, one for each adapter.

RUSTY_PY_PROFILE=off does without; any other value is the path of a file that is taken for any adapter.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from reprlib import repr as shown
from typing import Any

from rusty_py import cache_file, user_cache
from rusty_py.cache_file import note
from rusty_py.errors import CacheError
from rusty_py.profile.prior import prior_for
from rusty_py.profile.record import Profile, as_json, from_json
from rusty_py.runtime import native
from rusty_py.runtime.adapter import Adapter
from rusty_py.runtime.device import Device
from rusty_py.version import __version__

ENVIRONMENT = "RUSTY_PY_PROFILE"
AGAIN = "run rusty-bench calibrate"


def profile_of(device: Device) -> Profile:
    """The profile of a device, calibrated or assumed. Reads the file once per device."""
    found: Profile | None = device.attachments.get(Profile)
    if found is None:
        found = device.attachments[Profile] = load(device.adapter)
    return found


def use(device: Device, profile: Profile) -> None:
    """Plans everything on the device by this profile from now on."""
    device.attachments[Profile] = profile
    with device.lock:
        device.cache.forget_plans()


def load(adapter: Adapter) -> Profile:
    """The calibrated profile of an adapter, else the one that is assumed of it.

    Never raises: notes once why a file is not used.
    """
    return calibrated(adapter) or prior_for(adapter)


def calibrated(adapter: Adapter) -> Profile | None:
    """The calibrated profile of an adapter, if there is a valid one."""
    path = location(adapter)
    if path is None:
        return None
    try:
        found = cache_file.read(path, operation="profile")
        if found is None:
            return None
        if not isinstance(found, dict):
            raise ValueError("not an object")
        machine = found.get("machine")
        if machine != key_of(adapter) and not os.environ.get(ENVIRONMENT):
            note(f"profile: {path}: of {_difference(machine, key_of(adapter))}, and ignored: {AGAIN}")
            return None
        return from_json(found)
    except ValueError as error:
        note(f"profile: {path}: ignored: {error}: {AGAIN}")
    except CacheError as error:
        note(f"{error}: ignored")
    return None


def key_of(adapter: Adapter) -> dict[str, Any]:
    """What a calibrated profile is valid for: the adapter, its driver and limits, wgpu, and this version."""
    return {
        "adapter": adapter.name,
        "backend": adapter.backend,
        "type": adapter.type,
        "driver": adapter.driver,
        "limits": [adapter.limits.threads, adapter.limits.workgroup_bytes, adapter.limits.subgroup],
        "subgroups": "subgroup" in adapter.features,
        "wgpu": native.library_version(),
        "rusty_py": __version__,
    }


def location(adapter: Adapter) -> Path | None:
    """The path of the adapter's file; None if there is none (`nowhere` gives the reason)."""
    env = os.environ.get(ENVIRONMENT, "")
    if env:
        return None if env == "off" else Path(env)
    key = key_of(adapter)
    name = re.sub(r"[^a-z0-9]+", "-", adapter.name.casefold()).strip("-")[:40]
    parts = [key[part] for part in ("adapter", "backend", "type", "limits", "subgroups")]
    digest = sha256(repr(parts).encode())
    try:
        return user_cache.folder("profiles") / f"{name}-{digest.hexdigest()[:8]}.json"
    except CacheError:
        return None


def nowhere() -> str:
    """Why there is no `location`."""
    if os.environ.get(ENVIRONMENT) == "off":
        return f"{ENVIRONMENT}=off: unset it"
    return f"{user_cache.fault()}: {user_cache.WAY_OUT}, or {ENVIRONMENT} to a file"


def save(path: Path, adapter: Adapter, profile: Profile, *, only_try: bool = False) -> None:
    """Replaces the file at once, unless `only_try`.

    Raises CacheError, and leaves the file as it was, if that fails.
    """
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        cache_file.replace(path, {"machine": key_of(adapter), **as_json(profile)}, only_try=only_try)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Holds the lock with which one process at a time calibrates. Raises CacheError, without waiting."""
    with ExitStack() as stack:
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(cache_file.locked(path, operation="calibrate", wait_s=0.0))
        yield


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Makes a CacheError, which says what to do, of an error of the file system."""
    try:
        yield
    except CacheError:
        raise
    except OSError as error:
        raise CacheError(f"calibrate: cannot write {path}: {error.strerror}: set {ENVIRONMENT}") from error


def _difference(machine: object, key: dict[str, Any]) -> str:
    """What of a profile's key is another than the adapter's."""
    if not isinstance(machine, dict):
        return "no machine"
    for name, value in key.items():
        if machine.get(name) != value:
            return f"{name} {shown(machine.get(name))}, this is {value!r}"
    return "another machine"
