"""The basic algorithm: one thread per element of the result, for every correlation."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from rusty_py.dtypes import F16, F32
from rusty_py.ops.conv.algorithm import (
    Algorithm,
    Epilogue,
    definitions,
    gpu_seconds,
    loops_refusal,
    run_pieces,
)
from rusty_py.ops.conv.correlation import Correlation
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec
from rusty_py.shapes import ceil_div

THREADS = 64

FLOPS_PER_SECOND, OUTPUTS_PER_SECOND, CPU_FLOPS_PER_SECOND = 3.2e12, 8e10, 0.3e9
"""Both operands of every multiplication are loaded; threads with few multiplications take their time, too."""


def _refusal(device: Device, problem: Correlation) -> str | None:
    taps = problem.kernel[0] * problem.kernel[1]
    return loops_refusal(device, problem.depth + 2 * taps)


def _run(device: Device, problem: Correlation) -> None:
    run_pieces(device, problem, spec(Epilogue.of(problem)), _workgroups)


def _workgroups(problem: Correlation) -> tuple[int, int, int]:
    rows, columns = problem.out_size
    return ceil_div(rows * columns, THREADS), problem.groups * problem.outputs, problem.batch


@cache
def spec(epilogue: Epilogue) -> Spec:
    """The kernel for an epilogue."""
    return Spec(
        "conv2d/basic",
        epilogue.inputs,
        1,
        THREADS,
        definitions=definitions(epilogue),
        variant=str(epilogue),
    )


def _variants() -> Iterator[Spec]:
    for dtype in (F32, F16):
        yield spec(Epilogue(dtype))
        yield spec(Epilogue(dtype, bias=True, activation="silu"))


def _seconds(device: Device, problem: Correlation) -> float:
    if device.adapter.is_cpu:
        return problem.flops / CPU_FLOPS_PER_SECOND
    compute = problem.flops / FLOPS_PER_SECOND + problem.out.size / OUTPUTS_PER_SECOND
    return gpu_seconds(device, compute)


ALGORITHM = Algorithm[Correlation](
    "basic", _refusal, _seconds, _run, lambda device, problem: "a thread per element", _variants
)
