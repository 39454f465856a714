"""WGSL of reductions: a monoid, and an expression of each element, in a kernel for the shape of the job.

The kernels are in wgsl/reduce/; what depends on the operands, their layouts and the monoid is appended here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from rusty_py import shaders
from rusty_py.dtypes import Dtype
from rusty_py.errors import LimitError
from rusty_py.ops.generator import Body, number_text
from rusty_py.ops.grid import THREADS
from rusty_py.ops.reduce.box import Box
from rusty_py.ops.reduce.monoid import Monoid
from rusty_py.runtime.launch import Spec
from rusty_py.runtime.uniforms import SLOT_WORDS
from rusty_py.shapes import ceil_div

MAX_ARRAYS = 6
"""What the uniforms have room for."""

_LANES = "xyzw"
_WORD = 0xFFFFFFFF


@dataclass(frozen=True)
class Stage:
    """What a pass reads and leaves: `monoid` of the values of `body`, computed in `computed`.

    Without a body, it reads accumulators. `result` is the WGSL type of the final results; "" leaves
    accumulators for another pass.
    """

    name: str
    monoid: Monoid
    computed: Dtype
    body: Body | None
    result: str

    @property
    def types(self) -> tuple[str, ...]:
        """The WGSL types of the operands as buffers hold them."""
        return self.body.types if self.body else (self.monoid.total(self.computed),)

    @property
    def out(self) -> str:
        """The WGSL type of what a pass leaves."""
        return self.result or self.monoid.total(self.computed)

    def __str__(self) -> str:
        return f"{self.name} of {self.body.name if self.body else self.types[0]} to {self.out}"


@dataclass(frozen=True)
class Form:
    """A kernel, and how its threads find elements.

    kernel: "threads", "rows" or "columns". `access` of each operand: "vec4", four neighbours in one load;
    "scalar", a load for each element; "one", an element that a four shares; or "number", which is in the
    uniforms. With `vec4`, a thread takes four neighbours at a time. `outer_axes` is 1 or 3, `reduced_axes` 1
    or 2. `across` is how many threads share a row, or are next to each other along columns.
    """

    kernel: str
    access: tuple[str, ...]
    vec4: bool = False
    outer_axes: int = 1
    reduced_axes: int = 1
    threads: int = THREADS
    across: int = 1
    subgroups: bool = False

    @property
    def per_group(self) -> int:
        """Rows, columns or results of a workgroup."""
        if self.kernel == "columns":
            return self.across * (4 if self.vec4 else 1)
        return self.threads // self.across if self.kernel == "rows" else self.threads

    def __str__(self) -> str:
        said = f"4 wide: {' '.join(self.access)}" if self.vec4 else " ".join(self.access)
        if self.kernel != "threads":
            said += f", {self.across} of {self.threads}"
        if (self.outer_axes, self.reduced_axes) != (1, 1):
            said += f", {self.outer_axes} by {self.reduced_axes} axes"
        return f"{said}, subgroups" if self.subgroups else said


def fits(arrays: int, numbers: int) -> bool:
    """Whether the uniforms of a launch have room for so many operands."""
    return arrays <= MAX_ARRAYS and 12 + 4 * _vec4s(numbers) + 8 * arrays <= SLOT_WORDS


def _vec4s(numbers: int) -> int:
    """The vectors in the uniforms that have room for so many numbers."""
    return max(1, ceil_div(numbers, 4))


@cache
def spec(stage: Stage, form: Form) -> Spec:
    """The kernel of a stage in a form. Raises LimitError for more operands than it takes."""
    numbers = form.access.count("number")
    inputs = len(form.access) - numbers
    if not fits(inputs, numbers):
        raise LimitError(
            f"{stage.name}: more operands than a reduction takes: {inputs} arrays and {numbers} numbers;"
            f" {MAX_ARRAYS} arrays at most, and fewer with more than four numbers"
        )
    totals = {"threads": 0, "rows": form.threads, "columns": form.threads * (4 if form.vec4 else 1)}
    nbytes = totals[form.kernel] * stage.monoid.nbytes(stage.computed)
    return Spec(
        f"reduce/{form.kernel}",
        inputs,
        1,
        form.threads,
        nbytes // 4 if form.subgroups else nbytes,
        definitions=_text(stage, form),
        variant=f"{stage}, {form}",
    )


def uniforms(
    box: Box, *, count: int, width: int, chunk: int, number: int, numbers: Sequence[int], first: int = 0
) -> list[int]:
    """The words of wgsl/reduce/uniforms.wgsl."""
    sizes = [*(1,) * (3 - len(box.outer)), *box.outer]
    reduced = box.reduced[-1] if box.reduced else 1
    words: list[int] = [count, box.n, width, chunk, box.inner, reduced, number, first]
    words += [*sizes[1:], 0, 0]
    words += [*numbers, *[0] * (4 * _vec4s(len(numbers)) - len(numbers))]
    for place in box.places:
        # With one reduced axis its stride comes first; with up to one outer axis, too.
        along = [*place.reduced, *(0,) * (2 - len(place.reduced))]
        outer = place.outer if len(box.outer) < 2 else (*(0,) * (3 - len(box.outer)), *place.outer)
        words += [place.start, place.inner & _WORD, *(each & _WORD for each in along)]
        words += [each & _WORD for each in (*outer, *(0,) * (4 - len(outer)))]
    return words


def _text(stage: Stage, form: Form) -> str:
    arrays = [(name, kind, how) for name, kind, how in _operands(stage, form) if how != "number"]
    parts = [
        f"const ARRAYS: u32 = {len(arrays)}u;\n",
        f"const NUMBERS: u32 = {_vec4s(form.access.count('number'))}u;\n",
        shaders.read("reduce/uniforms"),
        _bindings(arrays, stage.out),
        stage.monoid.text(stage.computed, of_totals=stage.body is None),
        _rows_text([name for name, _, _ in arrays], form),
        _values_text(stage),
        _element_text(stage, form),
        _store_text(stage),
    ]
    if form.kernel == "rows":
        parts += [_row_kernel_text(stage, form)]
    if form.kernel == "columns":
        parts += [_column_kernel_text(stage, form)]
    return "".join(parts)


def _operands(stage: Stage, form: Form) -> list[tuple[str, str, str]]:
    names = stage.body.names if stage.body else ("x",)
    return [*zip(names, stage.types, form.access, strict=True)]


def _bindings(arrays: list[tuple[str, str, str]], out: str) -> str:
    lines = [
        f"@group(0) @binding({i}) var<storage, read> {name}_in:"
        f" array<{f'vec4<{kind}>' if how == 'vec4' else kind}>;"
        for i, (name, kind, how) in enumerate(arrays)
    ]
    lines.append(f"@group(0) @binding({len(arrays)}) var<storage, read_write> out: array<{out}>;")
    lines.append(f"@group(0) @binding({len(arrays) + 1}) var<uniform> uniforms: Uniforms;")
    return "\n".join(lines) + "\n"


def _rows_text(names: list[str], form: Form) -> str:
    """Row and row_at()."""
    members = "".join(f"    {name}_at: u32,\n" for name in names)
    if form.outer_axes == 1:
        split, lines = "", [f"o * uniforms.places[{k}].outer.x" for k in range(len(names))]
    else:
        lines = [f"dot(at, uniforms.places[{k}].outer.xyz)" for k in range(len(names))]
        split = (
            "    let sizes = uniforms.outer_sizes;\n    let rest = o / sizes.y;\n"
            "    let at = vec3<u32>(rest / sizes.x, rest % sizes.x, o % sizes.y);\n"
        )
    starts = [
        f"uniforms.places[{k}].start + {line} + q * uniforms.places[{k}].inner"
        for k, line in enumerate(lines)
    ]
    made = ",\n        ".join(starts)
    return (
        f"struct Row {{\n{members}}}\n"
        f"fn row_at(o: u32, q: u32) -> Row {{\n{split}    return Row(\n        {made},\n    );\n}}\n"
    )


def _values_text(stage: Stage) -> str:
    """source(), the expression of the operands, and value(), what the monoid makes of it."""
    body = stage.body
    if body is None:
        return ""
    parameters = ", ".join(f"{name}: {kind}" for name, kind in zip(body.names, body.types, strict=True))
    lines = "\n    ".join([*body.statements, f"return {body.expression};"])
    source = f"fn source({parameters}) -> {body.result} {{\n    {lines}\n}}\n"
    return body.helpers + source + stage.monoid.value_text(stage.computed)


def _element_text(stage: Stage, form: Form) -> str:
    """offset(), where element i of a row is in each array, and element()."""
    arrays = [name for name, _, how in _operands(stage, form) if how != "number"]
    split = ""
    if form.reduced_axes == 1:
        offsets = [f"i * uniforms.places[{k}].reduced.x" for k in range(len(arrays))]
    else:
        split = "    let at = vec2<u32>(i / uniforms.reduced_size, i % uniforms.reduced_size);\n"
        offsets = [f"dot(at, uniforms.places[{k}].reduced)" for k in range(len(arrays))]
    moved = ", ".join(f"row.{name}_at + {offset}" for name, offset in zip(arrays, offsets, strict=True))
    loads = {
        name: f"{name}_in[at.{name}_at / 4u][at.{name}_at % 4u]"
        if how == "vec4"
        else f"{name}_in[at.{name}_at]"
        for name, _, how in _operands(stage, form)
    }
    return (
        f"fn at_element(row: Row, i: u32) -> Row {{\n{split}    return Row({moved});\n}}\n"
        "fn element(row: Row, i: u32) -> Value {\n    let at = at_element(row, i);\n"
        f"    return {_computed(stage, form, loads)};\n}}\n"
    )


def _computed(stage: Stage, form: Form, loads: dict[str, str]) -> str:
    """The value of an element whose operands are `loads`."""
    if stage.body is None:
        return loads["x"]
    given, number = [], 0
    for name, kind, how in _operands(stage, form):
        if how == "number":
            given.append(number_text(kind, f"uniforms.numbers[{number // 4}].{_LANES[number % 4]}"))
            number += 1
        else:
            given.append(loads[name])
    return f"value({stage.computed.wgsl}(source({', '.join(given)})))"


def _four_text(stage: Stage, form: Form, stride: str) -> str:
    """Four neighbours from `at` on; `stride` is the member of Place that leads from one to the next."""
    lines, lanes = [], []
    arrays = 0
    for name, _, how in _operands(stage, form):
        if how == "vec4":
            lines.append(f"    let {name} = {name}_in[at.{name}_at / 4u];\n")
        elif how == "one":
            lines.append(f"    let {name} = {name}_in[at.{name}_at];\n")
        elif how == "scalar":
            lines.append(f"    let {name}_step = uniforms.places[{arrays}].{stride};\n")
        arrays += how != "number"
    for k, lane in enumerate(_LANES):
        loads = {
            name: {
                "vec4": f"{name}.{lane}",
                "one": name,
                "scalar": f"{name}_in[at.{name}_at + {k}u * {name}_step]",
            }.get(how, "")
            for name, _, how in _operands(stage, form)
        }
        lanes.append(_computed(stage, form, loads))
    made = ",\n        ".join(lanes)
    return f"{''.join(lines)}    return Four(\n        {made},\n    );\n"


def _store_text(stage: Stage) -> str:
    plain = stage.monoid.finish == "x" and stage.result == stage.monoid.total(stage.computed)
    if not stage.result or plain:
        return "fn store(at: u32, x: Total) {\n    out[at] = x;\n}\n"
    finish = stage.monoid.finish
    number = "    let number = bitcast<f32>(uniforms.number);\n" if "number" in finish else ""
    return f"fn store(at: u32, x: Total) {{\n{number}    out[at] = {stage.result}({finish});\n}}\n"


def _row_kernel_text(stage: Stage, form: Form) -> str:
    constants = {"ROWS": form.per_group, "ROW_THREADS": form.across, "STEP": 1 if form.vec4 else form.across}
    text = shaders.constants(constants)
    text += stage.monoid.sixteen_text(of_totals=stage.body is None)
    if form.vec4:
        stride = "reduced.x" if form.reduced_axes == 1 else "reduced.y"
        # A single array may begin anywhere: what comes before its first whole vec4 is loaded one by one.
        alone = form.access == ("vec4",) and form.reduced_axes == 1
        (name, _, _), *_ = _operands(stage, form)
        head = f"(0u - row.{name}_at) & 3u" if alone else "0u"
        four = f"    let at = at_element(row, i);\n{_four_text(stage, form, stride)}"
    else:
        head = "0u"
        elements = ", ".join(f"element(row, i + {k}u * STEP)" for k in range(4))
        four = f"    return Four({elements});\n"
    text += f"fn head(row: Row) -> u32 {{\n    return {head};\n}}\n"
    text += f"fn four(row: Row, i: u32) -> Four {{\n{four}}}\n"
    if form.subgroups:
        return text + stage.monoid.shuffle_text() + shaders.read("reduce/subgroups")
    return text + shaders.read("reduce/tree")


def _column_kernel_text(stage: Stage, form: Form) -> str:
    constants = {"DEPTH": form.threads // form.across, "LANES": form.across, "WIDTH": 4 if form.vec4 else 1}
    text = shaders.constants(constants)
    if form.vec4:
        text += "alias Items = Four;\n"
        load = f"    let at = at_element(row, i);\n{_four_text(stage, form, 'inner')}"
    else:
        text += "alias Items = array<Value, 1>;\n"
        load = "    return Items(element(row, i));\n"
    return f"{text}fn load(row: Row, i: u32) -> Items {{\n{load}}}\n"
