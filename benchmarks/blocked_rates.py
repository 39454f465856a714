"""Throughput of kernels by operand layout: the numbers of gemm/measured_rates.py and gemm/register_tiled.py.

    python -m benchmarks.blocked_rates > rates.csv
    python -m benchmarks.blocked_rates --family register_tiled > rates.csv

From the root of the checkout, on a machine with a GPU. Every kernel verifies each product against float64 and
is then timed, without what copies its operands: medians of samples of 100 ms after a warm-up, GFLOPS.
"""

import argparse
import csv
import statistics
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from benchmarks.peers.by_rusty_py import OurProduct
from benchmarks.peers.contestant import sample
from rusty_py import Device
from rusty_py.bench import context
from rusty_py.gemm.blocked_family import BLOCKED
from rusty_py.gemm.kernel import KernelConfig
from rusty_py.gemm.measured_rates import Rates
from rusty_py.gemm.plan import GemmPlan
from rusty_py.gemm.problem import GemmProblem
from rusty_py.gemm.register_tiled import REGISTER_TILED, LayoutRates
from rusty_py.measure.clock import Clock, check_clock
from rusty_py.runtime.launch import run
from rusty_py.runtime.timing import Timer
from rusty_py.tune.search import problem_of
from rusty_py.tune.verifier import Attempt, TrialVerifier

SAMPLE_S = 0.1
SAMPLES = 3
FAMILIES: dict[str, tuple[Sequence[KernelConfig], tuple[str, ...]]] = {
    "blocked": (BLOCKED, Rates._fields),
    "register_tiled": (REGISTER_TILED, LayoutRates._fields),
}
"""The kernels, and the fields of the rates of each."""


def setting(column: str, n: int) -> tuple[GemmProblem, str]:
    """What a field of the rates is measured with, n cubed or one less, and which operands are packed."""
    match column:
        case "ones":
            return problem_of(n - 1, n - 1, n - 1), ""
        case "packed":
            return problem_of(n - 1, n - 1, n - 1), "ab"
        case "half2":
            return problem_of(n, n, n, dtype="f16", accumulate_dtype="f16"), "ab"
        case layout:
            return problem_of(n, n, n, layout=layout), ""


def main() -> None:
    """Prints the rates as CSV, a row for each kernel and field of its rates."""
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", type=int, default=2048, help="a multiple of 4 (default: %(default)s)")
    parser.add_argument("--family", choices=FAMILIES, default="blocked", help="default: %(default)s")
    parser.add_argument(
        "--columns", help="some of the fields of its rates (default: all), with commas between"
    )
    arguments = parser.parse_args()
    kernels, fields = FAMILIES[arguments.family]
    n, columns = arguments.size, arguments.columns.split(",") if arguments.columns else fields
    if unknown := set(columns).difference(fields):
        parser.error(f"--columns: not among {', '.join(fields)}: {', '.join(sorted(unknown))}")
    if n < 8 or n % 4:
        parser.error(f"--size: a multiple of 4 from 8 on: {n}")
    device = Device()
    timer = Timer(device)
    clock: Clock | None = None
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(["adapter", "driver", "date", "commit", "clock", "size", "kernel", "column", "gflops"])
    where = device.adapter.name, device.adapter.driver, f"{datetime.now(UTC):%Y-%m-%d}", context.commit()
    for column in columns:
        problem, packs = setting(column, n)
        verifier = TrialVerifier(device, problem, np.random.default_rng())
        for kernel in kernels:
            if not kernel.supports(device.limits, problem):
                continue
            attempt = Attempt(verifier, GemmPlan(problem, kernel, packs=packs))
            verification = attempt.verify()
            if not verification.ok:
                sys.exit(f"blocked_rates: {kernel}, {column}: {verification.fault}")
            *copies, multiply = attempt.launches()
            run(device, copies)
            clock = clock or check_clock(timer, multiply, at_least_s=0.05)
            product = OurProduct(timer, clock, [multiply], attempt.c, attempt.result())
            _, each_s = sample(product, at_least_s=SAMPLE_S, samples=SAMPLES)
            gflops = problem.flops / statistics.median(each_s) / 1e9
            rows.writerow([*where, product.clock, problem.n, kernel.name, column, f"{gflops:.0f}"])
            sys.stdout.flush()


if __name__ == "__main__":
    main()
