"""Hand-made figures of `overhead` and `transfer`, for what reads them."""

from collections.abc import Mapping, Sequence

from rusty_py.bench.results import Figure, ResultRow, Results, measured

from .runs import CONTEXT

US = 1e3  # In nanoseconds.


def row(what: str, figures: Mapping[str, float | Sequence[float] | Figure], **changes: object) -> ResultRow:
    """A row by the CPU clock: contestants with their times in us, five samples of one, or a whole figure."""
    made = []
    for by, given in figures.items():
        if isinstance(given, Figure):
            made.append(given)
            continue
        times = [given * (1 + 0.001 * i) for i in (-2, -1, 0, 1, 2)] if isinstance(given, float) else given
        made.append(measured(by, [US * time for time in times], runs=10))
    options: dict[str, object] = {"clock": "cpu", "proof": "y = 2 x", **changes}
    return ResultRow(what=what, figures=tuple(made), **options)  # type: ignore[arg-type]


def overhead(*rows: ResultRow, **changes: object) -> Results:
    return Results("overhead", CONTEXT, list(rows), **changes)  # type: ignore[arg-type]


def transfer(*rows: ResultRow, mapped: bool = True, **changes: object) -> Results:
    context = {**CONTEXT, "transfers": {"mapped_read": mapped, "mapped_write": mapped}}
    return Results("transfer", context, list(rows), **changes)  # type: ignore[arg-type]
