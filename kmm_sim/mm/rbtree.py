# SPDX-License-Identifier: GPL-2.0-only
"""Red-black trees that keep a summary in every node.

A search tree stays shallow if each node has a colour and four rules hold: the root is black, a
red node has no red child, every way down passes the same number of black nodes, and a missing
child counts as black.  Whoever links a node in calls ``rb_insert``, which mends the colours by
turning parts of the tree; ``rb_erase`` takes a node out and mends again.  A node may also keep
a summary of all that is below it, such as the largest size; ``root.summarise`` computes it from
a node and its two children.

Which of several good trees comes out depends on the order of these steps, and the search for
addresses can tell the difference.  So they are the kernel's, one for one.

Linux: lib/rbtree.c, include/linux/rbtree_augmented.h
Simplified: left and right are places 0 and 1 of ``children``, so one text serves both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

__all__ = ["LEFT", "RIGHT", "RbNode", "RbRoot", "rb_erase", "rb_first", "rb_insert", "rb_next", "rb_prev",
           "rb_propagate"]

LEFT, RIGHT = 0, 1


class RbNode:
    """A node: its children, left and right, its parent, its colour.  Linux: struct rb_node"""

    __slots__ = ("children", "parent", "red")

    children: list[RbNode | None]

    def __init__(self) -> None:
        self.children = [None, None]
        self.parent: RbNode | None = None
        self.red = True


N = TypeVar("N", bound=RbNode)


class RbRoot(Generic[N]):
    """A tree; ``summarise`` brings the summary of one node up to date.  Linux: struct rb_root"""

    def __init__(self, summarise: Callable[[N], None]) -> None:
        self.node: N | None = None
        self.summarise = summarise

    def __iter__(self) -> Iterator[N]:
        node = rb_first(self)
        while node is not None:
            yield node
            node = rb_next(node)


def rb_insert(root: RbRoot[N], node: N, parent: N | None, side: int) -> None:
    """Hang ``node`` under ``parent`` (under nothing: as the root) on one side, and mend the tree.

    Linux: rb_link_node(), include/linux/rbtree.h
    Linux: __rb_insert(), lib/rbtree.c
    """
    node.children = [None, None]
    node.parent = parent
    node.red = True
    if parent is None:
        root.node = node
    else:
        parent.children[side] = node
    rb_propagate(root, node)
    _mend_after_insert(root, node)


def _mend_after_insert(root: RbRoot[N], node: RbNode) -> None:
    """A red node was put in.  Go up while it has a red parent and a red uncle, then turn once or twice."""
    while (parent := node.parent) is not None and parent.red:
        grandparent = parent.parent
        assert grandparent is not None, "a red node is never the root"
        side = _side(grandparent, parent)
        uncle = grandparent.children[1 - side]
        if uncle is not None and uncle.red:
            uncle.red = parent.red = False
            grandparent.red = True
            node = grandparent
            continue
        if node is parent.children[1 - side]:
            _rotate(root, parent, side)
            parent = node
        _rotate(root, grandparent, 1 - side)
        parent.red, grandparent.red = False, True
        return
    if node.parent is None:
        node.red = False


def rb_erase(root: RbRoot[N], node: N) -> None:
    """Take ``node`` out and mend the tree.

    A node with two children gives its place and colour to its successor, the leftmost node of
    its right side.

    Linux: __rb_erase_augmented(), include/linux/rbtree_augmented.h
    """
    left, right = node.children
    lighter = node.parent  # below it one way down has lost a black node, perhaps
    if left is None or right is None:
        child = right if left is None else left
        lost_black = not node.red and child is None
        _replace(root, node, child)
        if child is not None:
            child.red = node.red
        lowest = node.parent
    else:
        successor = right
        while (further := successor.children[LEFT]) is not None:
            successor = further
        child = successor.children[RIGHT]
        lost_black = not successor.red and child is None
        lighter = successor.parent if successor is not right else successor
        if successor is not right:
            _replace(root, successor, child)
            _adopt(successor, RIGHT, right)
        _adopt(successor, LEFT, left)
        _replace(root, node, successor)
        if child is not None:
            child.red = False
        successor.red = node.red
        lowest = lighter
    if lowest is not None:
        rb_propagate(root, lowest)
    if lost_black and lighter is not None:
        _mend_after_erase(root, lighter)


def _mend_after_erase(root: RbRoot[N], parent: RbNode) -> None:
    """On one side of ``parent`` every way down is one black node short."""
    node: RbNode | None = None
    while True:
        side = LEFT if parent.children[RIGHT] is not node else RIGHT
        sibling = parent.children[1 - side]
        assert sibling is not None, "the heavier side has a node"
        if sibling.red:
            _rotate(root, parent, side)
            sibling.red, parent.red = False, True
            sibling = parent.children[1 - side]
            assert sibling is not None, "a red node's children are there"
        near, far = sibling.children[side], sibling.children[1 - side]
        if far is None or not far.red:
            if near is None or not near.red:
                sibling.red = True
                if parent.red or parent.parent is None:
                    parent.red = False
                    return
                node, parent = parent, parent.parent
                continue
            _rotate(root, sibling, 1 - side)
            sibling, far = near, sibling
        _rotate(root, parent, side)
        sibling.red = parent.red
        parent.red = far.red = False
        return


def rb_propagate(root: RbRoot[N], node: RbNode) -> None:
    """Bring the summaries from ``node`` up to the root up to date.

    Linux: RB_DECLARE_CALLBACKS_MAX(), include/linux/rbtree_augmented.h
    """
    above: RbNode | None = node
    while above is not None:
        root.summarise(above)  # type: ignore[arg-type]
        above = above.parent


def _rotate(root: RbRoot[N], node: RbNode, side: int) -> None:
    """Turn ``node`` down to one side; its child of the other side takes its place."""
    child = node.children[1 - side]
    assert child is not None, "only a node with a child on the other side is turned"
    _replace(root, node, child)
    _adopt(node, 1 - side, child.children[side])
    _adopt(child, side, node)
    root.summarise(node)  # type: ignore[arg-type]
    root.summarise(child)  # type: ignore[arg-type]


def _replace(root: RbRoot[N], old: RbNode, new: RbNode | None) -> None:
    """Let ``new`` hang where ``old`` hangs."""
    parent = old.parent
    if parent is None:
        root.node = new  # type: ignore[assignment]
    else:
        parent.children[_side(parent, old)] = new
    if new is not None:
        new.parent = parent


def _adopt(parent: RbNode, side: int, child: RbNode | None) -> None:
    parent.children[side] = child
    if child is not None:
        child.parent = parent


def _side(parent: RbNode, child: RbNode) -> int:
    return LEFT if parent.children[LEFT] is child else RIGHT


def rb_first(root: RbRoot[N]) -> N | None:
    """Return the leftmost node, or None.  Linux: rb_first(), lib/rbtree.c"""
    return root.node and _outermost(root.node, LEFT)


def rb_next(node: N) -> N | None:
    """Return the node that follows, or None.  Linux: rb_next(), lib/rbtree.c"""
    return _neighbour(node, RIGHT)


def rb_prev(node: N) -> N | None:
    """Return the node before, or None.  Linux: rb_prev(), lib/rbtree.c"""
    return _neighbour(node, LEFT)


def _neighbour(node: N, side: int) -> N | None:
    child = node.children[side]
    if child is not None:
        return _outermost(child, 1 - side)  # type: ignore[return-value]
    below: RbNode = node
    while (parent := below.parent) is not None and parent.children[side] is below:
        below = parent
    return parent  # type: ignore[return-value]


def _outermost(node: N, side: int) -> N:
    while (further := node.children[side]) is not None:
        node = further  # type: ignore[assignment]
    return node
