"""MLX's functions for our operations: their names, and how they take axes and options.

An operation that is not here has MLX's function of the same name, without options.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rusty_py.errors import LimitError
from rusty_py.measure.references.convolution import planes
from rusty_py.measure.references.task import ReferenceTask


@dataclass(frozen=True)
class MlxFunction:
    """A function below `mlx.core`, or, with the prefix "nn.", of `mlx.nn`.

    `axes`: it reduces axes and takes `keepdims`, several axes or one; or it takes `axis`, along which it
    computes. `options` are MLX's names of ours.
    """

    name: str
    axes: Literal["", "several", "one", "along"] = ""
    options: Mapping[str, str] = field(default_factory=dict)


_SPREAD = {"correction": "ddof"}
_EPS = {"eps": "eps"}

FUNCTIONS: Mapping[str, MlxFunction] = {
    "acos": MlxFunction("arccos"),
    "acosh": MlxFunction("arccosh"),
    "all": MlxFunction("all", "several"),
    "any": MlxFunction("any", "several"),
    "argmax": MlxFunction("argmax", "one"),
    "argmin": MlxFunction("argmin", "one"),
    "argsort": MlxFunction("argsort", "along"),
    "asin": MlxFunction("arcsin"),
    "asinh": MlxFunction("arcsinh"),
    "atan": MlxFunction("arctan"),
    "atan2": MlxFunction("arctan2"),
    "atanh": MlxFunction("arctanh"),
    "bitwise_left_shift": MlxFunction("left_shift"),
    "bitwise_right_shift": MlxFunction("right_shift"),
    "count_nonzero": MlxFunction("count_nonzero", "several"),
    "cumulative_prod": MlxFunction("cumprod", "along"),
    "cumulative_sum": MlxFunction("cumsum", "along"),
    "elu": MlxFunction("nn.elu", options={"alpha": "alpha"}),
    "gelu": MlxFunction("nn.gelu"),
    "hardswish": MlxFunction("nn.hardswish"),
    "layer_norm": MlxFunction("fast.layer_norm", options=_EPS),
    "leaky_relu": MlxFunction("nn.leaky_relu", options={"negative_slope": "negative_slope"}),
    "log_softmax": MlxFunction("nn.log_softmax", "along"),
    "logsumexp": MlxFunction("logsumexp", "several"),
    "max": MlxFunction("max", "several"),
    "mean": MlxFunction("mean", "several"),
    "min": MlxFunction("min", "several"),
    "pow": MlxFunction("power"),
    "prod": MlxFunction("prod", "several"),
    "relu": MlxFunction("nn.relu"),
    "rms_norm": MlxFunction("fast.rms_norm", options=_EPS),
    "silu": MlxFunction("nn.silu"),
    "softmax": MlxFunction("softmax", "along"),
    "softplus": MlxFunction("nn.softplus"),
    "sort": MlxFunction("sort", "along"),
    "std": MlxFunction("std", "several", _SPREAD),
    "sum": MlxFunction("sum", "several"),
    "var": MlxFunction("var", "several", _SPREAD),
    "vector_norm": MlxFunction("linalg.norm", "several", {"ord": "ord"}),
}
_DTYPES = {"bool": "bool_"}


def call_of(mx: Any, task: ReferenceTask) -> Callable[..., Any]:
    """The function of the operands. Raises LimitError."""
    if task.operation == "astype":
        dtype = getattr(mx, _DTYPES.get(task.dtype.name, task.dtype.name))
        return lambda x: x.astype(dtype)
    if task.operation == "conv2d":
        return _convolution(mx, task)
    described = FUNCTIONS.get(task.operation, MlxFunction(task.operation))
    task.check_options("mlx", also=described.options)
    module, _, name = described.name.rpartition(".")
    source = import_module("mlx.nn") if module == "nn" else getattr(mx, module) if module else mx
    function: Callable[..., Any] | None = getattr(source, name, None)
    if function is None:
        raise LimitError(f"mlx: no function for {task.operation}")
    options = {
        described.options[name]: value for name, value in task.options.items() if name in described.options
    }
    options |= _axes(described, task)
    return lambda *operands: function(*operands, **options)


def arranged(task: ReferenceTask) -> Sequence[NDArray[Any]]:
    """The operands, those of a convolution with their channels last: MLX has no other layout."""
    if task.operation != "conv2d":
        return task.operands
    x, w = task.operands
    images = planes(x, task.options.get("layout", "NCHW"))
    return [np.ascontiguousarray(each.transpose(0, 2, 3, 1)) for each in (images, w)]


def _convolution(mx: Any, task: ReferenceTask) -> Callable[..., Any]:
    """MLX's conv2d of arranged operands, with the result in the task's layout."""
    options = {**task.options}
    if options.pop("layout", "NCHW") == "NHWC":
        return lambda x, w: mx.conv2d(x, w, **options)
    return lambda x, w: mx.conv2d(x, w, **options).transpose(0, 3, 1, 2)


def _axes(described: MlxFunction, task: ReferenceTask) -> dict[str, object]:
    """The options for the axes."""
    if described.axes == "along":
        axis = task.options.get("axis")
        return {"axis": -1 if axis is None else axis}
    if described.axes == "several":
        return {"axis": task.axes, "keepdims": task.keepdims}
    if described.axes == "one" and len(task.axes) < task.operands[0].ndim:
        if len(task.axes) > 1:
            raise LimitError(f"mlx: {task.operation} has no function over the axes {task.axes}")
        return {"axis": task.axes[0], "keepdims": task.keepdims}
    return {}
