"""How devices end: closed, lost, forked, or left alone, in processes of their own."""

import sys

import pytest

from rusty_py import Adapter

from .children import ended, outcome
from .operands import needs_mapping

START = """
import time
from rusty_py import RustyError
from rusty_py.runtime.timing import Timer
from wgpu.backends.wgpu_native import lib
d = Device()
b, c = d.upload(np.arange(4, dtype=np.uint32), label="b"), d.upload(np.arange(4, dtype=np.uint32))
launched = lambda buffer, value=7: launch(
    d, FILL, outputs=[buffer], uniforms=(4, value, 256), workgroups=(1, 1, 1)
)
got = np.zeros(4, np.uint32)
with d.capture() as graph:
    out = d.empty(16)
    launched(out)
prepared = fill(d, c)
recording = record(d, [prepared])
lose = lambda: lib.wgpuDeviceDestroy(d.raw._internal)

def captured():
    with d.capture():
        launched(d.empty(16))

def told(action):
    try:
        action()
    except DeviceError as error:
        print("told", flush=True)
    else:
        print("silent", flush=True)
"""


def spoken(script: str, *, staged: bool = False) -> list[str]:
    start = START.replace("d = Device()", "d = Device(staged=True)") if staged else START
    return outcome(start + script).split()


# Closed.


@pytest.mark.parametrize("staged", [False, True], ids=["mapped", "staged"])
def test_a_handler_of_a_signal_closes_a_device_in_the_middle_of_a_copy(
    adapter: Adapter, staged: bool
) -> None:
    """The copy ends, and nothing waits for it."""
    script = """
import signal
signal.signal(signal.SIGTERM, lambda *_: d.close())
copy, large = np.copyto, d.upload(x := np.arange(1 << 20, dtype=np.uint32))
got = np.zeros(1 << 20, np.uint32)

def copy_and_signal(*arguments):
    signal.raise_signal(signal.SIGTERM)
    copy(*arguments)

np.copyto, start = copy_and_signal, time.monotonic()
d.read(large, got)
print((got == x).all(), time.monotonic() - start < 5)
told(lambda: d.read(large, got))
"""
    assert spoken(script, staged=staged) == ["True", "True", "told"]


def test_a_device_closed_in_a_batch_forgets_it(adapter: Adapter) -> None:
    script = """
with d.batch():
    launched(b)
    d.close()
    told(lambda: launched(b))
told(d.batch)
"""
    assert spoken(script) == ["told", "told"]


def test_a_device_closes_behind_a_batch_of_its_block(adapter: Adapter) -> None:
    script = """
with Device() as e:
    buffer = e.upload(np.zeros(4, np.uint32))
    with e.batch():
        run(e, [fill(e, buffer)])
        launch(e, FILL, outputs=[buffer], uniforms=(4, 7, 256), workgroups=(1, 1, 1))
    launch(e, FILL, outputs=[buffer], uniforms=(4, 8, 256), workgroups=(1, 1, 1))
e.close()
told(lambda: e.read(buffer, got))
"""
    assert spoken(script) == ["told"]


ACTIONS = {
    "launch": "launched(b)",
    "prepare": "fill(d, c)",
    "record": "record(d, [prepared])",
    "run": "run(d, [prepared])",
    "submit": "d.submit(recording)",
    "read": "d.read(b, got)",
    "write": "d.write(b, got)",
    "upload": "d.upload(got)",
    "empty": "d.empty(100_000)",
    "zeros": "d.zeros(100_000)",
    "wait": "d.wait()",
    "batch": "d.batch()",
    "capture": "captured()",
    "replay": "graph.replay()",
    "timer": "Timer(d)",
    "matmul": "matmul(ONES, ONES, device=d)",
}


def test_a_closed_device_refuses_everything_and_frees_what_it_can(adapter: Adapter) -> None:
    script = "launched(b)\nd.close()\n"
    script += "".join(f"told(lambda: {action})\n" for action in ACTIONS.values())
    script += "b.destroy(); d.purge(); d.pool_stats(); d.cache_stats(); d.close(); print(d.closed)\n"
    assert spoken(script) == ["told"] * len(ACTIONS) + ["True"]


def test_who_waits_for_a_device_that_is_closed_meanwhile_is_told(adapter: Adapter) -> None:
    script = """
large = [d.upload(np.ones((512, 512), np.float32)) for _ in range(3)]
long = [record(d, launches(d, *large, m=512, k=512, n=512)) for _ in range(8)]
idle = d.queue.commands.idle

def close_then_poll(device):
    d.close()
    return False

d.submit(*long)
d.queue.commands.idle = close_then_poll
told(d.wait)
"""
    assert spoken(script) == ["told"]


