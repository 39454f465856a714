"""GPU compute from Python with WGSL kernels: Metal, Vulkan, or a CPU driver.

The public names come from their modules on first use: importing rusty_py imports neither numpy nor wgpu.
"""

from importlib import import_module
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING

from rusty_py.version import __version__ as __version__

if TYPE_CHECKING:
    from rusty_py.activations import Activation as Activation
    from rusty_py.arrays import Array as Array
    from rusty_py.autograd import grad as grad
    from rusty_py.autograd import no_grad as no_grad
    from rusty_py.autograd import value_and_grad as value_and_grad
    from rusty_py.calibration import calibrate as calibrate
    from rusty_py.errors import CacheError as CacheError
    from rusty_py.errors import DeviceError as DeviceError
    from rusty_py.errors import DtypeError as DtypeError
    from rusty_py.errors import GradientError as GradientError
    from rusty_py.errors import IndexingError as IndexingError
    from rusty_py.errors import LimitError as LimitError
    from rusty_py.errors import NoAdapter as NoAdapter
    from rusty_py.errors import OutOfMemory as OutOfMemory
    from rusty_py.errors import RustyError as RustyError
    from rusty_py.errors import ShaderError as ShaderError
    from rusty_py.errors import ShapeError as ShapeError
    from rusty_py.errors import ToolError as ToolError
    from rusty_py.errors import UnsupportedError as UnsupportedError
    from rusty_py.fused import fused_add_relu as fused_add_relu
    from rusty_py.fused import fused_affine as fused_affine
    from rusty_py.fused import fused_mul_relu as fused_mul_relu
    from rusty_py.fusion.function import fuse as fuse
    from rusty_py.gradient_check import gradcheck as gradcheck
    from rusty_py.ops.arranging import pad as pad
    from rusty_py.ops.arranging import roll as roll
    from rusty_py.ops.arranging import tril as tril
    from rusty_py.ops.arranging import triu as triu
    from rusty_py.ops.choosing import take as take
    from rusty_py.ops.choosing import take_along_axis as take_along_axis
    from rusty_py.ops.contraction import einsum as einsum
    from rusty_py.ops.contraction import tensordot as tensordot
    from rusty_py.ops.contraction import vecdot as vecdot
    from rusty_py.ops.conv2d import conv1d as conv1d
    from rusty_py.ops.conv2d import conv2d as conv2d
    from rusty_py.ops.conv2d import conv_transpose2d as conv_transpose2d
    from rusty_py.ops.creation import arange as arange
    from rusty_py.ops.creation import array as array
    from rusty_py.ops.creation import asarray as asarray
    from rusty_py.ops.creation import empty as empty
    from rusty_py.ops.creation import empty_like as empty_like
    from rusty_py.ops.creation import eye as eye
    from rusty_py.ops.creation import full as full
    from rusty_py.ops.creation import full_like as full_like
    from rusty_py.ops.creation import ones as ones
    from rusty_py.ops.creation import ones_like as ones_like
    from rusty_py.ops.creation import zeros as zeros
    from rusty_py.ops.creation import zeros_like as zeros_like
    from rusty_py.ops.data_types import astype as astype
    from rusty_py.ops.data_types import bool as bool
    from rusty_py.ops.data_types import can_cast as can_cast
    from rusty_py.ops.data_types import e as e
    from rusty_py.ops.data_types import finfo as finfo
    from rusty_py.ops.data_types import float16 as float16
    from rusty_py.ops.data_types import float32 as float32
    from rusty_py.ops.data_types import iinfo as iinfo
    from rusty_py.ops.data_types import inf as inf
    from rusty_py.ops.data_types import int32 as int32
    from rusty_py.ops.data_types import isdtype as isdtype
    from rusty_py.ops.data_types import nan as nan
    from rusty_py.ops.data_types import newaxis as newaxis
    from rusty_py.ops.data_types import pi as pi
    from rusty_py.ops.data_types import result_type as result_type
    from rusty_py.ops.data_types import uint32 as uint32
    from rusty_py.ops.difference import diff as diff
    from rusty_py.ops.embedding import embedding as embedding
    from rusty_py.ops.embedding import one_hot as one_hot
    from rusty_py.ops.embedding import rotary_embedding as rotary_embedding
    from rusty_py.ops.embedding import rotary_tables as rotary_tables
    from rusty_py.ops.joining import concat as concat
    from rusty_py.ops.joining import concatenate as concatenate
    from rusty_py.ops.joining import split as split
    from rusty_py.ops.joining import stack as stack
    from rusty_py.ops.joining import unstack as unstack
    from rusty_py.ops.linspace import linspace as linspace
    from rusty_py.ops.masks import nonzero as nonzero
    from rusty_py.ops.matmul import matmul as matmul
    from rusty_py.ops.norm import group_norm as group_norm
    from rusty_py.ops.norm import layer_norm as layer_norm
    from rusty_py.ops.norm import rms_norm as rms_norm
    from rusty_py.ops.pool2d import adaptive_avg_pool2d as adaptive_avg_pool2d
    from rusty_py.ops.pool2d import avg_pool2d as avg_pool2d
    from rusty_py.ops.pool2d import max_pool2d as max_pool2d
    from rusty_py.ops.quantization import dequantize as dequantize
    from rusty_py.ops.reshaping import broadcast_arrays as broadcast_arrays
    from rusty_py.ops.reshaping import flatten as flatten
    from rusty_py.ops.reshaping import flip as flip
    from rusty_py.ops.reshaping import from_dlpack as from_dlpack
    from rusty_py.ops.reshaping import meshgrid as meshgrid
    from rusty_py.ops.reshaping import moveaxis as moveaxis
    from rusty_py.ops.reshaping import ravel as ravel
    from rusty_py.ops.reshaping import repeat as repeat
    from rusty_py.ops.reshaping import tile as tile
    from rusty_py.ops.reshaping import transpose as transpose
    from rusty_py.ops.rows import *  # noqa: F403  Each row is a public function.
    from rusty_py.ops.rows.statistics import std as std
    from rusty_py.ops.rows.statistics import var as var
    from rusty_py.ops.scan.operations import cumprod as cumprod
    from rusty_py.ops.scan.operations import cumsum as cumsum
    from rusty_py.ops.scan.operations import cumulative_prod as cumulative_prod
    from rusty_py.ops.scan.operations import cumulative_sum as cumulative_sum
    from rusty_py.ops.search import searchsorted as searchsorted
    from rusty_py.ops.softmax import log_softmax as log_softmax
    from rusty_py.ops.softmax import softmax as softmax
    from rusty_py.ops.sort.operations import argsort as argsort
    from rusty_py.ops.sort.operations import sort as sort
    from rusty_py.ops.top_k import top_k as top_k
    from rusty_py.ops.vector_norm import vector_norm as vector_norm
    from rusty_py.ops.views import broadcast_to as broadcast_to
    from rusty_py.ops.views import expand_dims as expand_dims
    from rusty_py.ops.views import matrix_transpose as matrix_transpose
    from rusty_py.ops.views import permute_dims as permute_dims
    from rusty_py.ops.views import reshape as reshape
    from rusty_py.ops.views import squeeze as squeeze
    from rusty_py.ops.where import where as where
    from rusty_py.runtime.adapter import Adapter as Adapter
    from rusty_py.runtime.adapter import Limits as Limits
    from rusty_py.runtime.adapter import list_adapters as list_adapters
    from rusty_py.runtime.device import Device as Device
    from rusty_py.runtime.device import default_device as default_device
    from rusty_py.user_kernel import Kernel as Kernel


