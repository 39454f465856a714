"""The kernels of sorts: what their texts have appended for what they read and write."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from rusty_py import shaders
from rusty_py.dtypes import F16, U32, Dtype
from rusty_py.ops.grid import THREADS
from rusty_py.ops.sort.keys import bits_of, element_of_key, to_key
from rusty_py.runtime.launch import Spec

DIGITS = 256
"""Values of a digit, and threads of the kernels that count them."""

COLLECTED = 1 << 10
"""Elements that a selection has workgroup memory for."""

CPU_THREADS = 16
"""Threads of a workgroup of the radix sort on CPU drivers: few, so that each core has some."""


@dataclass(frozen=True)
class Step:
    """What a kernel reads and writes: in the first step of a sort elements, in the last one the result.

    Between steps there are keys and, with `indices`, the indices that their elements had.
    """

    source: Dtype
    indices: bool
    first: bool = True
    last: bool = True

    @property
    def inputs(self) -> list[str]:
        """The buffers that are read."""
        return ["source: array<u32>", *["source_indices: array<u32>"] * (self.indices and not self.first)]

    @property
    def outputs(self) -> list[str]:
        """The buffers that are written."""
        if not self.last:
            return ["out_keys: array<u32>", *["out_indices: array<u32>"] * self.indices]
        return ["out: array<f16>" if self.source is F16 and not self.indices else "out: array<u32>"]

    def __str__(self) -> str:
        read = self.source.name if self.first else "keys"
        written = "keys" if not self.last else "indices" if self.indices else self.source.name
        return f"{read} to {written}{' with indices' * (self.indices and not self.last)}"


def step(source: Dtype, *, indices: bool, first: bool = True, last: bool = True) -> Step:
    """The Step; where the dtype makes no difference, it is that of keys."""
    matters = first or (last and not indices)
    return Step(source if matters else U32, indices, first, last)


@cache
def ranks_spec(step: Step) -> Spec:
    """Sorts short rows by counting."""
    return Spec("sort/ranks", 1, 1, THREADS, definitions=_text(step), variant=str(step))


@cache
def bitonic_spec(step: Step, elements: int, threads: int) -> Spec:
    """Sorts blocks of `elements` in workgroup memory."""
    text = f"const THREADS: u32 = {threads}u;\nconst ELEMENTS: u32 = {elements}u;\n{_text(step)}"
    variant = f"{step}, {elements} elements"
    inputs, outputs = len(step.inputs), len(step.outputs)
    return Spec("sort/bitonic", inputs, outputs, threads, 8 * elements, definitions=text, variant=variant)


@cache
def select_spec(step: Step, lists: int) -> Spec:
    """Selects the first elements of blocks of `lists` lists."""
    text = f"const THREADS: u32 = {THREADS}u;\nconst LISTS: u32 = {lists}u;\n"
    text += f"const ELEMENTS: u32 = {COLLECTED}u;\n{_text(step)}"
    inputs, outputs, nbytes = len(step.inputs), len(step.outputs), 8 * COLLECTED + 8
    variant = f"{step}, {lists} lists"
    return Spec("sort/select", inputs, outputs, THREADS, nbytes, definitions=text, variant=variant)


@cache
def histogram_spec(step: Step, keys: int) -> Spec:
    """Counts digits, of `keys` keys a thread, or one thread a block where that is 0."""
    text = _bindings(["source: array<u32>"], ["counts: array<u32>"]) + _key_at(step)
    variant = f"{step.source.name}{', zeros equal' * step.indices}" if step.first else "keys"
    if not keys:
        return Spec("sort/thread_histogram", 1, 1, CPU_THREADS, definitions=text, variant=variant)
    text += f"const BLOCK: u32 = {DIGITS * keys}u;\n"
    variant += f", {keys} keys a thread"
    return Spec("sort/histogram", 1, 1, DIGITS, 4 * DIGITS, definitions=text, variant=variant)


@cache
def scatter_spec(step: Step, keys: int, *, subgroups: bool) -> Spec:
    """Moves keys by a digit, `keys` keys a thread, or one thread a block where that is 0."""
    inputs, outputs = [*step.inputs, "ends: array<u32>"], step.outputs
    if not keys:
        outputs = [*outputs, "counts: array<u32>"]
    text = _bindings(inputs, outputs) + _access(step)
    if not keys:
        return Spec(
            "sort/thread_scatter",
            len(inputs),
            len(outputs),
            CPU_THREADS,
            definitions=text,
            variant=str(step),
        )
    text += f"const KEYS: u32 = {keys}u;\nconst INDEXED: bool = {str(step.indices).lower()};\n"
    text += f"const INDICES: u32 = {DIGITS * keys if step.indices else 1}u;\n{_COUNTS}"
    if subgroups:
        text += shaders.read("scan/prefixes_subgroup").replace("SUBGROUP_INCLUSIVE(", "subgroupInclusiveAdd(")
    else:
        text += shaders.read("scan/prefixes_workgroup")
    variant = f"{step}, {keys} keys a thread{', subgroups' * subgroups}"
    nbytes = scatter_bytes(keys, indices=step.indices, subgroups=subgroups)
    return Spec("sort/scatter", len(inputs), len(outputs), DIGITS, nbytes, definitions=text, variant=variant)


def scatter_bytes(keys: int, *, indices: bool, subgroups: bool) -> int:
    """Workgroup memory of a scatter: keys and indices, places of digits, and what `prefixes` needs."""
    stored = 4 * DIGITS * keys * (2 if indices else 1) + (0 if indices else 4)
    return stored + 8 * DIGITS + 8 * (2 * (DIGITS // 4) + 1 if subgroups else 3 * DIGITS)


_COUNTS = f"""const THREADS: u32 = {DIGITS}u;
const VECS: u32 = 1u;
alias total = vec2<u32>;
fn identity() -> total {{
    return total(0u);
}}
fn combine(a: total, b: total) -> total {{
    return a + b;
}}
"""


def _text(step: Step) -> str:
    """Bindings, and the functions that read and write."""
    return _bindings(step.inputs, step.outputs) + _access(step)


def _access(step: Step) -> str:
    """The functions that read and write."""
    index = "source_indices[i]" if step.indices and not step.first else "place"
    text = f"{_key_at(step)}fn index_at(i: u32, place: u32) -> u32 {{\n    return {index};\n}}\n"
    if not step.last:
        lines = ["out_keys[at] = key;", *["out_indices[at] = index;"] * step.indices]
    elif step.indices:
        lines = ["out[at] = index;"]
    else:
        lines = ["let plain = key ^ uniforms.flip;", f"out[at] = {element_of_key(step.source, 'plain')};"]
    body = "\n    ".join(lines)
    return f"{text}fn put(at: u32, key: u32, index: u32) {{\n    {body}\n}}\n"


def _key_at(step: Step) -> str:
    """`key_at(i)`: of an element, flipped for a descending order, or a key as it is."""
    if not step.first:
        return "fn key_at(i: u32) -> u32 {\n    return source[i];\n}\n"
    bits = bits_of(step.source, "source", "i")
    return (
        f"{to_key(step.source, zeros_equal=step.indices)}"
        f"fn key_at(i: u32) -> u32 {{\n    return to_key({bits}) ^ uniforms.flip;\n}}\n"
    )


@cache
def search_spec(kind: Dtype, *, sorter: bool) -> Spec:
    """Binary searches in elements of `kind`, whose order may be that of a sorter."""
    inputs = ["source: array<u32>", "queries: array<u32>", *["sorter: array<u32>"] * sorter]
    text = _bindings(inputs, ["out: array<u32>"]) + to_key(kind, zeros_equal=True)
    for name, buffer in (("key_at", "source"), ("query_at", "queries")):
        text += f"fn {name}(i: u32) -> u32 {{\n    return to_key({bits_of(kind, buffer, 'i')});\n}}\n"
    place = "sorter[uniforms.sorter_at + i]" if sorter else "i"
    text += f"fn sorted_at(i: u32) -> u32 {{\n    return {place};\n}}\n"
    variant = f"{kind.name}{', sorter' * sorter}"
    return Spec("sort/search", len(inputs), 1, THREADS, definitions=text, variant=variant)


def _bindings(inputs: list[str], outputs: list[str]) -> str:
    """Inputs, outputs, uniforms."""
    kinds = ["storage, read"] * len(inputs) + ["storage, read_write"] * len(outputs) + ["uniform"]
    return "".join(
        f"@group(0) @binding({number}) var<{kind}> {variable};\n"
        for number, (kind, variable) in enumerate(
            zip(kinds, [*inputs, *outputs, "uniforms: Uniforms"], strict=True)
        )
    )
