"""What a check found, as data, as text for people, and as JSON."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Thread(NamedTuple):
    """A thread: its workgroup, and where in it."""

    workgroup: tuple[int, int, int]
    local: tuple[int, int, int]

    def __str__(self) -> str:
        return f"thread {self.local} of workgroup {self.workgroup}"


class CheckRun(NamedTuple):
    """One run of a kernel: how many threads a subgroup has, and the order of threads, 0 for their own."""

    subgroup_size: int
    seed: int


class SourceSpan(NamedTuple):
    """A statement of the WGSL text: line and column from 1, and `length` characters of that line.

    Narrowed to the variable where it names the one that a finding is about.
    """

    line: int
    column: int
    length: int


@dataclass(frozen=True)
class Finding:
    """A fault: its `kind`, a sentence, the place, and where they apply variable, index, size and threads.

    `index` counts elements of `variable`, of which there are `size`. `other` is the second thread of a race
    or of what diverges, and `other_place` where it was; None where it had ended.
    """

    kind: str
    message: str
    place: SourceSpan | None = None
    variable: str | None = None
    index: int | None = None
    size: int | None = None
    thread: Thread | None = None
    other: Thread | None = None
    other_place: SourceSpan | None = None

    def __str__(self) -> str:
        where = f"line {self.place.line}: " if self.place else ""
        return f"{where}{self.kind}: {self.message}"


@dataclass(frozen=True)
class Report:
    """What came of a check; `str` of it is for people.

    `findings` are late evaluations, then those of the last of `runs` in the order they were met, except that
    divergence comes first and uninitialised reads last. Fix the first one first: it may cause the others.
    `outputs` is what the first run left in the buffers, in their dtypes and shapes. `varies` names those that
    runs of one subgroup size left differently: where threads race by atomics, the order decides, and no rule
    is broken.
    """

    wgsl: str
    entry: str
    workgroups: tuple[int, int, int]
    threads: tuple[int, int, int]
    runs: tuple[CheckRun, ...]
    findings: tuple[Finding, ...]
    outputs: Mapping[str, NDArray[np.generic]]
    varies: tuple[str, ...] = ()
    name: str = "wgsl"

    @property
    def clean(self) -> bool:
        return not self.findings

    def __str__(self) -> str:
        parts = [_paragraph(self, finding) for finding in self.findings]
        return "\n\n".join([*parts, self.summary()])

    def summary(self) -> str:
        """The last line: what was run, and what came of it."""
        found = len(self.findings)
        verdict = "clean" if not found else f"{found} finding{'s' * (found > 1)}"
        sizes = sorted({run.subgroup_size for run in self.runs})
        subgroups = f", subgroups of {', '.join(map(str, sizes))}" if len(sizes) > 1 else ""
        left = ", ".join(self.varies)
        order = f"; what is left in {left} depends on the order of threads" if left else ""
        return (
            f"{self.name}: {self.entry}: {verdict}"
            f" ({_sizes(self.workgroups)} workgroups of {_sizes(self.threads)} threads,"
            f" {len(self.runs)} run{'s' * (len(self.runs) != 1)}{subgroups}){order}"
        )

    def as_json(self) -> dict[str, Any]:
        """Plain data: what `--json` prints. `outputs` are left out."""
        return {
            "format": "rusty_py.check/1",
            "name": self.name,
            "entry": self.entry,
            "clean": self.clean,
            "workgroups": list(self.workgroups),
            "threads": list(self.threads),
            "runs": [run._asdict() for run in self.runs],
            "varies": list(self.varies),
            "findings": [_as_json(finding) for finding in self.findings],
        }


def _as_json(finding: Finding) -> dict[str, Any]:
    data: dict[str, Any] = dict(vars(finding))
    for name in ("place", "other_place", "thread", "other"):
        data[name] = data[name]._asdict() if data[name] is not None else None
    return data


def _paragraph(report: Report, finding: Finding) -> str:
    place = finding.place
    if place is None:
        return f"{report.name}: {finding.kind}: {finding.message}"
    lines = [f"{report.name}:{place.line}:{place.column}: {finding.kind}: {finding.message}"]
    other = finding.other_place
    if other is not None and other.line == place.line:
        return "\n".join([*lines, *_excerpt(report.wgsl, place, other)])
    lines += _excerpt(report.wgsl, place)
    if other is not None:
        lines += [f"{'':8} and there:", *_excerpt(report.wgsl, other)]
    return "\n".join(lines)


def _excerpt(wgsl: str, place: SourceSpan, *more: SourceSpan) -> list[str]:
    """The line, and carets below each place, all in that line, as terminals show them."""
    line = wgsl.split("\n")[place.line - 1].rstrip("\r")
    text = "".join(each if each.isprintable() or each == "\t" else "\ufffd" for each in line)
    # They are blanks and tabs at the same columns, and carets, the greatest of these.
    columns = zip_longest(*(_carets(text, each) for each in (place, *more)), fillvalue="")
    return [f"{place.line:7} | {text}", f"{'':7} | {''.join(map(max, columns))}"]


def _carets(text: str, place: SourceSpan) -> str:
    start, end = place.column - 1, place.column - 1 + place.length
    before = "".join("\t" if each == "\t" else " " * _width(each) for each in text[:start])
    below = "".join("\t" if each == "\t" else "^" * _width(each) for each in text[start:end]).rstrip("\t")
    return f"{before}{below or '^'}"


def _width(letter: str) -> int:
    """How many columns a terminal gives it."""
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _sizes(sizes: tuple[int, int, int]) -> str:
    return "x".join(map(str, sizes))
