"""The report as JSON, with all samples, and its parser."""

from pydantic import RootModel

from rusty_py.bench.run import BenchRun

_Document = RootModel[BenchRun]


def render(run: BenchRun) -> str:
    """Strict JSON: no NaN, no infinity."""
    return _Document(run).model_dump_json(indent=2)


def parse(text: str) -> BenchRun:
    """Parses the output of `render`. Raises ValueError if it is invalid."""
    return _Document.model_validate_json(text).root


def schema() -> dict[str, object]:
    """The JSON Schema of the document."""
    return _Document.model_json_schema(mode="serialization")
