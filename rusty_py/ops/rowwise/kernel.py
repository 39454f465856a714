"""What a kernel of a row operation consists of: the operation, how its rows are divided, and its arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from rusty_py.dtypes import Dtype
from rusty_py.ops.generator import Body

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

    With a `source`, the only operand of the texts is computed as it is loaded: `operands` are the arrays that
    `source` takes, before numbers.
    """

    name: str
    texts: tuple[str, ...]
    operands: tuple[str, ...]
    fields: tuple[str, ...]
    vectors: tuple[str, ...] = ()
    scaled: str = ""
    source: Body | None = None

    @property
    def elements(self) -> tuple[str, ...]:
        """What the texts know of an element: the operands, or what is computed of them."""
        return self.operands if self.source is None else ("x",)

    @property
    def numbers(self) -> tuple[str, ...]:
        """The WGSL types of the numbers that `source` takes."""
        return () if self.source is None else self.source.types[len(self.operands) :]

    def of(self, source: Body, arrays: int) -> RowFunction:
        """The same function of what `source` computes of so many arrays, and of numbers."""
        return replace(
            self, name=f"{self.name} of {source.name}", operands=source.names[:arrays], source=source
        )

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
