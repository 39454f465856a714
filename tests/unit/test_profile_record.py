"""Profiles as data: what they say, and that nothing hostile gets into one."""

import json
from dataclasses import fields, replace
from math import inf, nan, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rusty_py import Limits
from rusty_py.gemm.model import model_of
from rusty_py.gemm.problem import GemmProblem, Signature
from rusty_py.gemm.select import untuned
from rusty_py.profile.prior import NAMES, prior
from rusty_py.profile.record import FORMAT, Profile, as_json, from_json

GOOD = as_json(prior("integrated"))
KERNEL = GOOD["kernels"][0]
LIMITS = Limits(1024, 32768, groups=65535, binding_bytes=2**27, buffer_bytes=2**31)


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_is_the_same_when_written_and_read_again(name: str) -> None:
    profile = prior(name)
    again = from_json(json.loads(json.dumps(as_json(profile))))
    for each in fields(Profile):
        assert getattr(again, each.name) == getattr(profile, each.name), each.name
    assert as_json(again) == as_json(profile)


def test_figures_are_written_with_four_digits_and_without_errors_of_units() -> None:
    odd = replace(prior("discrete"), fma_gflops=12345.678, launch_s=3.7e-6, copy=((1 << 20, 123.456789e9),))
    written = as_json(odd)
    assert (written["fma_gflops"], written["launch_us"]) == (12350.0, 3.7)
    assert written["copy_gbps"] == {"1048576": 123.5}
    assert from_json(written).launch_s == pytest.approx(3.7e-6)


def test_fields_that_are_not_known_are_ignored() -> None:
    assert as_json(from_json(GOOD | {"machine": {}, "context": [1], "notes": None})) == GOOD


HOSTILE = [
    ("format", 2, "format 2, this is 1"),
    ("format", "1", "format '1'"),
    ("format", None, "format None"),
    ("basis", "guessed", "basis is 'guessed'"),
    ("basis", ["calibrated"], r"basis is \['calibrated'\]"),
    ("basis", "x" * 10_000, r"basis is 'xx.{,40}xx'$"),
    ("subject", "", "subject is ''"),
    ("subject", 7, "subject is 7"),
    ("subject", "\x1b[31mred", r"subject is '\\x1b\[31mred'"),
    ("subject", "two\nlines", r"subject is 'two\\nlines'"),
    ("subject", "\ud800", "subject is"),
    ("subject", "\u202egpj", "subject is"),
    ("subject", "x" * 201, "subject is"),
    ("date", "yesterday", "date is 'yesterday'"),
    ("date", "2026-11-28T00:00", "date is"),
    ("date", "٢٠٢٦-١١-٢٨", "date is"),
    ("date", 20261128, "date is 20261128"),
    ("cores", 0, "cores is 0"),
    ("cores", -1, "cores is -1"),
    ("cores", 2.0, "cores is 2.0"),
    ("cores", True, "cores is True"),
    ("cores", 10**6, "cores is 1000000"),
    ("cores", 10**400, "cores is 1000"),
    ("fma_gflops", 0, "fma_gflops is 0"),
    ("fma_gflops", -5.0, "fma_gflops is -5.0"),
    ("fma_gflops", nan, "fma_gflops is nan"),
    ("fma_gflops", inf, "fma_gflops is inf"),
    ("fma_gflops", "100", "fma_gflops is '100'"),
    ("fma_gflops", True, "fma_gflops is True"),
    ("fma_gflops", 10**400, "fma_gflops is 1000"),
    ("launch_us", 0.0, "launch_us is 0.0"),
    ("launch_us", 1e300, r"launch_us is 1e\+300"),
    ("copy_gbps", {}, "copy_gbps is not rates by bytes"),
    ("copy_gbps", [1, 2], "copy_gbps must be an object with at most"),
    ("copy_gbps", {"0": 1}, "copy_gbps is not rates by bytes"),
    ("copy_gbps", {"-1": 1}, "copy_gbps is not rates by bytes"),
    ("copy_gbps", {"1e6": 1}, "copy_gbps is not rates by bytes"),
    ("copy_gbps", {"٣": 1}, "copy_gbps is not rates by bytes"),
    ("copy_gbps", {"9" * 400: 1}, "copy_gbps is not rates by bytes"),
    ("copy_gbps", {"1024": nan}, "1024 is nan"),
    (
        "copy_gbps",
        {str(size): 1 for size in range(1, 1002)},
        "copy_gbps must be an object with at most 1000 items",
    ),
    ("read_gbps", {"1024": None}, "1024 is None"),
    ("read_gbps", {"1024": 0}, "1024 is 0"),
    ("scattered", 0, "scattered is 0"),
    ("scattered", 1.01, "scattered is 1.01"),
    ("fill_groups", 0, "fill_groups is 0"),
    ("fill_groups", 1 << 30, "fill_groups is 1073741824"),
    ("item_bytes", 12, "item_bytes is 12"),
    ("item_bytes", 16.0, "item_bytes is 16.0"),
    ("kernels", {}, "kernels must be a list with at most"),
    ("kernels", "blocked", "kernels must be a list with at most"),
    ("kernels", [KERNEL] * 1001, "kernels must be a list with at most 1000 items"),
    ("kernels", [1], "a kernel is not an object"),
    ("kernels", [{}], "kernel must be an object with at most"),
    ("kernels", [KERNEL | {"gflops": None}], "gflops must be an object with at most"),
    ("kernels", [KERNEL | {"gflops": {"nn": 0}}], "nn is 0"),
    ("kernels", [KERNEL | {"gflops": {"nn": inf}}], "nn is inf"),
    ("kernels", [KERNEL | {"gflops": {"\x1b[31m": 1}}], "a kernel's classes of operands are"),
    ("kernels", [KERNEL | {"gflops": {"n" * 99: 1}}], "a kernel's classes of operands are"),
    ("kernels", [KERNEL | {"kernel": {"family": None}}], "a kernel's fields are {'family': None}"),
    ("kernels", [KERNEL | {"kernel": {"family": ["blocked"]}}], "a kernel's fields are"),
]


