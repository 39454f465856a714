"""PyTorch's transfers through CUDA, where it is installed: what a vendor's own path reaches here."""

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any

from rusty_py.bench.rounds import Contestant
from rusty_py.bench.transfer.copies import Arrays, prover

PINNED, PAGEABLE = "torch, pinned", "torch, pageable"


@cache
def torch() -> Any:
    """PyTorch with a CUDA device; None where there is none."""
    try:
        found = import_module("torch")
    except ImportError:
        return None
    return found if found.cuda.is_available() else None


def uploads(arrays: Arrays) -> Sequence[Contestant]:
    """From the source, and from page-locked memory with the same data, as PyTorch advises."""
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
        Contestant(
            PINNED, lambda n: upload(pinned, n), prover(arrays, lambda: pinned.copy_(pageable), arrived)
        ),
        Contestant(PAGEABLE, lambda n: upload(pageable, n), prover(arrays, lambda: None, arrived)),
    ]


def downloads(arrays: Arrays) -> Sequence[Contestant]:
    """Into the target, and into page-locked memory."""
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
        Contestant(PINNED, lambda n: download(pinned, n), prover(arrays, fill, pinned.numpy)),
        Contestant(PAGEABLE, lambda n: download(pageable, n), prover(arrays, fill, lambda: arrays.target)),
    ]
