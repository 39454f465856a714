"""Tables as data: columns with a rank, and how they fit a width."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace

WIDTH = 80
WIDE_ONLY = 9
_GAP = 2
_MIN_TEXT = 10


@dataclass(frozen=True)
class Column:
    """A column. Those of a higher rank are left out first; `WIDE_ONLY` ones appear in wide tables alone."""

    header: str
    right: bool = True
    rank: int = 0


@dataclass(frozen=True)
class Table:
    """Cells as text, with an optional title."""

    columns: tuple[Column, ...]
    lines: tuple[tuple[str, ...], ...]
    title: str = ""

    @property
    def header(self) -> list[str]:
        return [column.header for column in self.columns]

    @property
    def width(self) -> int:
        return sum(self.widths) + _GAP * (len(self.columns) - 1)

    @property
    def widths(self) -> list[int]:
        return [
            max(len(part) for cell in cells for part in cell.split("\n"))
            for cells in zip(self.header, *self.lines, strict=True)
        ]


def table_of(columns: Sequence[Column], lines: Sequence[Sequence[str]], title: str = "") -> Table:
    """A table of those columns that have any content."""
    filled = [i for i in range(len(columns)) if any(line[i] for line in lines)]
    return Table(
        tuple(columns[i] for i in filled), tuple(tuple(line[i] for i in filled) for line in lines), title
    )


def fitted(table: Table, width: int = WIDTH) -> Table:
    """The table within `width`: without the columns of the highest ranks, then with wrapped text."""
    table = _without(table, WIDE_ONLY)
    while table.width > width and (rank := max(column.rank for column in table.columns)):
        table = _without(table, rank)
    return _wrapped(table, width)


def _wrapped(table: Table, width: int) -> Table:
    """The table with its widest texts wrapped, as far as needed."""
    rooms = {i: table.widths[i] for i, column in enumerate(table.columns) if not column.right}
    for _ in range(table.width - width):
        widest = max(rooms, key=lambda i: rooms[i], default=None)
        if widest is not None and rooms[widest] > _MIN_TEXT:
            rooms[widest] -= 1

    def filled(cells: Sequence[str]) -> list[str]:
        return [textwrap.fill(cell, rooms[i]) if i in rooms else cell for i, cell in enumerate(cells)]

    columns = (
        replace(column, header=header)
        for column, header in zip(table.columns, filled(table.header), strict=True)
    )
    return replace(table, columns=tuple(columns), lines=tuple(tuple(filled(line)) for line in table.lines))


def _without(table: Table, rank: int) -> Table:
    """The table without the last column of this rank, or without all of `WIDE_ONLY`."""
    ranked = [i for i, column in enumerate(table.columns) if column.rank == rank]
    dropped = ranked if rank == WIDE_ONLY else ranked[-1:]
    kept = [i for i in range(len(table.columns)) if i not in dropped]
    return replace(
        table,
        columns=tuple(table.columns[i] for i in kept),
        lines=tuple(tuple(line[i] for i in kept) for line in table.lines),
    )
