"""Reads of what nobody wrote, and barriers that order another kind of memory."""

from .grafts import COUNTED, NEIGHBOUR, STORED, TREE, UNIFORM_LOAD
from .launches import NARROW, TILED
from .mutant import Mutant

BARRIER = "        workgroupBarrier();\n"
READ = "acc += a_tile[local.y * TILE + i] * b_tile[i * TILE + local.x];\n        }\n"

UNINITIALISED = [
    Mutant(
        "a tile that is not loaded",
        TILED,
        (("        b_tile[slot] = select(0.0, b_value, b_k < k_end);\n", ""),),
        "uninitialised read",
        "b_tile[i * TILE",
        "b_tile",
        0,
        16,
    ),
    Mutant(
        "a tile loaded only within the matrix",
        NARROW,
        (
            (
                "a_tile[slot] = select(0.0, a_value, a_k < k_end);",
                "if (a_k < k_end) { a_tile[slot] = a_value; }",
            ),
        ),
        "uninitialised read",
        "a_tile[local.y",
        "a_tile",
        3,
        16,
    ),
    Mutant(
        "a variable that nobody sets",
        UNIFORM_LOAD,
        (("if (slot == 0u)", "if (slot == 999u)"),),
        "uninitialised read",
        "first);",
        "first",
    ),
    Mutant(
        "an atomic count that starts from nothing",
        COUNTED,
        (("    if (slot == 0u) {\n        atomicStore(&count, 0u);\n    }\n", ""),),
        "uninitialised read",
        "count, 1u)",
        "count",
    ),
    Mutant(
        "a sum that starts from nothing",
        TREE,
        (("    held[slot] = x[id.x];", "    held[slot] += x[id.x];"),),
        "uninitialised read",
        "held[slot] += x",
        "held",
        0,
        256,
    ),
]

WRONG_BARRIERS = [
    Mutant(
        "a storage barrier for workgroup memory",
        NEIGHBOUR,
        (("workgroupBarrier()", "storageBarrier()"),),
        "wrong barrier",
        "held[slot ^ 1u]",
        "held",
        1,
        256,
    ),
    Mutant(
        "a storage barrier after a tile was read",
        TILED,
        ((f"{READ}{BARRIER}", f"{READ}        storageBarrier();\n"),),
        "wrong barrier",
        "a_tile[slot] =",
        "a_tile",
        0,
        16,
    ),
    Mutant(
        "a workgroup barrier for storage memory",
        STORED,
        (("storageBarrier();\n    let", "workgroupBarrier();\n    let"),),
        "wrong barrier",
        "scaled[id.x ^ 1u]",
        "scaled",
        1,
        256,
    ),
    Mutant(
        "a workgroup barrier after storage was read",
        STORED,
        (("storageBarrier();\n    scaled", "workgroupBarrier();\n    scaled"),),
        "wrong barrier",
        "scaled[id.x] = f32",
        "scaled",
        0,
        256,
    ),
    Mutant(
        "a subgroup's barrier for storage memory",
        STORED,
        (("storageBarrier();\n    let", "subgroupBarrier();\n    let"),),
        "wrong barrier",
        "scaled[id.x ^ 1u]",
        "scaled",
        1,
        256,
    ),
]

VISIBILITY = [*UNINITIALISED, *WRONG_BARRIERS]
