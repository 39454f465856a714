"""The entry point of `rusty-bench`, which handles signals before it imports the commands.

Imports take long where nothing is cached: Ctrl-C meanwhile ends the program as it does later.
"""

import sys

from rusty_py.bench.exits import CLOSED, exit_code_of


def main() -> None:
    """Runs the program, and exits with its exit code."""
    sys.exit(CLOSED if sys.stdout is None else exit_code_of(_run))


def _run() -> None:
    from rusty_py.bench.commands import app

    app()