# Functions of ops/ are found there; those that are here come without the others, for a fast start.
_NAMES = {
    "activations": ("Activation",),
    "runtime.adapter": ("Adapter", "Limits", "list_adapters"),
    "arrays": ("Array",),
    "autograd": ("grad", "no_grad", "value_and_grad"),
    "calibration": ("calibrate",),
    "gradient_check": ("gradcheck",),
    "runtime.device": ("Device", "default_device"),
    "errors": (
        "CacheError",
        "DeviceError",
        "DtypeError",
        "GradientError",
        "IndexingError",
        "LimitError",
        "NoAdapter",
        "OutOfMemory",
        "RustyError",
        "ShaderError",
        "ShapeError",
        "ToolError",
        "UnsupportedError",
    ),
    "fusion.function": ("fuse",),
    "ops.data_types": (
        "bool",
        "e",
        "float16",
        "float32",
        "inf",
        "int32",
        "nan",
        "newaxis",
        "pi",
        "uint32",
    ),
    "fused": ("fused_add_relu", "fused_affine", "fused_mul_relu"),
    "ops.creation": ("arange", "array", "asarray", "empty", "eye", "full", "ones", "zeros"),
    "ops.matmul": ("matmul",),
    "user_kernel": ("Kernel",),
}
_STANDARD = {"__array_api_version__": "API_VERSION", "__array_namespace_info__": "namespace_info"}
_HOME = {name: module for module, names in _NAMES.items() for name in names}

if not TYPE_CHECKING:  # Else a misspelt name would have a type.

    def __getattr__(name: str) -> object:
        if name == "__all__":
            return [*_HOME, *_operations(), "__version__"]
        if name in _STANDARD:
            found = getattr(import_module("rusty_py.ops.data_types"), _STANDARD[name])
        elif name in _HOME:
            found = getattr(import_module(f"rusty_py.{_HOME[name]}"), name)
        elif not name.startswith("_") and not _is_module(name) and name in _operations():
            found = _operations()[name]
        else:
            raise AttributeError(f"module 'rusty_py' has no attribute {name!r}")
        return globals().setdefault(name, found)

    def __dir__() -> list[str]:
        return sorted({*globals(), *_HOME, *_operations()})

    def _is_module(name: str) -> bool:
        """Asked before a module is imported, `from rusty_py import dtypes`: then Python does it."""
        return PathFinder.find_spec(f"rusty_py.{name}", __path__) is not None  # noqa: F405

    def _operations() -> dict[str, object]:
        """The functions of operations, and the others that `public` marks in ops/."""
        from rusty_py.operation import OPERATIONS, PUBLIC

        import_module("rusty_py.ops.all")
        operations = [each for each in OPERATIONS.values() if each.function is not None]
        names = {name: each.function for each in operations for name in (each.name, *each.aliases)}
        return names | PUBLIC
