"""The slow path: which stages a request goes through, and what each mask may do."""

import random
import re
from contextlib import nullcontext
from pathlib import Path

import pytest

from kmm_sim import (
    GFP_ATOMIC,
    GFP_DMA,
    GFP_HIGHUSER_MOVABLE,
    GFP_KERNEL,
    GFP_KERNEL_ACCOUNT,
    GFP_NOFS,
    GFP_NOIO,
    GFP_NOWAIT,
    ContextError,
    Gfp,
    KernelBug,
    Machine,
)
from kmm_sim.mm.compaction import migrate_page
from kmm_sim.mm.events import (
    FlusherWrite,
    MarkVictim,
    MmCompactionEnd,
    MmMigratePage,
    MmVmscanDirectReclaimEnd,
    MmVmscanKswapdSleep,
    MmVmscanKswapdWake,
    MmVmscanWakeupKswapd,
    MmVmscanWriteFolio,
    SlowPath,
)
from kmm_sim.mm.sched import CONTEXTS, PF_KTHREAD, Task
from kmm_sim.mm.slab_common import SlabFlags
from kmm_sim.mm.vmscan import lru_del, zone_reclaimable_pages
from kmm_sim.observe import replay, snapshot, validate

DATA = Path(__file__).parents[1] / "data"


def stages(machine, since=0):
    return [event.stage for event in machine.trace[since:] if isinstance(event, SlowPath)]


def told(machine, kind):
    return [event for event in machine.trace if isinstance(event, kind)]


def full(dirty=False, swap=0, **process):
    """A PC of 16 MiB whose memory is all in the page cache or in a process, down to the min mark."""
    machine = Machine(memory="16 MiB")
    machine.sysctl("vm.watermark_boost_factor", 0)
    machine.swapon(swap)
    if process:
        machine.start_process("hog", process["pages"])
    while machine.node.zones[0].vm_stat_free > machine.node.zones[0].watermark[0] + 10:
        assert machine.read_file(1, dirty=dirty)
    return machine


def exhaust(machine, gfp, order=0):
    """Ask until the answer is None; return how many requests were served."""
    served = 0
    while machine.alloc_pages(gfp | Gfp.NOWARN, order) is not None:
        served += 1
    return served


def test_a_request_that_is_served_at_once_has_no_stages():
    machine = Machine(memory="64 MiB")
    machine.alloc_pages(GFP_KERNEL, 3)
    assert stages(machine) == []


def test_kswapd_is_woken_once_and_brings_the_zone_back_above_high():
    machine = full()
    machine.alloc_page(GFP_ATOMIC)
    assert told(machine, MmVmscanWakeupKswapd)
    machine.trace.clear()
    start = snapshot(machine)
    assert machine.run_kswapd() > 0
    zone = machine.zones[0]
    assert zone.vm_stat_free > zone.watermark[2]
    assert told(machine, MmVmscanKswapdSleep)
    assert machine.run_kswapd() == 0, "it sleeps"
    validate(machine)
    assert replay(start, machine.trace) == snapshot(machine)


def test_a_caller_who_cannot_wait_is_told_no():
    machine = full()
    exhaust(machine, GFP_NOWAIT)
    machine.trace.clear()
    assert machine.alloc_page(GFP_NOWAIT) is None
    assert stages(machine) == ["retry", "give up"]
    assert machine.alloc_page(GFP_KERNEL), "one who can wait reclaims some"
    assert stages(machine)[2:4] == ["retry", "direct reclaim"]


def test_direct_reclaim_takes_the_oldest_pages_of_files():
    machine = full()
    oldest = [entry.pfn for entry in snapshot(machine).lru[:8]]
    machine.trace.clear()
    while not told(machine, MmVmscanDirectReclaimEnd):
        assert machine.alloc_page(GFP_KERNEL)
    assert told(machine, MmVmscanDirectReclaimEnd)[0].nr_reclaimed == 32
    assert not {entry.pfn for entry in snapshot(machine).lru} & set(oldest)


@pytest.mark.parametrize("gfp", [GFP_KERNEL, GFP_NOFS, GFP_NOIO])
def test_no_request_writes_to_a_file_it_wakes_the_flushers(gfp):
    """shrink_folio_list(): "Only kswapd can writeback filesystem folios"."""
    machine = full(dirty=True)
    dirty = len(machine.node.lru)
    assert exhaust(machine, gfp | Gfp.NORETRY) >= dirty
    assert not told(machine, MmVmscanWriteFolio)
    assert len(told(machine, FlusherWrite)) == dirty
    assert machine.node.lru == {}


