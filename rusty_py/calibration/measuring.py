"""The measuring process of the calibration: reports figures of the adapter as lines of JSON.

Reads its job, with the deadline, as one line from standard input. Rates are of verified kernels, by a clock
that was checked, and those first that decide most: what is left at the deadline will be estimated.
"""

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from rusty_py.calibration.elementwise import item_bytes
from rusty_py.dtypes import F16
from rusty_py.errors import DeviceError, LimitError, OutOfMemory, ShaderError
from rusty_py.gemm.dispatch import Operands, dispatches
from rusty_py.gemm.kernel import KernelConfig
from rusty_py.gemm.model import model_of
from rusty_py.gemm.plan import GemmPlan, workgroups_of
from rusty_py.gemm.problem import GemmProblem
from rusty_py.gemm.search_space import FAMILIES, as_data, calibrated_kernels, family_of
from rusty_py.gemm.select import cost
from rusty_py.measure.ceilings import CeilingMeter
from rusty_py.measure.clock import check_clock
from rusty_py.profile.prior import prior_for
from rusty_py.runtime.adapter import choose
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Launch, Spec, compile_ahead
from rusty_py.runtime.timing import Timer
from rusty_py.shapes import ceil_div
from rusty_py.tune.measuring_process import Job, Report, serve
from rusty_py.tune.search import problem_of
from rusty_py.tune.verifier import Attempt, TrialVerifier

WORKING_SETS = (1 << 20, 1 << 22, 1 << 24, 1 << 26, 1 << 28)
"""Bytes for which the bandwidth is measured, on GPUs."""
CPU_WORKING_SETS = (1 << 20, 1 << 24)

CLASSES = ("nn", "tn", "nt", "scalar", "packed", "tt", "f16", "half2")
RARE_CLASSES = ("tt", "f16", "half2")
"""Measured last: the usual ratios tell them well."""
CPU_CLASSES = ("nn", "scalar", "nt", "tn", "tt")

SKINNY_ROWS = (1, 4, 16, 2, 8)
SKINNY_SIZE, CPU_SKINNY_SIZE = 8192, 1024
"""The rows and columns of the matrix that matrix-vector kernels read."""

_ELEMENTWISE_BYTES, _CPU_ELEMENTWISE_BYTES = 1 << 26, 1 << 21
"""Of each of three arrays: on GPUs beyond most caches, within every binding."""

_COLS = 256  # Of the reference.
_SAMPLES, _CPU_SAMPLES = 4, 12
"""Other programs disturb a CPU driver."""
_AWAKE, _AWAKE_S = 0.95, 0.5
_THREADS = 8
_LARGE = 4000
_FAR = 4096  # The size of matrices larger than the caches.
_CONTENDERS = 8  # The fastest kernels, which are measured for all classes.


@dataclass(frozen=True)
class Trial:
    """A plan to measure, without what packs its operands. `name`: its class of operands."""

    name: str
    plan: GemmPlan


