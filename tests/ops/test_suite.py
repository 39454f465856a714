"""The suite of the benchmark on a device: the products it measures are those that `matmul` makes."""

from itertools import product

import numpy as np
import pytest

from rusty_py import Device, array, matmul
from rusty_py.bench.suites.matmul import MatmulSetup, case, problem_of, product_of
from rusty_py.bench.suites.shapes import LAYOUTS, Size
from rusty_py.gemm.dispatch import dispatches

from ..each import each_reported

pytestmark = [pytest.mark.one_mode, pytest.mark.usefixtures("short_kernels")]
SIDES = [(8, 12, 16), (7, 12, 16), (8, 9, 16), (1, 8, 8), (8, 8, 1), (8, 1, 8), (1, 1, 1), (33, 70, 45)]


def test_what_is_measured_is_what_matmul_computes_of_contiguous_arrays(device: Device) -> None:
    with each_reported() as reported:
        for (m, k, n), products, layout in product(SIDES, (1, 3), LAYOUTS):
            size = Size(m, k, n, products, layout)
            with reported(str(size)):
                assert_same_problem(device, size)


def assert_same_problem(device: Device, size: Size) -> None:
    m, k, n, products, layout = size.m, size.k, size.n, size.products, size.layout
    batch = (products,) if products > 1 else ()

    def operand(rows: int, cols: int, *, transposed: bool) -> object:
        if transposed:
            return array(np.ones((*batch, cols, rows), np.float32), device=device).mT
        return array(np.ones((*batch, rows, cols), np.float32), device=device)

    a, b = operand(m, k, transposed=layout[0] == "t"), operand(k, n, transposed=layout[1] == "t")
    expected = matmul.plan(a, b, device=device)
    assert product_of(problem_of(size)) == expected.problem


@pytest.mark.parametrize("size", [Size(33, 70, 45, 3, layout) for layout in LAYOUTS], ids=str)
def test_auto_proves_itself_and_says_what_it_is(device: Device, size: Size) -> None:
    problem = problem_of(size)
    work = MatmulSetup(problem, device, np.random.default_rng(0)).work(case(problem, "auto"))
    proof = work.verify()
    assert proof.fault == ""
    assert 0 < proof.error < 1
    assert work.recheck().fault == ""
    assert work.case.plan == str(work.plan)
    main = max(dispatches(device, work.plan, work.operands), key=lambda each: each.flops)
    assert str(main.spec) in work.case.kernel
    assert len(work.case.sha256) == 64


def test_everything_that_the_launches_write_is_poisoned(device: Device) -> None:
    problem = problem_of(Size(32, 48, 16))
    work = MatmulSetup(problem, device, np.random.default_rng(0)).work(case(problem, "auto"))
    assert work.verify().ok
    work.poison()
    for launch in work.made:
        for buffer in launch.buffers[launch.spec.inputs :]:
            words = np.empty(buffer.nbytes // 4, np.uint32)
            device.read(buffer, words)
            assert len(set(words.tolist())) == 1
    assert work.recheck().fault == "100.00% of C never written"
