"""The elementwise generator: WGSL for any number of operands, an index class and one expression.

A kernel is a `Body`, what is computed of each element, in a `Skeleton`: how its elements are found. The main
loops are in wgsl/elementwise/, a file for each index class; what depends on the operands is appended here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import prod

from rusty_py.errors import LimitError
from rusty_py.ops.grid import THREADS
from rusty_py.runtime.launch import Spec
from rusty_py.runtime.uniforms import SLOT_WORDS
from rusty_py.shapes import ceil_div
from rusty_py.views import Shape

NAMES = "xyzuvwrst"
"""What an expression calls its operands, in order."""

MAX_ARRAYS = 7
"""WebGPU promises eight storage buffers, and one is the result's."""

MAX_NUMBERS = 16
MAX_AXES = 8
_WORD = 0xFFFFFFFF
_LANES = "xyzw"


@dataclass(frozen=True)
class Body:
    """`expression` is WGSL of x, y, ...; `types` are those of the operands as buffers hold them.

    `helpers` are functions that the expression calls, `statements` what comes before it. `name` says what it
    is, and for which dtypes. `named` are the operands' names where they are not those of `NAMES`.
    """

    name: str
    types: tuple[str, ...]
    result: str
    expression: str
    helpers: str = ""
    statements: tuple[str, ...] = ()
    named: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """What the expression calls its operands."""
        return self.named or tuple(NAMES[: len(self.types)])

    @property
    def is_copy(self) -> bool:
        """Whether the result is the operand as it is."""
        return self.types == (self.result,) and self.expression == self.names[0] and not self.statements


@dataclass(frozen=True)
class Skeleton:
    """How the elements of each operand, and of the result, are found.

    index: "flat", "grid" or "general". `width` elements, 1, 4 or 8, are an item. Each operand's access is
    "vec4", neighbours in one load; "scalar", a load for each element; "one", an element that an item shares;
    or "number", which lies in the uniforms. `wide_axes`: "general" has more than four axes. Items of 8 are of
    f16, two in each word of a vec4, for large arrays: "flat", without "scalar".

    "indexed" elements are found from the first operand, x, by a helper of the body, `place(x) -> u32`: that
    many elements behind their place; "indexed vec4" are four neighbours for one x. The result may be stored
    so, too: `store` is "indexed" or "indexed vec4". Another helper says what is stored, `stored(x) -> bool`;
    it alone is asked with "masked".
    """

    index: str
    width: int
    access: tuple[str, ...]
    wide_axes: bool = False
    store: str = ""

    def __str__(self) -> str:
        axes = " of up to 8 axes" if self.wide_axes else ""
        stored = f", stored {self.store}" if self.store else ""
        return f"{self.width} wide{axes}: {' '.join(self.access)}{stored}"


@cache
def spec(body: Body, skeleton: Skeleton) -> Spec:
    """The kernel of a body in a skeleton. Raises LimitError for more operands than it takes."""
    numbers = skeleton.access.count("number")
    inputs = len(skeleton.access) - numbers
    if inputs > MAX_ARRAYS or numbers > MAX_NUMBERS or len(body.types) > len(body.names):
        raise LimitError(
            f"{body.name}: more operands than a kernel takes: {inputs} arrays and {numbers} numbers;"
            f" {MAX_ARRAYS} and {MAX_NUMBERS} at most, {len(NAMES)} together"
        )
    return Spec(
        f"elementwise/{skeleton.index}",
        inputs,
        1,
        THREADS,
        definitions=_text(body, skeleton),
        variant=f"{body.name}, {skeleton}",
    )


