"""What it costs the host to find a kernel, to launch it, and to see its result."""

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from rusty_py import asarray
from rusty_py.bench.overhead.work import (
    COUNT,
    HELPER,
    OURS,
    PLAIN,
    PROOF,
    Doubling,
    Latest,
    PlainDoubling,
    then,
)
from rusty_py.bench.plain import Plain, compute_with_buffers
from rusty_py.bench.rounds import Contest, Contestant
from rusty_py.measure.kernels import DOUBLE, scale
from rusty_py.runtime.capi import Copy
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import launch, prepare, record, warm_up
from rusty_py.runtime.queue import BATCH_LAUNCHES

FOUND = "kernel found in the cache"
COMPILED = "kernel compiled anew"
ENCODER = "command encoder made"
RECORDED = "launch recorded"
ENCODED = "launch encoded, one of 100 in a pass"
SUBMITTED = f"launch submitted, one of {BATCH_LAUNCHES}"
BOUND = "launch recorded, buffers not met before"
WAITED = "launch, and wait for it"
EAGER = "100 launches: recorded anew and submitted, each"
REPLAYED = "100 launches: graph replayed, each"
ROUND_TRIP = f"{COUNT:,} f32: NumPy to NumPy"
ADDED = f"x + y of {COUNT:,} f32, recorded"

BINDINGS_FOUND, BINDINGS_MADE = "bind groups found", "bind groups made"

_PASS = 100
_KEPT = 500  # Command buffers of wgpu-py's, at most, before they are submitted.
_PAIRS = 48  # Buffers on either side: more pairs than a sample needs, fewer than the cache holds.


def found(device: Device) -> Sequence[Contest]:
    """The look-up that every launch makes."""
    work, cache = Doubling(device), device.cache

    def run(n: int) -> None:
        for _ in range(n):
            if cache.pipeline(DOUBLE) is None:
                raise AssertionError("the pipeline was not in the cache")

    def prove(sample: Callable[[], None]) -> str:
        wrong = work.prove(lambda: work.launch(1))
        hits = device.cache_stats().pipeline_hits
        sample()
        return wrong or ("" if device.cache_stats().pipeline_hits > hits else "the cache was not asked")

    ours = Contestant(OURS, run, prove)
    return [Contest(FOUND, "cpu", PROOF, [ours], seed="4.58 us, DotCompute on Apple M2")]


def compiled(device: Device, plain: Plain) -> Sequence[Contest]:
    """A kernel that no cache knows: each has another constant."""
    work, rival = Doubling(device), PlainDoubling(plain)
    factor = random.SystemRandom().randrange(3, 1 << 13)
    pipelines: list[Any] = []

    def ours(n: int) -> None:
        nonlocal factor
        for _ in range(n):
            factor += 1
            warm_up(device, [scale(factor)])

    def theirs(n: int) -> None:
        nonlocal factor
        for _ in range(n):
            factor += 1
            pipelines[:] = [plain.pipeline(scale(factor))]

    def launch_last() -> None:
        launch(device, scale(factor), inputs=[work.x], outputs=[work.y], workgroups=work.workgroups)

    def submit_last() -> None:
        bindings = plain.bindings(pipelines[0], [rival.x, rival.y])
        plain.queue.submit([plain.record(pipelines[0], [bindings], rival.groups)])

    def prove(sample: Callable[[], None]) -> str:
        return work.prove(then(sample, launch_last), lambda: factor)

    def prove_plain(sample: Callable[[], None]) -> str:
        return rival.prove(then(sample, submit_last), lambda: factor)

    few = 8  # Drivers keep what they compiled.
    contestants = [
        Contestant(OURS, ours, prove, most=few),
        Contestant(PLAIN, theirs, prove_plain, most=few),
    ]
    return [Contest(COMPILED, "wall", PROOF.replace("2", "FACTOR"), contestants)]


def encoder(device: Device, plain: Plain) -> Sequence[Contest]:
    """The encoder that a submission is recorded into."""
    work, rival = Doubling(device), PlainDoubling(plain)
    commands, queue = device.queue.commands, device.queue
    size = work.x.nbytes
    last: list[Any] = []

    def ours(n: int) -> None:
        create, release = commands.lib.wgpuDeviceCreateCommandEncoder, commands.lib.wgpuCommandEncoderRelease
        handle, null = queue.device, commands.null
        for _ in range(n):
            release(create(handle, null))

    def theirs(n: int) -> None:
        create = plain.device.create_command_encoder
        for _ in range(n):
            last[:] = [create()]

    def copy_ours() -> None:
        copy = Copy(work.x.memory.handle, 0, work.y.memory.handle, 0, size)
        queue.send([], (work.x.memory, work.y.memory), copies=[copy])

    def copy_theirs() -> None:
        last[0].copy_buffer_to_buffer(rival.x, 0, rival.y, 0, size)
        plain.queue.submit([last[0].finish()])

    def prove(sample: Callable[[], None]) -> str:
        return work.prove(then(sample, copy_ours), lambda: 1)

    def prove_plain(sample: Callable[[], None]) -> str:
        return rival.prove(then(sample, copy_theirs), lambda: 1)

    contestants = [Contestant(OURS, ours, prove), Contestant(PLAIN, theirs, prove_plain)]
    proof = "a copy encoded and submitted, bit for bit"
    return [Contest(ENCODER, "cpu", proof, contestants, seed="0.62 us on Apple M2")]


