"""How long launches take: by the wall clock, and by GPU timestamps where those can be true."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rusty_py.runtime import native
from rusty_py.runtime.buffer import CommandBuffer
from rusty_py.runtime.capi import Copy
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Launch, record

_MAX_QUERIES = 4096  # WebGPU's largest query set.


@dataclass(frozen=True)
class TimedSample:
    """One timed stretch of work. `gpu_ns` is None where the timestamps cannot be believed."""

    wall_ns: float
    gpu_ns: float | None
    fault: str = ""


class Timer:
    """Times submissions on a device by both clocks at once."""

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
            self._period_ns = native.timestamp_period_ns(device.raw)

    def sample(self, submissions: Sequence[Sequence[Launch]]) -> TimedSample:
        """Runs the submissions, each a list of launches, one after the other, and times them together.

        The wall clock covers submitting and waiting, not recording. The GPU's is the sum over submissions.
        """
        queries = self.queries if 2 * len(submissions) <= _MAX_QUERIES else None
        recordings = [
            record(self.device, part, timestamps=(queries, 2 * i) if queries else None)
            for i, part in enumerate(submissions)
        ]
        start = time.perf_counter_ns()
        for recording in recordings:
            self.device.submit(recording)
        self.device.wait()
        wall_ns = float(time.perf_counter_ns() - start)
        if queries is None:
            return TimedSample(
                wall_ns, None, "too many submissions to stamp" if self.queries else "no timestamps"
            )
        return judge(self._stamps_ns(len(recordings)), wall_ns)

    def _stamps_ns(self, passes: int) -> NDArray[np.float64]:
        # In a submission of its own, after the wait: macOS may resolve zeros when asked earlier.
        queue = self.device.queue
        resolve = queue.commands.resolve(queue.device, self.queries, 2 * passes, self._resolved._internal)
        copy = Copy(self._resolved._internal, 0, self._ticks.memory.handle, 0, 16 * passes)
        copying = queue.commands.encode(queue.device, (), [copy])
        self.device.submit(
            CommandBuffer(self.device, resolve, []), CommandBuffer(self.device, copying, [self._ticks])
        )
        ticks = np.empty((passes, 2), np.uint64)
        self.device.read(self._ticks, ticks)
        # Counted from the first: a float64 of nanoseconds since start-up would lose digits.
        first = ticks[0, 0]
        return np.where(ticks == 0, 0.0, (ticks - first).astype(np.int64) * self._period_ns + 1.0)


def judge(stamps_ns: NDArray[np.float64], wall_ns: float) -> TimedSample:
    """A sample of (start, end) stamps, (passes, 2) and 0 where missing, believed where they can be true."""
    if not stamps_ns.all():
        return TimedSample(wall_ns, None, "timestamps were 0")
    spans = stamps_ns[:, 1] - stamps_ns[:, 0]
    if (np.diff(stamps_ns.ravel()) < 0).any() or (spans <= 0).any():
        return TimedSample(wall_ns, None, "timestamps were out of order")
    gpu_ns = float(spans.sum())
    # The GPU cannot have worked for longer than we waited; 1 % and 20 us are for the clocks' grain.
    if gpu_ns > 1.01 * wall_ns + 20_000:
        return TimedSample(wall_ns, None, "timestamps exceed the wall clock")
    return TimedSample(wall_ns, gpu_ns)
