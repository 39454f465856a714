"""tinygrad's WEBGPU backend, over Dawn; with BEAM in the environment it searches for its fastest kernel.

It reads its environment when it is imported: DEV, BEAM, and WEBGPU_PATH, which is found here where unset.
"""

import os
import platform
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.peers.contestant import Unavailable
from benchmarks.peers.problems import Matrix

if TYPE_CHECKING:
    from tinygrad import Tensor


def start(variant: str) -> "Tinygrad":
    """The backend. Raises Unavailable without Dawn."""
    if "WEBGPU_PATH" not in os.environ:
        os.environ["WEBGPU_PATH"] = str(_dawn())
    return Tinygrad()


def _dawn() -> Path:
    found = find_spec("pydawn")
    if found is None or found.origin is None:
        raise Unavailable("tinygrad needs Dawn: install dawn-python, or set WEBGPU_PATH")
    machine = platform.machine()
    ending = "dylib" if sys.platform == "darwin" else "so"
    path = Path(found.origin).parent / "lib" / f"libwebgpu_dawn_{machine}.{ending}"
    if not path.exists():
        raise Unavailable(f"dawn-python has no {path.name}; set WEBGPU_PATH")
    return path


class Tinygrad:
    """tinygrad on the adapter that Dawn thinks has the highest performance."""

    def __init__(self) -> None:
        from tinygrad import Device

        if Device.DEFAULT != "WEBGPU":
            raise Unavailable(f"tinygrad took {Device.DEFAULT}")
        self.device = Device[Device.DEFAULT]

    def about(self) -> dict[str, str]:
        return {"device": _adapter_name(), "BEAM": os.environ.get("BEAM", "0")}

    def product(self, a: Matrix, b: Matrix) -> "TinygradProduct":
        if not (a.flags.c_contiguous and b.flags.c_contiguous):
            raise Unavailable("row-major operands only")
        return TinygradProduct(a, b)


class TinygradProduct:
    """A captured product, replayed, and the host's clock around replays and the wait for them."""

    clock = "wall, calls back to back"

    def __init__(self, a: Matrix, b: Matrix) -> None:
        from tinygrad import Device, Tensor, TinyJit

        self.device = Device[Device.DEFAULT]
        self.a, self.b = (Tensor(each).realize() for each in (a, b))
        self.multiply = TinyJit(_multiply)
        for _ in range(3):  # Its first call runs, its second is captured, its third is replayed.
            self.multiply(self.a, self.b)

    def result(self) -> Matrix:
        result: Matrix = self.multiply(self.a, self.b).numpy()
        return result

    def seconds(self, calls: int) -> float:
        self.device.synchronize()
        start = time.perf_counter()
        for _ in range(calls):
            self.multiply(self.a, self.b)
        self.device.synchronize()
        return time.perf_counter() - start


def _multiply(a: "Tensor", b: "Tensor") -> "Tensor":
    return (a @ b).realize()


def _adapter_name() -> str:
    """The adapter as Dawn calls it; tinygrad itself does not tell."""
    from tinygrad.runtime import ops_webgpu as backend

    webgpu = backend.webgpu
    options = webgpu.WGPURequestAdapterOptions(
        powerPreference=webgpu.WGPUPowerPreference_HighPerformance,
        backendType=backend.backend_types.get(os.environ.get("WEBGPU_BACKEND", ""), 0),
    )
    adapter = backend.InstanceRequestAdapter(backend.instance, options)
    info = webgpu.WGPUAdapterInfo()
    webgpu.wgpuAdapterGetInfo(adapter, info)
    return f"{backend.from_wgpu_str(info.device)}, {backend.from_wgpu_str(info.description)}"
