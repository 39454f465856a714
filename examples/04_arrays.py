"""Compute with arrays that stay on the GPU: fit a line to points, and read only the answer."""

import numpy as np

import rusty_py as rp

rng = np.random.default_rng()
x = rng.random(100_000, np.float32)
y = 3 * x - 1 + rng.normal(scale=0.1, size=x.size).astype(np.float32)

# The points go to the GPU once; each line below returns before the GPU has done it.
gx, gy = rp.array(x), rp.array(y)
dx, dy = gx - gx.mean(), gy - gy.mean()
slope = (dx * dy).sum() / (dx**2).sum()
offset = gy.mean() - slope * gx.mean()
print("slope and offset:", float(slope), float(offset))

# What is far from the line is cut off without a loop, and without a visit to the host.
error = gy - (slope * gx + offset)
cut = rp.where(abs(error) < 0.2, error, 0.0)
print("points off by more than 0.2:", int((abs(error) >= 0.2).sum()))
print(cut)

expected = np.polyfit(x.astype(np.float64), y.astype(np.float64), 1)
found = np.array([slope.item(), offset.item()])
print("largest difference from NumPy:", np.abs(found - expected).max())
