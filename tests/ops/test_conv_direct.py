"""The direct algorithms, which multiply windows of the input in registers, against float64."""

from dataclasses import replace

import pytest

from rusty_py import Device
from rusty_py.dtypes import F16
from rusty_py.ops.conv.correlation import Correlation, WeightCorrelation
from rusty_py.ops.conv.direct import (
    algorithm as direct,
)
from rusty_py.ops.conv.direct import (
    channels as direct_channels,
)
from rusty_py.ops.conv.direct import (
    channels_weights,
    depthwise,
    depthwise_channels,
    weights_sums,
)
from rusty_py.ops.conv.direct import (
    kernel as direct_kernel,
)
from rusty_py.ops.conv.direct import (
    weights as direct_weights,
)
from rusty_py.ops.conv.direct.kernel import Kernel
from rusty_py.ops.conv.direct.window import Window, one_tap, row_of_taps, whole
from rusty_py.ops.conv.direct.window_weights import WeightsKernel

from ..each import each_reported
from .correlations import FORMS, Case
from .placed import limited

IMAGE = Case(2, 1, 2, (6, 12), 5, (3, 3), padding=(1, 1), bias=True, activation="relu")
PLANES = replace(IMAGE, groups=5, channels=1, outputs=2)
STRIDED = Case(2, 3, 2, (9, 11), 5, (3, 2), (1, 2), stride=(2, 1), dilation=(1, 2))
EVERYTHING = {
    "few channels": IMAGE,
    "planes": PLANES,
    "strided": STRIDED,
    "dilated beyond the input": Case(1, 1, 2, (5, 4), 3, (3, 3), (4, 5), dilation=(4, 5), bias=True),
    "no padding, f16": replace(IMAGE, padding=(0, 0), kind=F16),
    "one pixel": Case(1, 2, 3, (3, 3), 3, (3, 3), stride=(3, 3)),
    "one tap": Case(3, 1, 5, (4, 4), 6, (1, 1)),
    "starts inside": replace(STRIDED, padding=(-2, -1)),
}


def kernels(case: Case, problem: Correlation) -> list[Kernel]:
    """Each kind of kernel, in a size that compiles quickly."""

    def all_taps(channels: int, rows: int) -> Kernel:
        window = whole(problem.taps, problem.kernel, problem.x, channels=channels, out_rows=rows)
        return Kernel(window, 4, 32)

    return [
        replace(all_taps(case.channels, 1), outputs=8, keeps=True),
        replace(all_taps(case.channels, 2), keeps=True, flat=case.groups == 1),
        all_taps(1, 2),
        replace(all_taps(1, 1), outputs=1, flat=True),
        Kernel(row_of_taps(all_taps(1, 1).window), 8, 32),
        Kernel(one_tap(2), 4, 8),
        Kernel(one_tap(1), 8, 8, flat=True),
    ]


def checked(case: Case, problem: Correlation) -> None:
    assert case.expected().error(problem.out.numpy()) <= 1


def test_each_kernel_computes_any_correlation(device: Device) -> None:
    with each_reported() as case:
        for name, some in (("few channels", slice(1, None, 2)), ("strided", slice(0, None, 2))):
            found = EVERYTHING[name]
            for kernel in kernels(found, found.correlation(device))[some]:
                with case(f"{name}: {kernel}"):
                    problem = found.correlation(device)
                    direct_kernel.run(device, problem, kernel)
                    checked(found, problem)


def test_the_algorithms_compute_what_they_take_in_any_memory(unchecked: Device) -> None:
    with each_reported() as case:
        for algorithm in (direct.DIRECT, depthwise.DEPTHWISE):
            for name, found in EVERYTHING.items():
                for form in FORMS if found in (PLANES, STRIDED) else ("rows",):
                    problem = _problem(unchecked, found, form)
                    if problem and algorithm.refusal(unchecked, problem) is None:
                        with case(
                            f"{algorithm.name}, {name}, {form}: {algorithm.describe(unchecked, problem)}"
                        ):
                            algorithm.run(unchecked, problem)
                            checked(found, problem)


def _problem(device: Device, case: Case, form: str) -> Correlation | None:
    if case.kind is F16 and "shader-f16" not in device.adapter.features:
        return None
    return case.correlation(device, x=form, out=form)


