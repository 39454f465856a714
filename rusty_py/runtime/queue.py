"""A device's one way to its GPU: the open batch, submissions in order, and waits that Ctrl-C ends.

Launches are recorded into the open batch, which is submitted once it is worth it, or when someone must see
a result. wgpu-native ends the process for a submission with a destroyed or mapped buffer, one that goes out
twice, and one after the device is gone; every submission passes `Queue.send`, whose callers have checked.

Everything gets a number, that of the submission it goes out with: the open batch has the next one. A memory
knows the number of its last use, and so whether it is in the open batch, on its way, or idle.
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
from rusty_py.runtime.capi import CApi, Copy, EncodedDispatch, Handle, commands
from rusty_py.runtime.pool import Allocation
from rusty_py.runtime.throughput import SUBMISSION_SECONDS, nap
from rusty_py.runtime.uniforms import UniformRing

if TYPE_CHECKING:
    import wgpu

# An open batch is submitted when it holds this much.
BATCH_LAUNCHES = 64
BATCH_SECONDS = 0.02
BATCH_BYTES = 1 << 30
# wgpu holds what the host writes in memory that only a submission frees.
_WRITTEN_BYTES = 32 << 20
# How far the host may run ahead of the device: so many marks, each behind so many submissions.
_FENCES, _FENCE_SUBMISSIONS = 8, 32
# In an explicit batch only time counts, and a number that bounds what is held.
_EXPLICIT_LAUNCHES = 4096


_queues: "WeakSet[Queue]" = WeakSet()


def _leave_to_parent() -> None:
    for queue in list(_queues):
        queue.usable = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)


@atexit.register
def _stand_still() -> None:
    """Python stops the threads that outlive it where they are; inside wgpu-native that is a panic.

    So the locks are taken, and kept: what waits for one is not inside.
    """
    for queue in list(_queues):
        queue.lock.acquire(timeout=0.5)


class Queue:
    """Batches, submits and waits. `lock` guards the batch, and the device's caches beside it.

    It knows neither its device nor the pool: both hold it, and none of them may be part of a cycle.
    """

    def __init__(self, device: "wgpu.GPUDevice", adapter: Adapter, *, timeout_s: float) -> None:
        self.commands: CApi = commands()
        self.raw, self.device = device.queue._internal, device._internal
        self._owners = device, device.queue  # Their handles are in use.
        self.name, self.timeout_s = str(adapter), timeout_s
        # Who waits awake takes a core, which a CPU driver would compute with.
        self._awake_s = 2e-4 if adapter.is_cpu else 2e-3
        self.lock = threading.RLock()
        _queues.add(self)
        self.params = UniformRing(device, self.commands)
        self.closed = False
        self.lost = False
        self.usable = True
        """Whether it is neither closed nor lost nor a fork's: one test for what is called often."""
        self.number = 1
        self.done = 0  # All submissions up to this one are known to have finished.
        self.submissions = 0
        self._steps: list[EncodedDispatch] = []
        self._seconds = 0.0
        self._bytes = 0
        self._written = 0
        self._held = 0  # Explicit batches that are open.
        self._fences: deque[tuple[int, int]] = deque()  # Numbers, and the tokens that tell they are done.
        self._unfenced = 0
        self._mapped: set[Allocation] = set()  # The host is copying from or to them.

    def add(
        self, added: list[EncodedDispatch], memories: Iterable[Allocation], seconds: float, nbytes: int
    ) -> None:
        """Records dispatches that use `memories`, for one submission. The caller holds the lock."""
        number = self.number
        for memory in memories:
            memory.used_in = number
        steps = self._steps
        steps += added
        self._seconds += seconds
        self._bytes += nbytes
        if self._held:
            if self._seconds > SUBMISSION_SECONDS or len(steps) >= _EXPLICIT_LAUNCHES:
                self.flush()
        elif len(steps) >= BATCH_LAUNCHES or self._seconds > BATCH_SECONDS or self._bytes > BATCH_BYTES:
            self.flush()

    def batch(self) -> "Batch":
        """Launches made inside go out together at its end, or in parts where they are long."""
        return Batch(self)

    def hold(self, count: int) -> None:
        """Opens an explicit batch, or with -1 closes one; the last to close submits."""
        with self.lock:
            self._held += count
            if not self._held:
                self.flush()

    @property
    def held(self) -> bool:
        """Whether an explicit batch is open."""
        return self._held > 0

    def uses(self, memory: Allocation) -> bool:
        """Whether a launch in the open batch uses `memory`."""
        return memory.used_in == self.number and bool(self._steps)

    def flush(self) -> None:
        """Submits the open batch, and what the host wrote."""
        with self.lock:  # Also to look: another thread may be in the middle of sending it.
            self.send([], (), empty=self._written > 0)

    def send(
        self,
        recorded: list[Handle],
        memories: Iterable[Allocation],
        *,
        steps: Sequence[EncodedDispatch] = (),
        copies: Sequence[Copy] = (),
        empty: bool = False,
    ) -> None:
        """Submits the open batch with `copies`, and behind it command buffers and then `steps`.

        These use `memories`. Where there is none of them, it submits nothing, or with `empty` a submission
        that does nothing.
        """
        with self.lock:
            for memory in memories:
                if memory.destroyed:
                    raise DeviceError("submit: a buffer was destroyed after these commands were recorded")
                memory.used_in = self.number
            gone = self.closed or native.forked()  # In a fork the batch is the parent's.
            if gone:
                self._steps.clear()
            if gone or not (self._steps or recorded or steps or copies or empty):
                return
            try:
                self._submit(recorded, steps, copies)
            except Exception:  # What wgpu refuses now it will always refuse.
                self._steps.clear()
                self.refuse_lost("submit")
                raise
            finally:
                if not self._steps:
                    self.number += 1
                    self.submissions += 1
                    self._seconds, self._bytes, self._written = 0.0, 0, 0
            self._keep_throughput()

    def _submit(
        self, recorded: list[Handle], steps: Sequence[EncodedDispatch], copies: Sequence[Copy]
    ) -> None:
        batch: list[Handle] = []
        refused = None
        if self._steps or copies:
            batch, refused = self._encode(copies)
        elif not steps:  # What is encoded is refused where the device is lost.
            self.refuse_lost("submit")
        if steps:
            recorded = [*recorded, self.commands.encode(self.device, steps)]
        if self.params.unwritten:
            self.params.write(self.raw)
        _together(self.commands.submission(self.raw, [*batch, *recorded]), self._steps.clear)
        if refused is not None:
            raise refused

    def _keep_throughput(self) -> None:
        """Waits where the host is far ahead: what is under way stays bounded, and so does any later wait."""
        self._unfenced += 1
        if self._unfenced < _FENCE_SUBMISSIONS:
            return
        self._unfenced = 0
        self._fences.append((self.number - 1, self.commands.ask_work_done(self.raw)))
        self._wait_fences()
        if len(self._fences) > _FENCES:
            number, token = self._fences.popleft()
            self.poll_until(lambda: self.commands.answer(token))
            self.done = max(self.done, number)

    def _wait_fences(self) -> None:
        """Forgets the marks that the device has passed."""
        while self._fences and self.commands.answer(self._fences[0][1]):
            number, _ = self._fences.popleft()
            self.done = max(self.done, number)

    def _encode(self, copies: Sequence[Copy]) -> tuple[list[Handle], Exception | None]:
        """The open batch and `copies`, and an error where wgpu refuses one: the others shall go out."""
        commands = self.commands
        try:
            return [commands.encode(self.device, self._steps, copies)], None
        except commands.Error:
            self.refuse_lost("submit")
        good: list[Handle] = []
        refused: Exception | None = None
        for step in self._steps:
            try:
                good.append(commands.encode(self.device, [step]))
            except commands.Error as error:
                refused = ShaderError(f"submit: wgpu refuses a launch of this batch: {error}")
        for copy in copies:
            try:
                good.append(commands.encode(self.device, (), [copy]))
            except commands.Error as error:
                refused = DeviceError(f"transfer: refused: {error}")
        return good, refused

    def write(self, memory: Allocation, start: int, data: Handle, size: int) -> None:
        """Copies host memory to `memory`, behind every launch recorded so far that uses it."""
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
        """Whether all that was submitted has finished; never blocks."""
        with self.lock:
            number = self.number
        if self.commands.idle(self.device):
            self.done = max(self.done, number - 1)
            return True
        return False

    def finished(self, memory: Allocation) -> bool:
        """Whether every recorded and submitted use of `memory` has finished; never blocks."""
        if memory.used_in > self.done:
            self.idle()
        return memory.used_in <= self.done

    def wait(self) -> None:
        """Returns when all that was recorded or submitted before is done. Raises DeviceError in time."""
        with self.lock:
            self.flush()
            number = self.number
            if self.idle():
                self._wait_fences()
                return
            token = self.commands.ask_work_done(self.raw)
        self.poll_until(lambda: self.commands.answer(token))
        with self.lock:
            self.done = max(self.done, number - 1)
            self._wait_fences()

    def fence(self) -> tuple[int, int]:
        """Submits the open batch. What `wait_fence` waits for: all that was recorded up to now."""
        with self.lock:
            self.flush()
            return self.number - 1, self.commands.ask_work_done(self.raw)

    def wait_fence(self, fence: tuple[int, int]) -> None:
        """Waits for what came before the mark, and for nothing that came later."""
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
        """Whether the driver gave the device up, as of now. Once it has, it stays so."""
        self.lost = self.lost or self.commands.lost(self.device)
        self.usable = self.usable and not self.lost
        return self.lost

    def refuse_lost(self, operation: str) -> None:
        """Raises DeviceError where the device is lost: a submission to it would end the process."""
        if self.is_lost():
            raise DeviceError(f"{operation}: the device was lost: {self.name}: make a new one")

    def start_mapped(self, memory: Allocation) -> None:
        """To be called before a mapped memory is touched; raises DeviceError where the device is closed."""
        self._mapped.add(memory)  # Before the test, since `close` does both the other way round.
        if self.closed:
            raise DeviceError(f"map: the device was closed meanwhile: {self.name}")

    def end_mapped(self, memory: Allocation) -> None:
        """To be called when it is left alone again, also where it never was touched."""
        self._mapped.discard(memory)

    def close(self) -> None:
        """Forgets the open batch; nothing is submitted any more, and nobody touches mapped memory."""
        with self.lock:
            self.closed, self.usable = True, False
            self._steps.clear()
        deadline = time.monotonic() + self.timeout_s
        while self._mapped and time.monotonic() < deadline:
            time.sleep(1e-4)


class Batch:
    """A block whose launches go out together; also after an exception, since arrays wait for them."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def __enter__(self) -> None:
        self._queue.hold(1)

    def __exit__(self, *error: object) -> None:
        self._queue.hold(-1)


def _together(*actions: Callable[[], object]) -> None:
    """Calls them one after the other, without a moment for Ctrl-C between: there is no Python in between.

    After an interrupted submission launches are either still in the open batch, or gone out once.
    """
    deque(map(operator.call, actions), maxlen=0)
