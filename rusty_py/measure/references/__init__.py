"""Other libraries to compare with: NumPy on the host, PyTorch on CUDA or MPS, MLX on Apple GPUs.

`library` finds one by name; `references` makes the tracks of a task, which `Comparison` takes. A library is
imported only when it is asked for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from rusty_py.errors import ToolError
from rusty_py.measure.document import ClockName
from rusty_py.measure.references import mlx, numpy, torch
from rusty_py.measure.references.task import ReferenceTask as ReferenceTask
from rusty_py.measure.references.task import comparison as comparison
from rusty_py.measure.references.task import task_of as task_of
from rusty_py.measure.sampling import Track
from rusty_py.runtime.device import Device


class Library(Protocol):
    """A library on a device, or on the host."""

    @property
    def name(self) -> str: ...

    @property
    def on_host(self) -> bool: ...

    def about(self) -> Mapping[str, str]:
        """Its version and its device, for the context of a run."""

    def tracks(self, task: ReferenceTask, *, device: Device, clock: ClockName) -> Sequence[Track]:
        """The tracks of a task. `device` is ours, `clock` that of its kernels."""


LIBRARIES: Mapping[str, Callable[[], Library]] = {
    "numpy": numpy.library,
    "torch": torch.library,
    "mlx": mlx.library,
}
"""By name: raise ToolError if the library is not installed or has no device."""


@dataclass(frozen=True)
class References:
    """As in `Comparison`: `tracks` are sampled in the rounds of our kernels, `references` before them."""

    tracks: Sequence[Track] = ()
    references: Sequence[Track] = ()


def library(name: str) -> Library:
    """The library of this name. Raises ToolError for an unknown name, and if it can't be used here."""
    if name not in LIBRARIES:
        raise ToolError(f"reference: unknown library: {name!r}; choose from {', '.join(LIBRARIES)}")
    return LIBRARIES[name]()


def available(name: str) -> str:
    """Why `library` raises ToolError for this name; "" if the library can be used here."""
    try:
        library(name)
    except ToolError as error:
        return str(error)
    return ""


def references(
    libraries: Sequence[Library], task: ReferenceTask, *, device: Device, clock: ClockName
) -> References:
    """The tracks of a task in some libraries. `clock` is that of the run's kernels."""
    made = [(each.on_host, each.tracks(task, device=device, clock=clock)) for each in libraries]
    return References(
        tracks=[track for on_host, tracks in made if not on_host for track in tracks],
        references=[track for on_host, tracks in made if on_host for track in tracks],
    )
