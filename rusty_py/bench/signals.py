"""Signals that end the program, after printing and writing what was measured."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType
from typing import Self

from rusty_py.measure.signals import ENDING

_DEFAULTS = (signal.SIG_DFL, signal.default_int_handler)
_SAME_S = 1.0


class Signals:
    """A context in which SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt; `number` is the first received.

    Signals ignored by the parent process stay ignored, such as SIGHUP under nohup. More signals within a
    second are ignored: `timeout` signals its child twice, and a terminal and its shell both hang up. Later
    ones are not: SIGINT interrupts the cleanup, the others end the process.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.number: int | None = None
        self._now, self._came = now, 0.0
        self._restore = ExitStack()

    def __enter__(self) -> Self:
        for number in ENDING:
            if signal.getsignal(number) in _DEFAULTS:
                self._restore.callback(signal.signal, number, signal.signal(number, self._hear))
        return self

    def __exit__(self, *_: object) -> None:
        self._restore.close()

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.number is None:
            self.number, self._came = number, self._now()
        elif self._now() - self._came < _SAME_S:
            return
        elif number != signal.SIGINT:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        raise KeyboardInterrupt
