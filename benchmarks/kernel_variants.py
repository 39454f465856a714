"""What operations select on this adapter beside their other kernels and geometries, each forced in turn.

    python -m benchmarks.kernel_variants --all --out variants.txt
    python -m benchmarks.kernel_variants sum softmax

Every way to compute a case, of benchmarks/variants, is verified within the operation's bound and then timed,
in random order, round by round, by samples too short to be interrupted often. Its time is the least of all
rounds, because other work on the machine only adds to it. A row has the time of the automatic choice, the
fastest way, and their ratio: 1 if none is faster.
With --all, the times of all ways follow.
"""

import argparse
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from math import ceil
from pathlib import Path

import numpy as np
from tabulate import tabulate

import rusty_py as rp
import rusty_py.ops.all  # Registers every operation.
from benchmarks.variants.cases import Case, cases
from benchmarks.variants.forced import AUTOMATIC, Inapplicable, Way
from rusty_py.bench.context import commit
from rusty_py.measure.operation_work import LaunchCollector, poison
from rusty_py.runtime.buffer import Buffer, BufferBinding
from rusty_py.runtime.launch import Launch, Spec, run
from rusty_py.runtime.timing import Timer

Buffers = Sequence[Buffer | BufferBinding]

SAMPLE_NS = 3e6
SUSPECT = 1.3
"""Ratios above this are measured in four times the rounds."""

TRIALS, HOPELESS = 3, 3
"""Ways that take this many times the fastest one's time in the first rounds are left out of the others."""


@dataclass
class Candidate:
    """A way, its launches, and its times."""

    way: Way
    launches: list[Launch]
    repeats: int = 1
    times_ns: list[float] = field(default_factory=list)

    @property
    def ns(self) -> float:
        """The least of its times."""
        return min(self.times_ns)

    def sample(self, timer: Timer) -> None:
        """Adds a time."""
        sample = timer.sample([self.launches * self.repeats])
        self.times_ns.append((sample.gpu_ns or sample.wall_ns) / self.repeats)


class Recorder(LaunchCollector):
    """Keeps what tells launches of one way from those of another."""

    def __init__(self, device: rp.Device) -> None:
        super().__init__(device)
        self.keys: list[object] = []

    def launch(
        self,
        spec: Spec,
        inputs: Buffers,
        outputs: Buffers,
        uniforms: Sequence[int],
        workgroups: tuple[int, int, int],
        flops: int,
    ) -> None:
        """Prepares a launch."""
        self.keys.append((spec, *uniforms, workgroups))
        super().launch(spec, inputs, outputs, uniforms, workgroups, flops)


def candidates(device: rp.Device, case: Case) -> Iterator[Candidate]:
    """The ways that apply, verified. Ends the program for a wrong result."""
    arrays = [rp.array(each, device=device) for each in case.sample.operands]
    seen: list[object] = []
    for way in (AUTOMATIC, *case.ways):
        recorder = Recorder(device)
        try:
            with way.forced():
                result = device.compose(recorder, partial(case.call, *arrays))
        except (Inapplicable, rp.LimitError):
            continue
        if recorder.keys in seen:
            continue
        seen.append(recorder.keys)
        poison(device, recorder.launches)
        run(device, recorder.launches)
        if (error := case.error(result)) > 1:
            raise SystemExit(f"{case.name}: wrong by {error:.3g} times the bound: {way.name}")
        yield Candidate(way, recorder.launches)


def measured(device: rp.Device, timer: Timer, case: Case, rounds: int) -> list[Candidate]:
    """The candidates of a case with their times, the automatic one first."""
    found = list(candidates(device, case))
    for each in found:
        each.sample(timer)
        each.repeats = max(1, ceil(SAMPLE_NS / each.ns))
        each.times_ns.clear()
        for _ in range(TRIALS):
            each.sample(timer)
    fastest = min(each.ns for each in found)
    order = [each for each in found if each.ns < HOPELESS * fastest or each.way is AUTOMATIC]
    in_turn(order, timer, rounds - TRIALS)
    if found[0].ns > SUSPECT * min(each.ns for each in found):
        in_turn(order, timer, 3 * rounds)
    return found


def in_turn(order: list[Candidate], timer: Timer, rounds: int) -> None:
    """A sample of each in every round."""
    for _ in range(rounds):
        random.shuffle(order)
        for each in order:
            each.sample(timer)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a table, and the rows on standard error as they come."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", help="cases whose names begin with one of these, or families")
    parser.add_argument("--all", action="store_true", help="list the times of all ways")
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    device = rp.default_device()
    timer, rows, lists = Timer(device), [], []
    for case in cases():
        if options.words and not any(case.is_meant(each) for each in options.words):
            continue
        chosen, *others = measured(device, timer, case, options.rounds)
        best = min([chosen, *others], key=lambda each: each.ns)
        ratio = chosen.ns / best.ns
        times = [f"{each.ns / 1e3:.1f}" for each in (chosen, best)]
        rows.append([case.name, *times, f"{ratio:.2f}", best.way.name])
        print("  ".join(rows[-1]), file=sys.stderr, flush=True)
        ways = sorted([chosen, *others], key=lambda each: each.ns)
        lists.append((case.name, "; ".join(f"{each.way.name} {each.ns / 1e3:.1f}" for each in ways)))
    ratios = np.array([float(row[3]) for row in rows])
    text = f"{device.adapter}, {datetime.now(UTC):%Y-%m-%d}, commit {commit()}; microseconds\n\n"
    text += tabulate(rows, ["case", "automatic", "fastest", "ratio", "fastest way"], disable_numparse=True)
    text += f"\n\nlargest ratio {ratios.max():.2f}, geometric mean {np.exp(np.log(ratios).mean()):.2f}\n"
    if options.all:
        text += "\n" + "".join(f"{name}: {times}\n" for name, times in lists)
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
