"""The suite of fused functions, each beside its operations one by one."""

from rusty_py.bench.suites.description import SuiteDescription, without_axes

SUITE = SuiteDescription(
    "fused",
    "Times fused functions beside their operations one by one.",
    ("fused_add_relu", "fused_mul_relu", "fused_affine", "chain", "mean_gelu", "matmul_relu"),
    without_axes,
    {
        "CPU": ((16, 64), (128, 512), (1000, 1000)),
        "GPU": ((16, 64), (128, 512), (1000, 1000), (4096, 4096)),
    },
    family="functions",
    presets={"cubes": ((128, 128), (256, 256), (512, 512), (1024, 1024)), "large": ((16384, 8192),)},
)
