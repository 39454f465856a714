"""The C types, made once for our calls and for those of wgpu-py."""

import subprocess
import sys

import pytest

from rusty_py.runtime import capi


def test_types_are_those_that_cffi_reads_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    from wgpu.backends.wgpu_native import ffi

    named = capi.types()
    monkeypatch.setattr(ffi, "_parsed_types", {})
    for name in ("char[]", "WGPUBindGroupEntry[]", "WGPULimits *", "uintptr_t"):
        assert named[name] == ffi.typeof(name)


def test_callbacks_are_those_that_cffi_reads_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    from wgpu.backends.wgpu_native import ffi

    monkeypatch.setattr(ffi, "_parsed_types", {})
    capi.types.__wrapped__()
    ours = {name: each for name, each in ffi._parsed_types.items() if name.startswith("void(")}
    monkeypatch.setattr(ffi, "_parsed_types", {})
    for name in ours:
        ffi.callback(name, lambda *_: None)
    assert ours
    assert ffi._parsed_types == ours


def test_a_cffi_that_keeps_types_elsewhere_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from wgpu.backends.wgpu_native import ffi

    class Other(dict[str, object]):
        def get(self, name: str, default: object = None) -> object:
            return "something else"

    other = Other()
    monkeypatch.setattr(ffi, "_parsed_types", other)
    capi.types.__wrapped__()
    assert set(other) <= {key for key in other if key.startswith("void (*)")}


def test_wgpu_py_asks_for_no_type_by_a_name_that_is_new() -> None:
    script = """
from wgpu.backends.wgpu_native import ffi
from rusty_py.runtime.adapter import choose
from rusty_py import ones
choose()
known = set(ffi._parsed_types)
(ones(8) + ones(8)).numpy()
print(sorted(set(ffi._parsed_types) - known))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
