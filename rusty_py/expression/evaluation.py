"""Evaluation of references: the syntax tree, node by node, on arrays with error bounds."""

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rusty_py import oracle
from rusty_py.dtypes import BOOL, F32, I32, element
from rusty_py.errors import DtypeError, LimitError, RustyError, ShapeError, UnsupportedError
from rusty_py.expression import values
from rusty_py.expression.functions import FUNCTIONS
from rusty_py.expression.syntax import OPERATORS, REDUCTIONS, Reference, function_name, is_method
from rusty_py.expression.values import MAX_ELEMENTS, SAFETY, Value
from rusty_py.oracle import Expected

MAX_WORK = 1 << 31
"""Elements of all values together."""


@dataclass(frozen=True)
class Evaluated:
    """The expected contents of a buffer, and the floating-point operations of the expression."""

    expected: Expected
    flops: int


def evaluate(reference: Reference, buffers: Mapping[str, NDArray[Any]]) -> Evaluated:
    """The expected contents of the buffer `reference.name`, with its shape.

    Each operation may round once in the dtype of its operands; the bound is 4 times the error that follows.
    Integers and bools are exact. Raises UnsupportedError, ShapeError, DtypeError, LimitError.
    """
    evaluation = _Evaluation(reference, buffers)
    if reference.name not in buffers:
        rule = f"no such buffer: {reference.name}: there are {_names(buffers)}"
        raise ShapeError(reference.refusal(rule, ast.Name("", col_offset=0)))
    with np.errstate(all="ignore"):
        try:
            result = evaluation.value(reference.tree)
        except MemoryError:
            raise LimitError("reference: the values do not fit into memory") from None
        expected = _expected(reference, result, buffers[reference.name])
    return Evaluated(expected, evaluation.flops)


def _expected(reference: Reference, result: Value, target: NDArray[Any]) -> Expected:
    """The result in the shape and dtype of the buffer."""
    try:
        value = np.broadcast_to(result.value, target.shape)
        error = np.broadcast_to(result.error, target.shape)
    except ValueError:
        raise ShapeError(
            reference.refusal(
                f"the shapes differ: {reference.name} is {target.shape}, the expression {result.value.shape}",
                reference.tree,
            )
        ) from None
    dtype = element(target.dtype, operation="reference")
    if not result.is_float and dtype.kind != "f" and not error.any():
        return Expected(value.astype(target.dtype), None)
    value = value.astype(np.float64)
    bound = SAFETY * error
    if dtype.kind == "f":
        bound = bound + SAFETY * oracle.rounding(value, ulps=0.5, dtype=dtype)
        limit = float(np.finfo(dtype.numpy.name).max)
        # What may overflow, may; what must, is infinite.
        bound = np.where(np.abs(value) + bound > limit, np.inf, bound)
        value = np.where(np.abs(value) > limit, np.sign(value) * np.inf, value)
    else:
        bound = np.maximum(bound, 0.5)  # The difference of integers is whole.
    bound = np.where(np.isnan(bound), np.inf, bound)
    return Expected(value, bound)


