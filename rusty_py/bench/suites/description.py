"""Suites of operations: a module in this folder with a `SUITE` is a command.

They import no operation and no NumPy, so that `rusty-bench --help` is fast.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from math import prod
from pkgutil import iter_modules

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Task:
    """An operation on operands of a shape, with options of its public function."""

    operation: str
    shape: Shape
    options: Mapping[str, int | None] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name in tables, such as "sum 1024×1024 axis 0"."""
        options = [f"{name} {value}" for name, value in self.options.items() if value is not None]
        return " ".join([self.operation, "×".join(f"{size:,}" for size in self.shape), *options])


@dataclass(frozen=True)
class SuiteDescription:
    """A command that measures operations. `tasks` are those of an operation at a shape, given by --size.

    `operations` are the defaults; `sizes` the default shapes by adapter type, CPU or GPU.
    """

    command: str
    help: str
    operations: tuple[str, ...]
    tasks: Callable[[str, Shape], list[Task]]
    sizes: Mapping[str, tuple[Shape, ...]]


def suites() -> Iterator[SuiteDescription]:
    """All suites of this folder, by name."""
    import rusty_py.bench.suites as folder

    for module in sorted(iter_modules(folder.__path__), key=lambda each: each.name):
        found = getattr(import_module(f"{folder.__name__}.{module.name}"), "SUITE", None)
        if found is not None:
            yield found


_UNITS = {"": 1, "Ki": 1 << 10, "Mi": 1 << 20}


def parse_shape(text: str) -> Shape:
    """The shape of "4096", "64Ki", "1Mi" or "1024x1024". Raises ValueError."""
    sizes = [re.fullmatch(r"(\d{1,9})(Ki|Mi)?", part, re.ASCII) for part in text.split("x")]
    shape = tuple(int(size[1]) * _UNITS[size[2] or ""] for size in sizes if size)
    if len(shape) != len(sizes) or len(shape) > 4 or 0 in shape or prod(shape) < 2:
        raise ValueError(f"{text!r} is not a size: elements, as in 4096, 64Ki, 1Mi or 1024x1024, 2 or more")
    return shape
