"""How products are planned: pure data and arithmetic."""

from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rusty_py import Device, LimitError, Limits
from rusty_py.activations import ACTIVATIONS
from rusty_py.dtypes import F16
from rusty_py.gemm import variants
from rusty_py.gemm.blocked import Blocked
from rusty_py.gemm.blocked_family import BLOCKED, candidates
from rusty_py.gemm.dispatch import Dispatch, Operands, dispatches
from rusty_py.gemm.family import signatures
from rusty_py.gemm.gemv import GEMV_N
from rusty_py.gemm.model import model_of
from rusty_py.gemm.plan import GemmPlan
from rusty_py.gemm.problem import GemmProblem, MatrixLayout, Signature, contiguous
from rusty_py.gemm.register_tiled_cpu import ALONE, FLAT, REGISTER_TILED_CPU
from rusty_py.gemm.search_space import as_data
from rusty_py.gemm.select import Tile, cost, kernel_of, plan
from rusty_py.gemm.simple import TILES, Naive
from rusty_py.gemm.tuning_cache import Tuned
from rusty_py.profile.prior import prior, prior_for
from rusty_py.profile.record import Profile
from rusty_py.shapes import ceil_div

from ..each import each_reported

USUAL = Limits(1024, 32768, groups=65535, binding_bytes=2**27, buffer_bytes=2**31)
LEAST = Limits(256, 16384, groups=65535, binding_bytes=2**27, buffer_bytes=2**28)
SIZES = st.integers(1, 5000)
FORMS = list(signatures())


def device(*, kind: str = "DiscreteGPU", **changes: int) -> Device:
    """As much of a device as a plan and its launches ask for; untuned, and its work is never too long."""
    adapter = SimpleNamespace(is_cpu=kind == "CPU", type=kind, vendor="", name="some GPU")
    return SimpleNamespace(
        adapter=adapter,
        limits=replace(USUAL, **changes),
        throughput=SimpleNamespace(flops=lambda spec: 10**15),
        attachments={Tuned: Tuned(), Profile: prior_for(adapter)},
        empty=lambda nbytes, label: SimpleNamespace(nbytes=nbytes),
    )


def buffers() -> list[SimpleNamespace]:
    """As much of three buffers as launches ask for: each fits a binding."""
    return [SimpleNamespace(nbytes=USUAL.binding_bytes) for _ in "abc"]


# Where matrices lie.


@given(
    at=st.integers(0, 20),
    step=st.integers(-20, 20),
    row=st.integers(-20, 20),
    rows=st.integers(1, 9),
    cols=st.integers(1, 9),
    transposed=st.booleans(),
)
def test_a_vec4_aligned_matrix_is_covered_by_vectors_of_four(
    at: int, step: int, row: int, rows: int, cols: int, transposed: bool
) -> None:
    layout = MatrixLayout(at, step, *((1, row) if transposed else (row, 1)))
    rows, cols = (cols, rows) if transposed else (rows, cols)
    products, i, j = np.ogrid[:3, :rows, :cols]
    cells = at + products * layout.batch_stride + i * layout.row_stride + j * layout.col_stride
    if layout.vec4_aligned(rows, cols):
        lines = cells.swapaxes(1, 2) if layout.col_stride != 1 else cells
        vectors = lines.reshape(-1, 4)
        assert (vectors[:, 0] % 4 == 0).all()
        assert (np.diff(vectors) == 1).all()


def test_vec4_alignment_requires_all_offsets_and_strides() -> None:
    assert MatrixLayout(4, 8, 12, 1).vec4_aligned(3, 8)
    assert MatrixLayout(4, 8, 1, 12).vec4_aligned(8, 3)
    for layout, size in [
        (MatrixLayout(2, 8, 12, 1), (3, 8)),
        (MatrixLayout(4, 6, 12, 1), (3, 8)),
        (MatrixLayout(4, 8, 10, 1), (3, 8)),
        (MatrixLayout(4, 8, 12, 1), (4, 7)),
        (MatrixLayout(4, 8, 1, 12), (7, 4)),
    ]:
        assert not layout.vec4_aligned(*size)


