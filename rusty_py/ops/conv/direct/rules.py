"""What the direct and the depthwise algorithms take on GPUs."""

from __future__ import annotations

FEW = 4
"""Channels of the input in a group, or of the result, that a GPU computes directly."""

MULTIPLIER = 4
"""The most outputs of a channel of a depthwise convolution."""


def many_channels(channels: int, outputs: int) -> str | None:
    """The refusal of the direct algorithm for these channels and outputs of a group."""
    if min(channels, outputs) <= FEW:
        return None
    limit = f"takes up to {FEW} channels of the input, or {FEW} of the result, in a group"
    return f"{limit}: {channels} and {outputs}"


def not_depthwise(channels: int, outputs: int) -> str | None:
    """The refusal of the depthwise algorithm for these channels and outputs of a group."""
    if channels == 1 and outputs <= MULTIPLIER:
        return None
    return f"takes groups of 1 channel and up to {MULTIPLIER} outputs: {channels} and {outputs}"
