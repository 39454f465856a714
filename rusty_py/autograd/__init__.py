"""Reverse-mode gradients: `backward`, `grad` and `value_and_grad`.

`record` is the hook that `apply` calls after each application. It adds a `Node` for a result that depends
on an array that requires a gradient. The rules are in the operations' records; no operation is named here but
the sum and the cast that undo broadcasting and promotion.

Nodes have rising numbers, and operands always have smaller ones than results. So the backward pass takes
nodes from a heap, the largest number first: every node comes after all that use its result, without
recursion. Nodes hold no array that holds them, so memory returns to the pool by reference counts alone.
"""

from rusty_py.autograd.functions import grad as grad
from rusty_py.autograd.functions import value_and_grad as value_and_grad
from rusty_py.autograd.nodes import Leaf as Leaf
from rusty_py.autograd.propagation import backward as backward
from rusty_py.autograd.propagation import pulled_back as pulled_back
from rusty_py.autograd.recording import no_grad as no_grad
from rusty_py.autograd.recording import record as record
from rusty_py.autograd.recording import recording_again as recording_again
from rusty_py.autograd.recording import require as require
