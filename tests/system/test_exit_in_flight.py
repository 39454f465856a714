"""The end of a program whose work is still in flight."""

import sys
import textwrap

import pytest

from .program import run

# Registered before rusty_py is imported, so called after what that does at exit.
PROGRAM = """
    import atexit

    seen = []
    atexit.register(lambda: print("busy" if seen[0].adapter.is_cpu and not seen[0].queue.idle() else "idle"))

    import numpy as np
    import rusty_py as rp

    x, w = rp.asarray(np.ones((70, 30), "f4")), rp.ones((30, 80))
    for name in ("gelu", "silu", "softplus", "sigmoid", "tanh"):
        rp.matmul(x, w, activation=name)
    seen.append(rp.default_device())
    seen[0].queue.flush()
"""


@pytest.mark.usefixtures("adapter")
def test_a_program_ends_behind_the_work_that_it_submitted_to_a_cpu_driver() -> None:
    """Threads of drivers that compile kernels when a process ends crash in libraries that are gone."""
    # Not by the processes that have imported rusty_py already: handlers are called in the reverse order.
    program = [sys.executable, "-u", "-c", textwrap.dedent(PROGRAM)]
    done = run(program, env={"MESA_SHADER_CACHE_DISABLE": "true"})
    assert (done.code, done.out, done.err) == (0, "idle\n", "")
