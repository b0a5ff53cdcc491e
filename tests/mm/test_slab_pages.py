# SPDX-License-Identifier: GPL-2.0-only
"""Which slab a page belongs to."""

import random
import tracemalloc

import pytest

from kmm_sim import GFP_KERNEL, Machine
from kmm_sim.mm.slab_pages import SlabPages


def test_it_answers_as_a_dictionary_does_whatever_is_put_in_and_taken_out():
    rng, plain, rows = random.Random(4), {}, SlabPages()
    for step in range(20_000):
        pfn = rng.randrange(400)
        if rng.random() < 0.5:
            plain[pfn] = rows[pfn] = f"slab {step}"
        elif pfn in plain:
            del plain[pfn], rows[pfn]
        assert (rows.get(pfn), pfn in rows, len(rows)) == (plain.get(pfn), pfn in plain, len(plain))
    assert dict(rows) == plain


def test_a_page_of_no_slab_is_an_error_to_ask_for_and_to_forget():
    rows = SlabPages()
    rows[64] = "slab"
    for pfn in (0, 63, 65):
        with pytest.raises(KeyError):
            rows[pfn]
        with pytest.raises(KeyError):
            del rows[pfn]
    assert list(rows.items()) == [(64, "slab")]


def test_a_row_without_a_slab_takes_no_memory():
    rows = SlabPages()
    for pfn in range(0, 1 << 16, 64):
        rows[pfn] = "slab"
        del rows[pfn]
    assert not rows._rows


def test_a_live_object_of_a_page_costs_less_than_a_hundred_bytes():
    machine = Machine(memory="1 GiB", trace=False)
    machine.kmalloc(4096, GFP_KERNEL)
    tracemalloc.start()
    for _ in range(4000):
        machine.kmalloc(4096, GFP_KERNEL)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept / 4000 < 100
