"""The tables of a comparison of operations with PyTorch's, from the rows of its result file."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from tabulate import tabulate


def tables(document: str) -> str:
    """Both tables of a result file, as a fenced block."""
    rows = json.loads(document)["rows"]
    return f"```text\n{kernels_table(rows)}\n\n{calls_table(rows)}\n```"


def kernels_table(rows: Sequence[dict[str, Any]]) -> str:
    """By the GPU's clock."""
    lines = []
    for row in rows:
        ours, theirs = row["rusty_py"], row.get("torch")
        copies = [each for each in rows if _is_copy_for(each, row)]
        copy = max((each[by]["gbps"] for each in copies for by in each["by"]), default=0.0)
        differs = "DIFFERS" if (row["difference"] or 0) > 1 else ""
        lines.append(
            (
                row["case"],
                row["label"],
                row["dtype"].replace("float", "f"),
                ours["median_ns"] / 1e6,
                ours["gbps"],
                theirs["median_ns"] / 1e6 if theirs else None,
                theirs["gbps"] if theirs else None,
                ours["gbps"] / theirs["gbps"] if theirs else None,
                ours["gbps"] / copy if copy else None,
                differs,
            )
        )
    heads = ("operation", "operand", "dtype", "ms", "GB/s", "torch ms", "GB/s", "/ torch", "/ copy", "")
    return tabulate(lines, heads, floatfmt=("", "", "", ".4f", ".0f", ".4f", ".0f", ".2f", ".2f", ""))


def _is_copy_for(copy: dict[str, Any], row: dict[str, Any]) -> bool:
    """Whether it is the copy that a row is compared with: of f32 operands that are about as large."""
    size, other = (np.prod(each["shape"]) * np.dtype(each["dtype"]).itemsize for each in (copy, row))
    return bool(copy["case"] == "copy" and copy["dtype"] == "float32" and 0.5 <= size / other <= 2)


def calls_table(rows: Sequence[dict[str, Any]]) -> str:
    """By the wall clock."""
    lines = []
    for row in rows:
        if "wall_ns" not in row:
            continue
        line: list[Any] = [row["case"], row["label"], row["dtype"].replace("float", "f")]
        for kind in ("eager", "replay"):
            times = row["wall_ns"][kind]
            ours, theirs = times["rusty_py"] / 1e3, times.get("torch", 0) / 1e3
            line += [ours, theirs or None, ours / theirs if theirs else None]
        lines.append(line)
    heads = ("operation", "operand", "dtype", "eager us", "torch", "ratio", "replay us", "torch", "ratio")
    return tabulate(lines, heads, floatfmt=("", "", "", ".1f", ".1f", ".2f", ".1f", ".1f", ".2f"))
