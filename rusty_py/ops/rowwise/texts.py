"""The WGSL of kernels of row operations: what wgsl/rowwise says is appended to its skeletons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from rusty_py import shaders
from rusty_py.dtypes import Dtype
from rusty_py.ops.generator import number_text, vec4s
from rusty_py.ops.rowwise.kernel import (
    MIN_SUBGROUP,
    READS_STATES,
    WHOLE,
    WRITES_STATES,
    Access,
    RowFunction,
    Tile,
)
from rusty_py.runtime.launch import Spec


@cache
def kernel_spec(
    function: RowFunction,
    tile: Tile,
    operands: tuple[Access, ...],
    vectors: tuple[Access, ...],
    result: Dtype,
    states: str = WHOLE,
) -> Spec:
    """A kernel for arrays of these accesses. `vectors` are the first of those that the function takes."""
    vectors = vectors[: len(function.vectors_of(states))]
    text = Text(function, tile, operands, vectors, result, states)
    kinds = " ".join(map(str, (*operands, *vectors)))
    return Spec(
        f"rowwise/{tile.skeleton}",
        len(operands) + len(vectors) + (states == READS_STATES),
        1,
        tile.threads,
        4 * text.kept * len(function.fields),
        definitions=text.constants() + text.arrays() + text.functions(),
        variant=f"{function.name}{states and f', {states} half'}, {tile}: {kinds} to {result.name}",
    )


@dataclass(frozen=True)
class Text:
    """The WGSL of a kernel beside its skeleton."""

    function: RowFunction
    tile: Tile
    operands: tuple[Access, ...]
    vectors: tuple[Access, ...]
    result: Dtype
    states: str

    @property
    def named(self) -> list[tuple[str, Access]]:
        """The arrays that are loaded: operands, then vectors."""
        names = (*self.function.operands, *self.function.vectors)
        return [*zip(names, (*self.operands, *self.vectors), strict=False)]

    @property
    def kept(self) -> int:
        """The states in workgroup memory: of each thread, or each subgroup, and one where it is not used."""
        tile = self.tile
        if tile.lanes == 1 or (tile.skeleton != "tree" and tile.rows > 1):
            return 1
        return tile.threads if tile.skeleton == "tree" else tile.threads // MIN_SUBGROUP

    def constants(self) -> str:
        """Sizes and types."""
        tile = self.tile
        numbers = {"THREADS": tile.threads, "LANES": tile.lanes, "SLOTS": tile.slots}
        numbers |= {"WIDTH": tile.width, "KEPT": self.kept * len(self.function.fields)}
        flags: dict[str, bool] = {}
        if tile.skeleton == "tree":
            flags = {"ONCE": tile.once, "WRITES_STATES": self.states == WRITES_STATES}
            flags |= {"READS_STATES": self.states == READS_STATES}
        elif tile.skeleton == "sums":
            flags = {"BIAS": len(self.function.vectors) > 1}
        text = shaders.constants({**numbers, **flags})
        return text + f"alias part = {'vec4<f32>' if tile.width == 4 else 'f32'};\n"

    def arrays(self) -> str:
        """The uniforms, the bindings, and where a row begins in each array."""
        names, numbers = [name for name, _ in self.named], len(self.function.numbers)
        lines = [
            "struct Uniforms {",
            "    rows: u32,\n    n: u32,\n    parts: u32,\n    chunk: u32,",
            "    inner: u32,\n    groups: u32,\n    neighbours: u32,\n    epsilon: f32,",
            *([f"    numbers: array<vec4<u32>, {vec4s(numbers)}>,"] if numbers else []),
            f"    places: array<vec4<u32>, {len(names) + 1}>,\n}}",
        ]
        for i, (name, access) in enumerate(self.named):
            held = f"vec4<{access.dtype.wgsl}>" if access.load == "vec4" else access.dtype.wgsl
            lines.append(f"@group(0) @binding({i}) var<storage, read> {name}_in: array<{held}>;")
        last = len(names)
        if self.states == READS_STATES:
            lines.append(f"@group(0) @binding({last}) var<storage, read> states: array<f32>;")
            last += 1
        held = f"vec4<{self.result.wgsl}>" if self.tile.width == 4 else self.result.wgsl
        held = "f32" if self.states == WRITES_STATES else held
        lines += [
            f"@group(0) @binding({last}) var<storage, read_write> out: array<{held}>;",
            f"@group(0) @binding({last + 1}) var<uniform> uniforms: Uniforms;",
            f"struct Starts {{ {', '.join(f'{name}: u32' for name in (*names, 'out'))} }}",
            "fn starts(row: u32) -> Starts {",
            "    let outer = row / uniforms.inner;\n    let inner = row % uniforms.inner;",
            f"    return Starts({', '.join(map(self._start, range(len(names) + 1)))});\n}}",
        ]
        return "\n".join(lines) + "\n"

    def _start(self, i: int) -> str:
        place = f"uniforms.places[{i}]"
        if len(self.operands) <= i < len(self.named):
            return f"{place}.x" + (
                f" + row % uniforms.groups * {place}.y" if self.named[i][1].grouped else ""
            )
        return f"{place}.x + outer * {place}.y + inner * {place}.z"

    def functions(self) -> str:
        """What is loaded, what is stored, and what is kept; the functions of the operation."""
        return (
            self._elements()
            + "".join(shaders.read(f"rowwise/{name}") for name in self.function.texts)
            + self._horizontal()
            + self._state()
            + self._store()
        )

    def _elements(self) -> str:
        operands, elements = self.function.operands, self.function.elements
        vectors = [name for name, _ in self.named[len(operands) :]]
        loads = []
        for name in elements:
            scale = (
                f" * load_{vectors[0]}(at.{vectors[0]}, i)"
                if name == self.function.scaled and vectors
                else ""
            )
            loads.append(
                f"load_{name}(at.{name}, i){scale}"
                if self.function.source is None
                else f"computed(at, i){scale}"
            )
        return (
            f"struct Elements {{ {', '.join(f'{name}: part' for name in elements)} }}\n"
            + "".join(self._load(i) for i in range(len(self.named)))
            + self._source()
            + f"fn load(at: Starts, i: u32) -> Elements {{\n    return Elements({', '.join(loads)});\n}}\n"
        )

    def _source(self) -> str:
        """The expression of the operands, and the function that loads an item of its values."""
        body, count = self.function.source, len(self.function.operands)
        if body is None:
            return ""
        parameters = ", ".join(f"{name}: {kind}" for name, kind in zip(body.names, body.types, strict=True))
        text = body.helpers
        text += _function(
            f"source({parameters}) -> {body.result}", [*body.statements, f"return {body.expression};"]
        )
        lines = [f"let {name} = load_{name}(at.{name}, i);" for name in body.names[:count]]
        for k, (name, kind) in enumerate(zip(body.names[count:], body.types[count:], strict=True)):
            word = f"uniforms.numbers[{k // 4}].{'xyzw'[k % 4]}"
            lines.append(f"let {name} = {number_text(kind, word)};")
        lanes = [f".{lane}" for lane in "xyzw"] if self.tile.width == 4 else [""]
        values = [
            f"f32(source({', '.join(name + lane * (k < count) for k, name in enumerate(body.names))}))"
            for lane in lanes
        ]
        lines.append(f"return part({', '.join(values)});")
        return text + _function("computed(at: Starts, i: u32) -> part", lines)

    def _load(self, index: int) -> str:
        """The function that loads the item of an array at element i of a row that begins at `at`."""
        (name, access), lanes = self.named[index], range(self.tile.width)
        at = (
            f"at + (i + {{}}u) / uniforms.neighbours * uniforms.places[{index}].w"
            if access.grouped
            else (f"at + (i + {{}}u) * uniforms.places[{index}].w")
        )
        if self.function.source is not None and index < len(self.operands):
            return self._load_unchanged(name, access, at)
        if access.load == "vec4":
            value = f"part({name}_in[(at + i) / 4u])"
        elif access.load == "one":
            value = f"part(f32({name}_in[{at.format(0)}]))"
        else:
            value = f"part({', '.join(f'f32({name}_in[{at.format(lane)}])' for lane in lanes)})"
        return f"fn load_{name}(at: u32, i: u32) -> part {{\n    return {value};\n}}\n"

    def _load_unchanged(self, name: str, access: Access, at: str) -> str:
        """As `_load`, in the array's own type."""
        kind = access.dtype.wgsl
        item = f"vec4<{kind}>" if self.tile.width == 4 else kind
        each = [f"{name}_in[{at.format(lane)}]" for lane in range(self.tile.width)]
        value = f"{name}_in[(at + i) / 4u]" if access.load == "vec4" else f"{item}({', '.join(each)})"
        return _function(f"load_{name}(at: u32, i: u32) -> {item}", [f"return {value};"])

    def _horizontal(self) -> str:
        """The sum, and the largest, of the elements of an item."""
        if self.tile.width == 1:
            total, largest = "x", "x"
        else:
            total, largest = "(x.x + x.y) + (x.z + x.w)", "max(max(x.x, x.y), max(x.z, x.w))"
        return (
            f"fn sum_of(x: part) -> f32 {{\n    return {total};\n}}\n"
            f"fn max_of(x: part) -> f32 {{\n    return {largest};\n}}\n"
        )

    def _state(self) -> str:
        """How states are moved: through workgroup memory, buffers and shuffles, a field at a time."""
        fields, count = self.function.fields, len(self.function.fields)
        kept = [f"kept[{i * self.kept}u + i]" for i in range(count)]
        stored = [f"i * {count}u + {i}u" for i in range(count)]
        text = _function(
            "keep(i: u32, state: State)", [f"{x} = state.{y};" for x, y in zip(kept, fields, strict=True)]
        )
        text += _function("kept_state(i: u32) -> State", [f"return State({', '.join(kept)});"])
        if self.tile.skeleton != "tree":
            shuffled = ", ".join(f"subgroupShuffleXor(state.{each}, mask)" for each in fields)
            text += _function("shuffled(state: State, mask: u32) -> State", [f"return State({shuffled});"])
            return text + shaders.read("rowwise/subgroup_states")
        writes = [f"out[{x}] = state.{y};" for x, y in zip(stored, fields, strict=True)]
        text += _function("store_state(i: u32, state: State)", writes if self.states == WRITES_STATES else [])
        read = f"State({', '.join(f'states[{each}]' for each in stored)})"
        known = read if self.states == READS_STATES else "identity()"
        return text + _function("state_of(i: u32) -> State", [f"return {known};"])

    def _store(self) -> str:
        """The function that computes and stores an item of the result, or of a sum over rows."""
        given = {name for name, _ in self.named}
        values = ["own", "row"]
        for name, absent in zip(self.function.vectors, ("1.0", "0.0"), strict=False):
            if not self.function.scaled:
                values.append(f"load_{name}(at.{name}, i)" if name in given else f"part({absent})")
        value = f"result({', '.join(values)})"
        if self.tile.skeleton == "sums":
            place = "i / 4u" if self.tile.width == 4 else "i"
            return _function(
                "normalized(own: Elements, row: State) -> part", [f"return {value};"]
            ) + _function("store_sum(i: u32, sum: part)", [f"out[{place}] = sum;"])
        place = f"at.out + i * uniforms.places[{len(self.named)}].w"
        line = f"out[{place}] = {self.result.wgsl}({value});"
        if self.tile.width == 4:
            line = f"out[(at.out + i) / 4u] = vec4<{self.result.wgsl}>({value});"
        head = "store(at: Starts, i: u32, own: Elements, row: State)"
        return _function(head, [line] if self.states != WRITES_STATES else [])


def _function(head: str, lines: Sequence[str]) -> str:
    return f"fn {head} {{\n" + "".join(f"    {line}\n" for line in lines) + "}\n"
