"""`check` in Python: what it refuses, what it reports of kernels that end badly, and what it leaves."""

import os
import re
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rusty_py import DtypeError, LimitError, ShaderError, ShapeError, ToolError
from rusty_py.checker import check
from rusty_py.checker.build import build
from rusty_py.checker.check import check_translation
from rusty_py.checker.contents import MAX_BYTES
from rusty_py.checker.report import CheckRun
from rusty_py.checker.run import CheckJob
from rusty_py.checker.run import run as run_job
from rusty_py.checker.translate import translate

from .kernels import OUT, SCALE, kernel, run

pytestmark = pytest.mark.usefixtures("checker")

STORE = kernel("out[i] = i;")
X = np.arange(40, dtype=np.float32)


def scale(**options: Any) -> Any:
    return check(SCALE, **{"workgroups": 2, "buffers": {"x": X, "out": "f32[40]"}, **options})


def test_a_clean_kernel_has_no_findings_and_the_numbers_it_wrote() -> None:
    report = scale()
    assert report.clean
    assert np.array_equal(report.outputs["out"], 2 * X)
    assert (report.entry, report.workgroups, report.threads) == ("main", (2, 1, 1), (32, 1, 1))


def test_a_constant_takes_the_place_of_its_default() -> None:
    assert np.array_equal(scale(constants={"FACTOR": 3}).outputs["out"], 3 * X)


def test_what_is_given_is_not_changed() -> None:
    x, out = X.copy(), np.full(40, 7, np.float32)
    scale(buffers={"x": x, "out": out})
    assert np.array_equal(x, X)
    assert (out == 7).all()


def test_outputs_are_what_is_written_in_the_shape_and_dtype_given() -> None:
    outputs = scale(buffers={"x": X.reshape(5, 8), "out": np.zeros((4, 10), np.float32)}).outputs
    assert set(outputs) == {"out"}
    assert (outputs["out"].shape, outputs["out"].dtype) == ((4, 10), np.float32)
    outputs["out"][0] = 1  # And they are the caller's.


def test_a_structured_buffer_comes_back_structured() -> None:
    pair = np.dtype([("n", np.uint32), ("x", np.float32)])
    text = """
        struct Pair { n: u32, x: f32 }
        @group(0) @binding(0) var<storage, read_write> pairs: array<Pair>;
        @compute @workgroup_size(2) fn main(@builtin(local_invocation_index) i: u32) { pairs[i].n += 1u; }
    """
    report = check(text, workgroups=1, buffers={"pairs": np.array([(1, 0.5), (2, 1.5)], pair)})
    assert report.clean
    assert report.outputs["pairs"].tolist() == [(2, 0.5), (3, 1.5)]


@pytest.mark.parametrize(
    "name", ["half", "kernel", "thread", "a1", "a_1", "trailing_", "double__underscore", "é", "変数", "main_"]
)
def test_a_buffer_may_have_any_name(name: str) -> None:
    text = f"""
        @group(0) @binding(0) var<storage, read_write> {name}: array<u32>;
        @group(0) @binding(1) var<storage, read> x: array<u32>;
        @compute @workgroup_size(4) fn main(@builtin(local_invocation_index) i: u32) {{
            {name}[i] = x[i] + arrayLength(&{name});
        }}
    """
    buffers = {name: np.zeros(3, np.uint32), "x": np.arange(4, dtype=np.uint32)}
    report = check(text, workgroups=1, buffers=buffers)
    assert {(each.variable, each.index, each.size) for each in report.findings} == {(name, 3, 3)}
    assert report.outputs[name].tolist() == [3, 4, 5]


def test_names_that_cannot_be_told_apart_are_refused() -> None:
    text = f"{OUT}var<private> out_: u32; @compute @workgroup_size(1) fn main() {{ out[0] = out_; }}"
    with pytest.raises(ShaderError, match="naga spells these names alike: out, out_: rename one"):
        run(text)


@pytest.mark.parametrize("seeds", [1, 5])
def test_a_kernel_without_subgroups_runs_once_an_order(seeds: int) -> None:
    assert scale(seeds=seeds).runs == tuple(CheckRun(16, seed) for seed in range(seeds))


