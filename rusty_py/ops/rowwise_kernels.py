"""Kernels that cover all: each operation on a few tiles, and each tile with one operation."""

from __future__ import annotations

from collections.abc import Iterator

from rusty_py.dtypes import F32
from rusty_py.layout import Layout, layout_of
from rusty_py.operation import OPERATIONS
from rusty_py.ops.norm import FUNCTIONS as NORMS
from rusty_py.ops.rowwise.boxes import boxed, memory_order, result_layout
from rusty_py.ops.rowwise.kernel import Groups
from rusty_py.ops.rowwise.launches import planned, planned_sums
from rusty_py.ops.rowwise.tiles import Machine
from rusty_py.ops.softmax import FUNCTIONS as SOFTMAXES
from rusty_py.runtime.launch import Spec
from rusty_py.samples import KINDS, Sample, values
from rusty_py.views import Shape

FUNCTIONS = SOFTMAXES | NORMS
"""What is computed of rows, by the names of operations."""

GPU = Machine(threads=1024, subgroups=True, cpu=False)
CPU = Machine(threads=1024, subgroups=True, cpu=True)
_NO_SUBGROUPS = Machine(threads=256, subgroups=False, cpu=False)
_SMALL = Machine(threads=64, subgroups=False, cpu=False)


def cases() -> Iterator[tuple[str, Sample, Machine]]:
    """An operation, what it is tried with, and the machine whose tile it takes."""
    for name in FUNCTIONS:
        for i, sample in enumerate(OPERATIONS[name].samples()):
            yield name, sample, GPU
            if i == 0 and name in ("softmax", "layer_norm", "group_norm_gradient"):
                yield name, sample, CPU
    for machine, shape, axis in (
        (GPU, (3, 20), 1),  # 4 lanes, vec4
        (GPU, (2, 201), 1),  # 64 lanes, scalar
        (GPU, (2, 1100), 1),  # Slots
        (GPU, (50, 5), 0),  # Across, 8 lanes
        (CPU, (3, 13), 1),  # Once
        (_NO_SUBGROUPS, (300, 5), 0),  # Across, in a loop
        (_SMALL, (2, 260), 1),  # A tree
        (_SMALL, (2, 1036), 1),  # In a loop
        (_SMALL, (1, 8200), 1),  # In parts
    ):
        sample = Sample(f"softmax of {shape} over {axis}", (values(F32, *shape),), {"axis": axis})
        yield "softmax", sample, machine


def variants() -> list[Spec]:
    """The kernels of `cases`."""
    return list(dict.fromkeys(spec for case in cases() for spec in _specs(*case)))


def _specs(name: str, sample: Sample, machine: Machine) -> Iterator[Spec]:
    function = FUNCTIONS[name]
    layouts = [_layout(x.dtype, x.shape) for x in sample.operands]
    count = len(function.operands)
    operands, vectors = layouts[:count], layouts[count:]
    groups, axes = None, _axes(sample, operands[0].shape)
    if "num_groups" in sample.options:
        shape, parts = operands[0].shape, sample.options["num_groups"]
        groups = Groups(parts, operands[0].size // (shape[0] * shape[1]))
        split = (shape[0], parts, operands[0].size // (shape[0] * parts))
        operands, axes = [layout_of(each.dtype, split) for each in operands], (2,)
    order = memory_order(operands[0])
    box = boxed([*operands, result_layout(operands[0], order)], axes, order)
    assert box is not None
    if name.endswith("_sums"):
        plan, result = planned_sums(box, operands, machine), F32
        assert plan is not None
    else:
        plan, result = planned(box, operands, vectors, groups, machine), operands[0].dtype
    for _, spec in plan.specs(function, result):
        yield spec


def _layout(dtype: object, shape: Shape) -> Layout:
    return layout_of(next(kind for kind in KINDS if kind.numpy == dtype), shape)


def _axes(sample: Sample, shape: Shape) -> Shape:
    if "axis" in sample.options:
        return (sample.options["axis"] % len(shape),)
    count = len(sample.options.get("normalized_shape", (0,)))
    return tuple(range(len(shape) - count, len(shape)))
