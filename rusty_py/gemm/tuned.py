"""What tuning found, as a readable file in the user's cache, and how a plan asks it.

RUSTY_PY_TUNING=off ignores the file; any other value is the path of another one. Nothing in the file is
believed: an entry becomes a kernel only if the tuner could have tried it.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from rusty_py import native
from rusty_py.adapter import Adapter
from rusty_py.device import Device
from rusty_py.errors import CacheError
from rusty_py.gemm.kernel import Kernel
from rusty_py.gemm.problem import Problem
from rusty_py.gemm.space import as_data, from_data, may_split

ENVIRONMENT = "RUSTY_PY_TUNING"
VERSION = 1
SHIPPED = Path(__file__).with_name("shipped.json")
"""Entries that come with the package, for whole classes of adapters: their machines have fewer fields."""
LOCK_SECONDS = 10.0
_MOST_BYTES = 16 << 20
_EXACT = 16
_REMEMBERED = 4096


@dataclass(frozen=True)
class Machine:
    """What a measured time depends on beside the problem."""

    adapter: str
    backend: str
    type: str
    driver: str
    wgpu: str


@dataclass(frozen=True)
class Entry:
    """The fastest kernel found for a class of problems, with the rates of it and of the default, in GFLOPS.

    `machine`: the fields that must be equal, all of them where a user tuned. `form` and `shape` are the key
    of the class (see `form_of`, `shape_class`), and `size` the (m, k, n, products) that was measured.
    """

    machine: Mapping[str, str]
    form: str
    shape: tuple[int, int, int, int]
    size: tuple[int, int, int, int]
    kernel: Kernel
    splits: int
    gflops: float
    default: str
    default_gflops: float
    date: str

    @cached_property
    def why(self) -> str:
        """What a plan says of it."""
        ratio = self.gflops / self.default_gflops
        size = str(Problem(*self.size))
        return f"tuned {self.date}: {ratio:.2f} times the rate of {self.default} at {size}"

    def matches(self, machine: Machine) -> bool:
        """Whether it is for this machine."""
        here = asdict(machine)
        return all(here[name] == value for name, value in self.machine.items())


def machine_of(adapter: Adapter) -> Machine:
    """The key of an adapter, its driver and wgpu."""
    return Machine(adapter.name, adapter.backend, adapter.type, adapter.driver, native.library_version())


def form_of(problem: Problem) -> str:
    """The key of a form: layouts, fours and dtypes. What follows a product costs the kernels alike."""
    return str(replace(problem.form, bias=False, activation=""))


def shape_class(problem: Problem) -> tuple[int, int, int, int]:
    """(m, k, n, products), each the nearest power of two, so that a power lies in the middle of its class.

    Up to 16 exact: there a kernel's waste changes with every row.
    """
    m, k, n, products = (_nearest(x) for x in (problem.m, problem.k, problem.n, problem.products))
    return m, k, n, products


def _nearest(x: int) -> int:
    if x <= _EXACT:
        return x
    below = 1 << (x.bit_length() - 1)
    return below if x * x <= 2 * below * below else 2 * below  # Nearest by ratio.


class Tuned:
    """What a device's machine was tuned to."""

    def __init__(self, entries: Mapping[tuple[str, tuple[int, int, int, int]], Entry]) -> None:
        self.entries = entries
        self._found: dict[Problem, Entry | None] = {}

    def find(self, device: Device, problem: Problem) -> Entry | None:
        """The entry of the problem's class, if its kernel suits the problem and the device."""
        try:
            return self._found[problem]
        except KeyError:
            pass
        entry = self.entries.get((form_of(problem), shape_class(problem)))
        if entry and not (
            entry.kernel.suits(device.limits, problem) and may_split(entry.kernel, problem.k, entry.splits)
        ):
            entry = None
        if len(self._found) >= _REMEMBERED:
            self._found.clear()
        self._found[problem] = entry
        return entry


def choice(device: Device, problem: Problem) -> Entry | None:
    """What tuning found for the problem on the device, if anything. Reads the files once a device."""
    tuned = device.tuned
    if tuned is None:
        tuned = device.tuned = load(machine_of(device.adapter))
    return tuned.find(device, problem) if tuned.entries else None


def load(machine: Machine) -> Tuned:
    """The entries for a machine: the user's before those that are shipped."""
    path = location()
    entries: dict[tuple[str, tuple[int, int, int, int]], Entry] = {}
    if path is None:
        return Tuned(entries)
    own = read(path)
    for entry in [*own, *read(SHIPPED, shipped=True)]:
        if entry.matches(machine):
            entries.setdefault((entry.form, entry.shape), entry)
    stale = [each for each in own if not each.matches(machine) and each.machine["adapter"] == machine.adapter]
    if stale:
        _note(
            f"tuning: {len(stale)} entries for {machine.adapter} are of another driver or wgpu, and ignored:"
            " run rusty-bench tune"
        )
    return Tuned(entries)


def location() -> Path | None:
    """The user's file; None where the environment says off."""
    told = os.environ.get(ENVIRONMENT, "")
    if told == "off":
        return None
    if told:
        return Path(told)
    from platformdirs import user_cache_path

    return user_cache_path("rusty_py") / "tuning" / "matmul.json"


def read(path: Path, *, shipped: bool = False) -> list[Entry]:
    """The sound entries of a file, newest first. Never raises: what is wrong is ignored, and noted once."""
    try:
        items = _items(path)
    except CacheError as error:
        _note(str(error))
        return []
    entries = []
    for item in reversed(items):
        try:
            entries.append(_entry(item, shipped=shipped))
        except ValueError as error:
            _note(f"tuning: {path}: an entry is ignored: {error}")
    return entries


