"""Operations on arrays beside PyTorch's, in one process: what is measured, and by which clocks."""
