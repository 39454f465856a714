"""`rusty-bench run` and `rusty-bench kernel`: kernels of users are verified, timed, and can break nothing."""

import hashlib
import os
import re
import shlex
import signal
import sys
import time
from csv import DictReader
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from jsonschema import Draft202012Validator

from rusty_py import Device
from rusty_py.bench.report import csv, json, markdown
from rusty_py.bench.report import table as table_report
from rusty_py.bench.user_kernel.child import Session
from rusty_py.bench.user_kernel.job import KernelJob
from rusty_py.bench.user_kernel.parent import KernelFailure, failed, measure
from rusty_py.errors import RustyError
from rusty_py.gemm.simple import Tiled

from ..each import each_reported
from . import program
from .markdown import blocks
from .program import PATIENCE_S, SCRIPT, Done, kernels, rusty_bench, started, strict_json, table

pytestmark = [pytest.mark.alone, pytest.mark.usefixtures("adapter")]

SAXPY = """
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> z: array<f32>;
override FACTOR: f32 = 3.0;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < arrayLength(&z)) {
        z[id.x] = FACTOR * x[id.x] + y[id.x];
    }
}
"""
# An older Mesa leaves a loop after 65,535 turns: these take a minute all the same.
TURN = "if (z[0] == 1.5) { break; }" + 25 * " z[id.x] = 2.0 + sin(z[id.x]);"
ENDLESS = SAXPY.replace("z[id.x] = F", f"loop {{ {TURN} }} z[id.x] = F")
ADD_ONE = """
@group(0) @binding(0) var<storage, read_write> z: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) { z[id.x] += 1.0; }
"""
SIZES = ("--workgroups", "64", *(f"--buffer={name}=f32[4096]" for name in "xyz"))
REFERENCE = "--reference=z = 3 * x + y"


def run(folder: Path, text: str, *options: str | Path, **more: object) -> Done:
    (folder / "mine.wgsl").write_text(text, encoding="utf-8")
    return rusty_bench("run", "mine.wgsl", *options, cwd=folder, **more)


def flat(text: str) -> str:
    """The text without its line breaks and columns."""
    return " ".join(text.split())


def document_in(path: Path) -> Any:
    """The JSON document in the file, which must fit the schema."""
    document = strict_json(path.read_text(encoding="utf-8"))
    Draft202012Validator(json.schema()).validate(document)
    return document


def test_a_kernel_is_verified_and_timed(tmp_path: Path) -> None:
    done = run(tmp_path, SAXPY, *SIZES, REFERENCE, "--runs", "4", "--json", "run.json")
    done.succeeds()
    (row,) = table(done.out)
    time_column = next(head for head in row if head.startswith("ms ("))
    assert (row["problem"], row["kernel"]) == ("z = 3 * x + y", "mine.wgsl")
    assert float(row[time_column]) > 0
    assert float(row["GB/s"]) > 0
    assert float(row["GFLOPS"]) > 0
    assert 0 < float(row["ceiling"].rstrip("%")) < 111
    assert "  Kernel:    mine.wgsl, 64 workgroups\n" in done.out
    assert "  Samples:   4 of " in done.out
    assert "GB/s: 49,152 bytes" in done.out
    assert "GFLOPS: 8,192 floating-point operations" in done.out
    document = document_in(tmp_path / "run.json")
    (result,) = kernels(document)
    assert (result["by"], result["verdict"]) == ("mine.wgsl", "ok")
    assert len(result["samples"]["wall_ns"]) == result["stats"]["n"] == 4
    assert result["sha256"] == hashlib.sha256(SAXPY.encode()).hexdigest()
    assert 0 <= result["verification"]["error"] < 1
    assert (result["problem"]["flops"], result["problem"]["dtype"]) == (8192, "f32")
    assert (result["problem"]["read_bytes"], result["problem"]["written_bytes"]) == (32768, 16384)
    context = document["context"]
    assert context["adapter"]["name"]
    assert context["command"].startswith("rusty-bench run mine.wgsl --workgroups 64")
    assert context["device"]["checked"] is True


