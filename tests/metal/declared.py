"""What a WGSL text declares, read without a compiler. Its overrides must be baked."""

import re
from math import prod

_SCALAR_BYTES = {"f16": 2, "f32": 4, "i32": 4, "u32": 4, "atomic<i32>": 4, "atomic<u32>": 4}
_VECTOR_SLOTS = {"2": 2, "4": 4}  # A vec3 is padded in arrays only; none is needed so far.


def names(wgsl: str) -> set[str]:
    """The identifiers that `wgsl` gives to its variables, functions, parameters, types and members."""
    code = _without_comments(wgsl)
    keyword = r"(?:var\s*(?:<[^>]*>)?|let|const|override|fn|struct|alias)"
    after_keyword = re.findall(rf"\b{keyword}\s+(\w+)", code)
    before_colon = re.findall(r"\b([A-Za-z_]\w*)\s*:", code)
    return {*after_keyword, *before_colon} - {"default"}  # As in a switch.


def threads(wgsl: str) -> int:
    """The threads of one workgroup."""
    (size,) = re.findall(r"@workgroup_size\(([^)]*)\)", _without_comments(wgsl))
    return prod(_value(part, wgsl) for part in size.split(",") if part.strip())


def workgroup_bytes(wgsl: str) -> int:
    """The memory of one workgroup."""
    kinds = re.findall(r"var<workgroup>\s+\w+\s*:\s*([^;]+);", _without_comments(wgsl))
    return sum(_size_bytes(kind.strip(), wgsl) for kind in kinds)


def bindings(wgsl: str) -> list[str]:
    """The address space of each binding, in the order of their numbers."""
    found = re.findall(r"@group\(0\)\s*@binding\((\d+)\)\s*var<([^>]*)>", _without_comments(wgsl))
    assert sorted(int(number) for number, _ in found) == list(range(len(found)))
    return [space for _, space in sorted(found, key=lambda binding: int(binding[0]))]


def _without_comments(wgsl: str) -> str:
    return re.sub(r"//.*|/\*.*?\*/", "", wgsl, flags=re.DOTALL if "/*" in wgsl else 0)


def _size_bytes(kind: str, wgsl: str) -> int:
    if array := re.fullmatch(r"array<(.+),([^,]+)>", kind):
        return _size_bytes(array[1].strip(), wgsl) * _value(array[2], wgsl)
    if vector := re.fullmatch(r"vec([24])<(\w+)>", kind):
        return _VECTOR_SLOTS[vector[1]] * _SCALAR_BYTES[vector[2]]
    return _SCALAR_BYTES[kind]


def _value(expression: str, wgsl: str) -> int:
    """The value of a constant expression over + - * / and the text's own constants."""
    constants = dict(re.findall(r"\bconst\s+(\w+)\s*(?::\s*u32\s*)?=\s*([^;]+);", _without_comments(wgsl)))
    inlined = expression
    while found := re.search(r"\b[A-Za-z_]\w*", inlined):
        inlined = inlined.replace(found[0], f"({constants[found[0]]})")
    return int(eval(inlined))
