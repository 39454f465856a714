"""What a program of many steps keeps: no memory of the host or the device, and nothing in wgpu-native."""

import pytest

from rusty_py import Adapter
from rusty_py.runtime.adapter import choose

from ..ops.children import outcome

# Does `step` often, and prints what is there afterwards that was not there before, as far as it may not be.
KEPT = """
import gc, psutil
from wgpu.backends.wgpu_native._helpers import generate_report
from tests.ops.work import MIX, mix_uniforms
d = Device(staged={staged})
N = 1000
x = np.arange(N, dtype=np.uint32)
a, b, got = d.upload(x), d.upload(x), np.zeros(N, np.uint32)

def mix(p, q, out, count=N):
    groups = -(-count // 256), 1, 1
    launch(d, MIX, inputs=[p, q], outputs=[out], uniforms=mix_uniforms(count), workgroups=groups)

def step(i):
{step}

def steps(first, last):
    for i in range(first, last):
        step(i)
        if i % 64 == 63:  # What is under way has memory, too: never more of it in one part than in another.
            d.wait()

def state():
    d.wait()
    d.purge()
    gc.collect()
    d.wait()
    return {{kind: about["kept"] for kind, about in generate_report()["hub"].items()}}

steps(0, {warm_up})
before, live = state(), d.pool_stats().live_bytes
sizes = [psutil.Process().memory_info().rss]
for part in range(4):
    steps({warm_up} + part * {steps} // 4, {warm_up} + (part + 1) * {steps} // 4)
    after = state()
    sizes.append(psutil.Process().memory_info().rss)
grown = {{kind: (before[kind], after[kind]) for kind in after if after[kind] > before[kind]}}
print("objects:", grown)
print("device bytes:", d.pool_stats().live_bytes - live)
print("answers:", len(d.queue.commands._answers))
# What leaks grows in every quarter; what a driver sets aside for itself comes at once.
growths = sorted(size - before for before, size in zip(sizes, sizes[1:]))
mib = 4 * growths[1] / (1 << 20)
print("host MiB:", "few" if mib < {max_mib} else f"{{mib:.1f}}")
"""
NOTHING = "objects: {}\ndevice bytes: 0\nanswers: 0\nhost MiB: few"

STEPS = {
    "launches on the same buffers": "mix(a, b, c) if i else globals().update(c=d.empty(4 * N))",
    "launches into new buffers": "mix(a, b, d.empty(4 * N))",
    "launches with new parameters": "mix(a, b, d.empty(4 * N), count=1 + i % 9000 % (N - 3) + i // 9000)",
    "launches of every size": "c = d.empty(4 * N + 8 * (i % 2000)); mix(a, b, c)",
    "uploads": "d.upload(x)",
    "uploads and launches": "mix(d.upload(x), b, d.empty(4 * N))",
    "reads": "d.read(a, got)",
    "launches and reads": "c = d.empty(4 * N); mix(a, b, c); d.read(c, got)",
    "writes": "d.write(a, x)",
    "waits": "mix(a, b, d.empty(4 * N)); d.wait()",
    "batches": "with d.batch(): [mix(a, b, d.empty(4 * N)) for _ in range(3)]",
    "recordings": "d.submit(record(d, [fill(d, a)]))",
    "zeros": "d.zeros(4 * N)",
    "destroyed buffers": "c = d.upload(x); mix(a, b, c); c.destroy()",
}
CAPTURES = {
    "captures and replays": """
    with d.capture() as graph:
        t, c = d.empty(4 * N), d.empty(4 * N)
        mix(a, b, t)
        mix(t, b, c)
        del t
    graph.replay()
    d.read(c, got)""",
    "captures that are never replayed": """
    with d.capture() as graph:
        c = d.empty(4 * N)
        mix(a, b, c)""",
    "captures that fail": """
    try:
        with d.capture():
            mix(a, b, d.empty(4 * N))
            1 / 0
    except ZeroDivisionError:
        pass""",
    "replays": """
    if i == 0:
        with d.capture() as made:
            mix(a, b, d.empty(4 * N))
        globals()["graph"] = made
    graph.replay()""",
    "devices": """
    with Device() as e:
        e.read(e.upload(x), got)""",
}