def test_kswapd_has_files_written_by_the_flushers_too():
    machine = full(dirty=True)
    machine.alloc_page(GFP_ATOMIC)
    machine.trace.clear()
    start = snapshot(machine)
    assert machine.run_kswapd() == len(told(machine, FlusherWrite)) > 0
    assert replay(start, machine.trace) == snapshot(machine)


def test_anonymous_memory_goes_to_swap_if_there_is_any():
    for swap in (0, 500):
        machine = full(swap=swap, pages=2500)
        exhaust(machine, GFP_KERNEL | Gfp.NORETRY)
        assert sum(event.anon for event in told(machine, MmVmscanWriteFolio)) == swap
        assert sum(task.swapped for task in machine.tasks) == swap


def test_noio_needs_no_swap_and_nofs_may_swap():
    for gfp, swapped in ((GFP_NOFS, 300), (GFP_NOIO, 0)):
        machine = full(swap=300, pages=2500)
        exhaust(machine, gfp | Gfp.NORETRY)
        assert machine.node.total_swap_pages - machine.node.nr_swap_pages == swapped


def test_the_oom_killer_takes_the_largest_process_and_only_for_those_who_may_wait():
    machine = full(pages=1500)
    small = machine.start_process("small", 30)
    exhaust(machine, GFP_ATOMIC)
    assert not told(machine, MarkVictim)
    for mask in (GFP_KERNEL | Gfp.NORETRY, GFP_KERNEL | Gfp.RETRY_MAYFAIL):
        exhaust(machine, mask)
        assert not told(machine, MarkVictim), "these fail rather than kill"
    assert exhaust(machine, GFP_KERNEL) > 1000
    assert [event.comm for event in told(machine, MarkVictim)] == ["hog", "small", "insmod"]
    assert small.oom_victim
    assert machine.tasks == ()
    validate(machine)


def test_no_process_is_killed_for_a_costly_order():
    machine = full(pages=1500)
    assert machine.alloc_pages(GFP_KERNEL | Gfp.NOWARN, 9) is None or not told(machine, MarkVictim)
    exhaust(machine, GFP_KERNEL, order=4)
    assert not told(machine, MarkVictim)


def test_nofail_is_served_or_the_machine_says_why_it_cannot_be():
    machine = full(pages=1500)
    for _ in range(1000):
        assert machine.alloc_page(GFP_KERNEL | Gfp.NOFAIL)
    lonely = Machine(memory="16 MiB")
    lonely.sysctl("vm.watermark_boost_factor", 0)
    with pytest.raises(KernelBug, match="__GFP_NOFAIL: the kernel would try for order 0 for ever"):
        exhaust(lonely, GFP_KERNEL | Gfp.NOFAIL)
    assert snapshot(lonely).zones[0].nr_free_pages == 0
    validate(lonely)


def test_who_frees_memory_may_use_all_there_is():
    machine = Machine(memory="16 MiB")
    exhaust(machine, GFP_ATOMIC)
    left = snapshot(machine).zones[0].nr_free_pages
    assert left > 0
    with machine.context("memalloc"):
        assert exhaust(machine, GFP_KERNEL) >= left
    assert snapshot(machine).zones[0].nr_free_pages == 0


def test_compaction_moves_pages_together():
    machine = Machine(memory="16 MiB", pcp=False)
    machine.sysctl("vm.watermark_boost_factor", 0)
    machine.sysctl("vm.min_free_kbytes", 64)
    start = snapshot(machine)
    machine.read_file(3900)
    for entry in snapshot(machine).lru[::2]:  # every second page is dropped: no two free ones side by side
        lru_del(machine.node, entry.pfn)
    machine.node.zones[0].lowmem_reserve = [0] * 5
    while machine.alloc_pages(GFP_ATOMIC | Gfp.NOWARN, 3):
        pass
    assert machine.alloc_pages(GFP_KERNEL | Gfp.NOWARN | Gfp.NORETRY, 3)
    assert MmCompactionEnd(0, True) in machine.trace
    moved = told(machine, MmMigratePage)
    assert 1 <= len(moved) <= 8
    validate(machine)
    assert replay(start, machine.trace) == snapshot(machine)


