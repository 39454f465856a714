"""Replays of our own graph of a task, for comparison with those of another library."""

from functools import partial
from typing import Any

from numpy.typing import NDArray

from rusty_py.arrays import Array, upload
from rusty_py.dtypes import element
from rusty_py.measure.document import Timed
from rusty_py.measure.kernels import FILL
from rusty_py.measure.references.computation import ReferenceTrack, wall_timed
from rusty_py.measure.references.layouts import flat
from rusty_py.measure.references.task import ReferenceTask
from rusty_py.measure.verification import POISON
from rusty_py.operation import OPERATIONS, apply
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import launch

GRAPH = "ours graph"


def our_replays(task: ReferenceTask, device: Device) -> ReferenceTrack:
    """The track of our replays, by the wall clock."""
    return ReferenceTrack(GRAPH, task, OurReplays(task, device), clock="wall", scope="host")


class OurReplays:
    """Replays of a graph of one application, with one wait at the end."""

    step = 1

    def __init__(self, task: ReferenceTask, device: Device) -> None:
        self.task, self.device = task, device

    def prepare(self) -> None:
        call = self.task.ours or partial(apply, OPERATIONS[self.task.operation])
        given = [_moved(x, self.device) for x in self.task.operands]
        call(*given, **self.task.options)  # Compiles.
        with self.device.capture() as self.graph:
            self.out = call(*given, **self.task.options)
        self.sample(1)

    def poison(self) -> None:
        buffer, groups = self.out.buffer, 64
        launch(
            self.device,
            FILL,
            outputs=[buffer],
            uniforms=(buffer.nbytes // 4, POISON, groups * FILL.threads),
            workgroups=(groups, 1, 1),
        )
        self.device.wait()

    def sample(self, runs: int) -> Timed:
        return wall_timed(lambda: self._run(runs))

    def result(self) -> NDArray[Any]:
        return self.out.numpy()

    def _run(self, runs: int) -> None:
        for _ in range(runs):
            self.graph.replay()
        self.device.wait()


def _moved(x: NDArray[Any], device: Device) -> Array:
    """`x` on the device, with its strides."""
    values, view = flat(x)
    kind = element(x.dtype, operation="reference")
    return upload(values, kind, device).view(view)