@given(
    layout=st.builds(MatrixLayout, *[st.integers(-20, 20)] * 4),
    rows=st.integers(1, 4),
    cols=st.integers(1, 4),
)
def test_a_normalized_layout_has_the_same_elements(layout: MatrixLayout, rows: int, cols: int) -> None:
    normalized = layout.normalized(rows, cols)
    i, j = np.ogrid[:rows, :cols]
    np.testing.assert_array_equal(
        layout.offset + i * layout.row_stride + j * layout.col_stride,
        normalized.offset + i * normalized.row_stride + j * normalized.col_stride,
    )
    assert normalized[:2] == layout[:2]
    if 1 in (rows, cols):
        assert 1 in normalized[2:]


def test_a_problem_derives_its_signature_from_the_layouts_of_its_matrices() -> None:
    layouts = MatrixLayout(4, 0, 1, 8), MatrixLayout(0, 0, 24, 1), MatrixLayout(0, 0, 10, 1)
    made = GemmProblem.of(
        8, 12, 9, layouts=layouts, dtype=F16, accumulate_dtype=F16, bias=True, activation="relu"
    )
    signature = Signature(False, False, True, False, False, F16, F16, F16, bias=True, activation="relu")
    assert made == GemmProblem(8, 12, 9, signature=signature)
    assert GemmProblem.of(8, 12, 8, 3, layouts=contiguous(8, 12, 8, 3)) == GemmProblem(8, 12, 8, 3)


@given(
    m=st.integers(1, 9), k=st.integers(1, 9), n=st.integers(1, 9), products=st.integers(1, 3),
    layout=st.sampled_from(["nn", "nt", "tn", "tt"]),
)  # fmt: skip
def test_contiguous_matrices_fill_their_buffers(m: int, k: int, n: int, products: int, layout: str) -> None:
    layouts = contiguous(m, k, n, products, layout=layout)
    for matrix, (rows, cols) in zip(layouts, ((m, k), (k, n), (m, n)), strict=True):
        p, i, j = np.ogrid[:products, :rows, :cols]
        cells = matrix.offset + p * matrix.batch_stride + i * matrix.row_stride + j * matrix.col_stride
        assert sorted(cells.ravel()) == list(range(products * rows * cols))
        assert 1 in matrix[2:]
    signature = GemmProblem.of(m, k, n, products, layouts=layouts).signature
    if 1 not in (m, k, n):
        assert signature.layout == layout
    assert contiguous(m, k, n, products, layout=signature.layout) == layouts


# What plans are called.


@pytest.mark.parametrize(
    ("signature", "said"),
    [
        (Signature(), "nn, vec4 a b c"),
        (Signature(a_along_k=False), "tn, vec4 a b c"),
        (Signature(b_along_k=True), "nt, vec4 a b c"),
        (Signature(a_along_k=False, b_along_k=True, a_vec4=False), "tt, vec4 b c"),
        (Signature(a_vec4=False, b_vec4=False, c_vec4=False), "nn, scalar"),
        (Signature(stored=F16, result=F16), "nn, vec4 a b c, f16 f32 f16"),
        (
            Signature(stored=F16, result=F16, accumulate_dtype=F16, bias=True),
            "nn, vec4 a b c, f16 f16 f16, bias",
        ),
        (Signature(bias=True, activation="gelu"), "nn, vec4 a b c, bias, gelu"),
        (Signature(activation="relu"), "nn, vec4 a b c, relu"),
    ],
)
def test_a_form_is_named_by_what_it_asks_of_a_kernel(signature: Signature, said: str) -> None:
    assert str(signature) == said


def test_forms_of_one_name_are_one() -> None:
    assert len({str(signature) for signature in FORMS}) == len(set(FORMS)) == len(FORMS)


def test_a_plan_is_named_by_problem_kernel_parts_and_reason() -> None:
    problem = GemmProblem(5, 7, 3, products=2)
    assert str(GemmPlan(problem, Naive(), why="of a test")) == "2×5×7×3 (nn, vec4 a b c): naive: of a test"
    assert str(GemmPlan(GemmProblem(5, 7, 3), kernel_of(16), 4, why="of a test")) == (
        "5×7×3 (nn, vec4 a b c): tile 16, split-K 4: of a test"
    )


