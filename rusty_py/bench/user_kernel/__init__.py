"""`rusty-bench run` and `rusty-bench kernel`: kernels of users, and the texts of ours.

A kernel of a user may never end, or end the process. So `parent.py` starts a process, `child.py`, that
verifies and times it, and stops it after a time limit; the parent itself never uses the GPU.
"""
