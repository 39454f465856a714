"""Importing this registers every operation: it imports the modules of this folder, but for its users."""

from importlib import import_module
from pkgutil import iter_modules

import rusty_py.ops as folder
from rusty_py.ops import creation as creation
from rusty_py.ops import elementwise as elementwise
from rusty_py.ops import reduce as reduce
from rusty_py.ops import reduce_launch as reduce_launch
from rusty_py.ops import reduce_source as reduce_source
from rusty_py.ops import reduction as reduction

MODULES = tuple(
    import_module(f"{folder.__name__}.{module.name}")
    for module in iter_modules(folder.__path__)
    if module.name not in ("all", "protocols")
)
