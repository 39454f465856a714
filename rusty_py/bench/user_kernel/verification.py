"""Verification of the buffers that a kernel leaves, against references."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rusty_py.bench import checking
from rusty_py.errors import DtypeError, ShapeError
from rusty_py.expression import Reference, evaluate, parse
from rusty_py.measure.document import Verification
from rusty_py.measure.verification import POISON
from rusty_py.oracle import Expected

METHOD = "every element against the float64 value of its reference"

_RTOL = {"f4": (1e-5, 1e-6), "f2": (1e-2, 1e-3)}
"""Of a file without --rtol or --atol: of the value, and of the largest value."""

Host = NDArray[Any]


class References:
    """The references of a kernel's outputs: expected values, operations, and the buffers that they read."""

    def __init__(
        self, texts: list[str], buffers: Mapping[str, Host], *, rtol: float | None, atol: float | None
    ) -> None:
        self.expected: dict[str, Expected] = {}
        self.parsed: list[Reference] = []
        self.flops = 0
        for text in texts:
            name, _, value = (part.strip() for part in text.partition("="))
            if value.startswith("@"):
                found = _of_file(name, np.asarray(checking.array_in(value, name, regular=True)), buffers)
            else:
                reference = parse(text)
                name, evaluated = reference.name, evaluate(reference, buffers)
                self.parsed.append(reference)
                found, self.flops = evaluated.expected, self.flops + evaluated.flops
            if name in self.expected:
                raise ShapeError(f"run: {name} has two references")
            self.expected[name] = _with_tolerance(found, rtol, atol)

    @property
    def read(self) -> set[str]:
        """The buffers that the expressions read."""
        return {name for reference in self.parsed for name in reference.names}


def compare(results: Mapping[str, Host], expected: Mapping[str, Expected]) -> Verification:
    """Compares every element; the fault is that of the first wrong one."""
    worst = 0.0
    fault = ""
    for name, reference in expected.items():
        result = results[name]
        fault = fault or _unwritten(name, result) or _fault(name, result, reference)
        worst = max(worst, reference.error(result))
    return Verification(METHOD, error=worst if np.isfinite(worst) else None, fault=fault)


def _fault(name: str, result: Host, expected: Expected) -> str:
    reference, bound = expected
    if bound is None:
        wrong = result != reference
        if result.dtype.kind == "f":
            wrong &= ~(np.isnan(result) & np.isnan(reference))
    else:
        with np.errstate(invalid="ignore"):
            near = np.isfinite(reference) & (np.abs(result.astype(np.float64) - reference) <= bound)
            right = near | (result == reference)
        wrong = ~(right | (np.isnan(result) & np.isnan(reference)))
    if not wrong.any():
        return ""
    at = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
    index = ", ".join(str(int(each)) for each in at)
    limit = "exact" if bound is None else f"bound {bound[at]:.3g}"
    got, wanted = (
        f"{each[at]:.9g}" if each.dtype.kind == "f" else str(each[at]) for each in (result, reference)
    )
    count = f"{wrong.sum():,} of {wrong.size:,} are wrong"
    return f"{name}[{index}] = {got} instead of {wanted}, {limit}; {count}"


def _unwritten(name: str, result: Host) -> str:
    """How much is still poison; empty if nothing is."""
    if result.itemsize not in (2, 4):
        return ""
    word = np.uint32 if result.itemsize == 4 else np.uint16
    untouched = np.ascontiguousarray(result).view(word) == word(POISON & np.iinfo(word).max)
    return f"{untouched.mean():.2%} of {name} was never written" if untouched.any() else ""


def _of_file(name: str, array: Host, buffers: Mapping[str, Host]) -> Expected:
    if name not in buffers:
        raise ShapeError(f"run: no such buffer: {name}: there are {', '.join(buffers) or 'none'}")
    target = buffers[name]
    if array.shape != target.shape:
        raise ShapeError(f"run: the shapes differ: {name} is {target.shape}, its reference {array.shape}")
    if array.dtype.kind not in "fiub":
        raise DtypeError(f"run: the reference of {name} is not of numbers: {array.dtype}")
    if target.dtype.kind != "f":
        return Expected(array.astype(target.dtype), None)
    reference = array.astype(np.float64)
    rtol, of_largest = _RTOL[target.dtype.str[1:]]
    largest = np.max(np.abs(reference), initial=0.0, where=np.isfinite(reference))
    return Expected(reference, rtol * np.abs(reference) + of_largest * largest)


def _with_tolerance(expected: Expected, rtol: float | None, atol: float | None) -> Expected:
    """With the bound atol + rtol |reference|, if either is given."""
    if rtol is None and atol is None:
        return expected
    reference = expected.reference.astype(np.float64)
    # What is equal is right, and 0 / 0 would be NaN.
    least = np.finfo(np.float64).tiny
    return Expected(reference, np.maximum((atol or 0.0) + (rtol or 0.0) * np.abs(reference), least))
