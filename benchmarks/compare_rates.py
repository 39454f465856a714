"""How often `rusty-bench compare` reports a change of unchanged code, and how often it finds a planted one.

    python -m benchmarks.compare_rates
    python -m benchmarks.compare_rates RUN.json RUN.json ...

Without files, runs are simulated on the machines below. With files, every two runs are a pair; they must be
of the same machine.

- false alarms: FASTER or SLOWER for unchanged code, as a share of the results, and of the pairs with any.
- by samples alone: the share of results outside 95 % intervals that know only the samples of one run a side.
- 15 % found: FASTER for one random result whose times in the second run are divided by 1.15.
- all auto found: the same for every result of `auto`, each with a new kernel hash.
- interval: the median half-width of the intervals.
"""

import argparse
import math
import random
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from tabulate import tabulate

from rusty_py.bench.report.json import parse
from rusty_py.measure.compare import ComparedResult, RunComparison, compare
from rusty_py.measure.document import BenchProblem, BenchRun, Result, Row, Samples
from rusty_py.measure.stats import summarise

PLANTED = 1.15
ROUNDS = 7
SEED = 2026

Side = Sequence[BenchRun]


@dataclass(frozen=True)
class Machine:
    """Standard deviations of log times, of normal noise.

    `run`: the speed of a run; `problem`: during the rounds of one problem; `sample`: single samples, half of
    it common to a round. `kernel`: a kernel in one run, Student's t with `freedom` degrees of freedom.
    """

    name: str
    run: float
    problem: float
    kernel: float
    sample: float
    freedom: int


MACHINES = (
    Machine("idle GPU", 0.002, 0.001, 0.004, 0.001, 30),
    Machine("GPU, heavy tails", 0.002, 0.001, 0.004, 0.001, 3),
    Machine("desktop GPU", 0.015, 0.005, 0.01, 0.01, 5),
    Machine("CPU driver", 0.02, 0.02, 0.015, 0.03, 5),
    Machine("shared CPU", 0.15, 0.10, 0.05, 0.10, 5),
)
KERNELS = ("auto", "naive", "tile 8", "tile 16", "tile 32")
SETS = {"4 sizes × 5": (4, KERNELS), "2 sizes × 5": (2, KERNELS), "20 × auto": (20, KERNELS[:1])}
SETS["1 × auto"] = (1, KERNELS[:1])


@dataclass
class Rates:
    """Counts over pairs of runs, `unchanged` and `auto` of results."""

    pairs: int = 0
    unchanged: int = 0
    alarms: int = 0
    alarms_by_samples: int = 0
    pairs_with_alarms: int = 0
    same: int = 0
    found: int = 0
    auto: int = 0
    auto_found: int = 0
    half_widths: float = 0.0

    def cells(self) -> list[str]:
        """The columns of HEADER."""
        return [
            str(self.pairs),
            f"{self.alarms / self.unchanged:.1%}",
            f"{self.pairs_with_alarms / self.pairs:.1%}",
            f"{self.alarms_by_samples / self.unchanged:.0%}",
            f"{self.same / self.unchanged:.0%}",
            f"{self.found / self.pairs:.0%}",
            f"{self.auto_found / self.auto:.0%}" if self.auto else "",
            f"±{self.half_widths / self.pairs:.1%}",
        ]


HEADER = [
    "pairs",
    "false\nalarms",
    "pairs\nwith any",
    "by samples\nalone",
    "SAME",
    "15 %\nfound",
    "all auto\nfound",
    "interval",
]


def simulated(machine: Machine, sizes: int, kernels: Sequence[str], draw: random.Random) -> BenchRun:
    """A run of unchanged code on the machine."""
    speed = draw.gauss(0, machine.run)
    control = [speed + draw.gauss(0, machine.sample) for _ in range(ROUNDS)]
    rows = []
    for size in range(sizes):
        of_problem = speed + draw.gauss(0, machine.problem)
        rounds = [of_problem + draw.gauss(0, machine.sample / 2) for _ in range(ROUNDS)]
        results = tuple(_simulated_result(kernel, rounds, machine, draw) for kernel in kernels)
        rows.append(Row(BenchProblem("matmul", str(size)), results))
    return BenchRun("matmul", {}, rows, "gpu", drift_control_ns=[1e6 * math.exp(each) for each in control])


def _simulated_result(by: str, rounds: Sequence[float], machine: Machine, draw: random.Random) -> Result:
    student = draw.gauss(0, 1) / math.sqrt(draw.gammavariate(machine.freedom / 2, 2 / machine.freedom))
    kernel = machine.kernel * student
    times = [1e6 * math.exp(each + kernel + draw.gauss(0, machine.sample)) for each in rounds]
    samples = Samples(1, tuple(range(len(times))), gpu_ns=tuple(times))
    return Result(by, "ok", "gpu", sha256=by, samples=samples, stats=summarise(times))