def test_a_kernel_with_subgroups_runs_once_an_order_and_size() -> None:
    text = kernel("out[i] = subgroupAdd(1u);", threads=32)
    report = run(text, subgroup_sizes=(8, 32), seeds=2)
    assert report.runs == (CheckRun(8, 0), CheckRun(8, 1), CheckRun(32, 0), CheckRun(32, 1))
    assert set(report.outputs["out"][:32].tolist()) == {8}


def test_a_clean_kernel_leaves_the_same_in_every_order() -> None:
    translation = translate(
        kernel(
            "sums[i] = out[i]; workgroupBarrier();"
            " for (var s = 32u; s > 0u; s /= 2u) { if i < s { sums[i] += sums[i + s]; } workgroupBarrier(); }"
            " out[i] = sums[0];",
            head="var<workgroup> sums: array<u32, 64>;\n",
            threads=64,
        )
    )
    program = build(translation.msl, translation.entries[0])
    contents = {"out": np.arange(64, dtype=np.uint32).tobytes()}
    for seed in range(4):
        # What is kept is what the first run left.
        job = CheckJob((1, 1, 1), (64, 1, 1), contents, [256], [(16, seed)], step_limit=100, time_limit=10)
        outcome = run_job(program, job)
        assert outcome.findings == []
        assert np.frombuffer(outcome.contents["out"], np.uint32).tolist() == [63 * 32] * 64


@pytest.mark.parametrize(
    ("buffers", "error", "says"),
    [
        ({}, ShapeError, r"buffers are missing: x: array<f32>, out: array<f32>"),
        ({"x": X}, ShapeError, r"buffers are missing: out: array<f32>"),
        ({"x": X, "out": X, "y": X}, ShapeError, r"no such buffer: y: the text has out, x"),
        (
            {"x": X, "out": "f32[0]"},
            ShapeError,
            r"buffer out: smaller than its type: 0 < 4 bytes: array<f32>",
        ),
        (
            {"x": X, "out": X.astype(np.float64)},
            DtypeError,
            r"buffer out: .* float64 for array<f32>: give float32",
        ),
        ({"x": X, "out": "f64[3]"}, DtypeError, r"buffer out: not understood: 'f64\[3\]'"),
        ({"x": X, "out": [[1], [2, 3]]}, ShapeError, r"buffer out: no array"),
        ({"x": X, "out": None}, DtypeError, r"buffer out: .*object"),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str) else "",
)
def test_buffers_that_do_not_fit_are_refused(buffers: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=f"^check: {says}"):
        scale(buffers=buffers)


def test_a_buffer_smaller_than_its_structure_is_refused() -> None:
    text = """
        struct Uniforms { m: u32, n: u32, scale: vec4<f32> }
        @group(0) @binding(0) var<storage, read_write> half: array<f32, 8>;
        @group(0) @binding(1) var<uniform> uniforms: Uniforms;
        @compute @workgroup_size(1) fn main() { half[0] = uniforms.scale.x; }
    """
    with pytest.raises(ShapeError, match=r"buffer uniforms: smaller than its type: 8 < 32 bytes: Uniforms"):
        check(text, workgroups=1, buffers={"half": "f32[8]", "uniforms": np.zeros(2, np.uint32)})
    with pytest.raises(ShapeError, match=r"buffer half: smaller than its type: 28 < 32 bytes: array<f32, 8>"):
        check(text, workgroups=1, buffers={"half": "f32[7]", "uniforms": np.zeros(8, np.uint32)})


def test_workgroup_memory_is_no_buffer() -> None:
    text = kernel(
        "shared_words[i] = i; out[i] = shared_words[i];", head="var<workgroup> shared_words: array<u32, 8>;\n"
    )
    with pytest.raises(ShapeError, match="no such buffer: shared_words: the text has out"):
        run(text, buffers={"out": "u32[64]", "shared_words": "u32[8]"})


