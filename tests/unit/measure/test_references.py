"""References: NumPy, fakes of PyTorch and MLX, and PyTorch's CPU build where it is installed."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rusty_py import oracle
from rusty_py.bench.conv_suite import shapes_of
from rusty_py.bench.convolutions import Convolution
from rusty_py.bench.operation_suite import operands_of
from rusty_py.bench.operations import able_of
from rusty_py.bench.suites.description import suites
from rusty_py.dtypes import F16, F32, I32
from rusty_py.errors import LimitError, OutOfMemory, ToolError
from rusty_py.measure import references
from rusty_py.measure.conv_verification import ConvVerifier
from rusty_py.measure.document import BenchProblem, BenchRun, Result, Timed, Verification
from rusty_py.measure.references import ReferenceTask, library, mlx, task_of, torch
from rusty_py.measure.references.computation import POISON, ReferenceTrack, poisoned, unwritten
from rusty_py.measure.references.convolution import conv2d
from rusty_py.measure.references.layouts import flat
from rusty_py.measure.references.numpy import NumpyCalls, NumpyLibrary
from rusty_py.measure.references.task import OPTIONS
from rusty_py.measure.references.torch import CudaCalls, CudaReplays, TorchCalls, TorchLibrary, judge
from rusty_py.measure.runner import Comparison, Runner, Schedule
from rusty_py.measure.sampling import Options, Track
from rusty_py.measure.verification import compared
from rusty_py.operation import OPERATIONS, Operation
from rusty_py.samples import Sample, values

from ...each import each_reported

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


# NumPy.

NUMPY_REFUSES = {"pow i32": "Integers to negative integer powers are not allowed"}


def test_numpy_computes_every_sample_of_every_operation_within_the_bound_of_its_record() -> None:
    refused = {}
    with each_reported() as case:
        for operation in operations():
            for sample in operation.samples():
                if sample.options.keys() - OPTIONS - {"correction"}:  # No suite measures it.
                    continue
                with case(sample.name):
                    task = task_of(operation, sample)
                    try:
                        verification = verified(on_host(NumpyCalls(task), task))
                    except LimitError as error:
                        refused[sample.name] = str(error)
                    else:
                        assert verification.fault == ""
                        assert verification.error is None or verification.error <= 1
    assert list(refused) == list(NUMPY_REFUSES)
    for name, said in NUMPY_REFUSES.items():
        assert said in refused[name]


def test_numpy_writes_into_one_result_where_its_function_takes_it() -> None:
    for operation, preallocated in (("add", True), ("sum", True), ("matmul", True), ("where", False)):
        sample = next(iter(OPERATIONS[operation].samples()))
        calls = NumpyCalls(task_of(OPERATIONS[operation], sample))
        calls.prepare()
        out = calls.out
        calls.sample(2)
        assert (calls.out is out) == preallocated, operation


def test_numpy_multiplies_float16_in_float32_in_the_operands_layout() -> None:
    given = values(F16, 6, 10)
    task = task_of(OPERATIONS["matmul"], Sample("", (given, given.T)))
    seen = []
    spied = ReferenceTask(
        "matmul",
        task.operands,
        task.shape,
        task.dtype,
        task.compare,
        numpy=lambda a, b, out: seen.append((a, b, out)) or np.matmul(a, b, out=out),
    )
    calls = NumpyCalls(spied)
    assert verified(on_host(calls, spied)).ok
    a, b, out = seen[0]
    assert a.dtype == b.dtype == out.dtype == np.float32
    assert a.flags.c_contiguous
    assert b.flags.f_contiguous
    assert calls.result().dtype == np.float16


def test_an_operation_without_a_numpy_function_is_skipped_with_the_reason() -> None:
    task = ReferenceTask("erf", (X,), X.shape, X.dtype, lambda _: Verification("none"))
    (made,) = NumpyLibrary().tracks(task, device=DEVICE, clock="gpu")
    (result,) = run_of(host=[made])
    assert (result.verdict, result.reason) == ("skipped", "numpy: no function for erf")


def test_an_option_that_references_do_not_implement_is_refused() -> None:
    task = ReferenceTask(
        "matmul", (X, X.T), (2, 2), X.dtype, lambda _: Verification(""), np.matmul, {"activation": "relu"}
    )
    for calls in (NumpyCalls(task), TorchCalls(FakeTorch(), "cuda", task), mlx.MlxCalls(FakeMlx(), task)):
        with pytest.raises(LimitError, match=r"matmul has no reference with activation$"):
            calls.prepare()


def test_numpy_is_a_host_reference_by_the_wall_clock() -> None:
    made = references.references([library("numpy")], add(), device=DEVICE, clock="gpu")
    assert (list(made.tracks), len(made.references)) == ([], 1)
    (result,) = run_of(host=made.references)
    assert (result.by, result.verdict, result.clock, result.scope) == ("numpy", "ok", "wall", "host")
    assert result.verification is not None
    assert result.verification.method == "every element against float64"
    assert result.stats is not None


# Verification.


def test_a_result_is_compared_element_by_element() -> None:
    expected = oracle.Expected(np.array([1.0, 2.0, np.nan]), np.array([0.1, 0.1, 0.1]))
    right = compared(expected, np.array([1.05, 2.0, np.nan], np.float32))
    assert right.ok
    assert right.error == pytest.approx(0.5, rel=1e-5)
    for wrong in ([1.0, 2.2, np.nan], [1.0, np.nan, np.nan]):
        verification = compared(expected, np.array(wrong, np.float32))
        assert verification.fault.startswith("1 of 3 elements are wrong, first [1] = ")
    exact = oracle.Expected(np.array([[1, 2], [3, 4]], np.int32), None)
    assert compared(exact, np.array([[1, 2], [3, 4]], np.int32)).ok
    verification = compared(exact, np.array([[1, 2], [5, 4]], np.int32))
    assert verification.fault == "1 of 4 elements are wrong, first [1, 0] = 5 instead of 3"


def test_what_is_not_written_is_found() -> None:
    for dtype in (np.float32, np.float16, np.bool_):
        array = poisoned((4,), np.dtype(dtype))
        assert unwritten(array) == "100.00% of the result never written"
        array[1:] = 1
        assert unwritten(array) == "25.00% of the result never written"
        array[0] = 0
        assert unwritten(array) == ""
    assert poisoned((1,), np.dtype(np.uint32))[0] == POISON


def test_a_result_of_another_shape_is_wrong() -> None:
    task = add()
    calls = NumpyCalls(task)
    track = on_host(calls, task)
    assert verified(track).ok
    calls.out = np.zeros((3, 2), np.float32)
    assert track.recheck().fault == "the result has shape (3, 2) instead of (2, 3)"


def test_a_long_run_that_was_verified_needs_no_warm_up() -> None:
    task = add()
    lasted = iter([2e9, 3e9])
    calls = SimpleNamespace(step=1, prepare=lambda: None, poison=lambda: None, result=lambda: X + X)
    calls.sample = lambda runs: Timed(wall_ns=runs * next(lasted))
    track = on_host(calls, task)
    assert verified(track).ok
    track.warm_up(options(), deadline=0.0)
    assert (track.runs, next(lasted)) == (1, 3e9)


def test_a_sample_has_a_multiple_of_the_step_and_lasts_as_long_as_asked() -> None:
    taken: list[int] = []

    def sample(runs: int) -> Timed:
        taken.append(runs)
        return Timed(wall_ns=runs * 1e3)

    calls = SimpleNamespace(
        step=16, prepare=lambda: None, poison=lambda: None, result=lambda: X + X, sample=sample
    )
    track = on_host(calls, add())
    verified(track)
    track.warm_up(options(sample_s=1e-3, warmup_s=3e-3), deadline=float("inf"))
    assert 1000 <= track.runs <= 1000 * 1.2 + 16
    assert all(runs % 16 == 0 for runs in taken)
    assert sum(taken) * 1e-6 >= 3e-3


def test_operands_keep_their_strides() -> None:
    x = values(F32, 6, 10)
    with each_reported() as case:
        for name, view in LAYOUTS.items():
            with case(name):
                seen = np.asarray(view(x))
                memory, (offset, shape, strides) = flat(seen)
                assert shape == seen.shape
                if seen.size:
                    assert strides == tuple(each // 4 for each in seen.strides)
                again = np.lib.stride_tricks.as_strided(
                    memory[offset:], shape, tuple(4 * each for each in strides)
                )
                np.testing.assert_array_equal(again, seen)


# PyTorch.


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


def importing(found: Any) -> Callable[[str], Any]:
    def find(name: str) -> Any:
        if found is None:
            raise ImportError(f"No module named {name!r}")
        return found

    return find


def test_pytorch_prefers_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    for cuda, mps, device in ((True, True, "cuda"), (False, True, "mps")):
        monkeypatch.setattr(torch, "import_module", importing(FakeTorch(cuda=cuda, mps=mps)))
        assert references.available("torch") == ""
        found = library("torch")
        assert isinstance(found, TorchLibrary)
        assert found.device == device
        assert found.about()["torch"] == "2.0"


def test_an_unknown_library_is_an_error_that_lists_them() -> None:
    said = "reference: unknown library: 'cupy'; choose from numpy, torch, mlx"
    with pytest.raises(ToolError, match=f"^{said}$"):
        library("cupy")
    assert references.available("cupy") == said


TORCH_LACKS = {"cbrt f16", "cbrt f32", "floor_divide i32", "fmod i32", "remainder i32"}
"""No cube root; and integer division by zero is an error."""
MLX_LACKS = {"cbrt", "copysign", "erfc", "exp2", "fmod", "hypot", "nextafter", "signbit"}
MLX_DIFFERS = {
    *("bitwise_left_shift i32", "bitwise_right_shift i32", "pow i32", "remainder i32"),
    *("cumulative_prod f16", "cumulative_sum f16"),
}
"""Shifts by 32 and more, negative exponents, division by 0; and the CPU build adds in f16."""


def refused_tasks(calls: Callable[[ReferenceTask], Any], different: Collection[str] = ()) -> set[str]:
    """Which tasks of the suites a library lacks; the others' results must be within their bounds."""
    refused = set()
    with each_reported() as case:
        for suite in (each for each in suites() if each.family != "functions"):
            shape = (64,) if suite.family == "elementwise" else (8, 64)
            for name, kind in product(able_of(suite), (F32, F16, I32)):
                operation, label = OPERATIONS[name], f"{name} {kind.name}"
                if kind.kind not in operation.kinds or label in different:
                    continue
                for task in suite.tasks(name, shape, ()):
                    operands = operands_of(operation, kind, shape, seed=3)
                    asked = task_of(operation, Sample(task.name, operands, dict(task.options)))
                    with case(f"{task.name} {kind.name}"):
                        try:
                            found = verified(on_host(calls(asked), asked))
                        except LimitError:
                            refused.add(label)
                        else:
                            assert found.fault == ""
    return refused


