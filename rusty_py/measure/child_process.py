"""A child process that measures: it gets an order, and reports as lines of JSON.

A kernel may hang the driver or crash its process, so that what may do so is measured in another one.
"""

import json
import queue
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import IO, Any

from rusty_py.errors import DeviceError

Event = dict[str, Any]


class ChildProcess:
    """A running child. Its order is one line of its standard input, which closes when this process ends."""

    def __init__(self, child: "subprocess.Popen[bytes]", talk: IO[bytes]) -> None:
        self._child, self._talk = child, talk

    def events(self, *, silence_s: float, deadline: float) -> Iterator[Event]:
        """The reports; {"event": "time"} at the deadline, and {"event": "hangs"} after a long silence.

        `deadline` is a time of the monotonic clock.
        """
        lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        stdout = self._child.stdout
        assert stdout

        def read() -> None:
            with suppress(OSError, ValueError):  # Closed by the other thread.
                for line in stdout:
                    lines.put(line)
            lines.put(b"")

        threading.Thread(target=read, daemon=True).start()
        while True:
            left_s = deadline - time.monotonic()
            try:
                line = lines.get(timeout=max(0.0, min(silence_s, left_s)))
            except queue.Empty:
                yield {"event": "time" if left_s < silence_s else "hangs"}
                return
            if not line:
                self._child.wait()
                return
            with suppress(ValueError, RecursionError):  # Ignore what drivers print to standard output.
                event = json.loads(line)
                if isinstance(event, dict):
                    yield event

    def ending(self) -> str:
        """How the child ended: its status, and the last line that it printed to standard error."""
        self._talk.seek(0)
        words = self._talk.read().decode(errors="replace").strip().rpartition("\n")[2][-200:]
        return f"the measuring process ended with status {self._child.returncode}{': ' * bool(words)}{words}"


@contextmanager
def child_process(command: Sequence[str], order: object) -> Iterator[ChildProcess]:
    """Starts a child with an order, and ends it. Raises DeviceError if it cannot be started."""
    with ExitStack() as stack:
        try:
            talk = stack.enter_context(tempfile.TemporaryFile())
            # A separate session: signals go to this process, which ends the child.
            child = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=talk, start_new_session=True
            )
        except OSError as error:
            raise DeviceError(f"the measuring process cannot be started: {error}") from error
        try:
            assert child.stdin
            with suppress(BrokenPipeError):  # The child has exited; its reports tell why.
                child.stdin.write(json.dumps(order).encode() + b"\n")
                child.stdin.flush()  # Stays open: the child exits when it is closed.
            yield ChildProcess(child, talk)
        finally:
            child.kill()
            child.wait()
            for stream in (child.stdin, child.stdout):
                if stream:
                    with suppress(OSError):
                        stream.close()
