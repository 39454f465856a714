from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

from rusty_py import Device, LimitError, Limits, ShaderError
from rusty_py.measure.kernels import FILL
from rusty_py.runtime import capi
from rusty_py.runtime import launch as launching
from rusty_py.runtime.launch import Spec, launch, prepare, record, run

from .products import assert_product, launches, uniform

DOUBLE = """
override FACTOR: u32;
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < arrayLength(&x)) { y[id.x] = FACTOR * x[id.x]; }
}
"""


@pytest.fixture
def fresh(device: Device) -> Iterator[Device]:
    """A device that has compiled nothing yet."""
    with Device(device.adapter, checked=device.checked) as fresh:
        yield fresh


def times(factor: int, *, name: str = "double", **changes: object) -> Spec:
    kwargs = {
        "inputs": 1,
        "outputs": 1,
        "threads": 64,
        "constants": (("FACTOR", factor),),
        "has_uniforms": False,
    }
    return Spec(name, **(kwargs | changes))


def words(device: Device, buffer: object, count: int) -> list[int]:
    out = np.zeros(count, np.uint32)
    device.read(buffer, out)
    return out.tolist()


def fill(device: Device, count: int, value: int) -> list[int]:
    """The words of a buffer that FILL wrote the first `count` of."""
    buffer = device.upload(np.zeros(10, np.uint32))
    launch(device, FILL, outputs=[buffer], uniforms=(count, value, 256), workgroups=(1, 1, 1))
    return words(device, buffer, 10)


def test_a_launch_runs_its_kernel_and_waits(device: Device) -> None:
    assert fill(device, 7, 0xFFFF_A5A5) == [0xFFFF_A5A5] * 7 + [0] * 3


def test_a_kernel_of_ones_own_runs_with_its_constants(fresh: Device, kernels: Path) -> None:
    (kernels / "double.wgsl").write_text(DOUBLE)
    x, y = fresh.upload(np.arange(100, dtype=np.uint32)), fresh.empty(400)
    for factor in (2, 5):
        launch(fresh, times(factor), inputs=[x], outputs=[y], workgroups=(2, 1, 1))
        assert words(fresh, y, 100) == [factor * i for i in range(100)]


def test_launches_run_in_the_order_they_are_recorded(fresh: Device, kernels: Path) -> None:
    (kernels / "double.wgsl").write_text(DOUBLE)
    x, y = fresh.upload(np.ones(4, np.uint32)), fresh.empty(16)
    there = prepare(fresh, times(3), inputs=[x], outputs=[y], workgroups=(1, 1, 1))
    back = prepare(fresh, times(2), inputs=[y], outputs=[x], workgroups=(1, 1, 1))
    fresh.submit(record(fresh, [there, back, there]))
    assert words(fresh, x, 4) == [6] * 4
    assert words(fresh, y, 4) == [18] * 4


def test_a_launch_may_be_recorded_again(device: Device) -> None:
    buffer = device.upload(np.zeros(4, np.uint32))
    prepared = prepare(device, FILL, outputs=[buffer], uniforms=(4, 7, 256), workgroups=(1, 1, 1))
    for _ in range(2):
        device.write(buffer, np.zeros(4, np.uint32))
        run(device, [prepared])
        assert words(device, buffer, 4) == [7] * 4


