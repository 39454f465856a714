"""The algorithm "implicit_gemm": its refusals, its predicted time and its launches."""

from __future__ import annotations

from collections.abc import Callable

from rusty_py.gemm import select
from rusty_py.gemm.dispatch import Operands, dispatches
from rusty_py.gemm.model import cost_model
from rusty_py.ops.conv.algorithm import Algorithm, Problem
from rusty_py.ops.conv.correlation import Correlation, WeightCorrelation
from rusty_py.ops.conv.implicit_gemm import pack
from rusty_py.ops.conv.implicit_gemm.products import Product, product_of, weights_product_of
from rusty_py.ops.conv.implicit_gemm.sources import OperandSource
from rusty_py.runtime.buffer import Buffer
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import launch

_CPU_RATES = {True: 1e9, False: 1e10}
"""Flops per second on CPU drivers: of products that are for blocked kernels only, and of others."""


def _run(device: Device, product: Product) -> None:
    """Launches a product, and the copies that it reads."""
    image, other = packed(product.x), packed(product.other)
    a, b = (image, other) if product.x_is_a else (other, image)
    operands = Operands(
        a,
        b,
        product.out.buffer,
        *product.contraction.layouts(),
        bias=None if product.bias is None else product.bias.buffer,
        axes=product.contraction.axes if product.problem.signature.compound else None,
        bias_stride=product.bias_stride,
    )
    for each in dispatches(device, select.plan(device, product.problem), operands):
        launch(device, **each._asdict())


def packed(source: OperandSource) -> Buffer:
    """What the product reads: a new copy, or the array itself."""
    if source.packing is None:
        return source.array.buffer
    return pack.pack(source.array, source.packing, source.nbytes, operation="packed for implicit GEMM")


def _refusal(device: Device, product: Product) -> str | None:
    """Why the device cannot hold the packed copies, if it cannot."""
    limit = min(device.limits.binding_bytes, device.limits.buffer_bytes)
    nbytes = max(product.x.nbytes, product.other.nbytes)
    return None if nbytes <= limit else f"a packed copy of {nbytes} bytes exceeds {limit} bytes, a binding"


def _seconds(device: Device, product: Product) -> float:
    """The predicted time, with packing: each element is read and written."""
    if device.adapter.is_cpu:
        return product.problem.flops / _CPU_RATES[product.problem.signature.blocked_only]
    machine = cost_model(device)
    seconds = select.cost(select.plan(device, product.problem), machine)
    for source in product.packed_sources.values():
        seconds += machine.launch + 2 * source.nbytes / machine.bandwidth
    return seconds


def _describe(device: Device, product: Product) -> str:
    """The kernel, its tiles, and what is packed."""
    plan = select.plan(device, product.problem)
    parts = [plan.kernel.name, *[f"split-K {plan.split_k}"] * (plan.split_k > 1)]
    packs = product.packed_sources
    return ", ".join([*parts, *[f"{' and '.join(packs)} packed"] * bool(packs)])


def _algorithm(product_of: Callable[[Problem], Product]) -> Algorithm[Problem]:
    return Algorithm(
        "implicit_gemm",
        lambda device, problem: _refusal(device, product_of(problem)),
        lambda device, problem: _seconds(device, product_of(problem)),
        lambda device, problem: _run(device, product_of(problem)),
        lambda device, problem: _describe(device, product_of(problem)),
        pack.variants,
    )


IMPLICIT_GEMM: Algorithm[Correlation] = _algorithm(product_of)
WEIGHTS_IMPLICIT_GEMM: Algorithm[WeightCorrelation] = _algorithm(weights_product_of)
