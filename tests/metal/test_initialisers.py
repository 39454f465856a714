"""Every variable of a function has an initialiser.

Without one, wgpu-native's naga 29 keeps the value of a variable in a loop from turn to turn, where WGSL says
zero; the checker's naga 30 does not, and so would not see it.
"""

import re

from rusty_py.runtime.launch import Spec

from ..each import each_reported
from .declared import without_comments
from .registry import all_specs, each_file, source_of


def uninitialised(wgsl: str) -> list[str]:
    """The variables of functions that are declared without a value."""
    return re.findall(r"\bvar\s+(\w+)\s*:[^=;]*;", without_comments(wgsl))


@each_file(all_specs())
def test_every_variable_of_a_function_has_an_initialiser(specs: list[Spec]) -> None:
    with each_reported() as case:
        for spec in specs:
            with case(spec):
                assert uninitialised(source_of(spec)) == []


def test_a_variable_without_one_is_seen() -> None:
    body = "var x: u32; // var y: u32;\n var z: u32 = 1u; var w = 2u;"
    text = f"var<workgroup> t: array<u32, 4>; fn f() {{ {body} }}"
    assert uninitialised(text) == ["x"]
