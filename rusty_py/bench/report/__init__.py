"""Reports: pure functions of a `Run`, one format a file. None of them needs a GPU."""
