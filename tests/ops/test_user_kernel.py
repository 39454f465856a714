"""Kernels of users: arrays bound by name, run in order with operations, and refused with a reason."""

from collections.abc import Callable

import numpy as np
import pytest

import rusty_py as rp
from rusty_py import Device, DeviceError, DtypeError, LimitError, ShaderError, ShapeError, UnsupportedError

from ..each import each_reported

SAXPY = """
struct Parameters { factor: f32, count: u32 }
@group(0) @binding(5) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage> y: array<f32>;
@group(0) @binding(0) var<storage, read_write> z: array<f32>;
@group(0) @binding(9) var<uniform> parameters: Parameters;
override SCALE: f32 = 1.0;
@id(3) override WIDTH: u32;

@compute @workgroup_size(WIDTH)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < parameters.count) {
        z[id.x] = SCALE * parameters.factor * x[id.x] + y[id.x];
    }
}
"""
COUNT = """
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < arrayLength(&x)) { x[id.x] += 1u; }
}
"""


def parameters(factor: float, count: int) -> np.ndarray:
    return np.array([(factor, count)], dtype=[("factor", "f4"), ("count", "u4")])


def saxpy(device: Device) -> rp.Kernel:
    return rp.Kernel(SAXPY, constants={"WIDTH": 64, "SCALE": 2}, device=device)


def main(body: str, variable: str = "var<storage, read_write> x: array<f32>") -> str:
    return f"@group(0) @binding(0) {variable};\n@compute @workgroup_size(64)\nfn main() {{ {body} }}\n"


def test_arrays_are_bound_by_name_whatever_the_binding_numbers(device: Device) -> None:
    x, y = np.arange(100, dtype="f4"), np.full(100, 0.5, "f4")
    z = rp.zeros(100, device=device)
    kernel = saxpy(device)
    with each_reported() as case:
        for words in (
            parameters(3.0, 100),
            parameters(3.0, 100).tobytes(),
            rp.array(parameters(3.0, 100).view("u4"), device=device),
        ):
            with case(type(words)):
                z.assign(0.0)
                kernel(
                    z=z,
                    x=rp.array(x, device=device),
                    y=rp.array(y, device=device),
                    parameters=words,
                    workgroups=2,
                )
                np.testing.assert_array_equal(z.numpy(), 6 * x + y)


def test_read_only_arrays_may_have_any_layout(unchecked: Device) -> None:
    values = rp.array(np.arange(24, dtype="f4").reshape(4, 6), device=unchecked)
    kernel = saxpy(unchecked)
    with each_reported() as case:
        for view in (values.T[2], values[1, 1:5], values[::2, 3], values[3, ::2]):
            with case(view.strides):
                n = view.size
                z = rp.zeros(n, device=unchecked)
                kernel(x=view, y=view, z=z, parameters=parameters(1.0, n), workgroups=1)
                np.testing.assert_array_equal(z.numpy(), 3 * view.numpy())


def test_array_length_is_the_number_of_elements(unchecked: Device) -> None:
    kernel = rp.Kernel(
        "@group(0) @binding(0) var<storage, read_write> n: array<u32>;"
        "@group(0) @binding(1) var<storage, read> x: array<f32>;"
        "@compute @workgroup_size(1) fn main() { n[0] = arrayLength(&x); }",
        device=unchecked,
    )
    n = rp.zeros(1, "u32", device=unchecked)
    for size in (1, 3, 5, 64):
        kernel(n=n, x=rp.ones(size, device=unchecked), workgroups=1)
        assert n.item() == size


def test_read_write_arrays_are_written_in_place_and_in_order(unchecked: Device) -> None:
    kernel = rp.Kernel(COUNT, device=unchecked)
    x = rp.zeros(200, "u32", device=unchecked)
    kernel(x=x, workgroups=4)
    doubled = x * 2
    kernel(x=x[64:128], workgroups=(2, 1))
    np.testing.assert_array_equal(doubled.numpy(), np.full(200, 2))
    expected = np.ones(200)
    expected[64:128] = 2
    np.testing.assert_array_equal(x.numpy(), expected)


def test_launches_of_a_batch_are_one_submission(unchecked: Device) -> None:
    kernel = rp.Kernel(COUNT, device=unchecked)
    x = rp.zeros(64, "u32", device=unchecked)
    unchecked.wait()
    before = unchecked.queue.submissions
    with unchecked.batch():
        for _ in range(10):
            kernel(x=x, workgroups=1)
    assert unchecked.queue.submissions == before + 1
    assert x[0].item() == 10


