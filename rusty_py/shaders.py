"""Finds WGSL files and says what exactly is compiled."""

import re
from functools import cache
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

    f16 is enabled where they name it: on the first line, before its comment.
    """
    text = read(name)
    if not definitions:
        return text
    enable = "enable f16; " if re.search(r"\bf16\b", definitions) else ""
    return f"{enable}{text}\n{definitions}\n"


def bake(text: str, constants: tuple[tuple[str, int], ...]) -> str:
    """`text` with its overrides written as constants, for tools that take no pipeline constants."""
    for name, value in constants:
        text, found = re.subn(rf"\boverride {name}: u32;", f"const {name}: u32 = {value}u;", text)
        if found != 1:
            raise ShaderError(f"shaders: no line 'override {name}: u32;' to set to {value}")
    return text


def sha256(text: str) -> str:
    """The SHA-256 of a shader's text, in hexadecimal."""
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()
