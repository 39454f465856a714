"""The way of an application through the layers: how often it climbs from a lower one into a higher."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import numpy as np

import rusty_py
from rusty_py import Device, array
from tests.unit.test_layers import LAYERS

PACKAGE = str(Path(rusty_py.__file__).parent)
MAX_CLIMBS = 5


def _module(frame: FrameType | None) -> str | None:
    """The module of ours that a frame runs, by its first name below the package."""
    if frame is None or not frame.f_code.co_filename.startswith(PACKAGE):
        return None
    return Path(frame.f_code.co_filename).relative_to(PACKAGE).with_suffix("").parts[0]


@contextmanager
def climbs() -> Iterator[list[tuple[str, str]]]:
    """The calls from a module of ours into one of a higher layer: who calls, and what."""
    seen: list[tuple[str, str]] = []

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event != "call" or (callee := _module(frame)) is None:
            return
        caller = frame.f_back  # Those of others in between, of functools and contextlib, are passed.
        while caller is not None and _module(caller) is None and caller.f_code.co_filename != __file__:
            caller = caller.f_back
        name = _module(caller)
        if name is not None and LAYERS[name] < LAYERS[callee]:
            seen.append((name, f"{callee}.{frame.f_code.co_qualname}"))

    sys.setprofile(note)
    try:
        yield seen
    finally:
        sys.setprofile(None)


def _of(call: Callable[[], object]) -> list[tuple[str, str]]:
    with climbs() as seen:
        kept = call()
    del kept
    return seen


def test_a_product_whose_plan_is_kept_climbs_five_times_at_most(unchecked: Device) -> None:
    a, b = (array(np.ones((48, 48), np.float32), device=unchecked) for _ in "ab")
    first = _of(lambda: a @ b)
    again = _of(lambda: a @ b)
    assert first, "sees nothing"
    assert len(again) <= MAX_CLIMBS, again
