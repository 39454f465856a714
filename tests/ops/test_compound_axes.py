"""Matrix products with compound axes, by blocked kernels, against float64."""

from rusty_py import Device
from rusty_py.runtime.launch import launch

from ..each import each_reported
from ..metal.compound_works import compound_products
from .operands import needs


def test_products_with_compound_axes(unchecked: Device) -> None:
    with each_reported() as case:
        for each in compound_products():
            with case(each.name):
                needs(unchecked, each.sample.dtype)
                assert each.expected().error(each.compute(unchecked, launch)) <= 1
