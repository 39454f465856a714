"""`Kernel`: compiles a WGSL text once and launches it on arrays."""

import math
import operator
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from rusty_py.arrays import Array
from rusty_py.errors import DeviceError, DtypeError, LimitError, ShaderError, ShapeError, UnsupportedError
from rusty_py.operation import HOOKS
from rusty_py.runtime.buffer import BINDING_BYTES, Buffer, BufferBinding
from rusty_py.runtime.device import Device, default_device
from rusty_py.runtime.launch import Launch, launch, prepare, warm_up
from rusty_py.user_kernel.refusal import refusal
from rusty_py.user_kernel.signature import BoundVariable, Number, Signature, signature
from rusty_py.user_kernel.spec import TextSpec
from rusty_py.wgsl_text.tokens import check_chains, check_size

Words = bytes | bytearray | memoryview | NDArray[np.generic]
"""A uniform on the host: its bytes, in WGSL's layout."""

_OPERATIONS_PER_THREAD = 1000
"""The guess by which launches are grouped into submissions, until the first long ones were timed."""
_KEPT_UNIFORMS = 256


class _Arguments(TypedDict):
    """Those of `launch` and `prepare`."""

    inputs: list[BufferBinding]
    outputs: list[BufferBinding]
    workgroups: tuple[int, int, int]
    flops: int


