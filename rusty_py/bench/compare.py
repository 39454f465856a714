"""The command `rusty-bench compare`."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rusty_py.bench.exits import FINDINGS
from rusty_py.bench.options import AsciiOption, FormatOption
from rusty_py.bench.output import Format, complain, show
from rusty_py.errors import RustyError

if TYPE_CHECKING:
    from rusty_py.bench.report.compare import NamedRuns
    from rusty_py.measure.document import BenchRun

_NEWEST_VERSION = 2

_MAX_CHARACTERS = 1 << 26
"""Of a result file: /dev/zero would be read until memory ends."""


class ResultFileError(RustyError, ValueError):
    """A file cannot be read as results, or its results cannot be compared."""


def parse_percent(text: str | None) -> float | None:
    """The fraction of "10%"; a number without % is ambiguous."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,4}(?:\.\d{1,4})?) ?%", text.strip())
    if not found:
        raise typer.BadParameter(f"{text!r} is not a percentage, such as 10%")
    return float(found[1]) / 100


def compare(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Written by --json. Commas join repeated runs.")
    ],
    fail_over: Annotated[
        str | None,
        typer.Option(
            "--fail-over", metavar="PERCENT", help="Exit with 1 if a result is slower by more: 10%."
        ),
    ] = None,
    format: FormatOption = Format.table,
    ascii: AsciiOption = False,
) -> None:
    """Compares runs: what is faster, slower or the same.

    Each file is compared with the first. The intervals cover the variation between runs. Repeated runs of the
    same code narrow them: join their files with commas.

    Example: rusty-bench compare before1.json,before2.json after1.json,after2.json --fail-over 10%
    """
    limit = parse_percent(fail_over)
    if len(files) < 2:
        raise typer.BadParameter("needs two files or more", param_hint="FILE")
    from rusty_py.bench.report.compare import NamedComparison, factor, render
    from rusty_py.measure.compare import compare as compared

    base, *others = map(read_runs, files)
    comparisons = [NamedComparison(base, other, compared(base.runs, other.runs)) for other in others]
    show(render(comparisons, format), ascii=ascii)
    if limit is None:
        return
    for each in comparisons:
        if all(result.low is None for result in each.comparison.results):
            raise ResultFileError(f"--fail-over: {each.other.name}: no result is comparable with {base.name}")
    slower = [each for named in comparisons for each in named.comparison.slower_than(limit)]
    for result in slower:
        interval = f"ratio {factor(result.ratio)}, {factor(result.low)} to {factor(result.high)}"
        complain(f"--fail-over {fail_over}: {result.name} is slower by more: {interval}")
    if slower:
        raise typer.Exit(FINDINGS)


def read_runs(text: str) -> "NamedRuns":
    """The runs of one file, or of several whose names are joined by commas."""
    from rusty_py.bench.report.compare import NamedRuns

    names = [text] if Path(text).exists() else [name.strip() for name in text.split(",")]
    return NamedRuns(tuple(names), tuple(read(Path(name)) for name in names))


def read(path: Path) -> "BenchRun":
    """The run in a result file. Raises ResultFileError."""
    from pydantic import ValidationError

    from rusty_py.bench.report.json import parse

    text, version = _text_and_version(path)
    if version > _NEWEST_VERSION:
        raise ResultFileError(
            f"{path}: schema version {version} is newer than {_NEWEST_VERSION}; update rusty_py"
        )
    try:
        run = parse(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ResultFileError(f"{path}: invalid results: {where}: {first['msg']}") from error
    except ValueError as error:
        raise ResultFileError(f"{path}: invalid results: {error}") from error
    if not run.rows:
        raise ResultFileError(f"{path}: has no results")
    return run


def _text_and_version(path: Path) -> tuple[str, int]:
    """The text of a result file and its schema version."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_MAX_CHARACTERS)
            rest = file.read(1)
        stored = None if rest else json.loads(text)
    except OSError as error:
        raise ResultFileError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ResultFileError(f"{path}: not JSON: {error}") from error
    if rest:
        raise ResultFileError(f"{path}: not a result file: more than {_MAX_CHARACTERS} characters")
    version = stored.get("schema_version") if isinstance(stored, dict) else None
    if not isinstance(version, int):
        raise ResultFileError(f"{path}: not a result file; rusty-bench writes one with --json FILE")
    return text, version
