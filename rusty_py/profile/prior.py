"""The shipped profiles, for adapters that have not been calibrated, and which of them an adapter gets."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

from rusty_py.profile.record import Profile, from_json
from rusty_py.runtime.adapter import Adapter

_FOLDER = Path(__file__).parent / "priors"

# Of the first that the adapter's name matches, else of its type. WebGPU tells no more of an architecture.
_BY_NAME = (
    (r"NVIDIA.*H200", "nvidia-h200"),
    (r"NVIDIA.*H100", "nvidia-h100"),  # The same chip with slower memory: the H200's figures, with 3.35 TB/s.
    (r"llvmpipe", "llvmpipe"),
    (r"Apple", "apple"),
)
_BY_TYPE = {"CPU": "llvmpipe", "IntegratedGPU": "integrated", "DiscreteGPU": "discrete"}

NAMES = ("apple", "discrete", "integrated", "llvmpipe", "nvidia-h100", "nvidia-h200")
"""All shipped profiles."""


def prior_for(adapter: Adapter) -> Profile:
    """The profile that is assumed of an adapter until it has been calibrated."""
    for pattern, name in _BY_NAME:
        if re.search(pattern, f"{adapter.vendor} {adapter.name}"):
            return prior(name)
    return prior(_BY_TYPE.get(adapter.type, "integrated"))


@cache
def prior(name: str) -> Profile:
    """A shipped profile. Raises KeyError for other names than `NAMES`."""
    if name not in NAMES:
        raise KeyError(name)
    return from_json(json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8")))