class Calibration:
    """The measurements of a device.

    `refused` are kernels, as data, that ended an earlier process. With `ahead`, other threads compile the
    kernels that follow.
    """

    def __init__(
        self, device: Device, *, deadline: float, report: Report, refused: Sequence[object], ahead: bool
    ) -> None:
        self.device, self.deadline, self.report, self.refused = device, deadline, report, refused
        self.ahead = ahead
        self.cpu = device.adapter.is_cpu
        self.sample_s = 0.02 if self.cpu else 0.01
        self.timer = Timer(device)
        self.ceilings = CeilingMeter(device, self.timer, sample_s=self.sample_s)
        self.rng = np.random.default_rng()
        self.fma_gflops = 0.0
        self.cores = 1
        self.rates: dict[str, dict[KernelConfig, float]] = {}
        self.verifiers: dict[GemmProblem, TrialVerifier] = {}

    def run(self) -> None:
        """All measurements until the deadline."""
        self._ceilings()
        first, *others = CPU_CLASSES if self.cpu else CLASSES
        n = self._size()
        self._measure_all(self._products(first, n, calibrated_kernels(cpu=self.cpu)))
        rates = self.rates.get(first, {})
        contenders = sorted(rates, key=lambda each: -rates[each])[:_CONTENDERS]
        products = [trial for name in others for trial in self._products(name, n, contenders)]
        usual = [trial for trial in products if trial.name not in RARE_CLASSES]
        self._measure_all([*usual, *self._skinny()])
        if not self.cpu and self.rates.get("scalar"):
            self._far()
        self._measure_all([trial for trial in products if trial.name in RARE_CLASSES])

    def _measure_all(self, trials: Sequence[Trial]) -> None:
        """Measures until the deadline, while other threads compile what follows, if they may.

        By the wall clock, that would disturb the measurement: then all is compiled first.
        """
        by_gpu = self.ceilings.clock.name == "gpu" and not self.cpu
        threads = ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1) if by_gpu else 1)
        try:
            compiled = {
                spec: threads.submit(self._compile, spec)
                for trial in trials
                if self.ahead
                for spec in self._specs(trial)
            }
            if not by_gpu:
                wait(compiled.values(), timeout=max(0.0, self.deadline - time.monotonic()))
            for trial in trials:
                if time.monotonic() > self.deadline:
                    return
                self._measure(trial, compiled)
        finally:
            threads.shutdown(cancel_futures=True)

    def _compile(self, spec: Spec) -> None:
        with suppress(LimitError, ShaderError):  # The measurement will report it.
            compile_ahead(self.device, spec)

    def _specs(self, trial: Trial) -> list[Spec]:
        """The kernels of a trial."""
        if not trial.plan.packs:
            return [trial.plan.kernel.spec(trial.plan.problem)]
        verifier = self._verifier(trial.plan.problem)
        operands = Operands(verifier.a, verifier.b, verifier.a, *verifier.layouts)
        return [each.spec for each in dispatches(self.device, trial.plan, operands)]

    def _ceilings(self) -> None:
        """What does not depend on a kernel of ours."""
        meter = self.ceilings
        meter.fit(5e-3 if self.cpu else 2e-3)
        meter.clock = check_clock(self.timer, meter.fma_launch, at_least_s=0.02)
        self.report({"event": "clock", "name": meter.clock.name, "reason": meter.clock.reason})
        self.fma_gflops = meter.fma_gflops()
        self._figure("fma_gflops", self.fma_gflops)
        self.device.throughput.assume(0.3e9 * self.fma_gflops)
        self.cores = meter.cores()
        self._figure("cores", self.cores)
        self._figure("launch_us", meter.dependent_launch_ns(self.cores) / 1e3)
        sizes = CPU_WORKING_SETS if self.cpu else WORKING_SETS
        self._figure("copy_gbps", {str(size): meter.copy_gbps(size) for size in sizes})
        self._figure("read_gbps", {str(size): meter.read_gbps(size) for size in sizes})
        if not self.cpu:
            self._figure("fill_groups", meter.fill_groups(sizes[-1]))
        self._elementwise()

    def _elementwise(self) -> None:
        """How much of an array of f16 a thread loads best."""
        nbytes = _CPU_ELEMENTWISE_BYTES if self.cpu else _ELEMENTWISE_BYTES
        try:
            found = item_bytes(self.device, nbytes, lambda launch: self._time([launch]))
        except (DeviceError, LimitError, OutOfMemory, ShaderError) as error:
            self.report({"event": "note", "text": f"elementwise kernels: {error}"})
        else:
            self._figure("item_bytes", found)

    def _figure(self, name: str, value: object) -> None:
        self.report({"event": "figure", "name": name, "value": value})

    def _products(self, name: str, n: int, kernels: Iterable[KernelConfig]) -> list[Trial]:
        """Square products of a class of operands by those of the kernels that can compute them."""
        problem, packs = setting(name, n)
        if problem.signature.stored is F16 and "shader-f16" not in self.device.adapter.features:
            return []
        return [
            Trial(name, GemmPlan(problem, kernel, packs=packs))
            for kernel in kernels
            if packs in family_of(kernel).packings(problem.signature)
            and kernel.supports(self.device.limits, problem)
        ]

    def _size(self) -> int:
        """The edge of square matrices whose product takes about a millisecond, or a few."""
        fitting = (n for n in (2048, 1024) if 2 * n**3 / (self.fma_gflops * 1e9) < 2.5e-3)
        return next(fitting, 512)

    def _skinny(self) -> Iterator[Trial]:
        """Matrix-vector kernels, with as many split-K parts as fill the device."""
        size = CPU_SKINNY_SIZE if self.cpu else SKINNY_SIZE
        profile = replace(prior_for(self.device.adapter), cores=self.cores)
        machine = model_of(self.device.limits, self.cpu, profile)
        families = [each for each in FAMILIES.values() if each.gemv]
        for rows in SKINNY_ROWS:
            for layout in ("nn", "nt"):
                problem = problem_of(rows, size, size, layout=layout)
                plans = [
                    plan
                    for each in families
                    for plan in each.candidates(self.device.limits, problem)
                    if not plan.transposed and not plan.packs
                ]
                if plans:
                    best = min(plans, key=lambda plan: cost(plan, machine))
                    yield Trial(layout, best)

    def _far(self) -> None:
        """What scalar loads leave of a product's rate where its matrices are larger than the caches."""
        near = self.rates["scalar"]
        kernel = max(near, key=lambda each: near[each])
        problem, _ = setting("scalar", _FAR)
        far = self._measure(Trial("far", GemmPlan(problem, kernel)), {})
        if far:
            self._figure("scattered", min(1.0, far / near[kernel]))

    def _measure(self, trial: Trial, compiled: Mapping[Spec, Future[None]]) -> float | None:
        """The GFLOPS of a trial's kernel on the whole device; None if it fails, which is reported."""
        kernel, plan = trial.plan.kernel, trial.plan
        data = as_data(kernel)
        if data in self.refused:
            return None
        beside = not all(each.done() for each in compiled.values())
        self.report({"event": "trying", "kernel": data, "beside": beside})
        if compiled:
            wait([compiled[spec] for spec in self._specs(trial)])
        try:
            seconds, why = self._seconds(Attempt(self._verifier(plan.problem), plan))
        except (LimitError, OutOfMemory, ShaderError) as error:
            seconds, why = None, str(error)
        if seconds is None:
            self.report({"event": "out", "kernel": data, "class": trial.name, "why": why})
            return None
        rate = plan.problem.flops / seconds / 1e9
        if not family_of(kernel).gemv:
            workgroups = workgroups_of(plan)
            rate *= ceil_div(workgroups, self.cores) * self.cores / workgroups
        self.rates.setdefault(trial.name, {})[kernel] = rate
        if trial.name != "far":
            self.report({"event": "rate", "kernel": data, "class": trial.name, "gflops": rate})
        return rate

    def _seconds(self, attempt: Attempt) -> tuple[float | None, str]:
        """The time of a product, verified before and after; or why there is none."""
        verification = attempt.verify()
        if not verification.ok:
            return None, f"wrong: {verification.fault}"
        launches = attempt.launches()
        packing, work = launches[: len(attempt.gemm_plan.packs)], launches[len(attempt.gemm_plan.packs) :]
        if packing:
            self.timer.sample([packing])
        seconds = self._time(work)
        verification = attempt.recheck()
        return (seconds, "") if verification.ok else (None, f"wrong after timing: {verification.fault}")

    def _verifier(self, problem: GemmProblem) -> TrialVerifier:
        """The inputs and the reference of a problem. Those of large ones are kept for the last alone."""
        found = self.verifiers.get(problem)
        if found is None:
            for each in [each for each in self.verifiers if max(each.m, each.n) > _LARGE]:
                del self.verifiers[each]
            found = TrialVerifier(self.device, problem, self.rng, cols=_COLS)
            self.verifiers[problem] = found
        return found

    def _time(self, launches: Sequence[Launch]) -> float:
        """Seconds of the launches together: the shortest of samples of at least `sample_s`."""
        self._awaken()
        once = self.ceilings.clock.ns(self.timer.sample([launches])) / 1e9
        work = [list(launches) * max(1, min(1000, round(self.sample_s / once)))]
        count = _CPU_SAMPLES if self.cpu else _SAMPLES
        samples = [self.ceilings.clock.ns(self.timer.sample(work)) for _ in range(count)]
        return min(samples) / len(work[0]) * len(launches) / 1e9

    def _awaken(self) -> None:
        """Keeps a GPU busy until its arithmetic is as fast as it was: idle GPUs lower their clocks."""
        if self.cpu:
            return
        launch = self.ceilings.fma_launch
        end = time.monotonic() + _AWAKE_S
        while time.monotonic() < end:
            ns = self.ceilings.clock.ns(self.timer.sample([[launch]]))
            if launch.flops / ns > _AWAKE * self.fma_gflops:
                return


def setting(name: str, n: int) -> tuple[GemmProblem, str]:
    """The problem that a class of operands is measured with, n cubed or one less, and what is packed."""
    match name:
        case "scalar":
            return problem_of(n - 1, n - 1, n - 1), ""
        case "packed":
            return problem_of(n - 1, n - 1, n - 1), "ab"
        case "half2":
            return problem_of(n, n, n, dtype="f16", accumulate_dtype="f16"), "ab"
        case "f16":
            return problem_of(n, n, n, dtype="f16"), ""
        case layout:
            return problem_of(n, n, n, layout=layout), ""


def measure(job: Job, report: Report) -> None:
    """Measures the adapter of a job."""
    deadline = time.monotonic() + job["until"] - time.time()
    # Unchecked regardless of the environment, as operations run by default.
    with Device(choose(job["adapter"]), checked=False) as device:
        refused, ahead = job["refused"], job["ahead"]
        Calibration(device, deadline=deadline, report=report, refused=refused, ahead=ahead).run()


if __name__ == "__main__":
    serve(measure)
