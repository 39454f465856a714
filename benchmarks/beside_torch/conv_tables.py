"""The tables of a comparison of convolutions with PyTorch's, from the document of its result file."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

TORCH = "torch"
_ROOM = 4.0
Document = Mapping[str, Any]


def tables(document: str) -> str:
    """All tables of a result file, as a fenced block."""
    return f"```text\n{all_tables(json.loads(document))}\n```"


def all_tables(document: Document) -> str:
    """Layers, algorithms, memory, pooling and the cost of a call, those that were measured."""
    made = (
        _layers(document["layers"]),
        _algorithms(document["layers"]),
        _memory(document["layers"]),
        _pooling(document["pooling"]),
        _host(document["host"]),
    )
    return "\n\n".join(each for each in made if each)


def algorithms_of(rows: Sequence[Document]) -> list[str]:
    """The algorithms that were measured, in the order of their first row."""
    return list(dict.fromkeys(by for row in rows for by in row["forward"] if by != TORCH))


def milliseconds(row: Document, by: str) -> float | None:
    """The median time of a forward pass."""
    found = row["forward"].get(by)
    return found["median_ns"] / 1e6 if found else None


def ratio(times: Document, ours: str) -> float | None:
    """The median time of PyTorch divided by ours."""
    if TORCH not in times or ours not in times:
        return None
    return float(times[TORCH]["median_ns"] / times[ours]["median_ns"])


def ahead(row: Document) -> float | None:
    """How many times as fast as cuDNN the selected algorithm is; of short layers, by replays of graphs."""
    return ratio(row["replay"], "rusty_py") if "replay" in row else ratio(row["forward"], row["auto"])


def _layers(rows: Sequence[Document]) -> str:
    """The selected algorithm and cuDNN, forward, and forward and backward."""
    lines = []
    for row in rows:
        auto, both = row["auto"], row["both"]
        ms, theirs = milliseconds(row, auto), milliseconds(row, TORCH)
        errors = [row["forward"][auto].get("error", 0.0), *both["rusty_py"].get("errors", [])]
        lines.append(
            [
                row["name"],
                auto,
                _number(ms, 4),
                _number(row["flops"] / ms / 1e6 if ms else None, 0),
                _number(theirs, 4),
                _number(ahead(row), 2) + ("*" if "replay" in row else ""),
                _number(both["rusty_py"]["median_ns"] / 1e6, 4),
                _number(both[TORCH]["median_ns"] / 1e6 if TORCH in both else None, 4),
                _number(ratio(both, "rusty_py"), 2),
                "WRONG" if max(errors) > 1 else _number(max(errors), 2),
            ]
        )
    heads = [
        *("layer", "auto", "ms", "GFLOPS", "cuDNN ms", "/ cuDNN"),
        *("with gradients ms", "cuDNN ms", "/ cuDNN", "error"),
    ]
    return _table(heads, lines, left=2)


def _algorithms(rows: Sequence[Document]) -> str:
    """The times of all algorithms."""
    names = algorithms_of(rows)
    lines = [[row["name"], *(_time(row, by) for by in (*names, TORCH))] for row in rows]
    return _table(["ms", *names, "cuDNN"], lines)


def _time(row: Document, by: str) -> str:
    """The time of a forward pass. Winograd's algorithm with large tiles may lose more than a sum."""
    wrong = row["forward"].get(by, {}).get("error", 0.0) > _ROOM
    return "WRONG" if wrong else _number(milliseconds(row, by), 4)


def _memory(rows: Sequence[Document]) -> str:
    """What a call takes from the pool: the result, and what each algorithm needs beyond."""
    names = algorithms_of(rows)
    lines = []
    for row in rows:
        found = [row["forward"].get(by) for by in names]
        result = next((each["pool"] - each["workspace"] for each in found if each), None)
        beyond = [_number(each["workspace"] / 1e6 if each else None, 1) for each in found]
        lines.append([row["name"], _number(result / 1e6 if result else None, 1), *beyond])
    return _table(["workspace MB", "result", *names], lines)


def _pooling(rows: Sequence[Document]) -> str:
    """Pooling of images."""
    lines = []
    for row in rows:
        forward, both = row["forward"], row["both"]
        ns = forward["rusty_py"]["median_ns"]
        lines.append(
            [
                row["name"],
                _number(ns / 1e6, 4),
                _number(row["nbytes"] / ns, 0),
                _number(row["nbytes"] / row["copied"] * forward["copy"]["median_ns"] / ns, 2),
                _number(milliseconds(row, TORCH), 4),
                _number(ratio(forward, "rusty_py"), 2),
                _number(both["rusty_py"]["median_ns"] / 1e6, 4),
                _number(ratio(both, "rusty_py"), 2),
                "DIFFERS" if row.get("difference", 0.0) > 1e-5 else "",
            ]
        )
    heads = ["pooling", "ms", "GB/s", "/ copy", "torch ms", "/ torch", "with gradients ms", "/ torch", ""]
    return _table(heads, lines)


def _host(rows: Sequence[Document]) -> str:
    """Eager calls of a small layer."""
    lines = [
        [f"{row['name']}, {by}", *(_number(row[by][f"{name}_us"], 1) for name in ("issued", "wall", "cpu"))]
        for row in rows
        for by in ("rusty_py", TORCH)
        if by in row
    ]
    return _table(["eager call, us", "issued", "through the wait", "CPU time"], lines)


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]], *, left: int = 1) -> str:
    if not lines:
        return ""
    align = ["left" if i < left else "right" for i in range(len(heads))]
    text = tabulate(lines, heads, disable_numparse=True, colalign=align)
    return "\n".join(line.rstrip() for line in text.splitlines())
