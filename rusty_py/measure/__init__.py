"""Measurement shared by the benchmark and the tuner: verification, sampling, clocks and ceilings.

Prints nothing and depends on no command or report.
"""
