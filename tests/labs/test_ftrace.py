"""The log of a lab: the lines of ftrace, or that there is no tracepoint."""

import re

import pytest

from kmm_sim import GFP_KERNEL, Machine
from kmm_sim.labs import (
    choose_lab,
    kmalloc_lab,
    mem_map_lab,
    pages_lab,
    slab_debug_lab,
    three_slabs_lab,
    vmalloc_phrases,
    workload_lab,
    zones_lab,
)
from kmm_sim.labs.ftrace import NO_TRACEPOINT, ftrace
from kmm_sim.labs.recorded import WINDOWS_ON_HIGH_MEMORY, ZONE_AFTER_ZONE
from kmm_sim.labs.view import On
from kmm_sim.labs.workload import LOG, Begin, Setting
from kmm_sim.mm.events import MmPageAlloc, MmPageFree, MmVmscanDirectReclaimBegin, MmVmscanWakeupKswapd

LINE = re.compile(r"(\w+: )?(?!sim_)[a-z]\w+: \w+[=:] ?\S.*")
LABS = {
    "choose": choose_lab,
    "kmalloc": lambda: kmalloc_lab("+100 +0 -0 +9000"),
    "mem_map": mem_map_lab,
    "pages": lambda: pages_lab(Machine.preset("lkd-32bit"), WINDOWS_ON_HIGH_MEMORY),
    "slab_debug": lambda: slab_debug_lab("take write:64 free"),
    "three_slabs": lambda: three_slabs_lab("a3 b -1 shrink"),
    "zones": lambda: zones_lab(calls=ZONE_AFTER_ZONE),
}


@pytest.mark.parametrize("name", LABS)
def test_every_line_of_the_log_reads_like_ftrace_or_says_that_there_is_no_tracepoint(name):
    frames = LABS[name]().frames
    for (_, log, _), *_ in frames:
        assert log == NO_TRACEPOINT or all(LINE.fullmatch(line) for line in log.splitlines()), log
    traced = sum(log != NO_TRACEPOINT for (_, log, _), *_ in frames)
    assert traced == 0 if name == "mem_map" else traced > 0


def test_what_is_ours_in_the_log_is_named_and_has_fields_as_ftrace_has_them():
    line = re.compile(r"(\w+: )?[a-z]\w+: \w+[=:] ?\S.*")
    logs = [log for name, log in vmalloc_phrases.PHRASES.items() if name.startswith("log.")]
    logs += [log for (_, log, _), *_ in workload_lab(seconds=2).frames]
    logs += [Begin("A", Setting(50, 6))(workload_lab(seconds=0).run.machine).partition(LOG)[2]]
    assert len(logs) > 15
    for each in "\n".join(logs).splitlines():
        assert line.fullmatch(each), each


def test_a_call_has_a_line_for_each_tracepoint_and_the_last_of_many():
    assert ftrace([]) == NO_TRACEPOINT
    assert ftrace([MmPageFree(1, 0), MmPageFree(2, 0)]) == "mm_page_free: pfn=0x2 order=0   # the last of 2"
    lines = ftrace([On("A", MmPageFree(1, 0)), On("B", MmPageAlloc(2, 0, 0, int(GFP_KERNEL)))]).splitlines()
    assert lines == ["A: mm_page_free: pfn=0x1 order=0",
                     "B: mm_page_alloc: pfn=0x2 order=0 migratetype=0 gfp_flags=GFP_KERNEL"]


def test_what_is_chosen_is_traced_from_its_own_machine_on():
    (_, log, _), *_ = choose_lab("24; 40 many alike").frames[1]
    assert log.splitlines()[-1].startswith("kmem_cache_alloc: ")


def test_masks_are_printed_as_the_kernel_prints_them():
    kernel = int(GFP_KERNEL)
    assert str(MmVmscanDirectReclaimBegin(3, kernel)) == (
        "mm_vmscan_direct_reclaim_begin: order=3 gfp_flags=GFP_KERNEL")
    assert str(MmVmscanWakeupKswapd(0, 2, 3, kernel)) == "mm_vmscan_wakeup_kswapd: nid=0 order=3 gfp_flags=GFP_KERNEL"
