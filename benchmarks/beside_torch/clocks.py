"""Tracks of a computation by rusty_py and by PyTorch on the GPU's clock, and the wall times of calls."""

import math
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

from rusty_py.arrays import Array
from rusty_py.measure.clock import Clock
from rusty_py.measure.document import BenchProblem, Timed, Verification
from rusty_py.measure.operation_work import collected, kernel_names, poison
from rusty_py.measure.references.torch import judge
from rusty_py.measure.sampling import KernelTrack, Options, Sampler, Track
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Launch, run
from rusty_py.runtime.timing import Timer

Call = Callable[[], Any]

_GRAPH_CALLS = 16
_LONG_S = 5e-3  # From here on, a graph has a single call.
_ROUNDS, _SAMPLE_S, _MAX_CALLS = 7, 0.02, 2000


class OurWork:
    """The launches of a call: a `Work`."""

    plan = ""

    def __init__(self, device: Device, call: Callable[[], Array]) -> None:
        self.device, self._call = device, call
        self._collect()
        self.kernel, self.sha256 = kernel_names(self.made)
        self.problem = BenchProblem("", "")

    def launches(self) -> list[Launch]:
        """Collected anew when the throughput of kernels has become known, which divides long launches."""
        if self._version != self.device.throughput.version:
            self._collect()
        return self.made

    def _collect(self) -> None:
        self._version = self.device.throughput.version
        self.made, self.result = collected(self.device, self._call)

    def poison(self) -> None:
        poison(self.device, self.made)

    def verify(self) -> Verification:
        self.poison()
        run(self.device, self.made)
        return Verification("")

    def recheck(self) -> Verification:
        return Verification("")


def our_track(device: Device, timer: Timer, clock: Clock, call: Call, *, by: str = "rusty_py") -> KernelTrack:
    """Ours, by GPU timestamps where they agree with the wall clock."""
    return KernelTrack(
        by, lambda: OurWork(device, call), device, timer, "gpu" if clock.name == "gpu" else "wall"
    )


class TorchTrack(Track):
    """PyTorch's: replays of a CUDA graph between two events; calls by the wall clock on the CPU."""

    def __init__(self, torch: Any, device: str, call: Call) -> None:
        super().__init__("torch", "gpu" if device == "cuda" else "wall", "kernel")
        self.torch, self.on_cuda, self.call = torch, device == "cuda", call
        self.step = 1
        self.result_: Any = None

    def prepare(self) -> None:
        self.result_ = self.call()
        if not self.on_cuda:
            return
        self.torch.cuda.synchronize()
        start = time.perf_counter()
        self.call()
        self.torch.cuda.synchronize()
        self.step = 1 if time.perf_counter() - start > _LONG_S else _GRAPH_CALLS
        self.graph = torch_graph(self.torch, self.call, self.step)
        self.runs = self.step

    def warm_up(self, options: Options, deadline: float) -> None:
        spent_s = 0.0
        while True:
            seconds = self.sample().wall_ns / 1e9  # type: ignore[operator]  # Always taken here.
            spent_s += seconds
            wanted = math.ceil(options.sample_s * self.runs / seconds)
            if (spent_s >= options.warmup_s and wanted <= 1.2 * self.runs) or time.monotonic() > deadline:
                break
            runs = max(1, min(wanted, 8 * self.runs))
            self.runs = math.ceil(runs / self.step) * self.step

    def sample(self) -> Timed:
        torch = self.torch
        if not self.on_cuda:
            start_ns = time.perf_counter_ns()
            for _ in range(self.runs):
                self.call()
            return Timed(wall_ns=float(time.perf_counter_ns() - start_ns))
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        start_ns = time.perf_counter_ns()
        start.record()
        for _ in range(self.runs // self.step):
            self.graph.replay()
        end.record()
        torch.cuda.synchronize()
        return judge(float(start.elapsed_time(end)) * 1e6, float(time.perf_counter_ns() - start_ns))


class ReplayTrack(Track):
    """Replays of a graph with one wait at the end, by the wall clock."""

    def __init__(self, by: str, replay: Call, wait: Call) -> None:
        super().__init__(by, "wall", "host")
        self.replay, self.wait = replay, wait

    def prepare(self) -> None:
        _seconds(self.replay, self.wait, 3)

    def warm_up(self, options: Options, deadline: float) -> None:
        while True:
            seconds = _seconds(self.replay, self.wait, self.runs)
            wanted = math.ceil(options.sample_s * self.runs / seconds)
            if wanted <= 1.2 * self.runs or time.monotonic() > deadline:
                break
            self.runs = max(1, min(wanted, 8 * self.runs))

    def sample(self) -> Timed:
        return Timed(wall_ns=1e9 * _seconds(self.replay, self.wait, self.runs))


def warm_up_aside(torch: Any, call: Call) -> None:
    """Calls on another stream, as PyTorch asks for before gradients are captured."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(2):
            call()
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()


def torch_graph(torch: Any, call: Call, calls: int) -> Any:
    """A CUDA graph of so many calls."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(calls):
            call()
    return graph


def sampled(tracks: list[Track], options: Options, deadline: float) -> dict[str, dict[str, Any]]:
    """The median and the samples of each track, sampled in interleaved rounds, in nanoseconds a call."""
    for track in tracks:
        track.prepare()
        track.warm_up(options, deadline)
    Sampler(options, deadline=deadline).rounds(tracks, share_s=0.0)
    return {
        track.by: {
            "median_ns": statistics.median(track.samples_ns()),
            "samples_ns": track.samples_ns(),
            "runs": track.runs,
            "clock": track.clock,
        }
        for track in tracks
    }


def wall_ns(implementations: Mapping[str, tuple[Call, Call]]) -> dict[str, float]:
    """Nanoseconds of a call through the final wait: medians of samples that take turns.

    An implementation is a call and what waits for it.
    """
    calls = {name: _calls(*each) for name, each in implementations.items()}
    samples: dict[str, list[float]] = {name: [] for name in implementations}
    for _ in range(_ROUNDS):
        for name, (call, wait) in implementations.items():
            samples[name].append(_seconds(call, wait, calls[name]) / calls[name])
    return {name: 1e9 * statistics.median(taken) for name, taken in samples.items()}


def _calls(call: Call, wait: Call) -> int:
    """How many calls a sample has."""
    _seconds(call, wait, 10)
    return max(10, min(_MAX_CALLS, round(_SAMPLE_S / (_seconds(call, wait, 20) / 20))))


def _seconds(call: Call, wait: Call, calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        call()
    wait()
    return time.perf_counter() - start
