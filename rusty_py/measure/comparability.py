"""Whether two runs can be compared, and in what they differ."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rusty_py.measure.document import BenchRun, Result

Path = tuple[str, ...]
_T = TypeVar("_T")

# Times of different machines, or with run-time bounds checks, say nothing about a change of the code.
_REFUSED: Mapping[str, Path] = {
    "adapter": ("adapter", "name"),
    "backend": ("adapter", "backend"),
    "adapter type": ("adapter", "type"),
    "run-time checks": ("device", "checked"),
}
# These change times, but may be the change that is measured.
_WARNED: Mapping[str, Path] = {
    "driver": ("adapter", "driver"),
    "CPU": ("system", "cpu"),
    "sample length": ("options", "sample_s"),
}
_INFORMED: Mapping[str, Path] = {
    "rusty_py": ("rusty_py", "version"),
    "commit": ("rusty_py", "commit"),
    "wgpu": ("packages", "wgpu"),
    "wgpu-native": ("packages", "wgpu-native"),
    "numpy": ("packages", "numpy"),
    "Python": ("python", "version"),
    "system": ("system", "os"),
}


@dataclass(frozen=True)
class Difference:
    """A fact of the context that differs between the runs."""

    fact: str
    base: str
    other: str

    def __str__(self) -> str:
        return f"{self.fact}: {self.base} in base, {self.other} in other"


@dataclass(frozen=True)
class Comparability:
    """Why runs are not comparable (`refused`), what calls for care (`warned`), and other differences."""

    refused: tuple[str, ...]
    warned: tuple[str, ...]
    informed: tuple[Difference, ...]


def comparability(base: Sequence[BenchRun], other: Sequence[BenchRun]) -> Comparability:
    """Compares the contexts of all runs with the first of base."""
    runs = [*base, *other]
    refused = [str(each) for each in _differences(runs, _REFUSED)]
    warned = [str(each) for each in _differences(runs, _WARNED)]
    for side, name in ((base, "base"), (other, "other")):
        warned += [f"{name} was interrupted" for run in side if run.interrupted]
        warned += [f"the device failed in {name}: {run.failure}" for run in side if run.failure]
    informed = _differences(runs, _INFORMED) + _options(runs) + _environment(runs)
    return Comparability(_distinct(refused), _distinct(warned), _distinct(informed))


def fault_of(base: Sequence[Result], other: Sequence[Result]) -> str:
    """Why the results of one problem and implementation have no ratio; empty if they have one."""
    for side, name in ((base, "base"), (other, "other")):
        for result in side:
            if result.verdict != "ok":
                return f"{result.verdict} in {name}: {result.reason}"
            if not result.ns or not 0 < result.ns < math.inf:
                return f"no time in {name}"
    first = base[0]
    for result in (*base, *other):
        if result.clock != first.clock:
            return f"clock: {first.clock} in base, {result.clock} in other"
        if result.scope != first.scope:
            return f"scope: {first.scope} in base, {result.scope} in other"
    return ""


def fact(run: BenchRun, path: Path) -> object:
    """The value at `path` of the context, or None."""
    value: object = run.context
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def same_software(runs: Sequence[BenchRun]) -> bool:
    """Whether all runs are of one commit, without changes, with the same packages."""
    path = ("rusty_py", "commit")
    commit = fact(runs[0], path)
    clean = isinstance(commit, str) and not commit.endswith("+")
    return clean and not _differences(runs, {"commit": path}) and same_packages(runs)


def same_packages(runs: Sequence[BenchRun]) -> bool:
    """Whether all runs used the same versions of Python and of the packages that are timed."""
    timed = {name: _INFORMED[name] for name in ("wgpu", "wgpu-native", "numpy", "Python")}
    return not _differences(runs, timed)


def _differences(runs: Sequence[BenchRun], facts: Mapping[str, Path]) -> list[Difference]:
    first = runs[0]
    return [
        Difference(name, str(fact(first, path)), str(fact(run, path)))
        for name, path in facts.items()
        for run in runs[1:]
        if fact(run, path) != fact(first, path)
    ]


def _options(runs: Sequence[BenchRun]) -> list[Difference]:
    """Differing options. The seed only orders the samples."""
    names = dict.fromkeys(name for run in runs for name in _keys(run, "options"))
    paths = {f"option {name}": ("options", name) for name in names if name not in ("seed", "sample_s")}
    return _differences(runs, paths)


def _environment(runs: Sequence[BenchRun]) -> list[Difference]:
    names = dict.fromkeys(name for run in runs for name in _keys(run, "environment"))
    return _differences(runs, {name: ("environment", name) for name in names if name != "RUSTY_PY_COMMIT"})


def _keys(run: BenchRun, name: str) -> list[str]:
    value = fact(run, (name,))
    return list(value) if isinstance(value, Mapping) else []


def _distinct(values: Sequence[_T]) -> tuple[_T, ...]:
    return tuple(dict.fromkeys(values))