def uniforms(
    skeleton: Skeleton,
    sizes: Shape,
    starts: Sequence[int],
    strides: Sequence[Shape],
    numbers: Sequence[int],
    *,
    operation: str,
) -> list[int]:
    """The words of `Uniforms` for elements in a box of `sizes`, of which `strides` says each operand's.

    `starts` and `strides` are those of the operands that are arrays, then the result's. Raises LimitError
    where they are more than a launch has room for.
    """
    width, count = skeleton.width, len(starts)
    lanes = [stride[-1] & _WORD if stride else 0 for stride in strides]
    items = [*sizes[:-1], ceil_div(sizes[-1], width)] if sizes else [1]
    steps = [[*stride[:-1], stride[-1] * width] if stride else [0] for stride in strides]
    if skeleton.index == "flat":
        head = [items[0], prod(sizes) - 1, 0, 0]
        rows = [[stride[-1] if stride else 0, 0, 0, 0] for stride in strides]
    elif skeleton.index == "grid":
        head = [*reversed(items), *[1] * (4 - len(items))]
        rows = [[*reversed(step), *[0] * (4 - len(step))] for step in steps]
    else:
        axes = MAX_AXES if skeleton.wide_axes else 4
        head = [prod(items), len(items), 0, 0]
        rows = [[*each, *[0] * (axes - len(each))] for each in (items, *steps)]
    padding = [0] * (-count % 4)
    words = [*head, *numbers, *[0] * (4 * vec4s(len(numbers)) - len(numbers))]
    words += [*starts, *padding, *lanes, *padding]
    words += [word & _WORD for row in rows for word in row]
    if len(words) > SLOT_WORDS:
        raise LimitError(f"{operation}: more operands than a launch has room for: {count - 1} arrays")
    return words


def fits(inputs: int, numbers: int, axes: int) -> bool:
    """Whether a kernel, and the uniforms of a launch, have room for operands with so many axes in common."""
    count = inputs + 1
    rows = count if axes <= 1 else (count + 1) * (2 if axes > 4 else 1)
    words = 4 + 4 * vec4s(numbers) + 8 * ceil_div(count, 4) + 4 * rows
    return inputs <= MAX_ARRAYS and numbers <= MAX_NUMBERS and axes <= MAX_AXES and words <= SLOT_WORDS


def vec4s(numbers: int) -> int:
    """The vectors in the uniforms that have room for so many numbers."""
    return max(1, ceil_div(numbers, 4))


def _text(body: Body, skeleton: Skeleton) -> str:
    operands = [*zip(body.names, body.types, skeleton.access, strict=True)]
    arrays = [name for name, _, access in operands if access != "number"]
    return (
        _uniforms_text(len(arrays) + 1, len(operands) - len(arrays), skeleton)
        + _bindings(operands, body.result, skeleton)
        + body.helpers
        + _apply(operands, body)
        + _run(operands, arrays, body, skeleton)
    )


def _uniforms_text(count: int, numbers: int, skeleton: Skeleton) -> str:
    """`count` arrays, the result among them: places in vectors of four, in the order of the bindings."""
    places = ceil_div(count, 4)
    held = "vec4<u32>" if numbers <= 4 else f"array<vec4<u32>, {vec4s(numbers)}>"
    rows = (count + 1) * (2 if skeleton.wide_axes else 1) if skeleton.index == "general" else count
    return (
        f"struct Uniforms {{\n    sizes: vec4<u32>,\n    numbers: {held},\n"
        f"    starts: array<vec4<u32>, {places}>,\n    lanes: array<vec4<u32>, {places}>,\n"
        f"    strides: array<vec4<u32>, {rows}>,\n}}\n"
    )


def _bindings(operands: list[tuple[str, str, str]], result: str, skeleton: Skeleton) -> str:
    lines, number = [], 0
    for name, kind, access in operands:
        if access != "number":
            held = _vec4(kind, skeleton) if access in ("vec4", "indexed vec4") else kind
            lines.append(f"@group(0) @binding({number}) var<storage, read> {name}_in: array<{held}>;")
            number += 1
    held = result if skeleton.width == 1 else _vec4(result, skeleton)
    lines.append(f"@group(0) @binding({number}) var<storage, read_write> out: array<{held}>;")
    lines.append(f"@group(0) @binding({number + 1}) var<uniform> uniforms: Uniforms;")
    return "\n".join(lines) + "\n"


def _vec4(kind: str, skeleton: Skeleton) -> str:
    """The type of neighbours in one load."""
    return "vec4<u32>" if skeleton.width == 8 else f"vec4<{kind}>"


