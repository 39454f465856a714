"""rusty-bench: proves kernels, times them, and says what the figures mean."""
