"""Hyperbolic functions."""

import numpy as np

from rusty_py.ops.elementwise import Row, define_unary

# The error of exp, which is multiplied by at most 0.63, then of a quotient and two sums.

tanh = define_unary(Row("tanh", "accurate_tanh(x)", np.tanh, "f", ulps=8, f16_in_f32=True))
