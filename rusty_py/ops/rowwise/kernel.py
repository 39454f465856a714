"""Kernels of row operations: a skeleton of wgsl/rowwise, the functions of an operation, and its arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from rusty_py import shaders
from rusty_py.dtypes import Dtype
from rusty_py.runtime.launch import Spec

MIN_SUBGROUP = 4
"""The smallest size of a subgroup."""

WHOLE, WRITES_STATES, READS_STATES = "", "first", "second"
"""What a launch does: all, or the first or the second half of it, where rows are in several parts."""


@dataclass(frozen=True)
class RowFunction:
    """What is computed of rows: `texts` are files of wgsl/rowwise that define it, as subgroups.wgsl says.

    `operands` are arrays of the rows' shape; `fields` are those of State. `vectors` are arrays of the length
    of a row: `result` takes an item of each after its other parameters. With `scaled`, the only vector is
    multiplied with that operand when it is loaded, and `result` does not take it.
    """

    name: str
    texts: tuple[str, ...]
    operands: tuple[str, ...]
    fields: tuple[str, ...]
    vectors: tuple[str, ...] = ()
    scaled: str = ""

    def vectors_of(self, states: str) -> tuple[str, ...]:
        """The vectors that a launch reads."""
        return () if states == WRITES_STATES and not self.scaled else self.vectors


@dataclass(frozen=True)
class Tile:
    """How rows are divided among threads: see wgsl/rowwise, which has the skeletons.

    `lanes` of the `threads` of a workgroup share a row, each with `slots` items of `width` elements at a
    time. `once`: no row is longer than that, and it stays in registers.
    """

    skeleton: str
    threads: int
    lanes: int
    slots: int
    width: int
    once: bool = True

    @property
    def rows(self) -> int:
        """The rows of a workgroup."""
        return self.threads // self.lanes

    @property
    def elements(self) -> int:
        """The elements of a row that its threads take at a time."""
        return self.lanes * self.slots * self.width

    def __str__(self) -> str:
        items = f"{self.slots}x{self.width}"
        return f"{self.rows} rows by {self.lanes} lanes of {items}{'' if self.once else ', in a loop'}"


class Groups(NamedTuple):
    """Vectors whose elements are for `neighbours` of a row each; each of `rows` rows has another part."""

    rows: int
    neighbours: int


@dataclass(frozen=True)
class Access:
    """How an array is loaded: "vec4", an item at once; "scalar", one by one; "one", an element for an item.

    `grouped`: the array is a vector of `Groups`.
    """

    dtype: Dtype
    load: str
    grouped: bool = False

    def __str__(self) -> str:
        return f"{self.dtype.name} {self.load}{' grouped' if self.grouped else ''}"


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
    kept = len(function.fields)
    if tile.skeleton == "subgroups" and tile.rows == 1:
        kept *= tile.threads // MIN_SUBGROUP
    elif tile.skeleton == "tree" and tile.lanes > 1:
        kept *= tile.threads
    text = _Text(function, tile, operands, vectors, result, states)
    kinds = " ".join(map(str, (*operands, *vectors)))
    return Spec(
        f"rowwise/{tile.skeleton}",
        len(operands) + len(vectors) + (states == READS_STATES),
        1,
        tile.threads,
        4 * kept,
        definitions=text.constants(kept) + text.arrays() + text.functions(),
        variant=f"{function.name}{states and f', {states} half'}, {tile}: {kinds} to {result.name}",
    )


@dataclass(frozen=True)
class _Text:
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

    def constants(self, kept: int) -> str:
        """Sizes and types."""
        tile = self.tile
        numbers = {"THREADS": tile.threads, "LANES": tile.lanes, "SLOTS": tile.slots}
        numbers |= {"WIDTH": tile.width, "KEPT": kept}
        text = "".join(f"const {name}: u32 = {value}u;\n" for name, value in numbers.items())
        if tile.skeleton == "tree":
            flags = {"ONCE": tile.once, "WRITES_STATES": self.states == WRITES_STATES}
            flags |= {"READS_STATES": self.states == READS_STATES}
            text += "".join(f"const {name}: bool = {str(on).lower()};\n" for name, on in flags.items())
        return text + f"alias part = {'vec4<f32>' if tile.width == 4 else 'f32'};\n"

    def arrays(self) -> str:
        """The uniforms, the bindings, and where a row begins in each array."""
        names = [name for name, _ in self.named]
        lines = [
            "struct Uniforms {",
            "    rows: u32,\n    n: u32,\n    parts: u32,\n    chunk: u32,",
            "    inner: u32,\n    groups: u32,\n    neighbours: u32,\n    epsilon: f32,",
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
        operands = self.function.operands
        vectors = [name for name, _ in self.named[len(operands) :]]
        loads = []
        for name in operands:
            scale = (
                f" * load_{vectors[0]}(at.{vectors[0]}, i)"
                if name == self.function.scaled and vectors
                else ""
            )
            loads.append(f"load_{name}(at.{name}, i){scale}")
        return (
            f"struct Elements {{ {', '.join(f'{name}: part' for name in operands)} }}\n"
            + "".join(self._load(i) for i in range(len(self.named)))
            + f"fn load(at: Starts, i: u32) -> Elements {{\n    return Elements({', '.join(loads)});\n}}\n"
        )

    def _load(self, index: int) -> str:
        """The function that loads the item of an array at element i of a row that begins at `at`."""
        (name, access), lanes = self.named[index], range(self.tile.width)
        at = (
            f"at + (i + {{}}u) / uniforms.neighbours * uniforms.places[{index}].w"
            if access.grouped
            else (f"at + (i + {{}}u) * uniforms.places[{index}].w")
        )
        if access.load == "vec4":
            value = f"part({name}_in[(at + i) / 4u])"
        elif access.load == "one":
            value = f"part(f32({name}_in[{at.format(0)}]))"
        else:
            value = f"part({', '.join(f'f32({name}_in[{at.format(lane)}])' for lane in lanes)})"
        return f"fn load_{name}(at: u32, i: u32) -> part {{\n    return {value};\n}}\n"

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
        size = self.tile.threads if self.tile.skeleton == "tree" and self.tile.lanes > 1 else 1
        if self.tile.skeleton == "subgroups" and self.tile.rows == 1:
            size = self.tile.threads // MIN_SUBGROUP
        kept = [f"kept[{i * size}u + i]" for i in range(count)]
        stored = [f"i * {count}u + {i}u" for i in range(count)]
        text = _function(
            "keep(i: u32, state: State)", [f"{x} = state.{y};" for x, y in zip(kept, fields, strict=True)]
        )
        text += _function("kept_state(i: u32) -> State", [f"return State({', '.join(kept)});"])
        if self.tile.skeleton == "subgroups":
            shuffled = ", ".join(f"subgroupShuffleXor(state.{each}, mask)" for each in fields)
            text += _function("shuffled(state: State, mask: u32) -> State", [f"return State({shuffled});"])
            return text
        writes = [f"out[{x}] = state.{y};" for x, y in zip(stored, fields, strict=True)]
        text += _function("store_state(i: u32, state: State)", writes if self.states == WRITES_STATES else [])
        read = f"State({', '.join(f'states[{each}]' for each in stored)})"
        known = read if self.states == READS_STATES else "identity()"
        return text + _function("state_of(i: u32) -> State", [f"return {known};"])

    def _store(self) -> str:
        """The function that computes and stores an item of the result."""
        head = "store(at: Starts, i: u32, own: Elements, row: State)"
        if self.states == WRITES_STATES:
            return _function(head, [])
        given = {name for name, _ in self.named}
        values = ["own", "row"]
        for name, absent in zip(self.function.vectors, ("1.0", "0.0"), strict=False):
            if not self.function.scaled:
                values.append(f"load_{name}(at.{name}, i)" if name in given else f"part({absent})")
        value = f"result({', '.join(values)})"
        if self.tile.width == 4:
            line = f"out[(at.out + i) / 4u] = vec4<{self.result.wgsl}>({value});"
        else:
            place = f"at.out + i * uniforms.places[{len(self.named)}].w"
            line = f"out[{place}] = {self.result.wgsl}({value});"
        return _function(head, [line])


def _function(head: str, lines: Sequence[str]) -> str:
    return f"fn {head} {{\n" + "".join(f"    {line}\n" for line in lines) + "}\n"
