"""What a kernel's text asks of a launch: its bindings, threads, workgroup memory and overrides."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from rusty_py.dtypes import BOOL, F16, F32, I32, U32, Dtype
from rusty_py.errors import DtypeError, ShaderError, UnsupportedError
from rusty_py.wgsl_text.declarations import (
    Declarations,
    ModuleVariable,
    OverrideDeclaration,
    declarations,
    parts_of,
)
from rusty_py.wgsl_text.types import Constants, constant, layout_of_type

Number = int | float | bool

_DTYPES = {"f32": (F32,), "f16": (F16,), "i32": (I32,), "u32": (U32, BOOL)}
_INTEGERS = {"i32": (-(1 << 31), (1 << 31) - 1), "u32": (0, (1 << 32) - 1), "bool": (0, 1)}


@dataclass(frozen=True)
class BoundVariable:
    """A variable in storage or uniform memory.

    `kind` is its type in WGSL, `dtypes` those of arrays that fit it; empty for structures, which take words
    of any dtype. `min_bytes` is the size of the type, with one element where it has no count.
    """

    name: str
    number: int
    writable: bool
    uniform: bool
    kind: str
    dtypes: tuple[Dtype, ...]
    min_bytes: int


@dataclass(frozen=True)
class Signature:
    """`threads` and `workgroup_bytes` are 0 where the text's numbers are not understood."""

    entry: str
    variables: tuple[BoundVariable, ...]
    threads: int
    workgroup_bytes: int
    constants: tuple[tuple[str, float], ...]


def signature(wgsl: str, *, entry: str | None, constants: Mapping[str, Number], name: str) -> Signature:
    """The signature of an entry point, the only one if `entry` is None.

    Raises ShaderError for entry points, constants and bindings that do not fit the text, DtypeError for a
    constant that its override cannot hold, UnsupportedError for bindings that are not buffers of group 0.
    """
    module = declarations(wgsl)
    chosen = _entry(module, entry, name)
    given, keys = _constants(module, constants, name)
    values = Constants(module, given)
    used = module.used_by(chosen)
    bound = [
        _bound(each, module, values, name) for each in used if each.space not in ("private", "workgroup")
    ]
    shared = [layout_of_type(each.kind, module, values) for each in used if each.space == "workgroup"]
    sizes = [constant(part, values) for part in parts_of(module.functions[chosen].workgroup_size)]
    threads = 1
    for size in sizes:
        threads *= size or 0
    return Signature(
        chosen, tuple(bound), threads, sum(each.size for each in shared if each), tuple(sorted(keys.items()))
    )


def _entry(module: Declarations, entry: str | None, name: str) -> str:
    entries = module.entries
    if entry is None and len(entries) == 1:
        return entries[0]
    if not entries:
        raise ShaderError(f"{name}: no entry point: mark one with @compute @workgroup_size(64)")
    if entry not in entries:
        which = "several entry points" if entry is None else f"no entry point {entry}"
        raise ShaderError(f"{name}: {which}: the text has {', '.join(entries)}: name one with entry=")
    return entry


def _constants(
    module: Declarations, constants: Mapping[str, Number], name: str
) -> tuple[dict[str, int], dict[str, float]]:
    """The integers given by the overrides' names, and all numbers by WebGPU's keys."""
    by_key = {_key(each): each for each in module.overrides.values()}
    given: dict[str, int] = {}
    keys: dict[str, float] = {}
    for key, number in constants.items():
        override = by_key.get(str(key)) or module.overrides.get(str(key))
        if override is None:
            has = ", ".join(module.overrides) or "none"
            raise ShaderError(f"{name}: the text declares no such override: {key}: it has {has}")
        value = _number(number, override, name)
        if value.is_integer():
            given[override.name] = int(value)
        keys[_key(override)] = value
    missing = [each.name for key, each in by_key.items() if not each.default and key not in keys]
    if missing:
        raise ShaderError(
            f"{name}: overrides without a value: {', '.join(missing)}: give them with constants="
        )
    return given, keys


def _key(override: OverrideDeclaration) -> str:
    """The key by which WebGPU sets it."""
    return str(constant(override.id, {})) if override.id else override.name


def _number(number: Number, override: OverrideDeclaration, name: str) -> float:
    kind = "".join(override.kind)
    minimum, limit = _INTEGERS.get(kind, (-math.inf, math.inf))
    try:
        value = float(number)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not minimum <= value <= limit or math.isinf(value) or (kind in _INTEGERS and not value.is_integer()):
        raise DtypeError(f"{name}: constant {override.name}: not a {kind or 'finite number'}: {number!r}")
    return value


def _bound(
    variable: ModuleVariable, module: Declarations, values: Mapping[str, int], name: str
) -> BoundVariable:
    kind = "".join(", " if word == "," else word for word in variable.kind)
    if variable.space not in ("storage", "uniform"):
        what = f"in {variable.space} memory" if variable.space else f"a {kind}"
        raise UnsupportedError(
            f"{name}: only storage and uniform buffers can be bound: {variable.name} is {what}"
        )
    if constant(variable.group, values) != 0:
        group = " ".join(variable.group)
        raise UnsupportedError(
            f"{name}: bindings are in group 0: {variable.name} is in @group({group}): write @group(0)"
        )
    number = constant(variable.binding, values)
    if number is None:
        raise UnsupportedError(
            f"{name}: the binding of {variable.name} is not a number: {' '.join(variable.binding)!r}"
        )
    layout = layout_of_type(variable.kind, module, values)
    return BoundVariable(
        variable.name,
        number,
        writable=variable.access != "read" and variable.space == "storage",
        uniform=variable.space == "uniform",
        kind=kind,
        dtypes=_DTYPES.get(layout.scalar, ()) if layout else (),
        min_bytes=layout.size if layout else 4,
    )
