"""What `rusty-bench calibrate` prints and writes, and the calibration that precedes the bare program."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence

from tabulate import tabulate

from rusty_py.bench.context import adapter_facts, homeless, invocation, system
from rusty_py.calibration import CPU_MAX_TIME_S, MAX_TIME_S, Calibrated, calibrate_adapter
from rusty_py.errors import RustyError
from rusty_py.gemm.kernel import KernelConfig
from rusty_py.gemm.model import model_of
from rusty_py.gemm.plan import CostModel
from rusty_py.gemm.rates import CLASSES, LAYOUTS
from rusty_py.profile import store
from rusty_py.profile.record import Profile, as_json
from rusty_py.runtime.adapter import Adapter

_SHARE = 0.25
"""The part of a budget that the calibration before it may take."""


def precede(adapter: Adapter, *, budget_s: float, progress: Callable[[str], None]) -> tuple[float, str]:
    """Calibrates an adapter that has no calibrated profile, in a part of the budget.

    Returns the seconds it took, and a line that says what was done; 0 and "" where there is nothing to do.
    """
    if store.location(adapter) is None or store.calibrated(adapter):
        return 0.0, ""
    begun = time.monotonic()
    usual_s = CPU_MAX_TIME_S if adapter.is_cpu else MAX_TIME_S
    try:
        found = calibrate_adapter(adapter, max_time_s=min(usual_s, _SHARE * budget_s), progress=progress)
        line = f"calibrated in {found.seconds:.0f} s, kept in {homeless(str(found.path))}"
    except RustyError as error:
        line = f"not calibrated: {error}"
    return time.monotonic() - begun, line


def as_text(found: Calibrated) -> str:
    """The figures, and a table of the kernels' rates."""
    profile, adapter = found.profile, found.adapter
    model = model_of(adapter.limits, adapter.is_cpu, profile)
    lines = [str(adapter), "", tabulate(_figures(profile), disable_numparse=True, tablefmt="plain")]
    lines += ["", tabulate(_bandwidths(profile), _BANDWIDTHS, disable_numparse=True, stralign="right")]
    for title, tables in (("products", _products(model)), ("matrix-vector products", _skinny(model))):
        if tables:
            lines += ["", f"GFLOPS of {title} that fill the device, by class of operands:"]
        lines += [part for table in tables for part in ("", table)]
    lines += ["", *(f"note: {note}" for note in found.notes)] if found.notes else []
    clock = "GPU timestamps" if found.clock == "gpu" else "wall clock"
    lines += ["", f"{found.seconds:.1f} s, by {clock}: {found.clock_reason}"]
    lines += [f"kept in {found.path}"] if found.path else []
    return "\n".join(lines)


def as_document(found: Calibrated) -> str:
    """The profile, and on which machine it was measured, as JSON: what one contributes."""
    context = {**invocation(), "adapter": adapter_facts(found.adapter), **system()}
    clock = {"name": found.clock, "reason": found.clock_reason}
    document = {
        **as_json(found.profile),
        "machine": store.key_of(found.adapter),
        "seconds": round(found.seconds, 1),
        "clock": clock,
        "notes": found.notes,
        "context": context,
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


_BANDWIDTHS = ["working set", "copy", "read"]


def _figures(profile: Profile) -> list[list[str]]:
    return [
        ["f32 arithmetic", f"{profile.fma_gflops:,.0f} GFLOPS"],
        ["cores", f"{profile.cores:,} workgroups compute at a time"],
        ["dependent launch", f"{profile.launch_s * 1e6:.2f} us"],
        ["full bandwidth", f"from {profile.fill_groups:,} workgroups of 256 threads"],
        ["elementwise", f"{profile.item_bytes} bytes of an f16 array by each thread"],
        ["scalar loads", f"{profile.scattered:.0%} of the rate, of matrices larger than the caches"],
    ]


def _bandwidths(profile: Profile) -> list[list[str]]:
    read = dict(profile.read)
    return [
        [_bytes(size), f"{rate / 1e9:,.0f} GB/s", f"{read[size] / 1e9:,.0f} GB/s" if size in read else ""]
        for size, rate in profile.copy
    ]


def _bytes(count: int) -> str:
    return f"{count >> 20:,} MiB" if count >= 1 << 20 else f"{count >> 10:,} KiB"


def _products(model: CostModel) -> list[str]:
    """A table of the layouts, and one of the other classes: of both together lines would be too long."""
    from rusty_py.gemm.search_space import family_of

    kernels = [each for each in model.rates if not family_of(each).gemv]
    names = [name for name in CLASSES if any(name in model.rates[each] for each in kernels)]
    layouts = [name for name in names if name in LAYOUTS]
    others = [name for name in names if name not in LAYOUTS]
    return [_table(model, kernels, part) for part in (layouts, others) if part]


def _table(model: CostModel, kernels: Sequence[KernelConfig], names: Sequence[str]) -> str:
    """The kernels with a rate in one of these classes."""
    namesakes = Counter(each.name for each in kernels)
    rows = [
        [
            _name(each, alone=namesakes[each.name] == 1),
            *(_rate(model.rates[each].get(name)) for name in names),
        ]
        for each in kernels
        if any(name in model.rates[each] for name in names)
    ]
    align = ("left", *["right"] * len(names))
    return tabulate(rows, ["kernel", *names], disable_numparse=True, colalign=align)


def _name(kernel: KernelConfig, *, alone: bool) -> str:
    """The name of a kernel, which it may share with others that compute more or less per thread."""
    from rusty_py.gemm.search_space import as_data

    fields = as_data(kernel)
    return kernel.name if alone else f"{kernel.name}, {fields['thread_m']}x{fields['thread_n']} per thread"


def _skinny(model: CostModel) -> list[str]:
    from rusty_py.gemm.search_space import family_of

    rows = [
        [each.name, _rate(next(iter(rates.values()), None))]
        for each, rates in model.rates.items()
        if family_of(each).gemv
    ]
    table = tabulate(rows, ["kernel", "GFLOPS"], disable_numparse=True, colalign=("left", "right"))
    return [table] if rows else []


def _rate(gflops: float | None) -> str:
    if gflops is None:
        return ""
    return f"{gflops:,.0f}" if gflops >= 100 else f"{gflops:.3g}"
