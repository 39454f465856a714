"""Importing this registers every operation: it imports the modules of this folder, but for its users."""

from importlib import import_module
from pkgutil import walk_packages

import rusty_py.ops as folder
from rusty_py.ops import creation as creation
from rusty_py.ops import elementwise as elementwise
from rusty_py.ops.reduce.reduction import REDUCTIONS as REDUCTIONS
from rusty_py.ops.row import ROWS as ROWS

MODULES = tuple(
    import_module(module.name)
    for module in walk_packages(folder.__path__, f"{folder.__name__}.")
    if module.name not in (f"{folder.__name__}.all", f"{folder.__name__}.protocols")
)
