"""Exit codes, and the handling of errors and signals.

0 success, 1 findings, 2 usage error, 3 no adapter or a failed one, 4 a wrong or rejected result or a kernel
that does not end, 70 internal error, 128 plus the signal number (130 for Ctrl-C), 141 standard output closed.
"""

import errno
import os
import sys
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

from rusty_py.bench.output import complain
from rusty_py.bench.signals import Signals
from rusty_py.errors import DeviceError, RustyError

if TYPE_CHECKING:
    from rusty_py.bench.tuning import TuningRun
    from rusty_py.measure.document import BenchRun

FINDINGS, USAGE, NO_ADAPTER, WRONG, INTERNAL, INTERRUPTED, CLOSED = 1, 2, 3, 4, 70, 130, 141


def exit_code_of(program: Callable[[], object]) -> int:
    """Runs a typer program and converts exceptions to an exit code and a line on standard error."""
    with Signals() as signals:
        code = _exit_code_of(program)
    return 128 + signals.number if signals.number and code in (INTERRUPTED, CLOSED) else code


def _exit_code_of(program: Callable[[], object]) -> int:
    try:
        code = _typer_exit_code(program)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        complain("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        _mute_stdout()
        return CLOSED
    except RustyError as error:
        complain(f"error: {error}")
        return NO_ADAPTER if isinstance(error, DeviceError) else USAGE
    except OSError as error:
        if error.errno == errno.EIO:  # The terminal behind standard output is gone.
            _mute_stdout()
            return CLOSED
        if error.errno == errno.ENOSPC:  # From standard output: our own files raise FileError.
            complain(f"error: standard output: {error.strerror}")
            _mute_stdout()
        else:
            complain(f"error: {error}")
        return USAGE
    except Exception as error:  # Python's own status, 1, would mean findings.
        complain(f"{traceback.format_exc()}error: internal error, please report it: {error!r}")
        return INTERNAL


def leave(run: "BenchRun | TuningRun", *, wrong: bool) -> None:
    """Exits with the exit code of the run."""
    import typer  # Not before signals are handled.

    if run.failure:
        raise DeviceError(run.failure)
    if run.interrupted:
        raise typer.Exit(INTERRUPTED)
    if wrong:
        raise typer.Exit(WRONG)


def _typer_exit_code(program: Callable[[], object]) -> int:
    """The exit code of typer; re-raises Ctrl-C or a closed pipe that typer turned into an exit."""
    try:
        program()
    except SystemExit as end:
        cause: BaseException | None = end
        while cause is not None:
            if isinstance(cause, KeyboardInterrupt | BrokenPipeError):
                raise cause from None
            cause = cause.__cause__ or cause.__context__
        return end.code if isinstance(end.code, int) else INTERNAL
    return 0


def _mute_stdout() -> None:
    """Redirects standard output to null: Python flushes it at exit and would report an error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