# What is chosen.


@pytest.mark.parametrize("kernel", BLOCKED, ids=lambda each: each.name)
def test_a_blocking_keeps_the_rules_of_its_kernel(kernel: object) -> None:
    assert kernel.whole()
    for field, value in [("block_m", kernel.block_m + 1), ("lanes_m", 3), ("block_k", kernel.block_k + 1)]:
        assert not replace(kernel, **{field: value}).whole()


@pytest.mark.parametrize(
    "lacking",
    [
        Blocked(64, 64, 8, thread_m=8, thread_n=8, lanes_m=8, stages=2),
        Blocked(64, 128, 16, thread_m=8, thread_n=8, lanes_m=2, stages=2),
        Blocked(128, 64, 16, thread_m=8, thread_n=8, lanes_m=8, stages=1),
    ],
    ids=["steps", "lanes", "room"],
)
def test_slices_need_steps_lanes_and_room(lacking: Blocked) -> None:
    assert lacking.whole()
    assert not replace(lacking, slice_k=2).whole()
    has = replace(lacking, block_k=16, lanes_m=8, stages=2, slice_k=2)
    assert (has.whole(), has.threads) == (True, 2 * lacking.threads)
    assert has.name.endswith("x16, slice-K 2")


@given(
    m=SIZES, k=SIZES, n=SIZES, products=st.integers(1, 50), signature=st.sampled_from(FORMS),
    limits=st.sampled_from([USUAL, LEAST]),
)  # fmt: skip
def test_there_are_plans_and_each_suits(
    m: int, k: int, n: int, products: int, signature: Signature, limits: Limits
) -> None:
    problem = GemmProblem(m, k, n, products, signature)
    found = list(candidates(limits, problem))
    assert found
    for each in found:
        spec = each.kernel.spec(each.problem)
        assert each.kernel.supports(limits, each.problem)
        assert (spec.threads <= limits.threads, spec.workgroup_bytes <= limits.workgroup_bytes) == (True,) * 2
        assert 1 <= each.split_k <= max(1, k)
        assert "\n" not in str(each)


@pytest.mark.parametrize("kind", ["DiscreteGPU", "IntegratedGPU", "Unknown", "CPU"])
def test_every_problem_has_a_kernel_that_does_what_it_asks(kind: str) -> None:
    with each_reported() as case:
        for activation, k, kwargs in product(
            ["", *ACTIVATIONS], [1, 3, 100], [{"bias": True}, {"stored": F16, "result": F16}]
        ):
            with case(f"{activation or 'no activation'}, k = {k}, {kwargs}"):
                signature = Signature(activation=activation, **kwargs)
                chosen = plan(device(kind=kind), GemmProblem(7, k, 5, signature=signature))
                assert chosen.kernel.supports(USUAL, chosen.problem)
                assert chosen.problem.signature.activation == activation


def test_a_cpu_driver_takes_a_kernel_without_workgroup_memory() -> None:
    problem = GemmProblem(4096, 4096, 4096)
    assert plan(device(kind="CPU", subgroup=8), problem).kernel in REGISTER_TILED_CPU
    for subgroup in (1, 4):
        assert plan(device(kind="CPU", subgroup=subgroup), problem).kernel == ALONE


def test_a_plan_follows_the_device_in_all_that_it_is_made_of() -> None:
    """Tests simulate other devices by patching one that has planned before."""
    some, cpu, problem = device(subgroup=8), device(kind="CPU", subgroup=8), GemmProblem(64, 64, 64)
    plan(some, problem)
    some.adapter = cpu.adapter
    assert plan(some, problem).kernel in REGISTER_TILED_CPU
    some.attachments[Profile] = cpu.attachments[Profile]
    assert plan(some, problem) == plan(cpu, problem)
    some.limits = replace(USUAL, subgroup=1)
    assert plan(some, problem).kernel == ALONE


