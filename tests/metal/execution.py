"""Our operations, computed by their kernels' Metal text: the checker takes the driver's place."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from rusty_py import Adapter, Device, kernel, plans
from rusty_py.buffer import Buffer
from rusty_py.checker import Report, check
from rusty_py.checker.build import build, runner
from rusty_py.checker.translate import translate
from rusty_py.kernel import Spec
from rusty_py.ops import creation, elementwise, matmul, reduce
from rusty_py.params import SLOT_WORDS
from rusty_py.plans import LaunchPlan

from . import declared

POISON = 0xA7
PARTS = 2


class MetalText:
    """Executes launches with what a driver would be given: the same buffers, bytes and workgroups."""

    def __init__(self) -> None:
        self.reports: list[tuple[Spec, Report]] = []

    def launch(
        self,
        device: Device,
        spec: Spec,
        *,
        inputs: Sequence[Buffer] = (),
        outputs: Sequence[Buffer],
        dims: Sequence[int] = (),
        workgroups: tuple[int, int, int],
        flops: int = 0,
    ) -> None:
        """What `kernel.launch` does. Fails where the checker finds something."""
        if device.recorder is not None:  # It is planned, and launched later.
            about = {"inputs": inputs, "outputs": outputs, "dims": dims}
            kernel.launch(device, spec, **about, workgroups=workgroups, flops=flops)
            return
        buffers = dict(enumerate([*inputs, *outputs]))
        declares = declared.bindings(spec.source)
        bound = {name: buffers[number] for number, (name, _) in declares.items() if number in buffers}
        contents = {name: words(device, buffer) for name, buffer in bound.items()}
        if spec.has_dims:
            contents["dims"] = np.array([*dims, *[0] * (SLOT_WORDS - len(dims))], np.uint32)
        report = check(
            spec.text,
            constants=dict(spec.constants),
            workgroups=workgroups,
            buffers=contents,
            # No kernel takes more than it says, which may be more than Metal has: those are not for Metal.
            workgroup_bytes=spec.workgroup_bytes,
            name=str(spec),
        )
        self.reports.append((spec, report))
        if report.findings:
            pytest.fail(str(report), pytrace=False)
        for number, buffer in enumerate(outputs, len(inputs)):
            written = report.outputs[declares[number][0]].reshape(-1).view(np.uint8)
            device.write(buffer, written[: buffer.nbytes])

    @contextmanager
    def device(self, adapter: Adapter) -> Iterator[Device]:
        """A device whose launches are ours: of f16, too, and with fresh memory poisoned."""
        with pytest.MonkeyPatch.context() as patch, Device(adapter) as device:
            for module in (creation, elementwise, matmul, plans, reduce):
                patch.setattr(module, "launch", self.launch)
            patch.setattr(LaunchPlan, "run", LaunchPlan.launch)
            # What is chosen for a GPU, as a Mac's is.
            features = adapter.features | {"shader-f16"}
            device.adapter = replace(adapter, features=features, type="IntegratedGPU")
            empty = device.empty

            def poisoned(nbytes: int, *, label: str = "buffer") -> Buffer:
                buffer = empty(nbytes, label=label)
                if device.recorder is None:
                    device.write(buffer, np.full(buffer.nbytes, POISON, np.uint8))
                return buffer

            patch.setattr(device, "empty", poisoned)
            yield device


def words(device: Device, buffer: Buffer) -> np.ndarray:
    """All of a buffer, and of what a launch binds behind it, which is anything."""
    out = np.full(buffer.bound_bytes // 4, np.frombuffer(bytes([POISON] * 4), np.uint32)[0])
    device.read(buffer, out[: buffer.nbytes // 4])
    return out


def compile_ahead(specs: Sequence[Spec]) -> None:
    """Builds all these kernels, as many at a time as there are cores; what is in the cache stays."""
    runner()
    with ThreadPoolExecutor(PARTS) as pool:
        list(pool.map(_compile, {spec.source for spec in specs}))


def _compile(source: str) -> None:
    translation = translate(source)
    for entry in translation.entries:
        build(translation.msl, entry)
