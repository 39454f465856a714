"""Metal text as C++ for the stand-in below metal/, line by line, so that the compiler's lines stay true."""

import re
from dataclasses import dataclass

from rusty_py.checker.translate import EntryPoint
from rusty_py.errors import ShaderError, ToolError

_SPACES = {"device": "storage", "constant": "uniform", "threadgroup": "workgroup"}
_MACROS = {*_SPACES, "thread", "kernel", "NAN", "INFINITY", "defined", "include"}
_INDEX = "thread_index_in_threadgroup"


@dataclass(frozen=True)
class Parameter:
    """A parameter of a Metal kernel. `space` is empty for built-in values, which `attribute` names."""

    kind: str
    name: str
    attribute: str

    @property
    def space(self) -> str:
        return _SPACES.get(self.kind.split()[0], "")


def parameters(msl: str, entry: EntryPoint) -> list[Parameter]:
    """What the kernel takes, in order; naga writes one a line."""
    head = re.search(rf"\bkernel void {entry.metal_name}\(\n(.*?)\n\) \{{", msl, re.DOTALL)
    found = []
    for line in head[1].split("\n") if head else ():
        declared, _, attribute = line[2:].partition("[[")
        kind, name = declared.strip().rsplit(" ", 1)
        found.append(Parameter(kind, name, attribute.strip(" ]")))
    return found


def cpp(msl: str, entry: EntryPoint) -> str:
    """The C++ text: the kernel in a namespace of its own, and behind it what the runner calls.

    Raises ShaderError where the kernel is given what the runner does not have.
    """
    given = parameters(msl, entry)
    if others := [each.name for each in given if each.attribute.startswith("user(") and not each.space]:
        raise ShaderError(f"check: buffers only, no textures or samplers: {', '.join(others)}")
    text = _with_checked_arrays(msl)
    if any(each.space == "workgroup" for each in given):
        text = _without_zeroing(text, entry, given)
    text = _with_counted_loops(text)
    text = re.sub(r"(?m)^    char _pad(\d+)\[(\d+)\];$", r"    ::checker::padding<\2> _pad\1;", text)
    # naga's helpers go into their callers, so that a fault in one has its caller's line.
    text = re.sub(r"(?m)^(?=[\w:]+ naga_\w+\()", "inline __attribute__((always_inline)) ", text)
    # The text's own stay calls, so that the runtime knows by which call a thread came to a barrier.
    text = re.sub(r"(?m)^(?=[\w:]+ \w+\($)", "__attribute__((noinline)) ", text)
    # This one it writes for two address spaces, which C++ does not tell apart.
    twice = r"template <typename A>\n[^\n]* naga_atomic_compare\w+\(\n    threadgroup A .*?\n\}\n"
    text = re.sub(twice, _blank, text, flags=re.DOTALL)
    text = re.sub(r"(?m)^#include .*$", "", text)
    return (
        f"{_head(msl)}{_no_macros(msl)}"
        f'namespace kernel_text {{\n#line 1 "kernel.metal"\n{text}\n'
        f'#line 1 "entry"\n{_entry_point(entry, given)}{_description(msl, given)}}}\n'
    )


def _with_checked_arrays(msl: str) -> str:
    msl = re.sub(r"(?m)^typedef (.+) (\w+)\[1\];$", r"typedef metal::runtime_array<\1> \2;", msl)
    return re.sub(r"(?m)^    (.+) inner\[(\d+)\];$", r"    metal::fixed_array<\1, \2> inner;", msl)


def _without_zeroing(msl: str, entry: EntryPoint, given: list[Parameter]) -> str:
    """Without the zeros that naga puts into workgroup memory first: wgpu-native tells it not to."""
    index = next((each.name for each in given if each.attribute == _INDEX), "")
    body = msl.index("\n) {\n", msl.index(f"kernel void {entry.metal_name}(")) + len("\n) {\n")
    # Before it may come the thread's private variables.
    zeroing = re.compile(
        rf"((?:    [^\n]*;\n)*?)(    if \({index} == 0u\) \{{\n.*?\n    \}}\n"
        rf"    metal::threadgroup_barrier\([^\n]*\);\n)",
        re.DOTALL,
    )
    found = zeroing.match(msl, body)
    if found is None:  # Else what is read before it is written would be zero.
        raise ToolError(
            "check: naga's Metal text does not begin as it used to: no zeros for workgroup memory"
        )
    return msl[:body] + found[1] + "\n" * found[2].count("\n") + msl[found.end() :]