@pytest.mark.parametrize(
    ("name", "value", "says"), HOSTILE, ids=[f"{i}-{x[0]}" for i, x in enumerate(HOSTILE)]
)
def test_a_hostile_value_is_refused_by_its_name(name: str, value: object, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        from_json(GOOD | {name: value})
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("data", [None, [], "profile", 1, [GOOD]])
def test_what_is_no_object_is_no_profile(data: object) -> None:
    with pytest.raises(ValueError, match="not an object"):
        from_json(data)


@pytest.mark.parametrize("name", sorted(GOOD))
def test_no_field_may_be_missing(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        from_json({key: value for key, value in GOOD.items() if key != name})


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, -1, 10**400, 1e-300, 1e300, nan, inf, -inf])
    | st.floats()
    | st.text(max_size=5)
)
JSON = st.recursive(
    SCALARS, lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=3), x, max_size=3)
)
PATHS = st.sampled_from(
    [
        *((name,) for name in GOOD),
        ("copy_gbps", "1048576"),
        ("copy_gbps", "13"),
        ("read_gbps", "13"),
        *(("kernels", i, part) for i in (0, 3, len(GOOD["kernels"]) - 1) for part in ("kernel", "gflops")),
        ("kernels", 1, "kernel", "family"),
        ("kernels", 1, "kernel", "block_m"),
        *(("kernels", 1, "gflops", name) for name in ("nn", "tn", "half2", "unheard of")),
    ]
)
LAYOUTS = [Signature(), Signature(b_along_k=True), Signature(a_vec4=False, b_vec4=False, c_vec4=False)]


@given(changes=st.lists(st.tuples(PATHS, JSON), min_size=1, max_size=4), size=st.integers(1, 5000))
def test_whatever_stands_in_a_profile_it_is_refused_or_plans(
    changes: list[tuple[tuple[str | int, ...], object]], size: int
) -> None:
    data = json.loads(json.dumps(GOOD))
    for path, value in changes:
        place = data
        try:
            for part in path[:-1]:
                place = place[part]
            place[path[-1]] = value
        except (TypeError, KeyError, IndexError):
            continue  # An earlier change has removed the place.
    try:
        profile = from_json(data)
    except ValueError:
        return
    assert as_json(from_json(as_json(profile))) == as_json(profile)
    machine = model_of(LIMITS, False, profile)
    assert 0 < machine.peak < inf
    for signature in LAYOUTS:
        problem = GemmProblem(size, 777, 130, signature=signature)
        plan = untuned(machine, problem)
        assert plan.kernel.supports(LIMITS, plan.seen)


def test_rates_between_two_working_sets_are_interpolated_by_logarithms() -> None:
    profile = replace(prior("discrete"), copy=((1 << 20, 800e9), (1 << 22, 200e9), (1 << 26, 100e9)))
    assert profile.copy_rate(1 << 21) == pytest.approx(400e9)
    assert profile.copy_rate(1 << 24) == pytest.approx(sqrt(200e9 * 100e9))
    for size, rate in profile.copy:
        assert profile.copy_rate(size) == pytest.approx(rate)
    for outside, rate in ((0, 800e9), (1, 800e9), (1 << 27, 100e9), (1 << 60, 100e9)):
        assert profile.copy_rate(outside) == rate
    assert profile.bandwidth == 100e9


@given(
    st.dictionaries(st.integers(1, 1 << 50), st.floats(1e6, 1e18), min_size=1, max_size=6),
    st.integers(0, 1 << 51),
)
def test_an_interpolated_rate_lies_between_its_neighbours(rates: dict[int, float], at: int) -> None:
    curve = tuple(sorted(rates.items()))
    profile = replace(prior("discrete"), read=curve)
    below = [rate for size, rate in curve if size <= at] or [curve[0][1]]
    above = [rate for size, rate in curve if size >= at] or [curve[-1][1]]
    low, high = sorted((below[-1], above[0]))
    assert low * (1 - 1e-9) <= profile.read_rate(at) <= high * (1 + 1e-9)


@pytest.mark.parametrize(
    ("basis", "says"),
    [
        ("calibrated", "calibrated 2026-11-27"),
        ("measured", "not calibrated: measured on another Apple M4: run rusty-bench calibrate"),
        ("typical", "not calibrated: typical of Apple M4: run rusty-bench calibrate"),
        ("unmeasured", "not calibrated: assumed of Apple M4, unmeasured: run rusty-bench calibrate"),
    ],
)
def test_a_profile_says_where_it_is_from(basis: str, says: str) -> None:
    data = GOOD | {"basis": basis, "subject": "Apple M4", "date": "2026-11-27"}
    assert str(from_json(data)) == says
    assert from_json(data).calibrated == (basis == "calibrated")


def test_the_format_is_the_one_that_is_documented() -> None:
    assert FORMAT == GOOD["format"] == 1