def test_buffers_that_are_too_large_together_are_refused() -> None:
    half = np.broadcast_to(np.float32(0), (MAX_BYTES // 8 + 1,))
    with pytest.raises(LimitError, match=rf"buffers are too large: {MAX_BYTES + 8} > {MAX_BYTES} bytes"):
        scale(buffers={"x": half, "out": half})


@pytest.mark.parametrize(
    "workgroups", [0, -1, 65536, (), (1, 0), (1, 1, 1, 1), 1.5, (1, 2.0), "8", None], ids=repr
)
def test_workgroups_out_of_range_are_refused(workgroups: Any) -> None:
    with pytest.raises(LimitError, match=r"^check: workgroups are one to three numbers from 1 to 65535: "):
        scale(workgroups=workgroups)


def test_too_many_workgroups_in_all_are_refused() -> None:
    with pytest.raises(LimitError, match=r"too many workgroups: 4294836225 > "):
        scale(workgroups=(65535, 65535))


@pytest.mark.parametrize("workgroups", [np.int64(2), np.array([2, 1]), [2], (2, 1, 1)], ids=repr)
def test_workgroups_may_be_any_integers(workgroups: Any) -> None:
    assert scale(workgroups=workgroups).workgroups == (2, 1, 1)


@pytest.mark.parametrize("sizes", [(), (0,), (-16,), (3,), (128,), (32, 33), (1.5,), "16", 2.0], ids=repr)
def test_subgroup_sizes_that_metal_cannot_have_are_refused(sizes: Any) -> None:
    with pytest.raises(LimitError, match=r"^check: subgroup sizes are powers of 2 up to 64: "):
        scale(subgroup_sizes=sizes)


@pytest.mark.parametrize(
    "limit",
    [{"seeds": 0}, {"seeds": 10**9}, {"step_limit": 0}, {"step_limit": 1 << 64}, {"time_limit": 0.0}]
    + [{"workgroup_bytes": -1}, {"workgroup_bytes": 1 << 40}]
    + [{"time_limit": bad} for bad in (-1.0, float("nan"), float("inf"))],
    ids=str,
)
def test_limits_out_of_range_are_refused(limit: dict[str, Any]) -> None:
    (name,) = limit
    with pytest.raises(LimitError, match=f"^check: .*{name}="):
        scale(**limit)


def test_an_unknown_entry_point_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(
        ShaderError, match=r"^check: no entry point nope: the text has main: name one by entry= or --entry$"
    ):
        run(STORE, entry="nope")


def test_one_of_several_entry_points_must_be_named_and_only_its_buffers_given() -> None:
    text = f"""{OUT}
        @group(0) @binding(1) var<storage, read_write> other: array<u32>;
        @compute @workgroup_size(1) fn one() {{ out[0] = 1u; }}
        @compute @workgroup_size(1) fn kernel() {{ other[0] = 2u; }}
    """
    with pytest.raises(ShaderError, match=r"several entry points: the text has one, kernel: name one by"):
        check(text, workgroups=1, buffers={"out": "u32:0"})
    assert check(text, workgroups=1, buffers={"out": "u32:0"}, entry="one").outputs["out"].tolist() == [1]
    report = check(text, workgroups=1, buffers={"other": "u32:0"}, entry="kernel")
    assert (report.entry, report.outputs["other"].tolist()) == ("kernel", [2])


@pytest.mark.parametrize("text", ["", "// nothing", OUT])
def test_a_text_without_an_entry_point_is_refused(text: str) -> None:
    with pytest.raises(ShaderError, match="the text has no entry point: mark one with @compute"):
        check(text, workgroups=1, buffers={})


def test_a_text_that_naga_refuses_is_refused_with_its_words_and_the_place() -> None:
    with pytest.raises(ShaderError, match=r"(?s)^check: naga refuses the text: .*my\.wgsl:4:14"):
        run(kernel("out[i] = j;"), name="my.wgsl")


def test_what_naga_quotes_cannot_steer_the_terminal() -> None:
    with pytest.raises(ShaderError, match="naga refuses the text: ") as caught:
        run("fn \x1b[2J\x00() {}")
    assert re.search(r"[\x00-\x08\x0b-\x1f]", str(caught.value)) is None


FRAGMENT = "@fragment fn f() -> @location(0) vec4<f32> { return vec4(1.0); }\n"
VERTEX = "@vertex fn f() -> @builtin(position) vec4<f32> { return vec4(1.0); }\n"
TEXTURE = "@group(0) @binding(1) var t: texture_2d<f32>;\n"


@pytest.mark.parametrize(
    ("head", "body", "says"),
    [
        (TEXTURE, "out[i] = u32(textureLoad(t, vec2(0), 0).x);", "no textures or samplers: t"),
        (FRAGMENT, "out[i] = i;", "for a fragment: leave it out"),
        (VERTEX, "out[i] = i;", "for a vertex: leave it out"),
    ],
    ids=["texture", "fragment", "vertex"],
)
def test_a_text_with_graphics_is_refused(head: str, body: str, says: str) -> None:
    with pytest.raises(ShaderError, match=f"^check: .*{says}"):
        run(kernel(body, head=head))


def test_as_many_threads_as_metal_allows_are_run_and_one_more_is_refused() -> None:
    store = "if i < 64u { out[i] = i; }"
    assert run(kernel(store, threads=1024)).clean
    with pytest.raises(LimitError, match=r"more threads in a workgroup than Metal allows: 1025 > 1024"):
        run(kernel(store, threads=1025))


def test_as_much_workgroup_memory_as_metal_allows_is_there_and_more_is_refused() -> None:
    def words(count: int) -> str:
        return kernel("w[i] = i; out[i] = w[i];", head=f"var<workgroup> w: array<u32, {count}>;\n")

    assert run(words(8192)).clean
    with pytest.raises(
        LimitError, match=r"than there is: 32772 > 32768 bytes; Metal has 32768, .* --workgroup-bytes$"
    ):
        run(words(8193))


def test_kernels_for_other_gpus_may_have_more_workgroup_memory_or_less() -> None:
    text = kernel("w[i] = i; out[i] = w[i];", head="var<workgroup> w: array<u32, 9000>;\n")
    assert run(text, workgroup_bytes=36_000).clean
    with pytest.raises(LimitError, match=r"36000 > 35999 bytes"):
        run(text, workgroup_bytes=35_999)


def test_a_thread_that_loops_too_often_is_a_finding_with_its_loop() -> None:
    report = run(
        kernel("while out[i] < 1u { out[63] = 0u; }\n    out[0] = 1u;"),
        step_limit=100,
        buffers={"out": np.zeros(64, np.uint32)},
    )
    endless = next(each for each in report.findings if each.kind == "endless loop")
    assert "more than 100 turns" in endless.message
    assert endless.place is not None
    assert endless.place.line == 4


def test_a_check_that_takes_too_long_is_a_finding() -> None:
    body = "for (var n = 0u; n < 0xffffffffu; n++) { out[i] += n; }"
    report = run(kernel(body), time_limit=0.2, step_limit=1 << 40)
    assert [each.kind for each in report.findings] == ["time limit"]
    assert "not at its end after 0.2 s" in report.findings[0].message
    assert report.runs == (CheckRun(16, 0),)
    assert report.outputs == {}


@pytest.mark.parametrize("where", ["function", "private"])
@pytest.mark.parametrize("words", [65536, 1 << 20, 100 << 20])
def test_variables_too_large_for_a_stack_are_a_finding(where: str, words: int) -> None:
    declared = f"p: array<u32, {words}>;"
    head, inner = (f"var<private> {declared}\n", "") if where == "private" else ("", f"var {declared}")
    report = run(kernel(f"{inner} p[out[i] % {words}u] = i; out[i] = p[i];", head=head))
    assert [each.kind for each in report.findings] == ["crash"]
    assert "Variables too large for a thread's stack: thread (0, 0, 0)" in report.findings[0].message


def test_large_variables_of_many_threads_do_not_meet() -> None:
    body = "var p: array<u32, 8192>; p[out[i] % 8192u] = i; workgroupBarrier(); out[i] = p[out[i] % 8192u];"
    report = run(kernel(body, threads=64))
    assert report.clean
    assert report.outputs["out"].tolist() == list(range(64))


def test_deep_calls_are_run() -> None:
    calls = "".join(f"fn f{n}(x: u32) -> u32 {{ return f{n - 1}(x) + 1u; }}\n" for n in range(1, 100))
    head = f"fn f0(x: u32) -> u32 {{ return x; }}\n{calls}"
    report = run(kernel("out[i] = f99(i);", head=head))
    assert report.clean
    assert report.outputs["out"][:8].tolist() == list(range(99, 107))


@pytest.mark.parametrize("folder", ["a b", "é"])
def test_the_folder_for_temporary_files_may_have_any_name(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / folder).mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / folder))
    assert run(STORE).clean
    assert list((tmp_path / folder).iterdir()) == []


