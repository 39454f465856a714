"""Faults that the checker is known to miss. Strict: one that it finds one day must move to the mutants."""

import pytest

from .grafts import MEMBERS, SUBGROUPS
from .launches import COPY
from .mutant import Mutant

GAPS = [
    pytest.param(
        Mutant(
            "a neighbour's vector read whole, and one component used that nobody writes",
            COPY,
            (("copied[i] = source[at];", "copied[at].x = copied[(at + 1u) % dims.count].y;"),),
            "race",
            "copied[(at",
            "copied",
        ),
        marks=pytest.mark.xfail(reason="clang reads only the component, as a GPU's compiler may or may not"),
    ),
    pytest.param(
        Mutant(
            "a value that is read and not used",
            MEMBERS,
            (
                (
                    "    workgroupBarrier();\n",
                    "    _ = pairs[(slot / 2u) ^ 1u].left;\n    workgroupBarrier();\n",
                ),
            ),
            "race",
            "pairs[(slot / 2u) ^ 1u]",
            "pairs",
        ),
        marks=pytest.mark.xfail(reason="clang drops the read, as a GPU's compiler does"),
    ),
    pytest.param(
        Mutant(
            "the value of a lane that is not there",
            SUBGROUPS,
            (("subgroupAdd(value)", "subgroupShuffle(value, 64u)"),),
            "bad lane",
            "let total = subgroupShuffle",
        ),
        marks=pytest.mark.xfail(reason="it is zero here and anything on a GPU, and no kind of finding"),
    ),
]


@pytest.mark.parametrize("mutant", GAPS, ids=lambda mutant: mutant.name)
def test_a_fault_that_is_missed(mutant: Mutant) -> None:
    assert not mutant.checked().clean
