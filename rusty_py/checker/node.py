"""A program for Node that answers questions: a line of JSON in, a line of JSON out."""

import contextlib
import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ANSWER_SECONDS = 60.0


GAVE_UP = 70
"""The exit status of a program that its question was too much for."""


class CompilerDied(Exception):
    """A compiler ended instead of answering: with which status, below 0 by a signal, and its last words."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(f"exit status {status}: {words}")
        self.status = status

    @property
    def gave_up(self) -> bool:
        """Whether that was the question's fault."""
        return self.status == GAVE_UP or self.status < 0


class Compiler:
    """A node process that lives as long as it answers; the next question starts another."""

    def __init__(self, command: Sequence[str | Path]) -> None:
        self._command = command
        self._process: subprocess.Popen[str] | None = None
        self._owner = 0
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed in close()
        self._lock = threading.Lock()

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """The answer to `question`. Raises CompilerDied."""
        with self._lock:
            return self._ask(question)

    def close(self) -> None:
        self._stop()
        self._errors.close()

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        if self._owner != os.getpid():  # Before a fork: its answers would reach either of two.
            self._process = None
        process = self._process = self._process or self._start()
        patience = threading.Timer(ANSWER_SECONDS, process.kill)
        patience.start()
        try:
            answer = _answer(process, question)
        except BaseException:  # Such as Ctrl-C: the answer would be that to the next question.
            process.kill()
            self._stop()
            raise
        finally:
            patience.cancel()
        if answer:
            return dict(json.loads(answer))
        self._stop()
        self._errors.seek(0)
        raise CompilerDied(process.returncode, self._errors.read())

    def _start(self) -> "subprocess.Popen[str]":
        self._owner = os.getpid()
        self._errors.seek(0)
        self._errors.truncate()
        return subprocess.Popen(
            list(map(str, self._command)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            encoding="utf-8",
        )

    def _stop(self) -> None:
        if self._process is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.communicate()
            self._process = None


def _answer(process: "subprocess.Popen[str]", question: dict[str, Any]) -> str:
    """A line; nothing where the process ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(BrokenPipeError):  # Dead already: its answer is empty.
        print(json.dumps(question), file=process.stdin, flush=True)
    return process.stdout.readline()
