"""Reports: pure functions of a `BenchRun`, one file per format. They need no GPU."""
