import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import numpy as np
import pytest

from rusty_py import (
    Adapter,
    Device,
    DeviceError,
    LimitError,
    Limits,
    NoAdapter,
    OutOfMemory,
    default_device,
    matmul,
)
from rusty_py.runtime.adapter import ENVIRONMENT

from .children import outcome
from .operands import needs_mapping
from .products import assert_product, uniform

pytestmark = pytest.mark.usefixtures("short_kernels")

A, B = uniform(33, 17, seed=1), uniform(17, 40, seed=2)

BUSY = uniform(512, 512)  # A product that no adapter finishes in a microsecond.


@pytest.mark.parametrize("nbytes", [4, 8, 4096, 100_000])
def test_what_is_uploaded_can_be_read(unchecked: Device, nbytes: int) -> None:
    sent = np.random.default_rng(1).integers(0, 255, nbytes, np.uint8)
    received = np.zeros_like(sent)
    unchecked.read(unchecked.upload(sent), received)
    np.testing.assert_array_equal(received, sent)


@pytest.mark.parametrize("dtype", [np.float32, np.uint64, np.int16, np.complex64])
def test_arrays_of_any_type_and_shape_travel_as_bytes(unchecked: Device, dtype: type[np.generic]) -> None:
    sent = (100 * uniform(6, 5, 4)).astype(dtype)
    received = np.zeros_like(sent)
    unchecked.read(unchecked.upload(sent), received)
    np.testing.assert_array_equal(received, sent)


@pytest.mark.parametrize("nbytes", [1, 5, 4099])
def test_arrays_of_odd_bytes_travel_too(unchecked: Device, nbytes: int) -> None:
    sent = np.arange(nbytes, dtype=np.uint8)
    received = np.zeros_like(sent)
    unchecked.read(unchecked.upload(sent), received)
    np.testing.assert_array_equal(received, sent)


def test_nothing_can_be_uploaded_and_read(unchecked: Device) -> None:
    unchecked.read(unchecked.upload(np.empty(0, np.float32)), np.empty(0, np.float32))


def test_writing_replaces_the_start_of_a_buffer(unchecked: Device) -> None:
    buffer = unchecked.upload(np.arange(6, dtype=np.uint32))
    unchecked.write(buffer, np.array([9, 8], np.uint32))
    received = np.zeros(6, np.uint32)
    unchecked.read(buffer, received)
    assert received.tolist() == [9, 8, 2, 3, 4, 5]


def test_reading_may_ask_for_the_start_alone(unchecked: Device) -> None:
    received = np.zeros(2, np.uint32)
    unchecked.read(unchecked.upload(np.arange(6, dtype=np.uint32)), received)
    assert received.tolist() == [0, 1]


def test_more_than_a_buffer_holds_is_neither_written_nor_read(unchecked: Device) -> None:
    buffer = unchecked.empty(8, label="small")
    with pytest.raises(LimitError, match=r"^write: .* larger than buffer 'small': 12 > 8 bytes$"):
        unchecked.write(buffer, np.zeros(3, np.float32))
    with pytest.raises(LimitError, match=r"^read: .* larger than buffer 'small': 12 > 8 bytes$"):
        unchecked.read(buffer, np.zeros(3, np.float32))


def test_a_buffer_larger_than_the_device_allows_is_refused(adapter: Adapter) -> None:
    limits = Limits(**(vars(adapter.limits) | {"buffer_bytes": 1000}))
    with Device(adapter, limits=limits) as device:
        device.empty(1000)
        with pytest.raises(LimitError, match=r"^buffer: 'c' is larger than .* allows: 1001 > 1000 bytes$"):
            device.empty(1001, label="c")


