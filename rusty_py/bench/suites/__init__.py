"""Suites of operations, one a file: see description.py."""
