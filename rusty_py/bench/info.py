"""`rusty-bench info`: the adapters and the machine, as text and as JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence

from rusty_py import __version__
from rusty_py.bench.context import Facts, adapter_facts, commit, system
from rusty_py.runtime import probe
from rusty_py.runtime.adapter import Adapter
from rusty_py.runtime.device import Device

_LABELS = {
    "binding_bytes": "largest binding",
    "buffer_bytes": "largest buffer",
    "ram_bytes": "RAM",
    "workgroup_bytes": "workgroup memory",
}
_FEATURES = (
    "shader-f16",
    "shader-f64",
    "shader-int64",
    "shader-float32-atomic",
    "shader-int64-atomic-all-ops",
    "subgroup",
    "subgroup-barrier",
    "timestamp-query",
    "mappable-primary-buffers",
)
"""Features that kernels and measurements can use."""


def machine(adapter: Adapter, adapters: Sequence[Facts]) -> Facts:
    """Facts about the chosen adapter, the other adapters, and the host."""
    with Device(adapter) as device:
        facts: Facts = {"checked": device.checked, "subgroup_size": probe.subgroup_size(device)}
    return {
        "rusty_py": {"version": __version__, "commit": commit()},
        "adapters": [
            f"{each['index']}: {each['name']} ({each['backend']}, {each['type']})" for each in adapters
        ],
        "adapter": adapter_facts(adapter),
        "device": facts,
        **system(),
    }


def as_json(facts: Mapping[str, object]) -> str:
    """The facts as strict JSON."""
    return json.dumps(facts, indent=2, allow_nan=False, ensure_ascii=False)


def as_text(facts: Mapping[str, object], *, complete: bool) -> str:
    """The facts as indented lines; unless `complete`, only the features that kernels can use."""
    return "\n".join(_lines(facts, "", complete=complete))


def _lines(facts: Mapping[str, object], indent: str, *, complete: bool) -> Iterator[str]:
    for key, value in facts.items():
        words = key.replace("_", " ") if key.islower() else key  # Else an environment variable.
        label = f"{indent}{_LABELS.get(key, words)}:"
        if isinstance(value, Mapping):
            yield label
            yield from _lines(value, indent + "  ", complete=complete)
        elif isinstance(value, list):
            shown = value if complete or key != "features" else _for_kernels(value)
            yield f"{label} {', '.join(map(str, shown))}"
        elif isinstance(value, int) and not isinstance(value, bool) and key != "seed":
            yield f"{label} {size(value) if key.endswith('bytes') else format(value, ',')}"
        else:
            yield f"{label} {'unknown' if value is None else value}"


def _for_kernels(features: Sequence[str]) -> list[str]:
    """The features in `_FEATURES`, and the number of others."""
    found = [each for each in _FEATURES if each in features]
    others = len(features) - len(found)
    return [*found, f"and {others} more (--all)"] if others else found


def size(nbytes: int) -> str:
    """A human-readable size: GiB with one decimal, else whole MiB, KiB or bytes."""
    if nbytes >= 1 << 30:
        return f"{nbytes / (1 << 30):,.1f} GiB"
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if nbytes >= unit and nbytes % unit == 0:
            return f"{nbytes // unit:,} {name}"
    return f"{nbytes:,} bytes"