def test_a_cpu_driver_takes_the_kernel_that_is_faster_for_few_rows() -> None:
    """Which is the one of few rows, where its profile says so."""
    cpu = device(kind="CPU", subgroup=8)
    rows = GemmProblem(4, 4096, 4096)
    assert plan(cpu, rows).kernel == FLAT
    (gemv,) = (each for each in cpu.attachments[Profile].kernels if each.kernel == as_data(GEMV_N[4]))
    faster = replace(gemv, gflops={"nn": 100 * gemv.gflops["nn"]})
    others = [each for each in cpu.attachments[Profile].kernels if each is not gemv]
    cpu.attachments[Profile] = replace(cpu.attachments[Profile], kernels=(*others, faster))
    assert plan(cpu, rows).kernel == GEMV_N[4]


def test_large_products_take_large_blocks_and_small_ones_more_of_them() -> None:
    def area(size: int) -> int:
        chosen = plan(device(workgroup_bytes=49152), GemmProblem(size, size, size))
        return chosen.kernel.block[0] * chosen.kernel.block[1]

    assert area(4096) == max(each.block_m * each.block_n for each in BLOCKED)
    assert area(64) < area(4096)


@pytest.mark.parametrize("kind", ["DiscreteGPU", "IntegratedGPU"])
@pytest.mark.parametrize("size", [64, 1024, 2047, 4096])
def test_what_has_no_room_on_metal_is_not_chosen_there(kind: str, size: int) -> None:
    for limits, signature in product(
        (USUAL, LEAST), (Signature(), Signature(False, True), Signature(stored=F16, result=F16))
    ):
        on = device(kind=kind, workgroup_bytes=limits.workgroup_bytes, threads=limits.threads)
        chosen = plan(on, GemmProblem(size, size, size, signature=signature))
        assert chosen.kernel.spec(chosen.problem).workgroup_bytes <= limits.workgroup_bytes


def test_few_blocks_of_long_sums_are_split() -> None:
    assert plan(device(), GemmProblem(64, 200_000, 64)).split_k > 1
    assert plan(device(), GemmProblem(4096, 4096, 4096)).split_k == 1


@given(m=SIZES, k=SIZES, n=SIZES, products=st.integers(1, 9), more=st.integers(1, 3000))
def test_more_work_costs_no_less(m: int, k: int, n: int, products: int, more: int) -> None:
    machine = model_of(USUAL, False, prior("discrete"))
    problem = GemmProblem(m, k, n, products)
    larger = [GemmProblem(m + more, k, n, products), GemmProblem(m, k + more, n, products),
              GemmProblem(m, k, n + more, products), GemmProblem(m, k, n, products + more)]  # fmt: skip
    for each in candidates(USUAL, problem):
        minimum = cost(each, machine)
        assert minimum > 0
        assert all(cost(replace(each, problem=other), machine) >= minimum for other in larger)


def test_no_room_for_any_kernel_is_said() -> None:
    with pytest.raises(LimitError, match=r"^matmul: no kernel for 64×64×64 \(nn, .*\) fits the device$"):
        plan(device(threads=16), GemmProblem(64, 64, 64))


@pytest.mark.parametrize("tile", ["naive", *TILES])
def test_a_requested_tile_is_taken(tile: Tile) -> None:
    chosen = plan(device(kind="CPU"), GemmProblem(8, 8, 8), tile=tile)
    assert (chosen.kernel, chosen.why) == (kernel_of(tile), "requested")


def test_a_tile_that_has_no_room_is_refused() -> None:
    with pytest.raises(LimitError, match=r"needs 1024 threads .* allows 256; try a smaller tile$"):
        plan(device(threads=256), GemmProblem(8, 8, 8), tile=32)
    with pytest.raises(LimitError, match=r"needs 8192 bytes of workgroup memory, .* allows 4096"):
        plan(device(workgroup_bytes=4096), GemmProblem(8, 8, 8), tile=32)


@pytest.mark.parametrize(
    "signature", [Signature(bias=True), Signature(activation="relu"), Signature(stored=F16, result=F16)]
)
@pytest.mark.parametrize("tile", ["naive", *TILES])
def test_a_tile_that_cannot_do_what_is_asked_is_refused(tile: Tile, signature: Signature) -> None:
    with pytest.raises(LimitError, match=r'multiplies float32, without bias and activation; .*tile="auto"$'):
        plan(device(), GemmProblem(8, 8, 8, signature=signature), tile=tile)


