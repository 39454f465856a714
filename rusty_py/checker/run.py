"""Runs a compiled kernel in a child process: its job as files, its findings as lines of JSON."""

import json
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rusty_py.checker import tools
from rusty_py.checker.build import Program, runner
from rusty_py.errors import ShapeError, ToolError

REFUSED = 2


@dataclass(frozen=True)
class Job:
    """A launch: `contents` by the variables' names in Metal's spelling, and the runs to make of it."""

    workgroups: tuple[int, int, int]
    threads: tuple[int, int, int]
    contents: Mapping[str, bytes]
    sizes: Sequence[int]
    runs: Sequence[tuple[int, int]]
    step_limit: int
    time_limit: float


@dataclass(frozen=True)
class Outcome:
    """What a job left: raw findings, the contents after its first run, and the runs it came to."""

    findings: list[dict[str, Any]]
    contents: dict[str, bytes]
    runs: list[tuple[int, int]]


def run(program: Program, job: Job) -> Outcome:
    """Raises ShapeError where contents do not fit the kernel's variables, ToolError for a broken child."""
    with tempfile.TemporaryDirectory(prefix="rusty-check-") as scratch:
        files = {name: Path(scratch) / str(i) for i, name in enumerate(job.contents)}
        for name, path in files.items():
            path.write_bytes(job.contents[name])
        script = Path(scratch) / "job"
        script.write_text(_script(job, files), encoding="utf-8")
        command = [str(runner()), str(program.library), str(script)]
        lines, timed_out = _lines(command, job)
        findings = [line for line in lines if "kind" in line]
        runs = [(line["run"][0], line["run"][1]) for line in lines if "run" in line]
        if timed_out:
            findings.append({"kind": "time limit", "site": [0, 0], "seconds": job.time_limit})
        if not lines or "run" not in lines[-1]:
            runs.append(job.runs[len(runs)])  # One that did not come to its end.
        after = {name: path.with_suffix(".out") for name, path in files.items()}
        contents = {name: path.read_bytes() for name, path in after.items() if path.exists()}
        _place(findings, program)
    return Outcome(findings, contents, runs)


def _script(job: Job, files: Mapping[str, Path]) -> str:
    lines = [
        "groups {} {} {}".format(*job.workgroups),
        "threads {} {} {}".format(*job.threads),
        f"steps {job.step_limit}",
        " ".join(map(str, ["sizes", *job.sizes])),
        *(f"buffer {name} {path}" for name, path in files.items()),
        *(f"run {size} {seed}" for size, seed in job.runs),
    ]
    return "\n".join(lines) + "\n"


def _lines(command: list[str], job: Job) -> tuple[list[dict[str, Any]], bool]:
    timed_out = False
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=job.time_limit)
    except subprocess.TimeoutExpired as error:
        timed_out = True
        output = (error.stdout or b"").decode()
    else:
        if done.returncode == REFUSED:
            raise ShapeError(f"check: {done.stderr.strip()}")
        if done.returncode:
            raise ToolError(f"check: its child ended with {done.returncode}: {done.stderr.strip()[-300:]}")
        output = done.stdout
    return [json.loads(line) for line in output.split("\n") if line.endswith("}")], timed_out


def _place(findings: list[dict[str, Any]], program: Program) -> None:
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
    program = tools.addr2line()
    if not addresses or program is None:
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
