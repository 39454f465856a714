"""Lookup and update of tuning results."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from math import inf
from pathlib import Path
from typing import Any

from rusty_py.cache_file import note
from rusty_py.errors import CacheError
from rusty_py.gemm import tuning_file
from rusty_py.gemm.kernel import KernelConfig
from rusty_py.gemm.problem import GemmProblem
from rusty_py.gemm.search_space import as_data, from_data, supports
from rusty_py.gemm.tuning_entry import (
    MachineKey,
    TuningEntry,
    as_json,
    from_json,
    machine_of,
    shape_class,
    signature_key,
)
from rusty_py.runtime.device import Device

_REMEMBERED = 4096


class Tuned:
    """The entries for a device's machine, newest first."""

    def __init__(self, entries: Iterable[TuningEntry] = ()) -> None:
        self.entries: dict[str, list[TuningEntry]] = {}
        for entry in entries:
            self.entries.setdefault(entry.signature, []).append(entry)
        self._found: dict[GemmProblem, TuningEntry | None] = {}

    def find(self, device: Device, problem: GemmProblem) -> TuningEntry | None:
        """The nearest entry within a factor sqrt(2) that the device supports, or None."""
        try:
            return self._found[problem]
        except KeyError:
            pass
        found = [
            each for each in self.entries.get(signature_key(problem), ()) if each.distance(problem) < inf
        ]
        supported = (each for each in found if supports(each.choice, device.limits, problem))
        entry = min(supported, key=lambda each: each.distance(problem), default=None)
        if len(self._found) >= _REMEMBERED:
            self._found.clear()
        self._found[problem] = entry
        return entry


def choice(device: Device, problem: GemmProblem) -> TuningEntry | None:
    """The tuned choice for a problem on the device, if any. Reads the file once per device."""
    tuned: Tuned | None = device.attachments.get(Tuned)
    if tuned is None:
        tuned = device.attachments[Tuned] = load(machine_of(device.adapter))
    return tuned.find(device, problem) if tuned.entries else None


def load(machine: MachineKey) -> Tuned:
    """The entries for a machine in the user's file."""
    path = tuning_file.location()
    if path is None:
        return Tuned()
    entries = read(path)
    others = [each for each in entries if not each.matches(machine)]
    stale = [each for each in others if each.machine["adapter"] == machine.adapter]
    if stale:
        note(
            f"tuning: {len(stale)} entries for {machine.adapter} are of another driver or wgpu, and ignored:"
            " run rusty-bench tune again"
        )
    return Tuned(each for each in entries if each.matches(machine))


def read(path: Path) -> list[TuningEntry]:
    """The valid entries of a file, newest first. Never raises: invalid entries are ignored and noted once."""
    try:
        items = tuning_file.content(path)["entries"]
    except CacheError as error:
        note(str(error))
        return []
    entries = []
    for item in reversed(items):
        try:
            entries.append(from_json(item))
        except ValueError as error:
            note(f"tuning: {path}: an entry is ignored: {error}")
    return entries


def refused(path: Path, machine: MachineKey) -> list[KernelConfig]:
    """The kernels that crashed or hung the tuner's process on this machine."""
    with suppress(CacheError):
        content = tuning_file.content(path)
        found = []
        for item in content.get("refused", []):
            with suppress(ValueError, KeyError, TypeError):
                if item["machine"] == asdict(machine):
                    found.append(from_data(item["kernel"]))
        return found
    return []


def put(path: Path, entry: TuningEntry) -> None:
    """Adds or replaces an entry. Raises CacheError and leaves the file unchanged if that fails."""
    _update(path, entry.machine, entry.signature, entry.shape, [as_json(entry)])


def drop(path: Path, machine: MachineKey, problem: GemmProblem) -> None:
    """Removes the entry of a problem's class, if there is one. Raises CacheError."""
    if path.exists():
        _update(path, asdict(machine), signature_key(problem), shape_class(problem), [])


def refuse(path: Path, machine: MachineKey, kernel: KernelConfig, why: str) -> None:
    """Records that a kernel crashed or hung the tuner's process. Raises CacheError."""
    item = {"machine": asdict(machine), "kernel": as_data(kernel), "why": why}

    def change(content: dict[str, Any]) -> None:
        others = [each for each in content["refused"] if not _same(each, item, "machine", "kernel")]
        content["refused"] = [*others, item]

    tuning_file.change(path, change)


def _update(
    path: Path, machine: Mapping[str, str], signature: str, shape: tuple[int, ...], new: list[dict[str, Any]]
) -> None:
    key = {"machine": dict(machine), "signature": signature, "shape": list(shape)}

    def change(content: dict[str, Any]) -> None:
        others = [each for each in content["entries"] if not _same(each, key, *key)]
        content["entries"] = [*others, *new]

    tuning_file.change(path, change)


def _same(item: object, other: Mapping[str, object], *names: str) -> bool:
    return isinstance(item, dict) and all(item.get(name) == other[name] for name in names)
