"""The keyword options of `matmul` and their checks."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rusty_py import dtypes
from rusty_py.activations import ACTIVATIONS
from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.errors import DtypeError, LimitError, ShapeError
from rusty_py.gemm.describe import is_array, shape_of
from rusty_py.gemm.select import Tile, kernel_of


@dataclass(slots=True)  # Frozen, it would take half a microsecond more of every call.
class MatmulOptions:
    """The options of `matmul`, documented there. `bias` is an `Array` or array-like."""

    dtype: str | None = None
    tile: Tile = "auto"
    bias: Any = None
    activation: str | None = None
    accumulate_dtype: str | None = None
    accumulate: bool = False

    def check(self) -> None:
        """Raises LimitError for an unknown tile or activation, DtypeError for an unknown accumulate_dtype."""
        if self.tile != "auto":
            kernel_of(self.tile)
        if self.activation is not None and self.activation not in ACTIVATIONS:
            names = ", ".join(("none", *ACTIVATIONS))
            raise LimitError(f"matmul: no such activation: {self.activation!r}; choose one of {names}")
        if self.accumulate_dtype not in (None, F32.name, F16.name):
            raise DtypeError(f"matmul: accumulate_dtype is f32 or f16: got {self.accumulate_dtype!r}")

    def key(self) -> dict[str, Any]:
        """The options that differ from the defaults, as a cache key; the bias only by its presence."""
        key: dict[str, Any] = {}
        if self.bias is not None:
            key["has_bias"] = True
        if self.activation is not None:
            key["activation"] = self.activation
        if self.tile != "auto":
            key["tile"] = self.tile
        if self.dtype is not None:
            key["dtype"] = self.dtype
        if self.accumulate_dtype is not None:
            key["accumulate_dtype"] = self.accumulate_dtype
        if self.accumulate:
            key["accumulate"] = True
        return key

    def check_for(self, n: int, kind: Dtype) -> None:
        """Raises ShapeError unless the bias has n elements, DtypeError if it cannot be cast to `kind`."""
        self.accumulate_dtype_of(kind)
        if self.bias is None:
            return
        shape = shape_of(self.bias)
        if shape != (n,):
            raise ShapeError(f"matmul: a bias has a number for each column, ({n},): got {shape}")
        if not is_array(self.bias):
            dtypes.cast(np.asarray(self.bias)[:0], kind, operation="matmul")

    def accumulate_dtype_of(self, kind: Dtype) -> Dtype:
        """The accumulator dtype for operands of `kind`. Raises DtypeError for f16 with f32 operands."""
        if self.accumulate_dtype == F16.name:
            if kind is not F16:
                raise DtypeError(f'matmul: accumulate_dtype="f16" needs float16 operands: got {kind.numpy}')
            return F16
        return F32
