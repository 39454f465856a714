"""What follows from the records: every operation in every layout against NumPy, by its name, everywhere."""

import copy
import inspect
import warnings
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

import rusty_py as rp
from rusty_py import Array, Device, DtypeError, LimitError, ShapeError
from rusty_py.dtypes import F16, F32, U32
from rusty_py.operation import HOOKS, OPERATIONS, Operation, apply
from rusty_py.ops import compute, generator
from rusty_py.ops.all import REDUCTIONS, ROWS
from rusty_py.ops.generator import NAMES, Body, Skeleton
from rusty_py.profile.prior import prior
from rusty_py.profile.record import ITEM_BYTES, Profile
from rusty_py.runtime.launch import launch
from rusty_py.samples import Sample, values

from ..each import each_reported
from .operands import KINDS, LAYOUTS, on

pytestmark = pytest.mark.usefixtures("short_kernels")
SAMPLED = [each for each in OPERATIONS.values() if each.expected is not None]
PUBLIC = [each for each in OPERATIONS.values() if each.function is not None]
ELEMENTWISE = [OPERATIONS[name] for name in [*ROWS, "where", "astype"]]
# Of as many inputs as there are index classes for, and of two dtypes: the code of the indices is the same.
# Other operations go through one other layout in one dtype; through all in the slow tests.
CHECKED = ("negative", "add", "where", "astype")
_EVERY = {"ids": lambda operation: operation.name}


def runs(device: Device, sample: Sample) -> bool:
    return not sample.needs_f16 or "shader-f16" in device.adapter.features


def assert_expected(operation: Operation, sample: Sample, result: Array) -> None:
    """`result` is what the record says of the sample."""
    assert operation.expected is not None
    expected, host = operation.expected(sample), result.numpy()
    assert expected.bound is not None or host.dtype == expected.reference.dtype
    assert expected.error(host) <= 1


@pytest.mark.one_mode
@pytest.mark.parametrize("operation", SAMPLED, **_EVERY)
def test_samples_give_what_numpy_gives(device: Device, operation: Operation) -> None:
    with each_reported() as case:
        for sample in operation.samples():
            if runs(device, sample):
                with case(sample.name):
                    given = [on(device, x) for x in sample.operands]
                    assert_expected(operation, sample, apply(operation, *given, **sample.options))


def across(x: Any, y: Any) -> tuple[Any, Any]:
    """Two operands that have no axis in common to go along."""
    return x[:, :6].T, y[:, 4:]


def assert_in_layouts(
    device: Device, operation: Operation, samples: list[Sample], layouts: list[str]
) -> None:
    with each_reported() as case:
        for sample in samples:
            arrays = [on(device, x) for x in sample.operands]
            for layout in layouts:
                with case(f"{sample.name}, {layout}"):
                    view = LAYOUTS[layout]
                    seen = Sample("", tuple(np.asarray(view(x)) for x in sample.operands), sample.options)
                    result = apply(operation, *map(view, arrays), **sample.options)
                    assert_expected(operation, seen, result)
            if len(arrays) == 2:
                with case(f"{sample.name}, across"):
                    seen = Sample("", across(*sample.operands))
                    assert_expected(operation, seen, apply(operation, *across(*arrays)))


@pytest.mark.parametrize("operation", [OPERATIONS[each] for each in CHECKED], **_EVERY)
def test_elements_are_found_in_any_layout(device: Device, operation: Operation) -> None:
    samples = [each for each in operation.samples() if runs(device, each)]
    assert_in_layouts(device, operation, samples, list(LAYOUTS))


# In a loop over axes, too: compilers have made something else of the same expression there.
@pytest.mark.one_mode
@pytest.mark.parametrize("operation", [each for each in ELEMENTWISE if each.name not in CHECKED], **_EVERY)
def test_elements_are_found_in_another_layout(device: Device, operation: Operation) -> None:
    samples = [each for each in operation.samples() if runs(device, each)][:1]
    assert_in_layouts(device, operation, samples, ["transposed"])


@pytest.mark.slow
@pytest.mark.one_mode
@pytest.mark.parametrize("operation", [each for each in ELEMENTWISE if each.name not in CHECKED], **_EVERY)
def test_elements_of_any_dtype_are_found_in_any_layout(device: Device, operation: Operation) -> None:
    samples = [each for each in operation.samples() if runs(device, each)]
    assert_in_layouts(device, operation, samples, list(LAYOUTS))


