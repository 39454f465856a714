from types import SimpleNamespace

import pytest

from rusty_py import ShaderError
from rusty_py.runtime.capi import EncodedDispatch
from rusty_py.runtime.launch import Launch, Spec, submissions
from rusty_py.runtime.throughput import SUBMISSION_SECONDS, Throughput

RATE = 10**9
FULL = int(RATE * SUBMISSION_SECONDS)
ONE, OTHER = Spec("one", inputs=1, outputs=1, threads=64), Spec("other", inputs=1, outputs=1, threads=64)


@pytest.fixture
def device() -> SimpleNamespace:
    """As much of a device as knows its pace: 1 GFLOPS for one kernel, 2 for the other."""
    throughput = Throughput("CPU")
    for kernel, rate in ((ONE, RATE), (OTHER, 2 * RATE)):
        for _ in range(2):
            throughput.observe(kernel, flops=10 * rate, seconds=10.0)
    return SimpleNamespace(throughput=throughput)


def launch(flops: int, spec: Spec = ONE) -> Launch:
    return Launch(spec, EncodedDispatch(None, None, 0, None, 1, 1, 1), buffers=(), flops=flops)


def sizes(device: SimpleNamespace, launches: list[Launch]) -> list[list[int]]:
    return [[each.flops for each in part] for part in submissions(device, launches)]


def test_no_launches_are_no_submissions(device: SimpleNamespace) -> None:
    assert sizes(device, []) == []


def test_launches_share_a_submission_until_its_time_is_used(device: SimpleNamespace) -> None:
    assert sizes(device, [launch(FULL // 4)] * 6) == [[FULL // 4] * 4, [FULL // 4] * 2]


def test_a_launch_longer_than_a_submission_goes_alone(device: SimpleNamespace) -> None:
    work = [launch(FULL // 2), launch(3 * FULL), launch(FULL // 2)]
    assert sizes(device, work) == [[FULL // 2], [3 * FULL], [FULL // 2]]


def test_each_launch_counts_at_the_pace_of_its_kernel(device: SimpleNamespace) -> None:
    work = [launch(FULL // 2), launch(FULL, OTHER), launch(1)]
    assert sizes(device, work) == [[FULL // 2, FULL], [1]]


def test_launches_keep_their_order(device: SimpleNamespace) -> None:
    work = [launch(i, ONE if i % 3 else OTHER) for i in range(0, 2 * FULL, FULL // 7)]
    assert [each for part in submissions(device, work) for each in part] == work


def test_a_spec_is_named_by_its_file_and_constants() -> None:
    assert str(ONE) == "one"
    assert str(Spec("a/b", inputs=1, outputs=1, threads=64, constants=(("T", 8), ("D", 2)))) == "a/b[T=8,D=2]"


def test_a_specs_source_has_its_constants_put_in() -> None:
    spec = Spec("matmul/tiled", inputs=2, outputs=1, threads=64, constants=(("TILE", 8),))
    assert "const TILE: u32 = 8u;" in spec.source
    assert "override" not in spec.source.replace("an override may", "")


def test_a_constant_that_the_shader_lacks_is_refused() -> None:
    spec = Spec("matmul/naive", inputs=2, outputs=1, threads=256, constants=(("TILE", 8),))
    with pytest.raises(ShaderError, match="no line 'override TILE: u32;'"):
        _ = spec.source
