"""The WGSL of our kernels, with the command line that verifies it."""

import shlex

from rusty_py.bench.shapes import Size
from rusty_py.dtypes import DTYPES
from rusty_py.errors import UnsupportedError
from rusty_py.gemm.dispatch import Dispatch, Operands, dispatches
from rusty_py.gemm.problem import GemmProblem, contiguous
from rusty_py.gemm.select import Tile, plan
from rusty_py.runtime.device import Device
from rusty_py.user_kernel.signature import signature

FILE = "kernel.wgsl"


def matmul(device: Device, size: Size, tile: Tile, dtype: str) -> str:
    """The text of the kernel that computes a product of `size` on the device.

    Raises UnsupportedError for several products, or if several kernels compute one.
    """
    if size.products > 1:
        raise UnsupportedError(f"kernel: one product at a time: {size}")
    kind, (m, k, n) = DTYPES[dtype], (size.m, size.k, size.n)
    shapes = {"a": (m, k), "b": (k, n), "c": (m, n)}
    layouts = contiguous(m, k, n, 1, layout=size.layout)
    problem = GemmProblem.of(m, k, n, layouts=layouts, dtype=kind)
    chosen = plan(device, problem, tile=tile)
    buffers = {
        name: device.empty(rows * cols * kind.itemsize, label=name) for name, (rows, cols) in shapes.items()
    }
    made = list(dispatches(device, chosen, Operands(buffers["a"], buffers["b"], buffers["c"], *layouts)))
    if len(made) > 1:
        names = " + ".join(dict.fromkeys(each.spec.name for each in made))
        raise UnsupportedError(
            f"kernel: {size} takes {len(made)} dispatches: {names}: try --tile 16 or another --size"
        )
    factors = []
    for name, letter in zip("ab", size.layout, strict=True):
        if letter == "t":
            shapes[name] = shapes[name][::-1]
        factors.append(f"{name}{'.T' * (letter == 't')}")
    described = {name: f"{dtype}[{rows},{cols}]" for name, (rows, cols) in shapes.items()}
    contents = {id(buffer): described[name] for name, buffer in buffers.items()}
    command = _command(made[0], contents, f"c = {' @ '.join(factors)}")
    return f"// {chosen}\n// {command}\n{made[0].spec.source.strip()}"


def _command(dispatch: Dispatch, contents: dict[int, str], reference: str) -> str:
    """The command that verifies the text in FILE. `contents` are descriptions of buffers, by identity."""
    spec = dispatch.spec
    found = signature(spec.source, entry=None, constants={}, name=spec.name)
    operands = [contents[id(each)] for each in (*dispatch.inputs, *dispatch.outputs)]
    operands.append(f"u32:{','.join(map(str, dispatch.uniforms))}")
    words = ["rusty-bench", "run", FILE, "--workgroups", "x".join(map(str, dispatch.workgroups))]
    for variable in sorted(found.variables, key=lambda each: each.number):
        words += ["--buffer", f"{variable.name}={operands[variable.number]}"]
    return shlex.join([*words, "--reference", reference])