def test_running_tells_the_pace_of_every_submission(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(unchecked.throughput, "flops", lambda kernel, **kwargs: 10)
    monkeypatch.setattr(
        unchecked.throughput, "observe", lambda kernel, **kwargs: seen.append((kernel, kwargs))
    )
    buffer = unchecked.empty(16)
    work = prepare(unchecked, FILL, outputs=[buffer], uniforms=(4, 1, 256), workgroups=(1, 1, 1), flops=5)
    run(unchecked, [work] * 3)
    assert [(kernel, kwargs["flops"]) for kernel, kwargs in seen] == [(FILL, 10), (FILL, 5)]
    assert all(kwargs["seconds"] > 0 for _, kwargs in seen)


def test_the_first_long_launches_of_a_kernel_tell_its_pace(fresh: Device) -> None:
    buffer = fresh.upload(np.zeros(4, np.uint32))
    flops = fresh.throughput.flops(FILL)  # Long by the guess.
    for number in range(1, 4):
        assert fresh.throughput.knows(FILL) == (number > 2)
        launch(fresh, FILL, outputs=[buffer], uniforms=(4, number, 256), workgroups=(1, 1, 1), flops=flops)
    assert fresh.throughput.rate(FILL) > flops
    assert words(fresh, buffer, 4) == [3] * 4


def test_nothing_is_waited_for_within_a_batch(fresh: Device) -> None:
    buffer = fresh.upload(np.zeros(4, np.uint32))
    with fresh.batch():
        for _ in range(3):
            flops = fresh.throughput.flops(FILL) // 2
            launch(fresh, FILL, outputs=[buffer], uniforms=(4, 7, 256), workgroups=(1, 1, 1), flops=flops)
    assert not fresh.throughput.knows(FILL)
    assert words(fresh, buffer, 4) == [7] * 4


def test_adding_to_a_result_adds(device: Device) -> None:
    m, k, n = 33, 20, 35
    a, b = uniform(m, k), uniform(k, n, seed=1)
    left, right, c = device.upload(a), device.upload(b), device.empty(4 * m * n)
    for accumulate in (False, True):
        run(device, launches(device, left, right, c, m=m, k=k, n=n, tile=16, accumulate=accumulate))
    out = np.empty((m, n), np.float32)
    device.read(c, out)
    assert_product(out, np.hstack([a, a]), np.vstack([b, b]))


def small(device: Device, **changes: int) -> Device:
    limits = Limits(**(vars(device.adapter.limits) | changes))
    return Device(device.adapter, checked=device.checked, limits=limits)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"threads": 128},
            r"^bench/fill: needs 256 threads in a workgroup, .* allows 128; try a smaller tile$",
        ),
        ({"groups": 3}, r"^bench/fill: more workgroups in one dimension than .*: \(4, 1, 1\), 3 each$"),
        (
            {"binding_bytes": 36},
            r"^bench/fill: buffer 'words' is larger than one binding on .*: 40 > 36 bytes$",
        ),
    ],
)
def test_what_the_device_does_not_allow_is_refused(
    unchecked: Device, changes: dict[str, int], said: str
) -> None:
    with small(unchecked, **changes) as narrow:
        buffer = narrow.empty(40, label="words")
        with pytest.raises(LimitError, match=said):
            launch(narrow, FILL, outputs=[buffer], uniforms=(10, 1, 1024), workgroups=(4, 1, 1))


def test_more_workgroup_memory_than_the_device_has_is_refused(unchecked: Device) -> None:
    a, b, c = (unchecked.empty(4) for _ in range(3))
    limit = unchecked.limits.workgroup_bytes
    greedy = Spec("matmul/tiled", inputs=2, outputs=1, threads=64, workgroup_bytes=limit + 1)
    with pytest.raises(LimitError, match=f"needs {limit + 1} bytes of workgroup memory, .* allows {limit}"):
        launch(unchecked, greedy, inputs=[a, b], outputs=[c], workgroups=(1, 1, 1))


@pytest.mark.parametrize("groups", [(65536, 1, 1), (1, 65536, 1), (1, 1, 65536)])
def test_more_groups_than_webgpu_allows_are_refused_in_every_dimension(
    unchecked: Device, groups: tuple[int, int, int]
) -> None:
    with small(unchecked, groups=65535) as device, pytest.raises(LimitError, match="more workgroups"):
        launch(device, FILL, outputs=[device.empty(4)], uniforms=(1, 1, 256), workgroups=groups)


@pytest.mark.parametrize("count", [0, 2])
def test_the_wrong_number_of_buffers_is_refused(unchecked: Device, count: int) -> None:
    buffers = [unchecked.empty(16) for _ in range(count)]
    with pytest.raises(ShaderError, match=f"^bench/fill: takes 0 inputs and 1 outputs, got {count} buffers$"):
        launch(unchecked, FILL, outputs=buffers, uniforms=(4, 1, 256), workgroups=(1, 1, 1))


def test_a_spec_that_miscounts_its_bindings_is_refused(fresh: Device, kernels: Path) -> None:
    (kernels / "double.wgsl").write_text(DOUBLE)
    buffers = [fresh.empty(16) for _ in range(3)]
    with pytest.raises(ShaderError, match=r"^double\[FACTOR=2\]: the compiler refuses it: .*"):
        launch(fresh, times(2, inputs=2), inputs=buffers[:2], outputs=buffers[2:], workgroups=(1, 1, 1))


def test_one_buffer_as_input_and_output_is_refused(fresh: Device, kernels: Path) -> None:
    (kernels / "double.wgsl").write_text(DOUBLE)
    x = fresh.empty(16)
    with pytest.raises(ShaderError, match=r"^double\[FACTOR=2\]: buffer 'buffer' is both input and output$"):
        launch(fresh, times(2), inputs=[x], outputs=[x], workgroups=(1, 1, 1))


