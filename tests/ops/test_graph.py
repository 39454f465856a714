"""Captured graphs: a replay gives what the launches would give, and what must not be is refused."""

import gc
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rusty_py as rp
from rusty_py import Adapter, Device, DeviceError, OutOfMemory, RustyError
from rusty_py.measure.kernels import FILL
from rusty_py.runtime.buffer import Buffer
from rusty_py.runtime.launch import launch
from rusty_py.runtime.pool import size_class

from .children import outcome
from .work import MIX, Words, fill, mix, mix_uniforms, mixed, prepared_fill, random_words, words


@pytest.fixture(params=["mapped", "staged"])
def moving(request: pytest.FixtureRequest, adapter: Adapter) -> Iterator[Device]:
    """A device for each way of moving data."""
    with Device(adapter, staged=request.param == "staged") as device:
        yield device


@pytest.fixture
def fresh(adapter: Adapter) -> Iterator[Device]:
    with Device(adapter) as device:
        yield device


def in_thread(action: Callable[[], object]) -> object:
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(action).result(timeout=60)


# Programs: what becomes of a few arrays, by NumPy and by launches.

Operation = tuple[str, int, int, int]
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["mix", "mix", "mix", "mix into", "fill", "new", "drop"]),
        st.integers(0, 1000),
        st.integers(0, 1000),
        st.integers(0, 1000),
    ),
    min_size=1,
    max_size=16,
)


def apply(program: list[Operation], arrays: list[Words]) -> list[Words]:
    """What the program makes of `arrays`, which it may change, by NumPy. Returns the arrays at its end."""
    inputs, arrays = len(arrays), list(arrays)
    for kind, i, j, k in program:
        x, y, z = (arrays[number % len(arrays)] for number in (i, j, k))
        count = min(len(x), len(y), len(z))
        if kind == "mix":
            arrays.append(mixed(x[: min(len(x), len(y))], y[: min(len(x), len(y))]))
        elif kind == "mix into" and z is not x and z is not y:
            z[:count] = mixed(x[:count], y[:count])
        elif kind == "fill":
            z[: i % len(z) + 1] = i
        elif kind == "new":
            arrays.append(np.full(j % 80 + 1, i, np.uint32))
        elif kind == "drop" and len(arrays) > inputs:
            del arrays[inputs + i % (len(arrays) - inputs)]
    return arrays


