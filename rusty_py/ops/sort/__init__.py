"""Sorts of rows, by keys that are unsigned integers."""
