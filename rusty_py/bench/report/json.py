"""The report as JSON: everything, all raw samples included, and back again."""

from pydantic import RootModel

from rusty_py.bench.run import BenchRun

_Document = RootModel[BenchRun]


def render(run: BenchRun) -> str:
    """Strict JSON: no NaN, no infinity."""
    return _Document(run).model_dump_json(indent=2)


def parse(text: str) -> BenchRun:
    """The run that `render` wrote. Raises ValueError where it is none."""
    return _Document.model_validate_json(text).root


def schema() -> dict[str, object]:
    """The JSON Schema of the document."""
    return _Document.model_json_schema(mode="serialization")
