"""/proc/vmallocinfo and the lines of /proc/meminfo, beside those of a real kernel."""

import gzip
import json
from pathlib import Path

from kmm_sim import PAGE_SIZE, Machine
from kmm_sim.observe import vmalloc_meminfo, vmallocinfo

RECORDED = Path(__file__).parents[1] / "data" / "linux-6.12.117-proc-256M.json.gz"
FILES = json.loads(gzip.decompress(RECORDED.read_bytes()))["files"]
def test_addresses_are_shown_to_those_who_may_see_them():
    machine = Machine(memory="64 MiB")
    machine.vmalloc(2 * PAGE_SIZE, caller="init_module")
    assert vmallocinfo(machine) == (
        "0xffffc90000000000-0xffffc90000003000   12288 init_module pages=2 vmalloc N0=2\n")


def test_the_stack_of_interrupts_is_pages_mapped_once_more():
    machine = Machine(memory="64 MiB")
    task = machine.new_task("worker")
    machine.stack_call(task, "handler", 64, interrupt=True)
    (line,) = [line for line in FILES["/proc/vmallocinfo"].splitlines() if "irq_init_percpu_irqstack" in line]
    size, caller, kind = line.split()[1:]
    assert kind == "vmap"
    ours = [line.split()[1:] for line in vmallocinfo(machine).splitlines()]
    assert [size, caller.partition("+")[0], kind] in ours


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