def test_an_override_with_an_id_is_given_by_that_number(fresh: Device, kernels: Path) -> None:
    (kernels / "double.wgsl").write_text(DOUBLE.replace("override", "@id(7) override"))
    x, y = fresh.upload(np.arange(100, dtype=np.uint32)), fresh.empty(400)
    by_number, by_name = times(3, constants=(("7", 3),)), times(3)
    assert "const FACTOR: u32 = 3u;" in by_number.source
    launch(fresh, by_number, inputs=[x], outputs=[y], workgroups=(2, 1, 1))
    assert words(fresh, y, 100) == [3 * i for i in range(100)]
    with pytest.raises(ShaderError, match=r"^double\[FACTOR=3\]: the compiler refuses it: "):
        launch(fresh, by_name, inputs=[x], outputs=[y], workgroups=(2, 1, 1))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fn main( {", "double"),
        (DOUBLE.replace("y[id.x] =", "z[id.x] ="), "z"),
        (DOUBLE.replace("fn main", "fn start"), "main"),
        (DOUBLE.replace("override FACTOR: u32;", "const FACTOR = 1u;"), "FACTOR"),
    ],
    ids=["syntax", "unknown name", "no entry point", "no such override"],
)
def test_what_the_compiler_refuses_is_a_shader_error_with_its_words(
    fresh: Device, kernels: Path, text: str, said: str
) -> None:
    (kernels / "double.wgsl").write_text(text)
    x, y = fresh.empty(16), fresh.empty(16)
    with pytest.raises(ShaderError, match=r"^double\[FACTOR=2\]: the compiler refuses it: ") as caught:
        launch(fresh, times(2), inputs=[x], outputs=[y], workgroups=(1, 1, 1))
    assert said in str(caught.value)


def test_an_override_left_out_is_refused(fresh: Device) -> None:
    buffers = [fresh.empty(16) for _ in range(3)]
    bare = Spec("matmul/tiled", inputs=2, outputs=1, threads=64)
    with pytest.raises(ShaderError, match=r"^matmul/tiled: the compiler refuses it: "):
        launch(fresh, bare, inputs=buffers[:2], outputs=buffers[2:], uniforms=[1] * 8, workgroups=(1, 1, 1))


def test_a_kernel_that_does_not_exist_is_refused(fresh: Device) -> None:
    with pytest.raises(ShaderError, match="no such kernel: matmul/tield"):
        launch(
            fresh,
            Spec("matmul/tield", inputs=0, outputs=1, threads=64),
            outputs=[fresh.empty(4)],
            workgroups=(1, 1, 1),
        )


def test_after_a_refusal_the_device_goes_on(fresh: Device, kernels: Path) -> None:
    (kernels / "double.wgsl").write_text("nonsense")
    with pytest.raises(ShaderError):
        launch(fresh, times(2), inputs=[fresh.empty(4)], outputs=[fresh.empty(4)], workgroups=(1, 1, 1))
    assert fill(fresh, 4, 1) == [1] * 4 + [0] * 6


def test_a_kernel_is_compiled_once_however_many_threads_ask(
    fresh: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = []
    create = fresh.raw.create_compute_pipeline
    monkeypatch.setattr(
        fresh.raw, "create_compute_pipeline", lambda **kwargs: compiled.append(kwargs) or create(**kwargs)
    )
    together = Barrier(4)

    def ask() -> list[int]:
        together.wait(timeout=30)
        return fill(fresh, 1, 5)

    with ThreadPoolExecutor(4) as threads:
        filled = [asked.result(timeout=60) for asked in [threads.submit(ask) for _ in range(4)]]
    assert filled == [[5] + [0] * 9] * 4
    assert len(compiled) == 1


def test_checked_kernels_are_compiled_with_checks_and_others_without(
    fresh: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = []
    create = capi.unchecked_module
    monkeypatch.setattr(
        launching,
        "unchecked_module",
        lambda device, code, **kwargs: without.append(kwargs) or create(device, code, **kwargs),
    )
    fill(fresh, 1, 5)
    assert len(without) == (0 if fresh.checked else 1)


@pytest.mark.parametrize("groups", [1, 3, 64])
def test_fill_reaches_every_word_whatever_the_number_of_groups(device: Device, groups: int) -> None:
    count = 70_001
    buffer = device.upload(np.zeros(count + 1, np.uint32))
    stride = groups * FILL.threads
    launch(device, FILL, outputs=[buffer], uniforms=(count, 9, stride), workgroups=(groups, 1, 1))
    got = np.zeros(count + 1, np.uint32)
    device.read(buffer, got)
    assert (got[:-1] == 9).all()
    assert got[-1] == 0
