"""Scans by the kernels that no sample of an operation launches."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from rusty_py import Device, array, oracle
from rusty_py.dtypes import F16, F32, Dtype
from rusty_py.operation import OPERATIONS, apply
from rusty_py.ops import scan_kernels
from rusty_py.ops.scan_kernels import PROD, SUM, Scan, depth
from rusty_py.oracle import Expected

ScanWork = tuple[str, Callable[[Device, object], np.ndarray], Callable[[], Expected]]


def scans() -> Iterator[ScanWork]:
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
) -> ScanWork:
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
