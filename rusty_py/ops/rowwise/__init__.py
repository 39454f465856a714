"""Operations on rows: the elements along an axis are reduced, then each is computed from the result."""
