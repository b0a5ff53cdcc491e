"""/proc texts follow what happens; that they are printed as the kernel's is in tests/test_proc_recordings.py."""

import gzip
import json
from pathlib import Path

import pytest

from kmm_sim import GFP_KERNEL, Gfp, Machine
from kmm_sim.observe import buddyinfo, meminfo, pagetypeinfo, snapshot, zoneinfo
from kmm_sim.recording.proc import machine_of_texts

RECORDED = Path(__file__).parents[1] / "data" / "linux-6.12.117-proc-256M.json.gz"
FILES = json.loads(gzip.decompress(RECORDED.read_bytes()))["files"]


def test_buddyinfo_takes_a_machine_or_a_snapshot():
    machine = Machine(pages=64)
    machine.alloc_page(GFP_KERNEL)
    line = "Node 0, zone   Normal      1      1      1      1      1      1      0      0      0      0      0 \n"
    assert buddyinfo(machine) == buddyinfo(snapshot(machine)) == line


def test_pagetypeinfo_counts_every_pageblock_once():
    machine = Machine(memory="256 MiB")
    for _ in range(600):
        machine.alloc_pages(GFP_KERNEL, 0)
    counts = [
        sum(map(int, line.split()[4:])) for line in pagetypeinfo(machine).splitlines() if line.startswith("Node 0")
    ]
    assert counts == [8, 120]


def test_what_is_free_for_a_new_program_is_reckoned_as_the_kernel_does():
    recorded = FILES["/proc/meminfo"].splitlines()
    ours = meminfo(machine_of_texts(FILES)).splitlines()
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


def test_what_kmalloc_takes_whole_pages_for_counts_as_slab():
    machine = Machine(memory="64 MiB")
    ptr = machine.kmalloc(20_000, GFP_KERNEL)
    assert amounts(machine)["SUnreclaim"] == 32
    machine.kfree(ptr)
    assert amounts(machine)["SUnreclaim"] == 0


@pytest.mark.parametrize("slab", ["slub", "sheaves", "slab", "slob"])
def test_meminfo_zoneinfo_and_the_report_of_a_failure_count_the_same_slabs_and_stacks(slab):
    machine = Machine(memory="64 MiB", slab=slab)
    for _ in range(30):
        machine.new_task()
        machine.kmalloc(700, GFP_KERNEL)
        machine.kmalloc(700, GFP_KERNEL | Gfp.RECLAIMABLE)
        machine.kmalloc(10_000, GFP_KERNEL)
    values = amounts(machine)
    assert min(values["SUnreclaim"], values["KernelStack"]) > 400
    assert bool(values["SReclaimable"]) == (slab != "slob")
    lines = dict(line.split() for line in zoneinfo(machine).splitlines() if line.startswith("      nr_"))
    counted = [4 * int(lines[name]) for name in ("nr_slab_reclaimable", "nr_slab_unreclaimable")]
    assert counted == [values["SReclaimable"], values["SUnreclaim"]]
    assert int(lines["nr_kernel_stack"]) == values["KernelStack"] == 30 * 16
    machine.alloc_pages(GFP_KERNEL, 10)
    while machine.alloc_pages(GFP_KERNEL, 10):
        pass
    report = "\n".join(machine.dmesg)
    assert " slab_reclaimable:{} slab_unreclaimable:{}\n".format(*(kib // 4 for kib in counted)) in report
    assert f" kernel_stack:{values['KernelStack']}kB pagetables:" in report


def test_each_bank_has_its_own_slabs_and_stacks():
    machine = Machine(memory="256 MiB", nodes=2, cpus=2)
    for cpu in (0, 1):
        machine.cpu = cpu
        machine.new_task()
        machine.kmalloc(9000 << cpu, GFP_KERNEL)
    lines = [line.split() for line in zoneinfo(machine).splitlines()]
    counts = {name: [int(line[1]) for line in lines if line[:1] == [name]]
              for name in ("nr_slab_unreclaimable", "nr_kernel_stack")}  # fmt: skip
    assert counts == {"nr_slab_unreclaimable": [4, 8], "nr_kernel_stack": [16, 16]}


def test_the_direct_map_is_of_large_pages_but_where_none_fits():
    values = amounts(Machine(memory="256 MiB"))
    assert values["DirectMap4k"] + values["DirectMap2M"] == (256 << 10) - 4, "page frame 0 is nobody's"
    assert values["DirectMap2M"] == (256 << 10) - 2048


def test_meminfo_counts_stacks_in_use_and_the_pages_of_vmalloc():
    machine = Machine(memory="64 MiB")
    task = machine.new_task()
    machine.vmalloc(5000)
    values = amounts(machine)
    assert (values["KernelStack"], values["VmallocUsed"]) == (16, 16 + 8)
    machine.end_task(task)  # a CPU keeps the stack: its pages are vmalloc's all the same
    values = amounts(machine)
    assert (values["KernelStack"], values["VmallocUsed"]) == (0, 24)
