"""Every kernel variant we ship."""

from functools import cache

import pytest

from rusty_py.gemm import variants as gemm
from rusty_py.measure import kernels
from rusty_py.ops.all import MODULES
from rusty_py.runtime import probe
from rusty_py.runtime.launch import Spec

from . import rotation

OPS = [gemm, *(module for module in MODULES if hasattr(module, "variants"))]
"""Modules with kernels."""


def all_specs() -> list[Spec]:
    """One Spec for every text that can reach a compiler."""
    return [
        *(spec for module in OPS for spec in module.variants()),
        *kernels.all_specs(),
        probe.SUBGROUP_SIZE,
    ]


def by_file(specs: list[Spec]) -> dict[str, list[Spec]]:
    """The Specs of each .wgsl file."""
    files: dict[str, list[Spec]] = {}
    for spec in specs:
        files.setdefault(spec.name, []).append(spec)
    return files


def each_file(specs: list[Spec]) -> pytest.MarkDecorator:
    """Parametrizes a test by `specs`: those of one .wgsl file at a time.

    They take turns, as rotation.py says; those that are not due are left to `make test-all`.
    """
    due = set(rotation.due(specs))
    today = by_file([spec for spec in specs if spec in due])
    others = by_file([spec for spec in specs if spec not in due])
    cases = [pytest.param(found, id=name) for name, found in today.items()]
    cases += [
        pytest.param(found, id=f"{name}, not due", marks=pytest.mark.slow) for name, found in others.items()
    ]
    return pytest.mark.parametrize("specs", cases)


@cache
def text_of(spec: Spec) -> str:
    """`spec.text`, assembled once for all tests."""
    return spec.text


@cache
def source_of(spec: Spec) -> str:
    """`spec.source`, assembled once for all tests."""
    return spec.source
