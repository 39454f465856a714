"""Products of host arrays too large for the device, streamed in blocks with copies overlapping compute.

a, b and c have two device slots each (double buffering): while the device multiplies one block, the host
reads back the previous result and uploads the operands of the next. Blocks are visited in serpentine order,
so that consecutive steps share one operand.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from math import inf
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from rusty_py.dtypes import F32, Dtype
from rusty_py.errors import DeviceError, LimitError, OutOfMemory
from rusty_py.gemm.dispatch import Operands, dispatches, reduction
from rusty_py.gemm.large_bindings import Spans
from rusty_py.gemm.plan import GemmPlan
from rusty_py.gemm.problem import GemmProblem, contiguous
from rusty_py.gemm.select import Tile, plan
from rusty_py.runtime.buffer import Buffer
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import launch
from rusty_py.runtime.pool import size_class
from rusty_py.runtime.transfer import Bytes, Chunks, PendingRead, Transfer
from rusty_py.shapes import Block, ceil_div
from rusty_py.views import broadcast_strides, collapse

Host = NDArray[Any]

# Memory for the slots when no limit is set: WebGPU does not report the device's memory.
_BYTES = {"DiscreteGPU": 4 << 30}
_MIN_BYTES = 1 << 30
# Bytes that one step can upload while computing; more must wait for staging memory. And the fixed cost of a
# step, as bytes sent in the same time.
_STEP_BYTES = 64 << 20
_STEP_COST = 1 << 20
_UNIT = 16
_SLOTS = 2


@dataclass(frozen=True)
class StreamJob:
    """c = activation(a @ b + added + bias) of host arrays whose leading axes broadcast.

    a: (..., m, k); b: (..., k, n); c: (..., m, n), C-contiguous, of dtype `kind`, to which a and b are cast;
    added: (..., m, n) or None; bias: (n,) or None.
    """

    a: Host
    b: Host
    c: Host
    kind: Dtype
    accumulate_dtype: Dtype = F32
    added: Host | None = None
    bias: Host | None = None
    activation: str = ""
    tile: Tile = "auto"


def fits(device: Device, *sizes: int) -> bool:
    """Whether buffers of these sizes each fit a binding and together fit the device's memory."""
    room = _room(device)
    return max(sizes) <= _max_bytes(device) and sum(map(size_class, sizes)) <= room


def stream(device: Device, job: StreamJob, *, max_bytes: int | None = None) -> None:
    """Computes `job` in blocks that use at most `max_bytes` of device memory, less if there is less.

    Raises OutOfMemory if even the smallest blocks don't fit, LimitError if none fits a binding. After an
    error the contents of c are undefined.
    """
    if device.graph is not None:
        raise DeviceError("matmul: of NumPy's arrays not in a capture, where nothing is computed")
    room: float = min(_room(device), max_bytes or inf)
    if room == inf:
        room = _BYTES.get(device.adapter.type, _MIN_BYTES)
    while not _attempt(device, job, int(room)):
        room /= 2


def _attempt(device: Device, job: StreamJob, room: int) -> bool:
    """Whether it succeeded; False if out of memory. The slots are freed on return."""
    steps = _Steps(job)
    spans = choose(device, steps, room)
    try:
        _Pipeline(device, steps, spans).run()
    except OutOfMemory:
        if room < 2 * sum(count * nbytes for count, nbytes in footprint(steps, _minimum(steps))):
            raise
        return False
    return True


def _room(device: Device) -> float:
    """The bytes left below the device's memory limit."""
    pool = device.pool
    return inf if pool.memory_limit is None else pool.memory_limit - pool.stats().live_bytes


def _max_bytes(device: Device) -> int:
    return min(device.limits.binding_bytes, device.limits.buffer_bytes)


class BlockStep(NamedTuple):
    """One block of some products; `outer` is the index in the leading axes that cannot be collapsed."""

    outer: tuple[int, ...]
    products: tuple[int, int]
    block: Block
    first: bool
    """The first block along k: its sums start at zero."""
    last: bool
    """The last block along k: its sums are complete."""


