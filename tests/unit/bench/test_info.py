"""How `info` writes what it knows."""

from rusty_py.bench.info import as_text, size


def test_sizes_are_read_in_units_that_fit() -> None:
    sizes = {0: "0 bytes", 1000: "1,000 bytes", 32768: "32 KiB", 16352: "16,352 bytes", 128 << 20: "128 MiB"}
    sizes |= {2**31 - 1: "2.0 GiB", 25_276_510_208: "23.5 GiB", 3 << 40: "3,072.0 GiB"}
    assert {nbytes: size(nbytes) for nbytes in sizes} == sizes


def test_numbers_have_separators_and_what_is_unknown_says_so() -> None:
    facts = {"adapter": {"limits": {"loop_steps": 65535, "binding_bytes": 1 << 27}}, "on": True, "blas": None}
    facts |= {"MESA_LOADER": "x", "seed": 123456}
    assert as_text(facts, complete=False).splitlines() == [
        "adapter:",
        "  limits:",
        "    loop steps: 65,535",
        "    largest binding: 128 MiB",
        "on: True",
        "blas: unknown",
        "MESA_LOADER: x",
        "seed: 123456",
    ]


def test_features_are_those_for_kernels_unless_all_are_asked_for() -> None:
    facts = {"features": ["clip-distances", "multiview", "shader-f16", "timestamp-query"]}
    assert as_text(facts, complete=False) == "features: shader-f16, timestamp-query, and 2 more (--all)"
    assert as_text(facts, complete=True) == "features: clip-distances, multiview, shader-f16, timestamp-query"
    assert as_text({"features": ["shader-f16"]}, complete=False) == "features: shader-f16"
