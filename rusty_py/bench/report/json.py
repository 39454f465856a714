"""The report as JSON, with all samples, and its parser."""

import json
import re
from functools import cache

from pydantic import TypeAdapter

from rusty_py.bench.report import version1
from rusty_py.bench.report.valid import ensure_valid
from rusty_py.measure.document import BenchRun
from rusty_py.measure.figures import with_figures

_SCALARS = re.compile(r"\[\n\s+([\d.eE+\-nul,\s]+)\n\s+\]")
"""Lists of numbers and nulls, which take one line."""


@cache
def _document() -> TypeAdapter[BenchRun]:
    return TypeAdapter(BenchRun)


def render(run: BenchRun) -> str:
    """Strict JSON: NaN and infinity are null."""
    document = json.loads(_document().dump_json(run))
    text = json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False)
    return _SCALARS.sub(lambda each: f"[{' '.join(each[1].split())}]", text)


def parse(text: str) -> BenchRun:
    """Parses the output of `render`, and files of version 1. Raises ValueError for anything else."""
    stored = json.loads(text)
    if isinstance(stored, dict) and stored.get("schema_version") == 1:
        text = _document().dump_json(version1.converted(stored), warnings=False).decode()
    run = _document().validate_json(text)
    ensure_valid(run)
    return with_figures(run)


def schema() -> dict[str, object]:
    """The JSON Schema of the document."""
    return _document().json_schema(mode="serialization")
