"""The syntax of reference expressions: what is allowed, and errors with a caret."""

import ast
from dataclasses import dataclass

from rusty_py.errors import LimitError, UnsupportedError

MAX_CHARACTERS = 2000
MAX_NODES = 500
MAX_DEPTH = 60
MAX_NUMBER = 2**53

OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.Pow: "power",
    ast.FloorDiv: "floor_divide",
    ast.Mod: "remainder",
    ast.MatMult: "matmul",
    ast.USub: "negative",
    ast.Eq: "equal",
    ast.NotEq: "not_equal",
    ast.Lt: "less",
    ast.LtE: "less_equal",
    ast.Gt: "greater",
    ast.GtE: "greater_equal",
}
"""Operators by NumPy's names."""

FUNCTIONS = {
    **dict.fromkeys(["exp", "exp2", "log", "log2", "sqrt", "tanh", "sin", "cos", "abs", "absolute"], 1),
    **dict.fromkeys(["floor", "ceil", "trunc", "rint", "sign", "negative"], 1),
    **dict.fromkeys(["minimum", "maximum", "add", "subtract", "multiply", "divide", "power", "matmul"], 2),
    "where": 3,
}
"""Functions and their numbers of arguments."""

REDUCTIONS = ("sum", "mean", "max", "min", "prod")
ALLOWED = (
    "allowed are numbers, buffers, + - * / ** // % @, comparisons,"
    f" {', '.join(FUNCTIONS)}, {', '.join(REDUCTIONS)} with axis= and keepdims=, .T, .reshape, [indices]"
)


@dataclass(frozen=True)
class Reference:
    """`name = tree`: the buffer `name` shall hold the value of the expression. `text` is the source."""

    name: str
    tree: ast.expr
    text: str

    @property
    def names(self) -> set[str]:
        """The buffers that the expression reads."""
        return {node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name)}

    def refusal(self, rule: str, at: ast.AST) -> str:
        """An error message with the text and a caret below `at`."""
        before = self.text.encode()[: getattr(at, "col_offset", 0)]
        return _with_caret(rule, self.text, len(before.decode(errors="replace")))


def parse(text: str) -> Reference:
    """The reference in `text`, an assignment. Raises UnsupportedError for what is not allowed, LimitError."""
    if len(text) > MAX_CHARACTERS:
        raise LimitError(f"reference: the text is too long: {len(text)} > {MAX_CHARACTERS} characters")
    text = " ".join(text.split())
    try:
        # ast.parse fails now and then where other threads parse (python/cpython#106905); once more is enough.
        try:
            module = ast.parse(text)
        except SystemError:
            module = ast.parse(text)
    except SyntaxError as error:
        raise UnsupportedError(
            _with_caret(f"not an expression: {error.msg}", text, (error.offset or 1) - 1)
        ) from None
    except (MemoryError, RecursionError, ValueError) as error:
        raise LimitError(f"reference: too complex to read: {error}") from None
    statement = module.body[0] if len(module.body) == 1 else None
    if not (
        isinstance(statement, ast.Assign)
        and len(statement.targets) == 1
        and isinstance(target := statement.targets[0], ast.Name)
    ):
        raise UnsupportedError(_with_caret("not an assignment to a buffer, as in z = x + y", text, 0))
    reference = Reference(target.id, statement.value, text)
    _check(reference)
    return reference


def single_operation(reference: Reference) -> tuple[str, tuple[str | float, ...]] | None:
    """The operation and its operands, buffers or numbers, if the expression is one operation; else None.

    Reductions only over all elements.
    """
    tree = reference.tree
    if isinstance(tree, ast.BinOp):
        name, operands = OPERATORS[type(tree.op)], [tree.left, tree.right]
    elif isinstance(tree, ast.UnaryOp):
        name, operands = OPERATORS[type(tree.op)], [tree.operand]
    elif isinstance(tree, ast.Compare):
        name, operands = OPERATORS[type(tree.ops[0])], [tree.left, *tree.comparators]
    elif isinstance(tree, ast.Call) and not tree.keywords:
        function, operands = tree.func, list(tree.args)
        name = function_name(function)
        if isinstance(function, ast.Attribute) and not _is_numpy(function.value):
            operands = [function.value, *operands]
        if name in REDUCTIONS and len(operands) != 1:
            return None
    else:
        return None
    found: list[str | float] = []
    for each in operands:
        if isinstance(each, ast.Name):
            found.append(each.id)
        elif isinstance(each, ast.Constant) and type(each.value) in (int, float):
            found.append(each.value)  # type: ignore[arg-type]
        else:
            return None
    return {"absolute": "abs"}.get(name, name), tuple(found)


