"""How tuned kernels do off the size they were tuned at: the tuned choice against the model's, in turn.

    python -m benchmarks.off_size
    python -m benchmarks.off_size --tune 10 512 1400 1x4096x4096

Takes the entries for this GPU from the tuning file (RUSTY_PY_TUNING, or the user's). With `--tune` it first
tunes the given sizes into a temporary file instead, for so many seconds each.

Draws problems at random around the measured sizes: half of them problems for which `matmul` uses a tuning
entry, half problems for which it uses the model's choice. There the entry's kernel is timed as well, to see
what that rule costs or saves. Both choices are verified against float64, then sampled in random order, round
by round. A ratio above 1 means that the tuned choice is faster; its interval is a bootstrap interval of 95 %.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, product
from pathlib import Path

import numpy as np
from tabulate import tabulate

from rusty_py import Device, LimitError
from rusty_py.bench.shapes import Size, parse
from rusty_py.gemm import tuning_cache, tuning_file
from rusty_py.gemm.model import cost_model
from rusty_py.gemm.plan import GemmPlan
from rusty_py.gemm.problem import GemmProblem
from rusty_py.gemm.search_space import supports
from rusty_py.gemm.select import tuned_choice, untuned
from rusty_py.gemm.tuning_entry import TuningEntry, machine_of, signature_key
from rusty_py.measure.clock import Clock, check_clock
from rusty_py.measure.document import ClockName
from rusty_py.measure.sampling import KernelTrack, Options, Sampler
from rusty_py.measure.stats import ratio_interval, summarise
from rusty_py.runtime.adapter import Adapter
from rusty_py.runtime.adapter import choose as choose_adapter
from rusty_py.runtime.timing import Timer
from rusty_py.tune import name_of, tune
from rusty_py.tune.search import problem_of
from rusty_py.tune.verifier import Attempt, TrialVerifier

SIZES = ("96", "512", "1400", "2047", "1x4096x4096", "64x8192x64", "700x300x1100:nt", "12x256x256x256:tn")
DTYPES = (("f32", "f32"), ("f16", "f32"), ("f16", "f16"))
ROUNDS, COMPARISON_S = 9, 60.0
ATTEMPTS = 200
"""How many problems are drawn about an entry until one is suitable."""


@dataclass(frozen=True)
class Row:
    """One problem: times of the tuned choice, and untuned time over tuned time, round by round."""

    problem: GemmProblem
    entry: TuningEntry
    used: bool
    default: GemmPlan
    ns: float = 0.0
    ratio: float = 1.0
    low: float = 1.0
    high: float = 1.0
    same: bool = False
    """The model chooses the tuned plan; nothing is timed."""


@contextmanager
def tuned_file(adapter: Adapter, sizes: Sequence[Size], seconds: float) -> Iterator[None]:
    """Makes a temporary tuning file the one in use, with entries for the sizes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tuning.json"
        os.environ[tuning_file.ENVIRONMENT] = str(path)
        for size in sizes:
            problem = problem_of(size.m, size.k, size.n, layout=size.layout, products=size.products)
            outcome = tune(adapter, problem, max_time_s=seconds, path=path)
            print(f"tuned {size}: {outcome.reason or f'{outcome.ratio:.2f}'}", file=sys.stderr, flush=True)
        yield


def like(entry: TuningEntry, size: Sequence[int]) -> GemmProblem | None:
    """The problem of contiguous matrices of this size with the entry's signature, if possible."""
    m, k, n, products = size
    for (a, b), (dtype, accumulate_dtype) in product(product("nt", repeat=2), DTYPES):
        problem = problem_of(
            m, k, n, layout=a + b, dtype=dtype, accumulate_dtype=accumulate_dtype, products=products
        )
        if signature_key(problem) == entry.signature:
            return problem
    return None


def drawn(entry: TuningEntry, rng: random.Random, *, used: bool) -> GemmProblem | None:
    """A problem near the entry's size, each dimension scaled separately; those up to 16 are kept."""
    reach = 0.5 if used else 1.0  # Powers of two.

    def scaled(number: int) -> int:
        if number <= 16:
            return number
        size = max(17, round(number * 2 ** rng.uniform(-reach, reach)))
        return size // 4 * 4 + number % 4  # Vectors of four stay possible or impossible.

    size = tuple(map(scaled, entry.size))
    return None if size == entry.size else like(entry, size)


def problems(
    device: Device, entries: Sequence[TuningEntry], count: int, rng: random.Random
) -> Iterator[tuple[GemmProblem, TuningEntry, bool]]:
    """`count` problems that an entry decides, then as many that it does not; entries take turns.

    Both are drawn about the measured size: the first within sqrt(2) of it, the others within 2.
    """
    for used in (True, False):
        missing = count
        for at, entry in zip(range(count * len(entries)), cycle(entries), strict=False):
            for _ in range(ATTEMPTS):
                problem = drawn(entry, rng, used=used)
                if problem is None or not supports(entry.choice, device.limits, problem):
                    continue
                found = tuned_choice(device, problem)
                if (found is not None) == used:
                    yield problem, found or entry, used
                    missing -= 1
                    break
            if not missing:
                break
            if at + 1 == len(entries) and missing == count:
                print(f"no problem that {'an entry' if used else 'the model'} decides", file=sys.stderr)
                break


