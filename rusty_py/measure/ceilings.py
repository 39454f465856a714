"""The ceilings of this device, measured by kernels of ours: arithmetic, copying, and an empty launch."""

import numpy as np

from rusty_py.device import Buffer, Device
from rusty_py.kernel import Launch, prepare
from rusty_py.measure.clock import Clock
from rusty_py.measure.kernels import COPY, FILL, FMA
from rusty_py.shapes import ceil_div
from rusty_py.timing import Timer

_FMA_A_STEP = 8 * 4 * 4  # What a thread of fma.wgsl does in one step of its loop.
_FMA_STEPS = 128
_VEC4_BYTES = 16
_LARGEST_COPY = 1 << 30
_SAMPLES = 5
_COPY_GROUPS = (16, 64, 1024, 4096, 16384, 65535)
_RESIDENT_GROUPS = 4096


class Ceilings:
    """Measures ceilings on a device; each call measures afresh. Rates are the best of a few samples.

    A ceiling stands for what cannot be passed, so the least disturbed sample is the right one.
    """

    def __init__(self, device: Device, timer: Timer, *, sample_s: float) -> None:
        self.device, self.timer, self.sample_s = device, timer, sample_s
        self.clock = Clock("wall", "not checked yet")
        self._fma_groups = 16 if device.adapter.is_cpu else 1024
        self.fma_launch = self._fma(self._fma_groups)

    def fit(self, least_s: float) -> None:
        """Makes the arithmetic launch large enough to take `least_s`, so that it fills the device."""
        while self._fma_groups < self.device.limits.groups // 2:
            if self._warm_ns(self.fma_launch, repeats=1) >= least_s * 1e9:
                break
            self._fma_groups *= 2
            self.fma_launch = self._fma(self._fma_groups)

    def fma_gflops(self) -> float:
        """The most f32 fused multiply-adds, in GFLOPS."""
        return self.fma_launch.flops / self._run_ns(self.fma_launch)

    def copy_gbps(self, working_set_bytes: int) -> float:
        """The fastest copy with source and target of `working_set_bytes` together, in GB/s."""
        most = min(self.device.limits.binding_bytes, self.device.limits.buffer_bytes, _LARGEST_COPY)
        count = max(1, min(working_set_bytes // 2, most) // _VEC4_BYTES)
        source = self.device.upload(np.random.default_rng().random(4 * count, np.float32), label="source")
        target = self.device.empty(source.nbytes, label="target")
        # Which number of groups copies fastest depends on the device and on what its caches hold.
        most_groups = min(ceil_div(count, COPY.threads), self.device.limits.groups)
        choices = {min(groups, most_groups) for groups in _COPY_GROUPS}
        # By the wall clock a submission is 30 times what a launch in it costs, and more on a busy machine:
        # shorter launches would measure that and take it for memory.
        empty = self._empty()
        least_ns = 20 * min(self._warm_ns(empty, repeats=1) for _ in range(3))
        launches = [self._copy(source, target, count, groups, least_ns) for groups in sorted(choices)]
        best = min(launches, key=lambda launch: self._warm_ns(launch, repeats=1) / launch.flops)
        return best.flops / self._run_ns(best)

    def _copy(self, source: Buffer, target: Buffer, count: int, groups: int, least_ns: float) -> Launch:
        """A launch of enough passes that it takes `least_ns` where it can. Its flops are bytes."""
        stride = groups * COPY.threads
        shift = count // 3 // 256 * 256  # A multiple of the cache lines: each pass starts elsewhere.
        passes = 1
        while True:
            launch = prepare(
                self.device,
                COPY,
                inputs=[source],
                outputs=[target],
                dims=(count, passes, stride, shift),
                workgroups=(groups, 1, 1),
                flops=passes * 2 * source.nbytes,
            )
            # More groups than run at once would each do all passes over their own part, in their own cache.
            steps = 2 * passes * (ceil_div(count, stride) + 1)
            if groups > _RESIDENT_GROUPS or 2 * steps > self.device.limits.loop_steps or passes >= 1 << 16:
                return launch
            if self._warm_ns(launch, repeats=1) > least_ns:
                return launch
            passes *= 2

    def launch_ns(self) -> float:
        """What a launch costs that does next to nothing, back to back with others."""
        return self._warm_ns(self._empty(), repeats=500) / 500

    def _empty(self) -> Launch:
        word = self.device.empty(4, label="word")
        return prepare(self.device, FILL, outputs=[word], dims=(1, 0, FILL.threads), workgroups=(1, 1, 1))

    def anchor_ns(self, repeats: int) -> float:
        """One sample of fixed arithmetic by the wall clock: its drift is the machine's."""
        return self.timer.sample([[self.fma_launch] * repeats]).wall_ns

    def _fma(self, groups: int) -> Launch:
        seeds = np.array([0.75, 0.125], np.float32)  # x -> 0.75 x + 0.125 (thread + 1) stays finite.
        return prepare(
            self.device,
            FMA,
            inputs=[self.device.upload(seeds, label="seeds")],
            outputs=[self.device.empty(4 * FMA.threads, label="sums")],
            dims=(_FMA_STEPS,),
            workgroups=(groups, 1, 1),
            flops=groups * FMA.threads * _FMA_STEPS * _FMA_A_STEP * 2,
        )

    def _run_ns(self, launch: Launch) -> float:
        """The launch's time when repeated until a sample lasts."""
        once = self._warm_ns(launch, repeats=1)
        repeats = max(1, min(10_000, round(self.sample_s * 1e9 / once)))
        return min(self._warm_ns(launch, repeats=repeats) for _ in range(_SAMPLES)) / repeats

    def _warm_ns(self, launch: Launch, *, repeats: int) -> float:
        self.timer.sample([[launch] * repeats])
        return self.clock.ns(self.timer.sample([[launch] * repeats]))
