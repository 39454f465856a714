"""The queue of a device: the open batch, in-order submissions, and interruptible waits.

Launches are recorded into the open batch, which is submitted when it is large enough or a result is needed.
wgpu-native aborts the process for a submission with a destroyed or mapped buffer, a repeated submission, and
one after the device is gone; every submission goes through `Queue.send`, whose callers have validated it.

Submissions are numbered; the open batch has the next number. An allocation stores the number of its last use,
which tells whether it is in the open batch, in flight, or idle.
"""

import atexit
import operator
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING
from weakref import WeakSet

from rusty_py.errors import DeviceError, ShaderError
from rusty_py.runtime import native
from rusty_py.runtime.adapter import Adapter
from rusty_py.runtime.capi import CApi, Copy, EncodedDispatch, Handle, commands, handle
from rusty_py.runtime.pool import Allocation
from rusty_py.runtime.throughput import SUBMISSION_SECONDS, nap
from rusty_py.runtime.uniforms import UniformRing

if TYPE_CHECKING:
    import wgpu

# The open batch is submitted when it reaches one of these.
BATCH_LAUNCHES = 64
BATCH_SECONDS = 0.02
BATCH_BYTES = 1 << 30
# wgpu holds written data in memory that is only freed by a submission.
_WRITTEN_BYTES = 32 << 20
# How far the host may run ahead of the device: the number of fences, and submissions per fence.
_FENCES, _FENCE_SUBMISSIONS = 8, 32
# An explicit batch is split by time, and by this number of launches to bound its memory.
_EXPLICIT_LAUNCHES = 4096
# How long the end of a program waits for what it submitted to a CPU driver.
_EXIT_S = 10.0


_queues: "WeakSet[Queue]" = WeakSet()


def _leave_to_parent() -> None:
    for queue in list(_queues):
        queue.usable = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)


@atexit.register
def _stand_still() -> None:
    """Keeps other threads out of wgpu-native at exit, where being stopped would be a panic.

    Python stops daemon threads wherever they are; so take the locks and never release them. Threads of CPU
    drivers compile and run what was submitted, and crash once the libraries that they use are gone.
    """
    for queue in list(_queues):
        if queue.lock.acquire(timeout=0.5) and queue.usable and queue.on_cpu:
            queue.settle(_EXIT_S)


