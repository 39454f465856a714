"""Predicted times of convolution algorithms, on devices of other types than this one."""

from dataclasses import replace

import pytest

from rusty_py import Device
from rusty_py.arrays import allocate
from rusty_py.dtypes import F32
from rusty_py.ops.conv.geometry import Geometry
from rusty_py.ops.conv.problems import convolution, weight_gradient
from rusty_py.ops.conv.select import ALGORITHMS, WEIGHT_ALGORITHMS
from rusty_py.profile.prior import prior
from rusty_py.profile.record import Profile
from rusty_py.runtime.launch_plans import Planner

from ..each import each_reported

PRIORS = {"DiscreteGPU": "nvidia-h200", "IntegratedGPU": "integrated"}
"""The profiles of adapter types."""

LAYERS = ((64, 1), (3, 1), (64, 64))
"""Channels and groups of 3x3 convolutions to 64 outputs, of 32 images of 56x56."""


def test_predictions_of_all_algorithms_scale_with_the_device(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An integrated GPU is predicted to be at least 5 times as slow as an H200, whatever the algorithm."""

    def predicted(kind: str) -> dict[str, float]:
        monkeypatch.setattr(unchecked, "adapter", replace(unchecked.adapter, type=kind))
        monkeypatch.setitem(unchecked.attachments, Profile, prior(PRIORS[kind]))
        found = {}
        for channels, groups in LAYERS:
            shapes = (32, channels, 56, 56), (64, channels // groups, 3, 3), (32, 64, 56, 56)
            x, w, out = (allocate(unchecked, shape, F32, operation="test") for shape in shapes)
            geometry = Geometry(padding=(1, 1), groups=groups)
            forward = convolution(geometry, x, w, out, None, "")
            for each in ALGORITHMS.values():
                if each.refusal(unchecked, forward) is None:
                    found[f"{each.name} of {shapes}"] = each.seconds(unchecked, forward)
            gradient = weight_gradient(geometry, x, out, w)
            for other in WEIGHT_ALGORITHMS.values():
                if other.refusal(unchecked, gradient) is None:
                    found[f"{other.name}, weights of {shapes}"] = other.seconds(unchecked, gradient)
        return found

    h200, integrated = unchecked.compose(Planner(unchecked), lambda: [*map(predicted, PRIORS)])
    with each_reported() as case:
        for name, seconds in h200.items():
            with case(name):
                assert integrated[name] > 5 * seconds
