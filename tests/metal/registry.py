"""Every kernel variant we ship."""

from rusty_py import probe
from rusty_py.gemm import variants as gemm
from rusty_py.kernel import Spec
from rusty_py.measure import kernels
from rusty_py.ops.all import creation, elementwise, reduce

OPS = (creation, elementwise, gemm, reduce)


def all_specs() -> list[Spec]:
    """One Spec for every text that can reach a compiler."""
    return [
        *(spec for module in OPS for spec in module.variants()),
        *kernels.all_specs(),
        probe.SUBGROUP_SIZE,
    ]
