"""What the parent asks for. Plain data that travels as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rusty_py.bench.context import homeless


@dataclass(frozen=True)
class KernelJob:
    """One launch of a WGSL text, and the references of its outputs.

    `buffers` and `references` are as on the command line. `time_limit_s` limits each run on the GPU,
    `max_time_s` the whole measurement. `command` is recorded in the result.
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
    command: str = ""

    @property
    def problem(self) -> str:
        """The name of what is computed: the references, in one line."""
        return homeless("; ".join(" ".join(each.split()) for each in self.references))

    @property
    def facts(self) -> dict[str, object]:
        """What the context of the result records of the job."""
        kernel = {"name": self.name, "workgroups": self.workgroups, "constants": self.constants}
        return {"command": self.command, "kernel": kernel}
