"""Which tile is fastest for a row operation: each candidate, in turn on one GPU, beside a copy.

    python -m benchmarks.rowwise_tiles
    python -m benchmarks.rowwise_tiles softmax,layer_norm_gradient 16384x8192 131072x1024 --dtype f16

A candidate differs from the choice of `tile_for` in the threads of a workgroup, and so in the elements that
each holds in registers. It is verified against float64 on a few rows, then timed by GPU timestamps, in random
order, round by round. A row has the median time, the bytes of the operation in it, and that rate as a
fraction of a copy's.
"""

import argparse
import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

import numpy as np
from tabulate import tabulate

from rusty_py import Array, Device, LimitError, default_device
from rusty_py.arrays import upload
from rusty_py.dtypes import DTYPES, Dtype
from rusty_py.measure.ceilings import CeilingMeter
from rusty_py.measure.operation_work import collected
from rusty_py.operation import OPERATIONS, apply
from rusty_py.ops.rowwise import tiles
from rusty_py.ops.rowwise.kernel import MIN_SUBGROUP, Tile
from rusty_py.ops.rowwise.launches import machine_of
from rusty_py.ops.rowwise.tiles import Machine, Rows
from rusty_py.ops.rowwise_kernels import FUNCTIONS
from rusty_py.runtime.launch import Launch
from rusty_py.runtime.timing import Timer
from rusty_py.samples import Sample
from rusty_py.shapes import ceil_div

OPERATIONS_TIMED = ("softmax", "log_softmax", "softmax_gradient", "layer_norm", "layer_norm_gradient")
OPERATIONS_TIMED += ("layer_norm_sums", "rms_norm", "rms_norm_gradient", "rms_norm_sums")
SHAPES = ("16384x8192", "131072x1024", "1048576x128", "8192x16384", "64x2000000")
ROUNDS, SAMPLE_NS, CHECKED_ROWS, MAX_SLOTS = 9, 5e7, 8, 8


@dataclass
class Candidate:
    """A tile, its launches on all rows, and its times."""

    tile: Tile
    chosen: bool
    launches: list[Launch]
    result: Array
    times_ns: list[float] = field(default_factory=list)


def candidates(rows: Rows, chosen: Tile, machine: Machine) -> Iterator[Tile]:
    """The choice, and tiles of the same skeleton with other numbers of threads."""
    yield chosen
    threads = 32
    while threads <= machine.threads:
        for lanes in (threads, MIN_SUBGROUP):
            slots = ceil_div(rows.n, lanes * rows.width)
            if chosen.once and slots <= MAX_SLOTS * 4 // rows.width:
                yield Tile(chosen.skeleton, threads, lanes, slots, rows.width)
        if not chosen.once:
            for slots in (2, 4, 8):
                yield Tile(chosen.skeleton, threads, threads, slots, rows.width, once=False)
        threads *= 2


@contextmanager
def forced(tile: Tile) -> Iterator[None]:
    """Rows are divided by this tile."""
    own = tiles.tile_for, tiles.tile_for_sums
    tiles.tile_for = tiles.tile_for_sums = lambda rows, machine: tile
    try:
        yield
    finally:
        tiles.tile_for, tiles.tile_for_sums = own


def operands_of(name: str, rows: int, n: int, dtype: Dtype, seed: int) -> list[np.ndarray]:
    """Random operands: of the rows' shape, and vectors of a row's length."""
    rng = np.random.default_rng(seed)
    function = FUNCTIONS[name]
    vectors = () if name.endswith("_sums") else function.vectors
    shapes = [(rows, n)] * len(function.operands) + [(n,)] * len(vectors)
    return [rng.standard_normal(shape, np.float32).astype(dtype.numpy) for shape in shapes]


def options_of(name: str, n: int) -> dict[str, object]:
    """The options of an operation along rows."""
    return {"axis": -1} if "softmax" in name else {"normalized_shape": (n,), "eps": 1e-5}


