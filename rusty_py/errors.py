"""What can go wrong, by kind. Every error of ours is a `RustyError` and the built-in kind that fits.

Messages read `operation: rule broken: values`, then the way out.
"""


class RustyError(Exception):
    """Base of every error that rusty_py raises on purpose."""


class ShapeError(RustyError, ValueError):
    """Shapes do not fit the operation."""


class DtypeError(RustyError, TypeError):
    """A dtype is not what the operation computes in."""


class LimitError(RustyError, ValueError):
    """More is asked of the adapter than it offers: threads, workgroup memory, groups or binding bytes."""


class DeviceError(RustyError, RuntimeError):
    """The device is closed, lost, forked or did not answer in time."""


class NoAdapter(DeviceError):
    """No adapter was found, or none of that name."""


class ShaderError(RustyError, RuntimeError):
    """A shader was not found, or was refused by the compiler."""


class OutOfMemory(RustyError, MemoryError):
    """The device has no room for a buffer."""


class IndexingError(RustyError, IndexError):
    """An index is out of bounds, or of a kind that arrays do not take."""


class UnsupportedError(RustyError, TypeError):
    """Something that Python or NumPy offers and these arrays do not."""


class GradientError(RustyError, ArithmeticError):
    """Gradients differ from differences of the function."""


class ToolError(RustyError, RuntimeError):
    """A program that a check needs, or a library to compare with, is missing, too old, or failed."""


class CacheError(RustyError, OSError):
    """A file in the user's cache cannot be read or written."""
