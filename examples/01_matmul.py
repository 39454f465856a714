"""Multiply two NumPy arrays on the GPU."""

import numpy as np

from rusty_py import matmul

rng = np.random.default_rng()
a = rng.random((700, 300), np.float32)
b = rng.random((300, 500), np.float32)

c = matmul(a, b)
print(c.shape, c.dtype, "largest difference from NumPy:", np.abs(c - a @ b).max())

# float64 would lose digits, so it has to be asked for.
c = matmul(np.eye(3), np.arange(9).reshape(3, 3), dtype="f32")
print(c)
