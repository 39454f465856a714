"""Ceilings of the device by microbenchmarks: arithmetic, copy and read bandwidth, launch overhead."""

from dataclasses import dataclass

import numpy as np

from rusty_py.measure.clock import Clock
from rusty_py.measure.kernels import COPY, FILL, FMA, READ
from rusty_py.runtime.device import Buffer, Device
from rusty_py.runtime.launch import Launch, Spec, prepare
from rusty_py.runtime.timing import Timer
from rusty_py.shapes import ceil_div

_FMA_A_STEP = 8 * 4 * 4  # FMAs of a thread of fma.wgsl per loop iteration.
_FMA_STEPS, _SHORT_STEPS, _MAX_FMA_STEPS = 128, 16, 1 << 14
_CORE_NS = 2e5  # So that a launch costs little beside it.
_NEARLY, _LEAST_GROUPS = 0.95, 8
_PERIOD = 4_194_301  # Of the elements: a prime, so that no two blocks are equal.
_VEC4_BYTES = 16
_LARGEST_BUFFER = 1 << 30
_SAMPLES = 5
_STREAM_GROUPS = (16, 64, 256, 512, 1024, 4096, 16384, 65535)
_RESIDENT_GROUPS = 1024


@dataclass(frozen=True)
class _Stream:
    """A bandwidth kernel with the uniforms of copy.wgsl; it moves `pass_bytes` per pass over `source`."""

    spec: Spec
    source: Buffer
    output: Buffer
    pass_bytes: int

    @property
    def count(self) -> int:
        return self.source.nbytes // _VEC4_BYTES


