"""Reverse-mode gradients: `backward`, `grad` and `value_and_grad`.

`record` is the hook that `apply` calls after each application. It adds a `Node` for a result that depends on
an array that requires a gradient. The rules are in the operations' records; no operation is named here but
the sum and the cast that undo broadcasting and promotion.

Nodes have rising numbers, and operands always have smaller ones than results. So the backward pass takes
nodes from a heap, the largest number first: every node comes after all that use its result, without
recursion. Nodes hold no array that holds them, so memory returns to the pool by reference counts alone.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from rusty_py.arrays import Array
from rusty_py.errors import DtypeError, ShapeError, UnsupportedError
from rusty_py.layout import Layout
from rusty_py.operation import HOOKS, Gradient, Operation
from rusty_py.ops.creation import asarray, ones, zeros
from rusty_py.ops.views import sum_to
from rusty_py.runtime.buffer import Buffer

_numbers = itertools.count(1)
_thread = threading.local()


class Saved(NamedTuple):
    """An array kept for the backward pass, and the version of its memory. `node` is None for the result."""

    buffer: Buffer
    layout: Layout
    offset: int
    version: int
    node: Node | Leaf | None


class Leaf:
    """The start of a graph: an array that requires a gradient, which accumulates in `gradient`.

    With a `source`, it is an argument of `grad` that depends on other nodes.
    """

    __slots__ = ("__weakref__", "gradient", "layout", "number", "source")

    def __init__(self, layout: Layout, source: Node | Leaf | None = None) -> None:
        self.number = next(_numbers)
        self.layout, self.source = layout, source
        self.gradient: Array | None = None


class Node:
    """An application that is recorded: its rule, what the rule reads, and the nodes of its operands."""

    __slots__ = ("__weakref__", "gradient", "name", "number", "options", "parents", "saved", "words")

    def __init__(
        self,
        operation: Operation,
        gradient: Gradient,
        arrays: tuple[Array, ...],
        words: tuple[int, ...],
        options: dict[str, Any],
        out: Array,
    ) -> None:
        self.number = next(_numbers)
        self.name, self.gradient = operation.name, gradient
        self.words, self.options = words, options
        self.parents: tuple[Node | Leaf | None, ...] | None = tuple(x.node for x in arrays)
        self.saved: list[Saved | Layout] = [
            _saved(x, gradient.reads_array(i - 1), x.node if i else None)
            for i, x in enumerate((out, *arrays))
        ]

    def gradients(self, g: Array, wanted: Sequence[bool]) -> Sequence[Array | None]:
        """The gradients of the operands, of their shapes and dtypes. Raises UnsupportedError if freed."""
        out, *arrays = (self._restored(each, self if i == 0 else None) for i, each in enumerate(self.saved))
        found = self.gradient(g, out, (*arrays, *self.words), wanted, self.options)
        layouts = [each if isinstance(each, Layout) else each.layout for each in self.saved[1:]]
        return [
            _fitted(each, layout) if each is not None and needed else None
            for each, layout, needed in zip(found, layouts, wanted, strict=True)
        ]

    def _restored(self, saved: Saved | Layout, node: Node | None) -> Array | Layout:
        if isinstance(saved, Layout):
            return saved
        if saved.buffer.version != saved.version:
            raise UnsupportedError(
                f"backward: an array that {self.name} read was changed in place since:"
                f" shape {saved.layout.shape}: change a copy, or after the backward pass"
            )
        array = Array(saved.buffer, saved.layout, saved.offset)
        array.node = saved.node or node
        return array

    def free(self) -> None:
        """Drops what the backward pass needed."""
        self.saved, self.parents = [], None


def _saved(x: Array, read: bool, node: Node | Leaf | None) -> Saved | Layout:
    return Saved(x.buffer, x.layout, x.offset, x.buffer.version, node) if read else x.layout


# Recording.


def recording() -> bool:
    """Whether this thread records, which it does outside of `no_grad`."""
    return not getattr(_thread, "paused", 0)


@contextmanager
def no_grad() -> Iterator[None]:
    """A block in which nothing is recorded on this thread: for in-place updates and for evaluation."""
    _thread.paused = getattr(_thread, "paused", 0) + 1
    try:
        yield
    finally:
        _thread.paused -= 1


@contextmanager
def recording_again() -> Iterator[None]:
    """A block in which this thread records, also within `no_grad`."""
    paused, _thread.paused = getattr(_thread, "paused", 0), 0
    try:
        yield
    finally:
        _thread.paused = paused


def record(
    operation: Operation,
    arrays: tuple[Array, ...],
    words: tuple[int, ...],
    options: dict[str, Any],
    out: Array | None,
) -> None:
    """Adds a node for `out` if an operand requires a gradient. `out` is None before a write in place.

    Raises UnsupportedError for writes to, or from, arrays of a graph, and for a float result without rule.
    """
    if all(x.node is None for x in arrays) or not recording():
        return
    if out is None:
        raise UnsupportedError(
            f"{operation.name}: writes in place are not recorded, and an array requires a gradient:"
            " compute a new array, or write within rp.no_grad()"
        )
    gradient = operation.gradient
    if out.kind.kind != "f":  # Masks and indices have no gradient.
        return
    if isinstance(gradient, Gradient):
        out.node = Node(operation, gradient, arrays, words, options, out)
    else:
        raise UnsupportedError(
            f"{operation.name}: has no gradient: {gradient or 'its record has no rule'}:"
            " apply it within rp.no_grad(), or to x.detach()"
        )


HOOKS.record = record


def require(x: Array, required: bool) -> None:
    """Makes `x` a leaf, or no longer one. Raises DtypeError for integers, UnsupportedError for results."""
    if isinstance(x.node, Node):
        raise UnsupportedError("requires_grad: the array is a result of a graph: set it on x.detach()")
    if required and x.kind.kind != "f":
        raise DtypeError(f"requires_grad: only floats have gradients: {x.kind.name}")
    if not required:
        x.node = None
    elif x.node is None:
        x.node = Leaf(x.layout)


# The backward pass.


def backward(root: Array, gradient: Array | None = None, *, retain_graph: bool = False) -> None:
    """Adds the gradients of `root` to those of the leaves that it depends on: `Array.backward`."""
    nodes = _graph(root, "backward")
    leaves = [each for each in nodes if isinstance(each, Leaf) and each.source is None]
    found = _propagated(root, _seed(root, gradient), nodes, leaves, retain=retain_graph, differentiable=False)
    stored: set[int] = {id(gradient.buffer)} if gradient is not None else set()
    with no_grad():
        for leaf, g in found.items():
            if leaf.gradient is not None:
                g = leaf.gradient + g
            elif id(g.buffer) in stored or not g.contiguous:
                g = g.copy()  # A leaf's gradient is its own, so that it may be changed in place.
            stored.add(id(g.buffer))
            leaf.gradient = g


def _seed(root: Array, gradient: Array | None) -> Array:
    if root.kind.kind != "f":
        raise DtypeError(f"backward: only floats have gradients: {root.kind.name}")
    if gradient is None:
        if root.size != 1:
            raise ShapeError(
                f"backward: of one number only, not of shape {root.shape}: reduce it, or pass gradient="
            )
        return ones(root.shape, dtype=root.kind, device=root.device)
    if gradient.shape != root.shape or gradient.kind is not root.kind:
        raise ShapeError(
            f"backward: gradient is {gradient.kind.name} of shape {gradient.shape},"
            f" the result {root.kind.name} of {root.shape}"
        )
    return gradient


def _graph(root: Array, operation: str) -> list[Node | Leaf]:
    """All nodes that `root` depends on. Raises UnsupportedError where there is none, or one was freed."""
    if root.node is None:
        raise UnsupportedError(f"{operation}: nothing was recorded: no operand requires a gradient")
    seen, rest = {root.node}, [root.node]
    while rest:
        node = rest.pop()
        for parent in _parents(node):
            if parent is not None and parent not in seen:
                seen.add(parent)
                rest.append(parent)
    return sorted(seen, key=lambda each: each.number)


def _parents(node: Node | Leaf) -> Sequence[Node | Leaf | None]:
    if isinstance(node, Leaf):
        return (node.source,)
    if node.parents is None:
        raise UnsupportedError(
            f"backward: the graph through {node.name} was freed by an earlier backward pass:"
            " pass retain_graph=True to that one"
        )
    return node.parents


def _propagated(
    root: Array,
    seed: Array,
    nodes: Sequence[Node | Leaf],
    leaves: Sequence[Leaf],
    *,
    retain: bool,
    differentiable: bool,
) -> dict[Leaf, Array]:
    """The gradients of `leaves`. `nodes` are all that root depends on, by number."""
    leads: set[Node | Leaf | None] = {*leaves}
    for node in nodes:
        if any(parent in leads for parent in _parents(node)):
            leads.add(node)
    found: dict[Leaf, Array] = {}
    if root.node not in leads:
        return found
    assert root.node is not None
    waiting: dict[Node | Leaf, Array] = {root.node: seed}
    heap = [(-root.node.number, root.node)]
    with recording_again() if differentiable else no_grad():
        while heap:
            node = heapq.heappop(heap)[1]
            g = waiting.pop(node)
            parents = _parents(node)
            wanted = [parent in leads for parent in parents]
            if isinstance(node, Leaf):
                found[node] = g
                gradients: Sequence[Array | None] = [g] if any(wanted) else [None]
            else:
                gradients = node.gradients(g, wanted)
                if not retain:
                    node.free()
            for parent, each in zip(parents, gradients, strict=True):
                if parent is None or each is None:
                    continue
                if parent in waiting:
                    waiting[parent] = waiting[parent] + each
                else:
                    waiting[parent] = each
                    heapq.heappush(heap, (-parent.number, parent))
    return found


def pulled_back(root: Array, g: Array, leaf: Array) -> Array | None:
    """The gradient for `leaf` where that of `root` is `g`, recorded itself; None where it is zero.

    The graph is kept. For fusion, which calls it with arrays that have no values.
    """
    if root.node is None or leaf.node is None:
        return None
    nodes = _graph(root, "backward")
    found = _propagated(root, g, nodes, [_as_leaf(leaf)], retain=True, differentiable=True)
    return found.get(_as_leaf(leaf))


def _fitted(g: Array, layout: Layout) -> Array:
    """A gradient in the shape and dtype of the operand, which may have been broadcast and promoted."""
    if g.kind is not layout.dtype:
        g = g.astype(layout.dtype)
    return g if g.shape == layout.shape else sum_to(g, layout.shape)


# Functions of functions.


def value_and_grad(
    function: Callable[..., Any], argnums: int | Sequence[int] = 0, *, has_aux: bool = False
) -> Callable[..., tuple[Any, Any]]:
    """A function that returns `function(*args)`, a number, and its gradients for the arguments `argnums`.

    Arguments at `argnums` are float arrays or array-likes, or lists, tuples and dicts of them; the gradients
    have the same structure, one for an int and a tuple for several. With `has_aux`, `function` returns
    (number, more), and so does the value. May be nested for higher derivatives. Raises ShapeError where the
    result is no single number, DtypeError for integers, UnsupportedError for what has no gradient.
    """
    several = not isinstance(argnums, int)
    positions = tuple(argnums) if not isinstance(argnums, int) else (argnums,)

    def differentiated(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        arguments: list[Any] = list(args)
        leaves: list[Array] = []
        for position in positions:
            if not -len(args) <= position < len(args):
                raise ShapeError(f"grad: no argument {position} to differentiate for: {len(args)} are given")
            arguments[position] = _mapped(arguments[position], lambda x: _leaf_of(x, leaves))
        differentiable = recording()
        with recording_again():
            result = function(*arguments, **kwargs)
        value, more = result if has_aux else (result, None)
        value, gradients = _gradients_of(value, leaves, differentiable=differentiable)
        remaining = iter(gradients)
        found = [_mapped(arguments[position], lambda _: next(remaining)) for position in positions]
        return (value, more) if has_aux else value, tuple(found) if several else found[0]

    return differentiated


def grad(function: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """A function that returns the gradients of `function` for its arguments `argnums`: `value_and_grad`."""
    both = value_and_grad(function, argnums)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        return both(*args, **kwargs)[1]

    return gradient


def _mapped(tree: Any, function: Callable[[Any], Any]) -> Any:
    """`tree` with the function of each array in it, also in lists, tuples and dicts of arrays."""
    if isinstance(tree, dict):
        return {key: _mapped(each, function) for key, each in tree.items()}
    if isinstance(tree, list | tuple) and any(isinstance(each, Array | dict | list | tuple) for each in tree):
        return type(tree)(_mapped(each, function) for each in tree)
    return function(tree)


def _leaf_of(x: Any, leaves: list[Array]) -> Array:
    """`x` as the start of a graph of its own, added to `leaves`; it shares memory with `x`."""
    array = asarray(x)
    if array.kind.kind != "f":
        raise DtypeError(f"grad: only floats have gradients: an argument is {array.kind.name}")
    leaf = array.detach()
    leaf.node = Leaf(array.layout, array.node)
    leaves.append(leaf)
    return leaf


def _gradients_of(value: Any, leaves: Sequence[Array], *, differentiable: bool) -> tuple[Array, list[Array]]:
    """The value and its gradients for the leaves. Both can be differentiated if other leaves are involved."""
    if not isinstance(value, Array):
        raise UnsupportedError(f"grad: the function returns {type(value).__name__}, not an array")
    seed, found = _seed(value, None), {}
    if value.node is not None:
        nodes, wanted = _graph(value, "grad"), [_as_leaf(each) for each in leaves]
        differentiable &= any(isinstance(each, Leaf) and each not in wanted for each in nodes)
        found = _propagated(value, seed, nodes, wanted, retain=differentiable, differentiable=differentiable)
    gradients = [
        found[leaf] if (leaf := _as_leaf(x)) in found else zeros(x.shape, dtype=x.kind, device=x.device)
        for x in leaves
    ]
    return value if differentiable else value.detach(), gradients


def _as_leaf(x: Array) -> Leaf:
    assert isinstance(x.node, Leaf)
    return x.node
