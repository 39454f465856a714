"""`python -m rusty_py` is `rusty-bench`."""

from rusty_py.bench.cli import main

if __name__ == "__main__":
    main()
