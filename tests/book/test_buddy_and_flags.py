"""What the chapters on the buddy system and on gfp flags show of a real kernel was recorded; the simulator agrees."""

import gzip
import json
import re
from pathlib import Path

from kmm_sim import GFP_DMA, GFP_KERNEL, Gfp, Machine
from kmm_sim.exercises import buddy_system, gfp_flags
from kmm_sim.mm.events import MmPageAllocExtfrag
from kmm_sim.mm.gfp import GFP_ATOMIC, GFP_NOWAIT
from kmm_sim.observe import snapshot
from kmm_sim.recording import read
from kmm_sim.small import small_machine, where_it_stops, without_per_cpu_lists

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT / "book/recorded"
DATA = ROOT / "tests/data"

MASKS = {"GFP_NOWAIT": GFP_NOWAIT, "GFP_ATOMIC": GFP_ATOMIC, "no flag": 0, "__GFP_HIGH": Gfp.HIGH, "GFP_DMA": GFP_DMA,
         "__GFP_NOMEMALLOC": Gfp.NOMEMALLOC, "__GFP_MEMALLOC": Gfp.MEMALLOC}


def shown(name):
    return (RECORDED / name).read_text(encoding="utf-8")


def test_each_mask_of_the_recorded_table_stops_there_in_the_simulator_too():
    machine = without_per_cpu_lists(Machine.preset("the recorded VM"))
    rows = re.findall(r"^(\S.*\|GFP_DMA) +(\d+)$", shown("where-masks-stop-6.12.117.txt"), re.MULTILINE)
    assert len(rows) == 7
    for names, stops in rows:
        mask = int(Gfp.NOWARN)
        for name in names.split("|"):
            mask |= int(MASKS[name])
        assert where_it_stops(machine, mask) == int(stops), names


def test_the_cpus_lists_take_and_keep_what_they_did_on_the_recorded_machine():
    rows = re.findall(r"^ (\d+) taken(?:, (\d+) given back)? +(\d+) +(\d+)$", shown("per-cpu-lists-6.12.117.txt"),
                      re.MULTILINE)
    assert len(rows) == 13
    machine = Machine(memory="256 MiB")
    machine.drain_all_pages()
    before, pages = snapshot(machine).zones[1].nr_free_pages, []
    for taken, given_back, left, listed in rows:
        while len(pages) < int(taken) and not given_back:
            pages.append(machine.alloc_page(GFP_KERNEL))
        while given_back and len(pages) > 300 - int(given_back):
            machine.free_page(pages.pop(0))
        zone = snapshot(machine).zones[1]
        assert (before - zone.nr_free_pages, zone.nr_pcp_pages) == (int(left), int(listed)), (taken, given_back)


def test_the_fallback_in_the_book_was_recorded_and_is_the_simulators():
    told = re.search(r"pfn=(\d+) alloc_order=(\d+) fallback_order=(\d+) alloc_migratetype=(\d+) "
                     r"fallback_migratetype=(\d+) change_ownership=(\d+)", shown("fallback-6.12.117.txt"))
    fields = [int(field) for field in told.groups()]
    records = read(DATA / "linux-6.12.117-pages-migratetypes_dma.jsonl.gz").records
    assert ["X", *fields] in [record for record in records if isinstance(record, list)]
    machine = small_machine(DMA=4096)
    held = [machine.alloc_pages(GFP_DMA | GFP_KERNEL, 10) for _ in range(3)]
    for page in held[1:]:
        machine.free_pages(page, 10)
    machine.trace.clear()
    machine.alloc_pages(GFP_DMA | GFP_KERNEL | Gfp.RECLAIMABLE, 2)
    event = next(event for event in machine.trace if isinstance(event, MmPageAllocExtfrag))
    assert [event.pfn, event.alloc_order, event.fallback_order, event.alloc_migratetype, event.fallback_migratetype,
            int(event.change_ownership)] == fields


def test_pagetypeinfo_in_the_book_was_recorded():
    with gzip.open(DATA / "linux-6.12.117-proc-256M.json.gz", "rt", encoding="utf-8") as stream:
        assert shown("pagetypeinfo-6.12.117.txt") == json.load(stream)["files"]["/proc/pagetypeinfo"]


def test_other_designs_that_spoil_every_block_of_eight_are_right():
    assert buddy_system.spoil.check(iter([1, 9, 18, 27, 35, 44, 52, 63])).outcome == "wrong", "an iterator is no list"
    result = buddy_system.spoil.check((1, 9, 18, 27, 35, 44, 52, 63))
    assert result.right
    assert result.score == 8
    assert buddy_system.spoil.check([64]).outcome == "wrong"


def test_other_right_and_wrong_answers_on_flags():
    assert gfp_flags.floor.check(lambda mark, high, waits: mark - high * (mark // 2 + (not waits) * (
        (mark - mark // 2) // 4))).right
    assert gfp_flags.which_flag.check(...).outcome == "not-attempted"
    two = gfp_flags.isr.check({6: "sleeps"})
    assert two.outcome == "wrong"
    assert "1 of 4" in two.why