def _with_counted_loops(msl: str) -> str:
    """Without naga's bounds on loops, which wgpu-native leaves out of modules without checks: we count."""
    for bound in (
        r"uint2 loop_bound\w* = uint2\(4294967295u\);",
        r"if \(metal::all\(loop_bound\w* == uint2\(0u\)\)\) \{ break; \}",
        r"loop_bound\w* -= uint2\(loop_bound\w*\.y == 0u, 1u\);",
    ):
        msl = re.sub(rf"(?m)^ *{bound}$", "", msl)
    return msl.replace("while(true) {", "for (::checker::turns __turns(__LINE__); __turns.next();) {")


def _blank(found: re.Match[str]) -> str:
    return "\n" * found[0].count("\n")


def _no_macros(msl: str) -> str:
    """The words of the text, which C's headers may have macros for, like UINT32_MAX, as words."""
    words = set(re.findall(r"\b[A-Za-z]\w*", msl)) - _MACROS
    return "".join(f"#undef {word}\n" for word in sorted(words))


def _swizzles(msl: str) -> str:
    """For each width of vector, a macro that declares the swizzles the text uses; '' where it uses none."""
    declared: dict[int, list[str]] = {2: [], 3: [], 4: []}
    for name in sorted(set(re.findall(r"\.([xyzw]{2,4})\b", msl))):
        indices = ["xyzw".index(letter) for letter in name]
        kind = f"vec<T, {len(name)}>"
        values = ", ".join(f"elements[{i}]" for i in indices)
        declared[max(2, max(indices) + 1)].append(
            f"{kind} get_{name}() const {{ return {kind}({values}); }}"
            f" __declspec(property(get = get_{name})) {kind} {name};"
        )
    if not any(declared.values()):
        return ""
    return "".join(f"#define SWIZZLES_OF_{width} {' '.join(texts)}\n" for width, texts in declared.items())


COMMON_HEADER = "no_swizzles.h"
COMMON_HEAD = f'#include "{COMMON_HEADER}"\n'
"""What every text without swizzles begins with."""


def _head(msl: str) -> str:
    swizzles = _swizzles(msl)
    if not swizzles:
        return COMMON_HEAD
    return f'#include "../runtime/launch.h"\n{swizzles}#include <metal_stdlib>\n'


def _entry_point(entry: EntryPoint, given: list[Parameter]) -> str:
    """One thread, as launch.h declares it. In WGSL no name begins with two underscores."""
    arguments: list[str] = []
    variables = 0
    for each in given:
        if each.space:
            arguments.append(f"*static_cast<{_plain(each.kind)}*>(__variables[{variables}])")
            variables += 1
        elif each.kind.endswith("3"):
            arguments.append(f"{each.kind}({', '.join(f'__ids.{each.attribute}[{i}]' for i in range(3))})")
        else:
            arguments.append(f"__ids.{each.attribute}")
    return (
        f'{_EXPORTED} __attribute__((no_sanitize("thread", "undefined")))\n'
        "void __kernel_entry(const ::ThreadIds& __ids, void* const* __variables) {\n"
        f"    {entry.metal_name}({', '.join(arguments)});\n}}\n"
    )


def _description(msl: str, given: list[Parameter]) -> str:
    """The variables in shared memory, as launch.h declares them."""
    variables = []
    for each in given:
        if each.space:
            kind = _plain(each.kind)
            sizes = f"sizeof({kind}), ::checker::element<{kind}>::bytes"
            variables.append(f'{{"{each.name}", ::Space::{each.space}, {sizes}}}')
    granule = 1 if _STORED_BOOL.search(msl) else 2 if re.search(r"\bhalf", msl) else 4
    return (
        f"{_EXPORTED} const ::Variable __kernel_variables[] = {{{', '.join(variables) or '{}'}}};\n"
        f"{_EXPORTED} const uint32_t __kernel_variable_count = {len(variables)};\n"
        f"{_EXPORTED} const uint32_t __kernel_granule = {granule};\n"
    )


_STORED_BOOL = re.compile(r"(?m)^    (metal::)?bool[234]? \w+(\[\d+\])?;$|\bthreadgroup (metal::)?bool")
"""As a member or an element, or as a variable of the workgroup. A thread's own have a value at once."""

_EXPORTED = 'extern "C" __attribute__((visibility("default")))'


def _plain(kind: str) -> str:
    return f"::std::remove_const_t<::std::remove_reference_t<{kind}>>"
