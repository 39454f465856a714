"""`rusty-bench info`: the adapters and the machine, as text and as JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence

from rusty_py import __version__, probe
from rusty_py.adapter import Adapter
from rusty_py.bench.context import Facts, adapter_facts, commit, system
from rusty_py.device import Device


def machine(adapter: Adapter, adapters: Sequence[Facts]) -> Facts:
    """What there is to know of the chosen adapter, the others, and the host."""
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


def as_text(facts: Mapping[str, object]) -> str:
    """The facts as indented lines, one each."""
    return "\n".join(_lines(facts, ""))


def _lines(facts: Mapping[str, object], indent: str) -> Iterator[str]:
    for key, value in facts.items():
        label = f"{indent}{key.replace('_', ' ')}:"
        if isinstance(value, Mapping):
            yield label
            yield from _lines(value, indent + "  ")
        elif isinstance(value, list):
            yield f"{label} {', '.join(map(str, value))}"
        elif isinstance(value, int) and not isinstance(value, bool) and "bytes" in key:
            yield f"{label} {value:,} ({value / 2**20:,.4g} MiB)"
        else:
            yield f"{label} {'unknown' if value is None else value}"
