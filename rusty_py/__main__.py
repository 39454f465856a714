"""`python -m rusty_py` is `rusty-bench`."""

from rusty_py.bench.cli import main

main()
