"""The peers, and the order in which they are measured."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Entry:
    """A peer: the module beside this one that runs it, what that is told, and what else its process needs.

    An `anchor` is a drift control: it is measured first and last for each problem.
    """

    label: str
    module: str
    variant: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    anchor: bool = False


OURS = "rusty_py"
_TINYGRAD = ("tinygrad", "dawn-python")

ROSTER = {
    "cublas": Entry("cuBLAS", "by_torch", "cuda", packages=("torch",), anchor=True),
    "mps": Entry("MPS", "by_torch", "mps", packages=("torch",), anchor=True),
    "mlx": Entry("MLX", "by_mlx", packages=("mlx",)),
    OURS: Entry("rusty_py", "by_rusty_py", packages=("wgpu",), anchor=True),
    "rusty_py-f16": Entry("rusty_py, f16 sums", "by_rusty_py", "f16", packages=("wgpu",)),
    "ort": Entry("ONNX Runtime WebGPU", "by_onnxruntime", packages=("onnxruntime-webgpu",)),
    "tinygrad": Entry("tinygrad WEBGPU", "by_tinygrad", "", {"DEV": "WEBGPU", "BEAM": "0"}, _TINYGRAD),
    "tinygrad-beam": Entry(
        "tinygrad WEBGPU, BEAM=2", "by_tinygrad", "", {"DEV": "WEBGPU", "BEAM": "2"}, _TINYGRAD
    ),
    "numpy": Entry("NumPy", "by_numpy"),
}

_USUAL = (OURS, "rusty_py-f16", "ort", "tinygrad", "tinygrad-beam")


def usual(system: str = sys.platform) -> tuple[str, ...]:
    """The default peers: the vendor's own library first."""
    return ("mps", "mlx", *_USUAL) if system == "darwin" else ("cublas", *_USUAL)


def visits(peers: Sequence[str], turn: int) -> list[str]:
    """The peers in measuring order: reversed for every other problem, and drift controls again at the end."""
    order = list(peers) if turn % 2 == 0 else list(reversed(peers))
    return order + [name for name in reversed(order) if ROSTER[name].anchor]
