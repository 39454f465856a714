"""The open batch: when it is submitted, and what must not overtake it.

For each guard there is a test that shows what goes wrong where the guard is taken out.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest

from rusty_py import Adapter, Device, LimitError, RustyError, ShaderError
from rusty_py.measure.kernels import FILL
from rusty_py.runtime import queue, uniforms
from rusty_py.runtime.buffer import Buffer
from rusty_py.runtime.launch import Spec, launch, record, run
from rusty_py.runtime.queue import Queue

from .children import aborts, outcome
from .work import fill, mix, mixed, prepared_fill, random_words, words


@pytest.fixture(params=["mapped", "staged"])
def moving(request: pytest.FixtureRequest, adapter: Adapter) -> Iterator[Device]:
    """A device for each way of moving data."""
    with Device(adapter, staged=request.param == "staged") as device:
        yield device


@pytest.fixture
def fresh(adapter: Adapter) -> Iterator[Device]:
    with Device(adapter) as device:
        yield device


def zeroed(device: Device, count: int = 4) -> Buffer:
    return device.upload(np.zeros(count, np.uint32))


def sent(device: Device) -> int:
    return device.queue.submissions


# When it goes out.


def test_a_launch_is_held_back_until_someone_reads(fresh: Device) -> None:
    buffer = zeroed(fresh)
    before = sent(fresh)
    fill(fresh, buffer, 7)
    fill(fresh, buffer, 8)
    assert sent(fresh) == before
    assert words(fresh, buffer).tolist() == [8] * 4
    assert sent(fresh) >= before + 1


def test_a_batch_goes_out_when_it_has_64_launches(fresh: Device) -> None:
    buffer = zeroed(fresh)
    before = sent(fresh)
    for i in range(queue.BATCH_LAUNCHES - 1):
        fill(fresh, buffer, i)
    assert sent(fresh) == before
    fill(fresh, buffer, 99)
    assert sent(fresh) == before + 1


def test_a_batch_goes_out_when_its_work_is_long(fresh: Device) -> None:
    buffer = zeroed(fresh)
    flops = int(0.6 * queue.BATCH_SECONDS * fresh.throughput.rate(FILL))
    before = sent(fresh)
    fill(fresh, buffer, 1, flops=flops)
    assert sent(fresh) == before
    fill(fresh, buffer, 2, flops=flops)
    assert sent(fresh) == before + 1


def test_a_batch_goes_out_when_it_touches_many_bytes(fresh: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "BATCH_BYTES", 40)
    buffer = zeroed(fresh)
    before = sent(fresh)
    fill(fresh, buffer, 1)
    fill(fresh, buffer, 2)
    assert sent(fresh) == before
    fill(fresh, buffer, 3)
    assert sent(fresh) == before + 1


def test_the_budget_is_that_of_each_batch(fresh: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "BATCH_BYTES", 40)
    buffer = zeroed(fresh)
    before = sent(fresh)
    for i in range(9):
        fill(fresh, buffer, i)
    assert sent(fresh) == before + 3


def test_waiting_sends_what_is_recorded(fresh: Device) -> None:
    buffer = zeroed(fresh)
    before = sent(fresh)
    fill(fresh, buffer, 1)
    fresh.wait()
    assert sent(fresh) == before + 1
    fresh.wait()
    assert sent(fresh) == before + 1


def test_a_recording_goes_out_behind_what_was_launched_before_it(fresh: Device) -> None:
    x, y = zeroed(fresh), zeroed(fresh)
    recording = record(fresh, [prepared_fill(fresh, x, 2)])
    before = sent(fresh)
    fill(fresh, x, 1)
    fill(fresh, y, 1)
    fresh.submit(recording)
    assert sent(fresh) == before + 1
    assert words(fresh, x).tolist() == [2] * 4
    assert words(fresh, y).tolist() == [1] * 4


def test_zeros_are_zero_before_the_launches_that_follow_and_after_those_before(moving: Device) -> None:
    memory = zeroed(moving)
    fill(moving, memory, 5)
    del memory
    zeros = moving.zeros(16)
    fill(moving, zeros, 6, count=2)
    assert words(moving, zeros).tolist() == [6, 6, 0, 0]


# Explicit batches.


def test_a_block_holds_launches_back_and_sends_them_once(fresh: Device) -> None:
    buffer = zeroed(fresh)
    before = sent(fresh)
    with fresh.batch():
        for i in range(3 * queue.BATCH_LAUNCHES):
            fill(fresh, buffer, i)
        assert sent(fresh) == before
    assert sent(fresh) == before + 1
    assert words(fresh, buffer)[0] == 3 * queue.BATCH_LAUNCHES - 1


def test_only_the_outermost_block_sends(fresh: Device) -> None:
    buffer = zeroed(fresh)
    before = sent(fresh)
    with fresh.batch():
        with fresh.batch():
            fill(fresh, buffer, 1)
        for i in range(queue.BATCH_LAUNCHES):
            fill(fresh, buffer, i)
        assert sent(fresh) == before
    assert sent(fresh) == before + 1


def test_an_empty_block_sends_nothing(fresh: Device) -> None:
    before = sent(fresh)
    with fresh.batch():
        pass
    assert sent(fresh) == before


def test_after_an_exception_in_a_block_its_launches_have_run_and_the_next_are_held_no_longer(
    fresh: Device,
) -> None:
    buffer = zeroed(fresh)
    before = sent(fresh)
    with pytest.raises(ZeroDivisionError), fresh.batch(), fresh.batch():
        1 / (fill(fresh, buffer, 7) or 0)
    assert sent(fresh) == before + 1
    assert words(fresh, buffer).tolist() == [7] * 4
    before = sent(fresh)
    for i in range(queue.BATCH_LAUNCHES):
        fill(fresh, buffer, i)
    assert sent(fresh) == before + 1


def test_reading_in_a_block_sends_what_it_has_so_far(moving: Device) -> None:
    buffer = zeroed(moving)
    with moving.batch():
        fill(moving, buffer, 7)
        assert words(moving, buffer).tolist() == [7] * 4
        fill(moving, buffer, 8)
    assert words(moving, buffer).tolist() == [8] * 4


def test_a_long_block_goes_out_in_parts(fresh: Device) -> None:
    buffer = zeroed(fresh)
    flops = int(0.06 * fresh.throughput.rate(FILL))  # Of 0.2 s at most: four launches are past it.
    before = sent(fresh)
    with fresh.batch():
        for i in range(9):
            fill(fresh, buffer, i, flops=flops)
    assert sent(fresh) == before + 3
    assert words(fresh, buffer).tolist() == [8] * 4


def test_a_block_of_very_many_launches_goes_out_in_parts(
    fresh: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "_EXPLICIT_LAUNCHES", 10)
    buffer = zeroed(fresh)
    before = sent(fresh)
    with fresh.batch():
        for i in range(25):
            fill(fresh, buffer, i)
    assert sent(fresh) == before + 3


# Host writes.


def old_and_new(device: Device) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a launch computes from an input that is rewritten behind it, and what it should and should not."""
    x, y, z = (random_words(64) for _ in range(3))
    a, b, out = device.upload(x), device.upload(y), device.empty(256)
    device.wait()
    mix(device, a, b, out)
    device.write(a, z)
    return words(device, out), mixed(x, y), mixed(z, y)


