"""Operations, a file for each kind: what a user calls, and what `apply` runs."""