class _Steps:
    """A job as batches of matrices along one axis, preceded by the leading axes that cannot be collapsed."""

    def __init__(self, job: StreamJob) -> None:
        self.job = job
        lead = job.c.shape[:-2]
        given = [job.a, job.b, job.c, *([] if job.added is None else [job.added])]
        strides = [broadcast_strides(x.shape[:-2], x.strides[:-2], lead) for x in given]
        sizes, joined = collapse(lead, *strides)
        sizes = sizes or (1,)
        self.a, self.b, self.c, *added = (
            as_strided(x, (*sizes, *x.shape[-2:]), (*(steps or (0,)), *x.strides[-2:]))
            for x, steps in zip(given, joined, strict=True)
        )
        self.added = added[0] if added else None
        self.outer, products = sizes[:-1], sizes[-1]
        (m, k), n = job.a.shape[-2:], job.b.shape[-1]
        self.whole = Spans(products, m, n, k)

    def order(self, spans: Spans) -> Iterator[BlockStep]:
        """All blocks: products, rows, columns, depth; the last two in serpentine order."""
        whole = self.whole
        cols, depths = _ranges(whole.cols, spans.cols), _ranges(whole.depth, spans.depth)
        for outer in product(*map(range, self.outer)):
            for products in _ranges(whole.products, spans.products):
                for row in _ranges(whole.rows, spans.rows):
                    for col in cols:
                        for i, depth in enumerate(depths):
                            block = Block(*row, *col, *depth)
                            yield BlockStep(outer, products, block, i == 0, i == len(depths) - 1)
                        depths = depths[::-1]
                    cols = cols[::-1]


def _ranges(whole: int, part: int) -> list[tuple[int, int]]:
    return [(start, min(start + part, whole)) for start in range(0, whole, part)]


def _counts(steps: _Steps, spans: Spans) -> tuple[int, int, int, int]:
    """The number of blocks along each axis, all leading axes counted as one."""
    products, *others = (ceil_div(whole, part) for whole, part in zip(steps.whole, spans, strict=True))
    return (products * int(np.prod(steps.outer)), *others)  # type: ignore[return-value]


def _split_sums(steps: _Steps, spans: Spans) -> bool:
    """Whether partial sums need a separate f32 buffer: with an f16 result each would be rounded."""
    return spans.depth < steps.whole.depth and steps.job.kind is not F32


def footprint(steps: _Steps, spans: Spans) -> list[tuple[int, int]]:
    """(count, bytes) of the slots needed for a, b, c, the bias and the partial sums."""
    job, size = steps.job, steps.job.kind.itemsize
    products, rows, cols, depths = _counts(steps, spans)
    a, b, c = spans.rows * spans.depth, spans.depth * spans.cols, spans.rows * spans.cols
    a_each, b_each = (1 if x.strides[-3] == 0 else spans.products for x in (steps.a, steps.b))
    slots = [
        (min(_SLOTS, products * rows * depths), a_each * a * size),
        (min(_SLOTS, products * cols * depths), b_each * b * size),
        (min(_SLOTS, products * rows * cols), spans.products * c * size),
        (min(_SLOTS, cols) if job.bias is not None else 0, spans.cols * size),
        (1 if _split_sums(steps, spans) else 0, spans.products * c * F32.itemsize),
    ]
    return [(count, max(4, ceil_div(nbytes, 4) * 4)) for count, nbytes in slots]


def choose(device: Device, steps: _Steps, room: int) -> Spans:
    """The block size of lowest `cost` whose slots fit `room` and whose buffers each fit a binding.

    Raises LimitError or OutOfMemory if even the smallest doesn't.
    """
    limit = _max_bytes(device)
    best, minimum = None, inf
    for spans in _candidates(steps.whole):
        slots = footprint(steps, spans)
        if _split_sums(steps, spans) and spans.rows > device.limits.groups:
            continue  # The reduction kernel has one workgroup per row.
        if max(nbytes for count, nbytes in slots if count) > limit:
            continue
        if sum(count * size_class(nbytes) for count, nbytes in slots) > room:
            continue
        if (price := cost(steps, spans)) < minimum:
            best, minimum = spans, price
    if best is None:
        slots = footprint(steps, _minimum(steps))
        largest = max(nbytes for count, nbytes in slots if count)
        if largest > limit:
            raise LimitError(
                f"matmul: the smallest block is larger than one binding: {largest} > {limit} bytes"
            )
        needed = sum(count * size_class(nbytes) for count, nbytes in slots)
        raise OutOfMemory(f"matmul: no room for the smallest blocks: {needed:,} bytes, {room:,} available")
    return best


def _minimum(steps: _Steps) -> Spans:
    return Spans(1, *(min(whole, _UNIT) for whole in steps.whole[1:]))


def _candidates(whole: Spans) -> Iterator[Spans]:
    """Block sizes by repeated halving: several whole products, or a part of one."""
    for products in _halves(whole.products, 1):
        yield whole._replace(products=products)
    for rows, cols, depth in product(*(_halves(size, _UNIT) for size in whole[1:])):
        yield Spans(1, rows, cols, depth)


def _halves(size: int, unit: int) -> list[int]:
    halves = [size]
    while halves[-1] > unit:
        halves.append(ceil_div(halves[-1], 2 * unit) * unit)
    return halves


