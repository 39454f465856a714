"""Barriers and subgroup operations that not all threads reach, or not the same ones."""

from .grafts import NEIGHBOUR, ROUNDS, SUBGROUPS, TREE
from .launches import SUM, TILED
from .mutant import Mutant

BARRIER, SUBGROUP = "divergent barrier", "divergent subgroup operation"
ONE = "    workgroupBarrier();\n"
VALUE = "let total = subgroupAdd(value);"

BARRIERS = [
    Mutant(
        "a barrier for some threads",
        NEIGHBOUR,
        ((ONE, "    if (slot < 100u) { workgroupBarrier(); }\n"),),
        BARRIER,
        "workgroupBarrier()",
        brings=(
            "race",
            "uninitialised read",
        ),
    ),
    Mutant(
        "a barrier after some threads returned",
        TILED,
        (
            ("    var acc = 0.0;", "    if (row >= uniforms.m) { return; }\n    var acc = 0.0;"),
            (
                "b_k < k_end);\n        workgroupBarrier();",
                "b_k < k_end);\n        workgroupBarrier(); // First.",
            ),
        ),
        BARRIER,
        "workgroupBarrier(); // First.",
        brings=("uninitialised read",),
    ),
    Mutant(
        "a barrier in a loop of differing trips",
        TILED,
        (
            ("k0 < k_end;", "k0 < k_end + local.x * TILE;"),
            (
                "b_k < k_end);\n        workgroupBarrier();",
                "b_k < k_end);\n        workgroupBarrier(); // First.",
            ),
        ),
        BARRIER,
        "workgroupBarrier(); // First.",
    ),
    Mutant(
        "two barriers in two branches",
        NEIGHBOUR,
        (
            (
                ONE,
                "    if (slot < 128u) { workgroupBarrier(); // A.\n } else { workgroupBarrier(); // B.\n }\n",
            ),
        ),
        BARRIER,
        "workgroupBarrier(); // A.",
    ),
    Mutant(
        "one function's barrier called in two branches",
        ROUNDS,
        (
            (
                "        settle();\n        scaled",
                "        if (slot < 128u) { settle(); } else { settle(); }\n        scaled",
            ),
        ),
        BARRIER,
        "workgroupBarrier()",
    ),
    Mutant(
        "a barrier in turns of a loop that differ",
        ROUNDS,
        (
            (
                "        settle();\n        scaled",
                "        if (turn != slot % 2u) { settle(); }\n        scaled",
            ),
        ),
        BARRIER,
        "workgroupBarrier()",
    ),
    Mutant(
        "a barrier behind a continue",
        ROUNDS,
        (
            (
                "        settle();\n        scaled",
                "        if (turn == slot % 3u) { continue; }\n        settle();\n        scaled",
            ),
        ),
        BARRIER,
        "workgroupBarrier()",
    ),
    Mutant(
        "a barrier within the narrowing half of a tree",
        TREE,
        (("        }\n        workgroupBarrier();", "        workgroupBarrier(); // Inside.\n        }"),),
        BARRIER,
        "workgroupBarrier(); // Inside.",
    ),
    Mutant(
        "a barrier in one case of a switch",
        NEIGHBOUR,
        ((ONE, "    switch (slot % 2u) { case 0u: { workgroupBarrier(); } default: { } }\n"),),
        BARRIER,
        "workgroupBarrier()",
        brings=("race",),
    ),
    Mutant(
        "a barrier in a loop over the elements of one thread",
        SUM,
        (("            sum += total(", "            storageBarrier();\n            sum += total("),),
        BARRIER,
        "storageBarrier()",
    ),
]

SUBGROUP_OPERATIONS = [
    Mutant(
        "a subgroup sum of some lanes",
        SUBGROUPS,
        ((VALUE, "var total = 0.0;\n    if (slot % 2u == 0u) { total = subgroupAdd(value); }"),),
        SUBGROUP,
        "total = subgroupAdd(value)",
    ),
    Mutant(
        "a subgroup sum after some lanes returned",
        SUBGROUPS,
        ((VALUE, f"if (slot == 5u) {{ return; }}\n    {VALUE}"),),
        SUBGROUP,
        VALUE,
    ),
    Mutant(
        "a subgroup sum in a loop of differing trips",
        SUBGROUPS,
        ((VALUE, "var total = 0.0;\n    for (var i = 0u; i < slot; i++) { total += subgroupAdd(value); }"),),
        SUBGROUP,
        "total += subgroupAdd(value)",
    ),
    Mutant(
        "two subgroup sums in two branches",
        SUBGROUPS,
        (
            (
                VALUE,
                "var total = 0.0;\n    if (slot % 2u == 0u) { total = subgroupAdd(value); }\n"
                "    else { total = subgroupAdd(-value); }",
            ),
        ),
        SUBGROUP,
        "total = subgroupAdd(value)",
    ),
    Mutant(
        "a ballot in turns of a loop that differ",
        SUBGROUPS,
        (
            (
                VALUE,
                "var total = 0.0;\n    for (var i = 0u; i < 3u; i++) {\n"
                "        if (i == slot % 2u) { continue; }\n"
                "        if (subgroupAny(value > 2.0)) { total += 1.0; }\n    }",
            ),
        ),
        SUBGROUP,
        "if (subgroupAny(value > 2.0))",
    ),
    Mutant(
        "a subgroup's barrier for some lanes",
        SUBGROUPS,
        ((VALUE, f"if (slot % 4u == 0u) {{ subgroupBarrier(); }}\n    {VALUE}"),),
        SUBGROUP,
        "subgroupBarrier()",
    ),
    Mutant(
        "a shuffle in the right side of an and",
        SUBGROUPS,
        (
            (
                VALUE,
                "var total = 0.0;\n"
                "    if (value > 0.0 && subgroupShuffleXor(value, 1u) > 0.0) { total = 1.0; }",
            ),
        ),
        SUBGROUP,
        "if (value > 0.0 &&",
    ),
]

DIVERGENCE = [*BARRIERS, *SUBGROUP_OPERATIONS]
