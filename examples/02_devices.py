"""See what there is to compute on, and choose a device and a tile."""

import numpy as np

from rusty_py import Device, LimitError, list_adapters, matmul

for adapter in list_adapters():
    print(f"{adapter.index}: {adapter}, {adapter.limits.threads} threads in a workgroup")

a = np.random.default_rng().random((256, 256), np.float32)
with Device() as device:
    for tile in (8, 16, 32):
        try:
            c = matmul(a, a, tile=tile, device=device)
        except LimitError as error:
            print(error)
        else:
            print(f"tile {tile}: largest difference from NumPy {np.abs(c - a @ a).max():.1e}")
