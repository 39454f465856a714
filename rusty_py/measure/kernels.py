"""Kernels for measurements and tests."""

from rusty_py.runtime.launch import Spec

FILL = Spec("bench/fill", inputs=0, outputs=1, threads=256)
FMA = Spec("bench/fma", inputs=1, outputs=1, threads=256)
COPY = Spec("bench/copy", inputs=1, outputs=1, threads=256)
READ = Spec("bench/read", inputs=1, outputs=1, threads=256, workgroup_bytes=1024)
CHURN = Spec("bench/churn", inputs=1, outputs=1, threads=256)


def scale(factor: int) -> Spec:
    """scaled = factor · x; each factor is a separate pipeline."""
    return Spec(
        "bench/scale", inputs=1, outputs=1, threads=256, constants=(("FACTOR", factor),), has_uniforms=False
    )


DOUBLE = scale(2)


def all_specs() -> list[Spec]:
    """All kernels of this module."""
    return [FILL, FMA, COPY, READ, CHURN, DOUBLE]
