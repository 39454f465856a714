"""What tuning found, and how a plan asks it: the user's entries, and those that come with the package."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rusty_py.device import Device
from rusty_py.errors import CacheError
from rusty_py.gemm import store
from rusty_py.gemm.entry import Entry, Machine, as_json, form_of, from_json, machine_of, shape_class
from rusty_py.gemm.kernel import Kernel
from rusty_py.gemm.problem import Problem
from rusty_py.gemm.space import as_data, from_data, suits

SHIPPED = Path(__file__).with_name("shipped.json")
"""Entries that come with the package, for whole classes of adapters: their machines have fewer fields."""
_REMEMBERED = 4096


class Tuned:
    """What a device's machine was tuned to."""

    def __init__(self, entries: Mapping[tuple[str, tuple[int, int, int, int]], Entry]) -> None:
        self.entries = entries
        self._found: dict[Problem, Entry | None] = {}

    def find(self, device: Device, problem: Problem) -> Entry | None:
        """The entry of the problem's class, if what it says suits the problem and the device."""
        try:
            return self._found[problem]
        except KeyError:
            pass
        entry = self.entries.get((form_of(problem), shape_class(problem)))
        if entry and not suits(entry.choice, device.limits, problem):
            entry = None
        if len(self._found) >= _REMEMBERED:
            self._found.clear()
        self._found[problem] = entry
        return entry


def choice(device: Device, problem: Problem) -> Entry | None:
    """What tuning found for the problem on the device, if anything. Reads the files once a device."""
    tuned: Tuned | None = device.attachments.get(Tuned)
    if tuned is None:
        tuned = device.attachments[Tuned] = load(machine_of(device.adapter))
    return tuned.find(device, problem) if tuned.entries else None


def load(machine: Machine) -> Tuned:
    """The entries for a machine: the user's before those that are shipped."""
    path = store.location()
    entries: dict[tuple[str, tuple[int, int, int, int]], Entry] = {}
    if path is None:
        return Tuned(entries)
    own = read(path)
    for entry in [*own, *read(SHIPPED, shipped=True)]:
        if entry.matches(machine):
            entries.setdefault((entry.form, entry.shape), entry)
    stale = [each for each in own if not each.matches(machine) and each.machine["adapter"] == machine.adapter]
    if stale:
        store.note(
            f"tuning: {len(stale)} entries for {machine.adapter} are of another driver or wgpu, and ignored:"
            " run rusty-bench tune"
        )
    return Tuned(entries)


def read(path: Path, *, shipped: bool = False) -> list[Entry]:
    """The sound entries of a file, newest first. Never raises: what is wrong is ignored, and noted once."""
    try:
        items = store.content(path)["entries"]
    except CacheError as error:
        store.note(str(error))
        return []
    entries = []
    for item in reversed(items):
        try:
            entries.append(from_json(item, shipped=shipped))
        except ValueError as error:
            store.note(f"tuning: {path}: an entry is ignored: {error}")
    return entries


def refused(path: Path, machine: Machine) -> list[Kernel]:
    """The kernels that ended a tuner's process on this machine."""
    with suppress(CacheError):
        content = store.content(path)
        found = []
        for item in content.get("refused", []):
            with suppress(ValueError, KeyError, TypeError):
                if item["machine"] == asdict(machine):
                    found.append(from_data(item["kernel"]))
        return found
    return []


def put(path: Path, entry: Entry) -> None:
    """Adds an entry, in the place of one of the same key. Raises CacheError, which leaves the old file."""
    _update(path, entry.machine, entry.form, entry.shape, [as_json(entry)])


def drop(path: Path, machine: Machine, problem: Problem) -> None:
    """Removes the entry of a problem's class, if there is one. Raises CacheError."""
    if path.exists():
        _update(path, asdict(machine), form_of(problem), shape_class(problem), [])


def refuse(path: Path, machine: Machine, kernel: Kernel, why: str) -> None:
    """Remembers that a kernel ended the tuner's process. Raises CacheError."""
    item = {"machine": asdict(machine), "kernel": as_data(kernel), "why": why}

    def change(content: dict[str, Any]) -> None:
        others = [each for each in content["refused"] if not _same(each, item, "machine", "kernel")]
        content["refused"] = [*others, item]

    store.change(path, change)


def _update(
    path: Path, machine: Mapping[str, str], form: str, shape: tuple[int, ...], new: list[dict[str, Any]]
) -> None:
    key = {"machine": dict(machine), "form": form, "shape": list(shape)}

    def change(content: dict[str, Any]) -> None:
        others = [each for each in content["entries"] if not _same(each, key, *key)]
        content["entries"] = [*others, *new]

    store.change(path, change)


def _same(item: object, other: Mapping[str, object], *names: str) -> bool:
    return isinstance(item, dict) and all(item.get(name) == other[name] for name in names)
