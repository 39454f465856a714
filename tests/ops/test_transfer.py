"""Every way between host and device: what arrives, in which order, and what an interruption leaves."""

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from rusty_py import Adapter, Device, DeviceError
from rusty_py.runtime import transfer
from rusty_py.runtime.transfer import MAX_STAGED_BYTES

from .children import outcome
from .work import fill, mix, mixed, random_words, words

# Sizes of chunks small enough that a few kilobytes go every way.
WAYS: dict[str, dict[str, int]] = {
    "mapped": {},
    "queued": {},
    "chunks": {"_QUEUED_BYTES": 100, "_THREAD_BYTES": 1 << 30},
    "threads": {"_QUEUED_BYTES": 100, "_THREAD_BYTES": 2048, "THREADS": 3},
}


@pytest.fixture(params=WAYS)
def device(
    request: pytest.FixtureRequest, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Device]:
    """A device that moves data in one of the ways."""
    monkeypatch.setattr(transfer, "CHUNK_BYTES", 4096)
    monkeypatch.setattr(transfer, "_MIN_CHUNK_BYTES", 1024)
    for name, value in WAYS[request.param].items():
        monkeypatch.setattr(transfer, name, value)
    with Device(adapter, staged=request.param != "mapped") as device:
        yield device


def staging_bytes(device: Device) -> int:
    """What transfers have not given back."""
    return device.transfer.reading.stats().live_bytes + device.transfer.writing.stats().live_bytes


@pytest.mark.parametrize("nbytes", [1, 3, 4, 1023, 4096, 4097, 50_001])
def test_bytes_arrive_by_every_way(device: Device, nbytes: int) -> None:
    sent = np.random.default_rng().integers(0, 256, nbytes, np.uint8)
    received = np.zeros_like(sent)
    device.read(device.upload(sent), received)
    np.testing.assert_array_equal(received, sent)
    assert staging_bytes(device) == 0


@pytest.mark.parametrize("read", [1, 5, 4099, 19_999])
def test_a_read_fills_what_it_is_given_and_nothing_else(device: Device, read: int) -> None:
    sent = np.random.default_rng().integers(0, 256, 20_000, np.uint8)
    buffer, received = device.upload(sent), np.full(20_008, 77, np.uint8)
    device.read(buffer, received[:read])
    np.testing.assert_array_equal(received[:read], sent[:read])
    assert (received[read:] == 77).all()


