"""Profiles that describe no machine: every figure anywhere in what a profile may hold."""

import random
from dataclasses import replace

from hypothesis import strategies as st

from rusty_py.profile.prior import prior
from rusty_py.profile.record import ITEM_BYTES, KernelRate, Profile, as_json, from_json


def scrambled(seed: int, name: str) -> Profile:
    """A shipped profile, its figures drawn anew; some rates, or all, are missing."""
    rng = random.Random(seed)

    def anything(low: float, high: float) -> float:
        return float(low * (high / low) ** rng.random())

    def rates(kernel: KernelRate) -> KernelRate:
        share = rng.random()
        return replace(
            kernel, gflops={each: anything(1e-2, 1e8) for each in kernel.gflops if rng.random() < share}
        )

    base = prior(name)
    share = rng.choice([0.0, 0.5, 1.0, 1.0])
    return replace(
        base,
        basis="calibrated",
        cores=round(anything(1, 60_000)),
        fma_gflops=anything(1e-2, 1e8),
        launch_s=anything(1e-8, 0.9),
        copy=tuple((size, anything(1e7, 1e17)) for size, _ in base.copy),
        read=tuple((size, anything(1e7, 1e17)) for size, _ in base.read),
        scattered=anything(0.02, 1.0),
        fill_groups=round(anything(1, 1 << 20)),
        item_bytes=rng.choice(ITEM_BYTES),
        kernels=tuple(rates(each) for each in base.kernels if rng.random() < share),
    )


def profiles(*names: str) -> st.SearchStrategy[Profile]:
    """Scrambled profiles, as they are when read from a file."""
    drawn = st.builds(scrambled, st.integers(0, 2**32 - 1), st.sampled_from(names))
    return drawn.map(lambda profile: from_json(as_json(profile)))
