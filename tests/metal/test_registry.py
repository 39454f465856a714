"""A Spec says of its kernel what the text says."""

from rusty_py import shaders
from rusty_py.checker.run import WORKGROUP_BYTES
from rusty_py.runtime.launch import Spec
from rusty_py.user_kernel.signature import signature

from ..each import each_reported
from . import declared
from .registry import all_specs, each_file, source_of

BIAS = 2
MAY_HAVE_BIAS = {
    f"matmul/{name}"
    for name in (
        "blocked",
        "register_tiled",
        "register_tiled_cpu",
        "gemv_n",
        "gemv_t",
        "splitk_reduce",
        "pack",
    )
}
"""Their texts for a product without bias do not declare it, though something is bound."""

EACH_FILE = each_file(all_specs())


def test_every_wgsl_file_is_named_by_a_spec() -> None:
    root = shaders.root()
    kernels = [path for path in root.rglob("*.wgsl") if "@compute" in path.read_text("utf-8")]
    files = {path.relative_to(root).with_suffix("").as_posix() for path in kernels}
    assert files == {spec.name for spec in all_specs()}


def test_every_file_of_the_library_is_part_of_a_kernel() -> None:
    files = {f"lib/{path.stem}" for path in (shaders.root() / "lib").glob("*.wgsl")}
    texts = {spec.definitions for spec in all_specs()} | {shaders.read(spec.name) for spec in all_specs()}
    assert files == {file for text in texts for file in shaders.library(text)}


@EACH_FILE
def test_a_spec_declares_the_threads_of_its_text(specs: list[Spec]) -> None:
    with each_reported() as case:
        for spec in specs:
            with case(spec):
                assert declared.threads(source_of(spec)) == spec.threads


@EACH_FILE
def test_a_spec_declares_the_workgroup_memory_of_its_text(specs: list[Spec]) -> None:
    with each_reported() as case:
        for spec in specs:
            with case(spec):
                assert declared.workgroup_bytes(source_of(spec)) == spec.workgroup_bytes


@EACH_FILE
def test_a_user_kernel_of_the_same_text_has_the_same_signature(specs: list[Spec]) -> None:
    with each_reported() as case:
        for spec in specs:
            with case(spec):
                found = signature(spec.text, entry=None, constants=dict(spec.constants), name=spec.name)
                assert (found.threads, found.workgroup_bytes) == (spec.threads, spec.workgroup_bytes)
                assert {each.number for each in found.variables} <= {number for number, _ in spec.bindings}
                writable = [each.number for each in found.variables if each.writable]
                assert writable == list(range(spec.inputs, spec.inputs + spec.outputs))


def test_three_kernels_alone_need_more_workgroup_memory_than_metal_has() -> None:
    large = [spec for spec in all_specs() if spec.workgroup_bytes > WORKGROUP_BYTES]
    assert {str(spec).partition(",")[0] for spec in large} == {
        "matmul/blocked[128x256x16",
        "matmul/blocked[256x32x32",
        "matmul/blocked[32x256x32",
    }


@EACH_FILE
def test_a_spec_declares_the_bindings_of_its_text(specs: list[Spec]) -> None:
    with each_reported() as case:
        for spec in specs:
            with case(spec):
                inputs, outputs = ["storage, read"] * spec.inputs, ["storage, read_write"] * spec.outputs
                expected = dict(enumerate(inputs + outputs + ["uniform"] * spec.has_uniforms))
                found = {number: space for number, (_, space) in declared.bindings(source_of(spec)).items()}
                if spec.name in MAY_HAVE_BIAS and BIAS not in found:
                    del expected[BIAS]
                assert found == expected


def test_a_declaration_is_read_through_constants_and_comments() -> None:
    text = """
        const EDGE: u32 = 8u; // @workgroup_size(3)
        const PADDED = EDGE + 1u;
        /* var<workgroup> gone: array<f32, 5>; */
        var<workgroup> tile: array<vec4<f32>, EDGE * PADDED>;
        var<workgroup> bins: array<atomic<u32>, (EDGE / 3u) * 2u>;
        alias Half = f16;
        var<workgroup> total: Half;
        @compute @workgroup_size(EDGE, PADDED - 1, 2) fn main() {}
    """
    assert declared.threads(text) == 8 * 8 * 2
    assert declared.workgroup_bytes(text) == 8 * 9 * 16 + 2 * 2 * 4 + 2