def test_what_a_page_holds_moves_with_it():
    machine = Machine(memory="16 MiB", pcp=False)
    start = snapshot(machine)
    task = machine.start_process("tail", 1)
    (pfn,) = task.anon
    machine.write(machine.page_address(machine.node.page(pfn)), b"heap")
    migrate_page(machine.node, pfn, 700)
    assert task.anon == {700}
    assert machine.read(machine.page_address(machine.node.page(700)), 4) == b"heap"
    validate(machine)
    assert replay(start, machine.trace) == snapshot(machine)


def test_a_process_that_ends_gives_everything_back():
    machine = Machine(memory="64 MiB")
    before = snapshot(machine)
    task = machine.start_process("tail", 300)
    assert len(task.anon) == 300
    machine.exit_process(task)
    machine.drain_all_pages()
    assert snapshot(machine).allocated == {}
    assert snapshot(machine).zones[-1].nr_free == before.zones[-1].nr_free
    assert snapshot(machine).lru == ()


# Why


def in_pieces():
    """A machine of which every second page is free, and nothing else."""
    machine = Machine(memory="64 MiB")
    machine.sysctl("vm.watermark_boost_factor", 0)
    held = []
    while page := machine.alloc_page(GFP_ATOMIC | Gfp.NOWARN | Gfp.MEMALLOC):
        held.append(page)
    for page in held:
        if page.pfn % 2:
            machine.free_page(page)
    machine.drain_all_pages()
    machine.run_kswapd()  # in vain; now it sleeps
    return machine


def reasons(machine, gfp, order, context=None):
    """Make a request in vain; return the steps and why each was taken."""
    machine.trace.clear()
    with machine.context(context) if context else nullcontext():
        assert machine.alloc_pages(gfp | Gfp.NOWARN, order) is None
    return {event.stage: event.reason for event in told(machine, SlowPath)}


def test_memory_in_pieces_is_not_called_a_zone_below_its_mark():
    machine = in_pieces()
    free = {zone.name: zone.vm_stat_free for zone in machine.zones}
    assert free["DMA32"] > 6000 > machine.zones[1].watermark[1]
    lack = "; ".join(f"{name} has {free[name]} free pages, but no block of order 3" for name in ("DMA32", "DMA"))
    assert reasons(machine, GFP_KERNEL | Gfp.NORETRY, 3) == {
        "kswapd": f"at high: {lack}",
        "retry": f"{lack}: try down to min",
        "direct reclaim": f"{lack}: the caller may sleep",
        "give up": "with __GFP_NORETRY one round is all",
    }


def test_a_zone_below_its_mark_is_told_with_its_sum():
    machine = full()
    zone = machine.zones[0]
    exhaust(machine, GFP_NOWAIT)
    least = zone.watermark[1] + zone.lowmem_reserve[2]
    why, free = reasons(machine, GFP_NOWAIT, 2), zone.vm_stat_free
    assert why["retry"] == f"DMA has {free - 3} pages to count on, and {least} must remain: try down to min"
    assert why["give up"] == "the caller cannot wait"


GIVE_UP = {
    "the caller cannot wait": (GFP_ATOMIC, 3, None),
    "with __GFP_NORETRY one round is all": (GFP_KERNEL | Gfp.NORETRY, 3, None),
    "order 4 is too costly to insist: above 3, one round is all": (GFP_KERNEL, 4, None),
    "the caller frees memory itself, and reclaim must not call itself": (GFP_KERNEL, 3, "memalloc"),
    "nothing is left to reclaim, and with __GFP_RETRY_MAYFAIL nobody is killed": (
        GFP_KERNEL | Gfp.RETRY_MAYFAIL, 3, None),
    "nobody is killed for __GFP_THISNODE: it might free memory of another node": (GFP_KERNEL | Gfp.THISNODE, 3, None),
    "nobody is killed for memory of a low zone": (GFP_KERNEL | GFP_DMA, 3, None),
    "kswapd finds nothing to reclaim either, and without __GFP_FS nobody is killed": (GFP_NOFS, 3, None),
    "the caller is being killed, and has had its share of the reserves": (GFP_KERNEL, 3, None),
}


