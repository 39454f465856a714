"""Winograd's algorithm for 3x3 kernels: fewer multiplications, as matrix products between three transforms.

Tiles of the input overlap by two pixels. For each of the 16 or 36 elements of a transformed tile, one matrix
product sums over the channels (forms.py has the formula). Transformed inputs and products need more memory
than the operands, so the tiles are computed in chunks, which share two temporaries (tiling.py). All of these
are f32, also where the operands are f16.

Each element of a transformed tile is a sum of inputs, so an infinity or a NaN spreads to all outputs of its
tiles, and rounding errors are relative to the largest inputs of a tile (bound.py).
"""