@pytest.mark.one_mode
@pytest.mark.parametrize("operation", [each for each in ELEMENTWISE if each.mixed is not None], **_EVERY)
def test_a_number_may_stand_on_either_side(device: Device, operation: Operation) -> None:
    assert operation.mixed is not None
    with each_reported() as case:
        for sample in filter(lambda each: runs(device, each), operation.samples()):
            x = sample.operands[0]
            kind = next(kind for kind in KINDS if kind.numpy == x.dtype)
            number = {"f": 2.75, "i": 3, "u": 3, "b": True}[kind.kind]
            is_power = operation.name == "pow"
            x = np.abs(x) if is_power else x
            all_layouts = operation.name in ("subtract", "pow")
            for layout in ("rows", "every other", "transposed", "a number", "nothing")[
                : 5 if all_layouts else 1
            ]:
                view = LAYOUTS[layout]
                array, seen = view(on(device, x)), np.asarray(view(x))
                alone = np.full(seen.shape, number, x.dtype)
                for reflected in (False, *[True] * (not is_power or kind.kind == "f")):
                    with case(f"{sample.name}, {layout}, a number {'first' if reflected else 'last'}"):
                        given = (alone, seen) if reflected else (seen, alone)
                        result = operation.mixed(array, number, reflected=reflected)
                        assert_expected(operation, Sample("", given), result)


@pytest.mark.parametrize("operation", PUBLIC, **_EVERY)
def test_an_operation_has_a_public_name_with_a_docstring(operation: Operation) -> None:
    function = getattr(rp, operation.name)
    assert function is operation.function
    assert function.__name__ == operation.name
    assert operation.name in dir(rp)
    assert operation.name in rp.__all__
    for alias in operation.aliases:
        assert getattr(rp, alias) is function
        assert alias in rp.__all__
    said = inspect.getdoc(function)
    assert said
    assert "Raises" in said


@pytest.mark.parametrize("operation", [each for each in PUBLIC if each.samples() and each.numpy], **_EVERY)
def test_numpys_function_and_ours_take_arrays_and_array_likes(
    unchecked: Device, operation: Operation
) -> None:
    assert operation.function is not None
    with each_reported() as case:
        for sample in filter(lambda each: runs(unchecked, each), operation.samples()):
            array, *others = [on(unchecked, x) for x in sample.operands]
            calls = {
                "NumPy's of arrays": (operation.numpy or operation.function, (array, *others)),
                "ours of array-likes": (operation.function, sample.operands),
                "ours of both": (operation.function, (array, *sample.operands[1:])),
            }
            for what, (function, given) in calls.items():
                with case(f"{sample.name}, {what}"):
                    result = function(*given, **sample.options)
                    assert isinstance(result, Array)
                    assert_expected(operation, sample, result)


@pytest.mark.parametrize("operation", PUBLIC, **_EVERY)
def test_a_dtype_that_an_operation_is_not_for_is_refused_by_its_name(
    unchecked: Device, operation: Operation
) -> None:
    for kind in KINDS:
        if kind.kind in operation.kinds or operation.name in ("where", "matmul"):
            continue
        x = on(unchecked, np.ones(3, kind.numpy))
        count = 2 if operation.mixed is not None else 1
        with pytest.raises(DtypeError, match=rf"^{operation.name}: not for {kind.name}: "):
            apply(operation, *[x] * count)


def test_records_say_all_that_is_derived_from_them() -> None:
    for each in OPERATIONS.values():
        if each.function is not None or each.name == "matmul":
            assert each.numpy is not None or each.reference is not None, each.name
            assert list(each.samples()), each.name
            assert each.expected is not None, each.name


def test_costs_count_operations_and_bytes(unchecked: Device) -> None:
    x, row = on(unchecked, np.ones((3, 4), np.float32)), on(unchecked, np.ones(4, np.float32))
    cost = OPERATIONS["add"].cost([x, row], x + row)
    assert (cost.flops, cost.nbytes) == (12, 4 * (12 + 4 + 12))
    cost = OPERATIONS["matmul"].cost([x, row], x @ row)
    assert (cost.flops, cost.nbytes) == (2 * 3 * 4, 4 * (12 + 4 + 3))
    cost = OPERATIONS["sum"].cost([x], x.sum())
    assert (cost.flops, cost.nbytes) == (12, 4 * 13)