def test_the_error_is_shown_with_the_other_columns(tmp_path: Path) -> None:
    done = run(tmp_path, SAXPY, *SIZES, REFERENCE, "--runs", "2", "--wide")
    done.succeeds()
    (row,) = table(done.out)
    assert 0 <= float(row["error"]) < 1
    assert "\nerror: maximum error as a fraction of its bound.\n" in done.out


def test_one_wrong_element_is_shown_with_its_bound_and_not_timed(tmp_path: Path) -> None:
    text = SAXPY.replace("FACTOR *", "select(FACTOR, 3.01, id.x == 17u) *")
    done = run(tmp_path, text, *SIZES, REFERENCE)
    assert (done.code, done.err) == (4, "")
    (row,) = table(done.out)
    assert list(row.values()) == ["z = 3 * x + y", "mine.wgsl", "WRONG"]
    assert re.search(
        r"WRONG: z = 3 \* x \+ y, mine\.wgsl: z\[17\] = -?[\d.]+ instead of -?[\d.]+, bound [\d.e-]+;"
        r" 1 of 4,096 are wrong",
        flat(done.out),
    )
    assert max(map(len, done.out.splitlines())) <= 80


def test_a_result_that_is_not_timed_has_no_legend_of_times(tmp_path: Path) -> None:
    cases = {"WRONG": (SAXPY, "31"), "TIMEOUT": (ENDLESS, "64")}
    with each_reported() as case:
        for verdict, (text, workgroups) in cases.items():
            with case(verdict):
                done = run(
                    *(tmp_path, text, *SIZES[2:], "--workgroups", workgroups),
                    *(REFERENCE, "--time-limit", "1"),
                )
                _, _, below = done.out.partition(f"\n{verdict}: ")
                assert below
                labels = re.findall(r"^(\S.*?):", below.partition("\n")[2], re.MULTILINE)
                assert labels == (["verified"] if verdict == "WRONG" else [])
                assert "None" not in done.out


def test_elements_that_are_never_written_are_found(tmp_path: Path) -> None:
    done = run(tmp_path, SAXPY, *SIZES[2:], "--workgroups", "32", REFERENCE, "--format", "csv")
    assert done.code == 4
    (record,) = DictReader(done.out.splitlines())
    assert (record["verdict"], record["median_ms"]) == ("wrong", "")
    assert record["reason"] == "50.00% of z was never written"


def test_our_operation_is_measured_where_the_reference_is_one(tmp_path: Path) -> None:
    done = run(tmp_path, SAXPY, *SIZES, "--constant", "FACTOR=1", "--reference=z = x + y", "--runs", "5")
    done.succeeds()
    assert [row["kernel"] for row in table(done.out)] == ["mine.wgsl", "rusty_py"]
    assert re.search(r"z = x \+ y: (mine\.wgsl|rusty_py) is [\d.]+ times as fast as ", flat(done.out))
    assert "  Kernel:    mine.wgsl, 64 workgroups, FACTOR=1\n" in done.out
    assert "\nrusty_py: its operation on the same inputs, without bounds checks" in done.out


def test_every_format_shows_both_kernels(tmp_path: Path) -> None:
    options = (*SIZES, "--constant", "FACTOR=1", "--reference=z = x + y", "--runs", "2")
    done = run(tmp_path, SAXPY, *options, "--bars", "--json", "run.json")
    done.succeeds()
    assert re.search(r"^z = x \+ y  mine\.wgsl  █", done.out, re.MULTILINE)
    document_in(tmp_path / "run.json")
    measured = json.parse((tmp_path / "run.json").read_text(encoding="utf-8"))
    for text in (done.out, *(render(measured) for render in (markdown.render, csv.render, json.render))):
        assert "mine.wgsl" in text
        assert "rusty_py" in text


def test_buffers_that_are_read_and_written_are_restored_before_each_verification(tmp_path: Path) -> None:
    options = ("--workgroups=64", "--buffer=z=f32[4096]", "--reference=z = z + 1", "--runs=3")
    done = run(tmp_path, ADD_ONE, *options)
    done.succeeds()
    assert "GB/s: 32,768 bytes" in done.out


