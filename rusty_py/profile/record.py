"""A `Profile`: how fast an adapter is, as the cost models need it; and its form as JSON."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp, log
from reprlib import repr as shown
from typing import Any, Literal

FORMAT = 1
"""The version of the JSON form."""

Basis = Literal["calibrated", "measured", "typical", "unmeasured"]
"""Where a profile is from: measured on this adapter; measured on one of its kind; typical of adapters of its
type; written from public facts, without a measurement."""

Curve = tuple[tuple[int, float], ...]
"""Bytes per second by the bytes of the working set, in ascending order."""

ITEM_BYTES = (8, 16)
"""What a thread of an elementwise kernel can load of an f16 array: a vec4, or eight elements as words."""

_MAX_ITEMS = 1000


@dataclass(frozen=True)
class KernelRate:
    """The GFLOPS of one GEMM kernel that fills the device, by class of operands (gemm/model.py).

    `kernel`: its family and the fields of its dataclass, as in the tuning file.
    """

    kernel: Mapping[str, str | int]
    gflops: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Profile:
    """The speed of an adapter, for cost models. Hashed by identity.

    basis: where it is from. subject: the adapter it was measured on, or those it is typical of. date: of the
    measurement, or of the assumption. cores: workgroups that run at a time, each at its full
    rate. fma_gflops: f32 arithmetic. launch_s: seconds that a dispatch takes that waits for another one.
    copy, read: bandwidth; a copy's counts what is read and what is written. scattered: the fraction of a
    product's rate that remains with scalar loads from matrices larger than the caches. fill_groups: the least
    workgroups of 256 threads that read at full bandwidth. item_bytes: 8 or 16, what each thread of an
    elementwise kernel loads of a large array of f16. kernels: rates of GEMM kernels.
    """

    basis: Basis
    subject: str
    date: str
    cores: int
    fma_gflops: float
    launch_s: float
    copy: Curve
    read: Curve
    scattered: float
    fill_groups: int
    item_bytes: int
    kernels: tuple[KernelRate, ...] = field(default=(), repr=False)

    def copy_rate(self, working_set: int) -> float:
        """Bytes per second of a copy, read and written, whose operands have `working_set` bytes together."""
        return _at(self.copy, working_set)

    def read_rate(self, working_set: int) -> float:
        """Bytes per second of reading `working_set` bytes repeatedly."""
        return _at(self.read, working_set)

    @property
    def bandwidth(self) -> float:
        """Bytes per second of memory, for working sets beyond the caches."""
        return self.copy[-1][1]

    @property
    def busy_groups(self) -> int:
        """Workgroups of 256 threads that keep the device busy, though some end before others."""
        return 2 * self.fill_groups

    @property
    def calibrated(self) -> bool:
        """Whether it was measured on this machine."""
        return self.basis == "calibrated"

    def __str__(self) -> str:
        match self.basis:
            case "calibrated":
                return f"calibrated {self.date}"
            case "measured":
                known = f"measured on another {self.subject}"
            case "typical":
                known = f"typical of {self.subject}"
            case "unmeasured":
                known = f"assumed of {self.subject}, unmeasured"
        return f"not calibrated: {known}: run rusty-bench calibrate"


def _at(curve: Curve, working_set: int) -> float:
    """The rate between the two nearest working sets, interpolated by the logarithms of both."""
    sizes = [size for size, _ in curve]
    at = bisect_left(sizes, working_set)
    if at in (0, len(curve)):
        return curve[min(at, len(curve) - 1)][1]
    (size0, rate0), (size1, rate1) = curve[at - 1], curve[at]
    share = log(working_set / size0) / log(size1 / size0)
    return exp(log(rate0) + share * log(rate1 / rate0))


def as_json(profile: Profile) -> dict[str, Any]:
    """A profile as plain data."""
    return {
        "format": FORMAT,
        "basis": profile.basis,
        "subject": profile.subject,
        "date": profile.date,
        "cores": profile.cores,
        "fma_gflops": _rounded(profile.fma_gflops),
        "launch_us": _rounded(profile.launch_s * 1e6),
        "copy_gbps": {str(size): _rounded(rate / 1e9) for size, rate in profile.copy},
        "read_gbps": {str(size): _rounded(rate / 1e9) for size, rate in profile.read},
        "scattered": _rounded(profile.scattered),
        "fill_groups": profile.fill_groups,
        "item_bytes": profile.item_bytes,
        "kernels": [
            {
                "kernel": dict(each.kernel),
                "gflops": {name: _rounded(rate) for name, rate in each.gflops.items()},
            }
            for each in profile.kernels
        ],
    }


def from_json(data: object) -> Profile:
    """A profile from untrusted plain data. Raises ValueError, which says what of it is invalid.

    The kernels' fields are those of any family: gemm/model.py ignores those that it does not know.
    """
    if not isinstance(data, dict):
        raise ValueError("not an object")
    if data.get("format") != FORMAT:
        raise ValueError(f"format {shown(data.get('format'))}, this is {FORMAT}")
    basis = data.get("basis")
    if basis not in ("calibrated", "measured", "typical", "unmeasured"):
        raise ValueError(f"basis is {shown(basis)}")
    return Profile(
        basis=basis,
        subject=_text(data, "subject"),
        date=_date(data, "date"),
        cores=_integer(data, "cores", 1, 1 << 16),
        fma_gflops=_number(data, "fma_gflops", 1e-3, 1e9),
        launch_s=_number(data, "launch_us", 1e-3, 1e6) / 1e6,
        copy=_curve(data, "copy_gbps"),
        read=_curve(data, "read_gbps"),
        scattered=_number(data, "scattered", 0.01, 1.0),
        fill_groups=_integer(data, "fill_groups", 1, 1 << 20),
        item_bytes=_one_of(data, "item_bytes", ITEM_BYTES),
        kernels=tuple(_kernel(item) for item in _items(data, "kernels", list)),
    )


def _kernel(item: object) -> KernelRate:
    if not isinstance(item, dict):
        raise ValueError("a kernel is not an object")
    kernel, gflops = (_items(item, name, dict) for name in ("kernel", "gflops"))
    if not all(isinstance(each, str | int) for each in kernel.values()):
        raise ValueError(f"a kernel's fields are {shown(kernel)}")
    if not all(name.isidentifier() and len(name) < 20 for name in gflops):
        raise ValueError(f"a kernel's classes of operands are {shown(list(gflops))}")
    return KernelRate(kernel, {name: _number(gflops, name, 1e-3, 1e9) for name in gflops})


def _curve(data: Mapping[str, Any], name: str) -> Curve:
    curve = _items(data, name, dict)
    if not curve or not all(re.fullmatch(r"[1-9][0-9]{0,15}", size) for size in curve):
        raise ValueError(f"{name} is not rates by bytes")
    return tuple(sorted((int(size), _number(curve, size, 1e-3, 1e9) * 1e9) for size in curve))


def _items(data: Mapping[str, Any], name: str, kind: type) -> Any:
    found: Any = data.get(name)
    if not isinstance(found, list | dict) or not isinstance(found, kind) or len(found) > _MAX_ITEMS:
        what = "a list" if kind is list else "an object"
        raise ValueError(f"{name} must be {what} with at most {_MAX_ITEMS} items")
    return found


def _integer(data: Mapping[str, Any], name: str, least: int, most: int) -> int:
    found = data.get(name)
    if type(found) is not int or not least <= found <= most:
        raise ValueError(f"{name} is {shown(found)}")
    return found


def _one_of(data: Mapping[str, Any], name: str, choices: tuple[int, ...]) -> int:
    found = data.get(name)
    if type(found) is not int or found not in choices:
        raise ValueError(f"{name} is {shown(found)}")
    return found


def _number(data: Mapping[str, Any], name: str, least: float, most: float) -> float:
    found: Any = data.get(name)
    if type(found) not in (int, float) or not least <= found <= most:  # NaN is in no range.
        raise ValueError(f"{name} is {shown(found)}")
    return float(found)


def _text(data: Mapping[str, Any], name: str) -> str:
    found = data.get(name)
    if not isinstance(found, str) or not found.isprintable() or not 0 < len(found) <= 200:
        raise ValueError(f"{name} is {shown(found)}")
    return found


def _date(data: Mapping[str, Any], name: str) -> str:
    found = _text(data, name)
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", found):
        raise ValueError(f"{name} is {shown(found)}")
    return found


def _rounded(x: float) -> float:
    """Four significant digits: more would be noise."""
    return float(f"{x:.4g}")