def test_a_write_does_not_overtake_a_launch_that_is_only_recorded(moving: Device) -> None:
    got, right, _ = old_and_new(moving)
    np.testing.assert_array_equal(got, right)


def test_without_asking_the_batch_a_write_overtakes_it(
    moving: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Queue, "uses", lambda self, memory: False)
    got, _, wrong = old_and_new(moving)
    np.testing.assert_array_equal(got, wrong)


def reused(device: Device) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same, where the input went back to the pool and an upload took it."""
    x, y, z = (random_words(64) for _ in range(3))
    a, b, out = device.upload(x), device.upload(y), device.empty(256)
    device.wait()
    mix(device, a, b, out)
    memory = a.memory
    del a
    again = device.upload(z)
    assert again.memory is memory
    got = words(device, out)
    np.testing.assert_array_equal(words(device, again), z)
    return got, mixed(x, y), mixed(z, y)


def test_an_upload_into_reused_memory_does_not_overtake_a_launch_that_still_reads_it(moving: Device) -> None:
    got, right, _ = reused(moving)
    np.testing.assert_array_equal(got, right)


def test_without_asking_the_batch_an_upload_into_reused_memory_overtakes_it(
    moving: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Queue, "uses", lambda self, memory: False)
    got, _, wrong = reused(moving)
    np.testing.assert_array_equal(got, wrong)


def test_a_write_of_a_buffer_that_the_batch_does_not_use_sends_nothing(fresh: Device) -> None:
    used, other = zeroed(fresh), zeroed(fresh)
    fresh.wait()
    fill(fresh, used, 1)
    before = sent(fresh)
    fresh.write(other, random_words(4))
    assert sent(fresh) == before


def test_writes_and_launches_alternate_in_order(moving: Device) -> None:
    x, y = random_words(64), random_words(64)
    a, b, out = moving.upload(x), moving.upload(y), moving.empty(256)
    for _ in range(20):
        mix(moving, a, b, out)
        moving.write(b, new := random_words(64))
        mix(moving, out, b, a)
        x, y = mixed(mixed(x, y), new), new
    np.testing.assert_array_equal(words(moving, a), x)


def test_a_buffer_written_behind_a_launch_can_be_read(moving: Device) -> None:
    buffer, new = zeroed(moving), random_words(4)
    fill(moving, buffer, 7)
    moving.write(buffer, new)
    np.testing.assert_array_equal(words(moving, buffer), new)


def test_several_writes_in_a_row_leave_the_last(moving: Device) -> None:
    buffer = zeroed(moving)
    for value in range(1, 6):
        fill(moving, buffer, 100 + value)
        moving.write(buffer, np.full(2, value, np.uint32))
    assert words(moving, buffer).tolist() == [5, 5, 105, 105]


# Parameters.


def staircase(device: Device, launches: int) -> np.ndarray:
    """What is left of that many fills, each one word shorter than the last."""
    buffer = zeroed(device, launches)
    with device.batch():
        for i in range(launches):
            fill(device, buffer, i + 1, count=launches - i)
    return words(device, buffer)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parameters of 4 launches a page, and 2 pages."""
    monkeypatch.setattr(uniforms, "_PAGE_SLOTS", 4)
    monkeypatch.setattr(uniforms, "_MAX_PAGES", 2)


