"""What follows from the records for gradients: each rule against differences in float64, in every layout."""

from collections.abc import Callable, Iterator
from datetime import date
from itertools import product
from typing import Any

import numpy as np
import pytest

from rusty_py import Array, Device
from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.operation import OPERATIONS, Gradient, Operation, apply
from rusty_py.ops.all import elementwise
from rusty_py.samples import Sample

from ..each import each_reported
from .operands import LAYOUTS, on

pytestmark = [pytest.mark.usefixtures("short_kernels"), pytest.mark.one_mode]
_EVERY = {"ids": lambda operation: operation.name}
assert elementwise  # Every operation is registered now.
DIFFERENTIABLE = [each for each in OPERATIONS.values() if isinstance(each.gradient, Gradient)]
_MAX_ELEMENTS = 400
_STEP = 1e-5


def smooth_samples(operation: Operation, kind: Dtype) -> Iterator[Sample]:
    """The small samples of a float dtype, at operands where the operation is differentiable."""
    for seed, sample in enumerate(operation.samples()):
        floats = [x for x in sample.operands if x.dtype.kind == "f"]
        if not floats or any(x.dtype != kind.numpy or not 0 < x.size <= _MAX_ELEMENTS for x in floats):
            continue
        if sample.options.get("dtype", kind).kind != "f":
            continue
        operands = sample.operands
        if operation.smooth is not None:
            operands = operation.smooth(kind, operands[-1].shape, seed=seed)
        yield Sample(sample.name, operands, sample.options)


def jacobians(function: Callable[..., Any], operands: tuple[Any, ...]) -> list[Any]:
    """The derivative of the result for each float operand, as (elements of the result, of the operand)."""
    given = [x.astype(np.float64) if x.dtype.kind == "f" else x for x in operands]
    size = np.asarray(function(*given)).size
    found: list[Any] = []
    for i, x in enumerate(given):
        if x.dtype.kind != "f":
            found.append(None)
            continue
        columns = []
        for at in np.ndindex(x.shape):
            h = _STEP * max(1.0, abs(x[at]))
            ends = []
            for step in (h, -h):
                moved = x.copy()
                moved[at] += step
                ends.append(np.asarray(function(*given[:i], moved, *given[i + 1 :]), np.float64))
            columns.append(((ends[0] - ends[1]) / (2 * h)).ravel())
        found.append(np.stack(columns, axis=1) if columns else np.zeros((size, 0)))
    return found


def leaves_of(arrays: list[Array], wanted: tuple[bool, ...]) -> list[Array]:
    leaves = [x.detach() for x in arrays]
    for x, needed in zip(leaves, wanted, strict=True):
        if needed and x.kind.kind == "f":
            x.requires_grad = True
    return leaves


def assert_gradients(
    operation: Operation,
    sample: Sample,
    arrays: list[Array],
    cotangent: Callable[[Any], Array],
    wanted: tuple[bool, ...] | None = None,
) -> None:
    """The backward pass gives J^T v for the random v of which `cotangent` makes an array."""
    reference = operation.reference or operation.numpy
    assert reference is not None, f"{operation.name}: nothing to check its gradient with"
    wanted = wanted or (True,) * len(arrays)
    leaves = leaves_of(arrays, wanted)
    result = apply(operation, *leaves, **sample.options)
    kind = next(x.kind for x in leaves if x.kind.kind == "f")
    v = np.random.default_rng(7).standard_normal(result.shape).astype(result.dtype)
    array = cotangent(v)
    v = array.numpy().astype(np.float64).ravel()
    result.backward(array)
    matrices = jacobians(lambda *given: reference(*given, **sample.options), sample.operands)
    for i, (leaf, matrix, needed) in enumerate(zip(leaves, matrices, wanted, strict=True)):
        if matrix is None or not needed:
            assert leaf.grad is None, f"operand {i}"
            continue
        expected, size = matrix.T @ v, np.abs(matrix).T @ np.abs(v)
        bound = kind.eps * (64 * size + 16 * size.max(initial=0)) + 1e-7 * size.max(initial=1)
        gradient = np.zeros(leaf.shape) if leaf.grad is None else leaf.grad.numpy()
        assert gradient.shape == leaf.shape, f"operand {i}"
        assert leaf.grad is None or leaf.grad.kind is leaf.kind, f"operand {i}"
        off = np.abs(gradient.ravel() - expected) / bound
        assert off.max(initial=0) <= 1, f"operand {i}: {off.max():.3g} times the bound at {off.argmax()}"


def cotangents(device: Device) -> dict[str, Callable[[Any], Array]]:
    """How the gradient of a result may lie in memory."""

    def repeated(v: Any) -> Array:
        return OPERATIONS["broadcast_to"].forward(on(device, v.ravel()[:1].reshape(())), shape=v.shape)

    return {
        "rows": lambda v: on(device, v),
        "transposed": lambda v: on(device, v.T.copy()).T,
        "with gaps": lambda v: with_gaps(device, v),
        "repeated": repeated,
    }