def function_name(function: ast.expr) -> str:
    """The name of a called function or method."""
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def is_method(function: ast.expr) -> bool:
    """Whether it is a method of a value, not a function of np."""
    return isinstance(function, ast.Attribute) and not _is_numpy(function.value)


def _check(reference: Reference) -> None:
    """Raises UnsupportedError for the first node that is not allowed, LimitError for too many."""
    left: list[tuple[ast.AST, int]] = [(reference.tree, 1)]
    count = 0
    while left:
        node, depth = left.pop()
        count += 1
        if count > MAX_NODES or depth > MAX_DEPTH:
            raise LimitError(
                f"reference: the expression is too complex: more than {MAX_NODES} parts,"
                f" or nested deeper than {MAX_DEPTH}"
            )
        if rule := _rule_broken(node):
            raise UnsupportedError(reference.refusal(f"{rule}; {ALLOWED}", node))
        left += [(child, depth + 1) for child in reversed(_children(node))]


def _children(node: ast.AST) -> list[ast.AST]:
    """The nodes within that are to be checked: without operators, contexts and function names."""
    if isinstance(node, ast.Call):
        inner = [node.func.value] if isinstance(node.func, ast.Attribute) and is_method(node.func) else []
        return [*inner, *node.args, *node.keywords]
    operators = ast.operator | ast.unaryop | ast.cmpop | ast.expr_context
    return [child for child in ast.iter_child_nodes(node) if not isinstance(child, operators)]


def _rule_broken(node: ast.AST) -> str:
    """The reason why a node is not allowed; empty if it is."""
    if isinstance(node, ast.Constant):
        return _constant_rule(node.value)
    if isinstance(node, ast.BinOp | ast.UnaryOp):
        return "" if type(node.op) in OPERATORS else f"{type(node.op).__name__} is not an allowed operator"
    if isinstance(node, ast.Compare):
        known = len(node.ops) == 1 and type(node.ops[0]) in OPERATORS
        return "" if known else "comparisons are of two values, by < <= > >= == !="
    if isinstance(node, ast.Call):
        return _call_rule(node)
    if isinstance(node, ast.keyword):
        known = node.arg in ("axis", "keepdims")
        return "" if known else f"no such argument: {node.arg}"
    if isinstance(node, ast.Attribute):
        return "" if node.attr == "T" else f"no such attribute: {node.attr}"
    if isinstance(node, ast.Name | ast.Subscript | ast.Slice | ast.Tuple):
        return ""
    return f"not allowed here: {type(node).__name__}"


def _constant_rule(value: object) -> str:
    if value is None or value is Ellipsis or isinstance(value, bool):
        return ""  # Indices and keepdims; elsewhere the evaluation refuses them.
    if not isinstance(value, int | float):
        return f"not a number: {value!r}"
    return "" if abs(value) <= MAX_NUMBER or isinstance(value, float) else "the integer is beyond 2**53"


def _call_rule(node: ast.Call) -> str:
    name = function_name(node.func)
    count = len(node.args) + is_method(node.func)
    if is_method(node.func) and name == "reshape":
        return "" if node.args and not node.keywords else "reshape takes sizes"
    if name in REDUCTIONS:
        return "" if 1 <= count <= 2 else f"{name} takes a value and an axis"
    if is_method(node.func) or name not in FUNCTIONS:
        return f"no such function: {name or 'of a value'}"
    return "" if count == FUNCTIONS[name] and not node.keywords else f"{name} takes values: {FUNCTIONS[name]}"


def _is_numpy(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "np"


def _with_caret(rule: str, text: str, column: int) -> str:
    what, _, way_out = rule.partition("; ")
    lines = [f"reference: {what}", f"  {text}", f"  {' ' * column}^"]
    return "\n".join(lines + [way_out] * bool(way_out))