class Kernel:
    """A WGSL kernel. Calling it launches it on arrays, by the names of the text's variables.

        saxpy = rp.Kernel(text)
        saxpy(x=x, y=y, z=z, workgroups=64)

    `entry` is the entry point if the text has several; `constants` the values of overrides, by name or @id.
    The kernel is compiled for `device`, by default `default_device()`, with wgpu's bounds checks;
    `checked=False` leaves them out, unless the device was made with `checked=True`. `name` is used in
    messages.

    Raises ShaderError for a text that does not compile, LimitError for one that is too large or needs more
    than the device offers, UnsupportedError for bindings that are not buffers of group 0.
    """

    def __init__(
        self,
        wgsl: str,
        *,
        entry: str | None = None,
        constants: Mapping[str, Number] | None = None,
        checked: bool = True,
        device: Device | None = None,
        name: str = "kernel",
    ) -> None:
        check_size(wgsl, operation=name)
        check_chains(wgsl, operation=name)
        self.name = name
        self.device = device or default_device()
        self.device.ensure_usable(name)
        self._compile_text(wgsl)
        found = signature(wgsl, entry=entry, constants=constants or {}, name=name)
        self._check_limits(found)
        self.variables = found.variables
        read = [each for each in found.variables if not each.writable]
        written = [each for each in found.variables if each.writable]
        kinds = {(False, True): "uniform", (False, False): "read-only-storage", (True, False): "storage"}
        self.spec = TextSpec(
            name,
            len(read),
            len(written),
            max(1, found.threads),
            found.workgroup_bytes,
            found.constants,
            wgsl=wgsl,
            function=found.entry,
            always_checked=checked,
            numbered=tuple((each.number, kinds[each.writable, each.uniform]) for each in (*read, *written)),
        )
        self._order = (*read, *written)
        self._names = {each.name for each in self._order}
        self._lock = threading.Lock()
        self._uniforms: dict[bytes, Buffer] = {}
        self._uniform_bytes: int = self.device.raw.limits["max-uniform-buffer-binding-size"]
        warm_up(self.device, [self.spec])

    def __repr__(self) -> str:
        variables = ", ".join(f"{each.name}: {each.kind}" for each in self.variables)
        return f"Kernel({self.name}: {self.spec.entry}({variables}))"

    def __call__(self, /, *, workgroups: int | Sequence[int], **arrays: Array | Words) -> None:
        """Launches the kernel with `workgroups` along x, or (x, y) or (x, y, z). Asynchronous.

        Every variable takes an `Array` of its element type; a structure takes words of any dtype, in WGSL's
        layout. A uniform may also be bytes or a NumPy array. `read_write` arrays are written in place: they
        are contiguous, begin at a multiple of 256 bytes of their memory, and share it with no other argument.
        Other arrays may have any layout: they are copied where necessary. `arrayLength` is the number of
        elements; of an f16 array of odd size, one more.

        Launches are not recorded for gradients. Raises ShapeError for names and sizes, DtypeError,
        DeviceError, LimitError; UnsupportedError for arrays that require a gradient, outside of `no_grad`.
        """
        given = self._launch(workgroups, arrays)
        launch(self.device, self.spec, **given)
        for each in given["outputs"]:
            each.buffer.version += 1

    def prepare(self, *, workgroups: int | Sequence[int], **arrays: Array | Words) -> Launch:
        """The same launch, to be recorded any number of times. For benchmarks."""
        return prepare(self.device, self.spec, **self._launch(workgroups, arrays))

    def _launch(self, workgroups: int | Sequence[int], arrays: Mapping[str, Array | Words]) -> _Arguments:
        groups = self._groups(workgroups)
        if arrays.keys() != self._names:
            self._refuse_names(arrays)
        if HOOKS.refuse_write is not None:
            HOOKS.refuse_write(self.name, [each for each in arrays.values() if isinstance(each, Array)])
        bindings = [self._binding(each, arrays[each.name]) for each in self._order]
        if self.spec.outputs:
            self._refuse_shared(bindings)
        return {
            "inputs": bindings[: self.spec.inputs],
            "outputs": bindings[self.spec.inputs :],
            "workgroups": groups,
            "flops": math.prod(groups) * self.spec.threads * _OPERATIONS_PER_THREAD,
        }

    # Before the first launch.

    def _compile_text(self, wgsl: str) -> None:
        """Raises ShaderError for a text that is not WGSL, before it is read here."""
        try:
            self.device.raw.create_shader_module(code=wgsl, label=self.name)
        except self.device.queue.commands.Error as error:
            self.device.queue.refuse_lost(self.name)
            raise ShaderError(refusal(str(error), name=self.name)) from error

    def _check_limits(self, found: Signature) -> None:
        device, limits = self.device, self.device.raw.limits
        storage = sum(not each.uniform for each in found.variables)
        largest = max((each.number for each in found.variables), default=0)
        needs = (
            ("threads in a workgroup", found.threads, device.limits.threads),
            ("bytes of workgroup memory", found.workgroup_bytes, device.limits.workgroup_bytes),
            ("storage buffers", storage, limits["max-storage-buffers-per-shader-stage"]),
            (
                "uniform buffers",
                len(found.variables) - storage,
                limits["max-uniform-buffers-per-shader-stage"],
            ),
            ("as @binding number", largest, limits["max-bindings-per-bind-group"] - 1),
        )
        for what, needed, allowed in needs:
            if needed > allowed:
                raise LimitError(f"{self.name}: needs {needed} {what}, {device.adapter} allows {allowed}")
        if "workgroups" in {each.name for each in found.variables}:
            raise UnsupportedError(
                f"{self.name}: a variable is called workgroups, as the argument is: rename it"
            )

    # At a launch.

    def _groups(self, workgroups: int | Sequence[int]) -> tuple[int, int, int]:
        given = workgroups if isinstance(workgroups, Iterable) else (workgroups,)
        try:
            sizes = [operator.index(each) for each in given]
        except TypeError:
            sizes = []
        limit = self.device.limits.groups
        if not 1 <= len(sizes) <= 3 or not all(1 <= size <= limit for size in sizes):
            raise LimitError(
                f"{self.name}: workgroups are one to three integers from 1 to {limit}: {workgroups}"
            )
        x, y, z = (*sizes, 1, 1)[:3]
        return x, y, z

    def _refuse_names(self, arrays: Mapping[str, object]) -> None:
        known = {each.name: each.kind for each in self.variables}
        if unknown := sorted(arrays.keys() - known.keys()):
            has = ", ".join(known) or "none"
            raise ShapeError(
                f"{self.name}: no such variable: {', '.join(unknown)}: {self.spec.entry} uses {has}"
            )
        missing = [f"{name}: {kind}" for name, kind in known.items() if name not in arrays]
        raise ShapeError(f"{self.name}: arrays are missing: {', '.join(missing)}: give each by its name")

    def _binding(self, variable: BoundVariable, value: object) -> BufferBinding:
        if not isinstance(value, Array):
            return self._uniform(variable, value)
        if value.buffer.device is not self.device:
            raise DeviceError(
                f"{self.name}: {variable.name} is on another device: {value.device}, not {self.device}:"
                " move it with rp.array(x.numpy(), device=...)"
            )
        if variable.dtypes and value.kind not in variable.dtypes:
            wanted = variable.dtypes[0].name
            raise DtypeError(
                f"{self.name}: {variable.name} is {value.kind.name}, the text says {variable.kind}:"
                f' convert it with .astype("{wanted}")'
            )
        start = value.offset * value.kind.itemsize
        if not value.contiguous or start % BINDING_BYTES:
            if variable.writable:
                self._refuse_layout(variable, value, start)
            value, start = value.copy(), 0
        nbytes = -(-value.nbytes // 4) * 4
        self._check_bytes(variable, nbytes, f"shape {value.shape}")
        return BufferBinding(value.buffer, start, nbytes)

    def _refuse_layout(self, variable: BoundVariable, value: Array, start: int) -> None:
        why = (
            f"begins at byte {start} of its memory, not at a multiple of {BINDING_BYTES}"
            if value.contiguous
            else f"is not contiguous: strides {value.strides}"
        )
        raise ShapeError(
            f"{self.name}: {variable.name} is written in place, but {why}: launch on"
            f" its .copy(), and .assign that to the view"
        )

    def _uniform(self, variable: BoundVariable, value: object) -> BufferBinding:
        if not variable.uniform or not isinstance(value, bytes | bytearray | memoryview | np.ndarray):
            takes = "an Array, bytes or a NumPy array" if variable.uniform else "an Array: see rp.array"
            raise DtypeError(f"{self.name}: {variable.name} takes {takes}, not {type(value).__name__}")
        if isinstance(value, np.ndarray) and value.dtype.hasobject:
            raise DtypeError(f"{self.name}: {variable.name} takes numbers, not {value.dtype}")
        words = value.tobytes() if isinstance(value, np.ndarray | memoryview) else bytes(value)
        self._check_bytes(variable, len(words), "pad it to WGSL's layout")
        words += bytes(-len(words) % 16)
        buffer = self._uniforms.get(words)
        if buffer is None:
            buffer = self.device.upload(np.frombuffer(words, np.uint8), label=variable.name)
            with self._lock:
                if len(self._uniforms) >= _KEPT_UNIFORMS:
                    del self._uniforms[next(iter(self._uniforms))]
                self._uniforms[words] = buffer
        return BufferBinding(buffer, 0, len(words))

    def _check_bytes(self, variable: BoundVariable, nbytes: int, given: str) -> None:
        if nbytes < variable.min_bytes:
            raise ShapeError(
                f"{self.name}: {variable.name} is too small: {nbytes} < {variable.min_bytes} bytes of"
                f" {variable.kind}: {given}"
            )
        allowed = self._uniform_bytes if variable.uniform else self.device.limits.binding_bytes
        if nbytes > allowed:
            raise LimitError(
                f"{self.name}: {variable.name} is larger than one binding on {self.device.adapter}:"
                f" {nbytes} > {allowed} bytes"
            )

    def _refuse_shared(self, bindings: Sequence[BufferBinding]) -> None:
        """Raises ShaderError for memory that is written and bound twice."""
        seen: dict[int, BoundVariable] = {}
        for variable, binding in zip(self._order, bindings, strict=True):
            other = seen.setdefault(binding.memory.serial, variable)
            if other is not variable and (other.writable or variable.writable):
                raise ShaderError(
                    f"{self.name}: {other.name} and {variable.name} share memory, and one is written:"
                    " give one of them as a .copy()"
                )
