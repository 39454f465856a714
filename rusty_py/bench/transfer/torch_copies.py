"""PyTorch's CUDA transfers, if installed, as a reference for the vendor's own path."""

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any

from rusty_py.bench.transfer.copies import Arrays, verifier
from rusty_py.measure.work import Implementation

PINNED, PAGEABLE = "torch, pinned", "torch, pageable"


@cache
def torch() -> Any:
    """PyTorch with a CUDA device, or None."""
    try:
        found = import_module("torch")
    except ImportError:
        return None
    return found if found.cuda.is_available() else None


def uploads(arrays: Arrays) -> Sequence[Implementation]:
    """From the source, and from pinned memory with the same data."""
    if torch() is None:
        return []
    pageable = torch().from_numpy(arrays.source.view("i4"))
    pinned = torch().empty_like(pageable, pin_memory=True)
    on_device = pageable.cuda()

    def upload(host: Any, n: int) -> None:
        for _ in range(n):
            on_device.copy_(host, non_blocking=True)
            torch().cuda.synchronize()

    def arrived() -> Any:
        return on_device.cpu().numpy()

    return [
        Implementation(
            PINNED, lambda n: upload(pinned, n), verifier(arrays, lambda: pinned.copy_(pageable), arrived)
        ),
        Implementation(PAGEABLE, lambda n: upload(pageable, n), verifier(arrays, lambda: None, arrived)),
    ]


def downloads(arrays: Arrays) -> Sequence[Implementation]:
    """Into the target, and into pinned memory."""
    if torch() is None:
        return []
    source = torch().from_numpy(arrays.source.view("i4"))
    pageable = torch().from_numpy(arrays.target.view("i4"))
    pinned = torch().empty_like(pageable, pin_memory=True)
    on_device = source.cuda()

    def download(host: Any, n: int) -> None:
        for _ in range(n):
            host.copy_(on_device, non_blocking=True)
            torch().cuda.synchronize()

    def fill() -> None:
        on_device.copy_(source)
        pinned.zero_()

    return [
        Implementation(PINNED, lambda n: download(pinned, n), verifier(arrays, fill, pinned.numpy)),
        Implementation(
            PAGEABLE, lambda n: download(pageable, n), verifier(arrays, fill, lambda: arrays.target)
        ),
    ]