class Comparison:
    """Times two plans of one problem in turn."""

    def __init__(self, device: Device, *, sample_s: float, seed: int) -> None:
        self.device, self.timer, self.sample_s, self.seed = device, Timer(device), sample_s, seed
        self.clock: Clock | None = None

    def row(self, problem: GemmProblem, entry: TuningEntry, *, used: bool) -> Row:
        """The tuned choice against the model's. Raises LimitError for matrices larger than a binding."""
        default = untuned(cost_model(self.device), problem)
        if default.choice == entry.choice:
            return Row(problem, entry, used, default, same=True)
        plan = entry.choice.plan(problem, entry.why)
        verifier = TrialVerifier(self.device, problem, np.random.default_rng(self.seed))
        attempts = [Attempt(verifier, each) for each in (default, plan)]
        for attempt in attempts:
            verify(attempt.verify().fault, attempt.kernel, problem)
        if self.clock is None:
            work = max(attempts[0].launches(), key=lambda launch: launch.flops)
            self.clock = check_clock(self.timer, work, at_least_s=0.05)
        tracks = [self.track(attempt, "gpu" if self.clock.name == "gpu" else "wall") for attempt in attempts]
        options = Options(self.sample_s, self.sample_s, ROUNDS, ROUNDS, 0.0, COMPARISON_S, self.seed)
        sampler = Sampler(options, deadline=time.monotonic() + COMPARISON_S)
        for track in tracks:
            track.warm_up(options, sampler.deadline)
        sampler.rounds(tracks, share_s=COMPARISON_S)
        for attempt, track in zip(attempts, tracks, strict=True):
            verify(track.recheck().fault, attempt.kernel, problem)
        slow, fast = (track.samples_ns() for track in tracks)
        ratio, low, high = ratio_interval(slow, fast)
        return Row(problem, entry, used, default, summarise(fast).median, ratio, low, high)

    def track(self, attempt: Attempt, clock: ClockName) -> KernelTrack:
        track = KernelTrack(attempt.kernel, lambda: attempt, self.device, self.timer, clock)
        track.prepare()
        return track


def verify(fault: str, kernel: str, problem: GemmProblem) -> None:
    """Ends the program for a wrong result."""
    if fault:
        raise SystemExit(f"off_size: {kernel} computes {problem} wrong: {fault}")


def report(rows: Sequence[Row]) -> Iterator[str]:
    """A table of the problems in reach and one of those beyond, and the worst of each."""
    heads = ["problem", "layout", "tuned at", "tuned", "model's choice", "µs", "ratio", "95 %"]
    for used in (True, False):
        some = [row for row in rows if row.used == used]
        yield "matmul uses the tuning entry" if used else "matmul uses the model's choice"
        cells = [
            [
                str(row.problem),
                row.entry.signature,
                str(GemmProblem(*row.entry.size)),
                name_of(row.entry.choice),
                *(
                    ("the same", "", "", "")
                    if row.same
                    else (
                        name_of(row.default),
                        f"{row.ns / 1e3:.1f}",
                        f"{row.ratio:.3f}",
                        f"{row.low:.3f} to {row.high:.3f}",
                    )
                ),
            ]
            for row in sorted(some, key=lambda row: row.ratio)
        ]
        yield tabulate(cells, heads, disable_numparse=True)
        if some:
            ratios = [row.ratio for row in some]
            worst = min(some, key=lambda row: row.ratio)
            mean = float(np.exp(np.mean(np.log(ratios))))
            losses = sum(row.high < 1 for row in some)
            yield (
                f"{len(some)} problems, geometric mean {mean:.3f}; slower than the model's choice: {losses}\n"
                f"worst {worst.ratio:.3f} at {worst.problem}, best {max(ratios):.3f}"
            )


def measure(adapter: Adapter, *, count: int, sample_s: float, seed: int) -> list[Row]:
    """A row for each problem drawn; progress on standard error."""
    rows = []
    with Device(adapter, checked=False) as device:
        entries = [
            each
            for signature in tuning_cache.load(machine_of(adapter)).entries.values()
            for each in signature
        ]
        if not entries:
            raise SystemExit(
                f"off_size: no entries for {adapter} in {tuning_file.location()}: use --tune SECONDS"
            )
        comparison = Comparison(device, sample_s=sample_s, seed=seed)
        for problem, entry, used in problems(device, entries, count, random.Random(seed)):
            try:
                rows.append(comparison.row(problem, entry, used=used))
            except LimitError as error:
                print(f"left out: {error}", file=sys.stderr)
                continue
            print(f"{problem} {rows[-1].ratio:.3f}", file=sys.stderr, flush=True)
    return rows


def main() -> None:
    """Prints the tables."""
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("sizes", nargs="*", type=parse, metavar="SIZE", help="what --tune tunes")
    parser.add_argument("--tune", type=float, metavar="SECONDS", help="tune first, so long for each size")
    parser.add_argument("--problems", type=int, default=20, help="of each kind (%(default)s)")
    parser.add_argument("--sample", type=float, default=0.05, help="seconds of a sample (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.sizes and given.tune is None:
        parser.error("sizes are for --tune SECONDS")
    adapter = choose_adapter()
    about = {"count": given.problems, "sample_s": given.sample, "seed": given.seed}
    if given.tune is None:
        rows = measure(adapter, **about)
    else:
        with tuned_file(adapter, given.sizes or [parse(text) for text in SIZES], given.tune):
            rows = measure(adapter, **about)
    print(adapter, *report(rows), sep="\n\n")


if __name__ == "__main__":
    main()