def _apply(operands: list[tuple[str, str, str]], body: Body) -> str:
    parameters = ", ".join(f"{name}: {kind}" for name, kind, _ in operands)
    lines = [*body.statements, f"return {body.expression};"]
    return f"fn apply({parameters}) -> {body.result} {{\n    " + "\n    ".join(lines) + "\n}\n"


_NUMBER = {"f32": "bitcast<f32>({})", "f16": "f16(bitcast<f32>({}))", "i32": "bitcast<i32>({})", "u32": "{}"}


def number_text(kind: str, word: str) -> str:
    """WGSL of the number of type `kind` whose word is `word`."""
    return _NUMBER[kind].format(word)


def _run(operands: list[tuple[str, str, str]], arrays: list[str], body: Body, skeleton: Skeleton) -> str:
    """fn run: where the item of each array begins, what is loaded of it, and what is stored."""
    lines = _starts(arrays, skeleton)
    number, numbers = 0, len(operands) - len(arrays)
    for name, kind, access in operands:
        if access == "number":
            held = "uniforms.numbers" if numbers <= 4 else f"uniforms.numbers[{number // 4}]"
            value = number_text(kind, f"{held}.{_LANES[number % 4]}")
            number += 1
        elif access == "vec4":
            value = f"{name}_in[{_vector(name, skeleton)}]"
        elif access == "indexed vec4":
            value = f"{name}_in[({name}_at + place(x)) / 4u]"
        elif access == "indexed":
            value = _indexed(name, kind, operands[0][2], arrays, skeleton)
        elif access == "one" or skeleton.width == 1:
            value = f"{name}_in[{name}_at]"
        else:
            each = [f"{name}_in[{_lane(arrays.index(name), name, lane, skeleton)}]" for lane in range(4)]
            value = f"vec4<{kind}>({', '.join(each)})"
        lines.append(f"let {name} = {value};")
    lines += _stores(operands, body, skeleton)
    place = "at: vec3<u32>" if skeleton.index == "grid" else "i: u32"
    return f"fn run({place}) {{\n    " + "\n    ".join(lines) + "\n}\n"


def _vector(name: str, skeleton: Skeleton) -> str:
    """The number of the vector with an item."""
    return f"{name}_at" if skeleton.index == "flat" else f"{name}_at / {skeleton.width}u"


def _indexed(name: str, kind: str, index: str, arrays: list[str], skeleton: Skeleton) -> str:
    """The elements of an item, each as far behind its place as the element of x says."""
    if skeleton.width == 1:
        return f"{name}_in[{name}_at + place(x)]"
    each = [
        f"{name}_in[{_lane(arrays.index(name), name, i, skeleton)} + place({_part('x', index, lane)})]"
        for i, lane in enumerate(_LANES)
    ]
    return f"vec4<{kind}>({', '.join(each)})"


def _stores(operands: list[tuple[str, str, str]], body: Body, skeleton: Skeleton) -> list[str]:
    """Lines that compute an item and store it, where `stored` says so if the skeleton asks."""
    index, store = operands[0][2], skeleton.store
    if skeleton.width == 1:
        call = f"apply({', '.join(name for name, _, _ in operands)})"
        at = "out_at + place(x)" if store == "indexed" else "out_at"
        line = f"out[{at}] = {call};"
        return ["if (stored(x)) {", f"    {line}", "}"] if store else [line]
    if skeleton.width == 8:
        return _words(operands, body)
    calls = [
        f"apply({', '.join(_part(name, access, lane) for name, _, access in operands)})" for lane in _LANES
    ]
    value = f"vec4<{body.result}>(\n        " + ",\n        ".join(calls) + ",\n    )"
    if store == "indexed vec4":
        return ["if (stored(x)) {", f"    out[(out_at + place(x)) / 4u] = {value};", "}"]
    if store == "masked":
        each = ", ".join(f"stored({_part('x', index, lane)})" for lane in _LANES)
        value = f"select(out[{_vector('out', skeleton)}], {value}, vec4<bool>({each}))"
    return [f"out[{_vector('out', skeleton)}] = {value};"]


