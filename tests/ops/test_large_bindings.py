"""Buffers larger than a binding: launches that bind a part of them, and products in parts that fit."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rusty_py as rp
from rusty_py import Array, Device, LimitError, ShaderError, matmul
from rusty_py.gemm.gemv import GEMV_T
from rusty_py.gemm.large_bindings import bind_part
from rusty_py.gemm.plan import GemmPlan
from rusty_py.gemm.problem import MatrixLayout
from rusty_py.gemm.simple import Naive
from rusty_py.ops import matmul as ops
from rusty_py.runtime.buffer import BufferBinding
from rusty_py.runtime.launch import launch, prepare, run

from .operands import needs, on
from .products import assert_product, uniform
from .test_stream import small

SHORT = pytest.mark.usefixtures("short_kernels")
COPY = Naive().spec()


def times_one(a: MatrixLayout, c: MatrixLayout, count: int) -> dict[str, object]:
    """What a launch takes that multiplies `count` numbers by the first of b."""
    uniforms = (count, 1, 1, 0, 0, 0, 1, 0, 1, 1, 1, *a, 0, 0, 1, 1, *c[:3])
    return {"uniforms": uniforms, "workgroups": (1, -(-count // 16), 1)}


def test_a_launch_binds_a_window(device: Device) -> None:
    x = np.arange(1024, dtype=np.float32)
    source, one, target = (device.upload(each) for each in (x, np.ones(4, np.float32), np.zeros_like(x)))
    kwargs = times_one(MatrixLayout(0, 0, 1, 1), MatrixLayout(0, 0, 1, 1), 64)
    for start in (256, 1024):
        part, to = BufferBinding(source, 2 * start, 256), BufferBinding(target, start, 256)
        launch(device, COPY, inputs=[part, one], outputs=[to], **kwargs)
    run(
        device,
        [prepare(device, COPY, inputs=[source, one], outputs=[BufferBinding(target, 2048, 256)], **kwargs)],
    )
    found = np.empty_like(x)
    device.read(target, found)
    expected = np.zeros_like(x)
    expected[64:128], expected[256:320], expected[512:576] = x[128:192], x[512:576], x[:64]
    np.testing.assert_array_equal(found, expected)


def test_windows_are_checked_as_buffers_are(unchecked: Device) -> None:
    x, one = unchecked.upload(np.ones(1024, np.float32)), unchecked.upload(np.ones(4, np.float32))
    kwargs = times_one(MatrixLayout(0, 0, 1, 1), MatrixLayout(0, 0, 1, 1), 64)
    with pytest.raises(ShaderError, match="both input and output"):
        prepare(
            unchecked,
            COPY,
            inputs=[BufferBinding(x, 0, 256), one],
            outputs=[BufferBinding(x, 512, 256)],
            **kwargs,
        )
    for start, nbytes in ((2, 256), (2048, 4096)):
        with pytest.raises(ShaderError, match="do not fit"):
            prepare(
                unchecked,
                COPY,
                inputs=[BufferBinding(x, start, nbytes), one],
                outputs=[unchecked.empty(256)],
                **kwargs,
            )
    gone = unchecked.upload(np.ones(64, np.float32))
    gone.destroy()
    with pytest.raises(rp.DeviceError, match="destroyed"):
        prepare(unchecked, COPY, inputs=[BufferBinding(gone, 0, 256), one], outputs=[x], **kwargs)


def test_a_window_holds_what_it_must(unchecked: Device) -> None:
    buffer = unchecked.empty(100_000)
    layout = MatrixLayout(10, 5000, 100, 1)
    part, seen = bind_part(buffer, layout, (2, 2), (3, 5), (7, 9), rp.dtypes.F32, 4096)
    assert isinstance(part, BufferBinding)
    first, last = 10 + 2 * 5000 + 3 * 100 + 7, 10 + 3 * 5000 + 4 * 100 + 8
    assert part.start % 256 == 0
    assert 0 <= first * 4 - part.start < 256
    assert part.start + part.nbytes == 4 * (last + 1)
    assert seen.offset - layout.offset == -part.start // 4


SIZES = st.integers(1, 110)


@pytest.fixture(scope="module")
def narrow(device: Device) -> Iterator[Device]:
    """A device on which a matrix of a hundred rows is larger than a binding."""
    with small(device, binding_bytes=12_288) as narrow:
        yield narrow


# The checks cut what lies beyond a window: the fixed products below meet that with every kernel.
@pytest.mark.one_mode
@SHORT
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(m=SIZES, k=SIZES, n=SIZES, transposed=st.tuples(st.booleans(), st.booleans()))
def test_arrays_larger_than_a_binding(
    narrow: Device, m: int, k: int, n: int, transposed: tuple[bool, bool]
) -> None:
    a, b = uniform(m, k, seed=1), uniform(k, n, seed=2)
    x, y = (
        on(narrow, z.T.copy()).T if turn else on(narrow, z)
        for z, turn in zip((a, b), transposed, strict=True)
    )
    assert_product(np.asarray(x @ y), a, b)
    assert_product(np.asarray(x @ b), a, b)


@pytest.mark.parametrize("tile", ["naive", 8, 16, "auto"])
def test_every_kernel_takes_windows(narrow: Device, tile: int | str) -> None:
    a, b = uniform(105, 101, seed=1), uniform(101, 97, seed=2)
    assert_product(np.asarray(matmul(on(narrow, a), on(narrow, b), tile=tile)), a, b)


@SHORT
def test_batches_and_views_of_large_arrays(narrow: Device) -> None:
    a, b = uniform(30, 20, 21, seed=1), uniform(30, 21, 10, seed=2)
    x, y = on(narrow, a), on(narrow, b)
    assert_product(np.asarray(x @ y), a, b)
    assert_product(np.asarray(x[::-1] @ y), a[::-1], b)
    assert_product(np.asarray(x[7, 3:] @ y[11]), a[7, 3:], b[11])
    assert_product(np.asarray(x @ y[0]), a, b[0])


@pytest.mark.one_mode
@SHORT
def test_options_of_large_arrays(device: Device) -> None:
    # The blocked kernels take steps of their own size.
    with small(device, binding_bytes=65_536) as narrow:
        a, b, bias, before = uniform(200, 150, seed=1), uniform(150, 180), uniform(180), uniform(200, 180)
        out = on(narrow, before)
        done = matmul(on(narrow, a), on(narrow, b), out=out, accumulate=True, bias=bias, activation="relu")
        expected = np.maximum(a.astype(float) @ b + before + bias, 0)
        np.testing.assert_allclose(done.numpy(), expected, atol=2e-4)


@pytest.mark.one_mode
@SHORT
def test_halves_in_large_arrays(device: Device) -> None:
    needs(device, rp.dtypes.F16)
    with small(device, binding_bytes=65_536) as narrow:
        a, b = uniform(400, 130, seed=1).astype(np.float16), uniform(130, 240).astype(np.float16)
        c = matmul(on(narrow, a), on(narrow, b)).numpy()
        np.testing.assert_allclose(c, a.astype(float) @ b.astype(float), atol=0.02)


@SHORT
def test_a_captured_product_of_large_arrays(narrow: Device) -> None:
    a, b = uniform(105, 101, seed=1), uniform(101, 97, seed=2)
    x, y = on(narrow, a), on(narrow, b)
    with narrow.capture() as graph:
        inner = x @ y
        c = inner.T @ x[:, :3]
        del inner
    for _ in range(2):
        graph.replay()
        expected = (a.astype(float) @ b).T @ a[:, :3]
        np.testing.assert_allclose(c.numpy(), expected, atol=1e-2)
        a = -a
        narrow.write(x.buffer, a)


def test_every_part_fits_a_binding(narrow: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    bound: list[int] = []
    original = ops.launch

    def noted(*one: object, **kwargs: object) -> None:
        bound.extend(each.nbytes for each in (*kwargs["inputs"], *kwargs["outputs"]))  # type: ignore[misc]
        original(*one, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(ops, "launch", noted)
    a = uniform(105, 105)
    assert isinstance(on(narrow, a) @ on(narrow, a), Array)
    assert max(bound) <= narrow.limits.binding_bytes
    # Four buffers are bound; 105 rows become 28 by halves, as a multiple of 4, and the depth 16.
    assert len(bound) == 4 * 4 * 7


def test_what_no_windows_can_bind_is_refused(unchecked: Device) -> None:
    with small(unchecked, binding_bytes=4096) as narrow:
        x = on(narrow, uniform(16, 300))
        assert_product(np.asarray(x @ x.T), x.numpy(), x.numpy().T)
        x = on(narrow, uniform(16, 600))
        with pytest.raises(LimitError, match=r"^matmul: \S.*: no part of a fits a binding: \d+ > 4096 bytes"):
            x @ x.T


@pytest.mark.parametrize("transposed", [False, True])
def test_split_sums_of_parts_of_large_arrays(
    narrow: Device, monkeypatch: pytest.MonkeyPatch, transposed: bool
) -> None:
    monkeypatch.setattr(
        ops, "plan", lambda device, problem, **kwargs: GemmPlan(problem, GEMV_T[8], 2, transposed=transposed)
    )
    a, b, before = uniform(40, 200, seed=1), uniform(40, 200, seed=2), uniform(40, 200, seed=3)
    x, y, z = on(narrow, a), on(narrow, b), on(narrow, before)
    matmul(x[20:28], y[9:17].mT, out=z[30:38, 50:58])
    expected = before.copy()
    expected[30:38, 50:58] = a[20:28].astype(float) @ b[9:17].T
    np.testing.assert_allclose(z.numpy(), expected, atol=1e-4)
