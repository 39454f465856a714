"""What a run found out, as plain data."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Record:
    """One visit of a peer to a problem: seconds of one call in each sample, or why there are none.

    `error` is the largest, in units of the bound for sums in the type `sums`. `gflops` is by the median.
    """

    peer: str
    problem: str
    dtype: str
    flops: int
    seed: tuple[int, ...]
    clock: str = ""
    calls: int = 0
    samples_s: tuple[float, ...] = ()
    error: float | None = None
    sums: str = ""
    failure: str = ""

    @property
    def gflops(self) -> float | None:
        return self.flops / statistics.median(self.samples_s) / 1e9 if self.samples_s else None


@dataclass(frozen=True)
class Comparison:
    """A whole run: `peers` in the order of their columns, and what is known of each."""

    peers: tuple[str, ...]
    records: tuple[Record, ...]
    context: Mapping[str, object] = field(default_factory=dict)
    about: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def dumps(comparison: Comparison) -> str:
    """As JSON, every sample included."""
    return json.dumps(asdict(comparison), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def loads(text: str) -> Comparison:
    """What `dumps` wrote."""
    document = json.loads(text)
    records = [
        Record(**{**each, "seed": tuple(each["seed"]), "samples_s": tuple(each["samples_s"])})
        for each in document["records"]
    ]
    return Comparison(tuple(document["peers"]), tuple(records), document["context"], document["about"])


def of(records: Sequence[Record], **wanted: str) -> list[Record]:
    """The records whose fields are those."""
    return [each for each in records if all(getattr(each, name) == value for name, value in wanted.items())]
