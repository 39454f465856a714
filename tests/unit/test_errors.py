import pytest

from rusty_py import errors


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.ShapeError, ValueError),
        (errors.DtypeError, TypeError),
        (errors.LimitError, ValueError),
        (errors.DeviceError, RuntimeError),
        (errors.NoAdapter, RuntimeError),
        (errors.ShaderError, RuntimeError),
        (errors.OutOfMemory, MemoryError),
        (errors.IndexingError, IndexError),
        (errors.UnsupportedError, TypeError),
    ],
)
def test_an_error_is_ours_and_the_builtin_kind_that_fits(
    error: type[Exception], builtin: type[Exception]
) -> None:
    for kind in (errors.RustyError, builtin):
        with pytest.raises(kind, match=r"^matmul: rule: values$"):
            raise error("matmul: rule: values")


def test_every_kind_of_error_can_be_imported_from_the_top() -> None:
    import rusty_py

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert [kind for kind in kinds if getattr(rusty_py, kind.__name__, None) is not kind] == []


def test_no_adapter_is_a_device_error() -> None:
    assert issubclass(errors.NoAdapter, errors.DeviceError)
