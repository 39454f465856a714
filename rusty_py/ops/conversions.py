"""`astype` and `assign`: copies that convert."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rusty_py import oracle, samples
from rusty_py.arrays import Array, allocate
from rusty_py.dtypes import BOOL, F16, F32, I32, U32, Dtype
from rusty_py.errors import UnsupportedError
from rusty_py.operation import OPERATIONS, Gradient, Operation
from rusty_py.ops.compute import compute
from rusty_py.ops.generator import Body
from rusty_py.oracle import Expected
from rusty_py.samples import Sample


def _forward_astype(x: Array, *, dtype: Dtype) -> Array:
    out = allocate(x.device, x.shape, dtype, operation="astype")
    compute(cast(x.kind, dtype), (x,), out)
    return out


def _forward_assign(x: Array, out: Array) -> Array:
    """`out` may have any layout in which no elements share memory, and any dtype."""
    refuse_shared(out, operation="assign")
    if x.buffer is out.buffer:
        x = _forward_astype(x, dtype=x.kind)
    compute(cast(x.kind, out.kind), (x,), out, fresh=False)
    return out


def refuse_shared(out: Array, *, operation: str) -> None:
    """Raises UnsupportedError for an array that repeats elements: which value would stay is not defined."""
    if out.size > 1 and any(size > 1 and not step for size, step in zip(out.shape, out.strides, strict=True)):
        raise UnsupportedError(
            f"{operation}: elements share memory: shape {out.shape} with strides {out.strides}:"
            " assign to a .copy()"
        )


# Floats beyond an integer's range become its ends, on every device; NaN becomes anything.
_CASTS: dict[Dtype, str | dict[str, str]] = {
    F32: "f32(x)",
    F16: "f16(f32(x))",
    I32: {"f": "i32(clamp(f32(x), -2147483648.0, 2147483520.0))", "": "i32(x)"},
    U32: {"f": "u32(clamp(f32(x), 0.0, 4294967040.0))", "": "u32(x)"},
    BOOL: {"f": "select(1u, 0u, x == 0.0)", "": "select(1u, 0u, x == 0)"},
}


def cast(source: Dtype, target: Dtype) -> Body:
    """A conversion, or a copy of the words as they are, whatever they mean."""
    if source is target:
        word = "f16" if source is F16 else "u32"
        return Body(f"copy {word}", (word,), word, "x")
    cast = _CASTS[target]
    expression = cast if isinstance(cast, str) else cast.get(source.kind, cast[""])
    return Body(f"{source.name} to {target.name}", (source.wgsl,), target.wgsl, expression)


def _samples_of_astype() -> Iterator[Sample]:
    for source in samples.KINDS:
        for target in samples.KINDS:
            x = samples.values(source, 6, 10)
            if source.kind == "f" and target is U32:
                x = np.abs(x)
            if target is F16 and source.kind in "iu":
                x = (x % 2000).astype(source.numpy)
            yield Sample(f"{source.name} to {target.name}", (x,), {"dtype": target})


def _expected_of_astype(sample: Sample) -> Expected:
    (x,), target = sample.operands, sample.options["dtype"]
    if target.kind != "f" or x.dtype.kind == "b":
        return Expected(x.astype(target.numpy), None)
    exact = x.astype(np.float64)
    return Expected(exact, oracle.rounding(exact, ulps=1.0, dtype=target))


OPERATIONS.add(
    Operation(
        "astype",
        _forward_astype,
        samples=_samples_of_astype,
        expected=_expected_of_astype,
        gradient=Gradient(lambda g, _out, _x, dtype: g),
        reference=lambda x, dtype: x,
    )
)
OPERATIONS.add(Operation("assign", _forward_assign, writes=True, gradient="it writes in place"))
