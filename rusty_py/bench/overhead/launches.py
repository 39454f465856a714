"""Host costs of looking up, compiling and launching kernels, and of waiting for results."""

import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from rusty_py import asarray
from rusty_py.bench.host_rows import named
from rusty_py.bench.overhead.work import (
    COUNT,
    HELPER,
    METHOD,
    OURS,
    PLAIN,
    Doubling,
    Latest,
    PlainDoubling,
    row,
    then,
)
from rusty_py.bench.plain import Plain, compute_with_buffers
from rusty_py.measure.document import Figure
from rusty_py.measure.kernels import DOUBLE, scale
from rusty_py.measure.runner import Comparison
from rusty_py.measure.work import Implementation
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
_KEPT = 500  # The maximum number of wgpu-py command buffers before they are submitted.
_PAIRS = 48  # Input and output buffers: more pairs than a sample needs, fewer than the cache holds.


def found(device: Device) -> Sequence[Comparison]:
    """The cache lookup of every launch."""
    work, cache = Doubling(device), device.cache

    def run(n: int) -> None:
        for _ in range(n):
            if cache.pipeline(DOUBLE) is None:
                raise AssertionError("the pipeline was not in the cache")

    def verify(sample: Callable[[], None]) -> str:
        wrong = work.verify(lambda: work.launch(1))
        hits = device.cache_stats().pipeline_hits
        sample()
        return wrong or ("" if device.cache_stats().pipeline_hits > hits else "the cache was not asked")

    ours = Implementation(OURS, run, verify)
    return [row(FOUND, "cpu", METHOD, [ours], seed="4.58 us, DotCompute on Apple M2")]


def compiled(device: Device, plain: Plain) -> Sequence[Comparison]:
    """Compilation of kernels that are in no cache: each has another constant."""
    work, peer = Doubling(device), PlainDoubling(plain)
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
        bindings = plain.bindings(pipelines[0], [peer.x, peer.y])
        plain.queue.submit([plain.record(pipelines[0], [bindings], peer.groups)])

    def verify(sample: Callable[[], None]) -> str:
        return work.verify(then(sample, launch_last), lambda: factor)

    def verify_plain(sample: Callable[[], None]) -> str:
        return peer.verify(then(sample, submit_last), lambda: factor)

    few = 8  # Drivers keep compiled kernels.
    implementations = [
        Implementation(OURS, ours, verify, limit=few),
        Implementation(PLAIN, theirs, verify_plain, limit=few),
    ]
    return [row(COMPILED, "wall", METHOD.replace("2", "FACTOR"), implementations)]


def encoder(device: Device, plain: Plain) -> Sequence[Comparison]:
    """Creation of a command encoder."""
    work, peer = Doubling(device), PlainDoubling(plain)
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
        last[0].copy_buffer_to_buffer(peer.x, 0, peer.y, 0, size)
        plain.queue.submit([last[0].finish()])

    def verify(sample: Callable[[], None]) -> str:
        return work.verify(then(sample, copy_ours), lambda: 1)

    def verify_plain(sample: Callable[[], None]) -> str:
        return peer.verify(then(sample, copy_theirs), lambda: 1)

    implementations = [Implementation(OURS, ours, verify), Implementation(PLAIN, theirs, verify_plain)]
    method = "a copy encoded and submitted, bit for bit"
    return [row(ENCODER, "cpu", method, implementations, seed="0.62 us on Apple M2")]


