"""What a reduction computes, as WGSL: a monoid, with how elements enter it and results leave it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from rusty_py.dtypes import Dtype

ByDtype = Mapping[str, str]
"""WGSL by the name of the dtype that is computed in; "" stands for all others."""


class Accumulator(NamedTuple):
    """A structure of wgsl/lib: its name, and its members, of four bytes each."""

    name: str
    members: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Monoid:
    """`combine` is WGSL of the accumulators a and b, associative and commutative but for rounding.

    `value` is what is made of an element x before the reduction, of the WGSL type `value_type`, or of the
    dtype that is computed in. Accumulators have that type, too, or are the structure `accumulator`.
    `identity` changes nothing. `one` is the accumulator of a value x whose index is uniforms.first + i.
    `finish` is the result of an accumulator x; it may read `number`.

    The rest is for speed. `append` is `combine` where the elements of b follow those of a: not of partial
    results, as the kernel of threads interleaves their elements. `four` is the accumulator of four values x
    at i, i + step, ...; `sixteen` that of four times four values a, b, c, d. All may call the functions of
    wgsl/lib.
    """

    combine: ByDtype
    identity: ByDtype
    accumulator: Accumulator | None = None
    value: ByDtype | None = None
    value_type: str = ""
    one: str = "x"
    finish: str = "x"
    append: str = ""
    four: str = ""
    sixteen: str = ""

    @property
    def plain(self) -> bool:
        """Whether accumulators are reduced as elements of their type are."""
        return self.accumulator is None and self.value is None

    def nbytes(self, computed: Dtype) -> int:
        """The size of an accumulator."""
        return 4 * len(self.accumulator.members) if self.accumulator else computed.itemsize

    def total(self, computed: Dtype) -> str:
        """The WGSL type of an accumulator."""
        return self.accumulator.name if self.accumulator else self.value_type or computed.wgsl

    def text(self, computed: Dtype, *, of_totals: bool) -> str:
        """The WGSL functions that wgsl/reduce/uniforms.wgsl lists, of elements or of partial results."""
        total = self.total(computed)
        value = total if of_totals else self.value_type or computed.wgsl
        fours = f"array<{value}, 4>" if of_totals and self.accumulator else f"vec4<{value}>"
        one, four, append = ("x", "", "") if of_totals else (self.one, self.four, self.append)
        lines = [
            f"alias Total = {total};",
            f"alias Value = {value};",
            f"alias Four = {fours};",
            _function("identity() -> Total", _of(self.identity, computed)),
            _function("combine(a: Total, b: Total) -> Total", _of(self.combine, computed)),
            _function("append(a: Total, b: Total) -> Total", append or "combine(a, b)"),
            _function("one(x: Value, i: u32) -> Total", one),
            _function("of_four(x: Four, i: u32, step: u32) -> Total", four or _FOUR),
        ]
        return "\n".join(lines) + "\n"

    def sixteen_text(self, *, of_totals: bool) -> str:
        """of_sixteen(), for the kernel of rows."""
        fours = [f"of_four({name}, i + {4 * k}u * ROW_THREADS, STEP)" for k, name in enumerate("abcd")]
        default = "append(append({}, {}), append({}, {}))".format(*fours)
        head = "of_sixteen(a: Four, b: Four, c: Four, d: Four, i: u32) -> Total"
        return _function(head, default if of_totals else self.sixteen or default) + "\n"

    def shuffle_text(self) -> str:
        """shuffled(), for subgroups."""
        parts = "subgroupShuffle(x, id)"
        if self.accumulator:
            members = ", ".join(f"subgroupShuffle(x.{each}, id)" for each in self.accumulator.members)
            parts = f"{self.accumulator.name}({members})"
        return _function("shuffled(x: Total, id: u32) -> Total", parts) + "\n"

    def value_text(self, computed: Dtype) -> str:
        """value(), of what the dtype computed in makes of an element."""
        value = _of(self.value, computed) if self.value else "x"
        return _function(f"value(x: {computed.wgsl}) -> Value", value) + "\n"


_FOUR = (
    "append(append(one(x[0], i), one(x[1], i + step)),"
    " append(one(x[2], i + 2u * step), one(x[3], i + 3u * step)))"
)


def _of(texts: ByDtype, computed: Dtype) -> str:
    return texts.get(computed.name, texts.get(computed.kind, texts.get("", "")))


def _function(head: str, result: str) -> str:
    return f"fn {head} {{\n    return {result};\n}}"
