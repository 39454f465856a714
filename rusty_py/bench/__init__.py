"""rusty-bench: verifies and times kernels, and reports the results."""