def test_a_device_may_be_closed_by_many_threads(adapter: Adapter) -> None:
    script = """
launched(b)
closing = [threading.Thread(target=d.close) for _ in range(8)]
[thread.start() for thread in closing]
[thread.join() for thread in closing]
print(d.closed)
"""
    assert spoken(script) == ["True"]


def test_closing_one_device_leaves_another_alone(adapter: Adapter) -> None:
    script = """
e = Device()
d.close()
buffer = e.upload(np.zeros(4, np.uint32))
run(e, [fill(e, buffer)])
e.read(buffer, got)
print(got.tolist() == [7] * 4)
"""
    assert spoken(script) == ["True"]


# Used up, twice, or by another.

MISUSES = {
    "replay with a destroyed input": (
        "with d.capture() as g: launched(b)\nb.destroy(); told(g.replay)",
        ["told"],
    ),
    "replay with a destroyed output": ("out.destroy(); told(graph.replay)", ["told"]),
    "launch on a destroyed buffer": ("b.destroy(); told(lambda: launched(b))", ["told"]),
    "launch on a mapped buffer": (
        "with mapped(d.queue, b.memory, 16, write=False): told(lambda: launched(b))\nlaunched(b); d.wait()",
        ["told"],
    ),
    "replay on a mapped buffer": (
        "with d.capture() as g: launched(b)\n"
        "with mapped(d.queue, b.memory, 16, write=False): told(g.replay)\n"
        "g.replay(); d.wait()",
        ["told"],
    ),
    "read of a mapped buffer": (
        "with mapped(d.queue, b.memory, 16, write=False): told(lambda: d.read(b, got))",
        ["told"],
    ),
    "destroy of a mapped buffer": (
        "with mapped(d.queue, b.memory, 16, write=False): launched(c)\n"
        "b.destroy(); told(lambda: d.read(b, got)); d.wait()",
        ["told"],
    ),
    "write to a destroyed buffer": ("b.destroy(); told(lambda: d.write(b, got))", ["told"]),
    "read of a destroyed buffer": ("b.destroy(); told(lambda: d.read(b, got))", ["told"]),
    "submit twice": ("d.submit(recording); told(lambda: d.submit(recording))", ["told"]),
    "close and replay": ("graph.replay(); d.close(); told(graph.replay)", ["told"]),
    "destroy in the open batch": ("launched(b); b.destroy(); launched(c); d.wait(); print('fine')", ["fine"]),
    "destroy in a block": (
        "with d.batch():\n    launched(b); b.destroy(); launched(c); told(lambda: launched(b))\nd.wait()",
        ["told"],
    ),
    "destroy between record and submit": ("c.destroy(); told(lambda: d.submit(recording))", ["told"]),
    "record of a destroyed buffer": ("c.destroy(); told(lambda: run(d, [prepared]))", ["told"]),
    "purge with everything in flight": (
        "launched(b); graph.replay(); d.submit(recording); del b, c, out, graph, recording, prepared\n"
        "d.purge(); d.wait(); d.purge(); print('fine')",
        ["fine"],
    ),
    "graph of another device": (
        "e = Device(); x = e.upload(got)\ndef mixed():\n    with d.capture(): launched(x)\ntold(mixed)",
        ["told"],
    ),
}


@pytest.mark.parametrize(
    "case",
    MISUSES,
)
def test_what_a_caller_does_wrong_never_ends_the_process(adapter: Adapter, case: str) -> None:
    script, said = MISUSES[case]
    if "mapped" in case:
        needs_mapping(adapter)
    assert spoken(script) == said


# Lost.

# These find out only when there is work to send.
_LATER = ("launch", "prepare", "batch", "wait", "replay")


@pytest.mark.parametrize(
    "action",
    [name for name in ACTIONS if name not in _LATER],
)
def test_whoever_uses_a_lost_device_is_told(adapter: Adapter, action: str) -> None:
    assert spoken(f"lose(); told(lambda: {ACTIONS[action]})") == ["told"]


def test_what_is_launched_on_a_lost_device_is_told_when_it_is_waited_for(adapter: Adapter) -> None:
    assert spoken("lose(); told(lambda: (launched(b), d.wait()))") == ["told"]
    assert spoken("launched(b); lose(); told(lambda: d.read(b, got))") == ["told"]
    assert spoken("lose(); told(lambda: (graph.replay(), d.wait()))") == ["told"]


