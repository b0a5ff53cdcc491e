"""/proc texts, compared with those of a real kernel."""

import gzip
import json
import re
from pathlib import Path

import pytest

from kmm_sim import GFP_KERNEL, Gfp, Machine
from kmm_sim.observe import buddyinfo, dump, meminfo, pagetypeinfo, snapshot, zoneinfo

RECORDED = Path(__file__).parents[1] / "data" / "linux-6.12.117-proc-256M.json.gz"
FILES = json.loads(gzip.decompress(RECORDED.read_bytes()))["files"]


def machine_with(counts):
    """A machine of 256 MiB with so many free blocks of each order in each zone."""
    state = dump(Machine(memory="256 MiB"))
    for zone, orders in zip(state["zones"], counts, strict=True):
        pfn, zone["free"], zone["free_global"] = (zone["start"] + 1023) & ~1023, [], 0
        for order in range(10, -1, -1):
            step = 1 << order if order > 8 else 2 << order  # leave each block's buddy in use
            zone["free"].append([order, 1, list(range(pfn, pfn + orders[order] * step, step))])
            pfn += orders[order] * step
            zone["free_global"] += orders[order] << order
    return Machine.from_dump(state)


def test_buddyinfo_is_printed_as_the_kernel_prints_it():
    recorded = FILES["/proc/buddyinfo"]
    counts = [[int(word) for word in line.split()[4:]] for line in recorded.splitlines()]
    assert [sum(orders) for orders in counts] == [7, 83]
    assert buddyinfo(machine_with(counts)).rstrip("\n") == recorded.rstrip("\n")


def test_buddyinfo_takes_a_machine_or_a_snapshot():
    machine = Machine(pages=64)
    machine.alloc_page(GFP_KERNEL)
    line = "Node 0, zone   Normal      1      1      1      1      1      1      0      0      0      0      0 \n"
    assert buddyinfo(machine) == buddyinfo(snapshot(machine)) == line


def rows(text, start):
    """The numbers at the end of each line that begins with ``start``."""
    return [
        [int(word) for word in re.findall(r" +(\d+)(?= )", line[40:] + " ")]
        for line in text.splitlines()
        if line.startswith(start)
    ]


def recorded_machine():
    """A machine that has what /proc of the recorded one tells: free blocks by type, marks, reserves, lists."""
    types = rows(FILES["/proc/pagetypeinfo"], "Node    0")
    state = dump(Machine(memory="256 MiB"))
    zones = re.split(r"^Node 0, zone +", FILES["/proc/zoneinfo"], flags=re.MULTILINE)[1:3]
    for number, (zone, text) in enumerate(zip(state["zones"], zones, strict=True)):

        def value(name, text=text):
            return int(re.search(rf"^ +{name}:? +(\d+)$", text, re.MULTILINE)[1])

        wanted = types[5 * number : 5 * number + 5]
        blocks, pfn = [], (zone["start"] + 1023) & ~1023
        for order in range(10, -1, -1):
            for migratetype in range(5):
                step = 1 << order if order > 8 else 2 << order
                count = wanted[migratetype][order]
                blocks.append([order, migratetype, list(range(pfn, pfn + count * step, step))])
                pfn += count * step
        zone.update(
            free=blocks,
            spanned=value("spanned"),
            present=value("present"),
            managed=value("managed"),
            wm=[value(name) for name in ("min", "low", "high", "promo")],
            free_global=value("pages free"),
            lowmem=[int(word) for word in re.search(r"protection: \((.*)\)", text)[1].split(",")],
            stat_thr=value("vm stats threshold"),
        )
        zone["pcp"] |= {"count": value("count"), "high": value("high:"), "batch": value("batch")}
    return Machine.from_dump(state)


def test_pagetypeinfo_is_printed_as_the_kernel_prints_it():
    recorded = FILES["/proc/pagetypeinfo"].split("\n\nNumber")[0]
    assert pagetypeinfo(recorded_machine()).split("\n\nNumber")[0] == recorded
    ours = pagetypeinfo(Machine(memory="256 MiB")).split("\n\nNumber")[1]
    theirs = FILES["/proc/pagetypeinfo"].split("\n\nNumber")[1]
    assert re.sub(r" *\d+", " N", ours).rstrip() == re.sub(r" *\d+", " N", theirs).rstrip()


