"""The suite of activations."""

from rusty_py.bench.suites.description import LARGE, SuiteDescription, without_axes

SUITE = SuiteDescription(
    "activation",
    "Times activations, and calls from NumPy to NumPy.",
    ("relu", "leaky_relu", "gelu", "silu", "sigmoid", "tanh", "softplus", "elu", "hardswish"),
    without_axes,
    {
        "CPU": ((65536,), (10**6,)),
        "GPU": ((10**6,), (10**7,)),
    },
    presets={"millions": ((10**6,), (10**7,), (10**8,)), "large": (LARGE,)},
)
