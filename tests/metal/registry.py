"""Every kernel variant we ship."""

from rusty_py.kernel import Spec
from rusty_py.ops import matmul


def all_specs() -> list[Spec]:
    """One Spec for every text that can reach a compiler."""
    return [
        *matmul.variants(),
        Spec("bench/fill", inputs=0, outputs=1, threads=256),
        Spec("bench/fma", inputs=1, outputs=1, threads=256),
        Spec("bench/copy", inputs=1, outputs=1, threads=256),
        Spec("probe/subgroup_size", inputs=0, outputs=1, threads=64, has_dims=False),
    ]