def planted(run: BenchRun, changed: Callable[[Row, Result], bool], *, new_code: bool = False) -> BenchRun:
    """The run with some results PLANTED times as fast, with another kernel hash if it is `new_code`."""

    def faster(row: Row, result: Result) -> Result:
        if not result.stats or not changed(row, result):
            return result
        stats = summarise([ns / PLANTED for ns in result.samples_ns])
        return replace(result, stats=stats, sha256="new" if new_code else result.sha256)

    rows = [replace(row, results=tuple(faster(row, each) for each in row.results)) for row in run.rows]
    return replace(run, rows=rows)


def rates_of(pairs: Iterable[tuple[Side, Side]]) -> Rates:
    """Compares each pair as it is, with one random result changed, and with all of `auto` changed."""
    rates, draw = Rates(), random.Random(SEED)
    for base, other in pairs:
        found = compare(base, other)
        if not judged(found):
            continue
        unchanged = [each for each in judged(found) if each.kernel != "changed"]
        alarms = sum(each.verdict in ("FASTER", "SLOWER") for each in unchanged)
        rates.pairs += 1
        rates.unchanged += len(unchanged)
        rates.alarms += alarms
        rates.pairs_with_alarms += alarms > 0
        rates.alarms_by_samples += sum(_differs_by_samples(each, base[0], other[0]) for each in unchanged)
        rates.same += sum(each.verdict == "SAME" for each in unchanged)
        rates.half_widths += found.half_width or math.nan

        name, by = (target := draw.choice(judged(found))).problem.name, target.by
        # B023: `planted` calls the lambda at once.
        one = [planted(run, lambda row, each: (row.problem.name, each.by) == (name, by)) for run in other]  # noqa: B023
        rates.found += sum(
            each.verdict == "FASTER"
            for each in judged(compare(base, one))
            if (each.problem.name, each.by) == (name, by)
        )

        every = [planted(run, lambda row, each: each.by == "auto", new_code=True) for run in other]
        autos = [each.verdict for each in judged(compare(base, every)) if each.by == "auto"]
        rates.auto += len(autos)
        rates.auto_found += autos.count("FASTER")
    return rates


def judged(found: RunComparison) -> list[ComparedResult]:
    """The results with an interval."""
    return [each for each in found.results if each.low is not None]


def _differs_by_samples(compared: ComparedResult, *runs: BenchRun) -> bool:
    """Whether the medians of two runs differ by more than 1.96 standard errors of their samples."""
    stats = [
        result.stats
        for run in runs
        for row, result in run.results()
        if (row.problem, result.by) == (compared.problem, compared.by) and result.stats
    ]
    base, other = stats
    return abs(math.log(base.median / other.median)) > 1.96 * math.hypot(base.noise, other.noise)


def simulation(pairs: int) -> str:
    """The rates on every machine, for several sets of results, and for several runs a side."""
    rows = []
    for machine in MACHINES:
        for name, (sizes, kernels) in SETS.items():
            for runs in (1, 3):
                draw = random.Random(SEED)
                sides = (
                    [simulated(machine, sizes, kernels, draw) for _ in range(runs)] for _ in range(2 * pairs)
                )
                rates = rates_of(zip(sides, sides, strict=True))
                rows.append([machine.name, name, runs, *rates.cells()])
    return tabulate(rows, ["machine", "results", "runs a\nside", *HEADER], disable_numparse=True)


def of_files(paths: Sequence[Path]) -> str:
    """The rates over all pairs of the files, with the machine and what a run found of its own noise."""
    runs = [parse(path.read_text(encoding="utf-8")) for path in paths]
    context = runs[0].context
    scatter = statistics.median(each.stats.scatter for run in runs for _, each in run.results() if each.stats)
    controls = [statistics.median(run.drift_control_ns) for run in runs]
    rates = rates_of(([base], [other]) for base, other in combinations(runs, 2))
    return "\n".join(
        [
            f"{context['adapter']['name']}, {context['adapter']['driver']}",
            f"{len(runs)} runs, {runs[0].context['date']} to {runs[-1].context['date']}",
            str(context["command"]).partition(" --json")[0],
            f"commits: {', '.join(dict.fromkeys(str(run.context['rusty_py']['commit']) for run in runs))}",
            f"scatter of samples, median: {scatter:.1%}",
            f"drift control, slowest run / fastest run: {max(controls) / min(controls):.2f}",
            "",
            tabulate([rates.cells()], HEADER, disable_numparse=True),
        ]
    )


def main() -> None:
    """Prints the rates of the simulation, or of the given runs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--pairs", type=int, default=200, help="simulated pairs of each kind")
    arguments = parser.parse_args()
    print(of_files(arguments.files) if arguments.files else simulation(arguments.pairs))


if __name__ == "__main__":
    main()
