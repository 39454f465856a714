"""Kernels ready to be verified and timed: the user's, and our operation of the same meaning."""

from collections.abc import Callable, Mapping, Sequence

from rusty_py import shaders
from rusty_py.arrays import Array
from rusty_py.bench.user_kernel.verification import compare
from rusty_py.measure.case import BenchProblem, Case, Verification
from rusty_py.measure.kernels import FILL
from rusty_py.measure.verification import POISON
from rusty_py.oracle import Expected
from rusty_py.runtime.buffer import Buffer, BufferBinding
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Launch, Spec, launch, prepare, run
from rusty_py.runtime.launch_plans import Planner
from rusty_py.user_kernel import Kernel

_FILL_GROUPS = 64


class UserWork:
    """The user's kernel on its arrays.

    Before each verification and sample, outputs that no reference reads are poisoned; other `read_write`
    arrays get their initial contents again. `alive` is called before anything runs.
    """

    def __init__(
        self,
        kernel: Kernel,
        arrays: Mapping[str, Array],
        *,
        workgroups: Sequence[int],
        expected: Mapping[str, Expected],
        read: set[str],
        alive: Callable[[], None],
    ) -> None:
        self.device, self.arrays, self.expected, self.alive = kernel.device, arrays, expected, alive
        self.launch = kernel.prepare(workgroups=workgroups, **arrays)
        written = [each.name for each in kernel.variables if each.writable]
        self.poisoned = [name for name in written if name in expected and name not in read]
        self.initial = {name: arrays[name].copy() for name in written if name not in self.poisoned}
        self.case = _case(kernel.name, [self.launch])

    @property
    def nbytes(self) -> int:
        """The minimum traffic: every buffer once, those that are read and written twice."""
        return sum(self.arrays[name].nbytes * (1 + (name in self.initial)) for name in self.arrays)

    def launches(self) -> list[Launch]:
        self.alive()
        return [self.launch]

    def poison(self) -> None:
        self.alive()
        for name in self.poisoned:
            fill(self.device, self.arrays[name].buffer)
        for name, values in self.initial.items():
            self.arrays[name].assign(values)

    def verify(self) -> Verification:
        self.poison()
        run(self.device, self.launches())
        return self._compared()

    def recheck(self) -> Verification:
        """Compares what timing left; arrays that are read and written hold the result of many runs."""
        return self.verify() if self.initial else self._compared()

    def _compared(self) -> Verification:
        results = {name: self.arrays[name].numpy() for name in self.expected}
        return compare(results, self.expected)


class OperationWork:
    """Our operation on the same inputs, with an output of its own, `name` in the reference."""

    def __init__(
        self,
        function: Callable[..., Array],
        operands: Sequence[Array | float],
        *,
        device: Device,
        expected: Expected,
        name: str,
        alive: Callable[[], None],
    ) -> None:
        self.function, self.operands, self.device = function, operands, device
        self.expected, self.name, self.alive = expected, name, alive
        self.made = self.launches()
        self.case = _case("rusty_py", self.made)

    def launches(self) -> list[Launch]:
        self.alive()
        recorder = LaunchRecorder(self.device)
        with self.device.composing_by(recorder):
            self.result = self.function(*self.operands)
        self.made = recorder.launches
        return self.made

    def poison(self) -> None:
        self.alive()
        written = [buffer for each in self.made for buffer in each.buffers[each.spec.inputs :]]
        for buffer in dict.fromkeys(written):
            fill(self.device, buffer)

    def verify(self) -> Verification:
        launches = self.launches()
        self.poison()
        run(self.device, launches)
        return self.recheck()

    def recheck(self) -> Verification:
        reference, _ = self.expected
        result = self.result.numpy().reshape(reference.shape)
        if reference.dtype.kind != "f":
            result = result.astype(reference.dtype)
        return compare({self.name: result}, {self.name: self.expected})


class LaunchRecorder(Planner):
    """Keeps the launches of an operation on real buffers."""

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self.launches: list[Launch] = []

    def buffer(self, size: int, nbytes: int, label: str) -> Buffer:
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


def fill(device: Device, buffer: Buffer | BufferBinding) -> None:
    """Fills a buffer with poison."""
    launch(
        device,
        FILL,
        outputs=[buffer],
        uniforms=(buffer.nbytes // 4, POISON, _FILL_GROUPS * FILL.threads),
        workgroups=(_FILL_GROUPS, 1, 1),
    )


def _case(name: str, launches: Sequence[Launch]) -> Case:
    """The case of these launches. Its flops are the launches', by which submissions are sized."""
    specs = list(dict.fromkeys(each.spec for each in launches))
    flops = sum(each.flops for each in launches)
    problem = BenchProblem("run", name, {}, "", flops=flops, bytes=0)
    return Case(
        problem, name, " + ".join(map(str, specs)), shaders.sha256("".join(each.text for each in specs))
    )
