"""/proc/vmallocinfo and the lines of /proc/meminfo, beside those of a real kernel."""

import gzip
import json
import re
from pathlib import Path

from kmm_sim import PAGE_SHIFT, PAGE_SIZE, Machine
from kmm_sim.mm.vmalloc import VmFlag, get_vm_area
from kmm_sim.mm.vmap_area import VMALLOC_START
from kmm_sim.observe import vmalloc_meminfo, vmallocinfo

RECORDED = Path(__file__).parents[1] / "data" / "linux-6.12.117-proc-256M.json.gz"
FILES = json.loads(gzip.decompress(RECORDED.read_bytes()))["files"]
LINE = re.compile(r"\S+ +(?P<size>\d+) (?P<caller>\S+)(?: pages=(?P<pages>\d+))?(?: phys=(?P<phys>0x[0-9a-f]+))?"
                  r"(?P<kind>(?: ioremap| vmalloc| vmap| vpages)*)(?: N0=\d+)?")


def make(machine, line):
    """Ask for what a line tells of; what is there because of another line's array is left out."""
    found = LINE.fullmatch(line)
    assert found, f"not understood: {line}"
    size, kind = int(found["size"]) - PAGE_SIZE, found["kind"].split()
    if "ioremap" in kind and int(found["phys"], 16) >> PAGE_SHIFT >= machine.zones[-1].end_pfn:
        machine.ioremap(int(found["phys"], 16), size, found["caller"])
    elif "ioremap" in kind:  # memory that the firmware kept for itself; our machines have no such
        area = get_vm_area(machine.vmap_space, size, VmFlag.IOREMAP, found["caller"])
        area.phys_addr = int(found["phys"], 16)
    elif kind == ["vmap"]:
        machine.vmap([machine.alloc_page(0xCC0) for _ in range(size // PAGE_SIZE)], found["caller"])
    elif found["pages"] is None:  # addresses for per-CPU memory: no pages of the area's own, no guard page
        get_vm_area(machine.vmap_space, size + PAGE_SIZE, VmFlag.ALLOC | VmFlag.NO_GUARD, found["caller"])
    else:
        assert int(found["pages"]) * PAGE_SIZE == size
        machine.vmalloc(size, caller=found["caller"])


def test_each_recorded_line_is_printed_as_the_kernel_prints_it():
    recorded = FILES["/proc/vmallocinfo"].splitlines()
    in_use = [line for line in recorded if "unpurged" not in line]
    array_of = [line for line in in_use if " vpages" in line]
    assert len(in_use) > 60
    assert len(array_of) == 1
    machine = Machine(memory="256 MiB")
    arrays = [f"0x(____ptrval____)-0x(____ptrval____)   12288 {LINE.fullmatch(line)['caller']} pages=2 vmalloc N0=2"
              for line in array_of]
    for line in in_use:
        if line not in arrays:
            make(machine, line)
    assert sorted(vmallocinfo(machine, hashed=True).splitlines()) == sorted(in_use)


def test_what_waits_for_a_purge_is_printed_last_and_as_the_kernel_prints_it():
    recorded = [line for line in FILES["/proc/vmallocinfo"].splitlines() if "unpurged" in line]
    machine = Machine(memory="256 MiB")
    kept = machine.vmalloc(PAGE_SIZE, caller="kept")
    for line in recorded:
        machine.vfree(machine.vmalloc(int(line.split()[1]) - PAGE_SIZE))
    lines = vmallocinfo(machine, hashed=True).splitlines()
    assert lines[0].endswith("8192 kept pages=1 vmalloc N0=1")
    assert kept == VMALLOC_START
    assert lines[1:] == recorded


def test_addresses_are_shown_to_those_who_may_see_them():
    machine = Machine(memory="64 MiB")
    machine.vmalloc(2 * PAGE_SIZE, caller="init_module")
    assert vmallocinfo(machine) == (
        "0xffffc90000000000-0xffffc90000003000   12288 init_module pages=2 vmalloc N0=2\n")


def test_the_lines_of_meminfo_have_the_recorded_form():
    machine = Machine(memory="256 MiB")
    for nth in range(54):
        machine.new_task(f"t{nth}")
    while machine.vmap_space.nr_vmalloc_pages < 7380 // 4:
        machine.vmalloc(PAGE_SIZE)
    ours, theirs = vmalloc_meminfo(machine).splitlines(), FILES["/proc/meminfo"].splitlines()
    assert [line for line in ours if not line.startswith("Percpu")] == [
        line for line in theirs if line.startswith(("KernelStack", "Vmalloc"))]
    (percpu,) = (line for line in theirs if line.startswith("Percpu"))
    assert len(ours[-1]) == len(percpu)
