"""Matrix products by the GPU maker's own library, by other WebGPU libraries and by rusty_py, in one table.

    python -m benchmarks.compare_peers --json peers.json
    python -m benchmarks.compare_peers --sizes 1024,64x200000x64,8x512x512x512,4096:nt --dtypes f32
    python -m benchmarks.compare_peers --peers cublas,rusty_py --more-shapes
    python -m benchmarks.compare_peers --show peers.json

From the root of the checkout, on a machine with a GPU. Packages: torch for cublas and mps, mlx for mlx,
onnxruntime-webgpu and onnx for ort, tinygrad and dawn-python for tinygrad; where they are missing, the cells
say so. Every peer has a process of its own, which verifies each product against float64 on new random numbers
and then times it: samples of 100 ms or more after a warm-up as long, medians, operands on the device.
rusty_py and the maker's library are measured first and last. --json is kept up to date all the while: what
a run that was cut short has found, --show shows.
"""

import argparse
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.peers.child import Answer, Task
from benchmarks.peers.problems import MORE_SHAPES, SQUARES, Problem, parse
from benchmarks.peers.records import Comparison, Record, dumps, loads
from benchmarks.peers.roster import ROSTER, usual, visits
from benchmarks.peers.table import markdown, rounded
from benchmarks.peers.worker import Worker
from rusty_py.bench import context

DTYPES = ("f32", "f16")

Ask = Callable[[str, Task], Answer]


@dataclass(frozen=True)
class Options:
    """What to measure, and how."""

    problems: tuple[Problem, ...]
    dtypes: tuple[str, ...]
    peers: tuple[str, ...]
    samples: int
    at_least_s: float
    timeout_s: float
    seed: int
    json: Path | None
    show: Path | None


def main(arguments: Sequence[str]) -> int:
    """Measures, or shows what was measured; the table goes to standard output."""
    options = parsed(arguments)
    if options.show:
        print(markdown(loads(options.show.read_text(encoding="utf-8"))))
        return 0
    comparison = blank = Comparison(options.peers, (), context=_context(arguments, options))
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(Worker(name, timeout_s=options.timeout_s)) for name in options.peers
        }
        for comparison in compared(blank, options, lambda name, task: workers[name].ask(task)):
            if options.json:
                _keep(options.json, dumps(comparison))
    print(markdown(comparison))
    return 0


def parsed(arguments: Sequence[str]) -> Options:
    """The options that the command line gives. Ends the program for what it cannot read."""
    assert __doc__
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare_peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    squares = ",".join(str(each.n) for each in SQUARES)
    parser.add_argument("--sizes", help=f"what to multiply, by commas (default: {squares})")
    parser.add_argument("--more-shapes", action="store_true", help="skinny, deep, batched, transposed, too")
    parser.add_argument("--dtypes", default=",".join(DTYPES), help="f32, f16 or both (default)")
    parser.add_argument(
        "--peers", default=",".join(usual()), help=f"of {', '.join(ROSTER)} (default: %(default)s)"
    )
    parser.add_argument("--samples", type=int, default=5, help="for each visit (default: %(default)s)")
    parser.add_argument("--min-time", type=float, default=0.1, help="seconds a sample (default: %(default)s)")
    parser.add_argument("--timeout", type=float, default=120, help="seconds a visit (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="of the random numbers (default: a new one)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep everything there, all samples too")
    parser.add_argument("--show", type=Path, metavar="FILE", help="measure nothing: the table of such a file")
    given = parser.parse_args(arguments)
    try:
        sizes = tuple(map(parse, given.sizes.split(","))) if given.sizes else SQUARES
        dtypes = _chosen(given.dtypes, DTYPES, "dtypes")
        peers = _chosen(given.peers, tuple(ROSTER), "peers")
    except ValueError as error:
        parser.error(str(error))
    return Options(
        problems=sizes + (MORE_SHAPES if given.more_shapes else ()),
        dtypes=dtypes,
        peers=peers,
        samples=max(1, given.samples),
        at_least_s=given.min_time,
        timeout_s=given.timeout,
        seed=secrets.randbits(32) if given.seed is None else given.seed,
        json=given.json,
        show=given.show,
    )


def compared(comparison: Comparison, options: Options, ask: Ask) -> Iterator[Comparison]:
    """The comparison after each visit. The n-th visits of all peers to a problem meet the same numbers."""
    pairs = [(problem, dtype) for problem in options.problems for dtype in options.dtypes]
    for turn, (problem, dtype) in enumerate(pairs):
        order = visits(options.peers, turn)
        for i, peer in enumerate(order):
            seed = (options.seed, turn, order[:i].count(peer))
            answer = ask(peer, Task(problem, dtype, seed, options.samples, options.at_least_s))
            record = _record(peer, problem, dtype, seed, answer)
            known = {peer: answer.about} if answer.about else {}
            comparison = replace(
                comparison, records=(*comparison.records, record), about={**comparison.about, **known}
            )
            said = f"{rounded(record.gflops)} GFLOPS" if record.gflops else f"not available: {record.failure}"
            print(f"{problem} {dtype} {ROSTER[peer].label}: {said}", file=sys.stderr, flush=True)
            yield comparison


def _record(peer: str, problem: Problem, dtype: str, seed: tuple[int, ...], answer: Answer) -> Record:
    return Record(
        peer,
        str(problem),
        dtype,
        problem.flops,
        seed,
        clock=answer.clock,
        calls=answer.calls,
        samples_s=answer.samples_s,
        error=answer.error,
        sums=answer.sums,
        failure=context.homeless(answer.failure),
    )


def _chosen(text: str, known: Sequence[str], what: str) -> tuple[str, ...]:
    """The names in `text`, each once. Raises ValueError for one that is not known, or none at all."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in known:
            raise ValueError(f"{what}: unknown: {name!r}; choose of {', '.join(known)}")
    return names


def _context(arguments: Sequence[str], options: Options) -> context.Facts:
    """What a reader needs to believe or repeat a run; adapters and drivers are the peers' to tell."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "arguments": context.homeless(" ".join(arguments)),
        "commit": context.commit(),
        "seed": options.seed,
        **context.system(),
    }


def _keep(path: Path, text: str) -> None:
    """Replaces the file in one step, so that a run that is cut short leaves a whole one."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
