"""Whether operations became slower: calls of this tree and of an older one, in turn on one machine.

    git worktree add ../before v0.1.0
    python -m benchmarks.operations_before_after ../before [WORD ...]

With words, only expressions that contain one of them. Each tree has a process that evaluates the expressions.
The processes take turns, a sample of at least 3 ms each through the final wait; a row has the least time of a
call, and the older tree's least time divided by it. What the older tree lacks is left out with a line on
standard error.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import rusty_py as rp

ROUNDS, SAMPLE_S = 61, 3e-3

SHAPES = ((300,), (4096,), (65536,), (1 << 20,), (256, 256), (4096, 64), (65536, 8), (64, 4096), (1024, 1024))
EXPRESSIONS = (
    "x + y",
    "rp.exp(x)",
    "x * 2",
    "x.sum()",
    "rp.max(x)",
    "rp.argmax(x)",
    "rp.var(x)",
    "rp.sort(x)",
)
OF_MATRICES = (
    "x + y[0]",
    "x + y[:, :1]",
    "x.T.copy()",
    "x.sum(axis=0)",
    "x.sum(axis=1)",
    "rp.argmax(x, axis=1)",
)
OF_MATRICES += ("rp.softmax(x, axis=1)", "rp.softmax(x, axis=0)", "rp.layer_norm(x, y[0], y[1])")
OF_MATRICES += ("rp.cumulative_sum(x, axis=0)", "rp.cumulative_sum(x, axis=1)", "rp.take(x, i, axis=0)")


def work() -> None:
    """Answers requests on standard input: an expression and a shape call it once, null is a sample."""
    device = rp.default_device()
    call: Callable[[], Any] | None = None
    repeats = 1
    for line in sys.stdin:
        request = json.loads(line)
        if request is not None:
            expression, shape = request
            rng = np.random.default_rng(0)
            x, y = (rp.array(rng.standard_normal(shape, np.float32)) for _ in range(2))
            i = rp.array(rng.integers(0, shape[0], 500).astype(np.int32))
            call = eval(f"lambda: {expression}", {"rp": rp, "x": x, "y": y, "i": i})
            try:
                call()
                device.wait()
            except Exception as error:
                call = None
                print(json.dumps(f"{type(error).__name__}: {error}"), flush=True)
                continue
            repeats = 1
            while (seconds := _seconds(device, call, repeats)) < SAMPLE_S:
                repeats = max(repeats + 1, int(1.2 * repeats * SAMPLE_S / seconds))
            print(json.dumps(""), flush=True)
        elif call is not None:
            print(json.dumps(_seconds(device, call, repeats) / repeats), flush=True)


def _seconds(device: rp.Device, call: Callable[[], Any], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    device.wait()
    return time.perf_counter() - start


def main(tree: Path, words: list[str]) -> None:
    """A row for each expression and shape."""
    from tabulate import tabulate

    from benchmarks.before_after import ROOT, workers

    print(rp.default_device().adapter, flush=True)
    rows = []
    with workers(tree, ROOT, program=Path(__file__)) as both:
        for shape in SHAPES:
            for expression in EXPRESSIONS + (OF_MATRICES if len(shape) > 1 else ()):
                if words and not any(word in expression for word in words):
                    continue
                for worker in both:
                    worker.send([expression, shape])
                if any(errors := [worker.answer() for worker in both]):
                    print(f"{expression} of {shape}: left out: {errors}", file=sys.stderr)
                    continue
                times: list[list[float]] = [[], []]
                for turn in range(ROUNDS):
                    for which in (0, 1) if turn % 2 else (1, 0):
                        both[which].send(None)
                        times[which].append(both[which].answer())
                before, now = map(min, times)
                rows.append((expression, "x".join(map(str, shape)), now * 1e6, before / now))
                print(*rows[-1], file=sys.stderr, flush=True)
    print(tabulate(rows, ("", "shape", "us", "times as fast"), floatfmt=("", "", ".1f", ".2f")))


if __name__ == "__main__":
    if sys.argv[1:] == ["--worker"]:
        work()
    elif len(sys.argv) > 1:
        main(Path(sys.argv[1]).resolve(), sys.argv[2:])
    else:
        raise SystemExit(__doc__)
