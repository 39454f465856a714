"""Scripts in processes of their own, for what would end this one where it fails."""

import sys

from ..system.program import Done, run

PREAMBLE = """
import os, sys, threading
import numpy as np
import rusty_py
from rusty_py import Device, DeviceError, default_device, matmul
from rusty_py.measure.kernels import FILL
from rusty_py.runtime.buffer import Buffer, CommandBuffer
from rusty_py.runtime.capi import Copy
from rusty_py.runtime.launch import launch, prepare, record, run
from rusty_py.runtime.transfer import mapped
from tests.ops.products import launches

def fill(device, buffer):
    return prepare(device, FILL, outputs=[buffer], uniforms=(4, 7, 256), workgroups=(1, 1, 1))

def refused(action, *arguments):
    try:
        action(*arguments)
    except DeviceError as error:
        print("DeviceError:", error, flush=True)
    else:
        print("not refused", flush=True)

ONES = np.ones((33, 33), np.float32)
"""


def outcome(script: str, *, timeout_s: float = 60.0) -> str:
    """What a script prints; it must end by itself, and well. Names of `PREAMBLE` are at hand."""
    done = ended(script, timeout_s=timeout_s)
    assert done.code == 0, f"exit code {done.code}: {done.err[-2000:]}"
    return done.out.strip()


def aborts(script: str, *, timeout_s: float = 60.0) -> bool:
    """Whether wgpu-native ends the process of `script`."""
    # SIGABRT; and what Windows makes of it.
    return ended(script, timeout_s=timeout_s).code in (-6, 134, 3)


def ended(script: str, *, timeout_s: float = 60.0) -> Done:
    """How the process of `script` ends."""
    return run([sys.executable, "-c", PREAMBLE + script], env={"RUST_BACKTRACE": "0"}, patience_s=timeout_s)
