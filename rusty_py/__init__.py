"""GPU compute from Python with WGSL kernels: Metal, Vulkan, or a CPU driver."""

from rusty_py.adapter import Adapter as Adapter
from rusty_py.adapter import Limits as Limits
from rusty_py.adapter import list_adapters as list_adapters
from rusty_py.device import Device as Device
from rusty_py.device import default_device as default_device
from rusty_py.errors import DeviceError as DeviceError
from rusty_py.errors import DtypeError as DtypeError
from rusty_py.errors import LimitError as LimitError
from rusty_py.errors import NoAdapter as NoAdapter
from rusty_py.errors import OutOfMemory as OutOfMemory
from rusty_py.errors import RustyError as RustyError
from rusty_py.errors import ShaderError as ShaderError
from rusty_py.errors import ShapeError as ShapeError
from rusty_py.ops.matmul import matmul as matmul

__version__ = "0.1.0"
