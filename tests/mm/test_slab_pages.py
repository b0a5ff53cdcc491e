# SPDX-License-Identifier: GPL-2.0-only
"""Which slab a page belongs to."""

import random
import tracemalloc

import pytest

from kmm_sim import GFP_KERNEL, Machine
from kmm_sim.mm.page import PAGE_OFFSET, PAGE_SIZE
from kmm_sim.mm.slab_pages import SlabPages


def test_it_answers_as_a_dictionary_does_whatever_is_put_in_and_taken_out():
    rng, plain, rows, blocks = random.Random(4), {}, SlabPages(), {}
    for step in range(5_000):
        order = rng.choice((0, 0, 1, 2, 3, 5, 9, 10))
        pfn = rng.randrange(4096 >> order) << order
        if blocks and rng.random() < 0.55:
            pfn = rng.choice(list(blocks))
            order = blocks.pop(pfn)
            rows.remove(pfn, order)
            for page in range(pfn, pfn + (1 << order)):
                del plain[page]
        elif not any(page in plain for page in range(pfn, pfn + (1 << order))):
            slab = f"slab {step}"
            rows.add(pfn, order, slab)
            blocks[pfn] = order
            plain |= dict.fromkeys(range(pfn, pfn + (1 << order)), slab)
        assert len(rows) == len(plain)
        for page in rng.sample(range(4096), 20):
            assert rows.get(page) == plain.get(page)
            assert rows.around(PAGE_OFFSET + page * PAGE_SIZE + rng.randrange(PAGE_SIZE)) == plain.get(page)
    assert dict(rows) == plain
    assert list(rows.slabs()) == [plain[pfn] for pfn in sorted(blocks)]


def test_a_page_of_no_slab_is_an_error_to_ask_for_and_to_forget():
    rows = SlabPages()
    rows.add(64, 0, "slab")
    for pfn in (0, 63, 65):
        with pytest.raises(KeyError):
            rows[pfn]
        with pytest.raises(KeyError):
            rows.remove(pfn, 0)
    assert list(rows.items()) == [(64, "slab")]


def test_a_row_without_a_slab_takes_no_memory():
    rows = SlabPages()
    for order in (0, 3, 10):
        for pfn in range(0, 1 << 16, 1 << 10):
            rows.add(pfn, order, "slab")
            rows.remove(pfn, order)
    assert not rows.rows


def test_a_row_of_large_slabs_has_an_entry_for_each_until_a_small_one_comes():
    rows = SlabPages()
    rows.add(0, 3, "large")
    assert [len(row) for _, row in rows.rows.values()] == [32]
    rows.add(9, 0, "small")
    assert [len(row) for _, row in rows.rows.values()] == [256]
    assert [rows.get(pfn) for pfn in (0, 7, 8, 9)] == ["large", "large", None, "small"]


@pytest.mark.parametrize("size", [8, 64, 192, 1024, 2048, 4096, 8192])
def test_a_live_object_costs_less_than_a_hundred_bytes_beyond_its_own(size):
    machine = Machine(memory="1 GiB", trace=False)
    machine.kmalloc(size, GFP_KERNEL)
    held = [0] * 4000
    tracemalloc.start()
    for nth in range(4000):
        held[nth] = machine.kmalloc(size, int(GFP_KERNEL))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept / 4000 - held[0].__sizeof__() < 100