def test_work_for_several_submissions_and_for_stages_of_weights(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct_kernel, "WEIGHTS_BYTES", 16 * 9 * 2)
    monkeypatch.setattr(unchecked.throughput, "flops", lambda kernel: IMAGE.correlation(unchecked).flops // 5)
    problem = IMAGE.correlation(unchecked)
    with limited(unchecked, {"groups": 3}):
        direct_kernel.run(unchecked, problem, Kernel(one_tap(1), 4, 8))
    checked(IMAGE, problem)


def test_gpus_compute_few_channels_and_planes_in_whole_windows(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unchecked, "adapter", replace(unchecked.adapter, type="DiscreteGPU"))
    few = replace(IMAGE, channels=6, outputs=3)
    with each_reported() as case:
        for module, found, busy, idle in (
            (
                direct,
                replace(IMAGE, outputs=64),
                "window in registers, 64 outputs",
                "window in registers, 4 outputs",
            ),
            (direct, few, "sums in registers, 4 outputs, 8 rows", "sums in registers, 4 outputs, 1 rows"),
            (direct, replace(IMAGE, size=(9, 16), kernel=(7, 7), stride=(2, 2)), "1x7 taps", "1x7 taps"),
            (depthwise, PLANES, "1 outputs, 4 rows", "1 outputs, 1 rows"),
        ):
            for threads, chosen in ((1, busy), (1 << 17, idle)):
                algorithm = direct.DIRECT if module is direct else depthwise.DEPTHWISE
                with case(f"{algorithm.name}, {found}, {threads}"):
                    monkeypatch.setattr(module, "BUSY_THREADS", threads)
                    monkeypatch.setattr(direct, "FEW_OUTPUT_THREADS", threads)
                    problem = found.correlation(unchecked)
                    assert algorithm.refusal(unchecked, problem) is None
                    assert chosen in algorithm.describe(unchecked, problem)
                    if found is PLANES:
                        seconds = [
                            each.seconds(unchecked, problem) for each in (depthwise.DEPTHWISE, direct.DIRECT)
                        ]
                        assert seconds[0] < seconds[1]
                        algorithm.run(unchecked, problem)
                        checked(found, problem)


def test_gpus_compute_planes_beside_each_other_in_vectors_of_channels(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "adapter", replace(device.adapter, type="DiscreteGPU"))
    planes = replace(PLANES, groups=8, outputs=1, size=(7, 5))
    with each_reported() as case:
        strided = replace(planes, size=(9, 8), stride=(1, 2), dilation=(2, 1), bias=False)
        for found, tile in ((planes, (2, 4)), (strided, (2, 2)), (replace(strided, kernel=(4, 4)), (1, 2))):
            with case(f"{found}, {tile}"):
                monkeypatch.setattr(depthwise_channels, "TILES", (tile,))
                problem = found.correlation(device, x="channels last", out="channels last")
                assert "4 channels of" in depthwise.DEPTHWISE.describe(device, problem)
                depthwise.DEPTHWISE.run(device, problem)
                checked(found, problem)


def test_gpus_compute_outputs_beside_each_other_in_vectors_of_outputs(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "adapter", replace(device.adapter, type="DiscreteGPU"))
    monkeypatch.setattr(direct_channels, "PIXELS", (4, 2))
    many = replace(IMAGE, groups=2, outputs=20)
    with each_reported() as case:
        for found in (
            many,
            replace(many, size=(9, 7), kernel=(4, 2), stride=(1, 2), dilation=(2, 3), bias=False),
        ):
            for x in ("channels last", "reversed"):
                with case(f"{found}, {x}"):
                    problem = found.correlation(device, x=x, out="channels last")
                    assert "threads with 4 outputs" in direct.DIRECT.describe(device, problem)
                    direct.DIRECT.run(device, problem)
                    checked(found, problem)


def test_what_the_algorithms_refuse_on_gpus(unchecked: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unchecked, "adapter", replace(unchecked.adapter, type="DiscreteGPU"))
    many = replace(IMAGE, channels=5).correlation(unchecked)
    assert "up to 4 channels" in str(direct.DIRECT.refusal(unchecked, many))
    wide = replace(IMAGE, size=(9, 400), kernel=(9, 390)).correlation(unchecked)
    assert "taps: 3510" in str(direct.DIRECT.refusal(unchecked, wide))
    assert "groups of 1 channel" in str(depthwise.DEPTHWISE.refusal(unchecked, many))


def weights_checked(case: Case, problem: WeightCorrelation) -> None:
    assert case.expected_weights().error(problem.dw.numpy()) <= 1


def test_each_block_of_a_gradient_of_weights(device: Device) -> None:
    def window(case: Case, channels: int, rows: int) -> Window:
        x = case.weight_correlation(device).x
        return whole(case.taps, case.kernel, x, channels=channels, out_rows=rows)

    with each_reported() as case:
        for found, kernel in (
            (IMAGE, WeightsKernel(window(IMAGE, 1, 2), 2, 8, 2)),
            (IMAGE, WeightsKernel(row_of_taps(window(IMAGE, 1, 1)), 8, 8, 3)),
            (STRIDED, WeightsKernel(window(STRIDED, 2, 1), 2, 8, 2)),
            (STRIDED, WeightsKernel(replace(one_tap(2), channels=2), 4, 4, 1)),
        ):
            with case(f"{found}, {kernel}"):
                problem = found.weight_correlation(device)
                weights_sums.run(device, problem, kernel)
                weights_checked(found, problem)


def test_gradients_of_weights_of_any_memory(unchecked: Device) -> None:
    with each_reported() as case:
        for algorithm in (direct_weights.WEIGHTS_DIRECT, direct_weights.WEIGHTS_DEPTHWISE):
            for name, found in EVERYTHING.items():
                if found.kind is F16 and "shader-f16" not in unchecked.adapter.features:
                    continue
                for form in FORMS if found in (PLANES, STRIDED) else ("rows",):
                    problem = found.weight_correlation(unchecked, x=form)
                    if algorithm.refusal(unchecked, problem) is None:
                        with case(
                            f"{algorithm.name}, {name}, {form}: {algorithm.describe(unchecked, problem)}"
                        ):
                            algorithm.run(unchecked, problem)
                            weights_checked(found, problem)


def test_gradients_of_weights_in_launches_of_a_few_workgroups(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unchecked, "adapter", replace(unchecked.adapter, type="CPU"))
    problem = IMAGE.weight_correlation(unchecked)
    monkeypatch.setattr(unchecked.throughput, "flops", lambda kernel: problem.flops // 20)
    with limited(unchecked, {"groups": 4}):
        direct_weights.WEIGHTS_DIRECT.run(unchecked, problem)
    weights_checked(IMAGE, problem)
    kernel = direct_weights.kernel_for(unchecked, problem)
    with limited(unchecked, {"loop_steps": 3}):  # Of 36 jobs, 2 for each lane.
        assert weights_sums.lane_count(unchecked, problem, kernel) == 24


def test_gpus_sum_gradients_of_weights_in_blocks_that_fit_their_registers(
    unchecked: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unchecked, "adapter", replace(unchecked.adapter, type="DiscreteGPU"))
    with each_reported() as case:
        for found, chosen in (
            (replace(IMAGE, outputs=64), "4 outputs, 1 rows, 2 channels, 3x3 taps"),
            (replace(IMAGE, channels=4, outputs=64), "8 outputs, 1 rows, 1 channels, 3x3 taps"),
            (
                replace(IMAGE, outputs=64, size=(9, 16), kernel=(7, 7), stride=(2, 2)),
                "8 outputs, 1 rows, 1 channels, 1x7",
            ),
            (replace(PLANES, outputs=1), "1 outputs, 2 rows, 1 channels, 3x3"),
        ):
            with case(found):
                problem = found.weight_correlation(unchecked)
                assert direct_weights.WEIGHTS_DIRECT.refusal(unchecked, problem) is None
                assert chosen in direct_weights.WEIGHTS_DIRECT.describe(unchecked, problem)
        many = replace(IMAGE, channels=5).weight_correlation(unchecked)
        assert "up to 4 channels" in str(direct_weights.WEIGHTS_DIRECT.refusal(unchecked, many))
        assert "groups of 1 channel" in str(direct_weights.WEIGHTS_DEPTHWISE.refusal(unchecked, many))
    with limited(unchecked, {"binding_bytes": 1 << 12}):
        problem = IMAGE.weight_correlation(unchecked)
        assert "bytes of partial sums" in str(direct_weights.WEIGHTS_DIRECT.refusal(unchecked, problem))


def test_gpus_sum_gradients_of_weights_in_vectors_of_channels(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "adapter", replace(device.adapter, type="DiscreteGPU"))
    monkeypatch.setattr(channels_weights, "BUSY_THREADS", 100)
    planes = replace(PLANES, groups=12, outputs=1, size=(7, 5))
    few = replace(IMAGE, groups=2, outputs=8, size=(9, 7), stride=(2, 1), dilation=(1, 2))
    with each_reported() as case:
        for found in (planes, few, replace(few, kernel=(5, 4), stride=(1, 1), padding=(2, 1))):
            with case(found):
                problem = found.weight_correlation(device, x="channels last")
                assert "taps in registers" in direct_weights.WEIGHTS_DIRECT.describe(device, problem)
                direct_weights.WEIGHTS_DIRECT.run(device, problem)
                weights_checked(found, problem)
