"""Checks every kernel we ship, and writes the list: `python -m tests.metal.checked_list`.

For each .wgsl file how many kernels are made of it, how often they were launched, in how many runs, and the
largest error of their Metal texts' numbers, as a fraction of what rounding allows: 0 where all must be exact.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tabulate import tabulate

from rusty_py import Adapter, Device
from rusty_py.runtime.adapter import choose
from rusty_py.runtime.launch import Spec

from .execution import MetalText, compile_ahead
from .registry import all_specs
from .works import Work, works

WORKS = works()
DOCUMENT = Path(__file__).parents[2] / "docs" / "checked-kernels.md"
_HEAD = """# The checked kernels

Every kernel that rusty_py can launch, its Metal text run on the CPU under the [checker](checking.md): each
launch was clean. Of the matrix products' and the elementwise kernels there is each line of their texts, not
each form; for the direct ones, others with fewer sums a thread stand in. *error* is the largest error of the
kernels' numbers as a fraction of what rounding allows, 0 exact.
Made by `python -m tests.metal.checked_list`.

"""


@dataclass
class KernelResult:
    """What one kernel came to."""

    launches: int = 0
    runs: int = 0
    error: float = 0.0


@dataclass
class Checked:
    """The works done so far on a device that computes with Metal text."""

    metal: MetalText
    device: Device
    errors: dict[str, float] = field(default_factory=dict)
    specs: dict[str, set[Spec]] = field(default_factory=dict)

    def error(self, work: Work) -> float:
        """That of a work's result, as a fraction of its bound. Fails where the checker finds something."""
        if work.name not in self.errors:
            before = len(self.metal.reports)
            result = np.asarray(work.compute(self.device, self.metal.launch))
            self.specs[work.name] = {spec for spec, _ in self.metal.reports[before:]}
            self.errors[work.name] = work.expected().error(result)
        return self.errors[work.name]

    def kernels(self) -> dict[Spec, KernelResult]:
        """By Spec, those that were launched."""
        found: dict[Spec, KernelResult] = {}
        for spec, report in self.metal.reports:
            kernel = found.setdefault(spec, KernelResult())
            kernel.launches += 1
            kernel.runs += len(report.runs)
        for name, specs in self.specs.items():
            for spec in specs:
                found[spec].error = max(found[spec].error, self.errors[name])
        return found

    def summary(self) -> str:
        """One line."""
        kernels = self.kernels().values()
        return (
            f"checker: {len(kernels)} of {len(all_specs())} kernels,"
            f" {sum(each.launches for each in kernels)} launches,"
            f" {sum(each.runs for each in kernels)} runs of their Metal text; largest error"
            f" {max((each.error for each in kernels), default=0):.2f} of what rounding allows"
        )


@contextmanager
def checked(adapter: Adapter) -> Iterator[Checked]:
    """Nothing done yet, every kernel compiled."""
    metal = MetalText(compile_ahead(all_specs()))
    with metal.device(adapter) as device:
        yield Checked(metal, device)


def document(results: Checked) -> str:
    """The list as Markdown."""
    files: dict[str, list[KernelResult]] = {}
    for spec, kernel in results.kernels().items():
        files.setdefault(spec.name, []).append(kernel)
    rows = [
        (
            f"`{name}`",
            len(made),
            sum(each.launches for each in made),
            sum(each.runs for each in made),
            f"{max(each.error for each in made):.2f}",
        )
        for name, made in sorted(files.items())
    ]
    heads = ["file", "kernels", "launches", "runs", "error"]
    table = tabulate(rows, heads, tablefmt="github", disable_numparse=True)
    return f"{_HEAD}{table}\n"


def documented(text: str) -> dict[str, float]:
    """The errors in the list, by file."""
    rows = re.findall(r"(?m)^\| `([^`]+)` +\|[^|]*\|[^|]*\|[^|]*\| *([\d.]+) *\|$", text)
    return {name: float(error) for name, error in rows}


def main() -> None:
    """Writes the list."""
    with checked(choose()) as results:
        for work in WORKS:
            results.error(work)
        DOCUMENT.write_text(document(results), encoding="utf-8")
        print(results.summary())


if __name__ == "__main__":
    main()
