"""Convolutions: each is one or more correlations (correlation.py), which the algorithms compute."""
