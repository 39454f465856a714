"""Writes the tables of README.md and RESULTS.md from the result files they name; `--check` only compares.

    python -m benchmarks.publish

A fenced block after `<!-- from results/<file>.json -->` is the table of that file; after
`<!-- from results/<file>.json, MxKxN -->` it has the row of one problem, after `<!-- from
results/<file>.json, wide -->` all columns. Between `<!-- peers from results/<file>.json -->` and
`<!-- end -->` is a comparison with peers, after `<!-- ratios from ... -->` its f32 ratios alone, and after
`<!-- operations from ... -->` or `<!-- convolutions from ... -->` a comparison of operations or convolutions
with PyTorch's, after `<!-- profiles from ... -->` the plans by several profiles.
docs/convolution-algorithms.md is written as a whole. No number in them is typed by hand.
"""

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from tabulate import tabulate

from benchmarks import profiles
from benchmarks.beside_torch import conv_page, conv_tables
from benchmarks.beside_torch.tables import tables
from benchmarks.peers import records
from benchmarks.peers.records import Comparison, of
from benchmarks.peers.roster import OURS, ROSTER
from benchmarks.peers.table import gflops, markdown, rounded
from rusty_py.bench.report import json, table

HERE = Path(__file__).parent
PAGES = (HERE.parent / "README.md", HERE / "RESULTS.md")
CONVOLUTIONS = "results/nvidia-h200/peers/conv2d.json"
CONVOLUTION_PAGE = HERE.parent / "docs" / "convolution-algorithms.md"
MARKED = re.compile(r"<!-- from (results/[^ ,]+\.json)(?:, (\S+))? -->\n\n```text\n.*?\n```(?=\n)", re.DOTALL)
COMPARED = re.compile(
    r"<!-- (peers|ratios|operations|convolutions|profiles) from (results/\S+\.json) -->"
    r"\n\n.*?\n\n<!-- end -->",
    re.DOTALL,
)


def filled(text: str) -> str:
    """`text` with every marked block regenerated from its file. Raises ValueError for an unknown problem."""

    def block(mark: re.Match[str]) -> str:
        document = (HERE / mark[1]).read_text(encoding="utf-8")
        header = mark[0].partition("\n")[0]
        wide = mark[2] == "wide"
        return f"{header}\n\n```text\n{rendered(document, problem=None if wide else mark[2], wide=wide)}\n```"

    def comparison(mark: re.Match[str]) -> str:
        document = (HERE / mark[2]).read_text(encoding="utf-8")
        return f"<!-- {mark[1]} from {mark[2]} -->\n\n{_VIEWS[mark[1]](document)}\n\n<!-- end -->"

    return COMPARED.sub(comparison, MARKED.sub(block, text))


def rendered(document: str, *, problem: str | None = None, wide: bool = False) -> str:
    """The tables of a result file and its findings; with `problem`, only the rows of that problem."""
    run = json.parse(document)
    if problem is None:
        return table.render(run, legend=False, wide=wide)
    row = run.row(problem)
    if row is None:
        raise ValueError(f"publish: no such problem in the result file: {problem}")
    return table.render(replace(run, rows=[row]), legend=False).partition("\n\n")[0]


def ratios(comparison: Comparison) -> str:
    """The rate of rusty_py in f32, and this rate divided by that of each peer measured in f32."""
    measured = of(comparison.records, dtype="f32")
    peers = [
        peer
        for peer in comparison.peers
        if peer != OURS and any(each.samples_s for each in of(measured, peer=peer))
    ]
    rows = []
    for problem in dict.fromkeys(each.problem for each in measured):
        rates = {peer: gflops(of(measured, problem=problem, peer=peer)) for peer in (OURS, *peers)}
        ours = rates[OURS]
        if ours is not None:
            cells = [_ratio(ours, rates[peer]) for peer in peers]
            rows.append([problem, rounded(ours), *cells])
    head = ["M×K×N", "rusty_py, GFLOPS", *(f"/ {ROSTER[peer].label}" for peer in peers)]
    align = ["left", *("right" for _ in head[1:])]
    return tabulate(rows, head, tablefmt="github", disable_numparse=True, colalign=align)


def _ratio(ours: float, theirs: float | None) -> str:
    if theirs is None:
        return "not measured"
    ratio = ours / theirs
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.3g}"


_VIEWS: dict[str, Callable[[str], str]] = {
    "peers": lambda document: markdown(records.loads(document)),
    "ratios": lambda document: ratios(records.loads(document)),
    "operations": tables,
    "convolutions": conv_tables.tables,
    "profiles": profiles.table,
}


def pages() -> Iterator[tuple[Path, str]]:
    """Every page and what it should be; the page of convolutions, once its result file is there."""
    for path in PAGES:
        yield path, filled(path.read_text(encoding="utf-8"))
    source = HERE / CONVOLUTIONS
    if source.exists():
        yield CONVOLUTION_PAGE, conv_page.page(source.read_text(encoding="utf-8"), CONVOLUTIONS)


def main(*, check: bool) -> int:
    """1 if `check` finds a page that differs from its files."""
    stale = [
        (path, text)
        for path, text in pages()
        if not path.exists() or text != path.read_text(encoding="utf-8")
    ]
    for path, text in stale:
        print(f"{path.name}: {'differs from its result files' if check else 'written'}")
        if not check:
            path.write_text(text, encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv))
