"""Whether products became slower: this tree's kernels and an older one's, in turn on one GPU.

    git worktree add ../before v0.1.0
    python -m benchmarks.before_after ../before [SIZE ...]

Without sizes it measures those of `rusty-bench matmul --preset shapes`. Each tree has a process that runs its
own copy of this file. The processes take turns, one sample of 100 ms each, so that drift affects both. A
row has the GPU time of one product by this tree, and the speedup over the older tree with its 95 % bootstrap
interval.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

import rusty_py
from rusty_py.bench.matmul_suite import layouts_of, problem_of, product_of
from rusty_py.bench.shapes import Size, parse, preset
from rusty_py.gemm.dispatch import Operands, dispatches
from rusty_py.gemm.select import plan
from rusty_py.runtime.launch import Launch, prepare, submissions
from rusty_py.runtime.timing import Timer

ROUNDS, SAMPLE_NS = 9, 1e8
ROOT = Path(__file__).parents[1]


class Worker:
    """One tree's products, in a process of its own."""

    def __init__(self, tree: Path, program: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(program), "--worker"],
            cwd=tree,
            env={**os.environ, "PYTHONPATH": str(tree)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def send(self, request: object) -> None:
        """Asks for something; `answer` waits for it."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        """What came of the oldest request that was not answered yet. Raises where the process ended."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a worker ended with exit code {self._process.wait()}")
        return json.loads(line)

    def end(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.wait()


@contextmanager
def workers(*trees: Path, program: Path | None = None) -> Iterator[list[Worker]]:
    """A process for each tree, of its own copy of this file unless there is another `program`."""
    started: list[Worker] = []
    try:
        for tree in trees:
            started.append(Worker(tree, program or tree / "benchmarks" / "before_after.py"))
        yield started
    finally:
        for worker in started:
            worker.end()


class GemmProblem:
    """A product on this process's device, and how often a sample repeats it."""

    def __init__(self, device: rusty_py.Device, size: Size) -> None:
        self.device, self.timer = device, Timer(device)
        problem = problem_of(size)
        self.flops = size.flops
        rng = np.random.default_rng(0)  # Both trees multiply the same.
        m, k, n = size.m, size.k, size.n
        a, b = (rng.random(size.products * count, np.float32) for count in (m * k, k * n))
        self.result = np.empty(size.products * m * n, np.float32)
        self.c = device.empty(self.result.nbytes)
        operands = Operands(device.upload(a), device.upload(b), self.c, *layouts_of(problem))
        made = dispatches(device, plan(device, product_of(problem)), operands)
        self.launches = [prepare(device, **each._asdict()) for each in made]
        self.runs = 1
        for _ in range(12):
            if (spent := self.sample() * self.runs) > SAMPLE_NS:
                break
            self.runs = max(self.runs + 1, round(self.runs * min(8.0, 1.2 * SAMPLE_NS / spent)))

    def sum(self) -> float:
        """Of the result: a kernel that does nothing is fast."""
        self.device.read(self.c, self.result)
        return float(self.result.sum(dtype=np.float64))

    def sample(self) -> float:
        """Nanoseconds of one product."""
        parts: list[list[Launch]] = list(submissions(self.device, self.launches * self.runs))
        sample = self.timer.sample(parts)
        main = max(self.launches, key=lambda launch: launch.flops)
        self.device.throughput.observe(main.spec, flops=self.flops * self.runs, seconds=sample.wall_ns / 1e9)
        return (sample.wall_ns if sample.gpu_ns is None else sample.gpu_ns) / self.runs


def work() -> None:
    """Answers requests on standard input: a size creates its product and returns its sum, null a sample."""
    device = rusty_py.Device()
    product: GemmProblem | None = None
    for line in sys.stdin:
        request = json.loads(line)
        if request is not None:
            product = None  # Its memory goes first.
            product = GemmProblem(device, Size(**request))
            print(json.dumps(product.sum()), flush=True)
        elif product is not None:
            print(json.dumps(product.sample()), flush=True)


def compare(before: Worker, now: Worker, size: Size) -> tuple[float, float, float, float]:
    """(ns of one product now, times as fast as before: median, low, high)."""
    from rusty_py.measure.stats import ratio_interval  # Which the workers do without: it lay elsewhere once.

    for worker in (before, now):
        worker.send(asdict(size))
    totals = before.answer(), now.answer()
    if not np.isclose(*totals, rtol=1e-4):
        raise SystemExit(
            f"{size}: the trees disagree about the sum of the result: {totals[0]} and {totals[1]}"
        )
    times: list[list[float]] = [[], []]
    for index in range(ROUNDS):
        for which in (0, 1) if index % 2 else (1, 0):
            worker = (before, now)[which]
            worker.send(None)
            times[which].append(worker.answer())
    return sorted(times[1])[ROUNDS // 2], *ratio_interval(*times)


def main(tree: Path, sizes: list[Size]) -> None:
    """A row for each size."""
    print(rusty_py.default_device().adapter, flush=True)
    rows = []
    with workers(tree, ROOT) as (before, now):
        for size in sorted(sizes, key=lambda size: size.flops):
            ns, ratio, low, high = compare(before, now, size)
            rows.append((size, ns / 1e3, ratio, low, high))
            print(f"{size} {ratio:.3f}", file=sys.stderr, flush=True)
    heads = ("size", "us", "times as fast", "from", "to")
    print(tabulate(rows, heads, floatfmt=("", ".1f", ".3f", ".3f", ".3f")))


if __name__ == "__main__":
    if sys.argv[1:] == ["--worker"]:
        work()
    elif len(sys.argv) > 1:
        main(Path(sys.argv[1]).resolve(), [parse(text) for text in sys.argv[2:]] or preset())
    else:
        raise SystemExit(__doc__)
