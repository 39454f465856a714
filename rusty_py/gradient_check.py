"""`gradcheck`: gradients against central differences, along random directions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rusty_py.arrays import Array
from rusty_py.autograd import value_and_grad
from rusty_py.dtypes import F32
from rusty_py.errors import DtypeError, GradientError, ShapeError, UnsupportedError
from rusty_py.ops.creation import asarray
from rusty_py.ops.elementwise import binary

_STEP_F32 = 2.0**-7  # Near (3 eps)^(1/3), and a power of two, so that x + h is exact for x near 1.
_STEP_F64 = 1e-5
_TOLERANCE_F32 = 1e-3
_TOLERANCE_F64 = 2e-5

Reference = Callable[..., ArrayLike]


@dataclass(frozen=True)
class GradcheckReport:
    """Errors along each pair of directions, relative to the largest that the derivatives allow."""

    errors: tuple[float, ...]
    tolerance: float

    @property
    def max_error(self) -> float:
        return max(self.errors)

    @property
    def mean_error(self) -> float:
        return sum(self.errors) / len(self.errors)

    @property
    def passed(self) -> bool:
        return self.max_error <= self.tolerance


def gradcheck(
    function: Callable[..., Array],
    inputs: Sequence[Array | ArrayLike],
    *,
    reference: Reference | None = None,
    pairs: int = 3,
    tolerance: float | None = None,
    seed: int = 0,
    raise_error: bool = True,
) -> GradcheckReport:
    """Compares the gradients of `function` for all `inputs`, float32 arrays, with central differences.

    For random u and v, the backward pass gives <J^T v, u>, and the differences of two values <v, J u>. The
    error is relative to the sum of the absolute terms of <J^T v, u>; a wrong entry shows in almost every
    direction. With `reference`, the same function of NumPy arrays, differences are computed in float64, and
    the default tolerance is 2e-5; without, in float32 from `function` itself, and it is 1e-3. Choose inputs
    away from kinks, such as 0 for abs. Raises GradientError where an error exceeds the tolerance, unless
    `raise_error` is False; DtypeError for inputs that are not float32.
    """
    arrays = [asarray(x) for x in inputs]
    for each in arrays:
        if each.kind is not F32:
            raise DtypeError(f"gradcheck: inputs are float32: got {each.kind.name}")
    if not arrays or pairs < 1:
        raise ShapeError(f"gradcheck: needs 1 input and 1 pair or more: got {len(arrays)} and {pairs}")
    if not isinstance(result := function(*arrays), Array):
        raise UnsupportedError(f"gradcheck: the function returns {type(result).__name__}, not an array")
    rng = np.random.default_rng(seed)
    points = [each.numpy().astype(np.float64) for each in arrays]
    limit = tolerance if tolerance is not None else _TOLERANCE_F32 if reference is None else _TOLERANCE_F64
    errors = []
    for _ in range(pairs):
        u = [rng.standard_normal(x.shape).astype(np.float32) for x in points]
        v = rng.standard_normal(result.shape).astype(np.float32)
        gradients = _gradients(function, arrays, v)
        terms = [g.astype(np.float64) * step for g, step in zip(gradients, u, strict=True)]
        along = sum(float(each.sum()) for each in terms)
        size = sum(float(np.abs(each).sum()) for each in terms)
        difference = _difference(reference or _on_device(function, arrays), points, u, v, reference is None)
        errors.append(abs(along - difference) / max(size, abs(difference), float(np.finfo(np.float32).tiny)))
    report = GradcheckReport(tuple(errors), limit)
    if raise_error and not report.passed:
        name = getattr(function, "__name__", "the function")
        raise GradientError(
            f"gradcheck: gradients of {name} differ from differences: relative error {report.max_error:.2g},"
            f" tolerance {limit:.2g}"
        )
    return report


def _gradients(function: Callable[..., Array], arrays: Sequence[Array], v: NDArray[np.float32]) -> list[Any]:
    """J^T v for each array."""

    def weighted(*given: Array) -> Array:
        result = function(*given)
        product = binary("multiply", result, asarray(v, device=result.device))
        assert isinstance(product, Array)
        return product.sum()

    _, gradients = value_and_grad(weighted, range(len(arrays)))(*arrays)
    return [each.numpy() for each in gradients]


def _on_device(function: Callable[..., Array], arrays: Sequence[Array]) -> Reference:
    def values(*points: NDArray[np.float64]) -> ArrayLike:
        given = [asarray(x.astype(np.float32), device=a.device) for x, a in zip(points, arrays, strict=True)]
        result: NDArray[Any] = function(*given).numpy()
        return result

    return values


def _difference(
    reference: Reference,
    points: Sequence[NDArray[np.float64]],
    u: Sequence[NDArray[np.float32]],
    v: NDArray[np.float32],
    in_f32: bool,
) -> float:
    """<v, J u> by central differences, of whose step the inputs take what they can represent."""
    h = _STEP_F32 if in_f32 else _STEP_F64
    above, below = ([x + sign * h * step for x, step in zip(points, u, strict=True)] for sign in (1, -1))
    if in_f32:
        above, below = ([each.astype(np.float32) for each in given] for given in (above, below))
    apart = np.asarray(reference(*above), np.float64) - np.asarray(reference(*below), np.float64)
    return float((v * apart).sum()) / (2 * h)
