"""Runs a compiled kernel in a child process: its job as files, its findings as lines of JSON."""

import errno
import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rusty_py.checker import tools
from rusty_py.checker.build import Program, runner
from rusty_py.errors import LimitError, ToolError

TOO_SMALL, NOT_LOADED, TOO_MUCH = 2, 4, 5
"""Exit statuses of the child; 3 is for whatever else."""
WORKGROUP_BYTES = 32768
"""Of every GPU of Apple's (Metal Feature Set Tables, 2024)."""


class BrokenProgram(ToolError):
    """The library cannot be loaded, or the program that would cannot be started."""


class TooSmall(Exception):
    """The contents of a variable, named in Metal's spelling, are fewer bytes than its type has."""

    def __init__(self, variable: str, minimum: int, given: int) -> None:
        super().__init__(variable, minimum, given)
        self.variable, self.minimum, self.given = variable, minimum, given


@dataclass(frozen=True)
class CheckJob:
    """A launch: `contents` by the variables' names in Metal's spelling, and the runs to make of it."""

    workgroups: tuple[int, int, int]
    threads: tuple[int, int, int]
    contents: Mapping[str, bytes]
    sizes: Sequence[int]
    runs: Sequence[tuple[int, int]]
    step_limit: int
    time_limit: float
    workgroup_bytes: int = WORKGROUP_BYTES


@dataclass(frozen=True)
class CheckOutcome:
    """What a job left: raw findings, the contents after its first run, and the runs it came to.

    `varies`: the variables that runs of one subgroup size left differently.
    """

    findings: list[dict[str, Any]]
    contents: dict[str, bytes]
    runs: list[tuple[int, int]]
    varies: set[str]


def run(program: Program, job: CheckJob) -> CheckOutcome:
    """Raises TooSmall, BrokenProgram, LimitError, and ToolError for a broken child or a full disk."""
    try:
        with tempfile.TemporaryDirectory(prefix="rusty-check-") as scratch:
            lines, contents, timed_out = _run_in(Path(scratch), program, job)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ToolError(f"check: cannot run the kernel in {_temporary()}: {reason}: set TMPDIR") from error
    findings = [line for line in lines if "kind" in line]
    runs = [(line["run"][0], line["run"][1]) for line in lines if "run" in line]
    if timed_out:
        findings.append({"kind": "time limit", "site": [0, 0], "seconds": job.time_limit})
    if len(runs) < len(job.runs) and (not lines or "run" not in lines[-1]):
        runs.append(job.runs[len(runs)])  # One that did not come to its end.
    _resolve(findings, program)
    varies = {name for line in lines if "run" in line for name in line["varies"]}
    return CheckOutcome(findings, contents, runs, varies)


def _run_in(
    folder: Path, program: Program, job: CheckJob
) -> tuple[list[dict[str, Any]], dict[str, bytes], bool]:
    """The child's output, the contents after the first run, and whether its time was up."""
    files = {name: str(i) for i, name in enumerate(job.contents)}
    for name, file in files.items():
        (folder / file).write_bytes(job.contents[name])
    (folder / "job").write_text(_script(job, files), encoding="utf-8")
    lines, timed_out = _lines([str(runner()), str(program.library), "job"], job, folder)
    after = {name: folder / f"{file}.out" for name, file in files.items()}
    return lines, {name: path.read_bytes() for name, path in after.items() if path.exists()}, timed_out


def _temporary() -> str:
    try:
        return tempfile.gettempdir()
    except OSError:
        return "a temporary folder"


def _script(job: CheckJob, files: Mapping[str, str]) -> str:
    lines = [
        f"parent {os.getpid()}",
        "groups {} {} {}".format(*job.workgroups),
        "threads {} {} {}".format(*job.threads),
        f"steps {job.step_limit}",
        f"workgroup {job.workgroup_bytes}",
        " ".join(map(str, ["sizes", *job.sizes])),
        *(f"buffer {name} {path}" for name, path in files.items()),
        *(f"run {size} {seed}" for size, seed in job.runs),
    ]
    return "\n".join(lines) + "\n"


def _lines(command: list[str], job: CheckJob, folder: Path) -> tuple[list[dict[str, Any]], bool]:
    timed_out = False
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=job.time_limit)
    except subprocess.TimeoutExpired as error:
        timed_out = True
        output = (error.stdout or b"").decode()
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        Path(command[0]).unlink(missing_ok=True)
        raise BrokenProgram(f"check: {command[0]}: {error.strerror}") from error
    else:
        _refuse(done)
        output = done.stdout
    return [json.loads(line) for line in output.split("\n") if line.endswith("}")], timed_out


def _refuse(done: "subprocess.CompletedProcess[str]") -> None:
    """Raises what the child's exit status stands for."""
    if done.returncode == TOO_SMALL:
        variable, minimum, given = done.stderr.split()
        raise TooSmall(variable, int(minimum), int(given))
    # What a kernel does is caught, but not what the loader does with half a file.
    if done.returncode in (NOT_LOADED, -signal.SIGBUS, -signal.SIGSEGV):
        raise BrokenProgram(f"check: the kernel's program cannot be loaded: {done.stderr.strip()}")
    if done.returncode == TOO_MUCH:
        limit = " > ".join(done.stderr.split())
        raise LimitError(
            f"check: more workgroup memory than there is: {limit} bytes; Metal has {WORKGROUP_BYTES},"
            " for other GPUs give more by workgroup_bytes, --workgroup-bytes"
        )
    if done.returncode:
        how = f"status {done.returncode}" if done.returncode > 0 else signal.Signals(-done.returncode).name
        raise ToolError(f"check: its child ended with {how}: {done.stderr.strip()[-300:]}")


def _resolve(findings: list[dict[str, Any]], program: Program) -> None:
    """Puts the lines of the Metal text, innermost first, in the place of each [address, line]."""
    keys = ("site", "other_site")
    addresses = {finding[key][0] for finding in findings for key in keys if key in finding} - {0}
    lines = _metal_lines(program.library, sorted(addresses))
    for finding in findings:
        for key in keys:
            if key in finding:
                address, line = finding[key]
                finding[key] = lines.get(address, []) if address else [line] * (line > 0)


def _metal_lines(library: Path, addresses: list[int]) -> dict[int, list[int]]:
    """The line of each address, and those of the calls that were compiled into its function."""
    program = tools.addr2line() if addresses else None
    if program is None:
        return {}
    command = [str(program), "-a", "-i", "-e", str(library), *map(hex, addresses)]
    output = subprocess.run(command, capture_output=True, text=True).stdout
    lines: dict[int, list[int]] = {address: [] for address in addresses}
    at = 0
    for word in output.split("\n"):
        if word.startswith("0x"):
            at = int(word, 16)
        elif found := re.search(r"kernel\.metal:(\d+)", word):
            lines[at].append(int(found[1]))
    return lines