def cost(steps: _Steps, spans: Spans) -> int:
    """The cost of a block size in bytes: all transfers, plus twice those that don't overlap with compute."""
    products, rows, cols, depths = _counts(steps, spans)
    a, b, c = (nbytes for _, nbytes in footprint(steps, spans)[:3])
    if depths == 1:
        a_sent = products * rows
        b_sent = products * (rows * cols - (rows - 1) * min(_SLOTS, cols))
    else:
        a_sent = products * rows * (cols * (depths - 1) + 1)
        b_sent = products * rows * cols * depths
    c_sent = products * rows * cols
    sent = ((a_sent, a), (b_sent, b), (c_sent, c))
    exposed = sum(count * max(0, nbytes - _STEP_BYTES) for count, nbytes in sent) + a + b + c
    count = products * rows * cols * depths
    return sum(count * nbytes for count, nbytes in sent) + 2 * exposed + count * _STEP_COST


class _Slots:
    """Device buffers for a few blocks of one operand, replaced least recently used first."""

    def __init__(self, device: Device, count: int, nbytes: int, label: str) -> None:
        self._device = device
        self._scratch: Bytes | None = None  # On the host, for blocks that are not contiguous.
        self._nbytes = nbytes
        buffers = (device.empty(nbytes, label=label) for _ in range(count))
        self._held: list[tuple[object, Buffer]] = [(None, buffer) for buffer in buffers]

    def next(self) -> Buffer:
        """The least recently used buffer."""
        _, buffer = self._held.pop(0)
        self._held.append((None, buffer))
        return buffer

    def send(self, block: Host, kind: Dtype) -> Buffer:
        """The buffer of `block`, uploaded unless resident. A block is identified by address and shape."""
        key = block.__array_interface__["data"][0], block.shape
        for i, (held, buffer) in enumerate(self._held):
            if held == key:
                self._held.append(self._held.pop(i))
                return buffer
        buffer = self.next()
        self._device.write(buffer, self._in_one_piece(block, kind))
        self._held[-1] = (key, buffer)
        return buffer

    def _in_one_piece(self, block: Host, kind: Dtype) -> Host:
        if block.flags.c_contiguous and block.dtype == kind.numpy:
            return block
        if self._scratch is None:
            self._scratch = np.empty(self._nbytes, np.uint8)
        target = self._scratch[: block.size * kind.itemsize].view(kind.numpy).reshape(block.shape)
        _copy(self._device.transfer, target, block)
        return target


class _Ready(NamedTuple):
    """A step whose operands have been uploaded, or are being uploaded."""

    step: BlockStep
    a: Buffer
    b: Buffer
    c: Buffer
    bias: Buffer | None