def test_pagetypeinfo_counts_every_pageblock_once():
    machine = Machine(memory="256 MiB")
    for _ in range(600):
        machine.alloc_pages(GFP_KERNEL, 0)
    counts = [
        sum(map(int, line.split()[4:])) for line in pagetypeinfo(machine).splitlines() if line.startswith("Node 0")
    ]
    assert counts == [8, 120]


def test_zoneinfo_is_printed_as_the_kernel_prints_it():
    ours, theirs = zoneinfo(recorded_machine()).splitlines(), FILES["/proc/zoneinfo"].splitlines()
    assert len(ours) == len(theirs)
    counted = {
        "nr_active_anon",
        "nr_slab_reclaimable",
        "nr_slab_unreclaimable",
        "nr_anon_pages",
        "nr_mapped",
        "nr_shmem",
        "nr_file_pages",
        "nr_kernel_stack",
        "nr_page_table_pages",
        "nr_zone_active_anon",
        "numa_hit",
        "numa_interleave",
        "numa_local",
    }
    for mine, their in zip(ours, theirs, strict=True):
        if their.split()[0] in counted:  # what was running on that machine
            assert mine.split()[0] == their.split()[0]
        else:
            assert mine == their


def test_meminfo_is_printed_as_the_kernel_prints_it():
    recorded = FILES["/proc/meminfo"].splitlines()
    ours = meminfo(recorded_machine()).splitlines()
    assert [re.sub(r" *\d+", " N", line) for line in ours] == [re.sub(r" *\d+", " N", line) for line in recorded]
    assert [len(line) for line in ours] == [len(line) for line in recorded]
    for name in ("VmallocTotal", "Hugepagesize", "SwapTotal", "HugePages_Total"):
        assert [line for line in ours if line.startswith(name)] == [line for line in recorded if line.startswith(name)]
    assert ours[:2] == recorded[:2]
    available = int(recorded[2].split()[1]) - 71 * 4  # half of the slabs that could be reclaimed
    assert ours[2] == f"MemAvailable:   {available:8d} kB"


def test_meminfo_follows_what_happens():
    machine = Machine(memory="64 MiB")
    machine.read_file(200, dirty=True)
    machine.start_process("tail", 300)
    machine.swapon(50)
    values = {line.split(":")[0]: int(line.split()[1]) // 4 for line in meminfo(machine).splitlines()}
    assert [values[name] for name in ("Cached", "Dirty", "AnonPages", "Inactive", "SwapFree")] == [
        200,
        200,
        300,
        500,
        50,
    ]
    assert values["MemFree"] + 500 + snapshot(machine).zones[-1].nr_pcp_pages == pytest.approx(
        values["MemTotal"], abs=4
    )


def amounts(machine: Machine) -> dict[str, int]:
    return {line.split(":")[0]: int(line.split()[1]) for line in meminfo(machine).splitlines()}


def test_meminfo_tells_the_slabs_that_can_be_emptied_from_those_that_cannot():
    machine = Machine(memory="64 MiB")
    before = amounts(machine)
    machine.kmalloc(700, GFP_KERNEL)
    machine.kmalloc(700, GFP_KERNEL | Gfp.RECLAIMABLE)
    values = amounts(machine)
    assert before["Slab"] == 0
    assert values["SReclaimable"] > 0
    assert values["SUnreclaim"] > 0
    assert values["KReclaimable"] == values["SReclaimable"]
    assert values["Slab"] == values["SReclaimable"] + values["SUnreclaim"] == 4 * len(machine.slabs.pages)
    lost = {name: before[name] - values[name] for name in ("MemFree", "MemAvailable")}
    assert lost["MemAvailable"] == lost["MemFree"] - values["SReclaimable"] // 2, "half of it counts as available"


def test_meminfo_counts_stacks_in_use_and_the_pages_of_vmalloc():
    machine = Machine(memory="64 MiB")
    task = machine.new_task()
    machine.vmalloc(5000)
    values = amounts(machine)
    assert (values["KernelStack"], values["VmallocUsed"]) == (16, 16 + 8)
    machine.end_task(task)  # a CPU keeps the stack: its pages are vmalloc's all the same
    values = amounts(machine)
    assert (values["KernelStack"], values["VmallocUsed"]) == (0, 24)