class _Evaluation:
    def __init__(self, reference: Reference, buffers: Mapping[str, NDArray[Any]]) -> None:
        self.reference, self.buffers = reference, buffers
        self.flops = self.work = 0

    def value(self, node: ast.expr) -> Value:
        """The value of a node. Errors of operations get the place."""
        try:
            found = self._value(node)
        except RustyError as error:
            if "\n" in str(error):
                raise
            message = str(error).removeprefix("reference: ")
            raise type(error)(self.reference.refusal(message, node)) from None
        except (ValueError, IndexError, ZeroDivisionError, OverflowError, np.exceptions.AxisError) as error:
            raise ShapeError(self.reference.refusal(str(error), node)) from None
        self.work += found.value.size
        if found.value.size > MAX_ELEMENTS or self.work > MAX_WORK:
            raise LimitError(
                f"reference: too large: {found.value.size} elements, {self.work} of all values together;"
                f" {MAX_ELEMENTS} and {MAX_WORK} at most"
            )
        return found

    def _value(self, node: ast.expr) -> Value:
        if isinstance(node, ast.Name):
            return self._buffer(node.id)
        if isinstance(node, ast.Constant):
            return _number(node.value)
        if isinstance(node, ast.BinOp):
            return self._apply(OPERATORS[type(node.op)], self.value(node.left), self.value(node.right))
        if isinstance(node, ast.UnaryOp):
            return self._apply(OPERATORS[type(node.op)], self.value(node.operand))
        if isinstance(node, ast.Compare):
            operands = self.value(node.left), self.value(node.comparators[0])
            return self._apply(OPERATORS[type(node.ops[0])], *operands)
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.Attribute):
            x = self.value(node.value)
            return Value(x.value.T, x.error.T, x.dtype, x.whole)
        if isinstance(node, ast.Subscript):
            x, key = self.value(node.value), _key(node.slice)
            return Value(np.asarray(x.value[key]), np.asarray(x.error[key]), x.dtype, x.whole)
        raise UnsupportedError(f"not a value: {type(node).__name__}")

    def _buffer(self, name: str) -> Value:
        if name not in self.buffers:
            raise ShapeError(f"no such buffer: {name}: there are {_names(self.buffers)}")
        array = self.buffers[name]
        dtype = element(array.dtype, operation="reference")
        return values.exact(array, dtype)

    def _apply(self, name: str, *operands: Value) -> Value:
        result = FUNCTIONS[name](*operands)
        if any(each.is_float and each.dtype for each in operands):
            count = 2 * operands[0].value.shape[-1] if name == "matmul" else int(name != "where")
            self.flops += result.value.size * count
        return result

    def _call(self, node: ast.Call) -> Value:
        name = function_name(node.func)
        arguments = list(node.args)
        if isinstance(node.func, ast.Attribute) and is_method(node.func):
            arguments = [node.func.value, *arguments]
        if name == "reshape":
            x = self.value(arguments[0])
            shape = [_literal(each) for each in arguments[1:]]
            sizes = shape[0] if len(shape) == 1 else tuple(shape)
            return Value(x.value.reshape(sizes), x.error.reshape(sizes), x.dtype, x.whole)
        if name not in REDUCTIONS:
            return self._apply(name, *map(self.value, arguments))
        x = self.value(arguments[0])
        options = {keyword.arg or "": _literal(keyword.value) for keyword in node.keywords}
        axis = _literal(arguments[1]) if len(arguments) > 1 else options.get("axis")
        if x.is_float:
            self.flops += x.value.size
        return _reduced(name, x, axis, keepdims=bool(options.get("keepdims", False)))


def _reduced(name: str, x: Value, axis: Any, *, keepdims: bool) -> Value:
    """A reduction; sums in any order, with the error of `oracle.rounding_factor`."""
    named = {"axis": axis, "keepdims": keepdims}
    if x.dtype is BOOL:
        x = values.cast(x, I32)
    if name == "mean" and not x.is_float:
        x = values.cast(x, F32)
    count = x.value.size // max(1, math.prod(np.sum(x.value, **named).shape))
    if name in ("max", "min"):
        if not x.value.size:
            raise ShapeError(f"{name} of no elements")
        return Value(
            np.asarray(getattr(np, name)(x.value, **named)), np.asarray(x.error.max(**named)), x.dtype
        )
    if not x.is_float:
        value = getattr(np, name)(x.value, dtype=x.value.dtype, **named)
        return Value(np.asarray(value), np.asarray(x.error.sum(**named)), x.dtype)
    size = np.abs(x.value)
    if name == "prod":
        most = np.prod((size + x.error) * (1 + values.unit(x.dtype)), **named)
        error = most - np.prod(size, **named) + count * values.tiny(x.dtype)
        return values.rounded(np.prod(x.value, **named), np.asarray(error), x.dtype)
    value, error = np.sum(x.value, **named), np.sum(x.error, **named)
    if x.dtype:
        error = error + oracle.rounding_factor(count, x.dtype) * np.sum(size, **named)
        error = error + count * values.tiny(x.dtype)
    divisor = count if name == "mean" else 1
    return values.rounded(value / divisor, np.asarray(error / divisor), x.dtype)


def _number(value: object) -> Value:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DtypeError(f"not a number here: {value}")
    return values.exact(np.array(value, np.float64), None, whole=isinstance(value, int))


def _key(node: ast.expr) -> Any:
    """The index that a node spells."""
    if isinstance(node, ast.Tuple):
        return tuple(map(_key, node.elts))
    if isinstance(node, ast.Slice):
        return slice(*(_literal(each) if each else None for each in (node.lower, node.upper, node.step)))
    return _literal(node)


def _literal(node: ast.expr) -> Any:
    """An integer, None, `...`, True, False, or a tuple of integers."""
    if isinstance(node, ast.Tuple):
        return tuple(map(_literal, node.elts))
    if isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant):
        found = node.operand.value
        if type(found) is int:
            return -found
    if isinstance(node, ast.Constant) and not isinstance(node.value, float):
        return node.value
    raise UnsupportedError("indices, axes and sizes are integers")


def _names(buffers: Mapping[str, object]) -> str:
    return ", ".join(buffers) or "none"