def test_a_file_may_be_the_reference_and_the_contents(tmp_path: Path) -> None:
    x = np.linspace(0, 1, 4096, dtype="f4")
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "z.npy", 4.0 * x.astype("f8"))
    buffers = ("--buffer=x=@x.npy", "--buffer=y=@x.npy", "--buffer=z=f32[4096]", "--workgroups=64")
    run(tmp_path, SAXPY, *buffers, "--reference=z=@z.npy", "--runs", "2").succeeds()
    np.save(tmp_path / "z.npy", 4.004 * x.astype("f8"))
    assert run(tmp_path, SAXPY, *buffers, "--reference=z=@z.npy").code == 4
    run(tmp_path, SAXPY, *buffers, "--reference=z=@z.npy", "--rtol", "0.01", "--runs", "2").succeeds()


def test_an_endless_loop_is_a_timeout_and_the_program_goes_on(tmp_path: Path) -> None:
    start = time.monotonic()
    done = run(tmp_path, ENDLESS, *SIZES, REFERENCE, "--time-limit", "1", "--json", "run.json")
    assert time.monotonic() - start < 60
    assert (done.code, done.err) == (4, "")
    (row,) = table(done.out)
    assert list(row.values()) == ["z = 3 * x + y", "mine.wgsl", "TIMEOUT"]
    reason = "estimating: no answer within 1 s; an endless loop? For a longer limit use --time-limit"
    assert f"TIMEOUT: z = 3 * x + y, mine.wgsl: {reason}" in flat(done.out)
    document = document_in(tmp_path / "run.json")
    (result,) = kernels(document)
    assert (result["verdict"], result["reason"], result["stats"]) == ("timeout", reason, None)
    assert document["context"]["adapter"]["name"]
    assert document["context"]["kernel"] == {"name": "mine.wgsl", "workgroups": [64], "constants": {}}


