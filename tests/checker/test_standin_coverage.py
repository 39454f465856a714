"""The other tests of the stand-in reach all of it: each function it defines is in one of their kernels."""

import re
from pathlib import Path

import pytest

import rusty_py.checker
from rusty_py.checker.translate import ask

from . import (
    test_standin_atomics,
    test_standin_conversions,
    test_standin_geometry,
    test_standin_integers,
    test_standin_maths,
    test_standin_matrices,
    test_standin_subgroups,
    test_standin_vectors,
)

MODULES = (
    test_standin_atomics,
    test_standin_conversions,
    test_standin_geometry,
    test_standin_integers,
    test_standin_maths,
    test_standin_matrices,
    test_standin_subgroups,
    test_standin_vectors,
)
HEADERS = sorted(Path(rusty_py.checker.__file__).with_name("metal").glob("*.h"))
HELPERS = {
    "among",
    "map",
    "fold",
    "atomic_change",
    "pack_normalized",
    "unpack_normalized",
    "wrapping_product",
    "wrapping_sum",
}
"""What the others call."""

_FUNCTION = re.compile(r"^inline [^(;]*?(\w+|operator\S+)\(", re.MULTILINE)
_LIFTED = re.compile(r"^(?:UNARY|BINARY|TERNARY|LIFT|REDUCTION)\((\w+)", re.MULTILINE)
_OPERATOR = re.compile(r"^(?:ARITHMETIC|SHIFT|COMPARISON)\((\S+)\)", re.MULTILINE)


def defined(header: Path) -> set[str]:
    """The functions of a header, and its operators as "operator+"."""
    text = header.read_text(encoding="utf-8")
    operators = {f"operator{op}" for op in _OPERATOR.findall(text)}
    return {*_FUNCTION.findall(text), *_LIFTED.findall(text), *operators}


@pytest.fixture(scope="module")
def metal() -> str:
    """The Metal text of all those tests' kernels."""
    return "\n".join(ask(wgsl)["msl"] for module in MODULES for wgsl in module.KERNELS)


def occurs(name: str, metal: str) -> bool:
    if name == 'operator""h':
        return bool(re.search(r"\d\.\d+h\b", metal))
    if name.startswith("operator"):
        op = re.escape(name.removeprefix("operator"))
        return bool(re.search(rf"[\w)] {op} [\w(]|[ (]{op}[\w(]", metal))
    return bool(re.search(rf"\b{name}(<.*?>)?\(", metal))


def test_the_headers_define_what_they_are_known_to() -> None:
    found = {header.name: defined(header) for header in HEADERS}
    assert {"sin", "fract", "clamp", "ldexp"} <= found["maths.h"]
    assert {"operator+", "operator<<", "operator==", "operator~", "map"} <= found["vectors.h"]
    assert {"operator*", "transpose", "determinant"} <= found["matrices.h"]
    assert {"simd_sum", "simd_ballot", "quad_broadcast"} <= found["simdgroup.h"]
    assert {"as_type", "operator-", 'operator""h'} <= found["scalars.h"]
    assert set().union(*found.values()) > HELPERS


@pytest.mark.parametrize("header", HEADERS, ids=lambda header: header.name)
def test_each_function_of_the_stand_in_is_in_a_kernel_of_a_test(header: Path, metal: str) -> None:
    assert {name for name in defined(header) - HELPERS if not occurs(name, metal)} == set()
