"""The measuring core of the benchmark and the tuner: what is verified, sampled, and compared with a ceiling.

Prints nothing, and knows no command and no report.
"""
