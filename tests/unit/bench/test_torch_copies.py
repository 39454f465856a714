"""PyTorch's copies, where it is installed: a script plays it."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rusty_py.bench.transfer import torch_copies
from rusty_py.bench.transfer.copies import Arrays
from rusty_py.bench.transfer.torch_copies import PAGEABLE, PINNED


class Tensor:
    """As much of a tensor as a copy needs."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def copy_(self, other: "Tensor", *, non_blocking: bool = False) -> None:
        self.values[:] = other.values

    def cuda(self) -> "Tensor":
        return Tensor(self.values.copy())

    cpu = cuda

    def zero_(self) -> None:
        self.values[:] = 0

    def numpy(self) -> Any:
        return self.values


def fake(*, available: bool, synchronize: Any = lambda: None) -> SimpleNamespace:
    return SimpleNamespace(
        cuda=SimpleNamespace(is_available=lambda: available, synchronize=synchronize),
        from_numpy=Tensor,
        empty_like=lambda tensor, pin_memory: Tensor(np.empty_like(tensor.values)),
    )


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Any:
    def put(module: object) -> None:
        monkeypatch.setattr(torch_copies, "torch", lambda: module)

    return put


@pytest.mark.parametrize("way", [torch_copies.uploads, torch_copies.downloads])
def test_both_kinds_of_memory_are_copied_and_verified(way: Any, use: Any) -> None:
    ended: list[str] = []
    use(fake(available=True, synchronize=lambda: ended.append("end")))
    implementations = way(Arrays(4096))
    assert [each.by for each in implementations] == [PINNED, PAGEABLE]
    for each in implementations:
        assert each.verify(lambda each=each: each.run(2)) == ""
        assert each.verify(lambda: None) == "100.00% of the words differ"
    assert len(ended) == 4


@pytest.mark.parametrize("module", [None, fake(available=False)])
def test_without_cuda_there_are_no_such_columns(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str) -> Any:
        if module is None:
            raise ImportError(name)
        return module

    monkeypatch.setattr(torch_copies, "import_module", find)
    torch_copies.torch.cache_clear()
    assert torch_copies.uploads(Arrays(4)) == torch_copies.downloads(Arrays(4)) == []
    torch_copies.torch.cache_clear()
