"""A terminal to run programs on, that reads what they show."""

import os
import pty
import re
import threading
from types import TracebackType
from typing import Self

from .program import PATIENCE_S


class Terminal:
    """A pseudo-terminal. Give `end` to a child, then leave it; `text` is what the child has shown."""

    def __init__(self) -> None:
        self._ours, self.end = pty.openpty()
        self._seen = bytearray()
        self._changed = threading.Condition()
        self._closed = False
        # Always read: a program that fills a terminal's buffer stops, and does not hear Ctrl-C.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave_end()
        self._reader.join(PATIENCE_S)
        os.close(self._ours)

    @property
    def text(self) -> str:
        with self._changed:
            return self._seen.decode(errors="replace")

    def leave_end(self) -> None:
        """Leaves the child's end to the child."""
        if self.end >= 0:
            os.close(self.end)
            self.end = -1

    def wait_for(self, pattern: str) -> None:
        """Returns when the terminal has shown `pattern`; fails where the child ends without."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._shows(pattern), PATIENCE_S)
            assert self._shows(pattern), self._seen

    def _shows(self, pattern: str) -> bool:
        return re.search(pattern, self._seen.decode(errors="replace")) is not None

    def _read(self) -> None:
        piece = b"."
        while piece:
            try:
                piece = os.read(self._ours, 4096)
            except OSError:  # So Linux says that the other end is closed.
                piece = b""
            with self._changed:
                self._seen += piece
                self._closed = not piece
                self._changed.notify_all()
