"""What comparisons with PyTorch have in common: options, libraries, the clock, the facts, the result file."""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import rusty_py as rp
from rusty_py.bench import context
from rusty_py.measure.ceilings import CeilingMeter
from rusty_py.measure.clock import Clock, check_clock
from rusty_py.measure.sampling import Options
from rusty_py.runtime.timing import Timer


def parser(module: str, doc: str | None, *, samples: int, max_time: float) -> argparse.ArgumentParser:
    """The options that all comparisons have. `doc` is the module's docstring."""
    assert doc
    options = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{module}",
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("--only", default="", metavar="NAMES", help="rows whose names hold one of these")
    options.add_argument("--samples", type=int, default=samples, help="for each row (default: %(default)s)")
    options.add_argument(
        "--max-time", type=float, default=max_time, metavar="SECONDS", help="default: %(default).0f"
    )
    options.add_argument("--torch-device", default="cuda", help="cuda, cpu to try this, or none")
    options.add_argument("--json", type=Path, metavar="FILE", help="keep everything there, all samples too")
    return options


@dataclass(frozen=True)
class Libraries:
    """Both libraries, PyTorch without gradients, and what was asked for: all rows, or names in `only`."""

    device: rp.Device
    torch: Any
    torch_device: str
    only: Sequence[str]
    deadline: float

    @classmethod
    def of(cls, given: argparse.Namespace) -> "Libraries":
        """Those of the parsed options; the time limit begins now."""
        deadline = time.monotonic() + given.max_time
        torch, torch_device = pytorch(given.torch_device)
        if torch:
            torch.set_grad_enabled(False)
        only = [each.strip() for each in given.only.split(",") if each.strip()]
        return cls(rp.Device(), torch, torch_device, only, deadline)

    def wants(self, name: str) -> bool:
        """Whether a row was asked for."""
        return not self.only or any(part in name for part in self.only)


def pytorch(device: str) -> tuple[Any, str]:
    """PyTorch, where it is installed and has the device, and the device; else None."""
    if device == "none":
        return None, ""
    try:
        import torch
    except ImportError:
        say("PyTorch is not installed: only rusty_py is measured")
        return None, ""
    if device == "cuda" and not torch.cuda.is_available():
        say("PyTorch finds no CUDA: only rusty_py is measured")
        return None, ""
    return torch, device


def checked(device: rp.Device, timer: Timer, options: Options) -> Clock:
    """The clock of kernels: GPU timestamps, if they agree with the wall clock."""
    meter = CeilingMeter(device, timer, sample_s=options.sample_s)
    meter.fit(2e-3)
    return check_clock(timer, meter.fma_launch, at_least_s=options.sample_s)


def facts(device: rp.Device, torch: Any, torch_device: str, arguments: Sequence[str]) -> dict[str, object]:
    """Date, code, machine and software."""
    name = str(torch.cuda.get_device_name()) if torch and torch_device == "cuda" else torch_device
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "arguments": context.homeless(" ".join(arguments)),
        "commit": context.commit(),
        "adapter": str(device.adapter),
        "torch": f"{torch.__version__} on {name}" if torch else None,
        **context.system(),
    }


def keep(path: Path | None, document: Mapping[str, object]) -> None:
    """Writes the result file anew, if there is one."""
    if path:
        part = path.with_name(path.name + ".part")
        part.write_text(json.dumps(document, indent=1), "utf-8")
        part.replace(path)


def first_line(error: Exception) -> str:
    """What went wrong, in a line."""
    return f"{type(error).__name__}: {error}".partition("\n")[0]


def say(text: str) -> None:
    """Prints a line to standard error."""
    print(text, file=sys.stderr, flush=True)
