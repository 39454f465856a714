"""Exponentials."""

import numpy as np

from rusty_py.ops.elementwise import Row, define_unary

# WGSL's exp has an error of 3 + 2 |x| ulp (specification, "Accuracy of concrete floating point expressions").

exp = define_unary(Row("exp", "exp(x)", np.exp, "f", ulps=lambda x: 3 + 2 * np.abs(x), f16_in_f32=True))
