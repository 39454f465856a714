"""Elementwise operations and reductions, a row each: WGSL, NumPy's function, accuracy, dtypes, gradient.

The public name, NumPy's protocols, the kernels for every layout, and the tests on the device and of the Metal
text follow from a row. Functions of wgsl/lib that its WGSL calls are appended to the kernel.
"""

from rusty_py.ops.rows.activations import *  # noqa: F403
from rusty_py.ops.rows.arithmetic import *  # noqa: F403
from rusty_py.ops.rows.bits import *  # noqa: F403
from rusty_py.ops.rows.clip import *  # noqa: F403
from rusty_py.ops.rows.comparison import *  # noqa: F403
from rusty_py.ops.rows.division import *  # noqa: F403
from rusty_py.ops.rows.exponential import *  # noqa: F403
from rusty_py.ops.rows.hyperbolic import *  # noqa: F403
from rusty_py.ops.rows.logic import *  # noqa: F403
from rusty_py.ops.rows.powers import *  # noqa: F403
from rusty_py.ops.rows.reductions import *  # noqa: F403
from rusty_py.ops.rows.rounding import *  # noqa: F403
from rusty_py.ops.rows.signs import *  # noqa: F403
from rusty_py.ops.rows.special import *  # noqa: F403
from rusty_py.ops.rows.statistics import *  # noqa: F403
from rusty_py.ops.rows.trigonometric import *  # noqa: F403
