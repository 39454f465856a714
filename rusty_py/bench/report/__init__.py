"""Reports: pure functions of a `BenchRun`, one format a file. None of them needs a GPU."""
