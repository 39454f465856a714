"""Operations, one file each: what a user calls, from checked arguments to launches."""
