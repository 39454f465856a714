"""Gradients of operations that end in an activation."""

from collections.abc import Callable

from rusty_py.arrays import Array
from rusty_py.operation import OPERATIONS, Gradient


def before_activation(g: Array, out: Array, activation: str, computed_again: Callable[[], Array]) -> Array:
    """The gradient of what `activation` was applied to, by g, that of its result `out`.

    `computed_again` gives the operand of the activation, where its rule reads it.
    """
    rule = OPERATIONS[activation].gradient
    assert isinstance(rule, Gradient)
    x = computed_again() if rule.reads_array(0) else out.layout
    (result,) = rule(g, out, (x,), (True,), {})
    assert result is not None
    return result