def test_installed_pytorch_computes_every_task_of_every_suite_within_the_bound_of_its_record() -> None:
    installed = pytest.importorskip("torch", reason="PyTorch is not installed")
    assert refused_tasks(lambda task: TorchCalls(installed, "cpu", task)) == TORCH_LACKS


# MLX.


class Lazy:
    """An array of MLX that may not be computed yet."""

    def __init__(self, compute: Callable[[], Any], *needs: "Lazy") -> None:
        self.compute, self.needs = compute, needs
        self.value: Any = None

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.value


class FakeMlx:
    """MLX by NumPy: computes what is evaluated, and what that needs, and counts the sums."""

    gpu = "gpu"
    float32 = np.float32

    def __init__(self, *, device: str = "gpu") -> None:
        self.device = device
        self.added = self.waits = 0

    def Device(self, kind: str) -> str:  # noqa: N802  MLX's name.
        return kind

    def default_device(self) -> str:
        return self.device

    def array(self, x: Any) -> Lazy:
        made = Lazy(lambda: x)
        self.eval(made)
        return made

    def as_strided(self, x: Lazy, shape: Any, strides: Any, offset: int) -> Lazy:
        sizes = tuple(4 * each for each in strides)
        return Lazy(lambda: np.lib.stride_tricks.as_strided(x.value[offset:], shape, sizes), x)

    def depends(self, given: list[Lazy], needs: list[Lazy]) -> list[Lazy]:
        return [Lazy(lambda each=each: each.value, each, *needs) for each in given]

    def add(self, x: Lazy, y: Lazy) -> Lazy:
        def compute() -> Any:
            self.added += 1
            return x.value + y.value

        return Lazy(compute, x, y)

    def eval(self, x: Lazy) -> None:
        if x.value is None:
            for each in x.needs:
                self.eval(each)
            x.value = x.compute()

    async_eval = eval

    def synchronize(self) -> None:
        self.waits += 1