def test_hooks_see_what_a_user_applies_and_may_take_its_place(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    @contextmanager
    def profile(name: str):  # type: ignore[no-untyped-def]
        seen.append(f"begin {name}")
        yield
        seen.append(f"end {name}")

    x = on(unchecked, np.arange(4, dtype=np.float32))
    monkeypatch.setattr(HOOKS, "profile", profile)
    monkeypatch.setattr(HOOKS, "record", lambda op, _, __, ___, out: seen.append(f"{op.name} {out.shape}"))
    rp.mean(x)  # A sum and a quotient of its own are none that a user applies.
    assert seen == ["begin mean", "end mean", "mean ()"]
    monkeypatch.setattr(HOOKS, "trace", lambda op, arrays, words, options: x if op.name == "exp" else None)
    assert rp.exp(x) is x
    assert rp.tanh(x) is not x
    assert seen[3:] == ["begin tanh", "end tanh", "tanh (4,)"]


def test_every_access_of_every_index_class_is_used(unchecked: Device) -> None:
    """Common shapes select each of them."""
    x = on(unchecked, np.ones((64, 512), np.float32))
    boxed = "general" if unchecked.adapter.is_cpu else "grid"
    expressions = {
        "flat[add f32, 4 wide: vec4 vec4]": lambda: x + x,
        "flat[add f32, 4 wide: vec4 number]": lambda: x + 1,
        "flat[add f32, 4 wide: vec4 scalar]": lambda: x[0, :64] + x[:, 0],
        "flat[add f32, 4 wide: vec4 one]": lambda: x[0] + x[0, 0],
        "flat[add f32, 4 wide: scalar scalar]": lambda: x[0, ::2] + x[1, ::-2],
        f"{boxed}[add f32, 4 wide: vec4 vec4]": lambda: x + x[0],
        f"{boxed}[add f32, 4 wide: vec4 one]": lambda: x + x[:, :1],
        f"{boxed}[add f32, 1 wide: scalar scalar]": lambda: x[:, :511] + x[:, 1:],
        "general[add f32, 4 wide: scalar scalar]": lambda: x[:, :32].T + x[:, 32:64].T,
        "general[add f32, 1 wide: scalar scalar]": lambda: x[:, :3] + x[:, 3:6],
    }
    unchecked.cache.forget_plans()
    for name, expression in expressions.items():
        expression()
        launched = {str(each.spec) for plan in unchecked.cache.plans.values() for each in plan.dispatches}
        assert f"elementwise/{name}" in launched, launched


def test_a_gpus_kernels_over_grids_give_what_numpy_does(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = copy.copy(unchecked.adapter)
    object.__setattr__(adapter, "type", "DiscreteGPU")
    monkeypatch.setattr(unchecked, "adapter", adapter)
    rng = np.random.default_rng()
    host, index = rng.random((3, 5, 516), np.float32), rng.integers(0, 5, 4)
    x, i = on(unchecked, host), on(unchecked, index.astype(np.int32))
    unchecked.cache.forget_plans()
    try:
        for result, expected in (
            (x + x[0], host + host[0]),
            (x + x[:, :, :1], host + host[:, :, :1]),
            (x[:, :, :511] + x[:, :, 1:512], host[:, :, :511] + host[:, :, 1:512]),
            (x.take(i, axis=1), host.take(index, axis=1)),
        ):
            np.testing.assert_array_equal(result.numpy(), expected)
        launched = [str(each.spec) for plan in unchecked.cache.plans.values() for each in plan.dispatches]
        assert len([name for name in launched if name.startswith("elementwise/grid[")]) == 4
    finally:
        unchecked.cache.forget_plans()


@pytest.mark.parametrize("index", ["flat", "grid", "general"])
@pytest.mark.parametrize("arity", [4, 5, 7])
def test_a_kernel_may_have_many_operands(unchecked: Device, index: str, arity: int) -> None:
    shape = (24,) if index == "flat" else (3, 8)
    names = NAMES[:arity]
    weighted = " + ".join(f"{3**i}u * {name}" for i, name in enumerate(names))
    body = Body("weighted u32", ("u32",) * arity, "u32", weighted)
    skeleton = Skeleton(
        index, 4, ("vec4", "scalar", "one", "vec4", "scalar", "one", "vec4", "scalar")[:arity]
    )
    rows = (1,) if index == "flat" else (8, 1)
    strides = [(*rows[:-1], 0) if access == "one" else rows for access in skeleton.access]
    given = [values(U32, *shape, seed=i) for i in range(arity)]
    uniforms = generator.uniforms(
        skeleton, shape, [0] * (arity + 1), [*strides, rows], (), operation=body.name
    )
    out = unchecked.empty(4 * 24)
    inputs = [unchecked.upload(x) for x in given]
    spec = generator.spec(body, skeleton)
    launch(unchecked, spec, inputs=inputs, outputs=[out], uniforms=uniforms, workgroups=(1, 1, 1))
    result = np.empty(shape, np.uint32)
    unchecked.read(out, result)
    seen = [x[..., :1] if access == "one" else x for x, access in zip(given, skeleton.access, strict=True)]
    np.testing.assert_array_equal(result, sum(np.uint32(3**i) * x for i, x in enumerate(seen)))


def test_more_operands_than_a_kernel_takes_are_refused() -> None:
    for access, said in (
        (("scalar",) * 8, "8 arrays and 0 numbers; 7 and 16 at most, 9 together"),
        (("number",) * 17, "0 arrays and 17 numbers"),
        (("scalar",) * 6 + ("number",) * 4, "6 arrays and 4 numbers"),
    ):
        with pytest.raises(LimitError, match=f"^f: more operands than a kernel takes: {said}"):
            generator.spec(Body("f", ("u32",) * len(access), "u32", "x"), Skeleton("flat", 1, access))
    wide = Skeleton("general", 1, ("scalar",) * 7, wide_axes=True)
    with pytest.raises(LimitError, match=r"^f: more operands than a launch has room for: 7 arrays$"):
        generator.uniforms(wide, (2,) * 5, [0] * 8, [(1,) * 5] * 8, (), operation="f")


@pytest.mark.parametrize("name", REDUCTIONS)
def test_a_reduction_of_nothing_gives_what_numpy_gives(unchecked: Device, name: str) -> None:
    operation = OPERATIONS[name]
    assert operation.function is not None
    for shape, axis in (((0,), None), ((0, 3), 0), ((0, 3), 1)):
        x = np.zeros(shape, np.float32)
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
                expected = REDUCTIONS[name].numpy(x, axis=axis)
        except ValueError:
            with pytest.raises(ShapeError, match=rf"^{name}: of no elements"):
                operation.function(on(unchecked, x), axis=axis)
        else:
            result = operation.function(on(unchecked, x), axis=axis).numpy()
            np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("item_bytes", ITEM_BYTES)
def test_threads_take_as_much_of_large_arrays_as_the_profile_says(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch, item_bytes: int
) -> None:
    for name in ("_MIN_EIGHTS", "_MIN_EIGHTS_ON_CPU"):
        monkeypatch.setattr(compute, name, 16)
    monkeypatch.setitem(unchecked.attachments, Profile, replace(prior("integrated"), item_bytes=item_bytes))
    dtypes = [F32, F16] if "shader-f16" in unchecked.adapter.features else [F32]
    with each_reported() as case:
        for dtype, size in product(dtypes, (16, 23, 4099)):
            x, y = values(dtype, size, seed=1), values(dtype, size, seed=2)
            a, b = on(unchecked, x), on(unchecked, y)
            width = 8 if dtype is F16 and item_bytes == 16 else 4
            with case(f"{size} elements of {dtype.name}"):
                unchecked.cache.forget_plans()
                np.testing.assert_array_equal((a - b).numpy(), x - y)
                subtracted = f"elementwise/flat[subtract {dtype.name}, {width} wide: vec4 vec4]"
                assert _launched(unchecked) == {subtracted}
                np.testing.assert_array_equal((2 - a).numpy(), 2 - x)
                np.testing.assert_array_equal((a - b[:1]).numpy(), x - y[:1])
                np.testing.assert_array_equal((a < b).numpy(), x < y)
            with case(f"{size} elements of {dtype.name} from the fourth on"):
                np.testing.assert_array_equal((a[4:] - b[4:]).numpy(), x[4:] - y[4:])
                np.testing.assert_array_equal((a[8:] - b[8:]).numpy(), x[8:] - y[8:])
            with case(f"{size} elements of {dtype.name}, assigned to a part"):
                whole = rp.zeros(size + 9, dtype=dtype.name, device=unchecked)
                whole[:size].assign(a)
                np.testing.assert_array_equal(whole.numpy(), np.pad(x, (0, 9)))
    unchecked.cache.forget_plans()


def test_every_f16_is_the_same_in_items_of_eight(unchecked: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    if "shader-f16" not in unchecked.adapter.features:
        pytest.skip("no f16")
    bits = np.random.default_rng().permutation(np.arange(1 << 16, dtype=np.uint16))
    x = on(unchecked, bits.view(np.float16))
    functions = {
        "copy": lambda: x.copy(),
        "negative": lambda: -x,
        "times one": lambda: x * 1,
        "sqrt": lambda: rp.sqrt(x),
        "gelu": lambda: rp.gelu(x),
        "of one element": lambda: rp.broadcast_to(x[:1], x.shape).copy(),
    }
    for name in ("_MIN_EIGHTS", "_MIN_EIGHTS_ON_CPU"):
        monkeypatch.setattr(compute, name, 16)
    results = []
    for item_bytes, width in ((8, 4), (16, 8)):
        profile = replace(prior("integrated"), item_bytes=item_bytes)
        monkeypatch.setitem(unchecked.attachments, Profile, profile)
        unchecked.cache.forget_plans()
        results.append({name: function().numpy() for name, function in functions.items()})
        launched = _launched(unchecked)
        assert all(f", {width} wide: " in name for name in launched), launched
    unchecked.cache.forget_plans()
    np.testing.assert_array_equal(results[1]["copy"].view(np.uint16), bits)
    for name in functions:
        np.testing.assert_array_equal(*(each[name] for each in results), err_msg=name)


def _launched(device: Device) -> set[str]:
    return {str(each.spec) for plan in device.cache.plans.values() for each in plan.dispatches}
