"""PyTorch as a reference, by a fake of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rusty_py.errors import OutOfMemory, ToolError
from rusty_py.measure import references
from rusty_py.measure.document import Timed, Verification
from rusty_py.measure.references import ReferenceTask, library, task_of, torch
from rusty_py.measure.references.computation import ReferenceTrack
from rusty_py.measure.references.numpy import NumpyCalls
from rusty_py.measure.references.torch import CudaCalls, CudaReplays, TorchCalls, TorchLibrary, judge
from rusty_py.measure.sampling import Track
from rusty_py.operation import OPERATIONS
from rusty_py.samples import Sample

from .tasks import DEVICE, X, add, importing, on_host, run_of, verified


class Tensor:
    """As much of a tensor as a reference needs."""

    def __init__(self, array: Any, torch: "FakeTorch") -> None:
        self.array, self.torch = array, torch

    def to(self, device: str) -> "Tensor":
        return Tensor(self.array.copy(), self.torch)

    def view(self, dtype: Any) -> "Tensor":
        return Tensor(self.array.view(dtype), self.torch)

    def element_size(self) -> int:
        return self.array.itemsize

    def fill_(self, value: int) -> None:
        self.torch.diary.append("poison")
        self.array[...] = value

    def copy_(self, other: "Tensor") -> "Tensor":
        return self.torch.do("copy_", lambda: np.copyto(self.array, other.array, casting="unsafe"), self)

    def cpu(self) -> "Tensor":
        return Tensor(self.array.copy(), self.torch)

    def numpy(self) -> Any:
        return self.array


class FakeTorch:
    """PyTorch by NumPy, with a diary. A call takes `call_ms` by CUDA events; in a capture it is only kept."""

    class OutOfMemory(RuntimeError):
        pass

    def __init__(self, *, cuda: bool = True, mps: bool = False, call_ms: float = 0.01) -> None:
        self.diary: list[str] = []
        self.capture: list[Callable[[], object]] | None = None
        self.gpu_ms, self.call_ms = 0.0, call_ms
        self.__version__ = "2.0"
        self.version = SimpleNamespace(cuda="13.0")
        flags = SimpleNamespace(allow_tf32=True, allow_fp16_reduced_precision_reduction=True)
        self.backends = SimpleNamespace(
            cuda=SimpleNamespace(matmul=flags), cudnn=SimpleNamespace(allow_tf32=True)
        )
        self.cuda = SimpleNamespace(
            is_available=lambda: cuda,
            synchronize=lambda: self.diary.append("synchronize"),
            empty_cache=lambda: None,
            get_device_name=lambda: "H100",
            OutOfMemoryError=self.OutOfMemory,
            Event=lambda enable_timing: Event(self),
            CUDAGraph=lambda: Graph(self),
            graph=self._capture,
        )
        self.mps = SimpleNamespace(
            is_available=lambda: mps, synchronize=lambda: self.diary.append("synchronize")
        )
        self.int32, self.float32, self.float16 = np.int32, np.float32, np.float16

    def do(self, name: str, compute: Callable[[], object], out: Tensor) -> Tensor:
        if self.capture is not None:
            self.capture.append(compute)
        else:
            self.diary.append(name)
            self.gpu_ms += self.call_ms
            compute()
        return out

    def empty(self, shape: Any, *, dtype: Any, device: str) -> Tensor:
        return Tensor(np.empty(shape, dtype), self)

    def from_numpy(self, array: Any) -> Tensor:
        return Tensor(array, self)

    def as_strided(self, x: Tensor, shape: Any, strides: Any, offset: int) -> Tensor:
        sizes = tuple(each * x.array.itemsize for each in strides)
        return Tensor(np.lib.stride_tricks.as_strided(x.array[offset:], shape, sizes), self)

    def add(self, x: Tensor, y: Tensor, *, out: Tensor) -> Tensor:
        return self.do("add", lambda: np.add(x.array, y.array, out=out.array), out)

    def sum(self, x: Tensor, *, dim: Any, keepdim: bool, dtype: Any, out: Tensor) -> Tensor:
        given = {"axis": dim, "keepdims": keepdim, "dtype": dtype, "out": out.array}
        return self.do("sum", lambda: np.sum(x.array, **given), out)

    @contextmanager
    def _capture(self, graph: "Graph") -> Iterator[None]:
        self.capture = graph.calls
        yield
        self.capture = None


class Event:
    """A CUDA event, at the GPU's time."""

    def __init__(self, torch: FakeTorch) -> None:
        self.torch, self.at = torch, 0.0

    def record(self) -> None:
        self.torch.diary.append("event")
        self.at = self.torch.gpu_ms

    def elapsed_time(self, end: "Event") -> float:
        return end.at - self.at


