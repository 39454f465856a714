"""Operations as the suites measure them: their launches, their verification, and their cost."""

from collections.abc import Iterator

import numpy as np
import pytest

from rusty_py import Device
from rusty_py.dtypes import F16, F32, I32, Dtype
from rusty_py.errors import DtypeError
from rusty_py.measure.operation_work import OperationWork
from rusty_py.operation import OPERATIONS, Operation
from rusty_py.runtime.launch import run
from rusty_py.samples import Sample

from ..each import each_reported

pytestmark = pytest.mark.one_mode
SEED = 20_231
SHAPE = (24, 40)


def measurable() -> Iterator[tuple[Operation, Dtype, Sample]]:
    """Every operation, with a sample for each dtype that it takes."""
    list(OPERATIONS["add"].kinds)  # Registers all operations.
    for operation in OPERATIONS.values():
        for dtype in (F32, F16, I32):
            usable = operation.function and operation.expected and dtype.kind in operation.kinds
            for sample in operation.samples() if usable else ():
                if all(x.dtype in (dtype.numpy, np.bool_) for x in sample.operands):
                    yield operation, dtype, sample
                    break


def work_of(operation: Operation, dtype: Dtype, device: Device, **options: object) -> OperationWork:
    assert operation.operands
    operands = operation.operands(dtype, SHAPE, seed=SEED)
    if operation.name == "sum":
        options = {"axis": None, **options}
    sample = Sample(operation.name, operands, options)
    return OperationWork(operation, sample, dtype, device, options={})


def test_every_operation_verifies_itself_before_and_after_it_runs(device: Device) -> None:
    with each_reported() as case:
        for operation, dtype, sample in measurable():
            if dtype is F16 and "shader-f16" not in device.adapter.features:
                continue
            with case(sample.name):
                work = OperationWork(operation, sample, dtype, device, options={})
                assert work.verify().fault == ""
                work.poison()
                run(device, work.launches())
                assert work.recheck().fault == ""


def test_an_operation_that_was_not_run_is_wrong(device: Device) -> None:
    with each_reported() as case:
        for operation, dtype, sample in measurable():
            with case(sample.name):
                work = OperationWork(operation, sample, dtype, device, options={})
                work.poison()
                assert work.recheck().fault or not work.launches()


def test_one_wrong_element_is_found_and_named(device: Device) -> None:
    work = work_of(OPERATIONS["exp"], F32, device)
    result = np.exp(work.sample.operands[0])
    assert work.compare(result).ok
    result[3, 5] *= 1.001
    fault = work.compare(result).fault
    assert fault.startswith(f"1 of {result.size} elements are wrong, first [3, 5] = ")


def test_a_result_of_another_shape_is_wrong(device: Device) -> None:
    work = work_of(OPERATIONS["exp"], F32, device)
    assert (
        work.compare(np.exp(work.sample.operands[0]).reshape(-1)).fault == f"the shape is (960,), not {SHAPE}"
    )


def test_the_cost_is_the_bytes_that_must_move(device: Device) -> None:
    nbytes = 4 * SHAPE[0] * SHAPE[1]
    added = work_of(OPERATIONS["add"], F32, device).problem
    assert (added.read_bytes, added.written_bytes) == (2 * nbytes, nbytes)
    summed = work_of(OPERATIONS["sum"], F32, device).problem
    assert (summed.read_bytes, summed.written_bytes) == (nbytes, 4)
    rows = work_of(OPERATIONS["sum"], F32, device, axis=1).problem
    assert (rows.read_bytes, rows.written_bytes) == (nbytes, 4 * SHAPE[0])


def test_an_operation_without_a_reference_or_of_another_dtype_is_refused(device: Device) -> None:
    x = np.ones(SHAPE, np.float32)
    with pytest.raises(DtypeError, match="assign: cannot be measured"):
        OperationWork(OPERATIONS["assign"], Sample("assign", (x, x)), F32, device, options={})
    with pytest.raises(DtypeError, match="exp: not for i32"):
        work_of(OPERATIONS["exp"], I32, device)
