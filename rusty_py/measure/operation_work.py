"""Any operation on a device: verified by its record's reference and bound, timed by its launches."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rusty_py import shaders
from rusty_py.arrays import Array
from rusty_py.dtypes import BOOL, Dtype
from rusty_py.errors import DtypeError
from rusty_py.measure.document import BenchProblem, Verification
from rusty_py.measure.kernels import FILL
from rusty_py.measure.verification import POISON, compared
from rusty_py.operation import Operation
from rusty_py.ops.creation import asarray
from rusty_py.oracle import Expected
from rusty_py.runtime.buffer import Buffer, BufferBinding
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Launch, Spec, launch, prepare, run
from rusty_py.samples import Sample

_POISON_GROUPS = 64


class LaunchCollector:
    """Prepares the launches of one thread instead of recording them."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.launches: list[Launch] = []

    def buffer(self, size: int, nbytes: int, label: str) -> Buffer:
        """A buffer from the pool."""
        return self.device.take(size, nbytes, label)

    def launch(
        self,
        spec: Spec,
        inputs: Sequence[Buffer | BufferBinding],
        outputs: Sequence[Buffer | BufferBinding],
        uniforms: Sequence[int],
        workgroups: tuple[int, int, int],
        flops: int,
    ) -> None:
        """Prepares a launch."""
        self.launches.append(
            prepare(
                self.device,
                spec,
                inputs=inputs,
                outputs=outputs,
                uniforms=uniforms,
                workgroups=workgroups,
                flops=flops,
            )
        )


def collected(device: Device, call: Callable[[], Array]) -> tuple[list[Launch], Array]:
    """The launches of a call on arrays, and its result, which they will write."""
    collector = LaunchCollector(device)
    result = device.compose(collector, call)
    return collector.launches, result


def poison(device: Device, launches: Sequence[Launch]) -> None:
    """Fills everything that the launches write with a bit pattern that no kernel writes."""
    poison_buffers(device, [buffer for each in launches for buffer in each.buffers[each.spec.inputs :]])


def poison_buffers(device: Device, buffers: Sequence[Buffer | BufferBinding]) -> None:
    """Fills buffers with that pattern."""
    for buffer in dict.fromkeys(buffers):
        launch(
            device,
            FILL,
            outputs=[buffer],
            uniforms=(buffer.nbytes // 4, POISON, _POISON_GROUPS * FILL.threads),
            workgroups=(_POISON_GROUPS, 1, 1),
        )


def kernel_names(launches: Sequence[Launch]) -> tuple[str, str]:
    """The distinct kernels in sequence, and the hash of their concatenated WGSL."""
    specs = list(dict.fromkeys(each.spec for each in launches))
    return " + ".join(map(str, specs)), shaders.sha256("".join(spec.source for spec in specs))


class CallWork:
    """The launches of a call on arrays, which returns its result: a `Work`, with `problem` and `compare`.

    They are collected anew when the throughput of kernels has become known, which divides long launches.
    """

    plan = ""

    def __init__(self, device: Device, call: Callable[[], Array]) -> None:
        self.device, self._call = device, call
        self._collect()
        self.kernel, self.sha256 = kernel_names(self.made)

    def launches(self) -> list[Launch]:
        if self._version != self.device.throughput.version:
            self._collect()
        return self.made

    def poison(self) -> None:
        """Fills the result and the temporaries of the last launches with a pattern that no kernel writes."""
        poison(self.device, self.made)

    def verify(self) -> Verification:
        launches = self.launches()
        self.poison()
        run(self.device, launches)
        return self.recheck()

    def recheck(self) -> Verification:
        return self.compare(self.result.numpy())

    def compare(self, result: NDArray[Any]) -> Verification:
        """Verifies a result, of this or another implementation."""
        raise NotImplementedError

    def _collect(self) -> None:
        self._version = self.device.throughput.version
        self.made, self.result = collected(self.device, self._call)


class OperationWork(CallWork):
    """An operation applied to operands: a `Work`.

    The reference result and its bound are those of the operation's record, the problem has the cost that the
    record states. Raises DtypeError if the record has no reference, or the operation is not for this dtype.
    """

    def __init__(
        self,
        operation: Operation,
        sample: Sample,
        dtype: Dtype,
        device: Device,
        *,
        options: Mapping[str, str],
    ) -> None:
        if operation.expected is None or operation.function is None:
            raise DtypeError(f"{operation.name}: cannot be measured: its record has no reference")
        if dtype.kind not in operation.kinds:
            raise DtypeError(f"{operation.name}: not for {dtype.name}")
        self.operation, self.sample = operation, sample
        self._expected, self._function = operation.expected, operation.function
        self.arrays = [asarray(each, device=device) for each in sample.operands]
        super().__init__(device, lambda: self.call(*self.arrays))
        cost = operation.cost(self.arrays, self.result)
        self.problem = BenchProblem(
            operation.name,
            sample.name,
            {f"axis_{i}": size for i, size in enumerate(sample.operands[-1].shape)},
            dtype.name,
            options,
            flops=cost.flops,
            read_bytes=cost.nbytes - self.result.nbytes,
            written_bytes=self.result.nbytes,
        )

    def call(self, *arrays: Array) -> Array:
        """Applies the operation."""
        return self._function(*arrays, **self.sample.options)

    @cached_property
    def expected(self) -> Expected:
        """The reference result and its error bound."""
        return self._expected(self.sample)

    def recheck(self) -> Verification:
        if self.result.kind is BOOL and (fault := self._not_masks()):
            return Verification("every element, exactly", error=None, relative_error=None, fault=fault)
        return super().recheck()

    def _not_masks(self) -> str:
        """What is wrong with the words of a mask, of which any but 0 would read as True."""
        words = np.empty(self.result.shape, np.uint32)
        self.device.read(self.result.buffer, words)
        wrong = int((words > 1).sum())
        return f"{wrong:,} of {words.size:,} masks are neither 0 nor 1" if wrong else ""

    def compare(self, result: NDArray[Any]) -> Verification:
        return compared(self.expected, result)