class Graph:
    """A CUDA graph: what was called in its capture is done by each replay."""

    def __init__(self, torch: FakeTorch) -> None:
        self.torch = torch
        self.calls: list[Callable[[], object]] = []

    def replay(self) -> None:
        self.torch.diary.append(f"replay of {len(self.calls)}")
        self.torch.gpu_ms += self.torch.call_ms * len(self.calls)
        for call in self.calls:
            call()


@pytest.fixture
def plausible(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events count scripted milliseconds, which the wall clock does not show."""
    monkeypatch.setattr(torch, "judge", lambda gpu_ns, wall_ns: Timed(wall_ns, gpu_ns))


def gpu_track(fake: FakeTorch, task: ReferenceTask) -> Track:
    return TorchLibrary(fake, "cuda").tracks(task, device=DEVICE, clock="gpu")[0]


def test_pytorch_computes_in_full_precision() -> None:
    fake = FakeTorch()
    TorchLibrary(fake, "cuda")
    assert not fake.backends.cuda.matmul.allow_tf32
    assert not fake.backends.cuda.matmul.allow_fp16_reduced_precision_reduction
    assert not fake.backends.cudnn.allow_tf32


def test_cuda_is_timed_by_events_around_replays_of_a_poisoned_result(plausible: None) -> None:
    fake = FakeTorch(call_ms=0.1)
    track = gpu_track(fake, add())
    assert (track.clock, track.scope) == ("gpu", "kernel")
    track.runs = 32
    fake.diary.clear()
    timed = track.sample()
    assert fake.diary == [
        "poison",
        "synchronize",
        "synchronize",
        "event",
        "replay of 16",
        "replay of 16",
        "event",
        "synchronize",
    ]
    assert timed.ns("gpu") / 32 == pytest.approx(1e5)
    assert track.recheck().ok


def test_cuda_is_verified_before_and_after_timing(plausible: None) -> None:
    for faulty_from, wrong in ((0, True), (40, True), (10**9, False)):
        fake = FakeTorch(call_ms=0.1)
        count = 0

        def add_wrongly(x: Any, y: Any, *, out: Any, fake: Any = fake, faulty_from: int = faulty_from) -> Any:
            def compute() -> None:
                nonlocal count
                count += 1
                np.add(x.array, y.array, out=out.array)
                out.array[1, 2] += count > faulty_from

            return fake.do("add", compute, out)

        fake.add = add_wrongly  # type: ignore[method-assign]
        (result,) = run_of(gpu_track(fake, add()))
        assert result.verdict == ("wrong" if wrong else "ok"), faulty_from
        if wrong:
            assert result.reason == "1 of 6 elements are wrong, first [1, 2] = 13 instead of 12"
            assert result.stats is None


def test_a_graph_that_computes_nothing_is_wrong(plausible: None) -> None:
    fake = FakeTorch(call_ms=0.1)
    track = gpu_track(fake, add())
    assert isinstance(track, ReferenceTrack)
    assert isinstance(track.computation, CudaCalls)
    track.computation.graph.calls.clear()
    (result,) = run_of(track)
    assert (result.verdict, result.reason) == ("wrong", "100.00% of the result never written")


def test_short_kernels_are_replayed_one_by_one_against_our_graph(
    plausible: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = SimpleNamespace(by="ours graph")
    monkeypatch.setattr(torch, "our_replays", lambda task, device: ours)
    for call_ms, names in ((0.049, ["torch", "torch graph", "ours graph"]), (0.051, ["torch"])):
        made = TorchLibrary(FakeTorch(call_ms=call_ms), "cuda").tracks(add(), device=DEVICE, clock="gpu")
        assert [track.by for track in made] == names


def test_replays_are_timed_by_the_wall_clock_with_one_wait() -> None:
    fake, task = FakeTorch(), add()
    track = on_host(CudaReplays(fake, task), task)
    assert verified(track).ok
    track.runs = 3
    fake.diary.clear()
    assert track.sample().gpu_ns is None
    assert fake.diary == ["poison", "synchronize", *["replay of 1"] * 3, "synchronize"]
    assert track.recheck().ok


def test_mps_is_timed_by_the_wall_clock_with_one_wait() -> None:
    fake = FakeTorch(cuda=False, mps=True)
    (track,) = TorchLibrary(fake, "mps").tracks(add(), device=DEVICE, clock="gpu")
    assert (track.by, track.clock, track.scope) == ("torch", "wall", "kernel")
    assert isinstance(track, ReferenceTrack)
    assert verified(track).ok
    track.runs = 2
    fake.diary.clear()
    track.sample()
    assert fake.diary == ["poison", "synchronize", "add", "add", "synchronize"]


def test_reductions_and_casts_get_their_axes_and_dtypes() -> None:
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    for given in ({"axis": (0, -1)}, {"axis": None}, {"axis": 1, "keepdims": True}):
        summed = np.sum(x, axis=given["axis"], keepdims=bool(given.get("keepdims")))  # type: ignore[arg-type]
        task = ReferenceTask(
            "sum", (x,), summed.shape, x.dtype, lambda out, summed=summed: _same(out, summed), np.sum, given
        )
        for calls in (TorchCalls(FakeTorch(), "cuda", task), NumpyCalls(task)):
            assert verified(on_host(calls, task)).ok
    task = task_of(OPERATIONS["astype"], next(iter(OPERATIONS["astype"].samples())))
    assert verified(on_host(TorchCalls(FakeTorch(), "cuda", task), task)).ok


def _same(out: Any, expected: Any) -> Verification:
    return Verification("exactly", fault="" if np.array_equal(out, expected) else "differs")


def test_what_pytorch_refuses_is_skipped_with_the_reason() -> None:
    class Refusing(FakeTorch):
        def add(self, x: Tensor, y: Tensor, *, out: Tensor) -> Tensor:
            raise RuntimeError("'add' not implemented for 'UInt32'\nfurther lines")

    (result,) = run_of(gpu_track(Refusing(), add()))
    assert (result.verdict, result.reason) == ("skipped", "torch: 'add' not implemented for 'UInt32'")
    (result,) = run_of(gpu_track(FakeTorch(), task_of(OPERATIONS["exp"], Sample("exp", (X,)))))
    assert (result.verdict, result.reason) == ("skipped", "torch: no function for exp")
    (result,) = run_of(gpu_track(FakeTorch(), add(X[::-1], X)))
    assert (result.verdict, result.reason) == ("skipped", "torch: tensors have no negative strides: (-3, 1)")


def test_a_full_device_is_out_of_memory() -> None:
    class Full(FakeTorch):
        def add(self, x: Tensor, y: Tensor, *, out: Tensor) -> Tensor:
            raise self.OutOfMemory("CUDA out of memory")

    with pytest.raises(OutOfMemory, match=r"^torch: CUDA out of memory$"):
        CudaCalls(Full(), add()).prepare()


def test_implausible_events_are_dropped() -> None:
    assert judge(5e6, 6e6) == Timed(6e6, 5e6)
    assert judge(0.0, 6e6) == Timed(6e6, fault="CUDA events measured nothing")
    assert judge(7e6, 6e6) == Timed(6e6, fault="CUDA events exceed the wall clock")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (None, r"^torch: not installed: .*; install it with: pip install torch "),
        (FakeTorch(cuda=False), r"^torch: no CUDA or MPS device found by PyTorch 2\.0; install a build "),
    ],
)
def test_without_pytorch_or_its_device_the_error_says_what_to_install(
    found: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "import_module", importing(found))
    with pytest.raises(ToolError, match=said):
        library("torch")
    assert references.available("torch")


def test_pytorch_prefers_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    for cuda, mps, device in ((True, True, "cuda"), (False, True, "mps")):
        monkeypatch.setattr(torch, "import_module", importing(FakeTorch(cuda=cuda, mps=mps)))
        assert references.available("torch") == ""
        found = library("torch")
        assert isinstance(found, TorchLibrary)
        assert found.device == device
        assert found.about()["torch"] == "2.0"