def test_every_float_operation_has_a_gradient_or_a_reason() -> None:
    for each in OPERATIONS.values():
        if "f" in each.kinds and list(each.samples()):
            assert isinstance(each.gradient, Gradient | str), each.name
            assert each.gradient, each.name


@pytest.mark.parametrize("operation", DIFFERENTIABLE, **_EVERY)
def test_gradients_are_those_of_differences(unchecked: Device, operation: Operation) -> None:
    """Also where the gradient of the result is not contiguous."""
    made = cotangents(unchecked)
    with each_reported() as case:
        for sample in smooth_samples(operation, F32):
            arrays = [on(unchecked, x) for x in sample.operands]
            for name, cotangent in made.items():
                with case(f"{sample.name}, gradient of the result {name}"):
                    assert_gradients(operation, sample, arrays, cotangent)


@pytest.mark.parametrize("operation", DIFFERENTIABLE, **_EVERY)
def test_gradients_in_f16(unchecked: Device, operation: Operation) -> None:
    if "shader-f16" not in unchecked.adapter.features:
        pytest.skip("no f16")
    with each_reported() as case:
        with case("found"):
            pass
        for sample in smooth_samples(operation, F16):
            with case(sample.name):
                arrays = [on(unchecked, x) for x in sample.operands]
                assert_gradients(operation, sample, arrays, lambda v: on(unchecked, v))


@pytest.mark.parametrize("operation", DIFFERENTIABLE, **_EVERY)
def test_any_subset_of_gradients_may_be_wanted(unchecked: Device, operation: Operation) -> None:
    with each_reported() as case:
        with case("found"):
            pass
        for sample in list(smooth_samples(operation, F32))[:2]:
            arrays = [on(unchecked, x) for x in sample.operands]
            for wanted in product((True, False), repeat=len(arrays)):
                floats = [needed and x.kind.kind == "f" for x, needed in zip(arrays, wanted, strict=True)]
                if any(floats) and not all(wanted):
                    with case(f"{sample.name}, {wanted}"):
                        assert_gradients(operation, sample, arrays, lambda v: on(unchecked, v), wanted)


def of_today(names: list[str]) -> list[str]:
    """Two of them, which change every day."""
    start = date.today().toordinal() * 2 % len(names)
    return [names[(start + i) % len(names)] for i in range(2)]


def with_gaps(device: Device, x: Any) -> Array:
    """Every third element of what is there."""
    wide = np.zeros((*x.shape, 3), x.dtype)
    wide[..., 1] = x
    return on(device, wide)[..., 1]


def from_the_fifth_on(device: Device, x: Any) -> Array:
    """A part of a buffer, not aligned to a vec4."""
    return on(device, np.concatenate([np.zeros(5, x.dtype), x.ravel()]))[5:].reshape(x.shape)


def backwards(device: Device, x: Any) -> Array:
    """The last element first."""
    back = (slice(None, None, -1),) * x.ndim
    return on(device, x[back].copy())[back]


PLACES: dict[str, Callable[[Device, Any], Array]] = {
    "transposed": lambda device, x: on(device, x.T.copy()).T,
    "backwards": backwards,
    "every other": lambda device, x: on(device, np.repeat(x, 2, axis=0))[::2],
    "with gaps": with_gaps,
    "from the fifth on": from_the_fifth_on,
}
"""Where the elements of operands of any shape may be."""


def assert_in_layouts(device: Device, operation: Operation, layouts: list[str], places: list[str]) -> None:
    """Operands of an elementwise operation in other shapes, too; of others, which have options, elsewhere."""
    with each_reported() as case:
        with case("found"):
            pass
        for sample in list(smooth_samples(operation, F32))[:1]:
            if any(x.shape != (6, 10) for x in sample.operands) or sample.options:
                for name in places:
                    with case(f"{sample.name}, {name}"):
                        arrays = [PLACES[name](device, x) for x in sample.operands]
                        assert_gradients(operation, sample, arrays, lambda v: on(device, v))
                continue
            for name in layouts:
                view = LAYOUTS[name]
                with case(f"{sample.name}, {name}"):
                    seen = Sample("", tuple(np.asarray(view(x)) for x in sample.operands))
                    arrays = [view(on(device, x)) for x in sample.operands]
                    assert_gradients(operation, seen, arrays, lambda v: on(device, v))


@pytest.mark.parametrize("operation", DIFFERENTIABLE, **_EVERY)
def test_gradients_of_operands_in_other_layouts(unchecked: Device, operation: Operation) -> None:
    assert_in_layouts(unchecked, operation, of_today(list(LAYOUTS)), of_today(list(PLACES)))


@pytest.mark.slow
@pytest.mark.parametrize("operation", DIFFERENTIABLE, **_EVERY)
def test_gradients_of_operands_in_any_layout(unchecked: Device, operation: Operation) -> None:
    assert_in_layouts(unchecked, operation, list(LAYOUTS), list(PLACES))
