import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rusty_py import shaders
from rusty_py.gemm.simple import TILES

VARIANTS = ["naive", *TILES]


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
