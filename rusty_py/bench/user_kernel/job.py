"""What the parent asks for, and what comes of it. Plain data that travels as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rusty_py.measure.stats import Summary


@dataclass(frozen=True)
class KernelJob:
    """One launch of a WGSL text, and the references of its outputs.

    `buffers` and `references` are as on the command line. `time_limit_s` limits each run on the GPU,
    `max_time_s` the whole measurement.
    """

    wgsl: str
    name: str
    workgroups: Sequence[int]
    buffers: Mapping[str, str]
    references: Sequence[str]
    entry: str | None = None
    constants: Mapping[str, float] = field(default_factory=dict)
    adapter: str | None = None
    checked: bool = True
    runs: int | None = None
    max_time_s: float | None = None
    time_limit_s: float = 10.0
    rtol: float | None = None
    atol: float | None = None


@dataclass(frozen=True)
class KernelRow:
    """A kernel: verified and timed, or found wrong for the `reason`.

    `error` is the largest error as a fraction of its bound, None if it is not finite. `samples_ns` are
    nanoseconds per run. `what` describes the kernel.
    """

    kernel: str
    verdict: Literal["ok", "wrong"]
    what: str = ""
    error: float | None = None
    reason: str = ""
    samples_ns: tuple[float, ...] = ()
    runs: int = 1
    stats: Summary | None = None


@dataclass(frozen=True)
class KernelRun:
    """The outcome: the user's kernel first, then ours where the reference is one of our operations.

    `nbytes` is the minimum traffic of the buffers, `flops` the operations of the references. `unverified`:
    written buffers without a reference. `context` is the machine and the command.
    """

    rows: tuple[KernelRow, ...]
    clock: Literal["gpu", "wall"]
    clock_reason: str
    nbytes: int
    flops: int
    method: str
    stopped: str = ""
    unverified: tuple[str, ...] = ()
    context: Mapping[str, object] = field(default_factory=dict)