@pytest.mark.parametrize("why", GIVE_UP)
def test_each_way_out_has_its_own_reason(why):
    assert reasons(in_pieces(), *GIVE_UP[why])["give up"] == why


def test_a_costly_block_with_noretry_is_not_reclaimed_for_when_too_little_is_free_to_compact():
    machine = full()
    exhaust(machine, GFP_NOWAIT)
    why = reasons(machine, GFP_KERNEL | Gfp.NORETRY, 5)
    assert list(why) == ["retry", "compact", "give up"]
    assert why["compact"].endswith(": too few are free to move others there")
    assert why["give up"] == "too few pages are free to compact, and with __GFP_NORETRY order 5 is too costly"
    assert len(machine.node.lru) > 3000


def test_a_hopeless_kswapd_is_left_alone_until_somebody_reclaims_a_page():
    machine = Machine(memory="16 MiB")
    exhaust(machine, GFP_ATOMIC)
    for _ in range(15):
        machine.run_kswapd()
        assert machine.alloc_page(GFP_ATOMIC | Gfp.NOWARN) is None
    machine.run_kswapd()
    assert machine.node.kswapd[0].failures == 16
    machine.trace.clear()
    assert machine.alloc_page(GFP_ATOMIC) is None
    assert not told(machine, MmVmscanWakeupKswapd)
    assert "all_unreclaimable? yes" in " ".join(machine.dmesg)
    hopeful = full()
    hopeful.node.kswapd[0].failures = 16
    exhaust(hopeful, GFP_KERNEL | Gfp.NORETRY)
    assert hopeful.node.kswapd[0].failures == 0


def test_each_bank_has_a_kswapd_of_its_own():
    machine = Machine(memory="64 MiB", nodes=2, cpus=2)
    machine.read_file(2000)
    machine.cpu = 1
    machine.read_file(2000)
    exhaust(machine, GFP_ATOMIC | Gfp.THISNODE)
    assert [event.nid for event in told(machine, MmVmscanWakeupKswapd)] == [1]
    before = [zone.vm_stat_free for zone in machine.zones]
    machine.trace.clear()
    assert machine.run_kswapd() > 0
    assert [event.nid for event in told(machine, MmVmscanKswapdWake) + told(machine, MmVmscanKswapdSleep)] == [1, 1]
    assert [zone.vm_stat_free for zone in machine.zones][:2] == before[:2]
    validate(machine)


def test_what_could_be_reclaimed_is_counted_as_the_kernel_counts_it():
    """zone_reclaimable_pages(): all anonymous memory if there is any swap; of an empty zone the free pages."""
    machine = Machine(memory="16 MiB")
    zone = machine.zones[0]
    assert zone_reclaimable_pages(machine.node, zone) == zone.managed_pages
    machine.start_process("hog", 300)
    machine.read_file(40)
    assert zone_reclaimable_pages(machine.node, zone) == 40
    machine.swapon(1)
    assert zone_reclaimable_pages(machine.node, zone) == 340


# Contexts

SLEEPLESS = ("spinlock", "softirq", "hardirq", "irqs off")


@pytest.mark.parametrize("context", SLEEPLESS)
def test_who_cannot_sleep_must_not_ask_with_a_mask_that_may(context):
    machine = Machine(memory="64 MiB")
    before = snapshot(machine)
    with machine.context(context):
        with pytest.raises(ContextError, match=r"sleeping function.*insmod.*GFP_ATOMIC"):
            machine.alloc_page(GFP_KERNEL)
        assert snapshot(machine) == before
        with pytest.raises(ContextError, match="sleeping function"):
            machine.alloc_pages_bulk(GFP_KERNEL, 8)
        assert snapshot(machine) == before
        assert machine.alloc_page(GFP_ATOMIC)
        assert machine.alloc_page(GFP_NOWAIT)
        assert len(machine.alloc_pages_bulk(GFP_ATOMIC, 8)) == 8
    assert machine.alloc_page(GFP_KERNEL)


