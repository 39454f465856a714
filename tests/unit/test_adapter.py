from collections.abc import Callable

import pytest

from rusty_py import LimitError, Limits, NoAdapter, list_adapters
from rusty_py.runtime import native
from rusty_py.runtime.adapter import ENVIRONMENT, LIMITS_ENVIRONMENT, _subgroup, choose, lowered, remedy

LIMITS = {
    "max-compute-invocations-per-workgroup": 1024,
    "max-compute-workgroup-storage-size": 32768,
    "max-compute-workgroups-per-dimension": 65535,
    "max-storage-buffer-binding-size": 2**27,
    "max-buffer-size": 2**31,
}


class FakeAdapter:
    """What wgpu shows of an adapter."""

    def __init__(self, device: str, kind: str, *, backend: str = "Vulkan", driver: str = "driver") -> None:
        self.info = {
            "device": device,
            "vendor": "vendor",
            "backend_type": backend,
            "adapter_type": kind,
            "description": driver,
        }
        self.limits = LIMITS
        self.features = {"timestamp-query"}


LLVMPIPE = FakeAdapter("llvmpipe (LLVM 15.0.6, 256 bits)", "CPU", driver="Mesa 22.3.6 (LLVM 15.0.6)")
RADEON = FakeAdapter("AMD Radeon 780M", "IntegratedGPU", driver="Mesa 25.0.7")
GEFORCE = FakeAdapter("NVIDIA GeForce RTX 4070", "DiscreteGPU", driver="550.54")
APPLE = FakeAdapter("Apple M4", "IntegratedGPU", backend="Metal", driver="")

