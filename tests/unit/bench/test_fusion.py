"""The table of what fusion saves, and from which size it pays."""

from rusty_py.bench.report import fusion
from rusty_py.measure.document import BenchProblem, BenchRun, Figure, Result, Row, Samples
from rusty_py.measure.stats import summarise


def result(by: str, ns: float, **figures: float) -> Result:
    scope = "host" if by.endswith("call") else "kernel"
    found = tuple(Figure(name, value, "") for name, value in figures.items())
    samples = Samples(1, (0,), wall_ns=(ns,))
    return Result(by, "ok", "wall", scope, samples=samples, stats=summarise([ns]), figures=found)


def row(size: int, fused_ns: float, unfused_ns: float, *, calls: bool = True) -> Row:
    results = [
        result("fused", fused_ns, launches=1, moved=8.0 * size),
        result("unfused", unfused_ns, launches=3, moved=24.0 * size),
    ]
    if calls:
        results += [result("fused call", 2 * fused_ns), result("unfused call", 2 * unfused_ns)]
    problem = BenchProblem("chain", f"chain {size}", read_bytes=4 * size, written_bytes=4 * size)
    return Row(problem, tuple(results), reference="unfused")


def test_savings_are_those_of_kernels_bytes_and_calls() -> None:
    run = BenchRun("fused", {}, rows=[row(10**6, 1e6, 3e6), row(10**6, 2e6, 1e6, calls=False)])
    first, second = fusion.table(run).lines
    assert first == ("chain 1000000", "3 to 1", "16.0 (67%)", "2.000", "4.000", "2000.0")
    assert second == ("chain 1000000", "3 to 1", "16.0 (67%)", "-1.000", "", "")


def test_it_pays_from_the_size_on_at_which_all_larger_ones_are_faster() -> None:
    run = BenchRun("fused", {}, rows=[row(100, 1, 5), row(200, 2, 1), row(300, 1, 2), row(400, 1, 4)])
    assert fusion.findings(run)[0] == "chain: the fused kernel pays from chain 300 on, up to 4 times as fast"
    run = BenchRun("fused", {}, rows=[row(100, 1, 5), row(200, 2, 1)])
    assert fusion.findings(run)[1] == "chain: the fused call is not faster at the largest size"
    run = BenchRun("fused", {}, rows=[row(100, 1, 5)])
    assert fusion.findings(run)[0] == "chain: the fused kernel pays at every size, up to 5 times as fast"


def test_a_run_without_fused_functions_has_no_table() -> None:
    problem = BenchProblem("add", "add")
    assert (
        fusion.table(BenchRun("elementwise", {}, rows=[Row(problem, (result("rusty_py", 1.0),))])).lines == ()
    )
