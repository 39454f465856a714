"""Every kernel variant we ship."""

from functools import cache

import pytest

from rusty_py.gemm import variants as gemm
from rusty_py.measure import kernels
from rusty_py.ops.all import MODULES
from rusty_py.runtime import probe
from rusty_py.runtime.launch import Spec

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
    """Parametrizes a test by `specs`: those of one .wgsl file at a time."""
    files = by_file(specs)
    return pytest.mark.parametrize("specs", files.values(), ids=list(files))


@cache
def text_of(spec: Spec) -> str:
    """`spec.text`, assembled once for all tests."""
    return spec.text


@cache
def source_of(spec: Spec) -> str:
    """`spec.source`, assembled once for all tests."""
    return spec.source