Machine = Callable[..., None]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Makes this machine one with those adapters, and no choice in the environment."""
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    monkeypatch.delenv(LIMITS_ENVIRONMENT, raising=False)
    return lambda *adapters: monkeypatch.setattr(native, "enumerate_adapters", lambda: list(adapters))


def test_the_likely_best_adapter_comes_first_and_cpu_drivers_last(machine: Machine) -> None:
    machine(LLVMPIPE, FakeAdapter("virtual", "Unknown"), RADEON, GEFORCE)
    found = list_adapters()
    assert [adapter.type for adapter in found] == ["DiscreteGPU", "IntegratedGPU", "Unknown", "CPU"]
    assert [adapter.index for adapter in found] == [0, 1, 2, 3]
    assert [adapter.is_cpu for adapter in found] == [False, False, False, True]


def test_adapters_of_a_kind_keep_the_order_of_the_system(machine: Machine) -> None:
    first, second = (FakeAdapter(name, "DiscreteGPU") for name in ("first", "second"))
    machine(first, second)
    assert [adapter.raw for adapter in list_adapters()] == [first, second]


def test_a_type_nobody_knows_ranks_as_unknown(machine: Machine) -> None:
    machine(LLVMPIPE, FakeAdapter("odd", "QuantumGPU"))
    assert choose().name == "odd"


def test_without_a_choice_the_first_adapter_is_taken(machine: Machine) -> None:
    machine(LLVMPIPE, RADEON, GEFORCE)
    assert choose().raw is GEFORCE
    assert choose(None).raw is GEFORCE


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        (0, GEFORCE),
        (2, LLVMPIPE),
        ("1", RADEON),
        (" 1 ", RADEON),
        ("radeon", RADEON),
        ("RTX 4070", GEFORCE),
        ("LLVMPIPE", LLVMPIPE),
        ("mesa 22", LLVMPIPE),
        ("mesa", RADEON),
        ("vulkan", GEFORCE),
        ("Vulkan", GEFORCE),
    ],
)
def test_an_adapter_is_chosen_by_index_name_driver_or_backend(
    machine: Machine, which: int | str, expected: FakeAdapter
) -> None:
    machine(LLVMPIPE, RADEON, GEFORCE)
    assert choose(which).raw is expected


def test_a_backend_is_a_choice_among_several(machine: Machine) -> None:
    machine(GEFORCE, APPLE)
    assert choose("metal").raw is APPLE


def test_the_environment_chooses_where_the_caller_does_not(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(LLVMPIPE, RADEON, GEFORCE)
    monkeypatch.setenv(ENVIRONMENT, "llvmpipe")
    assert choose().raw is LLVMPIPE
    assert choose("radeon").raw is RADEON
    assert choose(0).raw is GEFORCE


def test_an_empty_environment_variable_chooses_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(LLVMPIPE, RADEON, GEFORCE)
    monkeypatch.setenv(ENVIRONMENT, "")
    assert choose().raw is GEFORCE


@pytest.mark.parametrize("which", ["voodoo", 3, "3", -1])
def test_no_match_is_refused_with_what_there_is(machine: Machine, which: int | str) -> None:
    machine(LLVMPIPE, RADEON)
    with pytest.raises(NoAdapter) as caught:
        choose(which)
    message = str(caught.value)
    assert message.startswith(f"adapter: none matches {which!r}: there is 0: AMD Radeon 780M (Vulkan, ")
    assert "1: llvmpipe" in message


def test_an_index_beyond_the_last_never_means_a_name(machine: Machine) -> None:
    machine(GEFORCE)
    with pytest.raises(NoAdapter, match="none matches 4070"):
        choose(4070)


def test_a_name_may_be_all_digits(machine: Machine) -> None:
    machine(GEFORCE)
    assert "4070" in choose("4070").name


def test_a_machine_without_adapters_is_told_what_to_install(machine: Machine) -> None:
    machine()
    assert list_adapters() == []
    with pytest.raises(NoAdapter, match=r"^adapter: none found: ") as caught:
        choose()
    assert str(caught.value).endswith(remedy())


@pytest.mark.parametrize(
    ("platform", "said"), [("linux", "apt-get install"), ("darwin", "Metal"), ("win32", "graphics card")]
)
def test_the_remedy_is_that_of_the_system(monkeypatch: pytest.MonkeyPatch, platform: str, said: str) -> None:
    monkeypatch.setattr("sys.platform", platform)
    assert said in remedy()
    assert "\n" not in remedy()


@pytest.mark.parametrize(
    ("device", "features", "threads"),
    [
        ("llvmpipe (LLVM 15.0.6, 256 bits)", {"subgroup"}, 8),
        ("llvmpipe (LLVM 15.0.6, 512 bits)", {"subgroup"}, 16),
        ("llvmpipe (LLVM 15.0.6, 128 bits)", {"subgroup"}, 4),
        ("llvmpipe (LLVM 15.0.6, 256 bits)", set(), 1),
        ("AMD Radeon 780M", {"subgroup"}, 1),
    ],
)
def test_llvmpipe_names_what_it_runs_in_step(device: str, features: set[str], threads: int) -> None:
    assert _subgroup(device, features) == threads


def test_limits_are_those_the_adapter_shows(machine: Machine) -> None:
    machine(GEFORCE)
    assert choose().limits == Limits(
        threads=1024, workgroup_bytes=32768, groups=65535, binding_bytes=2**27, buffer_bytes=2**31
    )
    assert choose().features == {"timestamp-query"}
    assert str(choose()) == "NVIDIA GeForce RTX 4070 (Vulkan, DiscreteGPU)"


def test_a_binding_ends_with_a_whole_vec4(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(GEFORCE)
    monkeypatch.setitem(GEFORCE.limits, "max-storage-buffer-binding-size", 2**32 - 4)
    assert choose().limits.binding_bytes == 2**32 - 16


@pytest.mark.parametrize(
    ("device", "driver", "steps"),
    [
        ("llvmpipe (LLVM 15.0.6, 256 bits)", "Mesa 22.3.6 (LLVM 15.0.6)", 65_535),
        ("llvmpipe (LLVM 11.0.1, 256 bits)", "Mesa 20.3.5 (LLVM 11.0.1)", 65_535),
        ("llvmpipe (LLVM 15.0.6, 256 bits)", "", 65_535),
        ("llvmpipe (LLVM 15.0.7, 256 bits)", "Mesa 23.0.0 (LLVM 15.0.7)", 2**32 - 1),
        ("llvmpipe (LLVM 19.1.7, 256 bits)", "Mesa 25.0.7-2 (LLVM 19.1.7)", 2**32 - 1),
        ("AMD Radeon 780M", "Mesa 22.3.6", 2**32 - 1),
    ],
)
def test_loops_are_short_on_llvmpipe_before_mesa_23_alone(
    machine: Machine, device: str, driver: str, steps: int
) -> None:
    machine(FakeAdapter(device, "CPU", driver=driver))
    assert choose().limits.loop_steps == steps


def test_limits_can_be_lowered_to_those_of_another_gpu(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = FakeAdapter("llvmpipe (LLVM 15.0.6, 256 bits)", "CPU")
    wide.features = {"timestamp-query", "subgroup"}
    machine(wide, GEFORCE)
    own = {adapter.name: adapter for adapter in list_adapters()}
    assert own[wide.info["device"]].limits.subgroup == 8
    monkeypatch.setenv(LIMITS_ENVIRONMENT, "threads=256, workgroup_bytes=16384,subgroup=1")
    for adapter in list_adapters():
        usual = own[adapter.name]
        assert (adapter.limits.threads, adapter.limits.workgroup_bytes) == (256, 16384)
        assert (adapter.limits.subgroup, adapter.features) == (1, {"timestamp-query"})
        assert adapter.limits.buffer_bytes == usual.limits.buffer_bytes
        assert (adapter.index, adapter.name, adapter.raw) == (usual.index, usual.name, usual.raw)
    monkeypatch.setenv(LIMITS_ENVIRONMENT, "metal")
    assert choose("llvmpipe").limits.subgroup == 1
    assert choose("GeForce").limits.workgroup_bytes == 32768
    monkeypatch.setenv(LIMITS_ENVIRONMENT, "")
    assert list_adapters() == list(own.values())


def test_no_limit_is_raised(machine: Machine) -> None:
    machine(GEFORCE)
    (own,) = list_adapters()
    assert lowered(own, "threads=4096,workgroup_bytes=999999,subgroup=64") == own
    assert lowered(own, "metal").limits == own.limits


@pytest.mark.parametrize(
    "text",
    [
        *("threads", "threads=", "threads=0", "threads=-1", "threads=1e3", "thread=64", "metal,threads=1"),
        *("threads=٣", "threads=1;groups=1", "name=1", "features=1", " ", "Metal", "threads=1" + "0" * 30),
        *("=1", ","),
    ],
)
def test_a_limit_that_is_none_is_refused(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    machine(GEFORCE)
    monkeypatch.setenv(LIMITS_ENVIRONMENT, text)
    with pytest.raises(
        LimitError, match=r"adapter: RUSTY_PY_LIMITS=.*: no limit: .*; metal, or NAME=N of threads"
    ):
        list_adapters()
