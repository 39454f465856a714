"""What a kernel of a row operation consists of: the operation, how its rows are divided, and its arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from rusty_py.dtypes import Dtype

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
