"""Operations on arrays beside PyTorch's, in one process on a machine with CUDA.

    python -m benchmarks.operations_beside_torch --json operations.json
    python -m benchmarks.operations_beside_torch --only softmax,norm
    python -m benchmarks.operations_beside_torch --large 4Mi --small 64Ki --max-time 30

From the root of the checkout. Operands take 512 MiB, and 4 MiB (`--large`, `--small`, in bytes). Each row has
the GPU time of a computation by both: medians of samples of 100 ms after a warm-up as long, in interleaved
rounds, ours by GPU timestamps, PyTorch's by CUDA events around replays of a graph. GB/s counts the bytes that
must move, operands and results once. *copy* is the higher rate of both libraries' f32 copies in this run.
Results are compared with each other on their first and last elements. For the small operands follow the wall
times of a call through the final wait: eager, and as a replay of a captured graph.

Operations that rusty_py lacks are left out with a line on standard error. It ends within --max-time, 330 s;
--json is kept up to date all the while.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import rusty_py as rp
from benchmarks.beside_torch.cases import Case, Group, Operands, groups
from benchmarks.beside_torch.clocks import TorchTrack, our_track, sampled, torch_graph, wall_ns
from benchmarks.beside_torch.setting import Libraries, checked, facts, first_line, keep, parser, say
from benchmarks.beside_torch.tables import calls_table, kernels_table
from rusty_py.bench.suites.description import parse_shape
from rusty_py.measure.sampling import Options
from rusty_py.runtime.timing import Timer

PART = 1 << 15
"""Elements that are compared at each end of a result."""


@dataclass
class Session:
    """Both libraries on their devices, and what was measured so far."""

    libraries: Libraries
    options: Options
    json: Path | None
    context: dict[str, object]
    rows: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.device, self.torch = self.libraries.device, self.libraries.torch
        self.torch_device, self.deadline = self.libraries.torch_device, self.libraries.deadline
        self.timer = Timer(self.device)
        self.clock = checked(self.device, self.timer, self.options)

    def measure(self, group: Group) -> None:
        """The cases of a group that were asked for, and f32 copies, because rates are compared with them."""
        copies = group.dtype == "float32"
        cases = [
            each
            for each in group.cases
            if self.libraries.wants(each.name) or (copies and each.name == "copy")
        ]
        if not cases:
            return
        try:
            ours, theirs = self._operands(group)
        except (rp.RustyError, RuntimeError) as error:
            say(f"{group.label} {group.dtype}: left out: {first_line(error)}")
            return
        for case in cases:
            where = f"{case.name}, {group.label} {group.dtype}"
            if missing := [name for name in case.needs if not hasattr(rp, name)]:
                say(f"{where}: left out: rusty_py has no {', '.join(missing)}")
                continue
            if time.monotonic() > self.deadline:
                say(f"{where}: left out: out of time")
                continue
            try:
                row = self._row(group, case, ours, theirs)
            except (rp.RustyError, RuntimeError, TypeError, AttributeError) as error:
                say(f"{where}: left out: {first_line(error)}")
                continue
            self.rows.append(row)
            say(f"{where}: " + ", ".join(f"{name} {row[name]['gbps']:.0f} GB/s" for name in row["by"]))
            keep(self.json, {"context": self.context, "rows": self.rows})

    def _operands(self, group: Group) -> tuple[Operands, Operands]:
        """Those of ours, and of PyTorch's; a group's memory is given back before."""
        host = group.host()
        ours = Operands(**{name: rp.array(x, device=self.device) for name, x in host.items()})
        theirs = Operands()
        if self.torch:
            if self.torch_device == "cuda":
                self.torch.cuda.empty_cache()
            moved = {name: self.torch.from_numpy(x).to(self.torch_device) for name, x in host.items()}
            theirs = Operands(**moved, z=self.torch.empty_like(moved["x"]))
        return ours, theirs

    def _row(self, group: Group, case: Case, ours: Operands, theirs: Operands) -> dict[str, Any]:
        def our_call() -> rp.Array:
            return case.ours(ours)

        def their_call() -> Any:
            return case.theirs(self.torch, theirs)

        row: dict[str, Any] = {
            "case": case.name,
            "shape": list(group.shape),
            "label": group.label,
            "dtype": group.dtype,
            "nbytes": case.passes * group.nbytes,
            "difference": self._difference(case, our_call(), their_call, ours) if self.torch else None,
        }
        tracks: list[Any] = [our_track(self.device, self.timer, self.clock, our_call)]
        if self.torch:
            tracks.append(TorchTrack(self.torch, self.torch_device, their_call))
        times = sampled(tracks, self.options, self.deadline + 5)
        for each in times.values():
            each["gbps"] = row["nbytes"] / each["median_ns"]
        row |= {"by": list(times), **times}
        del tracks
        if group.small:
            row["wall_ns"] = self._wall(our_call, their_call)
        return row

    def _difference(self, case: Case, result: rp.Array, their_call: Any, ours: Operands) -> float:
        """The largest of the compared parts, as a fraction of what is tolerated."""
        theirs = their_call()
        largest = 0.0
        for part in (slice(None, PART), slice(-PART, None)):
            a = result.reshape(-1)[part].numpy()
            b = theirs.reshape(-1)[part].cpu().numpy()
            if case.of_indices:
                a, b = self._at(ours, result, a), self._at(ours, result, b)
            a, b = a.astype(np.float64), b.astype(np.float64)
            tolerance = case.tolerance * (4 if result.dtype == np.float16 else 1)
            off = np.abs(a - b).max(initial=0.0) / (tolerance * (np.abs(b).max(initial=0.0) + 1e-3))
            largest = max(largest, float(off))
        return largest

    @staticmethod
    def _at(ours: Operands, result: rp.Array, indices: Any) -> Any:
        """The elements that indices along the last axis point at: of equal ones, either may be named."""
        flat = ours.x.reshape(-1) if result.ndim == 0 else ours.x
        if result.ndim == 0:
            return np.array([float(flat[int(each)]) for each in indices])
        return np.array([float(flat[i, int(each)]) for i, each in enumerate(indices[:64])])

    def _wall(self, our_call: Any, their_call: Any) -> dict[str, dict[str, float]]:
        """Of eager calls, and of replays."""
        with self.device.capture() as graph:
            kept = our_call()
        wait = self.device.wait
        eager, replay = {"rusty_py": (our_call, wait)}, {"rusty_py": (graph.replay, wait)}
        if self.torch:
            cuda = self.torch_device == "cuda"
            synchronize = self.torch.cuda.synchronize if cuda else lambda: None
            eager["torch"] = (their_call, synchronize)
            if cuda:
                replay["torch"] = (torch_graph(self.torch, their_call, 1).replay, synchronize)
        times = {"eager": wall_ns(eager), "replay": wall_ns(replay)}
        del kept
        return times


def main(arguments: Sequence[str]) -> int:
    """Measures, and prints the tables."""
    given = _parsed(arguments)
    started = time.monotonic()
    libraries = Libraries.of(given)
    device = libraries.device
    about = facts(device, libraries.torch, libraries.torch_device, arguments)
    options = Options.for_adapter(device.adapter, runs=given.samples, seed=0)
    session = Session(libraries, options, given.json, about)
    about["clock"] = f"{session.clock.name}: {session.clock.reason}"
    say(f"{device.adapter}; PyTorch {about['torch']}; clock: {about['clock']}")
    for group in groups(
        _bytes(given.large), _bytes(given.small), [f"float{each[1:]}" for each in given.dtypes]
    ):
        if group.dtype == "float16" and "shader-f16" not in device.adapter.features:
            say(f"{group.label} float16: left out: {device.adapter} does not compute in f16")
            continue
        session.measure(group)
    print(kernels_table(session.rows))
    print()
    print(calls_table(session.rows))
    say(f"{time.monotonic() - started:.0f} s")
    return 0


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    options = parser("operations_beside_torch", __doc__, samples=7, max_time=330)
    options.add_argument("--large", default="512Mi", metavar="BYTES", help="default: %(default)s")
    options.add_argument("--small", default="4Mi", metavar="BYTES", help="default: %(default)s")
    options.add_argument(
        "--dtypes", default="f32,f16", type=lambda text: text.split(","), help="default: %(default)s"
    )
    return options.parse_args(arguments)


def _bytes(text: str) -> int:
    return parse_shape(text)[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