@pytest.mark.parametrize("tile", TILES)
def test_a_tile_takes_its_square_in_threads_and_two_of_it_in_memory(tile: int) -> None:
    spec = kernel_of(tile).spec(GemmProblem(1, 1, 1))
    assert (spec.threads, spec.workgroup_bytes) == (tile * tile, 2 * tile * tile * 4)


# What is launched.


def launched(on: Device, kernel: object, m: int, k: int, n: int, **kwargs: int) -> list[Dispatch]:
    operands = Operands(
        *buffers(), MatrixLayout(0, m * k, k, 1), MatrixLayout(0, k * n, n, 1), MatrixLayout(0, m * n, n, 1)
    )
    return list(dispatches(on, GemmPlan(GemmProblem(m, k, n, **kwargs), kernel), operands))


def test_each_variant_is_a_spec_of_its_own() -> None:
    names = [str(spec) for spec in variants.variants()]
    assert names[:4] == ["matmul/naive", *(f"matmul/tiled[TILE={tile}]" for tile in TILES)]
    assert len(set(names)) == len(names)
    for kernel in BLOCKED:
        assert any(kernel.name.removeprefix("blocked ") in name for name in names)


@pytest.mark.parametrize("kernel", BLOCKED, ids=lambda each: each.name)
def test_blocks_of_a_long_product_begin_where_the_kernel_can_go_on(kernel: object) -> None:
    for each in launched(device(loop_steps=40, groups=7), kernel, 1024, 2048, 2048):
        row0, col0, k0, k1 = each.uniforms[3:7]
        assert (row0 % kernel.block_m, col0 % kernel.block_n) == (0, 0)
        assert (k0 % 16, k1 % 16) == (0, 0)
        assert kernel.loops(k1 - k0) <= 40


@pytest.mark.parametrize("tile", ["naive", *TILES])
@pytest.mark.parametrize("loop_steps", [100, 65_535])
def test_no_dispatch_loops_further_than_the_driver_can(tile: Tile, loop_steps: int) -> None:
    on = device(loop_steps=loop_steps)
    accumulate_dtype = [each.uniforms[5:9] for each in launched(on, kernel_of(tile), 3, 200_000, 5)]
    for k0, k1, accumulate, has_epilogue in accumulate_dtype:
        tiles = 0 if tile == "naive" else ceil_div(k1 - k0, tile)
        assert k1 - k0 + tiles <= loop_steps
        assert (accumulate, has_epilogue) == (k0 > 0, k1 == 200_000)
    assert [k0 for k0, *_ in accumulate_dtype] == [0, *(k1 for _, k1, *_ in accumulate_dtype[:-1])]
    assert accumulate_dtype[-1][1] == 200_000


@pytest.mark.parametrize("kernel", [Naive(), *map(kernel_of, TILES), *BLOCKED], ids=lambda each: each.name)
def test_no_dispatch_has_more_groups_than_the_device_allows(kernel: object) -> None:
    found = launched(device(groups=7), kernel, 3000, 3, 2900, products=9)
    assert max(max(each.workgroups) for each in found) <= 7
    assert len(found) > 1
    assert sum(each.flops for each in found) == GemmProblem(3000, 3, 2900, 9).flops


@pytest.mark.parametrize("split_k", [2, 5, 64])
@pytest.mark.parametrize("m", [5, 70_000])
def test_parts_are_launched_and_joined_where_the_device_allows(split_k: int, m: int) -> None:
    kernel = next(iter(BLOCKED))
    operands = Operands(
        *buffers(), MatrixLayout(0, 0, 999, 1), MatrixLayout(0, 0, 3, 1), MatrixLayout(0, 0, 3, 1)
    )
    found = list(dispatches(device(), GemmPlan(GemmProblem(m, 999, 3), kernel, split_k), operands))
    assert len(found) == (2 if m == 5 else 1)
    assert max(max(each.workgroups) for each in found) <= USUAL.groups
