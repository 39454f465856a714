"""Finds WGSL files and says what exactly is compiled."""

import re
from collections.abc import Mapping
from functools import cache
from operator import index
from pathlib import Path

from rusty_py.errors import ShaderError


def root() -> Path:
    """The folder of the shaders: inside the installed package, else beside it in a checkout."""
    package = Path(__file__).parent
    for folder in (package / "wgsl", package.parent / "wgsl"):
        if (folder / "matmul").is_dir():
            return folder
    raise ShaderError(f"shaders: no wgsl folder in or beside {package}; install it again")


@cache
def read(name: str) -> str:
    """The text of `wgsl/<name>.wgsl`. Raises ShaderError where there is none."""
    path = root() / f"{name}.wgsl"
    if not path.is_file():
        raise ShaderError(f"shaders: no such kernel: {name}: looked for {path}")
    return path.read_text(encoding="utf-8")


def assemble(name: str, definitions: str) -> str:
    """`wgsl/<name>.wgsl` with `definitions` appended, so that the file's line numbers stay true.

    Then follow the files of wgsl/lib whose functions are called, once each. f16 is enabled where the
    definitions name it: on the first line, before its comment.
    """
    text = f"{read(name)}\n{definitions}\n" if definitions else read(name)
    enable = "enable f16; " if re.search(r"\bf16\b", definitions) else ""
    return unroll("\n".join([enable + text, *map(read, library(text))]))


def constants(values: Mapping[str, int | bool]) -> str:
    """WGSL that declares u32 and bool constants."""

    def declared(value: int | bool) -> str:
        return f"bool = {str(value).lower()}" if isinstance(value, bool) else f"u32 = {value}u"

    return "".join(f"const {name}: {declared(value)};\n" for name, value in values.items())


def library(text: str) -> list[str]:
    """The files of wgsl/lib, as "lib/name", whose functions `text` calls, and those that they call.

    What `text` defines itself is not looked up.
    """
    own = set(_FUNCTION.findall(text))
    files = {name: file for name, file in _functions_of_library(root()).items() if name not in own}
    found: list[str] = []
    unread = [text]
    while unread:
        called = dict.fromkeys(_CALL.findall(_COMMENT.sub("", unread.pop())))
        new = [files[each] for each in called if each in files and files[each] not in found]
        found += dict.fromkeys(new)
        unread += map(read, dict.fromkeys(new))
    return sorted(found)


@cache
def _functions_of_library(folder: Path) -> dict[str, str]:
    """The file of each function."""
    texts = {f"lib/{path.stem}": path.read_text(encoding="utf-8") for path in folder.glob("lib/*.wgsl")}
    return {name: file for file, text in texts.items() for name in _FUNCTION.findall(text)}


_CALL = re.compile(r"(?<!fn )\b([a-z]\w*)\(")
_FUNCTION = re.compile(r"(?m)^fn (\w+)\(")
_COMMENT = re.compile(r"//.*")


def unroll(text: str) -> str:
    """`text` with each loop that ends its line with `// unroll` written out, a block for each turn.

    Such a loop counts by one from 0u up to an expression of literals, the text's u32 and bool constants and
    the counters around it, is closed by a brace in its own column, and its counter becomes a constant.
    """
    return "\n".join(_unrolled(text.split("\n"), _constants(text), {}))


_FUNCTIONS: dict[str, object] = {
    "min": lambda a, b: min(a, b),
    "max": lambda a, b: max(a, b),
    "select": lambda no, yes, which: yes if which else no,
    "true": True,
    "false": False,
}
_LOOP = re.compile(r"( *)for \(var (\w+) = 0u; \2 < (.+); \2\+\+\) \{ // unroll")


def _unrolled(lines: list[str], constants: dict[str, str], counters: dict[str, int]) -> list[str]:
    result = []
    i = 0
    while i < len(lines):
        loop = _LOOP.fullmatch(lines[i])
        if loop is None:
            result.append(lines[i])
            i += 1
            continue
        indent, counter, turns = loop.groups()
        if f"{indent}}}" not in lines[i:]:
            raise ShaderError(f"shaders: unroll: no brace in the column of its loop: {lines[i]}")
        end = lines.index(f"{indent}}}", i)
        count = _value(turns, constants, counters)
        if count < 0:
            raise ShaderError(f"shaders: unroll: not a number before the kernel runs: {turns} is {count}")
        for turn in range(count):
            result.append(f"{indent}{{ const {counter} = {turn}u;")
            result += _unrolled(lines[i + 1 : end], constants, counters | {counter: turn})
            result.append(f"{indent}}}")
        i = end + 1
    return result


def _constants(text: str) -> dict[str, str]:
    return dict(re.findall(r"(?m)^const (\w+): (?:u32|bool) = ([^;]+);", text))


def _value(expression: str, constants: dict[str, str], counters: dict[str, int]) -> int:
    """The value of an expression of u32 and bool constants. Raises ShaderError for anything else.

    By compile and not by ast.parse, which fails now and then where other threads parse, too
    (https://github.com/python/cpython/issues/106905).
    """
    plain = re.sub(r"\b(\d+)u\b", r"\1", expression.strip())
    names: dict[str, object] = {**_FUNCTIONS, **counters}
    for name in re.findall(r"[A-Za-z_]\w*", plain):
        if name not in names and name in constants:
            names[name] = _value(constants[name], constants, {})
    known = names.keys() >= set(re.findall(r"[A-Za-z_]\w*", plain))
    if not known or not re.fullmatch(r"(?:[\w\s()+,-]|(?<!\*)\*|(?<!/)/|&&)*", plain):
        raise ShaderError(f"shaders: unroll: not a number before the kernel runs: {expression}")
    try:
        code = compile(plain.replace("&&", " and ").replace("/", "//"), "a WGSL expression", "eval")
        return index(eval(code, {"__builtins__": {}}, names))
    except SyntaxError as error:
        raise ShaderError(f"shaders: unroll: not an expression: {expression}") from error
    except (TypeError, ZeroDivisionError) as error:
        raise ShaderError(f"shaders: unroll: not a number before the kernel runs: {expression}") from error


def bake(text: str, constants: tuple[tuple[str, float], ...]) -> str:
    """`text` with its overrides written as constants, for tools that take no pipeline constants.

    The keys are WebGPU's: the number of an override's @id, the name where it has none.
    """
    found = [each["id"] or each["name"] for each in _OVERRIDE.finditer(text)]
    for key, value in constants:
        if found.count(key) != 1:
            line = f"@id({key}) override" if key.isdecimal() else f"override {key}: u32;"
            raise ShaderError(f"shaders: no line '{line}' to set to {value}")
    values = dict(constants)

    def constant(each: re.Match[str]) -> str:
        key = each["id"] or each["name"]
        return f"const {each['name']}: u32 = {values[key]}u;" if key in values else each[0]

    return _OVERRIDE.sub(constant, text)


_OVERRIDE = re.compile(r"(?:@id\((?P<id>\d+)\) )?\boverride (?P<name>\w+): u32;")


def sha256(text: str) -> str:
    """The SHA-256 of a shader's text, in hexadecimal."""
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()
