# SPDX-License-Identifier: GPL-2.0-only
"""A free list is a list: whatever is done to it, it holds what a plain list would."""

from hypothesis import given
from hypothesis import strategies as st

from kmm_sim.mm.mmzone import FreeList

NAMES = st.sampled_from(["list_add", "list_add_tail", "list_del", "head"])
CALLS = st.lists(st.tuples(NAMES, st.integers(0, 40)), max_size=80)


@given(linked=st.lists(st.integers(100, 140), unique=True, max_size=8), untouched=st.integers(0, 6), calls=CALLS)
def test_it_holds_what_a_plain_list_would(linked, untouched, calls):
    run = range(1000, 1000 + 10 * untouched, 10)
    ours, plain = FreeList(linked, untouched=run), [*linked, *run]
    for name, value in calls:
        if name == "list_add" and value not in plain:
            ours.list_add(value)
            plain.insert(0, value)
        elif name == "list_add_tail" and value not in plain:
            ours.list_add_tail(value)
            plain.append(value)
        elif name == "list_del" and plain:
            ours.list_del(plain.pop(value % len(plain)))
        elif name == "head" and plain:
            ours.list_del(plain.pop(0))
        assert list(ours) == plain
        assert (len(ours), bool(ours), ours.first()) == (len(plain), bool(plain), plain[0] if plain else None)
        assert all(pfn in ours for pfn in plain)
