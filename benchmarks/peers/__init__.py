"""Matrix products by other libraries, each in a separate process, for `compare_peers`."""
