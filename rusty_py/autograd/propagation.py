"""The backward pass: from a result to the leaves that it depends on."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from numpy.typing import ArrayLike

from rusty_py.arrays import Array
from rusty_py.autograd.nodes import Leaf, Node, leaf_of
from rusty_py.autograd.recording import no_grad, recording_again
from rusty_py.errors import DeviceError, DtypeError, ShapeError, UnsupportedError
from rusty_py.ops.creation import asarray, ones


def backward(root: Array, gradient: Array | ArrayLike | None = None, *, retain_graph: bool = False) -> None:
    """Adds the gradients of `root` to those of the leaves that it depends on: `Array.backward`."""
    nodes = graph_of(root, "backward")
    leaves = [each for each in nodes if isinstance(each, Leaf) and each.source is None]
    seed = seed_of(root, gradient)
    found = propagated(root, seed, nodes, leaves, retain=retain_graph, differentiable=False)
    stored: set[int] = {id(seed.buffer)} if gradient is not None else set()
    with no_grad():
        for leaf, g in found.items():
            if leaf.gradient is not None:
                g = leaf.gradient + g
            elif id(g.buffer) in stored or not g.contiguous:
                g = g.copy()  # A leaf's gradient is its own, so that it may be changed in place.
            stored.add(id(g.buffer))
            leaf.gradient = g


def seed_of(root: Array, gradient: Array | ArrayLike | None) -> Array:
    """The gradient of `root` by itself: `gradient`, or 1. Raises DtypeError, ShapeError, DeviceError."""
    if root.kind.kind != "f":
        raise DtypeError(f"backward: only floats have gradients: {root.kind.name}")
    if gradient is None:
        if root.size != 1:
            raise ShapeError(
                f"backward: of one number only, not of shape {root.shape}: reduce it, or pass gradient="
            )
        return ones(root.shape, dtype=root.kind, device=root.device)
    if not isinstance(gradient, Array):
        gradient = asarray(gradient, dtype=root.kind, device=root.device)
    if gradient.device is not root.device:
        raise DeviceError(f"backward: gradient is of another device: {gradient.device}, not {root.device}")
    if gradient.shape != root.shape or gradient.kind is not root.kind:
        raise ShapeError(
            f"backward: gradient is {gradient.kind.name} of shape {gradient.shape},"
            f" the result {root.kind.name} of {root.shape}"
        )
    return gradient


def graph_of(root: Array, operation: str) -> list[Node | Leaf]:
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


def propagated(
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
    nodes = graph_of(root, "backward")
    found = propagated(root, g, nodes, [leaf_of(leaf)], retain=True, differentiable=True)
    return found.get(leaf_of(leaf))
