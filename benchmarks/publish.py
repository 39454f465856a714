"""Writes the tables of README.md and RESULTS.md from the result files they name; `--check` only compares.

    python -m benchmarks.publish

A table is a fenced block after a line `<!-- from results/<file>.json -->`; a comparison with peers is
between `<!-- peers from results/<file>.json -->` and `<!-- end -->`. No number in them is typed.
"""

import re
import sys
from json import loads
from pathlib import Path

from benchmarks.peers import records
from benchmarks.peers.table import markdown
from rusty_py.bench.report import json, results, table

HERE = Path(__file__).parent
PAGES = (HERE.parent / "README.md", HERE / "RESULTS.md")
MARKED = re.compile(r"<!-- from (results/\S+\.json) -->\n\n```text\n.*?\n```(?=\n)", re.DOTALL)
COMPARED = re.compile(r"<!-- peers from (results/\S+\.json) -->\n\n.*?\n\n<!-- end -->", re.DOTALL)


def filled(text: str) -> str:
    """`text` with every marked block made anew from its file: the table and what follows from it."""

    def block(mark: re.Match[str]) -> str:
        document = (HERE / mark[1]).read_text(encoding="utf-8")
        return f"<!-- from {mark[1]} -->\n\n```text\n{rendered(document)}\n```"

    def comparison(mark: re.Match[str]) -> str:
        compared = records.loads((HERE / mark[1]).read_text(encoding="utf-8"))
        return f"<!-- peers from {mark[1]} -->\n\n{markdown(compared)}\n\n<!-- end -->"

    return COMPARED.sub(comparison, MARKED.sub(block, text))


def rendered(document: str) -> str:
    """The table of a result file, of kernels or of what is around them."""
    if "command" in loads(document):
        return results.table(results.parse(document), legend=False)
    return table.render(json.parse(document), legend=False)


def main(*, check: bool) -> int:
    """1 if `check` finds a page that differs from its files."""
    stale = [
        page for page in PAGES if filled(page.read_text(encoding="utf-8")) != page.read_text(encoding="utf-8")
    ]
    for page in stale:
        print(f"{page.name}: {'differs from its result files' if check else 'written'}")
        if not check:
            page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv))
