"""Kernels ready to be verified and timed: the user's, and our operation of the same meaning."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from rusty_py.arrays import Array
from rusty_py.bench.user_kernel.verification import compare
from rusty_py.measure.document import BenchProblem, Verification
from rusty_py.measure.operation_work import collected, kernel_names, poison, poison_buffers
from rusty_py.oracle import Expected
from rusty_py.runtime.device import Device
from rusty_py.runtime.launch import Launch, run
from rusty_py.user_kernel import Kernel


class UserWork:
    """The user's kernel on its arrays: a `Work`.

    Before each verification and sample, outputs that no reference reads are poisoned; other `read_write`
    arrays get their initial contents again. `alive` is called before anything runs. `problem` is completed by
    the minimum memory traffic: every buffer once, those that are read and written twice.
    """

    plan = ""

    def __init__(
        self,
        kernel: Kernel,
        arrays: Mapping[str, Array],
        problem: BenchProblem,
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
        self.kernel, self.sha256 = kernel_names([self.launch])
        self.problem = replace(
            problem,
            dtype=", ".join(dict.fromkeys(arrays[name].kind.name for name in expected)),
            read_bytes=sum(each.nbytes for name, each in arrays.items() if name not in self.poisoned),
            written_bytes=sum(arrays[name].nbytes for name in written),
        )

    def launches(self) -> list[Launch]:
        self.alive()
        return [self.launch]

    def poison(self) -> None:
        self.alive()
        poison_buffers(self.device, [self.arrays[name].buffer for name in self.poisoned])
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
        return compare({name: self.arrays[name].numpy() for name in self.expected}, self.expected)


class SameOperation:
    """Our operation on the same inputs, with an output of its own, `name` in the reference: a `Work`."""

    plan = ""

    def __init__(
        self,
        function: Callable[..., Array],
        operands: Sequence[Array | float],
        problem: BenchProblem,
        *,
        device: Device,
        expected: Expected,
        name: str,
        alive: Callable[[], None],
    ) -> None:
        self.device, self.problem, self.expected, self.name = device, problem, expected, name
        self.alive = alive
        self.made, self.result = collected(device, lambda: function(*operands))
        self.kernel, self.sha256 = kernel_names(self.made)

    def launches(self) -> list[Launch]:
        self.alive()
        return self.made

    def poison(self) -> None:
        self.alive()
        poison(self.device, self.made)

    def verify(self) -> Verification:
        self.poison()
        run(self.device, self.made)
        return self.recheck()

    def recheck(self) -> Verification:
        reference, _ = self.expected
        result = self.result.numpy().reshape(reference.shape)
        if reference.dtype.kind != "f":
            result = result.astype(reference.dtype)
        return compare({self.name: result}, {self.name: self.expected})