def recorded(device: Device, plain: Plain) -> Sequence[Comparison]:
    """Recording a launch, and encoding one with others; submission is not timed."""
    work, peer = Doubling(device), PlainDoubling(plain)
    # Everything recorded is submitted: dropping it would cost ten times as much as recording.
    kept: list[Any] = []

    def alone(n: int) -> None:
        record, pipeline, bindings, groups = plain.record, peer.pipeline, [peer.bindings], peer.groups
        for _ in range(n):
            kept.append(record(pipeline, bindings, groups))

    def together(n: int) -> None:
        for _ in range(n // _PASS):
            kept.append(plain.record(peer.pipeline, [peer.bindings] * _PASS, peer.groups))

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
    ours = Implementation(
        OURS, work.launch, work.verify, device.wait, device.batch, limit=4000, counts=counts
    )
    passes = Implementation(OURS, encoded, work.verify, submit, step=_PASS)
    single = Implementation(PLAIN, alone, peer.verify, submit_plain, limit=_KEPT)
    many = Implementation(PLAIN, together, peer.verify, submit_plain, step=_PASS)
    return [
        row(RECORDED, "cpu", METHOD, [ours, single]),
        row(ENCODED, "cpu", METHOD, [passes, many]),
    ]


def submitted(device: Device, plain: Plain) -> Sequence[Comparison]:
    """A launch with its share of encoding and submission."""
    work, peer = Doubling(device), PlainDoubling(plain)

    def theirs(n: int) -> None:
        bindings = [peer.bindings] * BATCH_LAUNCHES
        for _ in range(n // BATCH_LAUNCHES):
            plain.queue.submit([plain.record(peer.pipeline, bindings, peer.groups)])

    implementations = [
        Implementation(OURS, work.launch, work.verify, device.wait, step=BATCH_LAUNCHES),
        Implementation(PLAIN, theirs, peer.verify, plain.wait, step=BATCH_LAUNCHES),
    ]
    return [row(SUBMITTED, "cpu", METHOD, implementations)]


def bound(device: Device, plain: Plain) -> Sequence[Comparison]:
    """A launch on a new pair of buffers, which needs a new bind group."""
    work, peer = Doubling(device), PlainDoubling(plain)
    pairs = [(i, j) for i in range(_PAIRS) for j in range(_PAIRS)]
    inputs = [work.x, *(device.empty(4 * COUNT) for _ in range(_PAIRS - 1))]
    outputs = [work.y, *(device.empty(4 * COUNT) for _ in range(_PAIRS - 1))]
    kept: list[Any] = []

    def ours(n: int) -> None:
        for i, j in pairs[:n]:
            launch(device, DOUBLE, inputs=[inputs[i]], outputs=[outputs[j]], workgroups=work.workgroups)

    def theirs(n: int) -> None:
        for _ in range(n):
            bindings = plain.bindings(peer.pipeline, [peer.x, peer.y])
            kept.append(plain.record(peer.pipeline, [bindings], peer.groups))

    def forget() -> AbstractContextManager[None]:
        with device.lock:
            device.cache.forget_bindings()
        return device.batch()

    def submit_plain() -> None:
        plain.queue.submit(kept)
        plain.wait()
        kept.clear()

    limit = len(pairs)
    implementations = [
        Implementation(OURS, ours, work.verify, device.wait, forget, limit=limit, counts=_bindings(device)),
        Implementation(PLAIN, theirs, peer.verify, submit_plain, limit=_KEPT),
    ]
    return [row(BOUND, "cpu", METHOD, implementations)]


def waited(device: Device, plain: Plain) -> Sequence[Comparison]:
    """A launch and the wait for its result."""
    work, peer = Doubling(device), PlainDoubling(plain)

    def ours(n: int) -> None:
        for _ in range(n):
            work.launch(1)
            device.wait()

    def theirs(n: int) -> None:
        for _ in range(n):
            plain.queue.submit([plain.record(peer.pipeline, [peer.bindings], peer.groups)])
            plain.wait()

    implementations = [Implementation(OURS, ours, work.verify), Implementation(PLAIN, theirs, peer.verify)]
    return [row(WAITED, "wall", METHOD, implementations)]


def replayed(device: Device, plain: Plain) -> Sequence[Comparison]:
    """100 launches and their submission: recorded each time, and replayed as a graph."""
    work, peer = Doubling(device), PlainDoubling(plain)
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
        bindings = [peer.bindings] * _PASS
        for _ in range(n // _PASS):
            plain.queue.submit([plain.record(peer.pipeline, bindings, peer.groups)])

    again = Implementation(OURS, eager, work.verify, device.wait, step=_PASS)
    graphs = Implementation(OURS, replay, work.verify, device.wait, step=_PASS)
    plains = [Implementation(PLAIN, theirs, peer.verify, plain.wait, step=_PASS) for _ in range(2)]
    return [
        row(EAGER, "cpu", METHOD, [again, plains[0]]),
        row(REPLAYED, "cpu", METHOD, [graphs, plains[1]]),
    ]


def round_trip(device: Device, plain: Plain) -> Sequence[Comparison]:
    """NumPy array in, NumPy array out, with all transfers."""
    peer = PlainDoubling(plain)
    own, other, helped = Latest(), Latest(), Latest()
    workgroups = (peer.groups, 1, 1)

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
            bindings = plain.bindings(peer.pipeline, [x, y])
            plain.queue.submit([plain.record(peer.pipeline, [bindings], peer.groups)])
            other.y = plain.read(y)

    def helper(n: int) -> None:
        for _ in range(n):
            helped.y = compute_with_buffers(DOUBLE, helped.x, peer.groups)

    implementations = [
        Implementation(OURS, ours, own.verifier()),
        Implementation(PLAIN, theirs, other.verifier()),
        Implementation(HELPER, helper, helped.verifier()),
    ]
    seed = "150 to 270 us, TensorLogic on an Apple GPU"
    return [row(ROUND_TRIP, "wall", METHOD, implementations, seed=seed)]


def _bindings(device: Device) -> Callable[[], Sequence[Figure]]:
    """Counts the bind groups from now on, including those of verification."""
    before = device.cache_stats()

    def counts() -> Sequence[Figure]:
        now = device.cache_stats()
        return named(
            {
                BINDINGS_FOUND: now.binding_hits - before.binding_hits,
                BINDINGS_MADE: now.binding_misses - before.binding_misses,
            }
        )

    return counts


def added(device: Device) -> Sequence[Comparison]:
    """A small operation on arrays, including shape and dtype checks and allocation."""
    numbers = Latest()
    arrays = [asarray(numbers.x, device=device)] * 2
    last: list[Any] = []

    def run(n: int) -> None:
        x, y = arrays
        for _ in range(n):
            last[:] = [x + y]

    def verify(sample: Callable[[], None]) -> str:
        def one() -> None:
            arrays[:] = [asarray(numbers.x, device=device)] * 2
            sample()
            numbers.y = np.asarray(last[0])

        return numbers.verifier()(one)

    ours = Implementation(OURS, run, verify, device.wait, device.batch, limit=4000)
    return [row(ADDED, "cpu", METHOD, [ours])]
