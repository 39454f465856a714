"""Our operations, computed by their kernels' Metal text: the checker takes the driver's place."""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from rusty_py import Adapter, Device
from rusty_py.checker import Report, check
from rusty_py.checker.build import build, runner
from rusty_py.checker.check import SUBGROUP_SIZES
from rusty_py.checker.translate import Translation, translate
from rusty_py.ops.all import MODULES
from rusty_py.runtime import launch, launch_plans
from rusty_py.runtime.buffer import Buffer
from rusty_py.runtime.launch import Spec
from rusty_py.runtime.launch_plans import LaunchPlan
from rusty_py.runtime.uniforms import SLOT_WORDS

from . import declared
from .registry import source_of, text_of

POISON = 0xA7
PARTS = 2
_CHECKING = import_module("rusty_py.checker.check")  # The package has the function by this name.


class MetalText:
    """Executes launches with what a driver would be given: the same buffers, bytes and workgroups."""

    def __init__(self, subgroup_sizes: Sequence[int] = SUBGROUP_SIZES) -> None:
        self.subgroup_sizes = subgroup_sizes
        self.reports: list[tuple[Spec, Report]] = []
        self.translations: dict[str, Translation] = {}
        self.noted: set[Spec] | None = None

    def launch(
        self,
        device: Device,
        spec: Spec,
        *,
        inputs: Sequence[Buffer] = (),
        outputs: Sequence[Buffer],
        uniforms: Sequence[int] = (),
        workgroups: tuple[int, int, int],
        flops: int = 0,
    ) -> None:
        """What `kernel.launch` does. Fails where the checker finds something."""
        if device.recorder is not None:  # It is planned, and launched later.
            kwargs = {"inputs": inputs, "outputs": outputs, "uniforms": uniforms}
            launch.launch(device, spec, **kwargs, workgroups=workgroups, flops=flops)
            return
        if self.noted is not None:
            self.noted.add(spec)
            return
        buffers = dict(enumerate([*inputs, *outputs]))
        declares = declared.bindings(source_of(spec))
        bound = {name: buffers[number] for number, (name, _) in declares.items() if number in buffers}
        contents = {name: words(device, buffer) for name, buffer in bound.items()}
        if spec.has_uniforms:
            contents["uniforms"] = np.array([*uniforms, *[0] * (SLOT_WORDS - len(uniforms))], np.uint32)
        report = check(
            text_of(spec),
            constants=dict(spec.constants),
            workgroups=workgroups,
            buffers=contents,
            subgroup_sizes=self.subgroup_sizes,
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

    def launched_by(self, compute: Callable[[], object]) -> set[Spec]:
        """The kernels that `compute` launches, none of which is executed."""
        self.noted = noted = set()
        try:
            compute()
        finally:
            self.noted = None
        return noted

    def compile_ahead(self, specs: Iterable[Spec]) -> None:
        """Translates and builds kernels, in processes; what is in the checker's cache stays."""
        sources = dict.fromkeys(map(source_of, specs))
        self.translations |= compiled([each for each in sources if each not in self.translations])

    def _translated(self, wgsl: str, *, name: str) -> Translation:
        if wgsl not in self.translations:
            self.translations[wgsl] = translate(wgsl, name=name)
        return self.translations[wgsl]

    @contextmanager
    def device(self, adapter: Adapter) -> Iterator[Device]:
        """A device whose launches are ours: of f16, too, and with fresh memory poisoned."""
        with pytest.MonkeyPatch.context() as patch, Device(adapter) as device:
            for module in (launch_plans, *MODULES):
                if hasattr(module, "launch"):
                    patch.setattr(module, "launch", self.launch)
            patch.setattr(LaunchPlan, "run", LaunchPlan.launch)
            # Most of a check's time goes to what depends on the text alone.
            patch.setattr(_CHECKING, "translate", self._translated)
            for name in ("check_size", "bake", "validate"):
                patch.setattr(_CHECKING, name, once(getattr(_CHECKING, name)))
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


def once(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, called once for the same arguments."""
    results: dict[str, Any] = {}

    def remembered(*arguments: object, **options: object) -> Any:
        key = repr((arguments, options))
        if key not in results:
            results[key] = function(*arguments, **options)
        return results[key]

    return remembered


def compiled(sources: Sequence[str]) -> dict[str, Translation]:
    """The translations of WGSL texts, each built. In PARTS processes: half of the work is in Python."""
    runner()
    with ProcessPoolExecutor(PARTS, multiprocessing.get_context("spawn")) as pool:
        return dict(zip(sources, pool.map(_compile, sources, chunksize=8), strict=True))


def _compile(source: str) -> Translation:
    translation = translate(source)
    for entry in translation.entries:
        build(translation.msl, entry)
    return translation
