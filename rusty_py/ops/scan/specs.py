"""The kernels of scans: what their texts have appended for a scan, a dtype, and a way to access memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from rusty_py import shaders
from rusty_py.dtypes import BOOL, F16, F32, I32, Dtype
from rusty_py.ops.grid import THREADS
from rusty_py.runtime.launch import Spec


@dataclass(frozen=True, eq=False)
class Scan:
    """A scan: `combine` is WGSL of a and b, `identity` changes nothing, `subgroup` the name in WGSL's."""

    name: str
    combine: str
    identity: int
    subgroup: str

    def result(self, dtype: Dtype) -> Dtype:
        """The dtype of the result for elements of `dtype`."""
        return I32 if dtype is BOOL else dtype

    def computed(self, dtype: Dtype) -> Dtype:
        """What elements of `dtype` are accumulated in."""
        return F32 if dtype is F16 else self.result(dtype)


SUM = Scan("cumulative_sum", "a + b", 0, "Add")
PROD = Scan("cumulative_prod", "a * b", 1, "Mul")


@dataclass(frozen=True)
class RowConfig:
    """Workgroups of the kernel for rows: `threads`, with `vecs` vec4s each at a time."""

    threads: int
    vecs: int

    @property
    def block(self) -> int:
        """Elements that a workgroup scans at a time."""
        return 4 * self.threads * self.vecs


SMALL, LARGE = RowConfig(64, 1), RowConfig(256, 4)


@cache
def scan_spec(
    row: Scan, source: Dtype, rows: RowConfig | None, *, wide: bool, reverse: bool, subgroups: bool
) -> Spec:
    """The kernel that scans elements of `source`."""
    target = row.result(source)
    variant = f"{row.name} {source.name}{', wide' * wide}{', reverse' * reverse}"
    text = f"const REVERSE: bool = {str(reverse).lower()};\n"
    if rows is None:
        text += _unit_text(row, source, wide=wide)
        text += f"alias stored = {_vector(target.wgsl, wide=wide)};\n"
        return Spec("scan/threads", 2, 1, THREADS, definitions=text, variant=variant)
    text += _row_text(row, source, rows, wide=wide)
    text += f"alias result = {target.wgsl};\nalias stored = {_vector('result', wide=wide)};\n"
    text += _STORE_WIDE if wide else _STORE
    if subgroups:
        inclusive = f"subgroupInclusive{row.subgroup}("
        prefixes = shaders.read("scan/prefixes_subgroup").replace("SUBGROUP_INCLUSIVE(", inclusive)
        totals = 2 * (rows.vecs * rows.threads // 4) + 1
    else:
        prefixes = shaders.read("scan/prefixes_workgroup")
        totals = (rows.vecs + 2) * rows.threads
    variant += f", {rows.threads} threads{', subgroups' * subgroups}"
    nbytes = totals * row.computed(source).itemsize
    return Spec("scan/rows", 2, 1, rows.threads, nbytes, definitions=text + prefixes, variant=variant)


@cache
def sums_spec(row: Scan, source: Dtype, rows: RowConfig | None, *, wide: bool) -> Spec:
    """The kernel that combines the elements of each chunk."""
    variant = f"{row.name} {source.name}{', wide' * wide}"
    if rows is None:
        text = _unit_text(row, source, wide=wide)
        return Spec("scan/thread_sums", 1, 1, THREADS, definitions=text, variant=variant)
    text = _row_text(row, source, rows, wide=wide)
    nbytes = rows.threads * row.computed(source).itemsize
    return Spec("scan/sums", 1, 1, rows.threads, nbytes, definitions=text, variant=variant)


def _vector(scalar: str, *, wide: bool) -> str:
    return f"vec4<{scalar}>" if wide else scalar


def _unit_text(row: Scan, source: Dtype, *, wide: bool) -> str:
    """What the kernels for threads have appended."""
    unit = _vector(row.computed(source).wgsl, wide=wide)
    return (
        f"const UNIT: u32 = {4 if wide else 1}u;\nalias loaded = {_vector(source.wgsl, wide=wide)};\n"
        f"alias unit = {unit};\nfn identity() -> unit {{\n    return unit({row.identity});\n}}\n"
        f"fn combine(a: unit, b: unit) -> unit {{\n    return {row.combine};\n}}\n"
    )


def _row_text(row: Scan, source: Dtype, rows: RowConfig, *, wide: bool) -> str:
    """What the kernels for workgroups have appended."""
    loaded = _vector(source.wgsl, wide=wide)
    return (
        f"const THREADS: u32 = {rows.threads}u;\nconst VECS: u32 = {rows.vecs}u;\n"
        f"alias total = {row.computed(source).wgsl};\nalias loaded = {loaded};\n"
        f"fn identity() -> total {{\n    return total({row.identity});\n}}\n"
        f"fn combine(a: total, b: total) -> total {{\n    return {row.combine};\n}}\n"
        f"fn combine4(a: vec4<total>, b: vec4<total>) -> vec4<total> {{\n    return {row.combine};\n}}\n"
    ) + (_LOAD_WIDE if wide else _LOAD)


_LOAD = """
fn load(at: u32, count: u32) -> vec4<total> {
    var v = vec4(identity());
    if (count > 0u) {
        v.x = total(values[at]);
    }
    if (count > 1u) {
        v.y = total(values[at + 1u]);
    }
    if (count > 2u) {
        v.z = total(values[at + 2u]);
    }
    if (count > 3u) {
        v.w = total(values[at + 3u]);
    }
    return v;
}
"""

_LOAD_WIDE = """
fn load(at: u32, count: u32) -> vec4<total> {
    if (count == 0u) {
        return vec4(identity());
    }
    return select(vec4(identity()), vec4<total>(values[at / 4u]), vec4(0u, 1u, 2u, 3u) < vec4(count));
}
"""

_STORE = """
fn store(at: u32, v: vec4<total>, count: u32) {
    if (count > 0u) {
        out[at] = result(v.x);
    }
    if (count > 1u) {
        out[at + 1u] = result(v.y);
    }
    if (count > 2u) {
        out[at + 2u] = result(v.z);
    }
    if (count > 3u) {
        out[at + 3u] = result(v.w);
    }
}
"""

_STORE_WIDE = """
fn store(at: u32, v: vec4<total>, count: u32) {
    if (count > 0u) {
        out[at / 4u] = vec4<result>(v);
    }
}
"""