def test_mlx_evaluates_every_call() -> None:
    fake, task = FakeMlx(), add(X.T, X.T)
    (track,) = mlx.MlxLibrary(fake).tracks(task, device=DEVICE, clock="gpu")
    assert (track.by, track.clock, track.scope) == ("mlx", "wall", "kernel")
    assert isinstance(track, ReferenceTrack)
    assert verified(track).ok
    for runs in (1, 16, 37):
        fake.added = fake.waits = 0
        track.runs = runs
        track.sample()
        assert (fake.added, fake.waits) == (runs, 1)
        assert track.recheck().ok


def test_a_wrong_result_of_mlx_is_wrong() -> None:
    fake = FakeMlx()
    fake.add = lambda x, y: Lazy(lambda: x.value - y.value, x, y)  # type: ignore[method-assign]
    (result,) = run_of(*mlx.MlxLibrary(fake).tracks(add(), device=DEVICE, clock="wall"))
    assert result.verdict == "wrong"
    assert result.reason == "6 of 6 elements are wrong, first [0, 0] = 0 instead of 2"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (None, r"^mlx: not installed: .*; install it with: pip install mlx$"),
        (FakeMlx(device="cpu"), r"^mlx: no GPU: it uses cpu; "),
    ],
)
def test_without_mlx_or_its_gpu_the_error_says_what_to_do(
    found: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlx, "import_module", importing(found))
    with pytest.raises(ToolError, match=said):
        library("mlx")