@pytest.mark.parametrize(
    ("context", "forbidden", "allowed"),
    [
        ("fs", GFP_KERNEL, GFP_NOFS),
        ("io", GFP_NOFS, GFP_NOIO),
        ("io", GFP_KERNEL, GFP_ATOMIC),
    ],
)
def test_reclaim_must_not_come_back_to_where_it_was_called_from(context, forbidden, allowed):
    machine = Machine(memory="64 MiB")
    with machine.context(context):
        with pytest.raises(ContextError, match=r"deadlock: .*wait for itself"):
            machine.alloc_page(forbidden)
        assert machine.alloc_page(allowed)


@pytest.mark.parametrize(("outer", "inner"), [("nofs", "fs"), ("noio", "io")])
def test_a_promise_for_all_requests_makes_the_mask_safe(outer, inner):
    machine = Machine(memory="64 MiB")
    with machine.context(outer), machine.context(inner):
        page = machine.alloc_page(GFP_KERNEL)
    assert snapshot(machine).allocated[page.pfn].gfp == (GFP_NOFS if outer == "nofs" else GFP_NOIO)


@pytest.mark.parametrize(("context", "name"), [("spinlock", "sleep_atomic_alloc"), ("irqs off", "sleep_irqsoff_alloc")])
def test_a_debug_kernel_reports_what_a_distributions_kernel_lets_pass(context, name):
    silent = Machine(memory="64 MiB", teaching=False)
    with silent.context(context):
        assert silent.alloc_page(GFP_KERNEL)
    assert silent.dmesg == []
    debug = Machine(memory="64 MiB", teaching=False)
    debug.node.debug_atomic_sleep = True
    debug.current.pid = 36
    with debug.context(context):
        assert debug.alloc_page(GFP_KERNEL)
    lines = (DATA / f"linux-6.12.117-dmesg-{name}.txt").read_text().splitlines()
    assert debug.dmesg == [line.partition("] ")[2] for line in lines]


def test_contexts_end_where_their_block_ends():
    machine = Machine(pages=4)
    with pytest.raises(RuntimeError), machine.context("spinlock"), machine.context("hardirq"):
        raise RuntimeError
    assert (machine.current.preempt_count, machine.current.irqs_disabled, machine.current.inside) == (0, False, ())
    with pytest.raises(ValueError, match="unknown context 'bathtub'"):
        machine.context("bathtub")


# The log


def shape(lines):
    """A report without its time stamps, its numbers, and the names of its zones."""
    bare = [line.partition("] ")[2] if line.startswith("[") else line for line in lines]
    bare = [re.sub(r"Normal|DMA32|DMA", "ZONE", line) for line in bare]
    bare = [re.sub(r"( \d+\*\d+kB( \([UMEHI]+\))?)+", " BLOCKS", line) for line in bare]
    return [re.sub(r"\d+|(?<=unreclaimable\? )(yes|no)", "N", line) for line in bare]


def test_a_failure_is_reported_in_the_kernels_own_format():
    recorded = (DATA / "linux-6.12.117-dmesg-alloc_fail_atomic.txt").read_text().splitlines()
    machine = Machine(memory="6 GiB", teaching=False)
    while machine.alloc_pages(GFP_ATOMIC | Gfp.NOWARN, 10):
        pass
    assert machine.alloc_pages(GFP_ATOMIC, 10) is None
    assert machine.dmesg[0] == recorded[0].partition("] ")[2]
    assert shape(machine.dmesg) == shape(recorded)


PROCESSOR = re.compile(
    r"(CPU|Tainted|Hardware name|Call Trace|RIP|Code|RSP|R..|Kernel Offset|Rebooting)\b| *</?TASK>| .*\+0x"
)
"""Lines of a report about the processor and the program, not about memory."""


def about_memory(lines):
    """An uncut log without time stamps, registers, call traces, and the table of slabs."""
    bare = [line.partition("] ")[2] for line in lines if line.startswith("[ ")]
    bare = [line for line in bare if not PROCESSOR.match(line) and not line.startswith(("gave up", "mmtrace"))]
    return [line for line in bare if not re.match(r"Unreclaimable slab info|Name +Used|\S+ +\d+KB +\d+KB$", line)]


