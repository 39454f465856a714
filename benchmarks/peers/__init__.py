"""Other ways to a matrix product, each in a process of its own: what `compare_peers` measures beside ours."""
