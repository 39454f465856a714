"""Our graph of an operation, as other libraries' graphs are compared with it."""

import numpy as np
import pytest

from rusty_py import Device
from rusty_py.measure.document import Verification
from rusty_py.measure.references import ReferenceTask, task_of
from rusty_py.measure.references.replay import OurReplays, our_replays
from rusty_py.operation import OPERATIONS
from rusty_py.samples import Sample

from ..each import each_reported

pytestmark = pytest.mark.usefixtures("short_kernels")


@pytest.mark.one_mode
def test_replays_of_a_graph_compute_the_operation_in_any_layout(unchecked: Device) -> None:
    x = np.arange(1, 61, dtype=np.float32).reshape(6, 10)
    samples = {
        "add": Sample("", (x.T, x.T)),
        "exp": Sample("", (-x[1::2, ::3],)),
        "where": Sample("", (x[::-1] > 30, x, x[:, ::-1])),
        "sum": Sample("", (x.T,), {"axis": 0}),
        "max": Sample("", (x,), {"axis": None}),
        "matmul": Sample("", (x, x.T)),
    }
    with each_reported() as case:
        for name, sample in samples.items():
            with case(name):
                track = our_replays(task_of(OPERATIONS[name], sample), unchecked)
                assert (track.by, track.clock, track.scope) == ("ours graph", "wall", "host")
                track.prepare()
                assert track.verify().fault == ""
                track.runs = 5
                assert track.sample().wall_ns
                assert track.recheck().fault == ""


def test_a_poisoned_result_is_noticed(unchecked: Device) -> None:
    x = np.ones(100, np.float32)
    task = ReferenceTask("add", (x, x), x.shape, x.dtype, lambda _: Verification("none"))
    track = our_replays(task, unchecked)
    track.prepare()
    assert isinstance(track.computation, OurReplays)
    track.computation.poison()
    assert track.recheck().fault == "100.00% of the result never written"
