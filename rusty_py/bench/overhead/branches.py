"""Independent kernels in one submission, which the device may overlap, and in separate submissions."""

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rusty_py.bench.overhead.work import OURS, fault, row
from rusty_py.measure.kernels import CHURN
from rusty_py.measure.runner import Comparison
from rusty_py.measure.work import Implementation
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import launch

BRANCHES = 8
TOGETHER = f"{BRANCHES} independent kernels in one submission (graph)"
APART = f"{BRANCHES} independent kernels, a submission each"

_GROUPS = 4  # Workgroups per branch: few, so that most of a GPU is left to the others.
_COUNT = _GROUPS * CHURN.threads
_MIN_S = 1e-3
_MAX_STEPS = 1 << 16
_MASK = (1 << 32) - 1


def branches(device: Device) -> Sequence[Comparison]:
    """All branches captured as a graph, and each submitted separately."""
    work = Branches(device)

    def together(n: int) -> None:
        for _ in range(n):
            work.graph.replay()
            device.wait()

    def apart(n: int) -> None:
        for _ in range(n):
            for branch in range(BRANCHES):
                work.launch(branch)
                device.queue.flush()
            device.wait()

    method = f"{work.steps:,} steps of a generator of integers, bit for bit"
    seed = "over 1.5 times as fast as apart: the target"
    return [
        row(TOGETHER, "wall", method, [Implementation(OURS, together, work.verify)], seed=seed),
        row(APART, "wall", method, [Implementation(OURS, apart, work.verify)]),
    ]


class Branches:
    """Kernels on separate buffers, each long enough to make launch overhead negligible."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.seeds = [device.empty(4 * _COUNT) for _ in range(BRANCHES)]
        self.states = [device.empty(4 * _COUNT) for _ in range(BRANCHES)]
        self.steps = self._long_enough()
        with device.capture() as self.graph:
            for branch in range(BRANCHES):
                self.launch(branch)

    def launch(self, branch: int) -> None:
        """Records one branch."""
        launch(
            self.device,
            CHURN,
            inputs=[self.seeds[branch]],
            outputs=[self.states[branch]],
            uniforms=[self.steps],
            workgroups=(_GROUPS, 1, 1),
        )

    def verify(self, run: Callable[[], None]) -> str:
        """Verifies that `run` computes the states of every branch from fresh seeds."""
        rng = np.random.default_rng()
        seeds = [rng.integers(0, _MASK, _COUNT, np.uint32) for _ in range(BRANCHES)]
        for branch in range(BRANCHES):
            self.device.write(self.seeds[branch], seeds[branch])
            self.device.write(self.states[branch], np.zeros(_COUNT, np.uint32))
        run()
        faults = (self._fault(branch, seeds[branch]) for branch in range(BRANCHES))
        return next((f"branch {branch}: {wrong}" for branch, wrong in enumerate(faults) if wrong), "")

    def _fault(self, branch: int, seeds: NDArray[np.uint32]) -> str:
        states = np.empty(_COUNT, np.uint32)
        self.device.read(self.states[branch], states)
        return fault(states, after(seeds, self.steps))

    def _long_enough(self) -> int:
        self.steps = 1 << 10
        limit = min(_MAX_STEPS, self.device.limits.loop_steps // 2)
        while True:
            self.launch(0)
            self.device.wait()  # Once, for drivers that compile at the first run.
            start = time.perf_counter()
            self.launch(0)
            self.device.wait()
            if time.perf_counter() - start > _MIN_S or 2 * self.steps > limit:
                return self.steps
            self.steps *= 2


def after(seeds: NDArray[np.uint32], steps: int) -> NDArray[np.uint32]:
    """The states after `steps` steps of churn.wgsl from `seeds`: s -> a s + c, composed by squaring."""
    a, c = 1664525, 1013904223
    factor, offset = 1, 0
    while steps:
        if steps & 1:
            factor, offset = a * factor & _MASK, (a * offset + c) & _MASK
        a, c = a * a & _MASK, (a + 1) * c & _MASK
        steps >>= 1
    return (seeds.astype(np.uint64) * np.uint64(factor) + np.uint64(offset)).astype(np.uint32)
