"""What all suites share: an adapter where there is one, and devices on it."""

import os
import signal
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, settings

from rusty_py import Adapter, Device, NoAdapter, ToolError
from rusty_py.checker import tools
from rusty_py.runtime.adapter import choose

# What this machine was tuned to, or calibrated, must not change what is tested.
os.environ["RUSTY_PY_TUNING"] = os.environ["RUSTY_PY_PROFILE"] = "off"

for number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(number) == signal.SIG_IGN:
        # As in a background job, or under nohup: a handler that does nothing is not inherited.
        signal.signal(number, lambda *_: None)

# A CPU driver compiles at a kernel's first run, so that no example has a fair deadline.
settings.register_profile("rusty_py", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rusty_py")


@pytest.hookimpl(tryfirst=True)  # Before `-m` chooses.
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves the checked device to `make test-all` in tests with the mark `one_mode`."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        if callspec and callspec.params.get("device") == "checked" and item.get_closest_marker("one_mode"):
            item.add_marker(pytest.mark.slow)


def expects_adapter() -> bool:
    """Whether a missing adapter is a failure and no reason to skip."""
    return bool(os.environ.get("CI")) or os.environ.get("RUSTY_EXPECT_ADAPTER") == "1"


@pytest.fixture(scope="session")
def adapter() -> Adapter:
    """The adapter that all devices of the tests are on."""
    try:
        return choose()
    except NoAdapter as error:
        if expects_adapter():
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))


@pytest.fixture(scope="session", params=["checked", "unchecked"])
def device(request: pytest.FixtureRequest, adapter: Adapter) -> Iterator[Device]:
    """A device with wgpu's run-time checks in our kernels, and `unchecked`; see the mark `one_mode`."""
    if request.param == "unchecked":
        yield request.getfixturevalue("unchecked")
        return
    with Device(adapter, checked=True) as device:
        yield device


@pytest.fixture(scope="session")
def unchecked(adapter: Adapter) -> Iterator[Device]:
    """One device, for what has nothing to do with run-time checks; also the default device.

    A kernel costs a test most where a device compiles it first.
    """
    with Device(adapter, checked=False) as device, pytest.MonkeyPatch.context() as patch:
        patch.setattr("rusty_py.runtime.device._default", device)
        yield device


@pytest.fixture(scope="session")
def naga() -> None:
    """Asks for naga, which translates; without it tests are skipped, but not in CI."""
    _ask_for(tools.naga)


@pytest.fixture(scope="session")
def checker(naga: None) -> None:
    """Asks for all that the kernel checker needs; without it tests are skipped, but not in CI."""
    _ask_for(tools.clang)


def _ask_for(tool: Callable[[], object]) -> None:
    try:
        tool()
    except ToolError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))