def test_ctrl_c_leaves_no_process_behind(tmp_path: Path) -> None:
    (tmp_path / "mine.wgsl").write_text(ENDLESS, encoding="utf-8")
    command = [SCRIPT, "run", "mine.wgsl", *SIZES, REFERENCE, "--time-limit", "100"]
    with started(command, cwd=tmp_path, stdout=-1, stderr=-1) as parent:
        process = psutil.Process(parent.pid)
        deadline = time.monotonic() + PATIENCE_S
        while not (children := process.children(recursive=True)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(2)
        parent.send_signal(signal.SIGINT)
        out, err = parent.communicate(timeout=20)
    assert (parent.returncode, out, err) == (130, "", "interrupted\n")
    assert psutil.wait_procs(children, timeout=10)[1] == []


def test_a_crash_of_the_measuring_process_is_reported_with_its_status() -> None:
    job = KernelJob("", "mine.wgsl", [1], {}, ["z = x"])
    code = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    message = "starting: the measuring process ended with status -11: SIGSEGV"
    with pytest.raises(KernelFailure, match=re.escape(message)) as failure:
        measure(job, ready=lambda _: None, progress=lambda _: None, command=[sys.executable, "-c", code])
    crash = failed(job, failure.value, {})
    for render in (table_report.render, markdown.render):
        assert f"CRASH: z = x, mine.wgsl: {message}" in flat(render(crash))
    (record,) = DictReader(csv.render(crash).splitlines())
    assert (record["verdict"], record["reason"]) == ("crash", message)
    document = strict_json(json.render(crash))
    Draft202012Validator(json.schema()).validate(document)
    assert document["rows"][0]["results"][0]["verdict"] == "crash"


def test_an_index_out_of_bounds_is_no_crash(tmp_path: Path) -> None:
    text = SAXPY.replace("x[id.x] +", "x[id.x + 1000000000u] +")
    done = run(tmp_path, text, *SIZES, REFERENCE)
    assert done.code == 4
    assert "WRONG: z = 3 * x + y, mine.wgsl: z[" in flat(done.out)


def test_what_cannot_be_run_is_refused_with_a_reason(tmp_path: Path) -> None:
    nested = SAXPY.replace("FACTOR *", "(" * 2000 + "FACTOR" + ")" * 2000 + " *")
    cases: list[tuple[str, tuple[str, ...], str]] = [
        ("/" * 10_000_000, (*SIZES, REFERENCE), "run: the text is too long: mine.wgsl"),
        (nested, (*SIZES, REFERENCE), "mine.wgsl: brackets are nested deeper than 200: line 10"),
        (SAXPY, (*SIZES, REFERENCE, "--adapter=nosuch"), "adapter: none matches 'nosuch'"),
    ]
    with each_reported() as case:
        for text, options, message in cases:
            with case(message):
                done = run(tmp_path, text, *options)
                assert done.code == (3 if "nosuch" in message else 2), done
                assert done.err.startswith("error: "), done.err[:500]
                assert message in done.message, done.err[:500]
                assert "Traceback" not in done.err
                assert done.out == ""


def test_the_measuring_process_refuses_what_cannot_be_run(unchecked: Device, tmp_path: Path) -> None:
    np.save(tmp_path / "f64.npy", np.ones(4096))
    buffers = dict.fromkeys("xyz", "f32[4096]")
    job = KernelJob(SAXPY, "mine.wgsl", [64], buffers, ["z = 3 * x + y"])
    two = {name: buffers[name] for name in "xy"}
    cases: list[tuple[dict[str, Any], str]] = [
        ({"wgsl": " " * 2_000_000}, "mine.wgsl: the text is too long: 2000000 > 1048576"),
        ({"buffers": buffers | {"w": "f32[4]"}}, "no such variable: w: main uses x, y, z"),
        ({"buffers": two}, "reference: no such buffer: z: there are x, y"),
        ({"references": ["z = 3 * x + q"]}, "buffer: q: there are x, y, z z = 3 * x + q ^"),
        ({"references": ["z = open('x')"]}, "reference: no such function: open"),
        ({"references": ["x = y"]}, "a buffer that the kernel does not write: x: it writes z"),
        ({"references": [*job.references] * 2}, "run: z has two references"),
        ({"entry": "other"}, "mine.wgsl: no entry point other: the text has main"),
        ({"constants": {"N": 1}}, "declares no such override: N: it has FACTOR"),
        ({"workgroups": [0]}, "mine.wgsl: workgroups are one to three"),
        ({"buffers": buffers | {"z": "f64[3]"}}, "run: buffer z: not understood: 'f64[3]'"),
        ({"buffers": buffers | {"z": f"@{tmp_path / 'f64.npy'}"}}, "do not hold float64"),
        ({"buffers": buffers | {"z": f"@{tmp_path / 'no.npy'}"}}, "no.npy: No such file"),
        ({"buffers": buffers | {"x": f"@{tmp_path / 'pipe'}"}}, "pipe: not a regular file"),
        ({"references": [f"z=@{tmp_path / 'pipe'}"]}, "pipe: not a regular file"),
    ]
    os.mkfifo(tmp_path / "pipe")
    with each_reported() as case:
        for changes, message in cases:
            with case(message), pytest.raises(RustyError) as refusal:
                Session(replace(job, **changes), unchecked, lambda **_: None).run()
            assert message in flat(str(refusal.value))


def test_a_text_that_does_not_compile_is_shown_with_a_caret(tmp_path: Path) -> None:
    done = run(tmp_path, SAXPY.replace("y[id.x];", "y[id.x] +;"), *SIZES, REFERENCE)
    assert done.code == 2
    lines = done.err.splitlines()
    assert lines[0] == 'error: mine.wgsl:10:47: expected expression, found ";"'
    assert lines[1] == "     10 |         z[id.x] = FACTOR * x[id.x] + y[id.x] +;"
    assert lines[2].split("^")[0] == "        |" + " " * 47


def test_options_are_checked_before_anything_runs(tmp_path: Path) -> None:
    cases = [
        ((), "Missing option '--reference'"),
        (("--reference=z",), "'z' is not NAME=WHAT, as in 'z = x + y'"),
        ((REFERENCE, "--workgroups=x"), "'x' is not a number of workgroups"),
        ((REFERENCE, "--buffer=x"), "'x' is not NAME=VALUE"),
        ((REFERENCE, "--time-limit=inf"), "inf is not a finite number"),
    ]
    with each_reported() as case:
        for options, message in cases:
            with case(message):
                run(tmp_path, SAXPY, *options).refuses(2, message)


@pytest.mark.parametrize(
    "options", [("--tile", "16"), ("--tile", "auto"), ("--size", "40x24x56:tn")], ids=" ".join
)
def test_a_printed_kernel_passes_the_command_that_it_names(options: tuple[str, ...], tmp_path: Path) -> None:
    size = () if "--size" in options else ("--size", "48x32x64")
    done = rusty_bench("kernel", "matmul", *options, *size, cwd=tmp_path)
    done.succeeds()
    (tmp_path / "kernel.wgsl").write_text(done.out, encoding="utf-8")
    command = next(
        line for line in done.out.splitlines() if line.startswith("// rusty-bench run kernel.wgsl ")
    )
    words = shlex.split(command.removeprefix("// rusty-bench "))
    verified = rusty_bench(*words, "--runs", "2", cwd=tmp_path)
    verified.succeeds()
    if "--size" not in options:
        assert [row["kernel"] for row in table(verified.out)] == ["kernel.wgsl", "rusty_py"]
    # The command sees a kernel that is wrong.
    wrong = done.out.replace("uniforms.k1", "(uniforms.k1 - 1u)")
    assert wrong != done.out
    (tmp_path / "kernel.wgsl").write_text(wrong, encoding="utf-8")
    assert rusty_bench(*words, "--runs", "2", cwd=tmp_path).code == 4


def test_a_printed_kernel_is_the_text_that_is_run(tmp_path: Path) -> None:
    printed = rusty_bench("kernel", "matmul", "--tile", "8", "--size", "64")
    assert (
        printed.out.partition("\n// rusty-bench ")[2].partition("\n")[2].strip()
        == Tiled(8).spec().source.strip()
    )


def test_an_operation_without_a_text_is_a_usage_error() -> None:
    rusty_bench("kernel", "conv").refuses(2, "'conv' is not an operation: matmul")
    done = rusty_bench("kernel", "matmul", "--size", "8x64x64x64")
    done.refuses(2, "kernel: one product at a time")


def test_standard_input_is_read(tmp_path: Path) -> None:
    arguments = shlex.join([str(SCRIPT), "run", "-", *SIZES, REFERENCE, "--runs", "2"])
    done = program.run(["sh", "-c", f"printf '%s' \"$TEXT\" | {arguments}"], env={"TEXT": SAXPY})
    done.succeeds()
    assert table(done.out)[0]["kernel"] == "<stdin>"


def outline(text: str) -> dict[str, object]:
    """What a report has on every machine: labels, columns, names, and what is wrong.

    Columns that may be empty or dropped for lack of width are left out, as are findings on noise.
    """
    rows = table(text)
    labels = re.findall(r"^(  [A-Z]\w*|\S.*?):(?=\s)", text, re.MULTILINE)
    wrong = re.search(r"^WRONG: .*(\n  .*)*", text, re.MULTILINE)
    return {
        "labels": [label for label in labels if label not in ("drift", "budget")],
        "columns": [head.partition(" (")[0] for head in rows[0] if head not in ("± %", "bound by", "error")],
        "names": [(row["problem"], row["kernel"]) for row in rows],
        "wrong": flat(wrong[0]) if wrong else "",
    }


def test_the_documentation_shows_what_the_program_prints(tmp_path: Path) -> None:
    page = (program.ROOT / "docs" / "kernels.md").read_text(encoding="utf-8")
    shown = [block.text for block in blocks(page) if block.language == "console"]
    assert len(shown) == 3
    path = os.pathsep.join([str(SCRIPT.parent), program.environment()["PATH"]])
    for text in shown:
        lines = text.replace("\\\n", "").splitlines()
        given = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        output = "\n".join(line for line in lines if not line.startswith("$ "))
        if "> kernel.wgsl" in given[0]:
            given = [" && ".join([f"cd {shlex.quote(str(tmp_path))}", *given])]
        (command,) = given
        done = program.run(["sh", "-c", command], env={"PATH": path}, cwd=program.ROOT)
        assert (done.code, done.err) == (4 if "WRONG" in output else 0, "")
        if output:
            told = done.out[done.out.index("problem  ") :] if output.startswith("...\n") else done.out
            assert outline(told) == outline(output)