def test_a_folder_for_temporary_files_that_is_missing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(
        ToolError, match=r"^check: cannot run the kernel in .*missing: No such file.*: set TMPDIR$"
    ):
        run(STORE)


def test_a_child_that_fails_is_an_error_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "run"
    broken.write_text("#!/bin/sh\necho no memory >&2\nexit 3\n")
    broken.chmod(stat.S_IRWXU)
    monkeypatch.setattr("rusty_py.checker.run.runner", lambda: broken)
    with pytest.raises(ToolError, match=r"^check: its child ended with status 3: no memory$"):
        run(STORE)
    broken.write_text("#!/bin/sh\nkill -9 $$\n")
    with pytest.raises(ToolError, match=r"^check: its child ended with SIGKILL: "):
        run(STORE)


def test_a_check_in_a_forked_process_does_not_disturb_its_parent() -> None:
    assert run(STORE).clean
    child = os.fork()
    if not child:
        os._exit(0 if run(kernel("out[i] = i + 1u;")).outputs["out"][0] == 1 else 1)
    assert run(kernel("out[i] = i + 2u;")).outputs["out"][0] == 2
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "override N: u32 = 4; var<private> a: array<f32, N>;"
            " @compute @workgroup_size(1) fn main() { a[0] = 1.0; }",
            "",
        ),
        ("override T = 2 * 2; @compute @workgroup_size(1) fn main() { var k: u32 = T; k += 1u; }", "u32"),
    ],
    ids=["sizes an array of a thread", "has another type"],
)
def test_an_override_where_only_a_constant_may_stand_is_refused(text: str, words: str) -> None:
    with pytest.raises(ShaderError, match=f"(?s)naga refuses the text: .*{words}"):
        check(text, workgroups=1, buffers={})


