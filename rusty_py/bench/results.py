"""The results of `overhead` and `transfer`, as data that is stored as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from rusty_py.measure.stats import Summary, summarise

Clock = Literal["cpu", "wall"]
"""CPU time of the calling thread, which a slow driver does not lengthen, or the wall clock."""

Verdict = Literal["ok", "wrong", "skipped"]


@dataclass(frozen=True)
class Figure:
    """The times of one implementation in a row.

    `samples_ns` are nanoseconds per run, each the mean over the `runs` runs of a sample. `counts` are
    counters of the same time. A wrong or skipped implementation has no samples, but a `reason`.
    """

    by: str
    verdict: Verdict
    samples_ns: tuple[float, ...] = ()
    runs: int = 1
    stats: Summary | None = None
    counts: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""

    @property
    def ns(self) -> float | None:
        """The median time of a run."""
        return self.stats.median if self.stats else None


@dataclass(frozen=True)
class ResultRow:
    """One task, measured for several implementations.

    `proof` is the verification before and after sampling. `nbytes` are the bytes moved per run. `seed` is a
    published time for a similar task with its device, for orientation only.
    """

    what: str
    clock: Clock
    proof: str
    figures: tuple[Figure, ...]
    nbytes: int | None = None
    seed: str = ""
    stopped: str = ""

    def figure(self, by: str) -> Figure | None:
        """The result of the implementation `by`."""
        return next((figure for figure in self.figures if figure.by == by), None)

    def ns(self, by: str) -> float | None:
        """The median time of the implementation `by`, or None."""
        figure = self.figure(by)
        return figure.ns if figure else None

    def ratio(self, slower: str, faster: str) -> float | None:
        """The ratio of the median times of `slower` and `faster`."""
        slow, fast = self.ns(slower), self.ns(faster)
        return slow / fast if slow and fast else None


@dataclass
class Results:
    """One run of a command, possibly `interrupted` by a signal or ended by a `failure` of the device."""

    command: Literal["overhead", "transfer"]
    context: Mapping[str, object]
    rows: list[ResultRow] = field(default_factory=list)
    interrupted: bool = False
    failure: str = ""
    schema_version: Literal[1] = 1

    def row(self, what: str) -> ResultRow | None:
        """The row with this name, or None."""
        return next((row for row in self.rows if row.what == what), None)


def measured(
    by: str, samples_ns: list[float], *, runs: int = 1, counts: Mapping[str, float] | None = None
) -> Figure:
    """The result for one or more samples."""
    return Figure(by, "ok", tuple(samples_ns), runs, summarise(samples_ns), counts or {})


def skipped_row(what: str, reason: str, *, by: str = "ours", clock: Clock = "wall") -> ResultRow:
    """A row without a measurement."""
    return ResultRow(what, clock, "", (Figure(by, "skipped", reason=reason),))
