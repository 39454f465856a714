"""The GPU makers' own products, through PyTorch: cuBLAS on NVIDIA's, MPS on Apple's."""

import time

import torch

from benchmarks.peers.contestant import Unavailable
from benchmarks.peers.problems import Matrix

_GRAPH_CALLS = 16


def start(variant: str) -> "Torch":
    """PyTorch's device "cuda" or "mps". Raises Unavailable where there is none."""
    kind = {"cuda": torch.cuda, "mps": torch.mps}[variant]
    if not kind.is_available():
        raise Unavailable(f"PyTorch {torch.__version__} sees no device {variant!r}")
    # Full float32, and f16 that is added up in f32 all the way: what ours does, too.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    return Torch(variant)


class Torch:
    """PyTorch on one device."""

    def __init__(self, device: str) -> None:
        self.device = device

    def about(self) -> dict[str, str]:
        if self.device != "cuda":
            return {"device": self.device}
        return {"device": torch.cuda.get_device_name(), "CUDA": str(torch.version.cuda)}

    def product(self, a: Matrix, b: Matrix) -> "TorchProduct":
        # Strides survive both steps: a transposed operand reaches the library as one.
        x, y = (torch.from_numpy(each).to(self.device) for each in (a, b))
        return (CudaProduct if self.device == "cuda" else TorchProduct)(x, y)


class TorchProduct:
    """Calls queued one after the other, and the host's clock around them."""

    clock = "wall, calls back to back"

    def __init__(self, a: torch.Tensor, b: torch.Tensor) -> None:
        self.a, self.b = a, b
        self.c = torch.empty((*a.shape[:-1], b.shape[-1]), dtype=a.dtype, device=a.device)

    def result(self) -> Matrix:
        self.multiply(1)
        result: Matrix = self.c.cpu().numpy()
        return result

    def multiply(self, calls: int) -> None:
        for _ in range(calls):
            torch.matmul(self.a, self.b, out=self.c)

    def seconds(self, calls: int) -> float:
        torch.mps.synchronize()
        start = time.perf_counter()
        self.multiply(calls)
        torch.mps.synchronize()
        return time.perf_counter() - start


class CudaProduct(TorchProduct):
    """Calls in a CUDA graph, lest small products wait for Python, between two of the GPU's events."""

    clock = "GPU events"

    def __init__(self, a: torch.Tensor, b: torch.Tensor) -> None:
        super().__init__(a, b)
        self.multiply(3)  # The library makes its handle and workspace, which a graph cannot.
        torch.cuda.synchronize()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.multiply(_GRAPH_CALLS)

    def seconds(self, calls: int) -> float:
        whole, rest = divmod(calls, _GRAPH_CALLS)
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        start.record()
        for _ in range(whole):
            self.graph.replay()
        self.multiply(rest)
        end.record()
        torch.cuda.synchronize()
        return float(start.elapsed_time(end)) / 1e3
