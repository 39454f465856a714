"""naga translates every kernel to Metal's language, as it will on a Mac."""

import pytest

from rusty_py import shaders
from rusty_py.kernel import Spec

from .compilers import Compiler, CompilerDied
from .registry import all_specs

VERSIONS = [(2, 4), (3, 1)]


def translate(naga: Compiler, wgsl: str, *, version: tuple[int, int] = VERSIONS[0]) -> str:
    answer = naga.ask({"wgsl": wgsl, "version": version})
    assert "error" not in answer, answer["error"]
    return str(answer["msl"])


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: "msl{}.{}".format(*version))
@pytest.mark.parametrize("spec", all_specs(), ids=str)
def test_a_kernel_translates(naga: Compiler, spec: Spec, version: tuple[int, int]) -> None:
    msl = translate(naga, spec.source, version=version)
    assert msl.startswith("// language: metal{}.{}\n".format(*version))
    assert f"[[max_total_threads_per_threadgroup({spec.threads})]] kernel void main_(" in msl


def test_broken_wgsl_does_not_translate(naga: Compiler) -> None:
    with pytest.raises(AssertionError, match="expected"):
        translate(naga, "@compute @workgroup_size(1) fn main() { let x = ; }")


def test_an_unknown_name_does_not_translate(naga: Compiler) -> None:
    with pytest.raises(AssertionError, match="no definition in scope"):
        translate(naga, "@compute @workgroup_size(1) fn main() { let x = y; }")


def test_an_override_without_a_value_does_not_translate(naga: Compiler) -> None:
    with pytest.raises(AssertionError, match="override"):
        translate(naga, shaders.read("matmul/tiled"))


def test_a_panic_of_naga_is_a_failure_and_the_next_kernel_translates(naga: Compiler) -> None:
    with pytest.raises(CompilerDied, match="unreachable"):
        translate(naga, "var<private> x: f64; @compute @workgroup_size(1) fn main() { x = x + f64(1); }")
    translate(naga, shaders.read("matmul/naive"))
