"""The kernel of a pending result: single assignments, each common subexpression once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from rusty_py.arrays import Array
from rusty_py.ops.generator import Body
from rusty_py.ops.pending import Axis, Operand, Pending, Place, placed, through
from rusty_py.runtime.launch_plans import Symbol
from rusty_py.views import Shape


class Kernel:
    """The kernel that computes a pending result: its operands, and a statement for each step.

    With `place`, of the elements there, which are a view of `shape`, for another kernel that reads them.
    """

    def __init__(self, pending: Pending, place: Place | None = None, shape: Shape | None = None) -> None:
        self.shape = pending.shape if shape is None else shape
        self.arrays: dict[object, tuple[str, Array]] = {}
        self.numbers: dict[object, tuple[str, str, int | Symbol]] = {}
        self.statements: list[str] = []
        self._merges = pending.merges
        self._steps: dict[object, tuple[str, str]] = {}
        self._known: dict[object, tuple[str, str]] = {}
        self._functions = _Functions()
        self._titles: list[str] = []
        whole = tuple(Axis(0, i, 1) for i in range(len(self.shape)))
        alone = place in (None, whole) and not any(_waits(each) for each in pending.operands)
        # Another kernel reads arrays by their dtypes, and elements of that of `pending`.
        self._single = pending if alone and (place is None or _has_dtypes(pending)) else None
        place = whole if place is None else place
        name, kind = self._value(pending, place)
        self._kind = pending.out.kind.wgsl
        self._result = _read_as(self._kind, name, kind)

    @property
    def body(self) -> Body:
        """What the kernel computes; a single operation's own body, so that its kernel is shared."""
        if self._single is not None:
            return self._single.body
        arrays, numbers = self.arrays.values(), self.numbers.values()
        titles = ", ".join(self._titles[:6]) + (", ..." if len(self._titles) > 6 else "")
        return Body(
            f"fused {titles}",
            (*(x.kind.wgsl for _, x in arrays), *(kind for _, kind, _ in numbers)),
            self._kind,
            self._result,
            self._functions.text,
            tuple(self.statements),
            (*(name for name, _ in arrays), *(name for name, _, _ in numbers)),
        )

    @property
    def operands(self) -> list[Array | int | Symbol]:
        """The operands of `body`."""
        if self._single is not None:
            return [each.array if isinstance(each, Operand) else each for each in self._single.operands]  # type: ignore[misc]
        return [*(x for _, x in self.arrays.values()), *(word for _, _, word in self.numbers.values())]

    def _value(self, pending: Pending, place: Place) -> tuple[str, str]:
        """The name and the type of a pending result at `place`."""
        found = self._known.get((id(pending), place))
        if found is None:
            body, values = pending.body, []
            for i, (each, kind) in enumerate(zip(pending.operands, body.types, strict=True)):
                if not isinstance(each, Operand):
                    values.append((self._number(each, kind, (id(pending), i)), kind))
                elif each.pending is not None:
                    values.append(self._value(each.pending, through(each.place, place)))
                else:
                    assert each.array is not None
                    values.append(self._array(placed(each.array, place, self.shape)))
            is_copy = (body.expression,) == body.names and body.types == (body.result,)
            found = values[0] if is_copy else self._step(body, values)
            self._known[(id(pending), place)] = found
        return found

    def _step(self, body: Body, values: Sequence[tuple[str, str]]) -> tuple[str, str]:
        names = [_read_as(kind, *value) for kind, value in zip(body.types, values, strict=True)]
        key = (body, *names)
        if key not in self._steps:
            expression = self._functions.call(body, names)
            self._steps[key] = name, _ = f"t{len(self._steps)}", body.result
            self.statements.append(f"let {name}: {body.result} = {expression};")
            self._titles.append(body.name)
        return self._steps[key]

    def _array(self, x: Array) -> tuple[str, str]:
        key = (x.buffer.memory.serial, x.layout, _key(x.offset))
        name, _ = self.arrays.setdefault(key, (f"x{len(self.arrays)}", x))
        return name, x.kind.wgsl

    def _number(self, word: int | Symbol, kind: str, place: object) -> str:
        """A constant is a number of its own, if there is room, so that other values need no other kernel."""
        key = (kind, _key(word)) if self._merges or isinstance(word, Symbol) else (kind, place)
        return self.numbers.setdefault(key, (f"n{len(self.numbers)}", kind, word))[0]


_DECLARED = re.compile(r"(?m)^(?:fn|const|alias|struct|override|var(?:<\w+>)?)\s+(\w+)")


@dataclass(slots=True)
class _Functions:
    """The helpers that the steps call, each text once; a name that is taken already gets a number."""

    texts: dict[str, dict[str, str]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)

    @property
    def text(self) -> str:
        return "".join(_renamed(text, names) for text, names in self.texts.items())

    def call(self, body: Body, operands: Sequence[str]) -> str:
        """The expression of `body` for operands of these names."""
        names = dict(zip(body.names, operands, strict=True))
        if body.statements:
            parameters = ", ".join(
                f"{name}: {kind}" for name, kind in zip(body.names, body.types, strict=True)
            )
            lines = "\n    ".join([*body.statements, f"return {body.expression};"])
            text = f"{body.helpers}fn inner({parameters}) -> {body.result} {{\n    {lines}\n}}\n"
            return f"{self._declared(text)['inner']}({', '.join(operands)})"
        if body.helpers:
            names |= self._declared(body.helpers)
        return _renamed(body.expression, names)

    def _declared(self, text: str) -> dict[str, str]:
        """What the names that `text` declares are here."""
        if text not in self.texts:
            renamed = {}
            for name in _DECLARED.findall(text):
                free, count = name, 1
                while free in self.names:
                    count += 1
                    free = f"{name}_{count}"
                self.names.add(free)
                renamed[name] = free
            self.texts[text] = renamed
        return self.texts[text]


def _renamed(text: str, names: dict[str, str]) -> str:
    """`text` with other names, but for members, as in v.x."""
    changed = {old: new for old, new in names.items() if old != new}
    if not changed:
        return text
    pattern = rf"(?<![\w.])(?:{'|'.join(map(re.escape, changed))})(?!\w)"
    return re.sub(pattern, lambda found: changed[found[0]], text)


def _has_dtypes(pending: Pending) -> bool:
    """Whether the body takes and gives elements, and not their words, as those of copies and `where` do."""
    given = zip(pending.operands, pending.body.types, strict=True)
    arrays = [(each.array, kind) for each, kind in given if isinstance(each, Operand)]
    return pending.body.result == pending.out.kind.wgsl and all(
        x is not None and x.kind.wgsl == kind for x, kind in arrays
    )


def _waits(operand: object) -> bool:
    return isinstance(operand, Operand) and operand.pending is not None


def _read_as(wants: str, name: str, has: str) -> str:
    return name if has == wants else f"bitcast<{wants}>({name})"


def _key(value: int | Symbol) -> object:
    return (value.index, value.plus) if isinstance(value, Symbol) else value
