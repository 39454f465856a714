"""PyTorch's functions for our operations: their names, and how they take axes and options.

An operation that is not here has PyTorch's function of the same name, without options.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rusty_py.errors import LimitError
from rusty_py.measure.references.task import ReferenceTask


@dataclass(frozen=True)
class TorchFunction:
    """A function below `torch`.

    `dims` says how it takes axes: as `dim`, a tuple or one number, with or without `keepdim`; as `dim` of
    what it computes along one axis; or as the shape of the last axis. `options` are PyTorch's names of ours.
    """

    name: str
    dims: Literal["", "several", "one", "kept out", "along", "last"] = ""
    out: bool = True
    dtype: bool = False
    options: Mapping[str, str] = field(default_factory=dict)


_NN = "nn.functional"
_EPS = {"eps": "eps"}

FUNCTIONS: Mapping[str, TorchFunction] = {
    "all": TorchFunction("all", "one", out=False),
    "any": TorchFunction("any", "one", out=False),
    "argmax": TorchFunction("argmax", "one", out=False),
    "argmin": TorchFunction("argmin", "one", out=False),
    "argsort": TorchFunction("argsort", "along", out=False),
    "bitwise_invert": TorchFunction("bitwise_not"),
    "count_nonzero": TorchFunction("count_nonzero", "kept out", out=False),
    "cumulative_prod": TorchFunction("cumprod", "along"),
    "cumulative_sum": TorchFunction("cumsum", "along"),
    "elu": TorchFunction(f"{_NN}.elu", out=False, options={"alpha": "alpha"}),
    "equal": TorchFunction("eq"),
    "gelu": TorchFunction(f"{_NN}.gelu", out=False, options={"approximate": "approximate"}),
    "greater": TorchFunction("gt"),
    "greater_equal": TorchFunction("ge"),
    "hardswish": TorchFunction(f"{_NN}.hardswish", out=False),
    "isfinite": TorchFunction("isfinite", out=False),
    "isinf": TorchFunction("isinf", out=False),
    "isnan": TorchFunction("isnan", out=False),
    "layer_norm": TorchFunction(f"{_NN}.layer_norm", "last", out=False, options=_EPS),
    "leaky_relu": TorchFunction(f"{_NN}.leaky_relu", out=False, options={"negative_slope": "negative_slope"}),
    "less": TorchFunction("lt"),
    "less_equal": TorchFunction("le"),
    "log_softmax": TorchFunction("log_softmax", "along"),
    "logsumexp": TorchFunction("logsumexp", "several"),
    "max": TorchFunction("amax", "several"),
    "mean": TorchFunction("mean", "several", dtype=True),
    "min": TorchFunction("amin", "several"),
    "negative": TorchFunction("neg"),
    "not_equal": TorchFunction("ne"),
    "positive": TorchFunction("clone", out=False),  # Its `positive` returns the operand.
    "prod": TorchFunction("prod", "one", out=False, dtype=True),
    "relu": TorchFunction("relu", out=False),
    "rms_norm": TorchFunction(f"{_NN}.rms_norm", "last", out=False, options=_EPS),
    "silu": TorchFunction(f"{_NN}.silu", out=False),
    "softmax": TorchFunction("softmax", "along"),
    "softplus": TorchFunction(f"{_NN}.softplus", out=False),
    "sort": TorchFunction("sort", "along", out=False),
    "std": TorchFunction("std", "several", options={"correction": "correction"}),
    "sum": TorchFunction("sum", "several", dtype=True),
    "var": TorchFunction("var", "several", options={"correction": "correction"}),
    "vector_norm": TorchFunction("linalg.vector_norm", "several", options={"ord": "ord"}),
}
_DEFAULTS: Mapping[str, Mapping[str, object]] = {
    "argsort": {"stable": True},
    "sort": {"stable": True},
    "std": {"correction": 0},
    "var": {"correction": 0},
}
"""Options that PyTorch's functions need to mean what ours do."""


def call_of(torch: Any, task: ReferenceTask, given: Sequence[Any], out: Any) -> Callable[[], Any]:
    """A call that returns the result, which is `out` where PyTorch's function takes it. Raises LimitError."""
    if task.operation == "astype":
        return lambda: out.copy_(given[0])
    if task.operation == "conv2d":
        return _convolution(torch, task, given)
    described = FUNCTIONS.get(task.operation, TorchFunction(task.operation))
    task.check_options("torch", also=described.options)
    function = torch
    for name in described.name.split("."):
        function = getattr(function, name, None)
    if function is None:
        raise LimitError(f"torch: no function for {task.operation}")
    options = {**_DEFAULTS.get(task.operation, {}), **_axes(described, task)}
    options |= {
        described.options[name]: value for name, value in task.options.items() if name in described.options
    }
    if described.dtype:
        options["dtype"] = getattr(torch, task.dtype.name)
    if described.out:
        options["out"] = out
    operands: Sequence[Any] = given
    if described.dims == "last":  # The shape comes second.
        operands = [given[0], task.operands[0].shape[-1:], *given[1:]]
    if task.operation == "sort":
        return lambda: function(*operands, **options)[0]
    return lambda: function(*operands, **options)


def _axes(described: TorchFunction, task: ReferenceTask) -> dict[str, object]:
    """The options for the axes."""
    if described.dims == "several":
        return {"dim": task.axes, "keepdim": task.keepdims}
    if described.dims == "kept out":
        return {"dim": task.axes}
    if described.dims == "along":
        axis = task.options.get("axis")
        return {"dim": -1 if axis is None else axis}
    if described.dims == "one" and len(task.axes) == 1:
        return {"dim": task.axes[0], "keepdim": task.keepdims}
    if described.dims == "one" and len(task.axes) < task.operands[0].ndim:
        raise LimitError(f"torch: {task.operation} has no function over the axes {task.axes}")
    return {}


def _convolution(torch: Any, task: ReferenceTask, given: Sequence[Any]) -> Callable[[], Any]:
    """PyTorch's conv2d; images in NHWC are its channels-last tensors, which have the axes of NCHW."""
    options = {**task.options}
    x, w = given
    function = torch.nn.functional.conv2d
    if options.pop("layout", "NCHW") == "NCHW":
        return lambda: function(x, w, **options)
    channels_last = w.contiguous(memory_format=torch.channels_last)
    return lambda: function(x.permute(0, 3, 1, 2), channels_last, **options).permute(0, 2, 3, 1)
