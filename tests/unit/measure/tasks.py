"""Tasks for references, and how tests run and verify them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rusty_py.measure.document import BenchProblem, BenchRun, Result, Verification
from rusty_py.measure.references import ReferenceTask, task_of
from rusty_py.measure.references.computation import ReferenceTrack
from rusty_py.measure.references.numpy import NumpyCalls
from rusty_py.measure.runner import Comparison, Runner, Schedule
from rusty_py.measure.sampling import Options, Track
from rusty_py.operation import OPERATIONS, Operation
from rusty_py.samples import Sample

LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "rows": lambda x: x,
    "transposed": lambda x: x.T,
    "reversed": lambda x: x[::-1, ::-1],
    "every other": lambda x: x[1::2, ::3],
    "one column": lambda x: x[:, 4],
    "broadcast": lambda x: np.broadcast_to(x[:1], x.shape),
    "nothing": lambda x: x[4:4],
    "a number": lambda x: x[2, 7],
}

X = np.arange(1.0, 7.0, dtype=np.float32).reshape(2, 3)
DEVICE: Any = None  # Ours, which none of the tracks here uses.


def add(x: Any = X, y: Any = X) -> ReferenceTask:
    return task_of(OPERATIONS["add"], Sample("add", (x, y)))


def operations() -> list[Operation]:
    assert OPERATIONS["add"]  # The first that is asked for brings all.
    return list(OPERATIONS.values())


def on_host(computation: Any, task: ReferenceTask) -> ReferenceTrack:
    return ReferenceTrack("reference", task, computation, clock="wall", scope="host")


def verified(track: ReferenceTrack) -> Verification:
    track.prepare()
    return track.verify()


def options(**changes: Any) -> Options:
    given = {
        "sample_s": 1e-4,
        "warmup_s": 0.0,
        "min_samples": 3,
        "max_samples": 3,
        "min_time_s": 0.0,
        "max_time_s": 30.0,
        "seed": 1,
    }
    return Options(**given | changes)


def run_of(*tracks: Track, host: Sequence[Track] = ()) -> list[Result]:
    """The results of a run with these tracks; host references need a track that they are compared with."""
    problem, task = BenchProblem("add", "add"), add()
    if host:
        tracks = (on_host(NumpyCalls(task), task),)
    schedule = Schedule(problem, lambda: [Comparison(problem, tracks, host)])
    run = Runner(options(), lambda _: None).measure([schedule], BenchRun("test", {}))
    return list(run.rows[0].results)[-len(host or tracks) :]


def importing(found: Any) -> Callable[[str], Any]:
    def find(name: str) -> Any:
        if found is None:
            raise ImportError(f"No module named {name!r}")
        return found

    return find
