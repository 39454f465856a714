"""Fusion: functions of arrays that are traced once, and computed by few kernels. It names no operation."""
