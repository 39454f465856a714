"""The shipped profiles: each is valid, and each adapter gets one that describes it."""

from types import SimpleNamespace
from typing import Any

import pytest

import rusty_py.profile.prior as module
from rusty_py import Limits
from rusty_py.gemm.model import model_of
from rusty_py.gemm.search_space import family_of, from_data
from rusty_py.profile.prior import NAMES, prior, prior_for

ANY = Limits(1024, 32768, groups=65535, binding_bytes=2**27, buffer_bytes=2**31)


def test_the_names_are_those_of_the_files() -> None:
    assert {f"{name}.json" for name in NAMES} == {path.name for path in module._FOLDER.iterdir()}
    assert list(NAMES) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_profile_is_valid_and_every_kernel_of_it_is_known(name: str) -> None:
    profile = prior(name)
    assert profile.basis in ("measured", "typical", "unmeasured")
    assert not profile.calibrated
    kernels = [from_data(each.kernel) for each in profile.kernels]
    assert len(set(kernels)) == len(kernels) > 0
    assert list(model_of(ANY, name == "llvmpipe", profile).rates) == kernels
    for kernel in kernels:
        family = family_of(kernel)
        assert family.cpu if name == "llvmpipe" else family.gpu


@pytest.mark.parametrize("name", NAMES)
def test_no_kernel_of_a_shipped_profile_is_faster_than_arithmetic(name: str) -> None:
    profile = prior(name)
    for each in profile.kernels:
        assert each.gflops
        for operands, rate in each.gflops.items():
            assert rate <= profile.fma_gflops * (2 if operands in ("half2", "f16") else 1), each


def test_no_other_name_is_a_file() -> None:
    for name in ("", "nothing", "../priors/apple", "apple.json"):
        with pytest.raises(KeyError):
            prior(name)


def adapter(name: str, kind: str, vendor: str = "vendor") -> Any:
    return SimpleNamespace(name=name, vendor=vendor, type=kind)


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("NVIDIA H200", "DiscreteGPU", "nvidia-h200"),
        ("NVIDIA H100 80GB HBM3", "DiscreteGPU", "nvidia-h100"),
        ("NVIDIA A100", "DiscreteGPU", "discrete"),
        ("NVIDIA GeForce RTX 4070", "DiscreteGPU", "discrete"),
        ("AMD Radeon RX 7900 XTX", "DiscreteGPU", "discrete"),
        ("AMD Radeon 780M", "IntegratedGPU", "integrated"),
        ("Intel(R) Iris(R) Xe Graphics", "IntegratedGPU", "integrated"),
        ("Apple M4 Pro", "IntegratedGPU", "apple"),
        ("Apple Paravirtual device", "DiscreteGPU", "apple"),
        ("llvmpipe (LLVM 15.0.6, 256 bits)", "CPU", "llvmpipe"),
        ("SwiftShader Device (LLVM 10.0.0)", "CPU", "llvmpipe"),
        ("virtio", "Unknown", "integrated"),
        ("", "", "integrated"),
    ],
    ids=str,
)
def test_an_adapter_gets_the_profile_of_its_name_or_else_of_its_type(
    name: str, kind: str, expected: str
) -> None:
    assert prior_for(adapter(name, kind)) is prior(expected)


def test_the_vendor_counts_where_the_name_does_not_say_it() -> None:
    assert prior_for(adapter("H200", "DiscreteGPU", "NVIDIA")) is prior("nvidia-h200")
    assert prior_for(adapter("M4", "IntegratedGPU", "Apple")) is prior("apple")
