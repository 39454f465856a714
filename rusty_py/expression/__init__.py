"""Reference expressions: `z = 3 * x + y` in NumPy's syntax, evaluated in float64 with an error bound.

`parse` reads the text through an allow-list over its syntax tree; nothing is executed by Python.
"""

from rusty_py.expression.evaluation import Evaluated as Evaluated
from rusty_py.expression.evaluation import evaluate as evaluate
from rusty_py.expression.syntax import Reference as Reference
from rusty_py.expression.syntax import parse as parse
from rusty_py.expression.syntax import single_operation as single_operation