def test_a_graph_replays_it(unchecked: Device) -> None:
    kernel = saxpy(unchecked)
    x = rp.ones(64, device=unchecked)
    z = rp.zeros(64, device=unchecked)
    with unchecked.capture() as graph:
        kernel(x=x * 10.0, y=x, z=z, parameters=parameters(1.0, 64), workgroups=1)
        result = z + 1.0
    x.assign(2.0)
    graph.replay()
    np.testing.assert_array_equal(result.numpy(), np.full(64, 43, "f4"))


def test_many_different_uniforms_each_reach_their_launch(unchecked: Device) -> None:
    kernel = saxpy(unchecked)
    x, y = rp.ones(1, device=unchecked), rp.zeros(1, device=unchecked)
    outputs = [rp.zeros(1, device=unchecked) for _ in range(600)]
    for i, z in enumerate(outputs):
        kernel(x=x, y=y, z=z, parameters=parameters(float(i), 1), workgroups=1)
    assert [z.item() for z in outputs] == [2.0 * i for i in range(600)]


def test_an_index_out_of_bounds_is_caught_on_unchecked_devices_too(unchecked: Device) -> None:
    kernel = rp.Kernel(
        main("x[arrayLength(&x) + 100000000u] = 1.0; x[0] = x[arrayLength(&x) + 100000000u] * 0.0;"),
        device=unchecked,
    )
    x = rp.ones(4, device=unchecked)
    kernel(x=x, workgroups=1)
    assert np.isfinite(x.numpy()).all()