def _words(operands: list[tuple[str, str, str]], body: Body) -> list[str]:
    """Lines that compute eight elements of f16 and store them, two in each word; a copy moves the words."""
    if body.is_copy and operands[0][2] == "vec4":
        return [f"out[out_at] = {operands[0][0]};"]
    vectors = [name for name, _, access in operands if access == "vec4"]
    lines = [f"let {name}_{lane} = halves_of({name}.{lane});" for lane in _LANES for name in vectors]
    words = []
    for lane in _LANES:
        parts = [(f"{name}_{lane}" if name in vectors else name, access) for name, _, access in operands]
        calls = [f"apply({', '.join(_part(*each, half) for each in parts)})" for half in "xy"]
        words.append(f"word_of({', '.join(calls)})")
    value = "vec4<u32>(\n        " + ",\n        ".join(words) + ",\n    )"
    return [*lines, f"out[out_at] = {value};"]


def _part(name: str, access: str, lane: str) -> str:
    """The operand of one of the elements of a vector."""
    return name if access in ("one", "number") else f"{name}.{lane}"


def _lane(array: int, name: str, lane: int, skeleton: Skeleton) -> str:
    """Where one of the four elements of an item lies."""
    if skeleton.index == "flat":
        stride = f"uniforms.strides[{array}].x"
        return f"position(uniforms.starts[{array // 4}].{_LANES[array % 4]}, {stride}, 4u * i + {lane}u)"
    return f"{name}_at + {lane}u * uniforms.lanes[{array // 4}].{_LANES[array % 4]}"


def _starts(arrays: list[str], skeleton: Skeleton) -> list[str]:
    """Lines that give each array's `_at`, where its item begins; the result's comes last.

    In elements, or in vectors where "flat" loads or stores them whole.
    """
    names = [*arrays, "out"]
    starts = [f"uniforms.starts[{i // 4}].{_LANES[i % 4]}" for i in range(len(names))]
    if skeleton.index == "flat":
        width, scattered = skeleton.width, skeleton.store == "indexed vec4"
        access = [each for each in skeleton.access if each != "number"]
        access.append("vec4" if width > 1 and not scattered else "one")
        first = f"{width}u * i" if width > 1 else "i"
        return [
            f"let {name}_at = {start} / {width}u + i;"
            if access[i] == "vec4"
            else f"let {name}_at = {start} + {first} * uniforms.strides[{i}].x;"
            for i, (name, start) in enumerate(zip(names, starts, strict=True))
        ]
    if skeleton.index == "grid":
        return [
            f"let {name}_at = {start} + "
            + " + ".join(f"at.{axis} * uniforms.strides[{i}].{axis}" for axis in "xyz")
            + ";"
            for i, (name, start) in enumerate(zip(names, starts, strict=True))
        ]
    vec4s = 2 if skeleton.wide_axes else 1
    axis = "left - 1u" if vec4s == 1 else "(left - 1u) % 4u"
    rows = [
        f"{i * vec4s}u" if vec4s == 1 else f"{i * vec4s}u + (left - 1u) / 4u" for i in range(len(names) + 1)
    ]
    return [
        *(f"var {name}_at = {start};" for name, start in zip(names, starts, strict=True)),
        "var rest = i;",
        "for (var left = uniforms.sizes.y; left > 0u; left--) {",
        f"    let size = uniforms.strides[{rows[0]}][{axis}];",
        "    let place = rest % size;",
        "    rest /= size;",
        *(
            f"    {name}_at += place * uniforms.strides[{row}][{axis}];"
            for name, row in zip(names, rows[1:], strict=True)
        ),
        "}",
    ]


def skeletons(arity: int) -> list[Skeleton]:
    """Skeletons of this many operands, none a number: each access of each operand, beside others and its own.

    What is appended for an operand depends on its own access alone.
    """
    kinds = ("vec4", "scalar", "one")
    rows = [(each,) * arity for each in kinds] + [
        tuple(kinds[(i + turn) % 3] for i in range(arity)) for turn in range(3)
    ]
    found = []
    for index, wide in (("flat", False), ("grid", False), ("general", False), ("general", True)):
        found.append(Skeleton(index, 1, ("scalar",) * arity, wide_axes=wide))
        found += [Skeleton(index, 4, access, wide_axes=wide) for access in rows]
    return list(dict.fromkeys(found))
