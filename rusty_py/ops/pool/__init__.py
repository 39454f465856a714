"""Pooling over windows of images: kernels with loops for any window, and unrolled ones for common windows."""