def test_checks_are_compiled_in_unless_refused(unchecked: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    from rusty_py.runtime import launch

    calls: list[str] = []
    trusted = launch.unchecked_module

    def noted(*arguments: object, **options: object) -> object:
        calls.append("unchecked")
        return trusted(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(launch, "unchecked_module", noted)
    rp.Kernel(main("x[0] = 11.0;"), device=unchecked)
    assert calls == []
    rp.Kernel(main("x[0] = 12.0;"), device=unchecked, checked=False)
    assert calls == ["unchecked"] * (not unchecked.checked)


def test_an_entry_point_binds_only_what_it_uses(unchecked: Device) -> None:
    text = """
        @group(0) @binding(0) var<storage, read_write> a: array<f32>;
        @group(0) @binding(1) var<storage, read_write> b: array<f32>;
        fn set_b() { b[0] = 2.0; }
        @compute @workgroup_size(1) fn first() { a[0] = 1.0; }
        @compute @workgroup_size(1) fn second() { set_b(); }
    """
    x = rp.zeros(1, device=unchecked)
    rp.Kernel(text, entry="second", device=unchecked)(b=x, workgroups=1)
    assert x.item() == 2.0
    with pytest.raises(ShaderError, match="several entry points: the text has first, second: name one"):
        rp.Kernel(text, device=unchecked)


def test_what_does_not_fit_a_launch_is_refused_with_values(unchecked: Device) -> None:
    kernel = saxpy(unchecked)
    x = rp.ones(64, device=unchecked)
    z = rp.zeros(64, device=unchecked)
    p = parameters(1.0, 64)
    fine = {"x": x, "y": x, "z": z, "parameters": p, "workgroups": 1}
    wide = rp.zeros(100, device=unchecked)
    with Device(unchecked.adapter) as other:
        cases: list[tuple[type[Exception], str, dict[str, object]]] = [
            (LimitError, "from 1 to 65535: 0", {"workgroups": 0}),
            (LimitError, r"from 1 to 65535: \(1, 65536\)", {"workgroups": (1, 65536)}),
            (LimitError, "one to three integers", {"workgroups": (1, 1, 1, 1)}),
            (LimitError, "one to three integers", {"workgroups": 1.5}),
            (ShapeError, "no such variable: w: main uses x, y, z, parameters", {"w": x}),
            (DtypeError, r'x is i32, the text says array<f32>: .*astype\("f32"\)', {"x": x.astype("i32")}),
            (DtypeError, "x takes an Array: see rp.array, not ndarray", {"x": np.ones(64, "f4")}),
            (DtypeError, "parameters takes an Array, bytes or a NumPy array, not list", {"parameters": [1]}),
            (ShapeError, "parameters is too small: 4 < 8 bytes of Parameters", {"parameters": b"1234"}),
            (ShapeError, "z is too small: 0 < 4 bytes of array<f32>", {"z": z[:0]}),
            (ShapeError, "z is written in place, but begins at byte 4 ", {"z": wide[1:65]}),
            (ShapeError, r"z is written in place, but is not contiguous: strides \(2,\)", {"z": wide[::2]}),
            (ShaderError, "x and z share memory, and one is written", {"z": x, "y": z}),
            (LimitError, "parameters is larger than one binding", {"parameters": bytes(1 << 17)}),
            (DeviceError, "y is on another device", {"y": rp.ones(64, device=other)}),
        ]
        with each_reported() as case:
            for kind, message, change in cases:
                with case(message), pytest.raises(kind, match=f"^kernel: .*{message}"):
                    kernel(**{**fine, **change})  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"arrays are missing: z: array<f32>: give each by its name"):
        kernel(x=x, y=x, parameters=p, workgroups=1)
    kernel(**fine)  # type: ignore[arg-type]
    assert z[0].item() == 3.0


def test_what_cannot_be_a_kernel_is_refused_with_values(unchecked: Device) -> None:
    def of(text: str, **options: object) -> Callable[[], object]:
        return lambda: rp.Kernel(text, device=unchecked, **options)  # type: ignore[arg-type]

    nested = "(" * 2000 + "1.0" + ")" * 2000
    shared = "var<workgroup> t: array<vec4f, 2 * HALF>; override HALF = 20000;"
    cases = [
        (LimitError, "the text is too long: 10000000 > 1048576 characters", of(" " * 10_000_000)),
        (LimitError, "brackets are nested deeper than 200: line 3", of(main(f"x[0] = {nested};"))),
        (LimitError, "an expression is too long", of(main(f"x[0] = {'+ '.join(['x[1]'] * 20000)};"))),
        (LimitError, "too many branches", of(main("if (x[0] > 1) {}" + " else if (x[0] > 2) {}" * 20000))),
        (ShaderError, "no entry point: mark one", of("fn f() {}")),
        (ShaderError, "no entry point f: the text has main", of(main("x[0] = 1.0;"), entry="f")),
        (ShaderError, "overrides without a value: WIDTH", of(SAXPY)),
        (ShaderError, "no such override: N: it has SCALE, WIDTH", of(SAXPY, constants={"WIDTH": 1, "N": 1})),
        (DtypeError, "constant WIDTH: not a u32: 1.5", of(SAXPY, constants={"3": 1.5})),
        (LimitError, "needs 4096 threads in a workgroup", of(SAXPY, constants={3: 4096})),
        (LimitError, "needs 640000 bytes of workgroup memory", of(shared + main("t[0] = vec4f(x[0]);"))),
        (UnsupportedError, r"group 0: x is in @group\(1\)", of(main("x[0] = 1.0;").replace("(0)", "(1)", 1))),
        (
            UnsupportedError,
            "t is a texture_2d<f32>",
            of(main("_ = textureDimensions(t);", "var t: texture_2d<f32>")),
        ),
        (UnsupportedError, "called workgroups", of(main("x[0] = 1.0;").replace("x", "workgroups"))),
        (LimitError, "needs 5000 as @binding number", of(main("x[0] = 1.0;").replace("g(0)", "g(5000)"))),
    ]
    with each_reported() as case:
        for kind, message, make in cases:
            with case(message), pytest.raises(kind, match=f"^kernel: .*{message}"):
                make()


def test_a_text_that_does_not_compile_is_shown_with_a_caret(unchecked: Device) -> None:
    with pytest.raises(ShaderError) as error:
        rp.Kernel("fn f() {}\n  fn g( { }\n", name="mine.wgsl", device=unchecked)
    message = str(error.value).splitlines()
    assert message[0].startswith("mine.wgsl:2:9: expected ")
    assert message[1] == "      2 |   fn g( { }"
    assert message[2].startswith("        |         ^")


def test_sizes_of_types_are_those_of_the_compiler(unchecked: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """wgpu accepts a buffer of the size computed here, and refuses one that is a word smaller."""
    declared = """
        const N = 2 + 2 * 3;
        alias Pair = vec2<f32>;
        struct Inner { a: vec3<f32>, b: f32, c: vec3<f32> }
        struct Outer { a: f32, @align(32) b: Inner, @size(20) c: u32, d: array<Pair, N>, e: mat3x3<f32> }
        struct Open { count: atomic<u32>, items: array<Inner> }
    """
    kinds = ["array<vec3<f32>, 5>", "Outer", "Open", "mat2x3f", "array<mat4x2<f32>, 3>"]
    with each_reported() as case:
        for kind in kinds:
            with case(kind), monkeypatch.context() as patch:
                use = "atomicStore(&x.count, 1u);" if kind == "Open" else "var y = x; _ = &y;"
                text = declared + main(use, f"var<storage, read_write> x: {kind}")
                kernel = rp.Kernel(text, device=unchecked)
                size = kernel.variables[0].min_bytes
                enough, less = (rp.zeros(n, device=unchecked) for n in (size // 4, size // 4 - 1))
                kernel(x=enough, workgroups=1)
                unchecked.wait()
                with pytest.raises(ShapeError, match=f"{size - 4} < {size} bytes"):
                    kernel(x=less, workgroups=1)
                patch.setattr(rp.Kernel, "_check_bytes", lambda *_: None)
                kernel(x=less, workgroups=1)
                with pytest.raises(ShaderError, match="wgpu refuses"):
                    unchecked.wait()
