"""`Kernel`: a WGSL kernel of the user, whose buffers are arrays bound by the names of its variables."""

from rusty_py.user_kernel.kernel import Kernel as Kernel
