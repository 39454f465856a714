"""Convolutions and pooling beside PyTorch's, with cuDNN in float32 without TF32, in one process.

    python -m benchmarks.conv2d_beside_torch --json conv2d.json
    python -m benchmarks.conv2d_beside_torch --only 800x600,n32 --max-time 60
    python -m benchmarks.conv2d_beside_torch --small --torch-device cpu

From the root of the checkout. A layer has the GPU time of its forward pass by each algorithm that takes it
and by PyTorch (`cudnn.benchmark`): medians of samples of 30 ms in interleaved rounds, ours by GPU timestamps,
PyTorch's by CUDA events around replays of a graph. Layers under 0.05 ms are compared by replays of graphs of
one call, by the wall clock; so are the forward and backward pass together, which compute the gradients of
images and weights. Results and gradients of both are compared with float64 by PyTorch: an error is a fraction
of 16 sqrt(k) roundoffs of the standard deviation, for sums of k products. Memory is what a call takes from an
empty pool beyond the result. Then follow pooling, and what an eager call of a small layer costs the host.

It ends within --max-time, 150 s, and leaves out what does not fit; --json is kept up to date all the while.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import rusty_py as rp
from benchmarks import eager
from benchmarks.beside_torch.clocks import (
    ReplayTrack,
    TorchTrack,
    our_track,
    sampled,
    torch_graph,
    warm_up_aside,
)
from benchmarks.beside_torch.conv_tables import all_tables
from benchmarks.beside_torch.layers import (
    LAYERS,
    POOLS,
    SMALL_LAYERS,
    SMALL_POOLS,
    Layer,
    Pool,
    Tensors,
    error_of,
    in_float64,
)
from benchmarks.beside_torch.setting import Libraries, checked, facts, first_line, keep, parser, say
from rusty_py.bench.convolutions import Convolution
from rusty_py.measure.memory import pool_bytes
from rusty_py.measure.sampling import Options
from rusty_py.ops.conv.select import ALGORITHMS
from rusty_py.runtime.timing import Timer

SHORT_NS = 50_000
EAGER_ROUNDS = 9
EAGER = Layer(Convolution(32, 32, 16, 32))

Row = dict[str, Any]


@dataclass
class Session:
    """Both libraries on their devices, and what was measured so far."""

    libraries: Libraries
    options: Options
    json: Path | None
    document: dict[str, Any] = field(default_factory=lambda: {"layers": [], "pooling": [], "host": []})

    def __post_init__(self) -> None:
        self.device, self.torch = self.libraries.device, self.libraries.torch
        self.torch_device, self.deadline = self.libraries.torch_device, self.libraries.deadline
        self.timer = Timer(self.device)
        self.clock = checked(self.device, self.timer, self.options)

    def measure(self, part: str, name: str, row: Callable[[], Row]) -> None:
        """Adds a row if it is wanted, or says why it is left out."""
        if not self.libraries.wants(name.replace("×", "x")):
            return
        if time.monotonic() > self.deadline:
            say(f"{name}: left out: out of time")
            return
        begun = time.monotonic()
        try:
            self.document[part].append(row())
        except (rp.RustyError, RuntimeError, AttributeError) as error:
            say(f"{name}: left out: {first_line(error)}")
            return
        if self.torch_device == "cuda":
            self.torch.cuda.empty_cache()
        self.device.pool.purge()
        say(f"{name}: {time.monotonic() - begun:.1f} s")
        keep(self.json, self.document)

    def sampled(self, tracks: list[Any]) -> dict[str, Any]:
        """The samples of tracks in interleaved rounds, by name."""
        return sampled(tracks, self.options, self.deadline + 5)

    def their_track(self, call: Callable[[], Any]) -> list[TorchTrack]:
        return [TorchTrack(self.torch, self.torch_device, call)] if self.torch else []

    def replays(self, ours: Callable[[], Any], theirs: Callable[[], Any]) -> dict[str, Any]:
        """Replays of graphs of both, or calls of PyTorch on the CPU."""
        # Compiles, and measures how much one submission may do: a graph stays as captured.
        for _ in range(3):
            ours()
            self.device.wait()
        with self.device.capture() as graph:
            kept = ours()
        tracks = [ReplayTrack("rusty_py", graph.replay, self.device.wait)]
        if self.torch_device == "cuda":
            warm_up_aside(self.torch, theirs)
            replay = torch_graph(self.torch, theirs, 1).replay
            tracks.append(ReplayTrack("torch", replay, self.torch.cuda.synchronize))
        elif self.torch:
            tracks.append(ReplayTrack("torch", theirs, lambda: None))
        found = self.sampled(list(tracks))
        del kept
        return found


def layer_row(session: Session, layer: Layer) -> Row:
    """The forward pass by every algorithm, and the forward and backward pass."""
    torch, each = session.torch, layer.convolution
    host = layer.host()
    x, w, g = (rp.array(part, device=session.device) for part in host)
    theirs = layer.moved(torch, host, session.torch_device) if torch else ()
    exact = in_float64(torch, partial(layer.theirs, torch), theirs) if torch else ()
    options = {"layout": layer.layout, **each.options}
    row: Row = {
        "name": layer.name,
        "axes": each.axes,
        "layout": layer.layout,
        "flops": each.flops,
        "nbytes": sum(part.nbytes for part in host),
        "plan": str(rp.conv2d.plan(x, w, **options)),
        "auto": rp.conv2d.plan(x, w, **options).algorithm,
        "refused": {},
    }
    calls: dict[str, Callable[[], Any]] = {}
    for name in ALGORITHMS:
        try:
            rp.conv2d.plan(x, w, algorithm=name, **options)
        except rp.UnsupportedError as error:
            row["refused"][name] = str(error)
        else:
            calls[name] = partial(layer.ours, x, w, algorithm=name)
    tracks = [
        our_track(session.device, session.timer, session.clock, call, by=name) for name, call in calls.items()
    ]
    their_call = partial(layer.theirs, torch, *theirs[:2])
    row["on_request"] = [name for name in calls if not ALGORITHMS[name].automatic]
    row["forward"] = session.sampled([*tracks, *session.their_track(their_call)])
    del tracks
    for name, call in calls.items():
        found = row["forward"][name]
        found["pool"], found["workspace"] = pool_bytes(session.device, call)
        if torch:
            result = layer.tensor(torch, call(), session.torch_device)
            found["error"] = error_of(result, exact[0], layer.terms[0])
    if torch:
        row["forward"]["torch"]["error"] = error_of(their_call(), exact[0], layer.terms[0])
    if min(found["median_ns"] for found in row["forward"].values()) < SHORT_NS:
        row["replay"] = session.replays(partial(layer.ours, x, w), their_call)
    row["both"] = both_passes(session, layer, (x, w, g), theirs, exact)
    return row


def both_passes(
    session: Session, layer: Layer, ours: tuple[rp.Array, ...], theirs: Tensors, exact: Tensors
) -> Row:
    """The forward and backward pass, as replays of graphs; the gradients are compared with float64."""
    torch, (x, w, g) = session.torch, ours
    x.requires_grad = w.requires_grad = True

    def our_call() -> tuple[rp.Array, ...]:
        x.grad = w.grad = None
        out = layer.ours(x, w)
        out.backward(g)
        assert x.grad is not None
        assert w.grad is not None
        return out, x.grad, w.grad

    def their_call() -> Any:
        tx, tw, tg = theirs
        with torch.enable_grad():
            return torch.autograd.grad(layer.theirs(torch, tx, tw), (tx, tw), tg)

    for each in theirs[:2]:
        each.requires_grad_()
    found = session.replays(our_call, their_call)
    if torch:
        _, dx, dw = our_call()
        made = layer.tensor(torch, dx, session.torch_device), torch.from_numpy(dw.numpy())
        pairs = {"rusty_py": (made[0], made[1].to(session.torch_device)), "torch": their_call()}
        for by, gradients in pairs.items():
            compared = zip(gradients, exact[1:], layer.terms[1:], strict=True)
            found[by]["errors"] = [error_of(*each) for each in compared]
    return found


def pool_row(session: Session, pool: Pool) -> Row:
    """A pooling, forward, and forward and backward."""
    torch = session.torch
    host = np.random.default_rng().standard_normal(pool.shape, np.float32)
    x = rp.array(host, device=session.device)
    their_x = torch.from_numpy(host).to(session.torch_device) if torch else None
    out = pool.ours(x)
    g = rp.ones(out.shape, device=session.device)
    their_call = partial(pool.theirs, torch, their_x)
    calls = {"rusty_py": partial(pool.ours, x), "copy": x.copy}
    tracks: list[Any] = [
        our_track(session.device, session.timer, session.clock, call, by=by) for by, call in calls.items()
    ]
    row: Row = {
        "name": pool.name,
        "nbytes": x.nbytes + out.nbytes,
        "copied": 2 * x.nbytes,
        "forward": session.sampled([*tracks, *session.their_track(their_call)]),
    }
    x.requires_grad = True

    def our_both() -> rp.Array | None:
        x.grad = None
        pool.ours(x).backward(g)
        return x.grad

    def their_both() -> Any:
        with torch.enable_grad():
            return torch.autograd.grad(pool.theirs(torch, their_x), their_x, their_g)

    if torch:
        their_g = torch.ones_like(their_call())
        theirs = their_call().cpu().numpy()
        row["difference"] = float(np.abs(out.numpy() - theirs).max() / np.abs(theirs).max())
        their_x.requires_grad_()
    row["both"] = session.replays(our_both, their_both)
    return row


def host_row(session: Session) -> Row:
    """What an eager call costs: microseconds a call, through the final wait and of CPU time."""
    torch, layer = session.torch, EAGER
    host = layer.host()
    x, w, _ = (rp.array(each, device=session.device) for each in host)
    calls: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "rusty_py": (partial(layer.ours, x, w), session.device.wait)
    }
    if torch:
        their_x, their_w, _ = layer.moved(torch, host, session.torch_device)
        wait = torch.cuda.synchronize if session.torch_device == "cuda" else lambda: None
        calls["torch"] = (partial(layer.theirs, torch, their_x, their_w), wait)
    samples: dict[str, list[tuple[float, float, float]]] = {by: [] for by in calls}
    for _ in range(EAGER_ROUNDS):
        for by, (call, wait) in calls.items():
            samples[by].append(eager.sample(call, wait))
    row: Row = {"name": layer.name}
    for by, taken in samples.items():
        issued, waited, used = (1e6 * median(column) for column in zip(*taken, strict=True))
        row[by] = {"issued_us": issued, "wall_us": waited, "cpu_us": used}
    return row


def main(arguments: Sequence[str]) -> int:
    """Measures, and prints the tables."""
    given = _parsed(arguments)
    started = time.monotonic()
    libraries = Libraries.of(given)
    device, torch = libraries.device, libraries.torch
    if torch:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.benchmark = True
    options = replace(
        Options.for_adapter(device.adapter, runs=given.samples, seed=0), sample_s=0.03, warmup_s=0.03
    )
    session = Session(libraries, options, given.json)
    session.document["context"] = {
        **facts(device, torch, libraries.torch_device, arguments),
        "clock": f"{session.clock.name}: {session.clock.reason}",
    }
    session.measure("host", EAGER.name, partial(host_row, session))
    for layer in SMALL_LAYERS if given.small else LAYERS:
        session.measure("layers", layer.name, partial(layer_row, session, layer))
    for pool in SMALL_POOLS if given.small else POOLS:
        session.measure("pooling", pool.name, partial(pool_row, session, pool))
    print(all_tables(session.document))
    say(f"{time.monotonic() - started:.0f} s")
    return 0


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    options = parser("conv2d_beside_torch", __doc__, samples=5, max_time=150)
    options.add_argument("--small", action="store_true", help="small layers, to try this")
    return options.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