def test_a_whole_log_of_an_oom_is_the_kernels_from_the_first_victim_to_the_panic():
    """A module took all memory: itself was killed, then its request failed, then there was only init."""
    recorded = about_memory((DATA / "linux-6.12.117-dmesg-oom_kernel.txt").read_text().splitlines())
    machine = Machine(memory="240 MiB", teaching=False)
    while machine.alloc_page(GFP_KERNEL):
        pass
    machine.node.current = Task("init", 1)
    assert machine.alloc_pages(GFP_KERNEL_ACCOUNT | Gfp.ZERO, 1) is None
    ours = machine.dmesg[: machine.dmesg.index("Kernel panic - not syncing: System is deadlocked on memory") + 1]
    assert [re.sub(" +", " ", line) for line in shape(ours)] == [re.sub(" +", " ", line) for line in shape(recorded)]
    numberless = [line for line in recorded if not re.search(r"\d", line) or "invoked" in line or "mode:" in line]
    assert len(numberless) == 12
    assert not set(numberless) - set(ours)
    (killed,) = [line for line in recorded if line.startswith("oom-kill:")]
    assert killed in ours, "the same process, and every word"
    tables = [next(line for line in lines if line.startswith("[    130]")) for lines in (ours, recorded)]
    assert len(tables[0]) == len(tables[1]), "the columns are as wide"


@pytest.mark.parametrize("slab", ["slub", "sheaves", "slab", "slob"])
def test_slabs_that_nobody_can_empty_are_listed_when_they_are_more_than_all_else(slab):
    recorded = (DATA / "linux-6.12.117-dmesg-oom_kernel.txt").read_text().splitlines()
    at = next(nth for nth, line in enumerate(recorded) if "Unreclaimable slab info" in line)
    head, name, *rows = [line.partition("] ")[2] for line in recorded[at : at + 70]]
    machine = Machine(memory="16 MiB", teaching=False, slab=slab)
    cache = machine.kmem_cache_create("task_struct", 6208, align=64, flags=SlabFlags.NO_MERGE)
    machine.kmem_cache_alloc(machine.kmem_cache_create("dentry", 192, flags=SlabFlags.RECLAIM_ACCOUNT), GFP_KERNEL)
    while machine.kmem_cache_alloc(cache, GFP_KERNEL):
        pass
    if slab == "slob":
        assert head not in machine.dmesg
        return
    at = machine.dmesg.index(head)
    assert machine.dmesg[at + 1] == name
    ours = machine.dmesg[at + 2 : machine.dmesg.index("Tasks state (memory values in pages):")]
    row, theirs = (next(line for line in lines if line.startswith("task_struct ")) for lines in (ours, rows))
    assert re.sub(r" *\d+", lambda found: "#" * len(found[0]), row) == re.sub(
        r" *\d+", lambda found: "#" * len(found[0]), theirs)
    assert int(row.split()[2].removesuffix("KB")) > 8000
    assert not any(line.startswith("dentry") for line in ours)


def test_no_table_of_slabs_while_processes_have_more():
    machine = Machine(memory="16 MiB", teaching=False)
    machine.start_process("large", 2000)
    while machine.alloc_page(GFP_KERNEL):
        pass
    assert any("invoked oom-killer" in line for line in machine.dmesg)
    assert "Unreclaimable slab info:" not in machine.dmesg


def test_whoever_is_killed_while_he_asks_gets_half_of_min_and_then_nothing():
    machine = Machine(memory="16 MiB")
    machine.sysctl("vm.watermark_boost_factor", 0)
    machine.start_process("other", 100)
    machine.node.current = asker = machine.start_process("asker", 2000)
    exhaust(machine, GFP_KERNEL)
    assert [event.comm for event in told(machine, MarkVictim)] == ["asker"], "nobody else dies for him"
    why = {event.stage: event.reason for event in told(machine, SlowPath)}
    assert why["reserves"] == "the caller is being killed, and may use half of min to get out"
    assert why["give up"] == "the caller is being killed, and has had its share of the reserves"
    zone = machine.zones[0]
    assert zone.vm_stat_free + sum(zone.vm_stat_diff) <= zone.watermark[0] // 2 + 32
    assert len(asker.anon) == 2000, "what it has comes back when it has left the kernel"
    machine.node.current = Task("next", 200)
    assert machine.alloc_page(GFP_KERNEL), "the oom reaper has come"
    assert asker not in machine.tasks
    assert not asker.anon
    validate(machine)


