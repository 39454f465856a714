"""Output: results on standard output and in files, progress and warnings on standard error."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rusty_py.measure.document import BenchRun


class Format(StrEnum):
    """Output formats."""

    table = "table"
    md = "md"
    csv = "csv"
    json = "json"


@dataclass(frozen=True)
class Output:
    """Where and how a command prints and writes its results."""

    format: Format = Format.table
    json: Path | None = None
    out: Path | None = None
    force: bool = False
    wide: bool = False
    bars: bool = False
    ascii: bool = False

    def check(self) -> None:
        """Raises FileError if a requested file cannot be written, before minutes of measuring."""
        from rusty_py.bench.report import files

        if self.json:
            files.check(self.json, force=self.force)
        if self.out:
            files.check_folder(self.out)

    def begin(self, adapter: dict[str, object], *, checked: bool) -> None:
        """Prints the heading of a table."""
        if self.format == Format.table:
            show(heading(adapter, checked=checked), ascii=self.ascii)

    def finish(self, run: "BenchRun") -> None:
        """Prints the results and writes the files, these also if standard output was closed meanwhile."""
        try:
            show(self.render(run), ascii=self.ascii)
        finally:
            self._write(run)

    def render(self, run: "BenchRun") -> str:
        """The run in the chosen format."""
        if self.format == Format.json:
            from rusty_py.bench.report import json

            return json.render(run)
        if self.format == Format.csv:
            from rusty_py.bench.report import csv

            return csv.render(run)
        if self.format == Format.md:
            from rusty_py.bench.report import markdown

            return markdown.render(run)
        from rusty_py.bench.report import table

        return table.render(run, wide=self.wide, bars=self.bars)

    def _write(self, run: "BenchRun") -> None:
        """Writes the requested files. Those in `out` have a timestamp in their names and replace none."""
        from rusty_py.bench.info import as_text
        from rusty_py.bench.report import files
        from rusty_py.bench.report.json import render

        if self.json:
            files.write(self.json, render(run) + "\n")
        if self.out:
            stamp = files.fresh_stamp(self.out)
            files.write(self.out / f"gpu_benchmark_{stamp}.json", render(run) + "\n")
            files.write(self.out / f"system_info_{stamp}.txt", as_text(run.context, complete=True) + "\n")


_FRAMES = {"×": "x", "·": "-", "═": "=", "║": "|", "╔": "+", "╗": "+", "╚": "+", "╝": "+"}
ASCII = str.maketrans({**_FRAMES, **dict.fromkeys("▏▎▍▌▋▊▉█", "#")})
_CONTROLS = {code: f"\\u{code:04x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
"""Control characters, which names may contain and terminals obey; written as in JSON."""


def heading(adapter: dict[str, object], *, checked: bool) -> str:
    """The banner and the GPU block."""
    from rusty_py import __version__
    from rusty_py.bench.report.facts import banner, gpu_block

    block = "\n".join(f"  {label + ':':9}{value}" for label, value in gpu_block(adapter, checked=checked))
    return f"{banner(__version__)}\n\nGPU\n{block}\n"


def show(text: str, *, ascii: bool) -> None:
    """Prints to standard output, in ASCII if requested or if its encoding is not UTF.

    Control characters of names are printed as escapes.
    """
    encoding = sys.stdout.encoding or "ascii"
    if ascii or not encoding.casefold().startswith("utf"):
        # In column headers, two characters replace a space and one character.
        text = text.translate(ASCII).replace("  ±", " +-").replace("±", "+-")
        text = text.encode("ascii", "replace").decode()
    # In one write: a reader that leaves in between would end the run before it has measured.
    print(text.translate(_CONTROLS) + "\n", end="", flush=True)


def complain(text: str) -> None:
    """Prints a line to standard error, if there is one."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(text.translate(_CONTROLS), file=sys.stderr, flush=True)


@contextmanager
def progress_line(*, ascii: bool) -> Iterator[Callable[[str], None]]:
    """A progress line on standard error; nothing if it is not a terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda text: None
        return
    status = console.status("Running benchmarks...", spinner="line" if ascii else "dots")

    def progress(text: str) -> None:
        with suppress(OSError):
            status.update(f"Running benchmarks: {text}")

    status.start()
    try:
        yield progress
    finally:
        with suppress(OSError):  # A closed terminal must not lose the results.
            status.stop()
