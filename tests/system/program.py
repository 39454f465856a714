"""Runs the program as its users do, in another process, and reads what it says."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from .. import warm

ROOT = Path(__file__).parents[2]
SCRIPT = Path(sys.executable).with_name("rusty-bench")
PATIENCE_S = 120.0

NO_DRIVER = {"VK_DRIVER_FILES": "/nonexistent", "VK_ICD_FILENAMES": "/nonexistent"}

# What a shell or a CI may set, and what would colour or widen the output, or hide the driver's complaints.
_UNSET = {
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "COLUMNS",
    "FORCE_COLOR",
    "GITHUB_ACTIONS",
    "LINES",
    "NO_COLOR",
    "PYTHONIOENCODING",
    "PYTHONWARNINGS",
    "PY_COLORS",
    "TERMINAL_WIDTH",
    "XDG_RUNTIME_DIR",
}

_MAIN = """
if __name__ == "__main__":
    from rusty_py.bench.cli import main

    main()
"""


@dataclass(frozen=True)
class Done:
    """How a process ended."""

    code: int
    out: str
    err: str

    @property
    def message(self) -> str:
        """Standard error in one line."""
        return " ".join(self.err.split())

    def refuses(self, code: int, *words: str) -> None:
        """Asserts a refusal as users should see it: the code, why, no traceback, nothing on stdout."""
        self.fails(code, *words)
        assert self.out == ""

    def fails(self, code: int, *words: str) -> None:
        """Asserts a failure that says why, in one line or below the usage."""
        assert (self.code, "Traceback" in self.err) == (code, False), self
        for word in words:
            assert word in self.message
        if not self.err.startswith("Usage:"):
            assert self.err.startswith("error: ")
            assert self.err.count("\n") == 1

    def succeeds(self) -> None:
        """Asserts that all went well and without a word on standard error."""
        assert (self.code, self.err) == (0, ""), self


Sabotaged = Callable[..., Done]
"""Runs `rusty-bench` after Python code that breaks it: sabotaged(code, *arguments, **options)."""


def environment(changes: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """This process's environment without what steers output, in UTF-8, with `changes`; None unsets."""
    merged = {name: value for name, value in os.environ.items() if name not in _UNSET}
    merged["PYTHONUTF8"] = "1"
    for name, value in (changes or {}).items():
        merged.pop(name, None)
        if value is not None:
            merged[name] = value
    return merged


def run(
    command: Sequence[str | bytes | Path],
    *,
    env: Mapping[str, str | None] | None = None,
    cwd: Path | str | None = None,
    stdout: int | IO[Any] = subprocess.PIPE,
    patience_s: float = PATIENCE_S,
    anew: bool = False,
) -> Done:
    """Runs a command to its end; `env` holds changes to the environment.

    What is Python is forked from a process that has imported everything, unless it shall start `anew`.
    """
    request = None if anew else _request(command, env, cwd)
    if request is not None:
        file = None if stdout == subprocess.PIPE else stdout if isinstance(stdout, int) else stdout.fileno()
        ended = warm.run(request, patience_s=patience_s, stdout=file)
        return Done(ended.code, ended.out.decode(), ended.err.decode())
    with started(command, env=env, cwd=cwd, stdout=stdout, stderr=subprocess.PIPE) as child:
        out, err = child.communicate(timeout=patience_s)
    return Done(child.returncode, out or "", err)


def _request(
    command: Sequence[str | bytes | Path], env: Mapping[str, str | None] | None, cwd: Path | str | None
) -> warm.Request | None:
    """The command as a fork can be it; None for what is not Python, or another, or started otherwise."""
    if not warm.POSSIBLE or any(name.startswith("PYTHON") for name in env or ()):
        return None
    if any(isinstance(part, bytes) for part in command):
        return None
    argv, code = [str(part) for part in command], None
    if argv[:2] == [sys.executable, "-c"]:
        code = argv[2]
        argv[:3] = ["-c"]
    elif argv[0] == sys.executable and Path(argv[1]).is_file():
        del argv[0]
    elif argv[0] != str(SCRIPT):
        return None
    return warm.Request(code, argv, environment(env), str(cwd or Path.cwd())) if warm.fits(code) else None


@contextmanager
def started(
    command: Sequence[str | bytes | Path], *, env: Mapping[str, str | None] | None = None, **options: Any
) -> Iterator[subprocess.Popen[str]]:
    """A process that goes on; where the block fails, it is killed with all processes of its group.

    `options` are those of Popen.
    """
    child = subprocess.Popen(
        command,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        encoding="utf-8",
        start_new_session=True,
        **options,
    )
    with child:
        try:
            yield child
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            raise


def rusty_bench(*arguments: str | bytes | Path, **options: Any) -> Done:
    """Runs `rusty-bench`, the script that the installation made; `options` as those of `run`."""
    return run([SCRIPT, *arguments], **options)


def python(code: str, *arguments: str, **options: Any) -> Done:
    """Runs Python code in a process of its own."""
    return run([sys.executable, "-c", textwrap.dedent(code), *arguments], **options)


def driver(path: Path, sabotage: str) -> list[str | Path]:
    """The command that runs `rusty-bench` after the Python code `sabotage`, written to `path`.

    `sabotage` is also run in the processes that the program starts: they import the main module again.
    """
    path.write_text(textwrap.dedent(sabotage) + _MAIN, encoding="utf-8")
    return [sys.executable, path]


def table(text: str) -> list[dict[str, str]]:
    """The rows of the table in a report, by column head."""
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if re.fullmatch(r"-+(  -+)+", line))
    spans = [match.span() for match in re.finditer("-+", lines[at])]
    heads = [lines[at - 1][start:end].strip() for start, end in spans]
    rows = []
    for line in lines[at + 1 :]:
        if not line:
            break
        rows.append({head: line[slice(*span)].strip() for head, span in zip(heads, spans, strict=True)})
    return rows


def strict_json(text: str) -> Any:
    """What the text holds; NaN and infinities, which JSON does not know, are errors."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def kernels(document: Any) -> list[dict[str, Any]]:
    """The kernels of a JSON document, without references and whole calls, each with its `problem`."""
    return [
        {**result, "problem": row["problem"]}
        for row in document["rows"]
        for result in row["results"]
        if result["scope"] == "kernel" and result["by"] != row["reference"]
    ]


def figure(result: dict[str, Any], name: str) -> float | None:
    """The figure of a result with this name."""
    return next((each["value"] for each in result["figures"] if each["name"] == name), None)


@dataclass(frozen=True)
class Measured:
    """A run and what it left: two sizes, two kernels, three samples each."""

    arguments: tuple[str, ...]
    done: Done
    home: Path
    json_text: str

    @property
    def json(self) -> Any:
        return strict_json(self.json_text)

    @property
    def out(self) -> Path:
        return self.home / "out"
