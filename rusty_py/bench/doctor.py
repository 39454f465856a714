"""`rusty-bench doctor`: checks what the benchmark needs and suggests fixes.

Kernels run in a child process, so that a driver that crashes or hangs is a finding, too.
"""

import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection

from rusty_py import shaders, user_cache
from rusty_py.errors import NoAdapter, RustyError
from rusty_py.measure.signals import leave_to_parent
from rusty_py.runtime import capi, native
from rusty_py.runtime.adapter import choose, list_adapters, remedy

NOTHING_TO_RUN_ON = "adapter"
_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Diagnosis:
    """The result of one check: ok without a `remedy`; else a failure if `failed`, or a note."""

    what: str
    seen: str
    remedy: str = ""
    failed: bool = False

    def __str__(self) -> str:
        mark = "FAIL" if self.failed else "note" if self.remedy else "ok"
        line = f"{mark:5}{self.what}: {self.seen}"
        return f"{line}\n     -> {self.remedy}" if self.remedy else line


def examine(adapter: str | None) -> list[Diagnosis]:
    """Runs the checks in order of dependency; stops after a failure."""
    findings: list[Diagnosis] = []
    for check in (_installation, partial(_adapters, adapter), partial(_in_child, adapter)):
        findings += check()
        if any(finding.failed for finding in findings):
            break
    return findings


def _installation() -> Iterator[Diagnosis]:
    yield Diagnosis("Python", sys.version.split()[0])
    try:
        yield Diagnosis("wgpu-native", native.library_version())
    except (ImportError, OSError) as error:
        yield Diagnosis(
            "wgpu-native", str(error), "pip install --force-reinstall 'wgpu>=0.32,<0.33'", failed=True
        )
        return
    if not capi.has_unchecked_modules():
        yield Diagnosis(
            "unchecked shaders", "this wgpu-native has none", "kernels run with checks, up to 3 times slower"
        )
    try:
        count = len(list(shaders.root().glob("**/*.wgsl")))
        yield Diagnosis("shaders", f"{count} found")
    except RustyError as error:
        yield Diagnosis(
            "shaders", str(error), "install rusty_py again: pip install -e . in its checkout", failed=True
        )
    if fault := user_cache.fault():
        yield Diagnosis("cache", fault, f"{user_cache.WAY_OUT}; until then nothing is kept between runs")


def _adapters(which: str | None) -> Iterator[Diagnosis]:
    if not list_adapters():
        yield Diagnosis(NOTHING_TO_RUN_ON, "none found", remedy(), failed=True)
        return
    try:
        chosen = choose(which)
    except NoAdapter as error:
        remedy_text = "choose one of those; rusty-bench info describes them"
        yield Diagnosis(NOTHING_TO_RUN_ON, str(error), remedy_text, failed=True)
        return
    if chosen.is_cpu:
        yield Diagnosis(
            NOTHING_TO_RUN_ON,
            f"{chosen} is a CPU driver",
            "correct but slow; to use a GPU, install its Vulkan driver",
        )
    else:
        yield Diagnosis(NOTHING_TO_RUN_ON, str(chosen))
    if chosen.limits.loop_steps < 2**32 - 1:
        yield Diagnosis(
            "driver",
            f"{chosen.driver} ends loops after {chosen.limits.loop_steps:,} steps; rusty_py splits them",
            "your own long loops need Mesa 23 or newer",
        )
    if "timestamp-query" not in chosen.features:
        yield Diagnosis("timestamps", "not offered", "times come from the wall clock over batched runs")


def _in_child(adapter: str | None) -> list[Diagnosis]:
    """The checks that run kernels, in a child process with a time limit."""
    spawn = multiprocessing.get_context("spawn")
    reader, writer = spawn.Pipe(duplex=False)
    child = spawn.Process(target=_child, args=(adapter, writer), daemon=True)
    child.start()
    writer.close()  # The child holds the other copy; reading ends when the child exits.
    findings: list[Diagnosis] = []
    ended = "hangs"
    try:
        while reader.poll(_PATIENCE_S):
            findings.append(reader.recv())
    except EOFError:
        child.join()
        ended = f"crashed with exit code {child.exitcode}" if child.exitcode else ""
    finally:
        child.kill()
    if ended:
        last = findings[-1].what if findings else "the start"
        remedy_text = "update the driver, or choose another --adapter"
        findings.append(Diagnosis("driver", f"{ended} after {last}", remedy_text, failed=True))
    return findings


def _child(adapter: str | None, writer: Connection) -> None:
    leave_to_parent()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        for finding in _on_device(adapter):
            writer.send(finding)
    except RustyError as error:
        writer.send(
            Diagnosis("device", str(error), "update the driver, or choose another --adapter", failed=True)
        )


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)


def _on_device(adapter: str | None) -> Iterator[Diagnosis]:
    import numpy as np

    from rusty_py import oracle
    from rusty_py.dtypes import F32
    from rusty_py.gemm.simple import TILES
    from rusty_py.measure.ceilings import CeilingMeter
    from rusty_py.measure.clock import check_clock
    from rusty_py.ops.matmul import matmul
    from rusty_py.runtime import probe
    from rusty_py.runtime.device import Device
    from rusty_py.runtime.timing import Timer

    rng = np.random.default_rng()
    a, b = (rng.standard_normal(shape, np.float32) for shape in ((67, 129), (129, 45)))
    reference, bound = oracle.matmul(a, b, dtype=F32)
    for checked in (True, False):
        with Device(adapter, checked=checked) as device:
            for tile in ("auto", "naive", *TILES):
                what = f"matmul, tile {tile}, {'checked' if checked else 'unchecked'}"
                if isinstance(tile, int) and tile**2 > device.limits.threads:
                    yield Diagnosis(what, f"needs {tile**2} threads", "use a smaller tile here")
                    continue
                error = np.abs(matmul(a, b, tile=tile, device=device) - reference)
                if (error <= bound).all():
                    yield Diagnosis(what, "right")
                else:
                    yield Diagnosis(
                        what, "wrong results", "the driver miscompiles it: update the driver", failed=True
                    )
    with Device(adapter) as device:
        yield Diagnosis("subgroup size", str(probe.subgroup_size(device) or "no subgroups"))
        timer = Timer(device)
        ceilings = CeilingMeter(device, timer, sample_s=0.05)
        ceilings.fit(2e-3)
        clock = check_clock(timer, ceilings.fma_launch, at_least_s=0.05)
        if clock.name == "gpu":
            yield Diagnosis("clock", clock.reason)
        else:
            yield Diagnosis("clock", clock.reason, "times come from the wall clock over batched runs")