@pytest.mark.parametrize("launches", [255, 256, 257, 700])
def test_every_launch_of_a_batch_sees_its_own_parameters(fresh: Device, launches: int) -> None:
    np.testing.assert_array_equal(staircase(fresh, launches), np.arange(launches, 0, -1))


@pytest.mark.usefixtures("small_pages")
def test_more_parameters_than_pages_are_kept_all_arrive(fresh: Device) -> None:
    for launches in (9, 40, 3, 100):
        np.testing.assert_array_equal(staircase(fresh, launches), np.arange(launches, 0, -1))


def test_more_parameters_than_sixteen_full_pages_all_arrive(fresh: Device) -> None:
    count = 17 * 256 + 5
    np.testing.assert_array_equal(staircase(fresh, count), np.arange(count, 0, -1))


def test_a_page_forgotten_before_it_is_written_takes_its_parameters_along(
    fresh: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uniforms, "_PAGE_SLOTS", 4)
    turn = uniforms.UniformRing._add_page

    def forget(self: uniforms.UniformRing) -> None:
        self._pages.clear()
        turn(self)

    monkeypatch.setattr(uniforms.UniformRing, "_add_page", forget)
    assert not np.array_equal(staircase(fresh, 9), np.arange(9, 0, -1))


@pytest.mark.parametrize(("count", "after"), [(1, True), (-1, False), (-1, True)])
def test_ctrl_c_where_a_batch_begins_or_ends_leaves_none_open(
    fresh: Device, monkeypatch: pytest.MonkeyPatch, count: int, after: bool
) -> None:
    hold, buffer = Queue.hold, zeroed(fresh)

    def interrupted(self: Queue, batch: queue.Batch, opened: int, *, submit: bool = True) -> None:
        if opened == count and submit and not after:
            raise KeyboardInterrupt
        hold(self, batch, opened, submit=submit)
        if opened == count and submit:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Queue, "hold", interrupted)
        with suppress(KeyboardInterrupt), fresh.batch():
            fill(fresh, buffer, 3)
    assert not fresh.queue.held
    fill(fresh, buffer, 4)
    assert words(fresh, buffer)[0] == 4