def test_what_the_stand_in_lacks_is_said_to_be_its_own_fault_with_the_line() -> None:
    translation = translate(kernel("out[i] = 1u;"))
    broken = replace(translation, msl=translation.msl.replace("= 1u;", "= metal::no_such(1u);"))
    with pytest.raises(ToolError, match=r"^check: line \d+: .* the checker's lack: out\[.*no_such"):
        check_translation(
            broken,
            broken.entries[0],
            workgroups=(1, 1, 1),
            buffers={"out": np.zeros(64, np.uint32)},
            subgroup_sizes=(16,),
            seeds=1,
            step_limit=100,
            time_limit=10,
            name="broken",
        )


def test_a_name_of_the_checkers_own_is_refused() -> None:
    with pytest.raises(ShaderError, match="a name of the checker's own: checker_mark: rename it"):
        check("fn checker_mark() {} @compute @workgroup_size(1) fn main() {}", workgroups=1, buffers={})


def test_workgroup_memory_is_not_zero_beside_private_variables_either() -> None:
    text = f"""{OUT}
        var<private> calls: u32 = 3u;
        var<workgroup> tile: array<u32, 64>;
        @compute @workgroup_size(64)
        fn main(@builtin(local_invocation_index) i: u32) {{
            calls += 1u;
            out[i] = tile[i] + calls;
        }}"""
    assert [finding.kind for finding in run(text).findings] == ["uninitialised read"]