def recorded(device: Device, plain: Plain) -> Sequence[Contest]:
    """A launch recorded, and one encoded with others; submitted off the clock."""
    work, rival = Doubling(device), PlainDoubling(plain)
    # All that was recorded is kept and submitted: to drop it would cost ten times what recording does.
    kept: list[Any] = []

    def alone(n: int) -> None:
        record, pipeline, bindings, groups = plain.record, rival.pipeline, [rival.bindings], rival.groups
        for _ in range(n):
            kept.append(record(pipeline, bindings, groups))

    def together(n: int) -> None:
        for _ in range(n // _PASS):
            kept.append(plain.record(rival.pipeline, [rival.bindings] * _PASS, rival.groups))

    def encoded(n: int) -> None:
        inputs, outputs, workgroups = [work.x], [work.y], work.workgroups
        for _ in range(n // _PASS):
            launches = [
                prepare(device, DOUBLE, inputs=inputs, outputs=outputs, workgroups=workgroups)
                for _ in range(_PASS)
            ]
            kept.append(record(device, launches))

    def submit() -> None:
        device.submit(*kept)
        device.wait()
        kept.clear()

    def submit_plain() -> None:
        plain.queue.submit(kept)
        plain.wait()
        kept.clear()

    counts = _bindings(device)
    ours = Contestant(OURS, work.launch, work.prove, device.wait, device.batch, most=4000, counts=counts)
    passes = Contestant(OURS, encoded, work.prove, submit, step=_PASS)
    single = Contestant(PLAIN, alone, rival.prove, submit_plain, most=_KEPT)
    many = Contestant(PLAIN, together, rival.prove, submit_plain, step=_PASS)
    return [
        Contest(RECORDED, "cpu", PROOF, [ours, single]),
        Contest(ENCODED, "cpu", PROOF, [passes, many]),
    ]


def submitted(device: Device, plain: Plain) -> Sequence[Contest]:
    """A launch with its share of all that follows on the host."""
    work, rival = Doubling(device), PlainDoubling(plain)

    def theirs(n: int) -> None:
        bindings = [rival.bindings] * BATCH_LAUNCHES
        for _ in range(n // BATCH_LAUNCHES):
            plain.queue.submit([plain.record(rival.pipeline, bindings, rival.groups)])

    contestants = [
        Contestant(OURS, work.launch, work.prove, device.wait, step=BATCH_LAUNCHES),
        Contestant(PLAIN, theirs, rival.prove, plain.wait, step=BATCH_LAUNCHES),
    ]
    return [Contest(SUBMITTED, "cpu", PROOF, contestants)]


def bound(device: Device, plain: Plain) -> Sequence[Contest]:
    """A launch on buffers that have not met before, so that it needs a new bind group."""
    work, rival = Doubling(device), PlainDoubling(plain)
    pairs = [(i, j) for i in range(_PAIRS) for j in range(_PAIRS)]
    inputs = [work.x, *(device.empty(4 * COUNT) for _ in range(_PAIRS - 1))]
    outputs = [work.y, *(device.empty(4 * COUNT) for _ in range(_PAIRS - 1))]
    kept: list[Any] = []

    def ours(n: int) -> None:
        for i, j in pairs[:n]:
            launch(device, DOUBLE, inputs=[inputs[i]], outputs=[outputs[j]], workgroups=work.workgroups)

    def theirs(n: int) -> None:
        for _ in range(n):
            bindings = plain.bindings(rival.pipeline, [rival.x, rival.y])
            kept.append(plain.record(rival.pipeline, [bindings], rival.groups))

    def forget() -> AbstractContextManager[None]:
        with device.lock:
            device.cache.forget_bindings()
        return device.batch()

    def submit_plain() -> None:
        plain.queue.submit(kept)
        plain.wait()
        kept.clear()

    most = len(pairs)
    contestants = [
        Contestant(OURS, ours, work.prove, device.wait, forget, most=most, counts=_bindings(device)),
        Contestant(PLAIN, theirs, rival.prove, submit_plain, most=_KEPT),
    ]
    return [Contest(BOUND, "cpu", PROOF, contestants)]


def waited(device: Device, plain: Plain) -> Sequence[Contest]:
    """From the call to the finished result."""
    work, rival = Doubling(device), PlainDoubling(plain)

    def ours(n: int) -> None:
        for _ in range(n):
            work.launch(1)
            device.wait()

    def theirs(n: int) -> None:
        for _ in range(n):
            plain.queue.submit([plain.record(rival.pipeline, [rival.bindings], rival.groups)])
            plain.wait()

    contestants = [Contestant(OURS, ours, work.prove), Contestant(PLAIN, theirs, rival.prove)]
    return [Contest(WAITED, "wall", PROOF, contestants)]


def replayed(device: Device, plain: Plain) -> Sequence[Contest]:
    """100 launches and their submission: recorded every time, and as a graph; wgpu-py records every time."""
    work, rival = Doubling(device), PlainDoubling(plain)
    with device.capture() as graph:
        work.launch(_PASS)

    def eager(n: int) -> None:
        for _ in range(n // _PASS):
            with device.batch():
                work.launch(_PASS)

    def replay(n: int) -> None:
        for _ in range(n // _PASS):
            graph.replay()

    def theirs(n: int) -> None:
        bindings = [rival.bindings] * _PASS
        for _ in range(n // _PASS):
            plain.queue.submit([plain.record(rival.pipeline, bindings, rival.groups)])

    again = Contestant(OURS, eager, work.prove, device.wait, step=_PASS)
    graphs = Contestant(OURS, replay, work.prove, device.wait, step=_PASS)
    plains = [Contestant(PLAIN, theirs, rival.prove, plain.wait, step=_PASS) for _ in range(2)]
    return [
        Contest(EAGER, "cpu", PROOF, [again, plains[0]]),
        Contest(REPLAYED, "cpu", PROOF, [graphs, plains[1]]),
    ]


def round_trip(device: Device, plain: Plain) -> Sequence[Contest]:
    """An array in, an array out: what a script pays that brings its data from NumPy and takes it back."""
    rival = PlainDoubling(plain)
    own, other, helped = Latest(), Latest(), Latest()
    workgroups = (rival.groups, 1, 1)

    def ours(n: int) -> None:
        for _ in range(n):
            x = device.upload(own.x)
            y = device.empty(x.nbytes)
            launch(device, DOUBLE, inputs=[x], outputs=[y], workgroups=workgroups)
            own.y = np.empty(COUNT, np.float32)
            device.read(y, own.y)

    def theirs(n: int) -> None:
        for _ in range(n):
            x = plain.buffer_with(other.x)
            y = plain.buffer(other.x.nbytes)
            bindings = plain.bindings(rival.pipeline, [x, y])
            plain.queue.submit([plain.record(rival.pipeline, [bindings], rival.groups)])
            other.y = plain.read(y)

    def helper(n: int) -> None:
        for _ in range(n):
            helped.y = compute_with_buffers(DOUBLE, helped.x, rival.groups)

    contestants = [
        Contestant(OURS, ours, own.prover()),
        Contestant(PLAIN, theirs, other.prover()),
        Contestant(HELPER, helper, helped.prover()),
    ]
    seed = "150 to 270 us, TensorLogic on an Apple GPU"
    return [Contest(ROUND_TRIP, "wall", PROOF, contestants, seed=seed)]


def _bindings(device: Device) -> Callable[[], Mapping[str, float]]:
    """Counts the bind groups from now on, proofs included."""
    before = device.cache_stats()

    def counts() -> Mapping[str, float]:
        now = device.cache_stats()
        return {
            BINDINGS_FOUND: now.binding_hits - before.binding_hits,
            BINDINGS_MADE: now.binding_misses - before.binding_misses,
        }

    return counts


def added(device: Device) -> Sequence[Contest]:
    """A small operation from array to array, shapes, dtypes and its result's memory included."""
    numbers = Latest()
    arrays = [asarray(numbers.x, device=device)] * 2
    last: list[Any] = []

    def run(n: int) -> None:
        x, y = arrays
        for _ in range(n):
            last[:] = [x + y]

    def prove(sample: Callable[[], None]) -> str:
        def one() -> None:
            arrays[:] = [asarray(numbers.x, device=device)] * 2
            sample()
            numbers.y = np.asarray(last[0])

        return numbers.prover()(one)

    ours = Contestant(OURS, run, prove, device.wait, device.batch, most=4000)
    return [Contest(ADDED, "cpu", PROOF, [ours])]
