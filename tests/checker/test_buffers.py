"""What `check` takes as the contents of a buffer."""

import numpy as np
import pytest

from rusty_py import DtypeError

from .launches import SCALE


@pytest.mark.parametrize(
    "values", [[0.0] * 300, [0] * 300, np.zeros(300, np.uint64)], ids=["f64", "i64", "u64"]
)
def test_numbers_of_64_bits_are_refused(values: object) -> None:
    launch = SCALE.with_buffers({"x": values})  # type: ignore[dict-item]
    with pytest.raises(DtypeError, match=r"buffer x: the kernel has no \w+64"):
        launch.checked()
