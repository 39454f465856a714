"""A peer's process, seen from outside: asked with a time limit, and begun anew after its end."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from types import TracebackType
from typing import Self

from benchmarks.peers.child import Answer, Task
from benchmarks.peers.roster import ROSTER

ROOT = Path(__file__).parents[2]
_MAX_ENDS = 2
_LAST_WORDS = 400


class Worker:
    """The process of the peer `name`, which starts when it is asked first. `command` is for tests."""

    def __init__(self, name: str, *, timeout_s: float, command: Sequence[str] = ()) -> None:
        self.name, self.timeout_s = name, timeout_s
        self.command = command or (sys.executable, "-m", "benchmarks.peers.child", name)
        self.process: subprocess.Popen[str] | None = None
        self.answers: Queue[str] = Queue()
        self.ends: list[str] = []
        self.talk = tempfile.TemporaryFile()  # noqa: SIM115  Closed with the worker.

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process:
            self._kill(self.process)
        self.talk.close()

    def ask(self, task: Task) -> Answer:
        """The answer of the process, or how it ended instead. After two such ends it is not begun again."""
        if len(self.ends) >= _MAX_ENDS:
            return Answer(failure=f"not asked again after: {self.ends[-1]}")
        process = self.process or self._start()
        heard = self.talk.seek(0, os.SEEK_END)
        assert process.stdin
        try:
            print(task.dumps(), file=process.stdin, flush=True)
            line = self.answers.get(timeout=self.timeout_s)
        except BrokenPipeError:
            line = ""
        except Empty:
            return self._ended(f"no answer within {self.timeout_s:g} s", heard)
        if line:
            return Answer.loads(line)
        return self._ended(_how(process.wait()), heard)

    def _start(self) -> subprocess.Popen[str]:
        environment = {**os.environ, **ROSTER[self.name].environment}
        answers: Queue[str] = Queue()
        self.answers = answers
        self.process = process = subprocess.Popen(
            self.command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.talk,
            text=True,
            encoding="utf-8",
        )
        assert process.stdout
        stdout = process.stdout

        def listen() -> None:
            with stdout:
                for line in stdout:
                    answers.put(line)
            answers.put("")

        Thread(target=listen, daemon=True).start()
        return process

    def _ended(self, how: str, heard: int) -> Answer:
        """Makes sure of the end, and says how it came, with what the process said last."""
        assert self.process
        self._kill(self.process)
        self.process = None
        self.talk.seek(heard)
        words = " | ".join(self.talk.read().decode("utf-8", "replace").split("\n")).strip(" |")
        self.ends.append(f"{how}: {words[-_LAST_WORDS:]}" if words else how)
        return Answer(failure=self.ends[-1])

    def _kill(self, process: subprocess.Popen[str]) -> None:
        process.kill()
        process.wait()
        assert process.stdin
        with suppress(BrokenPipeError):
            process.stdin.close()


def _how(status: int) -> str:
    if status >= 0:
        return f"its process ended with status {status}"
    try:
        return f"its process was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"its process was ended by signal {-status}"