class _Pipeline:
    """Runs the steps of a job: upload, launch and readback of successive steps overlap."""

    def __init__(self, device: Device, steps: _Steps, spans: Spans) -> None:
        self._device, self._steps, self._job = device, steps, steps.job
        self._order = steps.order(spans)
        slots = footprint(steps, spans)
        self._a, self._b, self._c, self._bias, partial = (
            _Slots(device, count, nbytes, label)
            for (count, nbytes), label in zip(
                slots, ("a", "b", "c", "bias", "sums of a product"), strict=True
            )
        )
        self._partial_sums = partial.next() if slots[-1][0] else None
        self._target: Buffer | None = None
        # a and b keep their row- or column-major order.
        self._transposed = [abs(x.strides[-2]) < abs(x.strides[-1]) for x in (steps.a, steps.b)]

    def run(self) -> None:
        """Keeps three steps in flight: one is read back, one computes, one is uploaded."""
        queue = self._device.queue
        under_way: deque[tuple[int, int]] = deque()
        pending: deque[tuple[BlockStep, PendingRead]] = deque()
        try:
            ready = self._send()
            while ready is not None:
                self._launch(ready)
                under_way.append(queue.fence())
                if len(under_way) > 1:  # The next step reuses the slots of the previous one.
                    queue.wait_fence(under_way.popleft())
                    self._collect(pending)
                if ready.step.last:
                    pending.append((ready.step, self._start(ready)))
                ready = self._send()
            self._collect(pending)
        finally:
            for _, each in pending:
                self._device.transfer.drop(each)

    def _send(self) -> _Ready | None:
        step = next(self._order, None)
        if step is None:
            return None
        steps, kind = self._steps, self._job.kind
        at, block = step.outer, step.block
        rows, cols, depth = slice(*block[:2]), slice(*block[2:4]), slice(*block[4:])
        operands = []
        for x, slots, transposed, axes in (
            (steps.a, self._a, self._transposed[0], (rows, depth)),
            (steps.b, self._b, self._transposed[1], (depth, cols)),
        ):
            products = slice(0, 1) if x.strides[-3] == 0 else slice(*step.products)
            part = _part(x, at, products, *axes)
            operands.append(slots.send(part.swapaxes(-1, -2) if transposed else part, kind))
        a, b = operands
        bias = None if self._job.bias is None else self._bias.send(self._job.bias[cols], kind)
        if step.first:
            self._target = self._c.next()
            if steps.added is not None:
                added = _part(steps.added, at, slice(*step.products), rows, cols)
                self._device.write(self._target, np.ascontiguousarray(added))
        assert self._target is not None
        return _Ready(step, a, b, self._target, bias)

    def _launch(self, ready: _Ready) -> None:
        """Records the dispatches of a step, on the operands in the slots."""
        job, step, block = self._job, ready.step, ready.step.block
        count = step.products[1] - step.products[0]
        m, n, k = block.rows, block.cols, block.depth
        letters = "".join("nt"[transposed] for transposed in self._transposed)
        a, b, c = contiguous(m, k, n, count, layout=letters)
        a, b = (  # A matrix shared by all products is uploaded once.
            layout._replace(batch_stride=0) if x.strides[-3] == 0 else layout
            for layout, x in ((a, self._steps.a), (b, self._steps.b))
        )
        problem = GemmProblem.of(
            m,
            k,
            n,
            count,
            layouts=(a, b, c),
            dtype=job.kind,
            accumulate_dtype=job.accumulate_dtype,
            bias=job.bias is not None,
            activation=job.activation,
        )
        added = job.added is not None
        x = Operands(ready.a, ready.b, ready.c, a, b, c, ready.bias)
        device = self._device
        if self._partial_sums is None:
            chosen = self._plan(problem)
            accumulate = added or not step.first
            for each in dispatches(device, chosen, x, accumulate=accumulate, has_epilogue=step.last):
                launch(device, **each._asdict())
            return
        inner = replace(problem, signature=replace(problem.signature, result=F32, bias=False, activation=""))
        chosen = self._plan(inner)
        y = replace(x, c=self._partial_sums, bias=None)
        for each in dispatches(device, chosen, y, accumulate=not step.first):
            launch(device, **each._asdict())
        if step.last:
            whole = replace(chosen, problem=problem)
            launch(device, **reduction(whole, x, self._partial_sums, accumulate=added)._asdict())

    def _plan(self, problem: GemmProblem) -> GemmPlan:
        """The plan of a block, without split-K, and without packing if there is no memory left for it."""
        device = self._device
        chosen = replace(plan(device, problem, tile=self._job.tile), split_k=1)
        lines = {"a": problem.m, "b": problem.n}
        packed = [problem.products * (lines[which] + 3) * problem.k for which in chosen.packs]
        sizes = [each * problem.signature.stored.itemsize for each in packed]
        return chosen if not sizes or fits(device, *sizes) else replace(chosen, packs="")

    def _start(self, ready: _Ready) -> PendingRead:
        """Starts the readback of a result: recorded now, it doesn't wait for the next step."""
        products, block = ready.step.products, ready.step.block
        size = (products[1] - products[0]) * block.rows * block.cols
        return self._device.transfer.start(ready.c.memory, size * self._job.kind.itemsize)

    def _collect(self, pending: deque[tuple[BlockStep, PendingRead]]) -> None:
        """Copies pending results to c."""
        while pending:
            step, result = pending[0]
            block = step.block
            rows, cols = slice(*block[:2]), slice(*block[2:4])
            target = _part(self._steps.c, step.outer, slice(*step.products), rows, cols)

            def collected(source: Bytes, target: Host = target) -> None:
                _fill(self._device.transfer, target, source)
                pending.popleft()  # Before its memory goes back to the pool: what is pending, `run` destroys.

            self._device.transfer.finish(result, collected)


def _part(x: Host, outer: tuple[int, ...], *axes: slice) -> Host:
    """A block of the matrices at `outer`: slices of the products, rows and columns."""
    index: Any = (*outer, *axes)
    return x[index]  # type: ignore[no-any-return]


def _fill(transfer: Transfer, target: Host, data: Bytes) -> None:
    _copy(transfer, target, data.view(target.dtype).reshape(target.shape))


def _copy(transfer: Transfer, target: Host, source: Host) -> None:
    """Copies and casts, large blocks in several threads: a single thread is slower than the bus."""
    while len(target) == 1 and target.ndim > 1:
        target, source = target[0], source[0]
    row_bytes = target[0].nbytes

    def work(chunks: Chunks) -> None:
        for start, size in chunks:
            rows = slice(ceil_div(start, row_bytes), ceil_div(start + size, row_bytes))
            np.copyto(target[rows], source[rows], casting="same_kind")

    transfer.in_chunks(work, target.nbytes)