def test_installed_mlx_computes_every_task_of_every_suite_within_the_bound_of_its_record() -> None:
    installed = pytest.importorskip("mlx.core", reason="MLX is not installed")
    refused = refused_tasks(lambda task: mlx.MlxCalls(installed, task), MLX_DIFFERS)
    assert {label.split()[0] for label in refused} == MLX_LACKS


# Convolutions, whose options and layouts differ from those of other operations.

CONVOLUTIONS = (
    Convolution(17, 13, 8, 12, 2),
    Convolution(17, 13, 8, 12, 2, kernel=5, stride=2, padding=1, groups=4),
    Convolution(17, 13, 8, 12, 2, dilation=2),
)


def verified_convolutions(made: Callable[[ReferenceTask], Any]) -> None:
    """Each in both layouts, by a library on the host."""
    for layout, each in product(("NCHW", "NHWC"), CONVOLUTIONS):
        shapes, given = shapes_of(each, layout), {**each.options, "layout": layout}
        checked = ConvVerifier(shapes, each.options, rng=np.random.default_rng(), layout=layout)
        operands = checked.x, checked.w
        task = ReferenceTask(
            "conv2d", operands, checked.shape, np.dtype(np.float32), checked.compare, conv2d, given
        )
        computation = made(task)
        computation.prepare()
        assert checked.compare(computation.result()).fault == "", (layout, each.name)


def test_numpy_convolves_in_both_layouts() -> None:
    verified_convolutions(NumpyCalls)


def test_installed_pytorch_convolves_in_both_layouts() -> None:
    installed = pytest.importorskip("torch", reason="PyTorch is not installed")
    verified_convolutions(lambda task: TorchCalls(installed, "cpu", task))


def test_installed_mlx_convolves_in_both_layouts() -> None:
    installed = pytest.importorskip("mlx.core", reason="MLX is not installed")
    verified_convolutions(lambda task: mlx.MlxCalls(installed, task))
