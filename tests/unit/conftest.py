import pytest

from rusty_py.runtime import native


@pytest.fixture(autouse=True)
def _no_adapter(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tested here needs no adapter, and so must not ask for one."""

    def refuse() -> list[object]:
        raise AssertionError("a unit test asked for an adapter")

    monkeypatch.setattr(native, "enumerate_adapters", refuse)