def test_a_device_lost_in_a_batch_is_told_at_its_end(adapter: Adapter) -> None:
    script = """
def batched():
    with d.batch():
        launched(b)
        lose()
told(batched)
told(lambda: launched(b))
"""
    assert spoken(script) == ["told", "told"]


# Each with the loss unnoticed until then: what it needs from the device is refused.
UNNOTICED = {
    "write": "d.write(b, got)",
    "read": "d.read(b, got)",
    "zeros from the pool": "d.zeros(512)",
    "compile": "warm_up(d, [COPY])",
    "parameters": "[launched(b, 1000 + i) for i in range(300)]",
    "batch": "(launched(b), d.wait())",
    "replay": "(graph.replay(), d.wait())",
    "sample": "timer.sample([[prepared]])",
}


@pytest.mark.parametrize("staged", [True, False], ids=["staged", "mapped"])
def test_a_loss_is_a_device_error_wherever_it_is_noticed(adapter: Adapter, staged: bool) -> None:
    script = "from rusty_py.measure.kernels import COPY\nfrom rusty_py.runtime.launch import warm_up\n"
    script += "timer = Timer(d); d.zeros(512); d.wait(); lose()\n"
    script += "".join(f"d.queue.lost = False; told(lambda: {each})\n" for each in UNNOTICED.values())
    said = spoken(script, staged=staged)
    assert dict(zip(UNNOTICED, said, strict=True)) == dict.fromkeys(UNNOTICED, "told")


@pytest.mark.parametrize("end", ["b.destroy()", "d.purge()", "d.close()", "d.pool_stats()"])
def test_a_lost_device_can_be_cleared_away(adapter: Adapter, end: str) -> None:
    script = f"""
launched(b)
lose()
try:
    {end}
except DeviceError:
    pass
d.close()
del b, c, out, graph, d
print("fine")
"""
    assert spoken(script) == ["fine"]


def test_a_device_lost_with_work_in_flight_is_told(adapter: Adapter) -> None:
    script = "launched(b); d.queue.flush(); lose(); told(lambda: d.read(b, got)); told(d.wait)"
    assert spoken(script) == ["told", "told"]


def test_a_lost_default_device_is_followed_by_another(adapter: Adapter) -> None:
    script = """
d.close()
d = default_device()
lose()
print(default_device() is not d, matmul(ONES, ONES)[0, 0])
"""
    assert spoken(script) == ["True", "33.0"]


def test_an_operation_that_finds_the_default_device_lost_says_so_and_the_next_has_another(
    adapter: Adapter,
) -> None:
    script = """
from rusty_py import zeros

d.close()
d = default_device()
zeros(3).numpy()
lose()
told(lambda: zeros(3).numpy())
print(zeros(3).numpy().sum(), default_device() is not d)
"""
    assert spoken(script) == ["told", "0.0", "True"]


def test_a_lost_device_leaves_another_alone(adapter: Adapter) -> None:
    script = "e = Device(); lose(); print(matmul(ONES, ONES, device=e)[0, 0]); told(d.wait)"
    assert spoken(script)[0] == "33.0"


@pytest.mark.parametrize(
    "quiet", ["logging.disable(logging.CRITICAL)", "logging.getLogger('wgpu').setLevel(99)"]
)
def test_a_loss_is_told_also_where_nothing_is_logged(adapter: Adapter, quiet: str) -> None:
    assert spoken(f"import logging; {quiet}; lose(); told(lambda: d.submit(recording))") == ["told"]


# The end of the interpreter.

ENDS = {
    "with work in flight": "launched(b); d.queue.flush()",
    "with an open batch": "launched(b)",
    "inside an explicit batch": "launched(b); held = d.batch(); held.__enter__(); launched(b)",
    "inside a capture": "held = d.capture(); held.__enter__(); launched(b)",
    "with a live graph": "graph.replay()",
    "with a graph that was never replayed": "pass",
    "with everything in a cycle": "ring = [d, b, c, graph, out]; ring.append(ring)",
    "with a thread that launches": (
        "threading.Thread(target=lambda: [launched(b) for _ in range(10**9)], daemon=True).start()"
        "; time.sleep(0.1)"
    ),
    "by an exception in a block": "lose\nwith d.batch():\n    launched(b)\n    sys.exit(0)",
    "after closing": "launched(b); d.close()",
}


@pytest.mark.parametrize(
    "how",
    ENDS,
)
def test_the_interpreter_ends_well(adapter: Adapter, how: str) -> None:
    done = ended(START + ENDS[how], timeout_s=20)
    assert (done.code, done.err) == (0, "")


