"""`rusty-bench check`: what it prints, how it ends, and what it leaves behind."""

import os
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from jsonschema import Draft202012Validator

from .program import (
    NO_DRIVER,
    PATIENCE_S,
    ROOT,
    SCRIPT,
    Done,
    python,
    run,
    rusty_bench,
    started,
    strict_json,
)

SCHEMA = ROOT / "docs" / "schema" / "check-1.json"

STORE = """override OFFSET: u32 = 0u;
@group(0) @binding(0) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
\tout[id.x + OFFSET] = id.x; // ×
}
"""
APPEND = """@group(0) @binding(0) var<storage, read_write> list: array<u32, 4>;
@group(0) @binding(1) var<storage, read_write> count: atomic<u32>;

@compute @workgroup_size(4)
fn main(@builtin(local_invocation_index) i: u32) {
    list[atomicAdd(&count, 1u)] = i;
}
"""
ENDLESS = STORE.replace("\tout", "\tfor (var n = 0u; n < 0xffffffffu; n++) { out[id.x] += n; }\n\tout")
LONG = ("--step-limit", "99999999999999", "--time-limit", "600")


@pytest.fixture(scope="module", autouse=True)
def _checker() -> None:
    """A machine without clang, Node or naga skips these tests; in CI they fail."""
    done = python("from rusty_py.checker import tools; tools.clang(); tools.naga(); tools.node()")
    if done.code:
        reason = done.err.strip().split("\n")[-1]
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "store.wgsl"
    path.write_text(STORE, encoding="utf-8")
    return path


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    path = tmp_path / "endless.wgsl"
    path.write_text(ENDLESS, encoding="utf-8")
    return path


def check(*arguments: str | bytes | Path, **options: object) -> Done:
    return rusty_bench("check", *arguments, **options)


def test_help_needs_no_driver_and_names_every_option() -> None:
    done = check("--help", env=NO_DRIVER)
    done.succeeds()
    options = (
        "workgroups",
        "buffer",
        "constant",
        "entry",
        "subgroup-size",
        "seeds",
        "step-limit",
        "time-limit",
        "workgroup-bytes",
        "strict",
    )
    for option in (*options, "json", "ascii"):
        assert f"--{option}" in done.out
    assert "Example: rusty-bench check my.wgsl" in done.out


def test_a_clean_kernel_ends_with_0_and_a_line_and_needs_no_driver(store: Path) -> None:
    done = check(store, "--buffer", "out=u32[8]", env=NO_DRIVER)
    done.succeeds()
    assert done.out == f"{store}: main: clean (1x1x1 workgroups of 8x1x1 threads, 2 runs)\n"


def test_a_finding_ends_with_1_and_shows_the_place(store: Path) -> None:
    done = check(store, "--workgroups", "2", "--buffer", "out=u32[15]")
    assert (done.code, done.err) == (1, "")
    assert done.out.split("\n") == [
        f"{store}:6:2: out of bounds: out[15] of 15 is written by thread (7, 0, 0) of workgroup (1, 0, 0)",
        "      6 | \tout[id.x + OFFSET] = id.x; // ×",
        "        | \t^^^",
        "",
        f"{store}: main: 1 finding (2x1x1 workgroups of 8x1x1 threads, 1 run)",
        "",
    ]


def test_a_result_that_depends_on_the_order_of_threads_fails_where_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "append.wgsl"
    path.write_text(APPEND, encoding="utf-8")
    arguments = (path, "--buffer", "count=u32:0", "--buffer", "list=u32:0,0,0,0")
    lax, strict = check(*arguments), check(*arguments, "--strict")
    lax.succeeds()
    assert lax.out.endswith("; what is left in list depends on the order of threads\n")
    assert (strict.code, strict.out) == (1, lax.out)
    assert strict.err == "--strict: what is left in list depends on the order of threads\n"
    as_json = check(*arguments, "--strict", "--json")
    assert (as_json.code, strict_json(as_json.out)["varies"]) == (1, ["list"])


def test_a_result_that_does_not_depend_on_the_order_of_threads_is_clean_by_all_rules(store: Path) -> None:
    check(store, "--buffer", "out=u32[8]", "--strict").succeeds()


def test_a_report_in_ascii_is_ascii(store: Path) -> None:
    for options in ({"env": {"PYTHONIOENCODING": "ascii"}}, {}):
        ascii = () if options else ("--ascii",)
        done = check(store, "--buffer", "out=u32[7]", *ascii, **options)
        assert (done.code, done.err) == (1, "")
        assert done.out.isascii()
        assert "id.x; // x\n        | \t^^^" in done.out


