"""The suite of the benchmark on a device: the products it measures are those that `matmul` makes."""

from itertools import product

import numpy as np
import pytest

from rusty_py import Device, array, matmul
from rusty_py.bench.conv_suite import ConvSetup
from rusty_py.bench.conv_suite import problem_of as conv_problem_of
from rusty_py.bench.convolutions import Convolution
from rusty_py.bench.matmul_suite import MatmulSetup, MatmulWork, problem, problem_of, product_of, variant_of
from rusty_py.bench.shapes import LAYOUTS, Size
from rusty_py.dtypes import F32
from rusty_py.errors import LimitError
from rusty_py.gemm.dispatch import dispatches
from rusty_py.measure.references import library, references

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


def work_of(device: Device, size: Size, variant: str = "auto") -> MatmulWork:
    return MatmulSetup(problem_of(size), device, np.random.default_rng(0)).work(variant)


@pytest.mark.parametrize("size", [Size(33, 70, 45, 3, layout) for layout in LAYOUTS], ids=str)
def test_auto_verifies_itself_and_names_its_plan_and_kernels(device: Device, size: Size) -> None:
    work = work_of(device, size)
    verification = work.verify()
    assert verification.fault == ""
    assert 0 < (verification.error or 0) < 1
    assert work.recheck().fault == ""
    assert work.plan == str(work.gemm_plan)
    main = max(dispatches(device, work.gemm_plan, work.operands), key=lambda each: each.flops)
    assert str(main.spec) in work.kernel
    assert len(work.sha256) == 64


def test_textbook_kernels_carry_the_hash_of_what_is_compiled_and_no_plan(device: Device) -> None:
    works = [work_of(device, Size(8, 8, 8), variant_of(tile)) for tile in ("naive", 8, 16)]
    assert len({each.sha256 for each in works}) == 3
    assert [each.kernel for each in works] == [
        "matmul/naive",
        "matmul/tiled[TILE=8]",
        "matmul/tiled[TILE=16]",
    ]
    assert {each.plan for each in works} == {""}


def test_a_matrix_larger_than_a_binding_is_refused_before_it_is_made(device: Device) -> None:
    with pytest.raises(LimitError, match="larger than one binding"):
        MatmulSetup(problem(1, 1 << 20, 1 << 20), device, np.random.default_rng(0))


def test_images_larger_than_a_binding_are_refused_before_they_are_made(device: Device) -> None:
    convolution = Convolution(99_999, 99_999, 4096, 64)
    with pytest.raises(LimitError, match=r"^conv2d: an array is larger than one binding on .* bytes$"):
        ConvSetup(conv_problem_of(convolution, F32, "NCHW"), convolution, device, np.random.default_rng(0))


def test_numpy_multiplies_the_same_operands_in_the_same_layout(device: Device) -> None:
    for layout in LAYOUTS:
        setup = MatmulSetup(problem_of(Size(33, 70, 45, 3, layout)), device, np.random.default_rng(0))
        task = setup.task()
        found = references([library("numpy")], task, device=device, clock="wall")
        (track,) = found.references
        assert found.tracks == []
        track.prepare()
        assert (track.by, track.clock, track.verify().fault) == ("numpy", "wall", "")
        contiguous = "".join("n" if x.flags.c_contiguous else "t" for x in task.operands)
        assert contiguous == layout


def test_everything_that_the_launches_write_is_poisoned(device: Device) -> None:
    work = work_of(device, Size(32, 48, 16))
    assert work.verify().ok
    work.poison()
    for launch in work.made:
        for buffer in launch.buffers[launch.spec.inputs :]:
            words = np.empty(buffer.nbytes // 4, np.uint32)
            device.read(buffer, words)
            assert len(set(words.tolist())) == 1
    assert work.recheck().fault == "100.00% of the result never written"
