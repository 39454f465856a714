import gc
import hashlib
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rusty_py import ShaderError, shaders


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that shaders are read from, with nothing remembered from another."""
    monkeypatch.setattr(shaders, "root", lambda: tmp_path)
    shaders.read.cache_clear()
    yield tmp_path
    shaders.read.cache_clear()


def test_the_shaders_are_found_beside_the_package() -> None:
    assert (shaders.root() / "matmul" / "tiled.wgsl").is_file()
    assert "fn main" in shaders.read("matmul/tiled")


def test_a_shader_is_read_by_its_name(folder: Path) -> None:
    (folder / "one").mkdir()
    (folder / "one" / "two.wgsl").write_text("// ä\n", encoding="utf-8")
    assert shaders.read("one/two") == "// ä\n"


def test_a_missing_shader_is_refused_with_the_place_looked_at(folder: Path) -> None:
    with pytest.raises(
        ShaderError, match=r"^shaders: no such kernel: matmul/tield: looked for .*tield\.wgsl$"
    ):
        shaders.read("matmul/tield")


def test_without_a_folder_of_shaders_the_package_is_to_be_installed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shaders, "__file__", str(tmp_path / "rusty_py" / "shaders.py"))
    with pytest.raises(ShaderError, match=r"^shaders: no wgsl folder .*; install it again$"):
        shaders.root()


def test_the_shaders_inside_the_package_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("wgsl/matmul", "rusty_py/wgsl/matmul"):
        (tmp_path / place).mkdir(parents=True)
    monkeypatch.setattr(shaders, "__file__", str(tmp_path / "rusty_py" / "shaders.py"))
    assert shaders.root() == tmp_path / "rusty_py" / "wgsl"


def test_functions_of_the_library_are_appended_once_each(folder: Path) -> None:
    (folder / "lib").mkdir()
    (folder / "kernel.wgsl").write_text("fn main() { f(); }", encoding="utf-8")
    for name, calls in {"f": "g(); h();", "g": "h(); // i()", "h": "", "i": ""}.items():
        (folder / "lib" / f"{name}.wgsl").write_text(f"fn {name}() {{ {calls} }}", encoding="utf-8")
    lines = shaders.assemble("kernel", "").split("\n")
    assert lines == ["fn main() { f(); }", "fn f() { g(); h(); }", "fn g() { h(); // i() }", "fn h() {  }"]
    assert shaders.library("fn h() {} let x = select(0, 1, true);") == []
    assert shaders.library("fn f() {}\nfn g() { f(); }") == []


def test_every_function_of_the_library_has_another_name() -> None:
    texts = [each.read_text(encoding="utf-8") for each in (shaders.root() / "lib").glob("*.wgsl")]
    names = [name for text in texts for name in re.findall(r"(?m)^(?:fn|const|struct) (\w+)", text)]
    assert sorted(names) == sorted(set(names))


def test_baking_writes_overrides_as_constants() -> None:
    text = "override TILE: u32;\noverride DEPTH: u32;\nconst AREA = TILE * TILE;\n"
    assert shaders.bake(text, (("TILE", 16), ("DEPTH", 4))) == (
        "const TILE: u32 = 16u;\nconst DEPTH: u32 = 4u;\nconst AREA = TILE * TILE;\n"
    )


def test_baking_takes_the_number_of_an_id_for_the_name() -> None:
    text = "@id(7) override TILE: u32;\n@id(70) override DEPTH: u32;\n"
    assert shaders.bake(text, (("70", 4),)) == "@id(7) override TILE: u32;\nconst DEPTH: u32 = 4u;\n"
    with pytest.raises(ShaderError, match=r"^shaders: no line 'override TILE: u32;' to set to 16$"):
        shaders.bake(text, (("TILE", 16),))
    with pytest.raises(ShaderError, match=r"^shaders: no line '@id\(0\) override' to set to 16$"):
        shaders.bake(text, (("0", 16),))


def test_baking_nothing_changes_nothing() -> None:
    text = shaders.read("matmul/tiled")
    assert shaders.bake(text, ()) == text


@pytest.mark.parametrize(
    "text",
    ["", "override TILES: u32;", "override TILE: u32 = 8u;", "override TILE: u32;\noverride TILE: u32;"],
    ids=["none", "another", "with a default", "twice"],
)
def test_baking_what_is_not_there_once_is_refused(text: str) -> None:
    with pytest.raises(ShaderError, match=r"^shaders: no line 'override TILE: u32;' to set to 16$"):
        shaders.bake(text, (("TILE", 16),))


def test_a_shader_is_known_by_the_hash_of_its_text() -> None:
    assert shaders.sha256("fn main() {}") == hashlib.sha256(b"fn main() {}").hexdigest()
    assert shaders.sha256("a") != shaders.sha256("b")


LOOPS = """const N: u32 = 2u;
const HALF: u32 = N * 3u / 2u;
fn f() {
    for (var i = 0u; i < HALF - 1u; i++) { // unroll
        for (var j = 0u; j < i + 1u; j++) { // unroll
            g(i, j);
        }
    }
    for (var i = 0u; i < N; i++) {
        g(i, i);
    }
}"""


def test_marked_loops_are_written_out_and_others_stay() -> None:
    lines = [line.strip() for line in shaders.unroll(LOOPS).split("\n")]
    assert lines.count("g(i, j);") == 3
    assert lines.count("{ const i = 0u;") == lines.count("{ const i = 1u;") == 1
    assert lines.count("{ const j = 0u;") == 2
    assert lines.count("{ const j = 1u;") == 1
    assert "for (var i = 0u; i < N; i++) {" in lines
    assert shaders.unroll("fn f() {}") == "fn f() {}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("for (var i = 0u; i < 2u +; i++) { // unroll\n}", "not an expression: 2u \\+"),
        ("    for (var i = 0u; i < 2u; i++) { // unroll\n}", "no brace in the column of its loop"),
    ],
)
def test_a_marked_loop_that_cannot_be_read_is_refused(text: str, words: str) -> None:
    with pytest.raises(ShaderError, match=f"unroll: {words}"):
        shaders.unroll(text)


@pytest.mark.parametrize("turns", ["uniforms.count", "n", "1.5", "2u << 1u", "f(2u)", "-1u"])
def test_a_loop_whose_turns_are_not_known_cannot_be_unrolled(turns: str) -> None:
    with pytest.raises(ShaderError, match="unroll: not a number before the kernel runs"):
        shaders.unroll(f"for (var i = 0u; i < {turns}; i++) {{ // unroll\n}}")


class _Finalised:
    """A cycle, so that the collector runs Python code wherever it likes: there threads may switch."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        for _ in range(50):
            pass