def verify(device: Device, name: str, n: int, dtype: Dtype, tile: Tile) -> None:
    """Ends the program for a wrong result."""
    expected = OPERATIONS[name].expected
    assert expected is not None
    given, options = operands_of(name, CHECKED_ROWS, n, dtype, seed=1), options_of(name, n)
    device.cache.forget_plans()
    with forced(tile):
        result = apply(OPERATIONS[name], *(upload(x, dtype, device) for x in given), **options)  # type: ignore[arg-type]
    device.cache.forget_plans()
    error = expected(Sample(name, tuple(given), options)).error(result.numpy())
    if error > 1:
        raise SystemExit(
            f"rowwise_tiles: {name} of rows of {n} is wrong on {tile}: {error:.3g} times the bound"
        )


def timed(device: Device, name: str, rows: int, n: int, dtype: Dtype) -> list[Candidate]:
    """The candidates with their times. Raises LimitError for arrays that are larger than a binding."""
    timer, machine = Timer(device), machine_of(device)
    arrays = [upload(x, dtype, device) for x in operands_of(name, rows, n, dtype, seed=0)]
    box = Rows(rows, n, 4 if n % 4 == 0 else 1)
    choose = tiles.tile_for_sums if name.endswith("_sums") else tiles.tile_for
    chosen = choose(box, machine)
    found: list[Candidate] = []
    for tile in dict.fromkeys(candidates(box, chosen, machine)) if chosen else ():
        try:
            verify(device, name, n, dtype, tile)
            with forced(tile):
                launches, result = collected(
                    device, lambda: OPERATIONS[name].forward(*arrays, **options_of(name, n))
                )
        except LimitError as error:
            print(f"{name}: {tile}: {error}", file=sys.stderr)
            continue
        found.append(Candidate(tile, tile == chosen, launches, result))
    order = list(found)
    for _ in range(ROUNDS):
        random.shuffle(order)
        for each in order:
            once = timer.sample([each.launches])
            repeats = max(1, int(SAMPLE_NS / (once.gpu_ns or once.wall_ns)))
            sample = timer.sample([each.launches * repeats])
            each.times_ns.append((sample.gpu_ns or sample.wall_ns) / repeats)
    return found


def report(device: Device, name: str, shape: str, dtype: Dtype, copy_gbps: float) -> str:
    """A table of the candidates, the fastest first."""
    rows, n = map(int, shape.split("x"))
    found = sorted(timed(device, name, rows, n, dtype), key=lambda each: median(each.times_ns))
    arrays = len(FUNCTIONS[name].operands) + (not name.endswith("_sums"))
    cells = []
    for each in found:
        ns = median(each.times_ns)
        rate = arrays * rows * n * dtype.itemsize / ns
        cells.append(
            [each.tile, "chosen" * each.chosen, f"{ns / 1e3:.1f}", f"{rate:.0f}", f"{rate / copy_gbps:.3f}"]
        )
    heads = ["tile", "", "us", "GB/s", "of copy"]
    return f"{name} {dtype.name} {shape}\n{tabulate(cells, heads, disable_numparse=True)}\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a table for each operation and shape."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("operations", nargs="?", default=",".join(OPERATIONS_TIMED))
    parser.add_argument("shapes", nargs="*", default=SHAPES, help="rows x elements of a row")
    parser.add_argument("--dtype", choices=DTYPES, default="f32")
    options = parser.parse_args(arguments)
    device, dtype = default_device(), DTYPES[options.dtype]
    copy_gbps = CeilingMeter(device, Timer(device), sample_s=0.1).copy_gbps(1 << 30)
    print(f"{device.adapter}: copy {copy_gbps:.0f} GB/s\n")
    for name in options.operations.split(","):
        for shape in options.shapes:
            print(report(device, name, shape, dtype, copy_gbps), flush=True)


if __name__ == "__main__":
    main()
