"""Suites of operations: modules in this folder with a `SUITE` are commands.

They import no operation and no NumPy, so that `rusty-bench --help` is fast.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from math import prod
from pkgutil import iter_modules
from typing import Literal

Shape = tuple[int, ...]
Axis = int | None


@dataclass(frozen=True)
class Task:
    """An operation on operands of a shape, with options of its public function."""

    operation: str
    shape: Shape
    options: Mapping[str, int | float | None] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name in tables, such as "sum 1024×1024 axis 0"."""
        axis = self.options.get("axis")
        options = [] if axis is None else [f"axis {axis}"]
        return " ".join([self.operation, "×".join(f"{size:,}" for size in self.shape), *options])


@dataclass(frozen=True)
class SuiteDescription:
    """A command that measures operations.

    `tasks` are those of an operation at a shape, over `axes` or, where these are empty, over the default
    ones; `axes` are the values that --axis takes, empty for operations without axes. `operations` are the
    defaults, of which those that are registered are measured. `family` says which others --op takes: rows of
    elementwise operations, reductions, or none; "functions" are those of `measure.fused_functions`. `sizes`
    are the default shapes by adapter type, CPU or GPU, `presets` those of --preset.
    """

    command: str
    help: str
    operations: tuple[str, ...]
    tasks: Callable[[str, Shape, Sequence[Axis]], list[Task]]
    sizes: Mapping[str, tuple[Shape, ...]]
    axes: tuple[Axis, ...] = ()
    family: Literal["elementwise", "reductions", "functions", ""] = ""
    presets: Mapping[str, tuple[Shape, ...]] = field(default_factory=dict)


def without_axes(operation: str, shape: Shape, axes: Sequence[Axis] = ()) -> list[Task]:
    """One task."""
    return [Task(operation, shape)]


LARGE = (1 << 27,)
"""512 MiB of f32."""
LARGE_MATRICES = ((16384, 8192), (131072, 1024))
"""As large."""


def suites() -> Iterator[SuiteDescription]:
    """All suites of this folder, by name."""
    import rusty_py.bench.suites as folder

    for module in sorted(iter_modules(folder.__path__), key=lambda each: each.name):
        found = getattr(import_module(f"{folder.__name__}.{module.name}"), "SUITE", None)
        if found is not None:
            yield found


_UNITS = {"": 1, "M": 10**6, "Ki": 1 << 10, "Mi": 1 << 20}
_SWEEP = 4
"""From one size of a sweep to the next."""


def parse_sizes(text: str) -> list[Shape]:
    """The shape of `parse_shape`, or those of a sweep: "4Ki..1Mi", or "64x1024..4096x1024".

    The first axis of a sweep grows by a factor of 4. Raises ValueError.
    """
    first, dots, last = text.partition("..")
    shape = parse_shape(first)
    if not dots:
        return [shape]
    end = parse_shape(last)
    if shape[1:] != end[1:] or shape > end:
        raise ValueError(f"{text!r} is not a sweep: a smaller and a larger first axis, as in 4Ki..1Mi")
    shapes = []
    while shape < end:
        shapes.append(shape)
        shape = (shape[0] * _SWEEP, *shape[1:])
    return [*shapes, end]


def parse_shape(text: str) -> Shape:
    """The shape of "4096", "64Ki", "1M", "1Mi" or "1024x1024". Raises ValueError."""
    sizes = [re.fullmatch(r"(\d{1,9})(Ki|Mi|M)?", part, re.ASCII) for part in text.split("x")]
    shape = tuple(int(size[1]) * _UNITS[size[2] or ""] for size in sizes if size)
    if len(shape) != len(sizes) or len(shape) > 4 or 0 in shape or prod(shape) < 2:
        raise ValueError(f"{text!r} is not a size: elements, as in 4096, 64Ki, 1M or 1024x1024, 2 or more")
    return shape
