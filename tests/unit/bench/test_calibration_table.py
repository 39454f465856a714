"""The tables of `rusty-bench calibrate`, of a profile in which there is all that may be measured."""

import pytest

from rusty_py.bench.calibration import as_text
from rusty_py.calibration import Calibrated
from rusty_py.gemm.model import model_of
from rusty_py.gemm.rates import CLASSES
from rusty_py.profile.prior import NAMES, prior

from ...adapters import RADEON


@pytest.mark.parametrize("name", NAMES)
def test_the_tables_have_all_rates_and_fit_80_columns(name: str) -> None:
    profile = prior(name)
    text = as_text(Calibrated(RADEON, profile, None, 15.0, "gpu", "it agrees with the wall clock"))
    assert max(map(len, text.splitlines())) <= 80
    rates = model_of(RADEON.limits, False, profile).rates
    measured = {each for kernel in rates.values() for each in kernel}
    heads = " ".join(line for line in text.splitlines() if line.startswith("kernel")).split()
    assert [each for each in heads if each in CLASSES] == [each for each in CLASSES if each in measured]
    tables = [each.splitlines() for each in text.split("\n\n") if each.startswith("kernel ")]
    for table in tables:
        names = [line.split("  ")[0] for line in table[2:]]
        assert len(names) == len(set(names))
    for kernel in rates:
        assert any(line.startswith(kernel.name) for table in tables for line in table)
