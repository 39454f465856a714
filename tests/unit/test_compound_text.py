"""The text of the blocked kernels where axes of c are compound, and where none is."""

from dataclasses import replace

import pytest

from rusty_py.gemm.blocked_family import BLOCKED
from rusty_py.gemm.kernel import KernelConfig
from rusty_py.gemm.problem import GemmProblem, Signature

DIVIDES = "if (C_M_COMPOUND)"


@pytest.mark.parametrize("kernel", BLOCKED[:3], ids=str)
def test_only_texts_for_compound_c_tell_its_axes_apart(kernel: KernelConfig) -> None:
    plain = GemmProblem(512, 512, 512, signature=Signature())
    for compound, found in (("", False), ("a", False), ("ab", False), ("m", True), ("abmn", True)):
        problem = replace(plain, signature=replace(plain.signature, compound=compound))
        text = kernel.spec(problem).text
        assert (DIVIDES in text) == found
        assert text.count("fn c_distance(") == 1
