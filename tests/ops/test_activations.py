"""What follows a product: activations of numbers that are none."""

from dataclasses import dataclass
from itertools import cycle, product

import numpy as np
import pytest

from rusty_py import Device, array, matmul
from rusty_py.dtypes import F16, F32
from rusty_py.gemm import register_tiled_cpu
from rusty_py.gemm.blocked_family import SMALLEST
from rusty_py.gemm.gemv import GemvN, GemvT
from rusty_py.gemm.kernel import KernelConfig
from rusty_py.gemm.problem import ACTIVATIONS
from rusty_py.runtime.launch import launch

from .operands import needs
from .placed import PlacedProduct

pytestmark = pytest.mark.one_mode
THIN = GemvN(2, lanes_n=4, lanes_k=1, steps=2)  # Compiles fastest.
KERNELS: tuple[KernelConfig, ...] = (
    *register_tiled_cpu.SMALL,
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
    # Every activation in one kernel, and every kernel's store and sum of parts with activations in turn.
    cases = [(THIN, True, 1, activation) for activation in ACTIVATIONS]
    stores = product(KERNELS, ((True, 1), (False, 1), (True, 2)))
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
