"""Scans and sorts by the kernels that no sample of an operation launches."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from rusty_py import Device, array, oracle
from rusty_py.dtypes import BOOL, F16, F32, I32, Dtype
from rusty_py.operation import OPERATIONS, apply
from rusty_py.ops.scan import kernels as scan_kernels
from rusty_py.ops.scan.kernels import depth
from rusty_py.ops.scan.specs import PROD, SUM, Scan
from rusty_py.ops.search import searchsorted
from rusty_py.ops.sort import kernels as sort_kernels
from rusty_py.ops.sort.kernels import SELECTED
from rusty_py.ops.sort.operations import argsort, sort, sorted_order
from rusty_py.ops.sort.specs import step
from rusty_py.ops.top_k import top_k
from rusty_py.oracle import Expected
from rusty_py.samples import with_specials

OrderWork = tuple[str, Callable[[Device, object], np.ndarray], Callable[[], Expected]]


def order_works() -> Iterator[OrderWork]:
    """Scans, and sorts."""
    yield from _scans()
    yield from _sorts()


def _scans() -> Iterator[OrderWork]:
    """In chunks, from the end, and without subgroups."""
    yield _scan(SUM, F32, (2, 4100), chunks=True)
    yield _scan(SUM, F16, (1, 4100), chunks=True)
    yield _scan(SUM, F32, (1, 4101), chunks=True, reverse=True, subgroups=False)
    yield _scan(PROD, F32, (2, 4101), chunks=True, subgroups=False)
    yield _scan(SUM, F32, (2, 301), reverse=True)
    yield _scan(SUM, F32, (2, 70, 4), axis=1, reverse=True)


def _scan(
    row: Scan,
    kind: Dtype,
    shape: tuple[int, ...],
    *,
    axis: int = -1,
    chunks: bool = False,
    reverse: bool = False,
    subgroups: bool = True,
) -> OrderWork:
    x = np.random.default_rng(9).uniform(0.99, 1.01, shape).astype(kind.numpy)

    def compute(device: Device, _: object) -> np.ndarray:
        features = device.adapter.features - (set() if subgroups else {"subgroup"})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(device, "adapter", replace(device.adapter, features=features))
            patch.setattr(scan_kernels, "SINGLE_LAUNCH", 1 << (8 if chunks else 14))
            device.cache.forget_plans()
            result = apply(OPERATIONS[row.name], array(x, device=device), axis=axis, reverse=reverse).numpy()
        device.cache.forget_plans()
        return result

    def reference(x: np.ndarray) -> np.ndarray:
        flat = np.cumsum if row is SUM else np.cumprod
        return np.flip(flat(np.flip(x, axis), axis), axis) if reverse else flat(x, axis)

    def expected() -> Expected:
        bound_of = oracle.cumulative_sum if row is SUM else oracle.cumulative_prod
        return Expected(*bound_of(x, reference, depth=depth(x.size), dtype=kind))

    title = [row.name, kind.name, "reversed" * reverse, "in chunks" * chunks]
    title += ["without subgroups" * (not subgroups), f"of {shape}"]
    return " ".join(filter(None, title)), compute, expected


def _sorts() -> Iterator[OrderWork]:
    """By radix sorts, with subgroups and without, and as on CPU drivers."""
    yield _sort(F32, 2500, indices=True)
    yield _sort(F16, 1500, descending=True, subgroups=False)
    yield _sort(BOOL, 2200, keys=8)
    yield _sort(F32, 600, cpu=True)
    yield _sort(I32, 600, indices=True, descending=True, cpu=True)
    yield _top(F32, 700)
    yield _top(F16, 700)
    yield _top(F32, 1300, span=512)
    yield "selection of keys", _selected, _expected_of_keys
    yield "searchsorted through a sorter", _searched, lambda: Expected(np.searchsorted(*_SEARCH), None)


_SEARCH = np.arange(30, dtype=np.float32), np.array([3.5, -1, 29, 40], np.float32)


def _searched(device: Device, _: object) -> np.ndarray:
    x, queries = (array(each, device=device) for each in _SEARCH)
    return searchsorted(x[::-1], queries, sorter=np.arange(30, dtype=np.int32)[::-1]).numpy()


def _top(kind: Dtype, n: int, *, span: int = sort_kernels.SPAN) -> OrderWork:
    """The ten largest, by selection from blocks."""
    (x,) = with_specials(kind, 1, 2, n)

    def compute(device: Device, _: object) -> np.ndarray:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(device, "adapter", replace(device.adapter, type="DiscreteGPU"))
            patch.setattr(sort_kernels, "SPAN", span)
            device.cache.forget_plans()
            result = top_k(array(x, device=device), 10)[1].numpy()
        device.cache.forget_plans()
        return result

    def expected() -> Expected:
        return Expected(sorted_order(x, descending=True)[:, :10].astype(np.int32), None)

    return f"ten largest of {kind.name}, {n} in blocks of {span}", compute, expected


_KEYS = np.random.default_rng(3).integers(0, 200, (2, 1500), np.uint32)


def _selected(device: Device, _: object) -> np.ndarray:
    """As between the passes of a long selection: keys and indices of the smallest ones."""
    places = np.tile(np.arange(1500, dtype=np.uint32), (2, 1))
    given = [array(each.reshape(-1), device=device) for each in (_KEYS, places)]
    kept = [array(np.zeros(2 * SELECTED, np.uint32), device=device) for _ in range(2)]
    between = step(F32, indices=True, first=False, last=False)
    sort_kernels.select(between, given, kept, 2, 1500, SELECTED, 0)
    return np.concatenate([each.numpy() for each in kept])


def _expected_of_keys() -> Expected:
    order = np.argsort(_KEYS, axis=1, kind="stable")[:, :SELECTED]
    found = np.take_along_axis(_KEYS, order, 1), order.astype(np.uint32)
    return Expected(np.concatenate([each.reshape(-1) for each in found]), None)


def _sort(
    kind: Dtype,
    n: int,
    *,
    indices: bool = False,
    descending: bool = False,
    keys: int = 4,
    subgroups: bool = True,
    cpu: bool = False,
) -> OrderWork:
    (x,) = with_specials(kind, 1, 2, n)

    def compute(device: Device, _: object) -> np.ndarray:
        features = device.adapter.features - (set() if subgroups else {"subgroup"})
        adapter = replace(device.adapter, features=features, type="CPU" if cpu else "DiscreteGPU")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(device, "adapter", adapter)
            patch.setattr(sort_kernels, "BITONIC", ((256, 64),))
            patch.setattr(sort_kernels, "KEYS", (keys,))
            patch.setattr(scan_kernels, "MIN_CPU_CHUNK", 32)  # The scan of few counts, too, has chunks.
            device.cache.forget_plans()
            function = argsort if indices else sort
            result = function(array(x, device=device), descending=descending).numpy()
        device.cache.forget_plans()
        return result

    def expected() -> Expected:
        order = sorted_order(x, descending=descending)
        return Expected(order.astype(np.int32) if indices else np.take_along_axis(x, order, -1), None)

    title = ["argsort" if indices else "sort", kind.name, "descending" * descending, "on a CPU" * cpu]
    title += ["without subgroups" * (not subgroups), f"of {n}"]
    return " ".join(filter(None, title)), compute, expected
