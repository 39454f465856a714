"""MLX as a reference, by a fake of it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rusty_py.errors import ToolError
from rusty_py.measure.references import library, mlx
from rusty_py.measure.references.computation import ReferenceTrack

from .tasks import DEVICE, X, add, importing, run_of, verified


class Lazy:
    """An array of MLX that may not be computed yet."""

    def __init__(self, compute: Callable[[], Any], *needs: "Lazy") -> None:
        self.compute, self.needs = compute, needs
        self.value: Any = None

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.value


class FakeMlx:
    """MLX by NumPy: computes what is evaluated, and what that needs, and counts the sums."""

    gpu = "gpu"
    float32 = np.float32

    def __init__(self, *, device: str = "gpu") -> None:
        self.device = device
        self.added = self.waits = 0

    def Device(self, kind: str) -> str:  # noqa: N802  MLX's name.
        return kind

    def default_device(self) -> str:
        return self.device

    def array(self, x: Any) -> Lazy:
        made = Lazy(lambda: x)
        self.eval(made)
        return made

    def as_strided(self, x: Lazy, shape: Any, strides: Any, offset: int) -> Lazy:
        sizes = tuple(4 * each for each in strides)
        return Lazy(lambda: np.lib.stride_tricks.as_strided(x.value[offset:], shape, sizes), x)

    def depends(self, given: list[Lazy], needs: list[Lazy]) -> list[Lazy]:
        return [Lazy(lambda each=each: each.value, each, *needs) for each in given]

    def add(self, x: Lazy, y: Lazy) -> Lazy:
        def compute() -> Any:
            self.added += 1
            return x.value + y.value

        return Lazy(compute, x, y)

    def eval(self, x: Lazy) -> None:
        if x.value is None:
            for each in x.needs:
                self.eval(each)
            x.value = x.compute()

    async_eval = eval

    def synchronize(self) -> None:
        self.waits += 1


def test_mlx_evaluates_every_call() -> None:
    fake, task = FakeMlx(), add(X.T, X.T)
    (track,) = mlx.MlxLibrary(fake).tracks(task, device=DEVICE, clock="gpu")
    assert (track.by, track.clock, track.scope) == ("mlx", "wall", "kernel")
    assert isinstance(track, ReferenceTrack)
    assert verified(track).ok
    for runs in (1, 16, 37):
        fake.added = fake.waits = 0
        track.runs = runs
        track.sample()
        assert (fake.added, fake.waits) == (runs, 1)
        assert track.recheck().ok


def test_a_wrong_result_of_mlx_is_wrong() -> None:
    fake = FakeMlx()
    fake.add = lambda x, y: Lazy(lambda: x.value - y.value, x, y)  # type: ignore[method-assign]
    (result,) = run_of(*mlx.MlxLibrary(fake).tracks(add(), device=DEVICE, clock="wall"))
    assert result.verdict == "wrong"
    assert result.reason == "6 of 6 elements are wrong, first [0, 0] = 0 instead of 2"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (None, r"^mlx: not installed: .*; install it with: pip install mlx$"),
        (FakeMlx(device="cpu"), r"^mlx: no GPU: it uses cpu; "),
    ],
)
def test_without_mlx_or_its_gpu_the_error_says_what_to_do(
    found: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlx, "import_module", importing(found))
    with pytest.raises(ToolError, match=said):
        library("mlx")