class CeilingMeter:
    """Measures the ceilings of a device; each call measures again.

    Rates are the best of a few samples, since a ceiling is an upper bound.
    """

    def __init__(self, device: Device, timer: Timer, *, sample_s: float) -> None:
        self.device, self.timer, self.sample_s = device, timer, sample_s
        self.clock = Clock("wall", "not checked yet")
        self._fma_groups = 16 if device.adapter.is_cpu else 1024
        self.fma_launch = self._fma(self._fma_groups)

    def fit(self, min_s: float) -> None:
        """Enlarges the arithmetic launch until it takes `min_s`, so that it fills the device."""
        while self._fma_groups < self.device.limits.groups // 2:
            if self._warm_ns(self.fma_launch, repeats=1) >= min_s * 1e9:
                break
            self._fma_groups *= 2
            self.fma_launch = self._fma(self._fma_groups)

    def fma_gflops(self) -> float:
        """The maximum rate of f32 fused multiply-adds, in GFLOPS."""
        return self.fma_launch.flops / self._run_ns(self.fma_launch)

    def copy_gbps(self, working_set_bytes: int) -> float:
        """Copy bandwidth with source and target of `working_set_bytes` together; GB/s, reads plus writes."""
        source = self._vectors(working_set_bytes // 2)
        target = self.device.empty(source.nbytes, label="target")
        return self._gbps(_Stream(COPY, source, target, 2 * source.nbytes))

    def read_gbps(self, working_set_bytes: int) -> float:
        """Read-only bandwidth, by a sum over `working_set_bytes`; GB/s."""
        source = self._vectors(working_set_bytes)
        sums = self.device.empty(4 * max(_STREAM_GROUPS), label="sums")
        return self._gbps(_Stream(READ, source, sums, source.nbytes))

    def _vectors(self, nbytes: int) -> Buffer:
        """Random vec4 elements of `nbytes`, limited to the maximum buffer size."""
        limit = min(self.device.limits.binding_bytes, self.device.limits.buffer_bytes, _LARGEST_BUFFER)
        count = max(1, min(nbytes, limit) // _VEC4_BYTES)
        some = np.random.default_rng().random(min(4 * count, _PERIOD), np.float32)
        return self.device.upload(np.resize(some, 4 * count), label="source")

    def _gbps(self, stream: _Stream) -> float:
        # The fastest number of groups depends on the device and its caches.
        max_groups = min(ceil_div(stream.count, stream.spec.threads), self.device.limits.groups)
        choices = {min(groups, max_groups) for groups in _STREAM_GROUPS}
        # By the wall clock a submission costs 30 times as much as a launch in it, and more on a busy machine:
        # shorter launches would measure that overhead instead of memory.
        empty = self._empty()
        min_ns = 20 * min(self._warm_ns(empty, repeats=1) for _ in range(3))
        launches = [self._passes(stream, groups, min_ns) for groups in sorted(choices)]
        best = min(launches, key=lambda launch: self._warm_ns(launch, repeats=1) / launch.flops)
        return best.flops / self._run_ns(best)

    def _passes(self, stream: _Stream, groups: int, min_ns: float) -> Launch:
        """A launch with enough passes to take `min_ns`, if possible. Its flops are bytes."""
        count = stream.count
        stride = groups * stream.spec.threads
        passes = 1
        while True:
            launch = prepare(
                self.device,
                stream.spec,
                inputs=[stream.source],
                outputs=[stream.output],
                uniforms=(count, passes, stride, pass_shift(count)),
                workgroups=(groups, 1, 1),
                flops=passes * stream.pass_bytes,
            )
            # Groups beyond the resident ones would repeat passes over their own part, in their own cache.
            steps = 2 * passes * (ceil_div(count, stride) + 1)
            if groups > _RESIDENT_GROUPS or 2 * steps > self.device.limits.loop_steps or passes >= 1 << 16:
                return launch
            if self._warm_ns(launch, repeats=1) > min_ns:
                return launch
            passes *= 2

    def launch_ns(self) -> float:
        """The time of an almost empty launch, back to back with others."""
        return self._warm_ns(self._empty(), repeats=500) / 500

    def dependent_launch_ns(self, cores: int) -> float:
        """What it costs that work on all cores is divided into launches that wait for one another."""
        count = 200
        short, long = (self._fma(cores, steps) for steps in (_SHORT_STEPS, _SHORT_STEPS * count))
        divided = min(self._warm_ns(short, repeats=count) for _ in range(_SAMPLES))
        whole = min(self._warm_ns(long, repeats=1) for _ in range(_SAMPLES))
        return max(1.0, (divided - whole) / count)

    def cores(self) -> int:
        """How many workgroups of 256 threads compute at a time, each at its full rate.

        By the throughput of many workgroups, as a multiple of that of one; on a GPU then exactly: with one
        more, the time doubles.
        """
        steps = _FMA_STEPS
        while self._fma_ns(1, steps) < _CORE_NS and steps < _MAX_FMA_STEPS:
            steps *= 2
        one, groups = self._fma_ns(1, steps), 2 if self.device.adapter.is_cpu else 64
        estimate = 1.0
        while groups <= self.device.limits.groups:
            found = groups * one / self._fma_ns(groups, steps)
            if found < 1.05 * estimate:
                break
            estimate, groups = max(found, estimate), 2 * groups
        around = max(1, round(estimate))
        if self.device.adapter.is_cpu:
            return around
        low, high = 1, 2 * around + 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._fma_ns(middle, steps) < 1.5 * one else (low, middle)
        return low if abs(low - estimate) < 0.1 * estimate else around

    def _fma_ns(self, groups: int, steps: int) -> float:
        launch = self._fma(groups, steps)
        return min(self._warm_ns(launch, repeats=1) for _ in range(_SAMPLES))

    def fill_groups(self, working_set_bytes: int) -> int:
        """The least power of two of workgroups of 256 threads that read at nearly the full bandwidth."""
        source = self._vectors(working_set_bytes)
        sums = self.device.empty(4 * max(_STREAM_GROUPS), label="sums")
        stream = _Stream(READ, source, sums, source.nbytes)
        most = min(ceil_div(stream.count, stream.spec.threads), 8192)
        choices = [1 << i for i in range(most.bit_length()) if 1 << i >= _LEAST_GROUPS]
        rates = {each: stream.pass_bytes / self._run_ns(self._passes(stream, each, 0.0)) for each in choices}
        return min(each for each, rate in rates.items() if rate > _NEARLY * max(rates.values()))

    def _empty(self) -> Launch:
        word = self.device.empty(4, label="word")
        return prepare(self.device, FILL, outputs=[word], uniforms=(1, 0, FILL.threads), workgroups=(1, 1, 1))

    def drift_control_ns(self, repeats: int) -> float:
        """One sample of the drift control, a fixed arithmetic kernel, by the wall clock."""
        return self.timer.sample([[self.fma_launch] * repeats]).wall_ns

    def _fma(self, groups: int, steps: int = _FMA_STEPS) -> Launch:
        seeds = np.array([0.75, 0.125], np.float32)  # x -> 0.75 x + 0.125 (thread + 1) stays finite.
        return prepare(
            self.device,
            FMA,
            inputs=[self.device.upload(seeds, label="seeds")],
            outputs=[self.device.empty(4 * FMA.threads, label="sums")],
            uniforms=(steps,),
            workgroups=(groups, 1, 1),
            flops=groups * FMA.threads * steps * _FMA_A_STEP * 2,
        )

    def _run_ns(self, launch: Launch) -> float:
        """The time of a launch, repeated so that a sample takes `sample_s`."""
        once = self._warm_ns(launch, repeats=1)
        repeats = max(1, min(10_000, round(self.sample_s * 1e9 / once)))
        self.timer.sample([[launch] * repeats])
        samples = [self.timer.sample([[launch] * repeats]) for _ in range(_SAMPLES)]
        return min(self.clock.ns(sample) for sample in samples) / repeats

    def _warm_ns(self, launch: Launch, *, repeats: int) -> float:
        self.timer.sample([[launch] * repeats])
        return self.clock.ns(self.timer.sample([[launch] * repeats]))


def pass_shift(count: int) -> int:
    """The offset, in elements and whole cache lines, between the starts of successive passes over `count`.

    The golden ratio keeps the starts of many passes apart. With a third of `count`, every third pass would
    return to the same elements, and each thread would find them in its own cache.
    """
    return int(0.618 * count) // 256 * 256