def kept(step: str, *, staged: bool, steps: int, warm_up: int, max_mib: float = 8) -> str:
    step = step if step.startswith("\n") else "    " + step
    script = KEPT.format(step=step, staged=staged, steps=steps, warm_up=warm_up, max_mib=max_mib)
    return outcome(script, timeout_s=300)


TRANSFERS = ("uploads", "reads", "writes")


@pytest.mark.parametrize(
    ("what", "staged"), [*((what, False) for what in STEPS), *((what, True) for what in TRANSFERS)]
)
def test_a_thousand_steps_keep_nothing(adapter: Adapter, what: str, staged: bool) -> None:
    # As many parameters as are kept, and sizes, are there after the warm-up.
    warm_up = 5000 if what == "launches with new parameters" else 300
    assert kept(STEPS[what], staged=staged, steps=1000, warm_up=warm_up) == NOTHING


@pytest.mark.parametrize("what", [what for what in CAPTURES if what != "devices"])
def test_hundreds_of_captures_keep_nothing(adapter: Adapter, what: str) -> None:
    assert kept(CAPTURES[what], staged=False, steps=400, warm_up=100) == NOTHING


@pytest.mark.slow
@pytest.mark.parametrize("staged", [False, True], ids=["mapped", "staged"])
@pytest.mark.parametrize("what", STEPS)
def test_ten_thousand_steps_keep_nothing(adapter: Adapter, what: str, staged: bool) -> None:
    # Warm once wgpu has held as much of what the host writes as it may: 32 MiB, in 4 kB each.
    assert kept(STEPS[what], staged=staged, steps=10_000, warm_up=9000) == NOTHING


@pytest.mark.slow
@pytest.mark.parametrize("what", [what for what in CAPTURES if what != "devices"])
def test_thousands_of_captures_keep_nothing(adapter: Adapter, what: str) -> None:
    assert kept(CAPTURES[what], staged=False, steps=5000, warm_up=100) == NOTHING


@pytest.mark.slow
def test_devices_keep_little(adapter: Adapter) -> None:
    # wgpu-native and Mesa keep up to 3 MB for each device that there was, with NVIDIA's driver it is 5.
    max_mib = 20 * (4 if choose().is_cpu else 6)
    assert kept(CAPTURES["devices"], staged=False, steps=20, warm_up=5, max_mib=max_mib) == NOTHING


@pytest.mark.xfail(
    strict=True, reason="wgpu-native 29 keeps command buffers that were never submitted, 90 kB each"
)
def test_recordings_that_never_go_out_keep_nothing(adapter: Adapter) -> None:
    assert kept("record(d, [fill(d, a)])", staged=False, steps=1000, warm_up=300) == NOTHING


def test_a_loop_of_a_thousand_steps_allocates_nothing_after_its_first(adapter: Adapter) -> None:
    script = """
x = np.ones(1000, np.float32)
d = Device()

def step():
    a, b = d.upload(x), d.empty(4000)
    launch(d, FILL, outputs=[b], uniforms=(1000, 1, 256), workgroups=(1, 1, 1))
    launch(d, FILL, outputs=[a], uniforms=(1000, 1, 256), workgroups=(1, 1, 1))
    got = np.zeros_like(x)
    d.read(b, got)

step()
pool, cache = d.pool_stats(), d.cache_stats()
for _ in range(1000):
    step()
after, bound = d.pool_stats(), d.cache_stats()
print(after.allocation_count - pool.allocation_count, after.reuse_count - pool.reuse_count)
print(bound.pipeline_misses - cache.pipeline_misses, bound.binding_misses - cache.binding_misses)
print(after.peak_bytes == pool.peak_bytes)
"""
    assert outcome(script).split() == ["0", "2000", "0", "0", "True"]