def test_json_fits_the_published_schema(store: Path) -> None:
    validator = Draft202012Validator(strict_json(SCHEMA.read_text(encoding="utf-8")))
    for size, code in ((8, 0), (7, 1)):
        done = check(store, "--buffer", f"out=u32[{size}]", "--json")
        assert (done.code, done.err) == (code, "")
        document = strict_json(done.out)
        validator.validate(document)
        assert document["clean"] is not bool(code)
        assert document["name"] == str(store)


def test_a_text_is_read_from_standard_input() -> None:
    command = [SCRIPT, "check", "-", "--buffer", "out=u32[7]"]
    done = subprocess.run(command, input=STORE.encode(), capture_output=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stderr) == (1, b"")
    assert done.stdout.startswith(b"<stdin>:6:2: out of bounds: ")


def test_standard_input_that_is_closed_is_said() -> None:
    run(["sh", "-c", 'exec "$0" "$@" <&-', SCRIPT, "check", "-"]).refuses(2, "<stdin>: closed")


@pytest.mark.parametrize(
    "encode", [lambda text: b"\xef\xbb\xbf" + text, lambda text: text.replace(b"\n", b"\r\n")]
)
def test_a_text_from_another_system_keeps_its_places(encode: Callable[[bytes], bytes], store: Path) -> None:
    store.write_bytes(encode(STORE.encode()))
    done = check(store, "--buffer", "out=u32[7]")
    assert done.out.startswith(f"{store}:6:2: out of bounds")


def test_a_text_of_carriage_returns_keeps_its_places(store: Path) -> None:
    store.write_bytes(STORE.encode().replace(b"\n", b"\r"))
    assert check(store, "--buffer", "out=u32[7]").out.startswith(f"{store}:6:2: out of bounds")


def test_a_file_name_that_is_no_unicode_is_shown_as_far_as_it_goes(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff.wgsl"
    Path(os.fsdecode(path)).write_text(STORE, encoding="utf-8")
    done = check(path, "--buffer", "out=u32[8]")
    done.succeeds()
    assert done.out.startswith(f"{tmp_path}/\ufffd.wgsl: main: clean")


def test_constants_and_arrays_from_files_reach_the_kernel(store: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "out.npy", np.zeros((2, 8), np.uint32))
    done = check(store, "--buffer", f"out=@{tmp_path / 'out.npy'}", "--constant", "OFFSET=9", "--json")
    (finding,) = strict_json(done.out)["findings"]
    assert (finding["variable"], finding["index"], finding["size"]) == ("out", 16, 16)


@pytest.mark.parametrize("value", ["8", "8.0", "0x8", "true"])
def test_a_constant_may_be_written_as(value: str, store: Path) -> None:
    check(store, "--buffer", "out=u32[16]", "--constant", f"OFFSET={value}").succeeds()


def test_subgroup_sizes_and_orders_are_those_asked_for(store: Path) -> None:
    store.write_text(STORE.replace("id.x; //", "subgroupAdd(1u); //"), encoding="utf-8")
    sizes = ("--subgroup-size", "4", "--subgroup-size", "8", "--seeds", "3")
    done = check(store, "--buffer", "out=u32[8]", *sizes, "--json")
    runs = strict_json(done.out)["runs"]
    assert [(each["subgroup_size"], each["seed"]) for each in runs] == [
        (size, seed) for size in (4, 8) for seed in range(3)
    ]


def test_one_of_several_entry_points_is_chosen(store: Path) -> None:
    other = "@compute @workgroup_size(1) fn other() { out[0] = 1u; }\n"
    store.write_text(STORE + other, encoding="utf-8")
    check(store, "--buffer", "out=u32[8]").refuses(2, "several entry points: the text has main, other")
    check(store, "--buffer", "out=u32[8]", "--entry", "other").succeeds()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], ["buffers are missing: out: array<u32>"]),
        (["--workgroups", "0"], ["workgroups are one to three numbers from 1 to 65535: (0,)"]),
        (["--workgroups", "8x"], ["--workgroups", "'8x' is not a number of workgroups: 8, 8x4 or 8x4x2"]),
        (["--workgroups", "-1"], ["--workgroups", "'-1'"]),
        (["--workgroups", "1x1x1x1"], ["--workgroups", "'1x1x1x1'"]),
        (["--workgroups", "65535x65535"], ["too many workgroups: 4294836225 > 16777216"]),
        (["--buffer", "out"], ["--buffer", "'out' is not NAME=VALUE, as in a=f32[1000]"]),
        (["--buffer", "=u32[8]"], ["--buffer", "'=u32[8]' is not NAME=VALUE"]),
        (["--buffer", "out=u32[8]", "--buffer", "out=u32[9]"], ["--buffer", "out is given twice"]),
        (["--buffer", "out=u32"], ["buffer out: not understood: 'u32': say f32[1000] or u32:8,0,1"]),
        (["--buffer", "out=f32[8]"], ["buffer out: not of the variable's type: float32 for array<u32>"]),
        (["--buffer", "out=u32[0]"], ["buffer out: smaller than its type: 0 < 4 bytes: array<u32>"]),
        (["--buffer", "out=u32[8]", "--buffer", "x=u32[8]"], ["no such buffer: x: the text has out"]),
        (["--buffer", "out=u32[99999999999]"], ["buffer out: too large: u32[99999999999]"]),
        (["--buffer", "out=@/nonexistent.npy"], ["/nonexistent.npy: No such file or directory"]),
        (["--buffer", "out=@/dev/null"], ["/dev/null: not an array of numbers in .npy format, for out"]),
        (["--buffer", "out=@"], ["Is a directory"]),
        (["--constant", "OFFSET"], ["--constant", "'OFFSET' is not NAME=VALUE, as in TILE=16"]),
        (["--constant", "OFFSET=x"], ["--constant", "'x' is not a number"]),
        (["--constant", "OFFSET=1.5"], ["constant OFFSET: no u32: 1.5"]),
        (["--constant", "OFFSET=nan"], ["constant OFFSET: no u32: nan"]),
        (["--constant", "TILE=4"], ["the text declares no such override: TILE"]),
        (["--entry", "nope"], ["no entry point nope: the text has main"]),
        (["--subgroup-size", "0"], ["--subgroup-size", "greater than or equal to 1"]),
        (["--subgroup-size", "3", "--buffer", "out=u32[8]"], ["powers of 2 up to 64: [3]"]),
        (["--seeds", "0"], ["--seeds"]),
        (["--strict", "--seeds", "1"], ["--strict", "compares thread orders: needs --seeds 2 or more"]),
        (["--seeds", "1001", "--buffer", "out=u32[8]"], ["orders of threads are 1 to 1000: seeds=1001"]),
        (["--step-limit", "0"], ["--step-limit"]),
        (["--time-limit", "0"], ["--time-limit"]),
        (["--time-limit", "inf"], ["--time-limit", "inf"]),
        (["--workgroup-bytes", "-1"], ["--workgroup-bytes"]),
        (["--json", "file"], ["file"]),
        (["--sise", "3"], ["--sise"]),
    ],
    ids=lambda x: " ".join(x),
)
def test_a_wrong_argument_ends_with_2_and_says_why(
    arguments: list[str], says: list[str], store: Path
) -> None:
    check(store, *arguments).refuses(2, *says)