# Forked.

FORKED = """
launched(b)
child = os.fork()
if child == 0:
    {child}
    sys.stdout.flush()
    os._exit(0)
deadline = time.monotonic() + 5
while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
    if time.monotonic() > deadline:
        os.kill(child, 9)
        os.waitpid(child, 0)
        break
    time.sleep(0.01)
print("ended" if ended == (child, 0) else f"not well: {{ended}}")
d.read(b, got)
print(got.tolist() == [7] * 4)
"""


@pytest.mark.skipif(
    sys.platform in ("win32", "darwin"), reason="Windows has no fork, and macOS warns against it"
)
def test_a_forked_child_is_told_with_an_open_batch_too(adapter: Adapter) -> None:
    actions = ["default_device", "Device", *(f"lambda: {action}" for action in ACTIONS.values())]
    child = "; ".join(f"told({action})" for action in actions)
    assert spoken(FORKED.format(child=child)) == ["told"] * len(actions) + ["ended", "True"]


@pytest.mark.skipif(
    sys.platform in ("win32", "darwin"), reason="Windows has no fork, and macOS warns against it"
)
@pytest.mark.parametrize(
    "child",
    [
        "b.destroy(); print('told')",
        "d.close(); print('told')",
        "del b, c, out, graph, prepared, recording, d; print('told')",
        "d.purge(); print('told')",
    ],
)
def test_a_forked_child_may_clear_away_what_it_inherited(adapter: Adapter, child: str) -> None:
    assert spoken(FORKED.format(child=child)) == ["told", "ended", "True"]


@pytest.mark.skipif(
    sys.platform in ("win32", "darwin"), reason="Windows has no fork, and macOS warns against it"
)
def test_a_batch_that_was_open_at_a_fork_is_sent_by_the_parent_alone(adapter: Adapter) -> None:
    script = """
send = d.queue.commands.submission
calls = []
d.queue.commands.submission = lambda *about: calls.append(os.getpid()) or send(*about)
parent = os.getpid()
with d.batch():
    launched(b)
    child = os.fork()
if child == 0:
    print(len(calls), flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(len(calls), flush=True)
"""
    assert spoken(script) == ["0", "1"]


ENDINGS = {
    "returns": "sys.exit(0)",
    "raises": "raise ValueError('expected')",
    "os._exit": "os._exit(0)",
    "signal": "os.kill(os.getpid(), 9)",
}
STATUSES = {"returns": 0, "raises": 1, "os._exit": 0, "signal": -9}

CHILDREN = """
import multiprocessing, subprocess, warnings
warnings.simplefilter("ignore")
x = np.random.default_rng().random((64, 64), np.float32)
right = x @ x

def forked(end):
    child = os.fork()
    if child == 0:
        os.close(2)  # An expected traceback.
        os.open(os.devnull, os.O_WRONLY)
        exec(end)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def by_multiprocessing():
    child = multiprocessing.get_context("fork").Process(target=abs, args=(1,))
    child.start()
    child.join()
    return child.exitcode

def by_subprocess():
    return subprocess.run([sys.executable, "-c", ""]).returncode

ways = [lambda end=end: forked(end) for end in {endings}] + [by_multiprocessing, by_subprocess]
for child in range(24):
    status = ways[child % len(ways)]()
    off = np.abs(matmul(x, x, device=d) - right).max()
    print(status, bool(off < 1e-3), flush=True)
"""


@pytest.mark.skipif(
    sys.platform in ("win32", "darwin"), reason="Windows has no fork, and macOS warns against it"
)
def test_a_parent_computes_on_whatever_way_its_children_end(adapter: Adapter) -> None:
    said = spoken(CHILDREN.replace("{endings}", repr(list(ENDINGS.values()))))
    statuses = [*STATUSES.values(), 0, 0] * 4
    assert said == [word for status in statuses for word in (str(status), "True")]


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="libraries' destructors are skipped on Linux"
)
def test_a_forked_child_leaves_out_the_destructors_of_libraries(adapter: Adapter) -> None:
    """Drivers' destructors would close what the parent still uses; here one aborts."""
    script = """
import ctypes
libc = ctypes.CDLL(None)
libc.on_exit(libc.abort, None)
for end in (0, 3):
    child = os.fork()
    if child == 0:
        sys.stdout.write("told ")
        sys.exit(end)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
os._exit(0)
"""
    assert spoken(script) == ["told", "0", "told", "3"]
