"""PyTorch on CUDA or MPS, as the vendor's own libraries: cuBLAS on NVIDIA's GPUs, MPS on Apple's.

On CUDA, calls are captured in a CUDA graph, whose replays need little Python, and timed by CUDA events. On
MPS they are issued one by one and timed by the wall clock. PyTorch is imported by `library` only.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from numpy.typing import NDArray

from rusty_py.errors import LimitError, OutOfMemory, ToolError
from rusty_py.measure.document import ClockName, Timed
from rusty_py.measure.references.computation import ReferenceTrack, poison_integer, wall_timed
from rusty_py.measure.references.layouts import flat
from rusty_py.measure.references.replay import our_replays
from rusty_py.measure.references.task import ReferenceTask
from rusty_py.measure.references.torch_functions import call_of
from rusty_py.measure.sampling import Track
from rusty_py.runtime.device import Device

NAME, GRAPH = "torch", "torch graph"
REPLAYED_BELOW_NS = 50_000
"""Kernels shorter than this are compared by replays of graphs, too: their cost is mostly that of a launch."""

_GRAPH_CALLS = 16
_LONG_CALL_S = 5e-3  # From here on, a graph has a single call.


class TorchLibrary:
    """PyTorch on one device, "cuda" or "mps". Full float32, and float16 that is added up in float32."""

    name = NAME
    on_host = False

    def __init__(self, torch: Any, device: str) -> None:
        self.torch, self.device = torch, device
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.benchmark = True  # cuDNN's fastest algorithm, by its own measurement.
        torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False

    def about(self) -> Mapping[str, str]:
        versions = {"torch": str(self.torch.__version__), "torch device": self.device}
        if self.device == "cuda":
            versions |= {
                "torch device": str(self.torch.cuda.get_device_name()),
                "CUDA": str(self.torch.version.cuda),
            }
        return versions

    def tracks(self, task: ReferenceTask, *, device: Device, clock: ClockName) -> Sequence[Track]:
        """PyTorch's kernel by the run's `clock`; for short ones on CUDA, replays of its graph and of ours."""
        if self.device != "cuda":
            calls = TorchCalls(self.torch, self.device, task)
            return [ReferenceTrack(NAME, task, calls, clock="wall", scope="kernel")]
        captured = CudaCalls(self.torch, task)
        track = ReferenceTrack(NAME, task, captured, clock=clock, scope="kernel")
        try:
            track.prepare()
            if captured.call_ns() >= REPLAYED_BELOW_NS:
                return [track]
        except (LimitError, OutOfMemory):  # The runner meets it again, and reports it.
            return [track]
        replays = CudaReplays(self.torch, task)
        return [
            track,
            ReferenceTrack(GRAPH, task, replays, clock="wall", scope="host"),
            our_replays(task, device),
        ]


class TorchCalls:
    """Calls one after the other, and one wait at the end."""

    step = 1

    def __init__(self, torch: Any, device: str, task: ReferenceTask) -> None:
        self.torch, self.device, self.task = torch, device, task
        self.out: Any = None

    def prepare(self) -> None:
        with _translated(self.torch):
            given = [self._moved(x) for x in self.task.operands]
            dtype = getattr(self.torch, self.task.dtype.name)
            self.out = self.torch.empty(self.task.shape, dtype=dtype, device=self.device)
            self.call = call_of(self.torch, self.task, given, self.out)
            self._call_and_wait(1)

    def poison(self) -> None:
        dtype = getattr(self.torch, f"int{8 * self.out.element_size()}")
        with _translated(self.torch):
            self.out.view(dtype).fill_(poison_integer(self.out.element_size()))
            self._synchronize()

    def sample(self, runs: int) -> Timed:
        with _translated(self.torch):
            return wall_timed(lambda: self._call_and_wait(runs))

    def result(self) -> NDArray[Any]:
        with _translated(self.torch):
            host: NDArray[Any] = self.out.cpu().numpy()
        return host

    def _call_often(self, times: int) -> None:
        for _ in range(times):
            self.out = self.call()

    def _call_and_wait(self, times: int) -> None:
        self._call_often(times)
        self._synchronize()

    def _synchronize(self) -> None:
        getattr(self.torch, self.device).synchronize()

    def _moved(self, x: NDArray[Any]) -> Any:
        """`x` on the device, with its strides: `Tensor.to` would close the gaps between its elements."""
        values, (offset, shape, strides) = flat(x)
        if any(stride < 0 for stride in strides):
            raise LimitError(f"torch: tensors have no negative strides: {strides}")
        moved = self.torch.from_numpy(values).to(self.device)
        return self.torch.as_strided(moved, shape, strides, offset)


class CudaCalls(TorchCalls):
    """Replays of a CUDA graph of `step` calls, timed by CUDA events."""

    def __init__(self, torch: Any, task: ReferenceTask) -> None:
        super().__init__(torch, "cuda", task)

    def prepare(self) -> None:
        self.torch.cuda.empty_cache()  # Of earlier rows: our own buffers need the memory.
        super().prepare()
        self.step = self._calls()
        with _translated(self.torch):
            self.graph = self.torch.cuda.CUDAGraph()
            with self.torch.cuda.graph(self.graph):
                self._call_often(self.step)

    def sample(self, runs: int) -> Timed:
        """`runs` is a multiple of `step`."""
        with _translated(self.torch):
            start, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
            self._synchronize()
            began_ns = time.perf_counter_ns()
            start.record()
            self._replay(runs // self.step)
            end.record()
            self._synchronize()
            wall_ns = float(time.perf_counter_ns() - began_ns)
            return judge(float(start.elapsed_time(end)) * 1e6, wall_ns)

    def call_ns(self) -> float:
        """The time of one call: the minimum of a few replays."""
        samples = [self.sample(self.step) for _ in range(4)]
        return min(each.ns("gpu") for each in samples) / self.step

    def _calls(self) -> int:
        """How many calls the graph has."""
        took = super().sample(1)
        return 1 if took.ns("wall") > _LONG_CALL_S * 1e9 else _GRAPH_CALLS

    def _replay(self, times: int) -> None:
        for _ in range(times):
            self.graph.replay()


class CudaReplays(CudaCalls):
    """Replays of a CUDA graph of one call, with one wait at the end, by the wall clock."""

    def sample(self, runs: int) -> Timed:
        with _translated(self.torch):
            return wall_timed(lambda: self._replay_and_wait(runs))

    def _calls(self) -> int:
        return 1

    def _replay_and_wait(self, times: int) -> None:
        self._replay(times)
        self._synchronize()


def judge(gpu_ns: float, wall_ns: float) -> Timed:
    """A sample by both clocks; CUDA events that can't be right are dropped, as GPU timestamps are."""
    if gpu_ns <= 0:
        return Timed(wall_ns, fault="CUDA events measured nothing")
    if gpu_ns > 1.01 * wall_ns + 20_000:
        return Timed(wall_ns, fault="CUDA events exceed the wall clock")
    return Timed(wall_ns, gpu_ns)


@contextmanager
def _translated(torch: Any) -> Iterator[None]:
    """Raises PyTorch's errors as ours, so that the runner skips the track with the reason."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise OutOfMemory(f"torch: {_first_line(error)}") from error
    except (RuntimeError, TypeError) as error:
        if isinstance(error, LimitError | OutOfMemory):
            raise
        raise LimitError(f"torch: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def library() -> TorchLibrary:
    """PyTorch on CUDA, or else on MPS. Raises ToolError if it is not installed, and without such a device."""
    try:
        torch = import_module("torch")
    except ImportError as error:
        raise ToolError(
            f"torch: not installed: {error}; install it with: pip install torch (https://pytorch.org)"
        ) from error
    for device in ("cuda", "mps"):
        if getattr(torch, device).is_available():
            return TorchLibrary(torch, device)
    raise ToolError(
        f"torch: no CUDA or MPS device found by PyTorch {torch.__version__};"
        " install a build for your GPU (https://pytorch.org)"
    )