def run(device: Device, program: list[Operation], buffers: list[Buffer]) -> list[Buffer]:
    """The same by launches."""
    inputs, buffers = len(buffers), list(buffers)

    def mix_words(x: Buffer, y: Buffer, out: Buffer, count: int) -> None:
        uniforms, groups = mix_uniforms(count), (1, 1, 1)
        launch(device, MIX, inputs=[x, y], outputs=[out], uniforms=uniforms, workgroups=groups)

    for kind, i, j, k in program:
        x, y, z = (buffers[number % len(buffers)] for number in (i, j, k))
        count = min(x.nbytes, y.nbytes, z.nbytes) // 4
        if kind == "mix":
            out = device.empty(min(x.nbytes, y.nbytes))
            mix_words(x, y, out, out.nbytes // 4)
            buffers.append(out)
        elif kind == "mix into" and z is not x and z is not y:
            mix_words(x, y, z, count)
        elif kind == "fill":
            fill(device, z, i, count=i % (z.nbytes // 4) + 1)
        elif kind == "new":
            buffers.append(device.empty(4 * (j % 80 + 1)))
            fill(device, buffers[-1], i)
        elif kind == "drop" and len(buffers) > inputs:
            del buffers[inputs + i % (len(buffers) - inputs)]
    return buffers


@settings(max_examples=100)
@given(program=OPERATIONS, lengths=st.lists(st.integers(1, 80), min_size=1, max_size=3), data=st.data())
def test_replays_give_what_the_program_gives(
    unchecked: Device, program: list[Operation], lengths: list[int], data: st.DataObject
) -> None:
    arrays = [random_words(length) for length in lengths]
    buffers = [unchecked.upload(array) for array in arrays]
    with unchecked.capture() as graph:
        results = run(unchecked, program, buffers)
        del results[data.draw(st.integers(len(lengths), len(results))) :]
    for _ in range(3):
        graph.replay()
        expected = apply(program, arrays)[: len(results)]
        for got, array in zip(results, expected, strict=True):
            np.testing.assert_array_equal(words(unchecked, got), array)
        for i, buffer in enumerate(buffers):
            if data.draw(st.booleans()):
                arrays[i] = random_words(lengths[i])
                unchecked.write(buffer, arrays[i])


@settings(max_examples=40)
@given(program=OPERATIONS, lengths=st.lists(st.integers(1, 80), min_size=1, max_size=3))
def test_eager_launches_give_what_the_program_gives(
    unchecked: Device, program: list[Operation], lengths: list[int]
) -> None:
    arrays = [random_words(length) for length in lengths]
    buffers = [unchecked.upload(array) for array in arrays]
    for _ in range(2):
        results = run(unchecked, program, buffers)
        for got, array in zip(results, apply(program, arrays), strict=True):
            np.testing.assert_array_equal(words(unchecked, got), array)


# Replays.


def test_captured_launches_do_not_run_before_the_replay(fresh: Device) -> None:
    buffer = fresh.upload(np.zeros(4, np.uint32))
    before = fresh.queue.submissions
    with fresh.capture() as graph:
        fill(fresh, buffer, 7)
    assert fresh.queue.submissions == before
    assert words(fresh, buffer).tolist() == [0] * 4
    graph.replay()
    assert words(fresh, buffer).tolist() == [7] * 4


def test_replays_read_what_is_in_the_inputs_then(moving: Device) -> None:
    x, y = random_words(32), random_words(32)
    a, b = moving.upload(x), moving.upload(y)
    with moving.capture() as graph:
        out = moving.empty(128)
        mix(moving, a, b, out)
    for _ in range(5):
        graph.replay()
        moving.write(a, new := random_words(32))
        np.testing.assert_array_equal(words(moving, out), mixed(x, y))
        x = new


def test_replays_in_a_row_run_one_behind_the_other(moving: Device) -> None:
    x, y = random_words(32), random_words(32)
    a, b = moving.upload(x), moving.upload(y)
    with moving.capture() as graph:
        between = moving.empty(128)
        mix(moving, a, b, between)
        mix(moving, between, b, a)
        del between
    for _ in range(20):
        graph.replay()
        x = mixed(mixed(x, y), y)
    np.testing.assert_array_equal(words(moving, a), x)


def test_a_replay_comes_behind_the_launches_before_it_and_before_those_behind_it(fresh: Device) -> None:
    x = random_words(32)
    a, b = fresh.upload(x), fresh.upload(x)
    with fresh.capture() as graph:
        out = fresh.empty(128)
        mix(fresh, a, b, out)
    with fresh.batch():
        fill(fresh, a, 3)
        graph.replay()
        fill(fresh, a, 4)
    np.testing.assert_array_equal(words(fresh, out), mixed(np.full(32, 3, np.uint32), x))
    assert words(fresh, a).tolist() == [4] * 32


def test_what_is_uploaded_in_a_capture_is_a_constant(moving: Device) -> None:
    x, y = random_words(32), random_words(32)
    a = moving.upload(x)
    with moving.capture() as graph:
        constant, out = moving.upload(y), moving.empty(128)
        mix(moving, a, constant, out)
        del constant
    for _ in range(3):
        filler = [moving.upload(random_words(32)) for _ in range(3)]
        graph.replay()
        np.testing.assert_array_equal(words(moving, out), mixed(x, y))
        del filler


def test_zeros_are_not_made_in_a_capture_where_a_replay_would_not_clear_them(fresh: Device) -> None:
    with fresh.capture(), pytest.raises(DeviceError, match=r"^zeros: not in a capture: "):
        fresh.zeros(16)


def test_an_empty_graph_may_be_replayed(fresh: Device) -> None:
    with fresh.capture() as graph:
        pass
    graph.replay()
    assert graph.stats().launches == graph.stats().levels == graph.stats().width == 0


def test_a_graph_of_long_work_goes_out_in_parts(fresh: Device) -> None:
    buffer = fresh.upload(np.zeros(4, np.uint32))
    with fresh.capture() as graph:
        for i in range(6):
            fill(fresh, buffer, i, flops=int(0.15 * fresh.throughput.rate(FILL)))
    before = fresh.queue.submissions
    graph.replay()
    assert fresh.queue.submissions == before + 6
    assert words(fresh, buffer).tolist() == [5] * 4


def test_replays_of_few_launches_share_a_submission_and_keep_the_order(fresh: Device) -> None:
    x = rp.array(np.arange(8, dtype=np.float32), device=fresh)
    with fresh.capture() as graph:
        y = x + 1.0
    fresh.wait()
    before = fresh.queue.submissions
    totals = rp.zeros((8,), device=fresh)
    for _ in range(5):
        graph.replay()
        totals = totals + y
        x.assign(y)
    assert fresh.queue.submissions == before
    np.testing.assert_array_equal(totals.numpy(), 5 * np.arange(8) + 15)


# Order and memory.


def test_branches_lie_side_by_side(fresh: Device) -> None:
    a, b = fresh.upload(random_words(4)), fresh.upload(random_words(4))
    with fresh.capture() as graph:
        branches = [fresh.empty(16) for _ in range(4)]
        for branch in branches:
            mix(fresh, a, b, branch)
        joined = fresh.empty(16)
        mix(fresh, branches[0], branches[3], joined)
        del branches
    assert (graph.stats().launches, graph.stats().levels, graph.stats().width) == (5, 2, 4)
    assert graph.levels == [[0, 1, 2, 3], [4]]


def test_a_launch_that_overwrites_an_input_stays_behind_those_that_read_it(fresh: Device) -> None:
    x = random_words(4)
    a = fresh.upload(x)
    with fresh.capture() as graph:
        first, second = fresh.empty(16), fresh.empty(16)
        mix(fresh, a, a, first)
        mix(fresh, first, a, second)
        fill(fresh, a, 3)
    assert graph.levels == [[0], [1], [2]]
    graph.replay()
    np.testing.assert_array_equal(words(fresh, second), mixed(mixed(x, x), x))
    assert words(fresh, a).tolist() == [3] * 4


def test_a_chain_of_temporaries_shares_two_memories_and_is_right(moving: Device) -> None:
    x, y = random_words(256), random_words(256)
    a, b = moving.upload(x), moving.upload(y)
    with moving.capture() as graph:
        last = a
        for _ in range(9):
            new = moving.empty(1024)
            mix(moving, last, b, new)
            last = new
        del new
    stats = graph.stats()
    assert stats.unshared_bytes == 8 * size_class(1024)
    assert stats.planned_bytes == 2 * size_class(1024)
    for _ in range(9):
        x = mixed(x, y)
    graph.replay()
    np.testing.assert_array_equal(words(moving, last), x)


def test_what_lives_on_keeps_its_memory_to_itself(fresh: Device) -> None:
    a, b = fresh.upload(random_words(4)), fresh.upload(random_words(4))
    with fresh.capture() as graph:
        outs = [fresh.empty(16) for _ in range(5)]
        for out in outs:
            mix(fresh, a, b, out)
    assert graph.stats().planned_bytes == graph.stats().unshared_bytes == 0
    assert len({out.memory.serial for out in outs}) == 5


def test_memory_returns_when_graph_and_outputs_are_gone(fresh: Device) -> None:
    a = fresh.upload(random_words(64))
    before = fresh.pool_stats().live_bytes
    gc.disable()
    try:
        with fresh.capture() as graph:
            between, out = fresh.empty(256), fresh.empty(256)
            mix(fresh, a, a, between)
            mix(fresh, between, a, out)
            del between
        graph.replay()
        assert fresh.pool_stats().live_bytes == before + 512
        gone = weakref.ref(graph)
        del graph
        assert gone() is None
        assert fresh.pool_stats().live_bytes == before + 256
        del out
        assert fresh.pool_stats().live_bytes == before
    finally:
        gc.enable()


def test_outputs_outlive_their_graph(moving: Device) -> None:
    x = random_words(32)
    a = moving.upload(x)
    with moving.capture() as graph:
        out = moving.empty(128)
        mix(moving, a, a, out)
    graph.replay()
    del graph, a
    others = [moving.upload(random_words(32)) for _ in range(3)]
    np.testing.assert_array_equal(words(moving, out), mixed(x, x))
    del others


def test_a_graph_outlives_its_inputs_and_outputs(moving: Device) -> None:
    x, result = random_words(32), moving.empty(128)
    a = moving.upload(x)
    with moving.capture() as graph:
        out = moving.empty(128)
        mix(moving, a, a, out)
        mix(moving, out, a, result)
    del a, out
    others = [moving.upload(random_words(32)) for _ in range(4)]
    graph.replay()
    np.testing.assert_array_equal(words(moving, result), mixed(mixed(x, x), x))
    del others


def test_memory_of_a_graph_that_was_never_replayed_is_like_any_other(fresh: Device) -> None:
    with fresh.capture() as graph:
        out = fresh.empty(1024)
        fill(fresh, out, 3)
    memory = out.memory
    del graph, out
    x = random_words(256)
    again = fresh.upload(x)
    assert again.memory is memory
    np.testing.assert_array_equal(words(fresh, again), x)


def test_a_temporary_destroyed_in_a_capture_is_a_temporary(fresh: Device) -> None:
    x, before = random_words(4), fresh.pool_stats().live_bytes
    a = fresh.upload(x)
    with fresh.capture() as graph:
        between, out = fresh.empty(16), fresh.empty(16)
        mix(fresh, a, a, between)
        mix(fresh, between, a, out)
        between.destroy()
    graph.replay()
    np.testing.assert_array_equal(words(fresh, out), mixed(mixed(x, x), x))
    del graph, between, out, a
    assert fresh.pool_stats().live_bytes == before


# Refusals.


def test_an_output_has_no_values_before_the_first_replay(fresh: Device) -> None:
    with fresh.capture() as graph:
        out = fresh.empty(16, label="sum")
        fill(fresh, out, 3)
    for action in (
        lambda: words(fresh, out),
        lambda: fill(fresh, out, 4),
        lambda: fresh.write(out, random_words(4)),
        lambda: prepared_fill(fresh, out, 4),
    ):
        with pytest.raises(DeviceError, match="'sum' has no values before its graph is replayed"):
            action()
    graph.replay()
    assert words(fresh, out).tolist() == [3] * 4


def test_a_captured_buffer_has_no_values_in_its_capture(fresh: Device) -> None:
    with fresh.capture() as graph:
        out = fresh.empty(16, label="sum")
        fill(fresh, out, 3)
        for action in (
            lambda: words(fresh, out),
            lambda: fresh.write(out, random_words(4)),
            lambda: prepared_fill(fresh, out, 4),
        ):
            with pytest.raises(DeviceError, match="'sum' has no memory before its capture ends"):
                action()
    graph.replay()
    assert words(fresh, out).tolist() == [3] * 4


def test_one_capture_at_a_time(fresh: Device) -> None:
    buffer = fresh.upload(random_words(4))
    with fresh.capture() as graph:
        fill(fresh, buffer, 3)
        with pytest.raises(DeviceError, match="capturing already"):
            fresh.capture().__enter__()
        with pytest.raises(DeviceError, match="capturing already"):
            in_thread(lambda: fresh.capture().__enter__())
        fill(fresh, buffer, 4, count=1)
    graph.replay()
    assert words(fresh, buffer).tolist() == [4, 3, 3, 3]


def test_a_replay_in_a_capture_is_refused(fresh: Device) -> None:
    buffer = fresh.upload(random_words(4))
    with fresh.capture() as graph:
        fill(fresh, buffer, 3)
    with fresh.capture(), pytest.raises(DeviceError):
        graph.replay()


def test_an_input_destroyed_before_a_replay_is_told(adapter: Adapter) -> None:
    script = """
d = Device()
x, out = d.upload(np.ones(4, np.uint32), label='x'), d.empty(16)
with d.capture() as g:
    launch(d, FILL, outputs=[x], uniforms=(4, 7, 256), workgroups=(1, 1, 1))
    launch(d, FILL, outputs=[out], uniforms=(4, 7, 256), workgroups=(1, 1, 1))
g.replay()
x.destroy()
refused(g.replay)
d.wait()
"""
    assert outcome(script) == "DeviceError: replay: buffer 'x' is destroyed"


def test_an_input_destroyed_in_its_capture_is_told(fresh: Device) -> None:
    x = fresh.upload(random_words(4), label="x")

    def captured() -> None:
        with fresh.capture() as graph:
            mix(fresh, x, x, out := fresh.empty(16))
            x.destroy()
        graph.replay()
        words(fresh, out)

    with pytest.raises(RustyError):
        captured()
    buffer = fresh.upload(np.zeros(4, np.uint32))
    fill(fresh, buffer, 3)
    assert words(fresh, buffer).tolist() == [3] * 4


def test_an_exception_in_the_block_leaves_no_graph_and_a_usable_device(fresh: Device) -> None:
    buffer, made, graphs = fresh.upload(np.zeros(4, np.uint32)), [], []

    def captured() -> None:
        with fresh.capture() as graph:
            graphs.append(graph)
            made.append(fresh.empty(16, label="lost"))
            fill(fresh, made[0], 3)
            fill(fresh, buffer, 3)
            raise ZeroDivisionError

    live = fresh.pool_stats().live_bytes
    with pytest.raises(ZeroDivisionError):
        captured()
    with pytest.raises(DeviceError, match=r"^replay: the capture of this graph has not ended, or failed$"):
        graphs.pop().replay()
    for action in (lambda: words(fresh, made[0]), lambda: fill(fresh, made[0], 4)):
        with pytest.raises(DeviceError, match="'lost' has no memory"):
            action()
    assert fresh.pool_stats().live_bytes == live
    assert words(fresh, buffer).tolist() == [0] * 4
    fill(fresh, buffer, 5)
    assert words(fresh, buffer).tolist() == [5] * 4
    with fresh.capture() as graph:
        fill(fresh, buffer, 6)
    graph.replay()
    assert words(fresh, buffer).tolist() == [6] * 4


def test_a_capture_without_room_is_out_of_memory_and_the_device_goes_on(adapter: Adapter) -> None:
    with Device(adapter, memory_limit=100_000) as device:
        outs: list[Buffer] = []

        def captured() -> None:
            with device.capture():
                outs.extend(device.empty(60_000) for _ in range(2))
                for out in outs:
                    fill(device, out, 1)

        with pytest.raises(OutOfMemory):
            captured()
        for out in outs:
            with pytest.raises(DeviceError):
                words(device, out)
        del out
        outs.clear()
        assert device.pool_stats().live_bytes == 0
        x = random_words(15_000)
        np.testing.assert_array_equal(words(device, device.upload(x)), x)


def test_a_closed_device_neither_captures_nor_replays(adapter: Adapter) -> None:
    with Device(adapter) as device:
        buffer = device.upload(random_words(4))
        with device.capture() as graph:
            fill(device, buffer, 3)
    with pytest.raises(DeviceError, match="the device is closed"):
        graph.replay()
    with pytest.raises(DeviceError, match="the device is closed"):
        device.capture().__enter__()


def test_a_device_closed_in_a_capture_is_told(adapter: Adapter) -> None:
    device = Device(adapter)

    def captured() -> None:
        with device.capture():
            out = device.empty(16)
            fill(device, out, 3)
            device.close()
            fill(device, out, 4)

    with pytest.raises(DeviceError, match="the device is closed"):
        captured()


# Threads.


def test_launches_of_other_threads_run_at_once_during_a_capture(fresh: Device) -> None:
    mine, others = fresh.upload(np.zeros(4, np.uint32)), fresh.upload(np.zeros(4, np.uint32))

    def work() -> list[int]:
        made = fresh.empty(16)
        fill(fresh, made, 8)
        fill(fresh, others, 9)
        return words(fresh, made).tolist()

    with fresh.capture() as graph:
        fill(fresh, mine, 3)
        assert in_thread(work) == [8] * 4
        fill(fresh, mine, 4, count=1)
    assert words(fresh, others).tolist() == [9] * 4
    assert words(fresh, mine).tolist() == [0] * 4
    assert graph.stats().launches == 2
    graph.replay()
    assert words(fresh, mine).tolist() == [4, 3, 3, 3]


def test_another_thread_cannot_launch_on_a_buffer_of_a_capture(fresh: Device) -> None:
    with fresh.capture() as graph:
        out = fresh.empty(16, label="sum")
        fill(fresh, out, 3)
        for action in (lambda: fill(fresh, out, 4), lambda: words(fresh, out)):
            with pytest.raises(DeviceError, match="'sum' has no memory before its capture ends"):
                in_thread(action)
    graph.replay()
    assert words(fresh, out).tolist() == [3] * 4


def test_a_graph_may_be_replayed_in_another_thread(fresh: Device) -> None:
    with fresh.capture() as graph:
        out = fresh.empty(16)
        fill(fresh, out, 3)
    replayer = Thread(target=graph.replay)
    replayer.start()
    replayer.join(timeout=60)
    assert words(fresh, out).tolist() == [3] * 4
