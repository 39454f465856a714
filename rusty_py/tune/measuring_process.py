"""What every measuring process does: it reads its job, reports as lines of JSON, and ends with its parent.

The parent's side is measure/child_process.py.
"""

import json
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from rusty_py.errors import DeviceError, RustyError
from rusty_py.measure.signals import leave_to_parent

Job = dict[str, Any]
Report = Callable[[dict[str, object]], None]


def serve(run: Callable[[Job, Report], None]) -> None:
    """Runs the job that is one line of standard input, and reports its end.

    An error is reported, but for a DeviceError: a kernel lost the device, which to the parent is the same as
    a crash.
    """
    leave_to_parent()
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def report(event: dict[str, object]) -> None:
        print(json.dumps(event), flush=True)

    try:
        run(job, report)
    except DeviceError:
        raise
    except RustyError as error:
        report({"event": "failed", "why": str(error)})
    report({"event": "end"})


def _end_with_parent() -> None:
    """Exits when standard input is closed: a hanging kernel must not outlive its parent."""
    while os.read(0, 1):
        pass
    os._exit(1)
