"""The suite of elementwise operations."""

from rusty_py.bench.suites.description import LARGE, SuiteDescription, without_axes

SUITE = SuiteDescription(
    "elementwise",
    "Times elementwise operations, and calls from NumPy to NumPy.",
    ("add", "multiply", "divide", "maximum", "exp", "tanh"),
    without_axes,
    {
        "CPU": ((4096,), (65536,), (10**6,)),
        "GPU": ((4096,), (10**6,), (10**7,)),
    },
    family="elementwise",
    presets={"millions": ((10**6,), (10**7,), (10**8,)), "large": (LARGE,)},
)
