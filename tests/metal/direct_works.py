"""Correlations by the kernels that multiply windows of the input in registers: in each of their texts."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from rusty_py import Device
from rusty_py.dtypes import F16, F32
from rusty_py.ops.conv.direct import (
    algorithm as direct,
)
from rusty_py.ops.conv.direct import (
    channels as direct_channels,
)
from rusty_py.ops.conv.direct import (
    depthwise,
    depthwise_channels,
    weights_sums,
)
from rusty_py.ops.conv.direct import (
    kernel as direct_kernel,
)
from rusty_py.ops.conv.direct import (
    weights as direct_weights,
)
from rusty_py.ops.conv.direct.channels import OutputsKernel
from rusty_py.ops.conv.direct.depthwise_channels import ChannelsKernel
from rusty_py.ops.conv.direct.kernel import Kernel
from rusty_py.ops.conv.direct.weights_sums import SumsKernel
from rusty_py.oracle import Expected

from ..ops.correlations import Case

DirectWork = tuple[str, Callable[[Device, Callable[..., None]], np.ndarray], Callable[[], Expected]]


def direct_works() -> Iterator[DirectWork]:
    """Each kernel of `samples`, as its variants have it, with edges on all sides."""
    for planes, kernels in ((False, direct.samples()), (True, depthwise.samples())):
        for kernel in kernels:
            case = _case(kernel, planes=planes)
            yield _work(case, kernel)
            yield _work(replace(case, kind=F16, bias=True, activation="relu"), kernel)
    for kernel in direct.channels_samples():
        case = Case(2, 2, 2, (7, 9), 12, (2, kernel.taps), (1, 1), (1, kernel.stride), (1, kernel.dilation))
        yield _channels_work(case, kernel)
        yield _channels_work(replace(case, kind=F16, bias=True, activation="relu"), kernel)
    for beside in depthwise.channels_samples():
        case = Case(2, 8, 1, (7, 6), 1, beside.taps, (1, 1), beside.stride, beside.dilation)
        yield _channels_work(case, beside)
        yield _channels_work(replace(case, kind=F16, bias=True, activation="relu"), beside)
    for blocks in direct_weights.samples():
        for kind in (F32, F16):
            size, taps = ((7, 12), (3, 3)) if blocks.window.vec4 else ((6, 9), (2, 3))
            yield _weights_work(Case(2, 2, blocks.window.channels, size, 3, taps, (1, 1), kind=kind), blocks)
    for vectors in direct_weights.channels_samples():
        for kind in (F32, F16):
            groups, channels, outputs = (8, 1, 1) if vectors.planes else (2, 2, 4)
            steps = {"stride": (1, vectors.stride), "dilation": (1, vectors.dilation), "kind": kind}
            case = Case(2, groups, channels, (6, 7), outputs, (3, 2), (1, 1), **steps)
            yield _weights_work(case, vectors, form="channels last")


def _case(kernel: Kernel, *, planes: bool) -> Case:
    """Of a size and taps that suit the kernel."""
    window = kernel.window
    whole = window.taps if kernel.keeps or window.taps != (1, 1) else (3, 2)
    stride = (1, 1) if window.step is None else window.per_out
    size = (7, 12) if window.vec4 else (8, 10)
    taps = (3, 3) if window.taps == (1, 3) else whole
    channels, outputs = (1, 2) if planes else (window.channels if kernel.keeps else 3, 5)
    padding = ((taps[0] - 1) // 2, (taps[1] - 1) // 2)
    return Case(2, 3 if planes else 1, channels, size, outputs, taps, padding, stride)


def _work(case: Case, kernel: Kernel) -> DirectWork:
    def compute(device: Device, _: Callable[..., None]) -> np.ndarray:
        problem = case.correlation(device)
        direct_kernel.run(device, problem, kernel)
        return problem.out.numpy()

    return f"direct {case.kind.name}, {kernel}", compute, case.expected


def _channels_work(case: Case, kernel: ChannelsKernel | OutputsKernel) -> DirectWork:
    def compute(device: Device, _: Callable[..., None]) -> np.ndarray:
        problem = case.correlation(device, x="channels last", out="channels last")
        if isinstance(kernel, ChannelsKernel):
            depthwise_channels.run(device, problem, kernel)
        else:
            direct_channels.run(device, problem, kernel)
        return problem.out.numpy()

    return f"direct {case.kind.name}, {kernel}", compute, case.expected


def _weights_work(case: Case, kernel: SumsKernel, *, form: str = "rows") -> DirectWork:
    def compute(device: Device, _: Callable[..., None]) -> np.ndarray:
        problem = case.weight_correlation(device, x=form)
        weights_sums.run(device, problem, kernel)
        return problem.dw.numpy()

    return f"direct weights {case.kind.name}, {kernel}", compute, case.expected_weights