def test_a_kernel_with_nobody_to_kill_panics():
    machine = Machine(memory="16 MiB")
    for nobody in (Task("init", 1), Task("kworker/0:1", 20, PF_KTHREAD)):
        machine.node.current = nobody
        with pytest.raises(KernelBug, match="kernel panic: System is deadlocked on memory"):
            exhaust(machine, GFP_KERNEL)
        assert machine.dmesg[-2:] == [
            "Out of memory and no killable processes...",
            "Kernel panic - not syncing: System is deadlocked on memory",
        ]
    validate(machine)
    machine.node.teaching = False
    machine.trace.clear()
    assert machine.alloc_page(GFP_KERNEL) is None
    assert told(machine, SlowPath)[-1].reason.startswith("the kernel has panicked")


def test_the_numbers_of_a_report_add_up():
    machine = full(pages=1500)
    assert machine.alloc_pages(GFP_NOWAIT & ~Gfp.NOWARN, 10) is None
    report = " ".join(machine.dmesg)
    blocks = re.search(r"DMA: (.*?) = (\d+)kB", report)
    total = sum(int(n) * int(size) for n, size in re.findall(r"(\d+)\*(\d+)kB", blocks[1]))
    assert total == int(blocks[2]) == 4 * snapshot(machine).zones[0].nr_free_pages
    files, anon = int(re.search(r"inactive_file:(\d+) ", report)[1]), int(re.search(r"inactive_anon:(\d+) ", report)[1])
    assert (files, anon) == (len(machine.node.lru) - 1500, 1500)


def test_nowarn_is_silent():
    machine = Machine(memory="16 MiB")
    exhaust(machine, GFP_ATOMIC)
    assert machine.dmesg == []


# Everything together


@pytest.mark.parametrize("seed", range(8))
def test_the_trace_rebuilds_a_machine_under_pressure(seed):
    rng = random.Random(seed)
    machine = Machine(memory="20 MiB", cpus=2)
    machine.swapon(rng.choice([0, 200]))
    start = snapshot(machine)
    held = []
    masks = (
        GFP_KERNEL,
        GFP_ATOMIC,
        GFP_NOFS,
        GFP_NOIO,
        GFP_DMA | GFP_KERNEL,
        GFP_HIGHUSER_MOVABLE,
        GFP_KERNEL | Gfp.NORETRY,
        GFP_KERNEL | Gfp.RECLAIMABLE,
        GFP_KERNEL | Gfp.COMP,
    )
    for _ in range(400):
        machine.cpu = rng.randrange(2)
        match rng.randrange(9):
            case 0:
                machine.read_file(rng.randrange(400), dirty=rng.random() < 0.4)
            case 1:
                machine.start_process(f"p{rng.randrange(99)}", rng.randrange(600))
            case 2 if machine.tasks:
                machine.exit_process(rng.choice(machine.tasks))
            case 3:
                machine.run_kswapd()
            case 4 if held:
                page, order = held.pop(rng.randrange(len(held)))
                machine.free_pages(page, order)
            case 5:
                try:
                    with machine.context(rng.choice(list(CONTEXTS))):
                        machine.alloc_page(rng.choice(masks) | Gfp.NOWARN)
                except ContextError:
                    pass
            case _:
                order = rng.choice((0, 0, 1, 2, 3, 4, 5, 9))
                page = machine.alloc_pages(rng.choice(masks) | Gfp.NOWARN, order)
                held += [(page, order)] if page else []
    validate(machine)
    assert replay(start, machine.trace) == snapshot(machine)


@pytest.mark.parametrize(("mask", "swap"), [(GFP_NOFS, 0), (GFP_NOIO, 0), (GFP_NOIO, 500)])
def test_nobody_is_killed_for_a_request_that_may_not_enter_filesystems(mask, swap):
    """out_of_memory() does nothing without __GFP_FS: kswapd swaps out what the caller must not write."""
    machine = full(swap=swap, pages=3000)
    while machine.read_file(1) and len([entry for entry in machine.node.lru.values() if not entry.anon]) < 40:
        pass
    exhaust(machine, GFP_NOWAIT)
    exhaust(machine, GFP_NOIO | Gfp.NORETRY)
    machine.trace.clear()
    assert (machine.alloc_page(mask) is not None) == bool(swap)
    assert "wait" in stages(machine)
    assert "oom" not in stages(machine)
    assert not any(task.oom_victim for task in machine.tasks)
    validate(machine)
