"""Cold start by stage, in new processes: rusty_py and plain wgpu-py, interleaved."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import rusty_py
from rusty_py import shaders
from rusty_py.bench.overhead.work import OURS, PLAIN, task
from rusty_py.measure.document import Result, Row, Samples, Verification, skipped_row
from rusty_py.measure.kernels import DOUBLE
from rusty_py.runtime.adapter import Adapter

STAGES = (
    "import numpy",
    "import rusty_py",
    "import wgpu",
    "instance and adapter",
    "device",
    "first pipeline",
    "first launch and wait",
    "first read",
)
TOTAL = "cold start: all of it"
_PATIENCE_S = 60.0

Start = Mapping[str, object]
"""The output of a process: "right", and "stages_ns" in the order of STAGES."""


def rows(
    adapter: Adapter,
    *,
    runs: int,
    enough: Callable[[], bool],
    start: Callable[[list[str]], Start] | None = None,
) -> list[Row]:
    """A row per stage and one for the total, with `runs` starts each, or fewer once `enough` returns True."""
    start = start or run
    folder = Path(__file__).parent
    kernel = shaders.root() / f"{DOUBLE.name}.wgsl"
    commands = {
        OURS: [str(folder / "start_ours.py"), str(adapter.index)],
        PLAIN: [str(folder / "start_plain.py"), adapter.name, adapter.backend, str(kernel)],
    }
    seen: dict[str, list[Start]] = {by: [] for by in commands}
    while len(seen[OURS]) < runs and not (seen[OURS] and enough()):
        for by in random.sample(list(commands), len(commands)):
            try:
                seen[by].append(start(commands[by]))
            except (OSError, ValueError, subprocess.SubprocessError) as error:
                return [skipped_row(task(TOTAL), f"a fresh process failed: {by}: {error}")]
    stopped = f"{len(seen[PLAIN])} processes each"
    return [
        *(_row(f"cold start: {stage}", i, seen, stopped) for i, stage in enumerate(STAGES)),
        _row(TOTAL, None, seen, stopped, seed="8.36 ms on Apple M2, after warm-ups, so not cold"),
    ]


def run(command: list[str]) -> Start:
    """Runs a new Python process with the same import path."""
    path = os.pathsep.join([str(Path(rusty_py.__file__).parents[1]), *filter(None, sys.path)])
    began = time.perf_counter_ns()
    done = subprocess.run(
        [sys.executable, "-P", *command],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        check=True,
    )
    reported: dict[str, object] = json.loads(done.stdout)
    return {**reported, "process_ns": time.perf_counter_ns() - began}


def _row(
    what: str, stage: int | None, seen: Mapping[str, Sequence[Start]], stopped: str, seed: str = ""
) -> Row:
    results = [
        _result(by, [_ns(start, stage) for start in starts], right=all(start["right"] for start in starts))
        for by, starts in seen.items()
        if not (by == PLAIN and stage == STAGES.index("import rusty_py"))
    ]
    return Row(task(what), tuple(results), PLAIN, stopped, seed)


def _result(by: str, times_ns: Sequence[float], *, right: bool) -> Result:
    fault = "" if right else "y is not 2 x in a fresh process"
    verification = Verification("y = 2 x in each process", fault=fault)
    samples = Samples(1, tuple(range(len(times_ns))), wall_ns=tuple(times_ns)) if right else Samples()
    return Result(by, "ok" if right else "wrong", "wall", "host", verification, samples=samples, reason=fault)


def _ns(start: Start, stage: int | None) -> float:
    stages = start["stages_ns"]
    assert isinstance(stages, list)
    return float(sum(stages) if stage is None else stages[stage])
