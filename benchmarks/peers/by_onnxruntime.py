"""ONNX Runtime's WebGPU provider."""

import math
import time

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

from benchmarks.peers.contestant import Unavailable
from benchmarks.peers.problems import Matrix

_PROVIDER = "WebGpuExecutionProvider"
_CHAIN_FLOPS = 2 * 10**12
_ELEMENTS = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16}


def start(variant: str) -> "OnnxRuntime":
    """The provider. Raises Unavailable for a package without it."""
    offered = onnxruntime.get_available_providers()
    if _PROVIDER not in offered:
        raise Unavailable(f"this ONNX Runtime has no WebGPU provider, only {', '.join(offered)}")
    return OnnxRuntime()


class OnnxRuntime:
    """ONNX Runtime; it does not say which adapter it took."""

    def about(self) -> dict[str, str]:
        return {"device": "WebGPU adapter of its choice"}

    def product(self, a: Matrix, b: Matrix) -> "OnnxProduct":
        if a.ndim > 2 or a.shape != b.shape or a.shape[0] != a.shape[1]:
            raise Unavailable("squares only: it is timed in chains")
        if not (a.flags.c_contiguous and b.flags.c_contiguous):
            raise Unavailable("row-major operands only")
        return OnnxProduct(a, b)


class OnnxProduct:
    """x @ w @ w ... in chains of two lengths: their difference leaves transfers and the start out.

    w is b / sqrt(n), so that numbers neither grow nor vanish along the chain; its bits are as random as b's.
    """

    def __init__(self, a: Matrix, b: Matrix) -> None:
        n = len(a)
        self.length = max(8, min(64, _CHAIN_FLOPS // (2 * n**3)))
        self.clock = f"wall, {self.length} products in a chain less one"
        self.inputs = {"x": a, "w": b}
        self.chain_inputs = {"x": a, "w": (b / np.float32(math.sqrt(n))).astype(b.dtype)}
        element = _ELEMENTS[a.dtype.name]
        self.single = _session(n, element, length=1, whole=True)
        self.short = _session(n, element, length=1)
        self.long = _session(n, element, length=self.length)

    def result(self) -> Matrix:
        result: Matrix = self.single.run(None, self.inputs)[0]
        return result

    def seconds(self, calls: int) -> float:
        runs = math.ceil(calls / (self.length - 1))
        difference_s = self._run_s(self.long, runs) - self._run_s(self.short, runs)
        return difference_s / (runs * (self.length - 1)) * calls

    def _run_s(self, session: onnxruntime.InferenceSession, runs: int) -> float:
        start = time.perf_counter()
        for _ in range(runs):
            (largest,) = session.run(None, self.chain_inputs)
        took_s = time.perf_counter() - start
        if not 0 < largest < np.inf:
            raise Unavailable(f"wrong: the largest number at the end of a chain is {largest}")
        return took_s


def _session(n: int, element: int, *, length: int, whole: bool = False) -> onnxruntime.InferenceSession:
    """A chain of products, and the largest number of the last: one number to read, or with `whole` all."""
    nodes = [
        helper.make_node("MatMul", [f"y{i - 1}" if i else "x", "w"], [f"y{i}"], name=f"product{i}")
        for i in range(length)
    ]
    out, shape = f"y{length - 1}", [n, n]
    if not whole:
        nodes.append(helper.make_node("ReduceMax", [out], ["largest"], keepdims=0))
        out, shape = "largest", []
    inputs = [helper.make_tensor_value_info(name, element, [n, n]) for name in ("x", "w")]
    graph = helper.make_graph(nodes, "chain", inputs, [helper.make_tensor_value_info(out, element, shape)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    if whole:  # An error where a product would be computed on the CPU; the maximum may be.
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=[_PROVIDER], enable_fallback=0
    )
    took = session.get_providers()[0]
    if took != _PROVIDER:
        raise Unavailable(f"ONNX Runtime took {took} instead of WebGPU")
    return session
