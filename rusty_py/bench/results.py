"""What `overhead` and `transfer` measure: rows of figures, as data that JSON reads and writes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from rusty_py.measure.stats import Summary, summarise

Clock = Literal["cpu", "wall"]
"""CPU time of the calling thread, which a slow driver does not lengthen, or the wall clock."""

Verdict = Literal["ok", "wrong", "skipped"]


@dataclass(frozen=True)
class Figure:
    """How long one contestant takes for what its row names.

    `samples_ns` are nanoseconds of one run, each the mean over the `runs` runs of a sample. `counts` is what
    was counted meanwhile. One that is wrong or skipped has no samples, and a `reason`.
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
    """One thing, done by several contestants in turn.

    `proof` says what was compared before and after the samples. `nbytes` is what a run moves. `seed` is a
    published figure for a thing of the kind, with its device: nothing here was measured against it.
    """

    what: str
    clock: Clock
    proof: str
    figures: tuple[Figure, ...]
    nbytes: int | None = None
    seed: str = ""
    stopped: str = ""

    def figure(self, by: str) -> Figure | None:
        """The figure of that contestant."""
        return next((figure for figure in self.figures if figure.by == by), None)

    def ns(self, by: str) -> float | None:
        """The median time of that contestant; None where there is none."""
        figure = self.figure(by)
        return figure.ns if figure else None

    def ratio(self, slower: str, faster: str) -> float | None:
        """How many times as long `slower` takes as `faster`, by their medians."""
        slow, fast = self.ns(slower), self.ns(faster)
        return slow / fast if slow and fast else None


@dataclass
class Results:
    """One run of a command, as far as it got.

    `interrupted` by Ctrl-C or another signal, or ended by a device's `failure`.
    """

    command: Literal["overhead", "transfer"]
    context: Mapping[str, object]
    rows: list[ResultRow] = field(default_factory=list)
    interrupted: bool = False
    failure: str = ""
    schema_version: Literal[1] = 1

    def row(self, what: str) -> ResultRow | None:
        """The row of that name."""
        return next((row for row in self.rows if row.what == what), None)


def measured(
    by: str, samples_ns: list[float], *, runs: int = 1, counts: Mapping[str, float] | None = None
) -> Figure:
    """The figure of samples, of which there is one at least."""
    return Figure(by, "ok", tuple(samples_ns), runs, summarise(samples_ns), counts or {})


def skipped_row(what: str, reason: str, *, by: str = "ours", clock: Clock = "wall") -> ResultRow:
    """A row of which nothing was measured."""
    return ResultRow(what, clock, "", (Figure(by, "skipped", reason=reason),))
