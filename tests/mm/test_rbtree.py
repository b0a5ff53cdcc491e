"""The tree of free addresses: its rules hold, and for small alignments it finds the lowest fit."""

import random

import pytest

from kmm_sim.mm.rbtree import LEFT, RIGHT, RbNode, RbRoot, rb_erase, rb_first, rb_insert, rb_next, rb_prev
from kmm_sim.mm.vmap_area import alloc_from_tree, free_vmap_area_root, is_within_this_va, merge_or_add_vmap_area
from kmm_sim.observe.validate_vmalloc import validate_free_tree

PAGE = 4096


class Key(RbNode):
    __slots__ = ("count", "key")

    def __init__(self, key):
        super().__init__()
        self.key = key
        self.count = 1


def count_below(node):
    node.count = 1 + sum(child.count for child in node.children if child is not None)


def insert(root, node):
    parent, side, here = None, LEFT, root.node
    while here is not None:
        parent, side = here, LEFT if node.key < here.key else RIGHT
        here = here.children[side]
    rb_insert(root, node, parent, side)


def black_height(node):
    if node is None:
        return 1
    assert not (node.red and any(child is not None and child.red for child in node.children))
    assert node.count == 1 + sum(child.count for child in node.children if child is not None)
    left, right = map(black_height, node.children)
    assert left == right
    return left + (not node.red)


@pytest.mark.parametrize("seed", range(10))
def test_any_insertions_and_removals_keep_the_rules_the_order_and_the_summaries(seed):
    rng, root, nodes = random.Random(seed), RbRoot(count_below), {}
    for _ in range(400):
        if nodes and rng.random() < 0.45:
            rb_erase(root, nodes.pop(rng.choice(list(nodes))))
        else:
            key = rng.randrange(10_000)
            if key not in nodes:
                nodes[key] = Key(key)
                insert(root, nodes[key])
        assert [node.key for node in root] == sorted(nodes)
        assert root.node is None or not root.node.red
        black_height(root.node)
        assert (root.node.count if root.node else 0) == len(nodes)


def test_ascending_keys_make_the_tree_that_linux_makes():
    root = RbRoot(count_below)
    for key in range(1, 9):
        insert(root, Key(key))

    def shape(node):
        if node is None:
            return None
        return shape(node.children[LEFT]), f"{node.key}{'r' if node.red else 'b'}", shape(node.children[RIGHT])

    assert shape(root.node) == (
        ((None, "1b", None), "2r", (None, "3b", None)), "4b",
        ((None, "5b", None), "6r", (None, "7b", (None, "8r", None))))


def test_neighbours_are_found_both_ways():
    root = RbRoot(count_below)
    for key in (5, 2, 8, 1, 9):
        insert(root, Key(key))
    first = rb_first(root)
    assert [first.key, rb_next(first).key, rb_prev(rb_next(first)).key, rb_prev(first)] == [1, 2, 1, None]


@pytest.mark.parametrize("seed", range(10))
def test_up_to_a_page_of_alignment_the_lowest_address_is_taken(seed):
    rng, root, held = random.Random(seed), free_vmap_area_root(), []
    merge_or_add_vmap_area(root, PAGE, 4001 * PAGE)
    for _ in range(300):
        if held and rng.random() < 0.45:
            start, size = held.pop(rng.randrange(len(held)))
            merge_or_add_vmap_area(root, start, start + size)
        else:
            size = rng.randrange(1, 60) * PAGE
            fits = [va.va_start for va in root if is_within_this_va(va, size, PAGE, 0)]
            got = alloc_from_tree(root, size, PAGE, 0, 1 << 40)
            assert got == (fits[0] if fits else None)
            held += [(got, size)] if fits else []
        validate_free_tree(root)
    assert sum(va.va_end - va.va_start for va in root) + sum(size for _, size in held) == 4000 * PAGE


def test_a_larger_alignment_may_miss_a_hole_that_would_do():
    """A hole of exactly 4 pages at a multiple of 4 pages fits, but the search asks for 4 + 4 pages less a byte."""
    root = free_vmap_area_root()
    for start, pages in ((100, 50), (16, 4), (300, 9)):
        merge_or_add_vmap_area(root, start * PAGE, (start + pages) * PAGE)
    assert alloc_from_tree(root, 4 * PAGE, 4 * PAGE, 0, 1 << 40) == 100 * PAGE
    assert alloc_from_tree(root, 4 * PAGE, PAGE, 0, 1 << 40) == 16 * PAGE


def test_a_range_that_is_free_already_is_a_fault_of_ours():
    root = free_vmap_area_root()
    merge_or_add_vmap_area(root, 0, 10 * PAGE)
    with pytest.raises(AssertionError, match="is free already"):
        merge_or_add_vmap_area(root, 5 * PAGE, 6 * PAGE)
