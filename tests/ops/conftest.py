import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rusty_py import shaders
from rusty_py.gemm import register_tiled_cpu, select
from rusty_py.gemm.register_tiled_cpu import RegisterTiledCpu
from rusty_py.gemm.simple import TILES

VARIANTS = ["naive", *TILES]
SHORT = RegisterTiledCpu(4, 4, lanes_m=4, lanes_n=8)


@pytest.fixture(autouse=True)
def no_plans(request: pytest.FixtureRequest) -> None:
    """Each test has its operations planned anew, under what it patches."""
    for name in ("device", "unchecked"):
        if name in request.fixturenames:
            request.getfixturevalue(name).cache.forget_plans()


@pytest.fixture(params=VARIANTS, ids=str)
def tile(request: pytest.FixtureRequest) -> int | str:
    """Each kernel that computes products."""
    return request.param


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the shaders that a test may change or add to, read in place of ours."""
    folder = tmp_path / "wgsl"
    shutil.copytree(shaders.root(), folder)
    monkeypatch.setattr(shaders, "root", lambda: folder)
    shaders.read.cache_clear()
    yield folder
    shaders.read.cache_clear()


@pytest.fixture
def short_kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """On CPU drivers, `auto` selects a register-tiled kernel that compiles in a quarter of the time.

    For tests of what is around a kernel; the shipped ones are tested in test_register_tiled_cpu.py.
    """
    monkeypatch.setattr(register_tiled_cpu, "REGISTER_TILED_CPU", (SHORT,))
    select._chosen.cache_clear()
    yield
    select._chosen.cache_clear()
