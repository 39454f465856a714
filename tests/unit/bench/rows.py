"""Hand-made runs of `overhead` and `transfer`, for what reads them."""

from collections.abc import Mapping, Sequence

from rusty_py.bench.overhead.work import PLAIN
from rusty_py.bench.transfer.copies import MEMCPY
from rusty_py.measure.document import BenchProblem, BenchRun, ClockName, Result, Row, Samples, Verification
from rusty_py.measure.runner import finished

from .runs import CONTEXT

US = 1e3  # In nanoseconds.


def row(
    name: str,
    results: Mapping[str, float | Sequence[float] | Result],
    *,
    clock: ClockName = "cpu",
    nbytes: int = 0,
    **changes: object,
) -> Row:
    """A row by the CPU clock: implementations with their times in us, five samples of one, or a result."""
    made = []
    for by, given in results.items():
        if isinstance(given, Result):
            made.append(given)
            continue
        times = [given * (1 + 0.001 * i) for i in (-2, -1, 0, 1, 2)] if isinstance(given, float) else given
        column = {f"{clock}_ns": tuple(10 * US * time for time in times)}
        samples = Samples(10, tuple(range(len(times))), **column)
        made.append(Result(by, "ok", clock, "host", Verification("y = 2 x"), samples=samples))
    described = BenchProblem("transfer" if nbytes else "overhead", name, read_bytes=nbytes)
    return Row(described, tuple(made), MEMCPY if nbytes else PLAIN, **changes)  # type: ignore[arg-type]


def overhead(*rows: Row, **changes: object) -> BenchRun:
    return finished(BenchRun("overhead", CONTEXT, list(rows), **changes))  # type: ignore[arg-type]


def transfer(*rows: Row, mapped: bool = True, **changes: object) -> BenchRun:
    context = {**CONTEXT, "transfers": {"mapped_read": mapped, "mapped_write": mapped}}
    return finished(BenchRun("transfer", context, list(rows), **changes))  # type: ignore[arg-type]