def test_a_missing_argument_is_said() -> None:
    check().refuses(2, "FILE")


@pytest.mark.parametrize("contents", [b"PK\x03\x04 zip", b"\x93NUMPY\x01\x00v\x00{'descr': '<u4'}", b"x"])
def test_a_file_that_holds_no_array_is_refused(contents: bytes, store: Path, tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(contents)
    check(store, "--buffer", f"out=@{tmp_path / 'x.npy'}").refuses(2, "x.npy: not an array of numbers")


def test_arrays_of_objects_are_refused_unread(store: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{}]), allow_pickle=True)
    check(store, "--buffer", f"out=@{tmp_path / 'x.npy'}").refuses(2, "x.npy: not an array of numbers")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing.wgsl", "No such file or directory"),
        (".", "Is a directory"),
        ("latin.wgsl", "not UTF-8 text"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(name: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "latin.wgsl").write_bytes(b"// \xe9\n")
    check(tmp_path / name).refuses(2, str(tmp_path / name), says)


def test_a_file_without_end_is_refused() -> None:
    check("/dev/zero").refuses(2, "the text is too long: /dev/zero: more than 4194304 bytes")


def test_broken_wgsl_ends_with_2_and_shows_the_place_in_the_file(store: Path) -> None:
    store.write_text(STORE.replace("= id.x", "= id.w"), encoding="utf-8")
    done = check(store, "--buffer", "out=u32[8]")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: check: naga refuses the text: ")
    assert f"─ {store}:6:26" in done.err
    assert "Traceback" not in done.err


def test_without_clang_the_message_says_what_to_install(store: Path) -> None:
    done = check(store, "--buffer", "out=u32[8]", env={"PATH": "/nonexistent", "RUSTY_PY_CLANG": None})
    done.refuses(2, "check: no clang++: install clang, on Debian: apt-get install clang")


def test_a_check_that_takes_too_long_ends_in_time_with_1(endless: Path) -> None:
    start = time.monotonic()
    done = check(endless, "--buffer", "out=u32[8]", *LONG, "--time-limit", "0.5")
    assert time.monotonic() - start < 30
    assert (done.code, done.err) == (1, "")
    assert "time limit: not at its end after 0.5 s" in done.out


def test_a_loop_without_end_is_found_by_its_steps(endless: Path) -> None:
    done = check(endless, "--buffer", "out=u32[8]", "--step-limit", "1000")
    assert (done.code, done.err) == (1, "")
    assert f"{endless}:6:2: endless loop: more than 1000 turns of loops" in done.out


@pytest.mark.parametrize(
    ("redirection", "ends"),
    [(">&-", (141, "")), (">/dev/full", (2, "error: standard output: No space left on device\n"))],
    ids=["closed", "full"],
)
def test_standard_output_that_takes_nothing_ends_the_program(
    redirection: str, ends: tuple[int, str], store: Path
) -> None:
    shell = ["sh", "-c", f'exec "$0" "$@" {redirection}', SCRIPT]
    done = run([*shell, "check", store, "--buffer", "out=u32[8]"])
    assert (done.code, done.err) == ends


def test_a_reader_that_never_came_ends_the_program_silently(store: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as nobody:
        done = run([SCRIPT, "check", store, "--buffer", "out=u32[7]"], stdout=nobody)
    assert (done.code, done.err) == (141, "")


def children(process: psutil.Process) -> dict[int, str]:
    """The command of each process below it."""
    found = {}
    for child in process.children(recursive=True):
        try:
            found[child.pid] = " ".join(child.cmdline())
        except psutil.Error:
            continue
    return found


def stop_when(
    command: str, arguments: list[str | Path], how: signal.Signals = signal.SIGINT, **env: str
) -> tuple[int, str, list[int]]:
    """Sends a signal once a child of that command runs: exit code, standard error, and the children."""
    pipe = subprocess.PIPE
    command_line = [SCRIPT, "check", *arguments]
    with started(command_line, env=env, stdout=pipe, stderr=pipe) as program:
        process = psutil.Process(program.pid)
        end = time.monotonic() + PATIENCE_S
        below: dict[int, str] = {}
        while not any(command in each for each in below.values()):
            assert program.poll() is None
            assert time.monotonic() < end
            below = children(process)
        # A terminal interrupts all that run in it.
        (os.killpg if how == signal.SIGINT else os.kill)(program.pid, how)
        _, complaints = program.communicate(timeout=PATIENCE_S)
    return program.returncode, complaints, list(below)


def all_end(pids: list[int]) -> bool:
    """Whether these processes end: at once if they were killed, as their own work takes ten minutes."""
    end = time.monotonic() + PATIENCE_S / 4
    while any(map(runs, pids)) and time.monotonic() < end:
        pass
    return not any(map(runs, pids))


def runs(pid: int) -> bool:
    """Not one that has ended, and that nobody asked how."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_ctrl_c_while_the_kernel_runs_leaves_no_process_and_no_file(endless: Path, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    arguments = [endless, "--buffer", "out=u32[8]", *LONG]
    code, complaints, below = stop_when("programs/run-", arguments, TMPDIR=str(temporary))
    assert (code, complaints) == (130, "interrupted\n")
    assert all_end(below)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP], ids=["terminated", "hung up"])
def test_a_program_that_is_ended_leaves_no_process_and_no_file(
    how: signal.Signals, endless: Path, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    arguments = [endless, "--buffer", "out=u32[8]", *LONG]
    code, complaints, below = stop_when("programs/run-", arguments, how, TMPDIR=str(temporary))
    assert (code, complaints) == (128 + how, "interrupted\n")
    assert all_end(below)
    assert list(temporary.iterdir()) == []


def test_a_program_that_is_killed_leaves_no_process(endless: Path, tmp_path: Path) -> None:
    arguments = [endless, "--buffer", "out=u32[8]", *LONG]
    code, _, below = stop_when("programs/run-", arguments, signal.SIGKILL, TMPDIR=str(tmp_path))
    assert code == -signal.SIGKILL
    assert all_end(below)


def test_ctrl_c_while_the_kernel_compiles_leaves_no_process_and_no_file(store: Path, tmp_path: Path) -> None:
    slow = tmp_path / "clang++"
    slow.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && { echo "clang version 19.0.0"; exit; }\nexec sleep 600\n'
    )
    slow.chmod(stat.S_IRWXU)
    cache = _cache_with_naga(tmp_path)
    arguments = [store, "--buffer", "out=u32[8]"]
    code, complaints, below = stop_when(
        "sleep 600", arguments, RUSTY_PY_CLANG=str(slow), XDG_CACHE_HOME=str(cache)
    )
    assert (code, complaints) == (130, "interrupted\n")
    assert all_end(below)
    assert list((cache / "rusty_py" / "checker" / "programs").iterdir()) == []


def _cache_with_naga(tmp_path: Path) -> Path:
    done = python("from rusty_py.checker import tools; print(tools.naga())")
    naga = Path(done.out.strip()).parents[2]
    folder = tmp_path / "cache" / "rusty_py" / "checker"
    folder.mkdir(parents=True)
    (folder / naga.name).symlink_to(naga)
    return tmp_path / "cache"