@pytest.mark.parametrize("written", [4, 4096, 4100, 19_996])
def test_a_write_replaces_as_many_words_as_it_has(device: Device, written: int) -> None:
    first, second = random_words(5000), random_words(written // 4)
    buffer = device.upload(first)
    device.write(buffer, second)
    got = words(device, buffer)
    np.testing.assert_array_equal(got[: len(second)], second)
    np.testing.assert_array_equal(got[len(second) :], first[len(second) :])


def test_transfers_and_launches_keep_their_order(device: Device) -> None:
    x, y = random_words(5000), random_words(5000)
    a, b, out = device.upload(x), device.upload(y), device.empty(20_000)
    for _ in range(5):
        mix(device, a, b, out)
        device.write(a, new := random_words(5000))
        mix(device, out, a, b)
        np.testing.assert_array_equal(words(device, out), mixed(x, y))
        x, y = new, mixed(mixed(x, y), new)
        np.testing.assert_array_equal(words(device, b), y)


def test_memory_that_came_back_is_written_behind_the_launches_that_use_it(device: Device) -> None:
    x, y = random_words(5000), random_words(5000)
    a, b, out = device.upload(x), device.upload(y), device.empty(20_000)
    mix(device, a, b, out)
    memory = a.memory
    del a
    again = device.upload(z := random_words(5000))
    assert again.memory is memory
    np.testing.assert_array_equal(words(device, out), mixed(x, y))
    np.testing.assert_array_equal(words(device, again), z)


@pytest.mark.parametrize("make", [lambda x: x.T, lambda x: x[::2], lambda x: x[:, 1:3], lambda x: x[3, 2]])
def test_arrays_of_any_strides_are_uploaded_in_their_order(
    device: Device, make: Callable[[np.ndarray], np.ndarray]
) -> None:
    array = np.asarray(make(random_words(6000).reshape(60, 100)))
    got = np.zeros(array.shape, np.uint32)
    device.read(device.upload(array), got)
    np.testing.assert_array_equal(got, array)


def test_an_array_may_change_and_go_as_soon_as_it_is_uploaded(device: Device) -> None:
    x = random_words(5000)
    sent = x.copy()
    buffer = device.upload(sent)
    sent[:] = 0
    del sent
    np.testing.assert_array_equal(words(device, buffer), x)


def test_what_cannot_be_written_to_is_uploaded(device: Device) -> None:
    x = random_words(5000)
    x.flags.writeable = False
    np.testing.assert_array_equal(words(device, device.upload(x)), x)


def test_a_busy_buffer_is_written_without_waiting_for_it(
    adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Device(adapter) as device:
        if not device.transfer.mapped_write:
            pytest.skip("the host cannot map storage buffers here")
        x = random_words(64)
        buffer = device.upload(x)
        fill(device, buffer, 3)
        device.queue.flush()
        with monkeypatch.context() as patched:
            patched.setattr(device.queue, "idle", lambda: False)
            patched.setattr(device.queue, "poll_until", lambda answered: pytest.fail("it waited"))
            device.write(buffer, x)
        np.testing.assert_array_equal(words(device, buffer), x)


# Interruptions.


class Interrupted:
    """A function that is interrupted before or after its n-th call."""

    def __init__(self, function: Callable[..., object], *, after: bool, calls: int) -> None:
        self.function, self.after, self.calls = function, after, calls

    def __call__(self, *kwargs: object, **more: object) -> object:
        self.calls -= 1
        if self.calls == 0 and not self.after:
            raise KeyboardInterrupt
        answer = self.function(*kwargs, **more)
        if self.calls == 0:
            raise KeyboardInterrupt
        return answer


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("calls", [1, 2, 4])
@pytest.mark.parametrize("where", ["copyto", "poll_until", "encode", "answer", "idle"])
def test_an_interrupted_transfer_leaves_the_device_and_its_buffers_usable(
    device: Device, monkeypatch: pytest.MonkeyPatch, where: str, calls: int, after: bool
) -> None:
    owner = {"copyto": np, "poll_until": device.queue}.get(where, device.queue.commands)
    x, y = random_words(5000), random_words(5000)
    a, b, out = device.upload(x), device.upload(y), device.empty(20_000)
    mix(device, a, b, out)
    for action in (lambda: device.write(a, x), lambda: words(device, out), lambda: words(device, a)):
        with monkeypatch.context() as patched:
            interrupted = Interrupted(getattr(owner, where), after=after, calls=calls)
            patched.setattr(owner, where, interrupted)
            try:
                action()
            except KeyboardInterrupt:
                assert interrupted.calls <= 0
        assert staging_bytes(device) == 0
    device.write(a, x := random_words(5000))
    mix(device, a, b, out)
    np.testing.assert_array_equal(words(device, out), mixed(x, y))
    np.testing.assert_array_equal(words(device, a), x)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_map_interrupted_while_asking_leaves_the_buffer_usable(
    adapter: Adapter, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    with Device(adapter) as device:
        buffer = device.upload(x := random_words(64))
        commands = device.queue.commands
        with monkeypatch.context() as patched:
            patched.setattr(commands, "ask_map", Interrupted(commands.ask_map, after=after, calls=1))
            with pytest.raises(KeyboardInterrupt):
                words(device, buffer)
        np.testing.assert_array_equal(words(device, buffer), x)


def test_a_transfer_that_ran_out_of_time_leaves_the_device_and_its_buffers_usable(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = device.upload(x := random_words(5000))
    device.wait()
    with monkeypatch.context() as patched:
        patched.setattr(device.queue, "timeout_s", -1.0)
        patched.setattr(device.queue.commands, "answer", lambda token: False)
        if device.transfer.mapped_read:
            patched.setattr(device.queue, "idle", lambda: False)
        with pytest.raises(DeviceError, match="did not finish in time"):
            words(device, buffer)
    assert staging_bytes(device) == 0
    np.testing.assert_array_equal(words(device, buffer), x)


def test_an_interrupted_start_of_threads_leaves_none_that_copies(
    adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in WAYS["threads"].items():
        monkeypatch.setattr(transfer, name, value)
    start, started = threading.Thread.start, []

    def interrupted(thread: threading.Thread) -> None:
        if started:
            raise KeyboardInterrupt
        started.append(thread)
        start(thread)

    with Device(adapter, staged=True) as device:
        buffer, going_on = device.empty(40_000), threading.Event()
        copy = device.transfer._write_staged
        monkeypatch.setattr(device.transfer, "_write_staged", lambda *each: going_on.wait(0.2) or copy(*each))
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", interrupted)
            with pytest.raises(KeyboardInterrupt):
                device.write(buffer, random_words(10_000))
        assert not started[0].is_alive()
        device.write(buffer, x := random_words(10_000))
        np.testing.assert_array_equal(words(device, buffer), x)


# Ctrl-C at the start of any function of ours, and behind any call of C in them: there the interpreter may
# raise it, and each is tried.
SWEEP = """
import faulthandler, time
faulthandler.dump_traceback_later(100, exit=True)
d = Device(staged={staged}, timeout_s=5.0)
x, y = np.arange(64, dtype=np.uint32), np.zeros(64, np.uint32)
a, b = d.upload(x), d.upload(y)
left, where = 0, ""

def watch(frame, event, argument):
    global left, where
    name = frame.f_code.co_qualname
    if event not in ("call", "c_return") or "rusty_py" not in frame.f_code.co_filename or {apart}:
        return
    left -= 1
    if left == 0:
        sys.setprofile(None)
        where = f"{{name}}:{{frame.f_lineno}} {{event}}"
        raise KeyboardInterrupt

def work(value):
    launch(d, FILL, outputs=[a], uniforms=(64, value, 256), workgroups=(1, 1, 1))
    d.write(b, x)
    launch(d, FILL, outputs=[b], uniforms=(32, value, 256), workgroups=(1, 1, 1))
    d.write(b, np.full(16, 9, np.uint32))
    got, other = np.zeros(64, np.uint32), np.zeros(64, np.uint32)
    d.read(b, got)
    d.read(a, other)
    return got, other

work(1)
wrong, n = [], 0
while True:
    n += 1
    left, where = n, ""
    sys.setprofile(watch)
    try:
        work(2)
    except KeyboardInterrupt:
        pass
    except Exception as error:
        wrong.append(f"{{where}}: raised {{error}}")
    finally:
        sys.setprofile(None)
    if not where or len(wrong) > 40:
        break
    try:
        got, other = work(n)
        if not ((got[:16] == 9).all() and (got[16:32] == n).all() and (got[32:] == x[32:]).all()):
            wrong.append(f"{{where}}: b")
        if not (other == n).all():
            wrong.append(f"{{where}}: a")
    except Exception as error:
        wrong.append(f"{{where}}: {{error}}")
        d = Device(staged={staged}, timeout_s=5.0)
        a, b = d.upload(x), d.upload(y)
    if d.transfer.reading.stats().live_bytes + d.transfer.writing.stats().live_bytes:
        wrong.append(f"{{where}}: staging memory is lost")
        d = Device(staged={staged}, timeout_s=5.0)
        a, b = d.upload(x), d.upload(y)
print(*wrong or [n > 100], sep="\\n")
"""


# Where an exception cannot leave the function (finalizers, callbacks of C), and single steps of the pool,
# which may lose one piece of memory.
APART = ("<locals>.answer", "<locals>.free", "__del__", "Pool.")
MAPPING = ("ask_map", "unmap")


def swept(*, staged: bool, apart: str) -> str:
    return outcome(SWEEP.format(staged=staged, apart=apart), timeout_s=120)


@pytest.mark.parametrize("staged", [False, True], ids=["mapped", "staged"])
def test_ctrl_c_anywhere_leaves_the_device_and_its_buffers_usable(adapter: Adapter, staged: bool) -> None:
    assert swept(staged=staged, apart=f"any(part in name for part in {APART + MAPPING})") == "True"


def test_ctrl_c_while_a_buffer_is_mapped_or_unmapped_leaves_it_usable(adapter: Adapter) -> None:
    assert swept(staged=False, apart=f"not name.endswith({MAPPING})") == "False"


@pytest.mark.parametrize("staged", [False, True], ids=["mapped", "staged"])
def test_ctrl_c_while_the_driver_answers_leaves_the_device_usable(adapter: Adapter, staged: bool) -> None:
    assert swept(staged=staged, apart='"<locals>.answer" not in name') == "False"


# Memory of the host.

RESIDENT = """
import psutil, time
MIB = 1 << 20
d = Device(staged=True)
array, back = np.ones({mib} * MIB // 4, np.float32), np.ones({mib} * MIB // 4, np.float32)
b = d.zeros(array.nbytes)  # The memory of a CPU driver counts, and from now on it is there.
d.wait()
process, peak, stop = psutil.Process(), [0], threading.Event()

def watch():
    while not stop.is_set():
        peak[0] = max(peak[0], process.memory_info().rss)
        time.sleep(0.001)

start = process.memory_info().rss
watcher = threading.Thread(target=watch)
watcher.start()
for _ in range({times}):
    d.write(b, array[:{part} * MIB // 4])
d.read(b, back)
stop.set()
watcher.join()
print((peak[0] - start) // MIB, (array == back)[:{part} * MIB // 4].all())
"""


def grown_mib(**kwargs: int) -> int:
    grown, right = outcome(RESIDENT.format(**kwargs), timeout_s=120).split()
    assert right == "True"
    return int(grown)


# Staging memory to read and to write, and some room for what else moves.
STAGED_MIB = 2 * MAX_STAGED_BYTES // 2**20 + 50


def test_a_large_staged_transfer_needs_little_more_than_its_arrays(adapter: Adapter) -> None:
    assert grown_mib(mib=256, times=1, part=256) < STAGED_MIB


def test_many_staged_writes_without_a_launch_need_little_more_than_their_arrays(adapter: Adapter) -> None:
    assert grown_mib(mib=32, times=30, part=16) < 150


@pytest.mark.slow
def test_a_very_large_staged_transfer_needs_no_more(adapter: Adapter) -> None:
    assert grown_mib(mib=512, times=1, part=512) < STAGED_MIB


# Closing and destroying while a transfer runs: wgpu-native would end the process.

MEANWHILE = """
from rusty_py import RustyError
d = Device(staged={staged})
array = np.arange(100_000, dtype=np.uint32)
b, got = d.upload(array, label="x"), np.zeros_like(array)
d.wait()
owner, name = {where}
function = getattr(owner, name)

def late(*about, **more):
    setattr(owner, name, function)
    answer = function(*about, **more)
    other = threading.Thread(target={what})
    other.start()
    other.join(timeout=1)
    return answer

setattr(owner, name, late)
try:
    {action}
    print("done")
except RustyError as error:
    print("told")
except Exception as error:
    print(repr(error))
"""
READ, WRITE = "d.read(b, got)", "d.write(b, array)"
STAGING, WAIT, CHECK = "d.transfer.reading, 'take'", "d.queue, 'wait'", "d, 'ensure_usable'"


@pytest.mark.parametrize(
    ("staged", "where", "what", "action"),
    [
        (False, WAIT, "d.close", READ),
        (False, WAIT, "b.destroy", READ),
        (False, CHECK, "d.close", WRITE),
        (False, CHECK, "b.destroy", WRITE),
        (False, CHECK, "d.close", READ),
        (True, CHECK, "d.close", WRITE),
        (True, CHECK, "b.destroy", WRITE),
        (True, CHECK, "b.destroy", READ),
        (True, CHECK, "d.close", READ),
        (True, STAGING, "d.close", READ),
        (True, STAGING, "b.destroy", READ),
    ],
)
def test_closing_or_destroying_during_a_transfer_is_told(
    adapter: Adapter, staged: bool, where: str, what: str, action: str
) -> None:
    script = MEANWHILE.format(staged=staged, where=where, what=what, action=action)
    assert outcome(script) in ("told", "done")
