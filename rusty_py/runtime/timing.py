"""Timing of launches: by the wall clock, and by GPU timestamps if they are plausible."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rusty_py.runtime.buffer import CommandBuffer
from rusty_py.runtime.capi import Copy, handle, timestamp_period_ns
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Launch, record

_MAX_QUERIES = 4096  # WebGPU's largest query set.


@dataclass(frozen=True)
class TimedSample:
    """One timing sample. `gpu_ns` is None if the timestamps are missing or implausible; `fault` says why."""

    wall_ns: float
    gpu_ns: float | None
    fault: str = ""


class Timer:
    """Times submissions on a device by both clocks."""

    def __init__(self, device: Device) -> None:
        import wgpu

        device.ensure_usable("timer")
        device.queue.refuse_lost("timer")
        self.device = device
        self.queries: wgpu.GPUQuerySet | None = None
        if "timestamp-query" in device.adapter.features:
            self.queries = device.raw.create_query_set(type="timestamp", count=_MAX_QUERIES)
            self._resolved = device.raw.create_buffer(
                size=8 * _MAX_QUERIES, usage=wgpu.BufferUsage.QUERY_RESOLVE | wgpu.BufferUsage.COPY_SRC
            )
            self._ticks = device.empty(8 * _MAX_QUERIES, label="timestamps")
            self._period_ns = timestamp_period_ns(device.raw)

    def sample(self, submissions: Sequence[Sequence[Launch]]) -> TimedSample:
        """Runs the submissions, each a list of launches, in order and times them together.

        Wall time covers submitting and waiting, not recording. GPU time is the sum over submissions.
        """
        queries = self.queries if 2 * len(submissions) <= _MAX_QUERIES else None
        command_buffers = [
            record(self.device, part, timestamps=(queries, 2 * i) if queries else None)
            for i, part in enumerate(submissions)
        ]
        start = time.perf_counter_ns()
        for command_buffer in command_buffers:
            self.device.submit(command_buffer)
        self.device.wait()
        wall_ns = float(time.perf_counter_ns() - start)
        if queries is None:
            return TimedSample(
                wall_ns, None, "too many submissions to stamp" if self.queries else "no timestamps"
            )
        return judge(self._stamps_ns(len(command_buffers)), wall_ns)

    def _stamps_ns(self, passes: int) -> NDArray[np.float64]:
        # In a separate submission after the wait: on macOS an earlier resolve may return zeros.
        queue = self.device.queue
        resolve = queue.commands.resolve(queue.device, self.queries, 2 * passes, handle(self._resolved))
        copy = Copy(handle(self._resolved), 0, self._ticks.memory.handle, 0, 16 * passes)
        copying = queue.commands.encode(queue.device, (), [copy])
        self.device.submit(
            CommandBuffer(self.device, resolve, []), CommandBuffer(self.device, copying, [self._ticks])
        )
        ticks = np.empty((passes, 2), np.uint64)
        self.device.read(self._ticks, ticks)
        # Relative to the first: float64 nanoseconds since boot would lose digits.
        first = ticks[0, 0]
        return np.where(ticks == 0, 0.0, (ticks - first).astype(np.int64) * self._period_ns + 1.0)


def judge(stamps_ns: NDArray[np.float64], wall_ns: float) -> TimedSample:
    """A sample from (start, end) timestamps, (passes, 2), 0 if missing; implausible ones are dropped."""
    if not stamps_ns.all():
        return TimedSample(wall_ns, None, "timestamps were 0")
    spans = stamps_ns[:, 1] - stamps_ns[:, 0]
    if (np.diff(stamps_ns.ravel()) < 0).any() or (spans <= 0).any():
        return TimedSample(wall_ns, None, "timestamps were out of order")
    gpu_ns = float(spans.sum())
    # GPU time cannot exceed wall time; 1 % and 20 us allow for the clocks' resolution.
    if gpu_ns > 1.01 * wall_ns + 20_000:
        return TimedSample(wall_ns, None, "timestamps exceed the wall clock")
    return TimedSample(wall_ns, gpu_ns)
