"""The line that says, at the end of a run, what the checker was tested on."""

from collections.abc import Callable

MUTANT, CLEAN = "test_a_mutant_is_caught[", "test_a_clean_kernel_is_not_accused["


def summary(count: Callable[[str, str], int]) -> str:
    """The line, where `count(outcome, test)` says how many there were; empty where nothing ran."""
    caught, missed = count("passed", MUTANT), count("failed", MUTANT)
    silent, accused = count("passed", CLEAN), count("failed", CLEAN)
    parts = []
    if caught + missed:
        parts.append(f"{caught} of {caught + missed} mutants caught")
    if silent + accused:
        parts.append(f"{accused} of {silent + accused} clean kernels accused")
    return f"checker: {', '.join(parts)}" if parts else ""