def test_threads_may_read_loops_at_once() -> None:
    """Python's own parser fails in one of a hundred such calls (cpython#106905)."""

    def unroll(_: int) -> int:
        for _ in range(60):
            _Finalised()
            shaders.unroll(LOOPS)
        return shaders.unroll(LOOPS).count("g(i, j);")

    before, interval = gc.get_threshold(), sys.getswitchinterval()
    gc.set_threshold(20)
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(unroll, range(8))) == [3] * 8
    finally:
        gc.set_threshold(*before)
        sys.setswitchinterval(interval)


CHOICES = """const WIDE: bool = {wide};
const BOTH: bool = WIDE && true;
const N: u32 = min({n}u, 3u);
const M: u32 = select(1u, max(N, 2u), WIDE);
for (var i = 0u; i < select(M, M * 2u, BOTH && WIDE); i++) {{ // unroll
    f(i);
}}"""


@pytest.mark.parametrize(
    ("wide", "n", "turns"), [("true", 1, 4), ("true", 9, 6), ("false", 1, 1), ("false", 9, 1)]
)
def test_turns_may_depend_on_choices_between_constants(wide: str, n: int, turns: int) -> None:
    assert shaders.unroll(CHOICES.format(wide=wide, n=n)).count("f(i);") == turns


@pytest.mark.parametrize("word", ["truer", "untrue", "falsehood"])
def test_names_that_hold_true_and_false_are_names(word: str) -> None:
    text = f"const {word}: u32 = 2u;\nfor (var i = 0u; i < {word}; i++) {{ // unroll\n    f(i);\n}}"
    assert shaders.unroll(text).count("f(i);") == 2


@pytest.mark.parametrize("turns", ["select(1u, 2u)", "min()", "select(1u, n, true)", "clamp(1u, 2u, 3u)"])
def test_calls_that_say_no_number_are_refused(turns: str) -> None:
    with pytest.raises(ShaderError, match="unroll: not a number before the kernel runs"):
        shaders.unroll(f"for (var i = 0u; i < {turns}; i++) {{ // unroll\n}}")