class Queue:
    """Batches, submits and waits. `lock` protects the batch and the device's caches.

    It references neither its device nor the pool, which reference it: there must be no cycle. Never call the
    pool while holding the lock.
    """

    def __init__(self, device: "wgpu.GPUDevice", adapter: Adapter, *, timeout_s: float) -> None:
        self.commands: CApi = commands()
        self.raw, self.device = handle(device.queue), handle(device)
        self._owners = device, device.queue  # Keep the owners of the handles alive.
        self.name, self.timeout_s = str(adapter), timeout_s
        # Busy waiting takes a core, which a CPU driver needs to compute.
        self.on_cpu = adapter.is_cpu
        self._awake_s = 2e-4 if self.on_cpu else 2e-3
        self.lock = native.free_in_forks(threading.RLock())
        _queues.add(self)
        self.uniforms = UniformRing(device, self.commands)
        self.closed = False
        self.lost = False
        self.usable = True
        """Whether it is neither closed, lost nor in a fork, as one flag for hot paths."""
        self.number = 1
        self.done = 0  # All submissions up to this number are known to have finished.
        self.submissions = 0
        self._dispatches: list[EncodedDispatch] = []
        self._seconds = 0.0
        self._bytes = 0
        self._written = 0
        self._held = 0  # Explicit batches that are open.
        self._fences: deque[tuple[int, int]] = deque()  # Submission numbers and their completion tokens.
        self._unfenced = 0
        self.mapped: dict[Allocation, int] = {}
        """What the host may be accessing, by which thread: see `start_mapped`."""

    def add(
        self, added: list[EncodedDispatch], memories: Iterable[Allocation], seconds: float, nbytes: int
    ) -> None:
        """Records dispatches that use `memories` into the open batch. The caller holds the lock."""
        number = self.number
        for memory in memories:
            memory.used_in = number
        dispatches = self._dispatches
        dispatches += added
        self._seconds += seconds
        self._bytes += nbytes
        if self._held:
            if self._seconds > SUBMISSION_SECONDS or len(dispatches) >= _EXPLICIT_LAUNCHES:
                self.flush()
        elif len(dispatches) >= BATCH_LAUNCHES or self._seconds > BATCH_SECONDS or self._bytes > BATCH_BYTES:
            self.flush()

    def batch(self) -> "Batch":
        """A context manager that submits its launches together, or in several parts if they are long."""
        return Batch(self)

    def hold(self, batch: "Batch", count: int, *, submit: bool = True) -> None:
        """Opens an explicit batch, or closes one with -1; closing the last one submits."""
        with self.lock:
            self._held += count  # Both or none: there is no call between them, where Ctrl-C could come.
            batch.open += count
            if submit and not self._held:
                self.flush()

    @property
    def held(self) -> bool:
        """Whether an explicit batch is open."""
        return self._held > 0

    def uses(self, memory: Allocation) -> bool:
        """Whether a launch in the open batch uses `memory`."""
        return memory.used_in == self.number and bool(self._dispatches)

    def flush(self) -> None:
        """Submits the open batch and host writes."""
        with self.lock:  # Another thread may be submitting it.
            self.send([], (), empty=self._written > 0)

    def send(
        self,
        recorded: list[Handle],
        memories: Iterable[Allocation],
        *,
        dispatches: Sequence[EncodedDispatch] = (),
        copies: Sequence[Copy] = (),
        empty: bool = False,
    ) -> None:
        """Submits the open batch with `copies`, then the command buffers `recorded`, then `dispatches`.

        `memories`: the allocations that these use. If there is nothing to submit, it does nothing, or with
        `empty` submits no commands.
        """
        with self.lock:
            for memory in memories:
                if memory.destroyed:
                    raise DeviceError("submit: a buffer was destroyed after these commands were recorded")
                memory.used_in = self.number
            gone = self.closed or native.forked()  # In a fork the batch belongs to the parent.
            if gone:
                self._dispatches.clear()
            if gone or not (self._dispatches or recorded or dispatches or copies or empty):
                return
            try:
                self._submit(recorded, dispatches, copies)
            except Exception:  # wgpu would reject it again, so drop it.
                self._dispatches.clear()
                self.refuse_lost("submit")
                raise
            finally:
                if not self._dispatches:
                    self.number += 1
                    self.submissions += 1
                    self._seconds, self._bytes, self._written = 0.0, 0, 0
            self._limit_in_flight()

    def _submit(
        self, recorded: list[Handle], dispatches: Sequence[EncodedDispatch], copies: Sequence[Copy]
    ) -> None:
        batch: list[Handle] = []
        refused = None
        if self._dispatches or copies:
            batch, refused = self._encode(copies)
        elif not dispatches:  # Encoding fails on a lost device; without it, test here.
            self.refuse_lost("submit")
        if dispatches:
            recorded = [*recorded, self.commands.encode(self.device, dispatches)]
        if self.uniforms.unwritten:
            self.uniforms.write(self.raw)
        _together(self.commands.submission(self.raw, [*batch, *recorded]), self._dispatches.clear)
        if refused is not None:
            raise refused

    def _limit_in_flight(self) -> None:
        """Waits if the host is too far ahead, to bound the work in flight and any later wait."""
        self._unfenced += 1
        if self._unfenced < _FENCE_SUBMISSIONS:
            return
        self._unfenced = 0
        self._fences.append((self.number - 1, self.commands.ask_work_done(self.raw)))
        self._retire_fences()
        if len(self._fences) > _FENCES:
            number, token = self._fences.popleft()
            self.poll_until(lambda: self.commands.answer(token))
            self.done = max(self.done, number)

    def _retire_fences(self) -> None:
        """Removes fences that the device has passed."""
        while self._fences and self.commands.answered(self._fences[0][1]):
            # First of all: after Ctrl-C there must be no fence whose answer is gone.
            number, token = self._fences.popleft()
            self.commands.answer(token)
            self.done = max(self.done, number)

    def _encode(self, copies: Sequence[Copy]) -> tuple[list[Handle], Exception | None]:
        """Encodes the open batch and `copies`; if wgpu rejects one, the others and the error."""
        commands = self.commands
        try:
            return [commands.encode(self.device, self._dispatches, copies)], None
        except commands.Error:
            self.refuse_lost("submit")
        good: list[Handle] = []
        refused: Exception | None = None
        for dispatch in self._dispatches:
            try:
                good.append(commands.encode(self.device, [dispatch]))
            except commands.Error as error:
                refused = ShaderError(f"submit: wgpu refuses a launch of this batch: {error}")
        for copy in copies:
            try:
                good.append(commands.encode(self.device, (), [copy]))
            except commands.Error as error:
                refused = DeviceError(f"transfer: refused: {error}")
        return good, refused

    def write(self, memory: Allocation, start: int, data: Handle, size: int) -> None:
        """Copies host memory to `memory`, after every launch recorded so far that uses it."""
        with self.lock:
            if self.closed or memory.destroyed:
                raise DeviceError(f"write: the device or the buffer is gone: {self.name}")
            if self.uses(memory):
                self.flush()  # The write would overtake it.
            try:
                self.commands.write(self.raw, memory.handle, start, data, size)
            except self.commands.Error as error:
                self.refuse_lost("write")
                raise DeviceError(f"write: refused: {error}") from error
            memory.used_in = self.number
            self._written += size
            if self._written > _WRITTEN_BYTES:
                self.send([], (), empty=True)

    def idle(self) -> bool:
        """Whether all submitted work has finished. Never blocks."""
        with self.lock:
            number = self.number
        if self.commands.idle(self.device):
            self.done = max(self.done, number - 1)
            return True
        return False

    def finished(self, memory: Allocation) -> bool:
        """Whether every recorded or submitted use of `memory` has finished. Never blocks."""
        if memory.used_in > self.done:
            self.idle()
        return memory.used_in <= self.done

    def wait(self) -> None:
        """Waits for all work recorded or submitted so far. Raises DeviceError after `timeout_s`."""
        with self.lock:
            self.flush()
            number = self.number
            if self.idle():
                self._retire_fences()
                return
            token = self.commands.ask_work_done(self.raw)
        self.poll_until(lambda: self.commands.answer(token))
        with self.lock:
            self.done = max(self.done, number - 1)
            self._retire_fences()

    def settle(self, limit_s: float) -> None:
        """Waits for what was submitted, for `limit_s` at most; what is recorded only is not submitted."""
        token, start = self.commands.ask_work_done(self.raw), time.monotonic()
        while not self.commands.answer(token) and (waited_s := time.monotonic() - start) < limit_s:
            self.commands.idle(self.device)
            nap(waited_s, awake_s=self._awake_s)

    def fence(self) -> tuple[int, int]:
        """Submits the open batch and returns a fence for `wait_fence`."""
        with self.lock:
            self.flush()
            return self.number - 1, self.commands.ask_work_done(self.raw)

    def wait_fence(self, fence: tuple[int, int]) -> None:
        """Waits for the work before the fence, and for no later work."""
        number, token = fence
        self.poll_until(lambda: self.commands.answer(token))
        with self.lock:
            self.done = max(self.done, number)

    def poll_until(self, answered: Callable[[], bool]) -> None:
        """Polls the device until `answered`. Raises DeviceError after `timeout_s`."""
        start = time.monotonic()
        while True:
            self.commands.idle(self.device)
            if answered():
                return
            waited_s = time.monotonic() - start
            if waited_s > self.timeout_s:
                raise DeviceError(
                    f"wait: the GPU did not finish in time: {self.name} had {self.timeout_s:g} s;"
                    " the kernel may hang, or needs Device(timeout_s=...)"
                )
            if self.closed:
                raise DeviceError(f"wait: the device was closed meanwhile: {self.name}")
            nap(waited_s, awake_s=self._awake_s)

    def is_lost(self) -> bool:
        """Whether the device is lost, tested now. A lost device stays lost."""
        self.lost = self.lost or self.commands.lost(self.device)
        self.usable = self.usable and not self.lost
        return self.lost

    def refuse_lost(self, operation: str) -> None:
        """Raises DeviceError if the device is lost: a submission would abort the process."""
        if self.is_lost():
            raise DeviceError(f"{operation}: the device was lost: {self.name}: make a new one")

    def start_mapped(self, memory: Allocation) -> None:
        """To be called before mapped memory is accessed, which ends when `mapped` lacks it again.

        Raises DeviceError if the device is closed.
        """
        # Before the test: `close` does the two in the opposite order.
        self.mapped[memory] = threading.get_ident()
        if self.closed:
            raise DeviceError(f"map: the device was closed meanwhile: {self.name}")

    def close(self) -> bool:
        """Drops the open batch, rejects later submissions, and waits until others access no mapped memory.

        False if this thread does: it was called by a handler of a signal, which must not wait for that.
        """
        with self.lock:
            self.closed, self.usable = True, False
            self._dispatches.clear()
        here, deadline = threading.get_ident(), time.monotonic() + self.timeout_s
        while {*self.mapped.values()} - {here} and time.monotonic() < deadline:
            time.sleep(1e-4)
        return here not in self.mapped.values()


class Batch:
    """A block whose launches are submitted together, even after an exception, since arrays depend on them."""

    open = 0
    """How often it has been entered and not left."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def __enter__(self) -> None:
        self._queue.hold(self, 1)

    def __exit__(self, *error: object) -> None:
        self._queue.hold(self, -1)

    def __del__(self) -> None:
        if self.open:  # After Ctrl-C where the block began or ended.
            self._queue.hold(self, -self.open, submit=False)


def _together(*actions: Callable[[], object]) -> None:
    """Calls the actions in order with no Python code in between, so that Ctrl-C cannot interrupt them.

    After an interrupted submission the launches are either still in the open batch or submitted once.
    """
    deque(map(operator.call, actions), maxlen=0)
