"""The signals that end a program, and how child processes ignore them."""

import signal

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP.
ENDING = tuple(signal.Signals[name] for name in _NAMES if hasattr(signal, name))


def leave_to_parent() -> None:
    """Ignores these signals in a child process: both receive them, and the parent ends the child."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
