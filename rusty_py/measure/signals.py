"""The signals that end a program, and how a child process leaves them to its parent."""

import signal

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP.
ENDING = tuple(signal.Signals[name] for name in _NAMES if hasattr(signal, name))


def leave_to_parent() -> None:
    """Ignores them in a child process, whose parent ends it: they may come to both."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
