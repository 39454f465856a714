"""softmax, log_softmax and norms along any axis, on the tiles of every machine."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rusty_py as rp
from rusty_py import Array, Device, DtypeError, LimitError, ShapeError
from rusty_py.checker import check
from rusty_py.dtypes import F16, F32
from rusty_py.operation import OPERATIONS, apply
from rusty_py.ops.rowwise import bounds, launches, tiles
from rusty_py.ops.rowwise.kernel import Access, Tile
from rusty_py.ops.rowwise.texts import kernel_spec
from rusty_py.ops.rowwise.tiles import Machine, Rows
from rusty_py.ops.rowwise_kernels import CPU, FUNCTIONS, GPU
from rusty_py.oracle import Expected
from rusty_py.samples import Sample, values

from ..each import each_reported
from .operands import LAYOUTS, needs, on
from .test_matmul import small

pytestmark = pytest.mark.one_mode
NO_SUBGROUPS = Machine(threads=256, subgroups=False, cpu=False)
Chooses = Callable[[Machine], None]


@pytest.fixture
def chooses(unchecked: Device, monkeypatch: pytest.MonkeyPatch) -> Chooses:
    """Has rows divided as on another machine."""

    def choose(machine: Machine) -> None:
        monkeypatch.setattr(launches, "machine_of", lambda _: machine)
        unchecked.cache.forget_plans()

    return choose


def assert_right(
    name: str, device: Device, *arrays: Any, view: Callable[[Any], Any] = lambda x: x, **options: Any
) -> None:
    """The result of an operation on `view` of the first array is what its record expects."""
    operation, (first, *others) = OPERATIONS[name], arrays
    result = apply(operation, view(on(device, first)), *(on(device, x) for x in others), **options)
    assert operation.expected is not None
    expected = operation.expected(Sample("", (np.asarray(view(first)), *others), options))
    assert name.endswith("_sums") or result.dtype == first.dtype
    assert expected.error(result.numpy()) <= 1


@pytest.mark.parametrize("machine", [GPU, NO_SUBGROUPS, CPU], ids=["subgroups", "tree", "cpu"])
def test_softmax_of_rows_of_any_length(unchecked: Device, chooses: Chooses, machine: Machine) -> None:
    chooses(machine)
    with each_reported() as case:
        for n in (1, 2, 3, 33, 128, 130, 1000, 1028):
            with case(f"rows of {n}"):
                assert_right("softmax", unchecked, 4 * values(F32, 5, n))
        for shape, axis in (((33, 5), 0), ((2, 300, 3), 1), ((3, 2, 40), 0), ((2, 10, 70), 1)):
            with case(f"{shape} over {axis}"):
                assert_right("softmax", unchecked, 4 * values(F32, *shape), axis=axis)


@pytest.mark.parametrize("machine", [GPU, CPU], ids=["subgroups", "cpu"])
def test_rows_are_found_in_any_layout(unchecked: Device, chooses: Chooses, machine: Machine) -> None:
    chooses(machine)
    x = values(F32, 6, 10)
    views = {**LAYOUTS, "off a multiple of 4": lambda x: x.reshape(-1)[3:51].reshape(6, 8)}
    del views["a number"]
    with each_reported() as case:
        for name, view in views.items():
            for axis in range(np.asarray(view(x)).ndim):
                with case(f"{name}, over {axis}"):
                    assert_right("log_softmax", unchecked, x, view=view, axis=axis)
            with case(f"{name}, normalized"):
                weight, bias = values(F32, 2, np.asarray(view(x)).shape[-1], seed=3)
                assert_right("layer_norm", unchecked, x, weight, bias, view=view)


def test_gradients_are_found_in_any_layout(unchecked: Device, chooses: Chooses) -> None:
    """The gradient of a result may lie in memory in another order than the result."""
    chooses(GPU)
    y, g = bounds.softmax(values(F32, 6, 10)).astype(np.float32), values(F32, 6, 10, seed=2)
    expected = bounds.expected_softmax_gradient(y, g)
    operation = OPERATIONS["softmax_gradient"]
    for transposed in ((False, True), (True, False), (True, True)):
        given = [
            on(unchecked, x.T.copy()).T if turned else on(unchecked, x)
            for x, turned in zip((y, g), transposed, strict=True)
        ]
        assert expected.error(apply(operation, *given, axis=-1).numpy()) <= 1
    repeated = rp.broadcast_to(on(unchecked, g[:, :1]), (6, 10))
    expected = bounds.expected_softmax_gradient(y, np.broadcast_to(g[:, :1], (6, 10)))
    assert expected.error(apply(operation, on(unchecked, y), repeated, axis=-1).numpy()) <= 1


@pytest.mark.parametrize("machine", [GPU, CPU], ids=["gpu", "cpu"])
def test_long_rows_are_computed_in_parts(unchecked: Device, chooses: Chooses, machine: Machine) -> None:
    chooses(machine)
    x = values(F32, 2, 40_000)
    assert_right("softmax", unchecked, x)
    plans = unchecked.cache.plans.values()
    assert [len(plan.dispatches) for plan in plans] == [2]
    assert_right("layer_norm", unchecked, 100 + x, x[0], x[1])


def test_a_few_workgroups_compute_many_rows(unchecked: Device, chooses: Chooses) -> None:
    for machine in (GPU, CPU):
        chooses(machine)
        with small(unchecked, groups=2) as narrow:
            assert_right("softmax", narrow, values(F32, 500, 7))
            assert_right("softmax", narrow, values(F32, 7, 500), axis=0)


def test_arrays_larger_than_a_binding_are_computed_in_parts(unchecked: Device, chooses: Chooses) -> None:
    x, wide = values(F32, 60, 40), values(F32, 9, 20, 20)
    for machine in (GPU, CPU):
        chooses(machine)
        with small(unchecked, binding_bytes=4096) as narrow:
            assert_right("softmax", narrow, x)
            assert_right("softmax", narrow, wide, axis=1, view=lambda x: x.transpose(2, 1, 0))
            assert_right("layer_norm", narrow, x, x[0], x[1])
            assert_right("layer_norm_gradient", narrow, x, x + 1, x[0], normalized_shape=(40,), eps=1e-5)
            assert_right("group_norm", narrow, wide[:, :4], wide[0, 0, :4].copy(), num_groups=2)
            for shape, axis in (((2400,), 0), ((60, 40), 0)):
                with pytest.raises(
                    LimitError, match=r"^softmax: a row is larger than a binding on .*: shape "
                ):
                    rp.softmax(on(narrow, x.reshape(shape)), axis=axis)


def test_the_result_has_the_order_of_axes_of_the_operand(unchecked: Device) -> None:
    x = on(unchecked, values(F32, 6, 10))
    for view, axis in ((x.T, 0), (x.T, 1), (x.reshape(2, 3, 10).transpose(0, 2, 1), 1)):
        unchecked.cache.forget_plans()
        assert rp.softmax(view, axis=axis).strides == view.strides
        (plan,) = unchecked.cache.plans.values()
        assert len(plan.dispatches) == 1  # Nothing is copied.
    assert rp.softmax(x[:, ::2]).contiguous


def test_logits_of_any_size(unchecked: Device, chooses: Chooses) -> None:
    largest = np.finfo(np.float32).max / 2
    x = np.array(
        [[250, -250, 249, 0], [1e4, -1e4, 1e4, 9999], [largest, -largest, 0, 1], [-largest] * 4, [-1e4] * 4],
        np.float32,
    )
    for machine in (GPU, CPU):
        chooses(machine)
        for classes in (1, 2, 3, 4):
            assert_right("softmax", unchecked, x[:, :classes].copy())
            assert_right("log_softmax", unchecked, x[:, :classes].copy())


def test_masked_rows_and_rows_with_nan_or_infinity(unchecked: Device, chooses: Chooses) -> None:
    masked = np.full((4, 33), -np.inf, np.float32)
    masked[1, 5], masked[2, 7], masked[3, 8] = 2.5, np.nan, np.inf
    for machine in (GPU, NO_SUBGROUPS, CPU):
        chooses(machine)
        x = on(unchecked, masked)
        softmax, logarithm = rp.softmax(x).numpy(), rp.log_softmax(x).numpy()
        one = np.zeros(33, np.float32)
        one[5] = 1
        np.testing.assert_array_equal(softmax[0], np.zeros(33))
        np.testing.assert_array_equal(softmax[1], one)
        np.testing.assert_array_equal(logarithm[0], masked[0])
        np.testing.assert_array_equal(logarithm[1], np.where(one, 0, -np.inf))
        assert np.isnan(softmax[2:]).all()
        assert np.isnan(logarithm[2:]).any(axis=1).all()


def test_gradients_of_masked_rows_are_zero(unchecked: Device) -> None:
    x = on(unchecked, np.full((2, 33), -np.inf, np.float32))
    x.requires_grad = True
    rp.softmax(x).backward(on(unchecked, values(F32, 2, 33)))
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), 0)


def test_nothing_gives_nothing(unchecked: Device) -> None:
    for shape in ((0, 3), (3, 0), (2, 0, 3)):
        x = on(unchecked, np.zeros(shape, np.float32))
        assert rp.softmax(x).shape == shape
        assert rp.layer_norm(x).shape == shape
        assert rp.rms_norm(x).shape == shape
    for shape in ((0, 4, 3), (2, 4, 0)):
        assert rp.group_norm(on(unchecked, np.zeros(shape, np.float32)), 2).shape == shape


def test_norms_of_f16_rows_with_outliers(unchecked: Device, chooses: Chooses) -> None:
    """Squares of 800 are beyond f16."""
    needs(unchecked, F16)
    x = values(F16, 4, 300)
    x[:, 7], x[2], x[3] = 800, 60_000, 1000
    for machine in (GPU, CPU):
        chooses(machine)
        assert_right("layer_norm", unchecked, x, *values(F16, 2, 300, seed=2))
        assert_right("rms_norm", unchecked, x, values(F16, 300, seed=2))


def test_norms_of_rows_far_from_zero(unchecked: Device, chooses: Chooses) -> None:
    x = (1e4 + values(F32, 5, 300)).astype(np.float32)
    for machine in (GPU, NO_SUBGROUPS, CPU):
        chooses(machine)
        assert_right("layer_norm", unchecked, x)
        assert_right(
            "layer_norm_gradient",
            unchecked,
            x,
            values(F32, 5, 300, seed=2),
            normalized_shape=(300,),
            eps=1e-5,
        )


def test_norms_over_several_axes_with_and_without_weight_and_bias(unchecked: Device) -> None:
    x = values(F32, 3, 4, 6)
    for sizes in ((6,), (4, 6), (3, 4, 6)):
        weight, bias = values(F32, *sizes, seed=2), values(F32, *sizes, seed=3)
        for affine in ((), (weight,), (weight, bias)):
            assert_right("layer_norm", unchecked, x, *affine, normalized_shape=sizes)
            if len(affine) < 2:
                assert_right("rms_norm", unchecked, x, *affine, normalized_shape=sizes, eps=None)
        alone = rp.layer_norm(on(unchecked, x), bias=bias).numpy()
        np.testing.assert_array_equal(
            alone, rp.layer_norm(on(unchecked, x), np.ones(sizes, np.float32), bias).numpy()
        )
    assert rp.layer_norm(on(unchecked, x), normalized_shape=6).shape == x.shape


def test_weights_may_have_another_dtype_and_any_stride(unchecked: Device, chooses: Chooses) -> None:
    needs(unchecked, F16)
    x, weights = values(F16, 3, 40), values(F32, 2, 80, seed=2)
    expected = OPERATIONS["layer_norm"].expected
    assert expected is not None
    for machine in (GPU, CPU):
        chooses(machine)
        w = on(unchecked, weights)
        for view in (lambda w: w[:, ::2], lambda w: w[:, 1:41], lambda w: w[:, 79:39:-1]):
            result = rp.layer_norm(on(unchecked, x), view(w)[0], view(w)[1])
            assert result.dtype == np.float16
            assert expected(Sample("", (x, *view(weights)))).error(result.numpy()) <= 1


def test_group_norms(unchecked: Device, chooses: Chooses) -> None:
    for machine in (GPU, CPU):
        chooses(machine)
        for shape, groups in (((2, 6), 3), ((3, 4, 5), 4), ((2, 8, 3, 4), 1), ((1, 6, 20, 10), 2)):
            x = 3 + values(F32, *shape)
            for count in range(3):
                affine = [values(F32, shape[1], seed=i) for i in range(count)]
                assert_right("group_norm", unchecked, x, *affine, num_groups=groups)
    x = on(unchecked, values(F32, 2, 5, 3, 4)).transpose(0, 3, 1, 2)
    expected = bounds.expected_norm(x.numpy().reshape(2, 2, 30), axes=(2,), eps=1e-5, centred=True)
    assert expected.error(rp.group_norm(x, 2).numpy().reshape(2, 2, 30)) <= 1


def test_gradients_of_weight_and_bias_are_sums_over_rows(unchecked: Device, chooses: Chooses) -> None:
    for machine, shapes in ((GPU, ((300, 132), (700, 20), (40, 33), (5, 9000))), (CPU, ((300, 132),))):
        chooses(machine)
        for shape in shapes:
            x, g = 3 + values(F32, *shape), values(F32, *shape, seed=2)
            options = {"normalized_shape": shape[1:], "eps": 1e-5}
            for name in ("layer_norm_sums", "rms_norm_sums"):
                result = apply(OPERATIONS[name], on(unchecked, x), on(unchecked, g), **options)
                expected = OPERATIONS[name].expected
                assert expected is not None
                assert expected(Sample("", (x, g), options)).error(result.numpy()) <= 1, shape


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "layer_norm", "rms_norm"])
def test_second_derivatives(unchecked: Device, name: str) -> None:
    operation = OPERATIONS[name]
    x, direction = on(unchecked, values(F32, 3, 10)), on(unchecked, values(F32, 3, 10, seed=2))

    def weighted(x: Array) -> Array:
        y = apply(operation, x)
        return (y * y * direction).sum()

    def along(x: Array) -> Array:
        return (rp.grad(weighted)(x) * direction).sum()

    assert rp.gradcheck(along, (x,), tolerance=5e-3).passed


def test_bad_arguments_of_row_operations_are_refused(unchecked: Device) -> None:
    x = on(unchecked, values(F32, 2, 6, 4))
    with pytest.raises(ShapeError, match=r"^softmax: no such axis: 3 of 3$"):
        rp.softmax(x, axis=3)
    with pytest.raises(TypeError):
        rp.softmax(x, axis=1.0)  # type: ignore[arg-type]
    with pytest.raises(
        ShapeError, match=r"^layer_norm: the last axes .*: \(2, 6, 4\) does not end in \(6,\)$"
    ):
        rp.layer_norm(x, normalized_shape=6)
    with pytest.raises(ShapeError, match=r"^rms_norm: weight and bias .*: \(4,\), not \(6, 4\)$"):
        rp.rms_norm(x, np.ones(4, np.float32), normalized_shape=(6, 4))
    with pytest.raises(ShapeError, match=r"^group_norm: channels are not divisible: 6 by 4 groups$"):
        rp.group_norm(x, 4)
    with pytest.raises(ShapeError, match=r"^group_norm: weight and bias .*: \(4,\) for \(2, 6, 4\)$"):
        rp.group_norm(x, 2, np.ones(4, np.float32))
    with pytest.raises(ShapeError, match=r"^group_norm: needs 2 axes or more"):
        rp.group_norm(x[0, 0], 2)
    with pytest.raises(DtypeError, match=r"^group_norm: not for i32: "):
        rp.group_norm(np.ones((2, 4), np.int32), 2)


# Tiles: pure functions.

MACHINES = [
    Machine(threads, subgroups, cpu)
    for threads in (256, 1024)
    for subgroups in (True, False)
    for cpu in (True, False)
]
LENGTHS = [*range(1, 300), 1000, 1024, 4095, 4096, 8192, 16_383, 16_384, 16_385, 50_257, 10**6, 10**8]


def test_tiles_fit_the_machine_and_parts_cover_the_rows() -> None:
    for machine in MACHINES:
        for n in LENGTHS:
            for count in (1, 3, 1000, 10**6):
                for across in (False, True):
                    rows = Rows(count, n, 1 if across or n % 4 else 4, across)
                    tile = tiles.tile_for(rows, machine)
                    parts, chunk = tiles.parts_for(rows, tile, cpu=machine.cpu)
                    assert tile.threads <= machine.threads
                    assert tile.threads % tile.lanes == 0
                    assert tile.skeleton != "subgroups" or (tile.once and machine.subgroups)
                    assert not tile.once or tile.elements >= n
                    assert (parts - 1) * chunk < n <= parts * chunk
                    assert parts == 1 or chunk % 4 == 0


def test_rows_of_up_to_16_ki_elements_stay_in_registers() -> None:
    for n in (1, 128, 129, 1000, 1024, 8192, 16_384):
        for width in {1, 4 if n % 4 == 0 else 1}:
            tile = tiles.tile_for(Rows(16_384, n, width), GPU)
            assert tile.once, n
            assert tile.slots * tile.width <= 2 * tiles.THREAD_ELEMENTS, n
    assert tiles.tile_for(Rows(16_384, 8192, 4), GPU) == Tile("subgroups", 256, 256, 8, 4)
    assert tiles.tile_for(Rows(131_072, 1024, 4), GPU) == Tile("subgroups", 32, 32, 8, 4)


@pytest.mark.parametrize("name", ["softmax", "layer_norm", "layer_norm_sums"])
def test_rows_are_right_with_small_subgroups(checker: None, name: str) -> None:
    """As Metal text, under the checker, whose sizes are others in tests/metal."""
    sums, function = name.endswith("_sums"), FUNCTIONS[name]
    choose = tiles.tile_for_sums if sums else tiles.tile_for
    with each_reported() as case:
        for n in (20, 516):
            tile, given = choose(Rows(3, n, 4), GPU), [values(F32, 3, n, seed=i) for i in range(2)]
            assert tile is not None
            given, places = given[: len(function.operands)], [0, 0, n, 1] * 3
            spec = kernel_spec(function, tile, (Access(F32, "vec4"),) * len(given), (), F32)
            uniforms = np.array([3, n, 1, n, 3, 1, 1, np.float32(1e-5).view(np.uint32), *places], np.uint32)
            shape = (tile.rows, 2, n) if sums else (3, n)
            options = {"axis": -1} if name == "softmax" else {"normalized_shape": (n,)}
            expected = OPERATIONS[name].expected
            assert expected is not None
            for size in (4, 8):
                with case(f"rows of {n}, subgroups of {size}"):
                    report = check(
                        spec.text,
                        workgroups=1,
                        buffers={f"{each}_in": x for each, x in zip(function.operands, given, strict=True)}
                        | {"out": np.zeros(shape, np.float32), "uniforms": uniforms},
                        subgroup_sizes=(size,),
                        workgroup_bytes=spec.workgroup_bytes,
                    )
                    assert not report.findings, str(report)
                    result = report.outputs["out"].reshape(shape)
                    result = result.sum(axis=0) if sums else result
                    assert expected(Sample("", tuple(given), options)).error(result) <= 1


def test_the_expected_error_shows_sums_in_f16() -> None:
    x = values(F32, 3, 300)
    cut = (x.astype(np.float16) * 1.0).astype(np.float32)
    for expected, compute in (
        (bounds.expected_softmax(x), lambda x: bounds.softmax(x)),
        (_layer_norm(x), lambda x: bounds.affine_norm(x, axes=(1,), eps=1e-5, centred=True)),
    ):
        assert expected.error(compute(x)) <= 1
        assert expected.error(compute(cut)) > 1


def _layer_norm(x: Any) -> Expected:
    return bounds.expected_norm(x, axes=(1,), eps=1e-5, centred=True)
