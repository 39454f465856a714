"""The ways to compute each family of operations: by name, what takes the place of its choice.

A way is a function that replaces one in the package while launches are collected; it may return None where
it does not apply.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

from rusty_py.arrays import Array, allocate
from rusty_py.dtypes import I32
from rusty_py.ops import compute, gathering, generator, grid, scattering, top_k, transposing
from rusty_py.ops.generator import Body, Skeleton
from rusty_py.ops.reduce import passes as reducing
from rusty_py.ops.reduce import source
from rusty_py.ops.reduce.passes import GROUP_ELEMENTS, Pass
from rusty_py.ops.rowwise import launches, tiles
from rusty_py.ops.rowwise.kernel import Tile
from rusty_py.ops.rowwise.tiles import Machine, Rows
from rusty_py.ops.scan import kernels as scanning
from rusty_py.ops.scan.kernels import ScanPlan
from rusty_py.ops.scan.specs import LARGE, SMALL, RowConfig
from rusty_py.ops.sort import kernels as sorting
from rusty_py.ops.sort import operations as sorts
from rusty_py.ops.sort.keys import flip_mask
from rusty_py.ops.sort.specs import step
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec
from rusty_py.shapes import ceil_div

Replaced = tuple[object, str, object]
"""An owner, the name of its attribute, and what it is in place of its own."""

_MAX_RANKED = 2048


class Inapplicable(Exception):
    """A way that these operands cannot be computed by."""


@dataclass(frozen=True, eq=False)
class Way:
    """What is replaced: attributes of modules, while the launches of an operation are collected."""

    name: str
    replaced: Sequence[Replaced] = ()

    @contextmanager
    def forced(self) -> Iterator[None]:
        """While this is open, operations go this way."""
        with ExitStack() as stack:
            for owner, name, value in self.replaced:
                stack.callback(setattr, owner, name, getattr(owner, name))
                setattr(owner, name, value)
            yield


AUTOMATIC = Way("automatic")


def _needs(condition: bool) -> None:
    if not condition:
        raise Inapplicable


# Reductions: the passes.


def reductions() -> Iterator[Way]:
    """By threads of other lengths, by rows or columns with other numbers of threads, and as on a GPU."""
    for each in (16, 64, 256, 1024):
        yield _by_passes(f"threads, {each} elements each", partial(_thread_pass, each))
    for threads in (8, 32, 128, 256):
        yield _by_passes(f"rows of {threads} threads", partial(_row_pass, threads))
    for lanes in (4, 32):
        for chunk in (256, GROUP_ELEMENTS):
            name = f"columns, {lanes} across, chunks of {chunk}"
            yield _by_passes(name, partial(_column_pass, lanes, chunk))
    yield Way("as on a GPU", [(source, "passes", partial(_as_on_gpu, reducing.passes))])


def _by_passes(name: str, one: Callable[..., Pass]) -> Way:
    def passes(outer: int, n: int, inner: int, **options: Any) -> list[Pass]:
        found: list[Pass] = []
        while not found or found[-1].width > 1:
            found.append(one(outer, n, inner, **options))
            _needs(found[-1].width < n or n == 1)
            n = found[-1].width
        return found

    return Way(name, [(source, "passes", passes)])


def _as_on_gpu(chosen: Callable[..., list[Pass]], *sizes: int, **options: Any) -> list[Pass]:
    return chosen(*sizes, **{**options, "cpu": False})


def _thread_pass(chunk: int, _outer: int, n: int, _inner: int, **_: Any) -> Pass:
    return Pass("threads", ceil_div(n, chunk), chunk)


def _row_pass(threads: int, _outer: int, n: int, _inner: int, **_: Any) -> Pass:
    _needs(n >= threads)
    chunk = min(n, GROUP_ELEMENTS)
    return Pass("rows", ceil_div(n, chunk), chunk, threads, threads)


def _column_pass(lanes: int, chunk: int, _outer: int, n: int, inner: int, *, vec4: bool, **_: Any) -> Pass:
    _needs(inner >= lanes)
    return Pass("columns", ceil_div(n, chunk), min(n, chunk), grid.THREADS, lanes, vec4 and inner >= 16)


# Row operations: the tiles.


def row_operations() -> Iterator[Way]:
    """Other numbers of threads, lanes and slots, rows in other numbers of parts, and as on a GPU."""
    for threads, lanes in ((8, 1), (32, 1), (128, 1), (32, 32), (256, 4), (256, 256)):
        for slots in (1, 4, 8):
            tile = partial(_tile, threads, lanes, slots)
            yield Way(f"{threads} threads, {lanes} a row, {slots} slots", [(tiles, "tile_for", tile)])
    for jobs in (8, 256):
        yield Way(f"parts for {jobs} jobs", [(tiles, "CPU_JOBS", jobs)])
    for chunk in (256, 4096):
        yield Way(f"parts of {chunk} elements or more", [(tiles, "CPU_MIN_CHUNK", chunk)])
    for subgroups in (False, True):
        machine = partial(_gpu_machine, launches.machine_of, subgroups)
        name = f"as on a GPU, with{'' if subgroups else 'out'} subgroups"
        yield Way(name, [(launches, "machine_of", machine)])


def _tile(threads: int, lanes: int, slots: int, rows: Rows, _machine: Machine) -> Tile:
    _needs(lanes == 1 or rows.n >= lanes)
    width = 1 if rows.across else rows.width
    slots = slots * 4 // width
    return Tile("tree", threads, lanes, slots, width, once=rows.n <= lanes * slots * width)


def _gpu_machine(own: Callable[[Device], Machine], subgroups: bool, device: Device) -> Machine:
    machine = own(device)
    _needs(machine.subgroups or not subgroups)
    return replace(machine, cpu=False, subgroups=subgroups)


# Scans: the plan.


def scans() -> Iterator[Way]:
    """Threads with other chunks, workgroups of both sizes, and as on a GPU."""
    for enough in (1, 64, 256, 1024, 4096):
        for least in (64, 512):
            name = f"threads, up to {enough} columns of chunks of {least} or more"
            constants = (
                ("ENOUGH_CPU_THREADS", enough),
                ("MIN_CPU_CHUNK", least),
                ("THREAD_CHUNK", 1 << 16),
            )
            yield Way(name, [(scanning, *each) for each in constants])
    for config, name in ((SMALL, "small"), (LARGE, "large")):
        for chunk in (config.block, 1 << 14, scanning.LONG_CHUNK):
            chosen = partial(_row_plan, config, chunk)
            yield Way(f"{name} workgroups, chunks of {chunk}", [(scanning, "plan", chosen)])
    yield Way("as on a GPU", [(scanning, "plan", partial(_gpu_plan, scanning.plan))])


def _row_plan(
    config: RowConfig, chunk: int, outer: int, n: int, inner: int, *, aligned: bool, initial: bool, cpu: bool
) -> ScanPlan:
    _needs(inner == 1 and n > 1)
    chunk = min(chunk, ceil_div(n, config.block) * config.block)
    wide = aligned and not initial and (n % 4 == 0 or outer == 1)
    return ScanPlan(chunk, ceil_div(n, chunk), config, wide)


def _gpu_plan(own: Callable[..., ScanPlan], *box: int, **options: Any) -> ScanPlan:
    return own(*box, **{**options, "cpu": False})


# Sorts.


def sorting_ways() -> Iterator[Way]:
    """By ranks, in workgroup memory, and by radix sorts of threads and of workgroups."""
    for name, constants, rows in _sorts():
        yield Way(name, [*constants, (sorts, "sort_rows", rows)])


def selections() -> Iterator[Way]:
    """Of the largest elements: by ranks, from blocks, and by sorts of all."""
    every = (top_k, "by_counting", lambda *_: True)  # All go to `ranked`, which knows how many are kept.
    yield Way("by ranks", [every, (top_k, "ranked", _few_ranked)])
    yield Way("from blocks", [every, (top_k, "ranked", _from_blocks)])
    for name, constants, rows in _sorts():
        yield Way(f"sorted {name}", [*constants, every, (top_k, "ranked", partial(_cut, rows))])


def _sorts() -> Iterator[tuple[str, list[Replaced], Callable[..., Array]]]:
    yield "by ranks", [], _by_ranks
    yield "in workgroups", [], _in_workgroups
    for tasks in (16, 32, 128, 512):
        yield f"by radix, up to {tasks} threads", [(sorting, "CPU_TASKS", tasks)], _by_radix
    for keys in sorting.KEYS:
        plan = partial(_gpu_radix, keys)
        yield f"by radix, workgroups with {keys} keys a thread", [(sorting, "radix_plan", plan)], _by_radix


def _by_ranks(x: Array, rows: int, n: int, *, indices: bool, descending: bool) -> Array:
    return _few_ranked(x, rows, n, n, indices=indices, descending=descending)


def _few_ranked(x: Array, rows: int, n: int, keep: int, **options: bool) -> Array:
    _needs(n <= _MAX_RANKED)
    return sorting.ranked(x, rows, n, keep, **options)


def _from_blocks(x: Array, rows: int, n: int, keep: int, **_: bool) -> Array:
    _needs(keep <= sorting.SELECTED)
    return top_k._selected(x, rows, n, keep)


def _cut(rows: Callable[..., Array], x: Array, count: int, n: int, _keep: int, **options: bool) -> Array:
    return rows(x, count, n, **options)


def _in_workgroups(x: Array, rows: int, n: int, *, indices: bool, descending: bool) -> Array:
    _needs(n <= sorting.BITONIC[-1][0])
    out = allocate(x.device, (rows * n,), I32 if indices else x.kind, operation="sort")
    mask = flip_mask(x.kind, descending=descending)
    sorting.bitonic(step(x.kind, indices=indices), [x], [out], rows, n, n, mask)
    return out


def _by_radix(x: Array, rows: int, n: int, *, indices: bool, descending: bool) -> Array:
    return sorting._radix(x, rows, n, indices=indices, descending=descending)


def _gpu_radix(keys: int, *_: Any, **__: Any) -> sorting.RadixPlan:
    return sorting.RadixPlan(sorting.DIGITS * keys, keys, subgroups=False)


# Elementwise kernels: the skeleton, the threads of a workgroup, and tiles for copies.


def elementwise() -> Iterator[Way]:
    """Single elements and vec4s, each index class, eight elements of f16, and other workgroups."""
    for index, width in product(("flat", "grid", "general"), (1, 4)):
        chosen = partial(_skeleton, compute._skeleton, 1, index, width)
        yield Way(f"{index}, {width} wide", [(compute, "_skeleton", chosen), *_NOT_EIGHT])
    yield Way("flat, 8 wide", [(compute, "_takes_eights", _takes_eights)])
    for threads in (32, 64, 1024):
        sized = partial(_of_threads, generator.spec, threads)
        yield Way(f"{threads} threads", [(generator, "spec", sized), (grid, "THREADS", threads), *_NOT_EIGHT])


def transposed_copies() -> Iterator[Way]:
    """Tiles, and strides in each index class."""
    yield Way("tiles", [(transposing, "uses_tiles", lambda _device: True)])
    yield from elementwise()


def gathers() -> Iterator[Way]:
    """Each index class, single elements and vec4s, and other workgroups."""
    for index, width in product(("flat", "grid", "general"), (1, 4)):
        chosen = partial(_skeleton, gathering._skeleton, 2, index, width)
        yield Way(f"{index}, {width} wide", [(gathering, "_skeleton", chosen)])


def _skeleton(
    own: Callable[..., Skeleton], at: int, index: str, width: int, *given: Any, **options: Any
) -> Skeleton:
    """The choice with another index class, or with single elements; argument `at` of `own` has the sizes."""
    found = own(*given, **options)
    _needs(width <= found.width)
    sizes = given[at]
    _needs(index == "general" or ((index == "flat") == (len(sizes) <= 1) and len(sizes) <= 3))
    single = {"vec4": "scalar", "one": "scalar", "indexed vec4": "indexed"}
    if width < found.width:
        access = tuple(single.get(each, each) for each in found.access)
        found = replace(found, width=1, access=access, store=single.get(found.store, found.store))
    return replace(found, index=index, wide_axes=index == "general" and len(sizes) > 4)


def _takes_eights(body: Body, skeleton: Skeleton, out: Array) -> bool:
    _needs(skeleton.index == "flat" and skeleton.width == 4 and "scalar" not in skeleton.access)
    _needs({*body.types, body.result} == {"f16"})
    return True


_NOT_EIGHT: list[Replaced] = [(compute, "_takes_eights", lambda *_: False)]


@dataclass(frozen=True)
class _Resized(Spec):
    """A kernel of the generator with workgroups of another size than its text says."""

    __hash__ = Spec.__hash__

    @property
    def text(self) -> str:
        own = super().text
        return own.replace("256u", f"{self.threads}u").replace("size(256)", f"size({self.threads})")


def _of_threads(own: Callable[..., Spec], threads: int, body: Body, skeleton: Skeleton) -> Spec:
    found = own(body, skeleton)
    facts = (found.inputs, found.outputs, threads, 0, (), True, found.definitions)
    return _Resized(found.name, *facts, f"{found.variant}, {threads} threads")


# Sums of elements with equal indices.


def scatters() -> Iterator[Way]:
    """By lines, by rows and by runs."""
    for way in ("lines", "rows", "runs"):
        yield Way(way, [(scattering, "_way", partial(_scatter_way, way))])


def _scatter_way(way: str, _device: Device, size: scattering.Rows) -> str:
    _needs(way != "rows" or size.outer * size.rows * size.n <= 1 << 26)
    return way
