"""References: NumPy, and what is verified of all."""

from types import SimpleNamespace

import numpy as np
import pytest

from rusty_py import oracle
from rusty_py.dtypes import F16, F32
from rusty_py.errors import LimitError, ToolError
from rusty_py.measure import references
from rusty_py.measure.document import Timed, Verification
from rusty_py.measure.references import ReferenceTask, library, mlx, task_of
from rusty_py.measure.references.computation import POISON, poisoned, unwritten
from rusty_py.measure.references.layouts import flat
from rusty_py.measure.references.numpy import NumpyCalls, NumpyLibrary
from rusty_py.measure.references.task import OPTIONS
from rusty_py.measure.references.torch import TorchCalls
from rusty_py.measure.verification import compared
from rusty_py.operation import OPERATIONS
from rusty_py.samples import Sample, values

from ...each import each_reported
from .tasks import DEVICE, LAYOUTS, X, add, on_host, operations, options, run_of, verified
from .test_reference_mlx import FakeMlx
from .test_reference_torch import FakeTorch

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


def test_an_unknown_library_is_an_error_that_lists_them() -> None:
    said = "reference: unknown library: 'cupy'; choose from numpy, torch, mlx"
    with pytest.raises(ToolError, match=f"^{said}$"):
        library("cupy")
    assert references.available("cupy") == said