def test_parameters_before_a_page_that_was_interrupted_arrive(
    fresh: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(uniforms, "_PAGE_SLOTS", 4)
    buffers = [zeroed(fresh) for _ in range(5)]
    for i, buffer in enumerate(buffers[:4]):
        fill(fresh, buffer, i + 1)
    with monkeypatch.context() as patched:
        patched.setattr(uniforms.struct, "pack_into", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fill(fresh, buffers[4], 5)
    assert [words(fresh, buffer)[0] for buffer in buffers] == [1, 2, 3, 4, 0]


def test_ctrl_c_at_the_answer_of_a_fence_is_not_waited_for_later(
    adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "_FENCES", 1)
    monkeypatch.setattr(queue, "_FENCE_SUBMISSIONS", 1)
    with Device(adapter, timeout_s=1.0) as device:
        commands, buffer = device.queue.commands, zeroed(device)
        answer = commands.answer

        def interrupted(token: int) -> bool:
            if answer(token):
                raise KeyboardInterrupt
            return False

        fill(device, buffer, 1)
        device.queue.flush()
        while not commands.idle(device.queue.device):
            pass
        fill(device, buffer, 2)
        with monkeypatch.context() as patched:
            patched.setattr(commands, "answer", interrupted)
            with pytest.raises(KeyboardInterrupt):
                device.queue.flush()
        for i in range(5):
            fill(device, buffer, i)
            device.queue.flush()
        assert words(device, buffer)[0] == 4


@pytest.mark.usefixtures("small_pages")
def test_pages_are_forgotten_again_after_a_batch_that_needed_many(fresh: Device) -> None:
    staircase(fresh, 50)
    buffer = zeroed(fresh)
    for i in range(50):
        fill(fresh, buffer, 1000 + i)
        fresh.wait()
    assert len(fresh.queue.uniforms._pages) <= 2
    assert len(fresh.queue.uniforms._slots) <= 8


@pytest.mark.usefixtures("small_pages")
def test_a_prepared_launch_outlives_the_page_of_its_parameters(fresh: Device) -> None:
    buffer = zeroed(fresh)
    kept = prepared_fill(fresh, buffer, 77)
    for launches in (60, 50, 40):
        staircase(fresh, launches)
    assert all(uniforms[1] != 77 for uniforms in fresh.queue.uniforms._slots)
    run(fresh, [kept])
    assert words(fresh, buffer).tolist() == [77] * 4


@pytest.mark.usefixtures("small_pages")
def test_a_graph_outlives_the_pages_of_its_parameters(fresh: Device) -> None:
    buffer = zeroed(fresh, 30)
    with fresh.capture() as graph:
        for i in range(30):
            fill(fresh, buffer, i + 1, count=30 - i)
    graph.replay()
    for launches in (60, 50, 40):
        staircase(fresh, launches)
    fill(fresh, buffer, 0)
    graph.replay()
    np.testing.assert_array_equal(words(fresh, buffer), np.arange(30, 0, -1))


def test_equal_parameters_are_written_once(fresh: Device) -> None:
    buffer = zeroed(fresh)
    fill(fresh, buffer, 3)
    fresh.wait()
    filled = fresh.queue.uniforms._pages[-1].filled
    for _ in range(10):
        fill(fresh, buffer, 3)
    assert fresh.queue.uniforms._pages[-1].filled == filled
    assert not fresh.queue.uniforms.unwritten


# What wgpu refuses.


@pytest.mark.parametrize("groups", [(-1, 1, 1), (1, 1, -1)])
def test_a_negative_number_of_groups_is_refused_before_it_spoils_the_batch(
    fresh: Device, groups: tuple[int, int, int]
) -> None:
    good = zeroed(fresh)
    fill(fresh, good, 7)
    with pytest.raises(LimitError):
        launch(fresh, FILL, outputs=[good], uniforms=(4, 1, 256), workgroups=groups)
    assert words(fresh, good).tolist() == [7] * 4


@pytest.mark.parametrize("groups", [(1.5, 1, 1), ("1", 1, 1)])
def test_what_is_no_number_of_groups_is_refused_before_it_spoils_the_batch(
    fresh: Device, groups: tuple[object, ...]
) -> None:
    good = zeroed(fresh)
    fill(fresh, good, 7)
    with pytest.raises((TypeError, RustyError)):
        launch(fresh, FILL, outputs=[good], uniforms=(4, 1, 256), workgroups=groups)
    assert words(fresh, good).tolist() == [7] * 4


@pytest.mark.parametrize("uniforms", [(-1, 1, 256), (1 << 32, 1, 256), (1.5, 1, 256)])
def test_parameters_that_are_no_u32_are_refused_and_the_device_goes_on(
    fresh: Device, uniforms: tuple[object, ...]
) -> None:
    good = zeroed(fresh)
    fill(fresh, good, 7)
    with pytest.raises(Exception, match=r"argument|format"):
        launch(fresh, FILL, outputs=[good], uniforms=uniforms, workgroups=(1, 1, 1))
    fill(fresh, good, 8, count=1)
    assert words(fresh, good).tolist() == [8, 7, 7, 7]


def test_numpy_integers_will_do_for_groups_and_parameters(fresh: Device) -> None:
    buffer = zeroed(fresh)
    groups = tuple(np.ones(3, np.int64))
    launch(fresh, FILL, outputs=[buffer], uniforms=np.array([4, 9, 256]), workgroups=groups)
    assert words(fresh, buffer).tolist() == [9] * 4


def test_a_launch_that_wgpu_refuses_is_told_and_the_others_of_its_batch_run(
    fresh: Device, kernels: Path
) -> None:
    text = (kernels / "bench" / "copy.wgsl").read_text()
    (kernels / "fixed.wgsl").write_text(text.replace("array<vec4<f32>>", "array<vec4<f32>, 32>"))
    wants = Spec("fixed", inputs=1, outputs=1, threads=256)
    good, tiny = zeroed(fresh), zeroed(fresh, 1)
    fill(fresh, good, 7)
    launch(
        fresh, wants, inputs=[tiny], outputs=[zeroed(fresh)], uniforms=(1, 1, 256, 0), workgroups=(1, 1, 1)
    )
    fill(fresh, good, 8, count=1)
    with pytest.raises(ShaderError, match="wgpu refuses a launch of this batch"):
        fresh.wait()
    assert words(fresh, good).tolist() == [8, 7, 7, 7]


# Memory that goes away while it is in use by the open batch: without the guards the process would end.

GIVEN_UP = """
d = Device({how})
x = d.upload(np.zeros(4, np.uint32)); out = d.upload(np.zeros(4, np.uint32))
def go(b, value):
    launch(d, FILL, outputs=[b], uniforms=(4, value, 256), workgroups=(1, 1, 1))
{guard}
go(x, 3); go(out, 7)
{lose}
d.wait()
got = np.zeros(4, np.uint32); d.read(out, got); print(got.tolist())
"""

LOSE = {
    "destroyed": ("", "x.destroy()"),
    "purged": ("", "del x; d.purge()"),
    "evicted for a limit": ("memory_limit=2000", "del x; kept = d.empty(1300)"),
    "evicted by many": ("", "d.pool.max_cached_bytes = 0; del x; d.pool_stats()"),
}


@pytest.mark.parametrize("how", LOSE)
def test_memory_in_the_open_batch_is_given_up_only_behind_it(adapter: Adapter, how: str) -> None:
    arguments, lose = LOSE[how]
    assert outcome(GIVEN_UP.format(how=arguments, lose=lose, guard="")) == "[7, 7, 7, 7]"


@pytest.mark.parametrize("how", ["destroyed", "purged"])
def test_without_a_flush_memory_given_up_in_the_open_batch_ends_the_process(
    adapter: Adapter, how: str
) -> None:
    arguments, lose = LOSE[how]
    guard = "d.queue.flush = d.pool._before_destroy = lambda: None"
    lose += "; del d.queue.flush"
    assert aborts(GIVEN_UP.format(how=arguments, lose=lose, guard=guard))


SENT_MEANWHILE = """
d = Device()
x = d.empty(1024)
launch(d, FILL, outputs=[x], uniforms=(256, 3, 256), workgroups=(1, 1, 1))
del x
d.pool_stats()
{guard}
encode = d.queue.commands.encode

def encode_and_purge(*about, **more):
    encoded = encode(*about, **more)
    purging.start()
    purging.join(timeout=0.5)
    return encoded

purging = threading.Thread(target=d.pool.purge)
d.queue.commands.encode = encode_and_purge
d.wait()
purging.join()
print(d.pool_stats().cached_bytes)
"""


def test_memory_of_a_batch_that_another_thread_is_sending_is_given_up_only_behind_it(
    adapter: Adapter,
) -> None:
    assert outcome(SENT_MEANWHILE.format(guard="")) == "0"


def test_without_the_lock_memory_of_a_batch_on_its_way_ends_the_process(adapter: Adapter) -> None:
    assert aborts(SENT_MEANWHILE.format(guard="d.pool._before_destroy = lambda: None"))


def test_nobody_submits_while_a_buffer_is_mapped_for_reading(
    fresh: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not fresh.transfer.mapped_read:
        pytest.skip("the host cannot map storage buffers here")
    buffer = zeroed(fresh)
    fill(fresh, buffer, 7)
    done, early = Event(), []

    def submit() -> None:
        fill(fresh, buffer, 8)
        fresh.queue.flush()
        done.set()

    copy, other = np.copyto, Thread(target=submit)

    def copy_late(*kwargs: object) -> None:
        other.start()
        early.append(done.wait(0.2))
        copy(*kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(np, "copyto", copy_late)
        assert words(fresh, buffer).tolist() == [7] * 4
    other.join(timeout=30)
    assert early == [False]
    assert words(fresh, buffer).tolist() == [8] * 4


READ_MEANWHILE = """
d = Device()
b = d.upload(np.zeros(256, np.uint32))
stop = threading.Event()

def work():
    value = 1
    while not stop.is_set():
        launch(d, FILL, outputs=[b], uniforms=(256, value, 256), workgroups=(1, 1, 1))
        value += 1
        if value % 7 == 0:
            d.wait()

worker = threading.Thread(target=work)
worker.start()
got, last, torn, back = np.zeros(256, np.uint32), 0, 0, 0
for i in range(200):
    d.read(b, got)
    torn += got.min() != got.max()
    back += got[0] < last
    last = got[0]
stop.set()
worker.join()
print(torn, back, last > 0)
"""


def test_a_buffer_is_read_whole_while_another_thread_launches_on_it(adapter: Adapter) -> None:
    assert outcome(READ_MEANWHILE) == "0 0 True"
