"""naga translates every kernel to Metal's language, as it will on a Mac."""

import pytest

from rusty_py import ShaderError
from rusty_py.checker.translate import ask
from rusty_py.gemm.simple import Naive, Tiled
from rusty_py.runtime.launch import Spec

from ..each import each_reported
from .registry import all_specs, each_file, source_of

VERSIONS = [(2, 4), (3, 1)]
pytestmark = pytest.mark.usefixtures("naga")


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: "msl{}.{}".format(*version))
@each_file(all_specs())
def test_a_kernel_translates(specs: list[Spec], version: tuple[int, int]) -> None:
    with each_reported() as case:
        for spec in specs:
            with case(spec):
                msl = ask(source_of(spec), version, write=["msl"])["msl"]
                assert msl.startswith("// language: metal{}.{}\n".format(*version))
                assert f"[[max_total_threads_per_threadgroup({spec.threads})]] kernel void main_(" in msl


def test_broken_wgsl_does_not_translate() -> None:
    with pytest.raises(ShaderError, match=r"(?s)naga refuses the text: .*expected.*wgsl:1:49"):
        ask("@compute @workgroup_size(1) fn main() { let x = ; }")


def test_an_unknown_name_does_not_translate() -> None:
    with pytest.raises(ShaderError, match="no definition in scope"):
        ask("@compute @workgroup_size(1) fn main() { let x = y; }")


def test_an_override_without_a_value_does_not_translate() -> None:
    with pytest.raises(ShaderError, match="override"):
        ask(Tiled(8).spec().text)


def test_a_panic_of_naga_is_an_error_and_the_next_kernel_translates() -> None:
    with pytest.raises(ShaderError, match=r"(?s)naga gave up.*unreachable"):
        ask("var<private> x: f64; @compute @workgroup_size(1) fn main() { x = x + f64(1); }")
    assert "kernel void main_" in ask(Naive().spec().text)["msl"]
