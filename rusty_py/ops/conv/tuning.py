"""Tuned choices: the algorithm that was the fastest for a correlation here, kept in the tuning file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rusty_py.cache_file import note
from rusty_py.errors import CacheError
from rusty_py.gemm import tuning_file
from rusty_py.gemm.tuning_entry import MachineKey, machine_of
from rusty_py.ops.conv.correlation import Correlation, WeightCorrelation
from rusty_py.runtime.device import Device

_LIST = "convolutions"
"""The name of the list in the tuning file."""


@dataclass(frozen=True)
class TunedAlgorithm:
    """The fastest algorithm for a problem, and the default, which the cost model selects.

    `machine`: the fields of `MachineKey`, which must all match. `problem` is a `key_of`, `text` describes it.
    """

    machine: Mapping[str, str]
    problem: str
    text: str
    algorithm: str
    ms: float
    default: str
    default_ms: float
    date: str

    @property
    def why(self) -> str:
        """The reason shown in plans."""
        return f"tuned {self.date}: {self.default_ms / self.ms:.2f} times as fast as {self.default}"


class _Choices(dict[str, TunedAlgorithm]):
    """Those of a device, by problem."""


def key_of(problem: Correlation | WeightCorrelation) -> str:
    """The dtype, the sizes and strides of all arrays, and the taps.

    Without the epilogue, whose cost does not depend on the algorithm.
    """
    if isinstance(problem, Correlation):
        arrays, kind = (problem.x, problem.w, problem.out), "correlation"
    else:
        arrays, kind = (problem.x, problem.dout, problem.dw), "weights"
    views = " ".join(f"{_text(each.shape)}:{_text(each.strides)}" for each in arrays)
    taps = problem.taps
    steps = " ".join(_text(each) for each in (taps.start, taps.stride, taps.dilation))
    return f"{kind} {problem.dtype.name} {views} {steps}"


def _text(numbers: tuple[int, ...]) -> str:
    return ",".join(map(str, numbers))


def choice(device: Device, problem: Correlation | WeightCorrelation) -> TunedAlgorithm | None:
    """The tuned choice for a problem, if any. Reads the file once for each device."""
    found: _Choices | None = device.attachments.get(_Choices)
    if found is None:
        path = tuning_file.location()
        machine = asdict(machine_of(device.adapter))
        entries = read(path) if path else ()
        found = _Choices((each.problem, each) for each in entries if each.machine == machine)
        device.attachments[_Choices] = found
    return found.get(key_of(problem)) if found else None


def read(path: Path) -> Iterator[TunedAlgorithm]:
    """The valid entries of a file, oldest first. Never raises: invalid entries are noted once."""
    try:
        items = tuning_file.content(path).get(_LIST, [])
    except CacheError as error:
        note(str(error))
        return
    for item in items if isinstance(items, list) else ():
        try:
            yield _entry(item)
        except (TypeError, ValueError) as error:
            note(f"tuning: {path}: a convolution is ignored: {error}")


def put(path: Path, entry: TunedAlgorithm) -> None:
    """Adds or replaces an entry. Raises CacheError and leaves the file unchanged if that fails."""
    _replace(path, entry.machine, entry.problem, [asdict(entry)])


def drop(path: Path, machine: MachineKey, problem: str) -> None:
    """Removes the entry of a problem, if there is one. Raises CacheError."""
    if path.exists():
        _replace(path, asdict(machine), problem, [])


def _replace(path: Path, machine: Mapping[str, str], problem: str, new: list[dict[str, Any]]) -> None:
    def change(content: dict[str, Any]) -> None:
        kept = [
            item
            for item in content.get(_LIST, [])
            if not isinstance(item, dict) or (item.get("machine"), item.get("problem")) != (machine, problem)
        ]
        content[_LIST] = [*kept, *new]

    tuning_file.change(path, change)


def _entry(item: object) -> TunedAlgorithm:
    """Raises ValueError or TypeError for what `put` did not write."""
    if not isinstance(item, dict):
        raise ValueError(f"not an object: {item!r}")
    entry = TunedAlgorithm(**item)
    texts = entry.problem, entry.text, entry.algorithm, entry.default, entry.date
    if not all(isinstance(each, str) for each in texts) or not isinstance(entry.machine, dict):
        raise ValueError("values of other types")
    if not all(isinstance(each, int | float) and each > 0 for each in (entry.ms, entry.default_ms)):
        raise ValueError("times that are not positive")
    return entry
