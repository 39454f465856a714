"""The optimized algorithm: tiles of the input with halo, and of the weights, in workgroup memory."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from math import prod

from rusty_py import shaders
from rusty_py.dtypes import F16, F32
from rusty_py.ops.conv import basic
from rusty_py.ops.conv.algorithm import (
    Algorithm,
    Epilogue,
    definitions,
    fits,
    gpu_seconds,
    loops_refusal,
    run_pieces,
)
from rusty_py.ops.conv.correlation import Correlation, Pair
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Spec
from rusty_py.shapes import ceil_div

THREADS = 64
EDGE = 16
OUTPUTS = 16
X_TILE = 2560
"""Pixels of the tile of the input, of one or more channels."""
W_TILE = 384
"""vec4s of the tile of the weights, which has 4 for each tap and channel."""
MIN_FULL = 1 / 3
"""On GPUs, basic is faster where less of the tiles' results exist."""

FLOPS_PER_SECOND = 15e12


def _halo(problem: Correlation) -> Pair:
    """The pixels of the input that a workgroup's pixels read."""
    rows, columns = (
        (EDGE - 1) * stride + (count - 1) * dilation + 1
        for stride, count, dilation in zip(
            problem.taps.stride, problem.kernel, problem.taps.dilation, strict=True
        )
    )
    return rows, columns


def _beyond(device: Device, problem: Correlation) -> str | None:
    """Why the basic algorithm takes the problem over: the tiles are too large, or it is faster."""
    rows, columns = _halo(problem)
    if rows * columns > X_TILE:
        return f"a tile with halo, {rows}x{columns}, exceeds {X_TILE} pixels"
    taps = problem.kernel[0] * problem.kernel[1]
    if taps * OUTPUTS > W_TILE * 4:
        return f"{taps} taps exceed {W_TILE * 4 // OUTPUTS}"
    if not fits(device.limits, _spec(Epilogue.of(problem))):
        return "workgroups are too large for the adapter"
    return None if device.adapter.is_cpu else _slower(problem)


def _slower(problem: Correlation) -> str | None:
    """Why the basic algorithm is faster on a GPU, if it is."""
    if problem.kernel == (1, 1):
        return "tiles of 1x1 kernels have no halo to share"
    blocks = (*problem.out_size, problem.outputs), (EDGE, EDGE, OUTPUTS)
    full = prod(size / (ceil_div(size, edge) * edge) for size, edge in zip(*blocks, strict=True))
    if full < MIN_FULL:
        return f"tiles of {EDGE}x{EDGE} pixels for {OUTPUTS} outputs would be {full:.0%} full"
    return None


def _refusal(device: Device, problem: Correlation) -> str | None:
    rows, columns = _halo(problem)
    taps = problem.kernel[0] * problem.kernel[1]
    copied = ceil_div(rows * columns, THREADS) + ceil_div(taps * OUTPUTS // 4, THREADS)
    return loops_refusal(device, problem.depth + problem.channels * (copied + problem.kernel[0]))


def _run(device: Device, problem: Correlation) -> None:
    if _beyond(device, problem):
        basic.ALGORITHM.run(device, problem)
        return
    run_pieces(device, problem, _spec(Epilogue.of(problem)), _workgroups)


def _workgroups(problem: Correlation) -> tuple[int, int, int]:
    rows, columns = problem.out_size
    tiles = ceil_div(rows, EDGE) * ceil_div(columns, EDGE)
    return tiles, problem.groups * ceil_div(problem.outputs, OUTPUTS), problem.batch


@cache
def _spec(epilogue: Epilogue) -> Spec:
    """The kernel for an epilogue."""
    constants = shaders.constants({"X_TILE": X_TILE, "W_TILE": W_TILE})
    return Spec(
        "conv2d/optimized",
        epilogue.inputs,
        1,
        THREADS,
        4 * X_TILE + 16 * W_TILE,
        definitions=constants + definitions(epilogue),
        variant=str(epilogue),
    )


def _variants() -> Iterator[Spec]:
    for dtype in (F32, F16):
        yield _spec(Epilogue(dtype))
        yield _spec(Epilogue(dtype, bias=True, activation="silu"))


def _seconds(device: Device, problem: Correlation) -> float:
    """As if every workgroup were full; barriers are slow on CPU drivers."""
    if _beyond(device, problem) or device.adapter.is_cpu:
        return 1.01 * basic.ALGORITHM.seconds(device, problem)
    rows, columns = (ceil_div(size, EDGE) * EDGE for size in problem.out_size)
    outputs = ceil_div(problem.outputs, OUTPUTS) * OUTPUTS
    flops = 2 * problem.batch * problem.groups * outputs * rows * columns * problem.depth
    return gpu_seconds(device, flops / FLOPS_PER_SECOND)


def _describe(device: Device, problem: Correlation) -> str:
    beyond = _beyond(device, problem)
    if beyond:
        return f"by basic: {beyond}"
    rows, columns = _halo(problem)
    return f"tiles of {EDGE}x{EDGE} pixels ({rows}x{columns} with halo) for {OUTPUTS} outputs"


ALGORITHM = Algorithm[Correlation]("optimized", _refusal, _seconds, _run, _describe, _variants)
