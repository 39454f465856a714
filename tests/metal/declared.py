"""What a WGSL text declares, read without a compiler. Its overrides must be baked."""

import re
from math import prod

_SCALAR_BYTES = {"f16": 2, "f32": 4, "i32": 4, "u32": 4, "atomic<i32>": 4, "atomic<u32>": 4}


def names(wgsl: str) -> set[str]:
    """The identifiers that `wgsl` gives to its variables, functions, parameters, types and members."""
    code = without_comments(wgsl)
    keyword = r"(?:var\s*(?:<[^>]*>)?|let|const|override|fn|struct|alias)"
    after_keyword = re.findall(rf"\b{keyword}\s*\b([A-Za-z_]\w*)", code)
    before_colon = re.findall(r"\b([A-Za-z_]\w*)\s*:", code)
    return {*after_keyword, *before_colon} - {"default"}  # Of a switch.


def threads(wgsl: str) -> int:
    """The threads of one workgroup."""
    code = without_comments(wgsl)
    (sizes,) = re.findall(r"@workgroup_size\(([^)]*)\)", code)
    return prod(_value(size, code) for size in sizes.split(",") if size.strip())


def workgroup_bytes(wgsl: str) -> int:
    """The memory of one workgroup. Raises KeyError for a type it does not know."""
    code = without_comments(wgsl)
    kinds = re.findall(r"var\s*<workgroup>\s*\w+\s*:\s*([^;]+);", code)
    return sum(_size_bytes(kind.strip(), code) for kind in kinds)


def bindings(wgsl: str) -> dict[int, tuple[str, str]]:
    """The name and address space of each binding, by its number."""
    found = re.findall(r"@binding\((\d+)\)\s*var\s*<([^>]*)>\s*(\w+)", without_comments(wgsl))
    by_number = {int(number): (name, space) for number, space, name in found}
    assert len(by_number) == len(found)
    return by_number


def without_comments(wgsl: str) -> str:
    """The text, blank where its comments were."""
    return re.sub(r"(?s:/\*.*?\*/)|//[^\n]*", "", wgsl)


def _size_bytes(kind: str, code: str) -> int:
    aliases = dict(re.findall(r"\balias\s+(\w+)\s*=\s*([^;]+);", code))
    while kind in aliases:
        kind = aliases[kind].strip()
    if array := re.fullmatch(r"array<(.+),([^,]+)>", kind):
        return _size_bytes(array[1].strip(), code) * _value(array[2], code)
    if vector := re.fullmatch(r"vec([24])<(\w+)>", kind):
        return int(vector[1]) * _size_bytes(vector[2], code)
    if members := re.search(rf"\bstruct {kind} \{{([^}}]*)\}}", code):  # Of members of one size.
        return sum(_size_bytes(each, code) for each in re.findall(r":\s*(\w+)", members[1]))
    return _SCALAR_BYTES[kind]


def _value(expression: str, code: str) -> int:
    """The value of an expression of literals and the text's constants."""
    constants = dict(re.findall(r"\bconst\s+(\w+)\s*(?::\s*u32\s*)?=\s*([^;]+);", code))
    plain = re.sub(r"\b(\d+)u\b", r"\1", expression).replace("/", "//")
    inlined = re.sub(r"\b[A-Za-z_]\w*", lambda name: str(_value(constants[name[0]], code)), plain)
    return int(eval(inlined.strip()))  # Only digits and operators are left.