@pytest.mark.parametrize("limit", [1000, 1001, 1002, 1003])
def test_a_buffer_of_as_many_bytes_as_the_device_allows_in_words_arrives(
    adapter: Adapter, limit: int
) -> None:
    with Device(adapter, limits=replace(adapter.limits, buffer_bytes=limit)) as device:
        for nbytes in (997, 998, 999, 1000):
            x, received = np.arange(nbytes).astype(np.uint8), np.zeros(nbytes, np.uint8)
            device.read(device.upload(x), received)
            np.testing.assert_array_equal(received, x)
        for nbytes in range(1001, limit + 1):
            with pytest.raises(LimitError, match=rf"^buffer: 'c' .*: {nbytes} > 1000 bytes$"):
                device.empty(nbytes, label="c")


@pytest.mark.parametrize("kind", ["GPUOutOfMemoryError", "GPUValidationError"])
def test_a_device_without_room_is_out_of_memory(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    import wgpu

    def refuse(**kwargs: object) -> None:
        raise getattr(wgpu, kind)("Not enough memory left")

    monkeypatch.setattr(unchecked.raw, "create_buffer", refuse)
    unchecked.pool.purge()
    with pytest.raises(OutOfMemory, match=r"^buffer: no room on .* for 256 bytes$"):
        unchecked.empty(16, label="c")


def test_the_device_has_the_limits_its_adapter_shows(unchecked: Device) -> None:
    limits = unchecked.adapter.limits
    raw = unchecked.raw.limits
    assert raw["max-compute-invocations-per-workgroup"] >= limits.threads
    assert raw["max-compute-workgroup-storage-size"] >= limits.workgroup_bytes
    assert raw["max-compute-workgroups-per-dimension"] >= limits.groups
    assert raw["max-storage-buffer-binding-size"] >= limits.binding_bytes
    assert raw["max-buffer-size"] >= limits.buffer_bytes


def test_no_adapter_of_that_name_is_an_error_with_the_choice(adapter: Adapter) -> None:
    with pytest.raises(NoAdapter, match=r"^adapter: none matches 'voodoo': there is 0: "):
        Device("voodoo")


def test_a_device_is_made_by_the_name_of_its_adapter(
    adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    for which in (adapter, adapter.index, adapter.name):
        with Device(which) as device:
            assert device.adapter == adapter


@pytest.mark.parametrize(("value", "checked"), [(None, False), ("", False), ("0", False), ("1", True)])
def test_the_environment_turns_the_checks_on(
    adapter: Adapter, monkeypatch: pytest.MonkeyPatch, value: str | None, checked: bool
) -> None:
    monkeypatch.delenv("RUSTY_PY_CHECKED", raising=False)
    if value is not None:
        monkeypatch.setenv("RUSTY_PY_CHECKED", value)
    with Device(adapter) as device:
        assert device.checked is checked
    with Device(adapter, checked=not checked) as device:
        assert device.checked is not checked


def test_without_unchecked_modules_kernels_are_checked(
    adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rusty_py.runtime.device.has_unchecked_modules", lambda: False)
    with Device(adapter, checked=False) as device:
        assert device.checked
        assert_product(matmul(A, B, device=device), A, B)


def test_a_device_closes_at_the_end_of_its_block(adapter: Adapter) -> None:
    with Device(adapter, checked=True) as device:
        assert repr(device) == f"Device({adapter}, checked)"
    assert device.closed
    assert repr(device) == f"Device({adapter}, closed)"


def test_a_device_may_be_closed_twice(adapter: Adapter) -> None:
    device = Device(adapter)
    device.close()
    device.close()
    assert device.closed


@pytest.mark.parametrize(
    "action",
    [
        lambda device, buffer: device.empty(16),
        lambda device, buffer: device.upload(A),
        lambda device, buffer: device.write(buffer, A),
        lambda device, buffer: device.read(buffer, A.copy()),
        lambda device, buffer: device.wait(),
        lambda device, buffer: matmul(A, B, device=device),
    ],
    ids=["empty", "upload", "write", "read", "wait", "matmul"],
)
def test_a_closed_device_does_nothing_more(adapter: Adapter, action: object) -> None:
    with Device(adapter) as device:
        buffer = device.upload(A)
    with pytest.raises(DeviceError, match=r"the device is closed: "):
        action(device, buffer)


def test_a_buffer_may_be_destroyed_twice_and_after_its_device(adapter: Adapter) -> None:
    with Device(adapter) as device:
        first, second = device.upload(A), device.upload(A)
        first.destroy()
        first.destroy()
    second.destroy()
    assert first.destroyed
    assert second.destroyed


def test_a_destroyed_buffer_is_not_written(unchecked: Device) -> None:
    buffer = unchecked.upload(A, label="gone")
    buffer.destroy()
    with pytest.raises(DeviceError, match=r"^write: buffer 'gone' is destroyed$"):
        unchecked.write(buffer, A)


# Each of these ends the process where it reaches wgpu-native.
ABORTS = {
    "a destroyed buffer": (
        "d = Device(); b = d.empty(16, label='x'); r = record(d, [fill(d, b)])\n"
        "b.destroy(); refused(d.submit, r)",
        "submit: buffer 'x' is destroyed",
    ),
    "a buffer destroyed before it was bound": (
        "d = Device(); b = d.empty(16, label='x'); b.destroy(); refused(fill, d, b)",
        "bench/fill: buffer 'x' is destroyed",
    ),
    "a mapped buffer": (
        "d = Device(); b = d.empty(16, label='x'); r = record(d, [fill(d, b)])\n"
        "with mapped(d.queue, b.memory, 16, write=False):\n"
        "    refused(d.submit, r)\n"
        "    refused(fill, d, b)\n"
        "d.submit(r); d.wait()\n",
        "submit: buffer 'x' is mapped; unmap it first",
    ),
    "a mapped staging buffer": (
        "d = Device(); b = d.upload(ONES)\n"
        "s = Buffer(d, d.transfer.reading, 256, 16, 'staging'); q = d.queue\n"
        "copy = Copy(b.memory.handle, 0, s.memory.handle, 0, 16)\n"
        "c = q.commands.encode(q.device, (), [copy])\n"
        "r = CommandBuffer(d, c, [b, s])\n"
        "with mapped(q, s.memory, 16, write=False):\n"
        "    refused(d.submit, r)\n"
        "d.submit(r); d.wait()\n",
        "submit: buffer 'staging' is mapped; unmap it first",
    ),
    "a recording submitted before": (
        "d = Device(); r = record(d, [fill(d, d.empty(16))]); d.submit(r); refused(d.submit, r)",
        "submit: a command buffer can be submitted only once; record it again",
    ),
    "a recording twice in one submission": (
        "d = Device(); r = record(d, [fill(d, d.empty(16))]); refused(d.submit, r, r)",
        "submit: a command buffer can be submitted only once; record it again",
    ),
    "a recording of another device": (
        "d, e = Device(), Device(); r = record(d, [fill(d, d.empty(16))]); refused(e.submit, r)",
        "submit: ",
    ),
    "a closed device": (
        "d = Device(); r = record(d, [fill(d, d.empty(16))]); d.close(); refused(d.submit, r)",
        "submit: the device is closed",
    ),
    "a destroyed buffer to read": (
        "d = Device(); b = d.upload(ONES, label='x'); b.destroy(); refused(d.read, b, ONES)",
        "buffer 'x' is destroyed",
    ),
}


@pytest.mark.parametrize("case", ABORTS)
def test_what_would_abort_the_process_is_refused(adapter: Adapter, case: str) -> None:
    script, said = ABORTS[case]
    if case == "a mapped buffer":
        needs_mapping(adapter)
    printed = outcome(script)
    assert printed.startswith("DeviceError: ")
    assert said in printed


def test_a_refused_submission_sends_none_of_its_recordings(adapter: Adapter) -> None:
    script = """
d = Device()
x, y = d.empty(16), d.empty(16)
good, bad = (record(d, [fill(d, b)]) for b in (x, y))
y.destroy()
refused(d.submit, good, bad)
d.submit(good)
got = np.zeros(4, np.uint32)
d.read(x, got)
print(got.tolist())
"""
    assert outcome(script).endswith("[7, 7, 7, 7]")


def test_closing_in_another_thread_waits_for_a_submission_or_is_seen_by_it(adapter: Adapter) -> None:
    script = """
from rusty_py.runtime.device import Buffer

class Late(Buffer):
    def ensure_usable(self, operation, device):
        super().ensure_usable(operation, device)
        if operation == "submit":
            closing.start()
            closing.join(timeout=1)

d = Device()
b = d.empty(16)
late = Late(d, d.pool, 256, 16, "late")
closing = threading.Thread(target=d.close)
r = record(d, [fill(d, late)])
try:
    d.submit(r)
except DeviceError as error:
    pass
closing.join()
print("closed" if d.closed else "open")
"""
    assert outcome(script) == "closed"


def test_closing_while_the_gpu_works_is_fine(adapter: Adapter) -> None:
    script = """
d = Device()
a, b, c = (d.upload(np.ones((512, 512), np.float32)) for _ in range(3))
d.submit(record(d, launches(d, a, b, c, m=512, k=512, n=512)))
d.close()
with Device() as e:
    print(matmul(ONES, ONES, device=e)[0, 0])
"""
    assert outcome(script) == "33.0"


def test_waiting_ends_after_its_time_and_the_device_goes_on(adapter: Adapter) -> None:
    with Device(adapter, timeout_s=1e-9) as device:
        with pytest.raises(
            DeviceError, match=r"^wait: the GPU did not finish in time: .* had 1e-09 s; .*timeout_s"
        ):
            matmul(BUSY, BUSY, device=device)
        device.queue.timeout_s = 60.0
        assert_product(matmul(A, B, device=device), A, B)


def test_a_block_that_ran_out_of_time_closes_its_device(adapter: Adapter) -> None:
    script = """
try:
    with Device(timeout_s=1e-9) as d:
        matmul(np.ones((512, 512), np.float32), np.ones((512, 512), np.float32), device=d)
except DeviceError as error:
    print(error)
print(d.closed)
"""
    printed = outcome(script)
    assert "did not finish in time" in printed
    assert printed.endswith("True")


@pytest.fixture
def own_default(adapter: Adapter, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The default device is one that the test may close, not that of other tests."""
    monkeypatch.setattr("rusty_py.runtime.device._default", None)
    yield
    default_device().close()


@pytest.mark.usefixtures("own_default")
def test_the_default_device_is_one() -> None:
    assert default_device() is default_device()
    assert_product(matmul(A, B), A, B)


@pytest.mark.usefixtures("own_default")
def test_a_closed_default_device_is_followed_by_another() -> None:
    first = default_device()
    first.close()
    second = default_device()
    assert second is not first
    assert_product(matmul(A, B), A, B)


@pytest.mark.usefixtures("own_default")
def test_threads_share_the_default_device() -> None:
    together = Barrier(6)

    def take() -> Device:
        together.wait(timeout=30)
        return default_device()

    with ThreadPoolExecutor(6) as threads:
        devices = [taken.result(timeout=60) for taken in [threads.submit(take) for _ in range(6)]]
    assert len(set(map(id, devices))) == 1


@pytest.mark.one_mode
def test_threads_may_use_one_device_at_once(device: Device) -> None:
    together = Barrier(4)

    def multiply(seed: int) -> None:
        together.wait(timeout=30)
        for i in range(10):
            a, b = uniform(40 + i, 33, seed=seed), uniform(33, 50 - i, seed=seed + 1)
            assert_product(matmul(a, b, tile=(8, 16, 32, "naive")[i % 4], device=device), a, b)

    with ThreadPoolExecutor(4) as threads:
        for multiplied in [threads.submit(multiply, 100 * i) for i in range(4)]:
            multiplied.result(timeout=120)


def test_threads_may_each_make_a_device(adapter: Adapter) -> None:
    together = Barrier(3)

    def multiply(seed: int) -> None:
        together.wait(timeout=30)
        with Device() as device:
            a, b = uniform(20, 33, seed=seed), uniform(33, 30, seed=seed + 1)
            assert_product(matmul(a, b, device=device), a, b)

    with ThreadPoolExecutor(3) as threads:
        for multiplied in [threads.submit(multiply, 100 * i) for i in range(3)]:
            multiplied.result(timeout=120)


def test_a_buffer_of_another_device_is_refused(adapter: Adapter) -> None:
    script = """
d, e = Device(), Device()
b = e.upload(ONES)
for action in (lambda: d.read(b, ONES), lambda: d.write(b, ONES), lambda: fill(d, b)):
    try:
        action()
    except rusty_py.RustyError as error:
        print("refused")
"""
    assert outcome(script).split() == ["refused"] * 3


FORK = """
import time
{before}
child = os.fork()
if child == 0:
    refused(matmul, ONES, ONES)
    {end}
deadline = time.monotonic() + 5
while os.waitpid(child, os.WNOHANG) == (0, 0):
    if time.monotonic() > deadline:
        os.kill(child, 9)
        os.waitpid(child, 0)
        print("the child hangs")
        break
    time.sleep(0.01)
print(matmul(ONES, ONES)[0, 0])
"""


@pytest.mark.skipif(
    sys.platform in ("win32", "darwin"), reason="Windows has no fork, and macOS warns against it"
)
@pytest.mark.parametrize("end", ["os._exit(0)", "sys.exit(0)"])
@pytest.mark.parametrize("before", ["matmul(ONES, ONES)", "d = Device(); b = d.upload(ONES)"])
def test_a_forked_child_is_refused_and_ends(adapter: Adapter, before: str, end: str) -> None:
    printed = outcome(FORK.format(before=before, end=end))
    assert printed.startswith("DeviceError: device: this process is a fork of one with a device: ")
    assert printed.splitlines()[1:] == ["33.0"]


@pytest.mark.skipif(
    sys.platform in ("win32", "darwin"), reason="Windows has no fork, and macOS warns against it"
)
def test_a_forked_child_may_close_what_it_inherited(adapter: Adapter) -> None:
    before = "d = default_device(); b = d.upload(ONES)"
    printed = outcome(FORK.format(before=before, end="b.destroy(); d.close(); os._exit(0)"))
    assert printed.splitlines()[1:] == ["33.0"]


HELD = """
d = default_device()
b, c, held, go_on = d.upload(ONES), d.upload(ONES), threading.Event(), threading.Event()

def hold():
    with d.pool._lock, d.lock:
        held.set()
        go_on.wait()

thread = threading.Thread(target=hold)
thread.start()
held.wait()
"""


@pytest.mark.skipif(
    sys.platform in ("win32", "darwin"), reason="Windows has no fork, and macOS warns against it"
)
@pytest.mark.parametrize("end", ["d.purge()", "d.pool_stats()", "b.destroy()", "d.close()"])
def test_a_forked_child_may_close_what_a_thread_of_its_parent_is_using(adapter: Adapter, end: str) -> None:
    script = FORK.format(before=HELD, end=f"{end}; os._exit(0)")
    script = script.replace("print(matmul", "go_on.set(); print(matmul")
    assert outcome(script).splitlines()[1:] == ["33.0"]


INTERRUPT = """
import signal, time
from rusty_py.runtime.queue import Queue
matmul(ONES, ONES)
large = np.ones((2048, 2048), np.float32)
submit, sent = Queue._submit, []

def submit_and_interrupt(self, *commands):
    submit(self, *commands)
    sent.append(time.monotonic())
    if len(sent) == 5:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()

Queue._submit = submit_and_interrupt
try:
    while True:
        matmul(large, large)
except KeyboardInterrupt:
    print(time.monotonic() - sent[4], flush=True)
print(matmul(ONES, ONES)[0, 0])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT between processes")
def test_ctrl_c_ends_a_long_product_soon_and_the_device_goes_on(adapter: Adapter) -> None:
    took, right = outcome(INTERRUPT, timeout_s=60).split()
    assert float(took) < 2.0
    assert right == "33.0"
