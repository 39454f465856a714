"""Activations: how exact they are, and that they keep NaN in what follows a product."""

from dataclasses import dataclass
from itertools import cycle, product

import numpy as np
import pytest

import rusty_py as rp
from rusty_py import Activation, Device, UnsupportedError, array, matmul, oracle
from rusty_py.activations import ACTIVATIONS
from rusty_py.dtypes import F16, F32
from rusty_py.gemm import register_tiled, register_tiled_cpu
from rusty_py.gemm.blocked_family import SMALLEST
from rusty_py.gemm.gemv import GemvN, GemvT
from rusty_py.gemm.kernel import KernelConfig
from rusty_py.operation import OPERATIONS, apply
from rusty_py.runtime.launch import launch

from ..day import DAY
from ..each import each_reported
from .operands import needs
from .placed import PlacedProduct

pytestmark = pytest.mark.one_mode
THIN = GemvN(2, lanes_n=4, lanes_k=1, steps=2)  # Compiles fastest.
KERNELS: tuple[KernelConfig, ...] = (
    *register_tiled_cpu.SMALL,
    register_tiled.SMALLEST,
    SMALLEST,
    THIN,
    GemvT(2, cols=2, lanes_n=1, lanes_k=1, steps=2),
)


@dataclass(frozen=True)
class ProductWithNan(PlacedProduct):
    """Row 1 of a and element 2 of the bias hold a NaN each."""

    def operands(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        a, b, bias, c = super().operands()
        a[:, 1, -1], bias[2] = np.nan, np.nan
        return a, b, bias, c


@pytest.mark.parametrize("dtype", [F32, F16], ids=lambda dtype: dtype.name)
def test_every_kernel_and_activation_keeps_nan(device: Device, dtype: object) -> None:
    needs(device, dtype)
    wrong = []
    # Every activation in one kernel, and every kernel's store and sum of parts with activations in turn,
    # by day in one of the dtypes.
    cases = [(THIN, True, 1, activation) for activation in ACTIVATIONS]
    stores = list(product(KERNELS, ((True, 1), (False, 1), (True, 2))))[(DAY + (dtype is F16)) % 2 :: 2]
    turns = cycle(ACTIVATIONS)
    cases += [(kernel, vec4, split_k, next(turns)) for kernel, (vec4, split_k) in stores]
    for kernel, vec4, split_k, activation in dict.fromkeys(cases):
        placed = ProductWithNan(
            kernel,
            4,
            8,
            12,
            vec4=vec4,
            split_k=split_k,
            b_order="columns" if isinstance(kernel, GemvT) else "rows",
            bias=True,
            activation=activation,
            stored=dtype,
            result=F32 if split_k > 1 else dtype,
        )
        result, expected = placed.compute(device, launch), placed.expected()
        nan = np.isnan(expected.reference)
        assert nan.sum() == 12 + 4 - 1
        if not expected.error(result) <= 1:
            wrong.append(f"{placed.name}: NaN {np.isnan(result).sum()} times, not {nan.sum()}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.usefixtures("short_kernels")
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_product_keeps_nan(device: Device, activation: str) -> None:
    a, b = np.array([[np.nan, 1], [2, 3]], np.float32), np.array([[1, 2], [3, 4]], np.float32)
    for left in (a, array(a, device=device)):
        c = np.asarray(matmul(left, b, activation=activation, device=device))
        assert np.isnan(c).tolist() == [[True, True], [False, False]]
    c = matmul(array(b, device=device), b, bias=a[0], activation=activation).numpy()
    assert np.isnan(c).tolist() == [[True, False]] * 2


def _near_and_far() -> np.ndarray:
    """Every size of both signs: dense where activations bend, and the powers of two."""
    dense = np.linspace(-20, 20, 40_001)
    sizes = np.concatenate([np.geomspace(1e-37, 1e37, 2_000), 3 + np.geomspace(1e-6, 1, 200)])
    return np.concatenate([dense, sizes, -sizes, 6 - sizes]).astype(np.float32)


def test_activations_are_exact_to_4e_6_everywhere(unchecked: Device) -> None:
    """Also near their zeros, and far below zero, but where the result itself is below 2^-126."""
    x = _near_and_far()
    held = array(x, device=unchecked)
    with each_reported() as case:
        for name, described in ACTIVATIONS.items():
            if name == "tanh":
                continue
            with case(name), np.errstate(over="ignore", invalid="ignore"):
                result = apply(OPERATIONS[name], held).numpy().astype(np.float64)
                expected = described.of(x.astype(np.float64))
                allowed = np.full(x.shape, 4e-6)
                if name == "gelu_tanh":  # Its exponent is rounded, too.
                    allowed[x < -4] = 2e-5
                normal = np.abs(expected) >= 2.0**-126
                assert np.all(np.abs(result[~normal]) <= 2.0**-125)
                off = np.abs(result - expected)[normal] / np.abs(expected)[normal] / allowed[normal]
                assert off.max() <= 1, x[normal][off.argmax()]


def test_activations_of_every_number_of_f16(unchecked: Device) -> None:
    needs(unchecked, F16)
    x = np.arange(1 << 16, dtype=np.uint32).astype(np.uint16).view(np.float16)
    held = array(x, device=unchecked)
    finite = np.isfinite(x)
    with each_reported() as case:
        for name in ACTIVATIONS:
            if name == "tanh":
                continue
            with case(name):
                result = apply(OPERATIONS[name], held).numpy().astype(np.float64)
                assert np.isnan(result[np.isnan(x)]).all()
                reference, bound = oracle.activated(x[finite], name=name, dtype=F16)
                off = np.abs(result[finite] - reference) / bound
                assert off.max() <= 1, x[finite][off.argmax()]


def test_activations_of_infinity(unchecked: Device) -> None:
    ends = {
        "relu": [0, np.inf],
        "sigmoid": [0, 1],
        "silu": [0, np.inf],
        "gelu": [0, np.inf],
        "gelu_tanh": [0, np.inf],
        "softplus": [0, np.inf],
        "elu": [-1, np.inf],
        "hardswish": [0, np.inf],
        "leaky_relu": [-np.inf, np.inf],
    }
    with each_reported() as case:
        for kind in (F32, F16):
            if kind is F16 and "shader-f16" not in unchecked.adapter.features:
                continue
            x = array(np.array([-np.inf, np.inf, np.nan], kind.numpy), device=unchecked)
            for name, expected in ends.items():
                with case(f"{name} {kind.name}"):
                    result = apply(OPERATIONS[name], x)
                    np.testing.assert_array_equal(result, np.array([*expected, np.nan], kind.numpy))


def test_a_new_slope_compiles_nothing(unchecked: Device) -> None:
    x = array(np.array([-2.0, 3.0], np.float32), device=unchecked)
    assert rp.leaky_relu(x).tolist() == [np.float32(-2) * np.float32(0.01), 3.0]
    assert rp.elu(x, alpha=2.0)[1].item() == 3.0
    before = unchecked.cache_stats()
    for slope in (0.25, -0.5, 0):
        assert rp.leaky_relu(x, negative_slope=slope).tolist() == [-2.0 * slope, 3.0]
        np.testing.assert_allclose(rp.elu(x, alpha=slope), [slope * np.expm1(-2), 3.0], rtol=1e-6)
    assert unchecked.cache_stats().pipelines == before.pipelines
    assert unchecked.cache_stats().plans == before.plans


def test_gradients_take_the_slope_that_the_function_took(unchecked: Device) -> None:
    x = array(np.array([-2.0, 3.0], np.float32), device=unchecked)
    assert rp.grad(lambda x: rp.leaky_relu(x, negative_slope=0.25).sum())(x).tolist() == [0.25, 1.0]
    slopes = rp.grad(lambda x: rp.elu(x, alpha=0.5).sum())(x)
    np.testing.assert_allclose(slopes, [0.5 * np.exp(-2), 1.0], rtol=1e-6)
    second = rp.grad(lambda x: rp.grad(lambda x: rp.elu(x, alpha=0.5).sum())(x).sum())(x)
    np.testing.assert_allclose(second, [0.5 * np.exp(-2), 0.0], rtol=1e-6)


@pytest.mark.usefixtures("short_kernels")
def test_an_activation_is_known_by_name_and_by_member(unchecked: Device) -> None:
    a, b = np.array([[1.0, -2.0]], np.float32), np.array([[0.5, -1.0], [0.75, 0.25]], np.float32)
    assert {each.value for each in Activation} == {"none", *ACTIVATIONS}
    tanh_form = matmul(a, b, activation="gelu_tanh", device=unchecked)
    np.testing.assert_array_equal(matmul(a, b, activation=Activation.GELU, device=unchecked), tanh_form)
    np.testing.assert_allclose(tanh_form, rp.gelu(a @ b, approximate="tanh"), rtol=2e-6)
    np.testing.assert_allclose(matmul(a, b, activation="gelu", device=unchecked), rp.gelu(a @ b), rtol=2e-6)
    plain = matmul(a, b, activation=Activation.NONE, device=unchecked)
    np.testing.assert_array_equal(plain, matmul(a, b, device=unchecked))
    with pytest.raises(UnsupportedError, match=r"^gelu: no such approximation: 'erf'; choose none or tanh$"):
        rp.gelu(a, approximate="erf")