def refused(path: Path, machine: Machine) -> list[Kernel]:
    """The kernels that ended a tuner's process on this machine."""
    with suppress(CacheError):
        content = _content(path)
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

    _change(path, change)


def check(path: Path) -> None:
    """Raises CacheError now where `put` would later."""
    _change(path, lambda content: None, only_try=True)


def clear(path: Path) -> None:
    """Removes the file. Raises CacheError."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise CacheError(f"tuning: {path}: {error.strerror}") from error


def as_json(entry: Entry) -> dict[str, Any]:
    """An entry as it stands in the file."""
    return {
        "machine": dict(entry.machine),
        "form": entry.form,
        "shape": list(entry.shape),
        "size": list(entry.size),
        "kernel": as_data(entry.kernel),
        "splits": entry.splits,
        "gflops": round(entry.gflops, 3),
        "default": entry.default,
        "default_gflops": round(entry.default_gflops, 3),
        "date": entry.date,
    }


def _update(
    path: Path, machine: Mapping[str, str], form: str, shape: tuple[int, ...], new: list[dict[str, Any]]
) -> None:
    key = {"machine": dict(machine), "form": form, "shape": list(shape)}

    def change(content: dict[str, Any]) -> None:
        others = [each for each in content["entries"] if not _same(each, key, *key)]
        content["entries"] = [*others, *new]

    _change(path, change)


def _same(item: object, other: Mapping[str, object], *names: str) -> bool:
    return isinstance(item, dict) and all(item.get(name) == other[name] for name in names)


def _items(path: Path) -> list[object]:
    entries = _content(path)["entries"]
    assert isinstance(entries, list)
    return entries


def _content(path: Path) -> dict[str, Any]:
    """The file as plain data, empty where there is none. Raises CacheError for what is no such file."""
    empty: dict[str, Any] = {"version": VERSION, "entries": [], "refused": []}
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        return empty
    except OSError as error:
        raise CacheError(f"tuning: {path}: {error.strerror}") from error
    try:
        content = json.loads(data.decode()) if len(data) <= _MOST_BYTES else None
    except (ValueError, RecursionError):  # Not UTF-8 or not JSON, or brackets without end.
        content = None
    if not isinstance(content, dict) or type(content.get("version")) is not int:
        raise CacheError(f"tuning: {path}: damaged: remove it, or run rusty-bench tune --clear")
    if content["version"] != VERSION:
        raise CacheError(
            f"tuning: {path}: of another version of rusty_py: format {content['version']}, this is {VERSION}:"
            " run rusty-bench tune --clear"
        )
    if not all(isinstance(content.setdefault(name, []), list) for name in ("entries", "refused")):
        raise CacheError(f"tuning: {path}: damaged: remove it, or run rusty-bench tune --clear")
    return content


def _entry(item: object, *, shipped: bool) -> Entry:
    """Raises ValueError where anything of it is not as it must be."""
    if not isinstance(item, dict):
        raise ValueError("no object")
    shape, size = (_sizes(item.get(name), name) for name in ("shape", "size"))
    kernel, splits = from_data(item.get("kernel")), item.get("splits")
    if type(splits) is not int or not may_split(kernel, size[1], splits):
        raise ValueError(f"splits is {splits!r}")
    problem = Problem(*size)
    if shape_class(problem) != shape:
        raise ValueError(f"shape {shape} is not the class of size {size}")
    gflops, default_gflops = (_rate(item.get(name), name) for name in ("gflops", "default_gflops"))
    form, default, date = (_text(item.get(name), name) for name in ("form", "default", "date"))
    machine = _machine(item.get("machine"), shipped=shipped)
    return Entry(machine, form, shape, size, kernel, splits, gflops, default, default_gflops, date)


def _machine(value: object, *, shipped: bool) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise ValueError("machine is no object of strings")
    known = Machine.__dataclass_fields__.keys()
    if not value.keys() <= known or (not shipped and value.keys() != known):
        raise ValueError(f"machine has other fields: {', '.join(map(str, value))}")
    return value


def _sizes(value: object, name: str) -> tuple[int, int, int, int]:
    if not isinstance(value, list) or len(value) != 4:
        raise ValueError(f"{name} is no list of four")
    m, k, n, products = value
    if not all(type(x) is int and 0 < x < 2**32 for x in value):
        raise ValueError(f"{name} is {value}")
    return m, k, n, products


def _rate(value: object, name: str) -> float:
    if type(value) not in (int, float) or not 0 < value < 1e9:  # type: ignore[operator]
        raise ValueError(f"{name} is {value!r}")
    return float(value)  # type: ignore[arg-type]


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or len(value) > 200 or not value.isprintable():
        raise ValueError(f"{name} is no line")
    return value


@cache
def _note(text: str) -> None:
    """Once a process, where the checker's notes go, too."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(text.encode("utf-8", "backslashreplace").decode(), file=sys.stderr)


def _change(path: Path, change: Callable[[dict[str, Any]], None], *, only_try: bool = False) -> None:
    """Reads, changes and replaces the file as one step among processes. Raises CacheError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path):
            content = _content(path)
            change(content)
            try:
                _write(temporary, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
                if not only_try:
                    temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
    except CacheError:
        raise
    except OSError as error:
        raise CacheError(f"tuning: cannot be kept: {path}: {error.strerror}: set {ENVIRONMENT}") from error


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Alone among processes. The system unlocks when a process ends, however it does: no lock grows stale."""
    try:
        import fcntl
    except ImportError:  # Windows: the file stays whole, but of two tuners at once one may lose its entry.
        yield
        return
    with path.with_name(f".{path.name}.lock").open("a") as file:
        end = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise CacheError(f"tuning: another process writes, and does not end: {path}") from None
                time.sleep(0.01)
        yield
